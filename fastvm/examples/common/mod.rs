//! What the examples share: where they find a service.

use fastvm::Client;
use fastvm_local::Server;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The service that `FASTVM_API_KEY` is for (`FASTVM_BASE_URL`, or the FastVM cloud); without a key, a
/// local server that ends with the example.
pub(crate) struct Service {
    pub(crate) client: Client,
    server: Option<Server>,
}

impl Service {
    pub(crate) async fn start() -> Result<Self, Failure> {
        if std::env::var("FASTVM_API_KEY").is_ok_and(|key| !key.is_empty()) {
            let client = Client::from_env()?;
            return Ok(Self {
                client,
                server: None,
            });
        }
        eprintln!("no FASTVM_API_KEY: using a local server");
        let server = Server::start().await?;
        let client = Client::builder()
            .api_key(server.api_key())
            .base_url(server.base_url())
            .build()?;
        Ok(Self {
            client,
            server: Some(server),
        })
    }

    pub(crate) async fn stop(self) {
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}
