//! What the integration tests share: a local server with a client on it, and a stub server that
//! answers as a test tells it and counts what it was asked, a proxy that breaks connections, and a
//! fuzzer.

mod fuzz;
mod proxy;
mod stub;

pub use fuzz::fuzz;
pub use proxy::{Fault, FaultProxy, Trouble, Way};
pub use stub::{Reply, Request, Stub};

use fastvm::Client;
use fastvm_local::Server;

/// A local server and a client for it.
#[derive(Debug)]
pub struct World {
    /// The server; its VMs end with it.
    pub server: Server,
    /// A client with the server's key and address.
    pub client: Client,
}

impl World {
    /// One with its defaults: launches answer at once.
    pub async fn start() -> Self {
        Self::of(Server::start().await.expect("the local server starts"))
    }

    /// One whose VMs take this long to boot.
    pub async fn with_boot_delay(delay: std::time::Duration) -> Self {
        let server = Server::builder().boot_delay(delay).start().await;
        Self::of(server.expect("the local server starts"))
    }

    /// One whose client, and whose storage URLs, go through a proxy.
    pub async fn behind_proxy() -> (Self, FaultProxy) {
        let proxy = FaultProxy::bind().await;
        let server = Server::builder().public_url(proxy.base_url()).start().await;
        let world = Self::of(server.expect("the local server starts"));
        proxy.forward_to(world.server.address());
        (world, proxy)
    }

    fn of(server: Server) -> Self {
        let client = client(server.base_url(), server.api_key());
        Self { server, client }
    }
}

/// A client for this address and key.
pub fn client(base_url: &str, api_key: &str) -> Client {
    let builder = Client::builder().api_key(api_key).base_url(base_url);
    builder.build().expect("the client can be made")
}
