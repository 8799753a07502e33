//! A server from its start to its stop.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio::{join, select};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::bucket_mounts::Buckets;
use crate::console::Consoles;
use crate::faults::{Fault, Faults, InvalidFault};
use crate::http::{ApiKey, App, Cuttable, not_available, router, service_or};
use crate::images::Images;
use crate::imports::Imports;
use crate::proxy::Ends;
use crate::quota::{Ledger, Quota};
use crate::sandbox::ProbeError;
use crate::snapshots::Snapshots;
use crate::ssh_keys::SshKeys;
use crate::state::{self, StateDir};
use crate::storage::Storage;
use crate::store::{StoreError, Table};
use crate::vms::{Machine, Vms};
use crate::volumes::Volumes;

/// How long answers under way may take after the VMs have ended.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait after a connection could not be accepted, as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Flow control windows of HTTP/2: the usual 64 KiB are small for uploads.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// A running server: the FastVM API on an address of this machine.
///
/// Each VM it launches is an isolated process environment with a file system of its own. It ends
/// with [`stop`](Self::stop); dropping it does the same in the background, as long as the runtime
/// goes on. If the program is killed, the kernel ends all VMs, and the next start removes their
/// folders.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = fastvm_local::Server::start().await?;
///
/// let url = format!("{}/v1/vms", server.base_url());
/// let answer = reqwest::Client::new().get(url).header("X-API-Key", server.api_key()).send().await?;
/// assert_eq!(answer.text().await?, "[]");
///
/// server.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    address: SocketAddr,
    base_url: String,
    api_key: String,
    faults: Faults,
    running: DropGuard,
    supervisor: JoinHandle<()>,
}

impl Server {
    /// Starts a server on a free port, with a random key and temporary state.
    ///
    /// # Errors
    ///
    /// [`StartError::Isolation`] if no VM can be isolated on this machine.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// A server with other settings.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let server = fastvm_local::Server::builder()
    ///     .api_key("dev")
    ///     .boot_delay(Duration::from_millis(300))
    ///     .start()
    ///     .await?;
    /// assert_eq!(server.api_key(), "dev");
    /// # server.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Where it is reached, such as `http://127.0.0.1:8787`: the base URL for a client. The
    /// [public URL](ServerBuilder::public_url), if there is one.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The key that it asks for.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes wrong, on demand.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Ends all VMs and connections and removes the server's folders. Dropping the future does the
    /// same in the background.
    pub async fn stop(self) {
        drop(self.running);
        let _ = self.supervisor.await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The settings of a [`Server`].
#[derive(Clone)]
#[must_use = "it does nothing until it is started"]
pub struct ServerBuilder {
    address: SocketAddr,
    allows_remote: bool,
    public_url: Option<String>,
    api_key: Option<String>,
    boot_delay: Duration,
    url_lifetime: Duration,
    state_dir: Option<PathBuf>,
    images: Option<PathBuf>,
    buckets: Option<PathBuf>,
    quota: Quota,
    faults: Vec<Fault>,
    fault_seed: u64,
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            allows_remote: false,
            public_url: None,
            api_key: None,
            boot_delay: Duration::ZERO,
            url_lifetime: Duration::from_secs(900),
            state_dir: None,
            images: None,
            buckets: None,
            quota: Quota::default(),
            faults: Vec::new(),
            fault_seed: 0,
        }
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("address", &self.address)
            .field("allows_remote", &self.allows_remote)
            .field("public_url", &self.public_url)
            .field("boot_delay", &self.boot_delay)
            .field("url_lifetime", &self.url_lifetime)
            .field("state_dir", &self.state_dir)
            .field("images", &self.images)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

impl ServerBuilder {
    /// The address to listen on; a free port of `127.0.0.1` unless told. It must be a loopback
    /// address, unless others are [allowed](Self::allow_remote).
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Whether the address may be one that other machines reach; not unless told. The server runs
    /// commands of whoever holds the key, which crosses the network readable, as all else does.
    ///
    /// On an unspecified address such as `0.0.0.0` the [base URL](Server::base_url) is that of
    /// loopback, and so are signed storage URLs, since VMs have to reach them: clients elsewhere can
    /// then do all but move files. For that, listen on an address of this machine that they reach.
    pub fn allow_remote(mut self, is_allowed: bool) -> Self {
        self.allows_remote = is_allowed;
        self
    }

    /// Where clients reach the server if not at its address: behind a proxy, or a port that is mapped
    /// from elsewhere. Signed storage URLs begin with it, so VMs have to reach it, too.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// The API key that clients must send; a random one unless told.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// How long a VM stays `provisioning`; not at all unless told. With a delay a launch answers
    /// 202 and clients have to poll, as in the cloud.
    pub fn boot_delay(mut self, delay: Duration) -> Self {
        self.boot_delay = delay;
        self
    }

    /// How long signed storage URLs are good; 15 minutes unless told.
    pub fn url_lifetime(mut self, lifetime: Duration) -> Self {
        self.url_lifetime = lifetime;
        self
    }

    /// The directory for all that the server keeps, made if it is missing: what is in it outlives the
    /// server. One server at a time can use it. Unless told, it is temporary, below the system's
    /// temporary directory, and nothing outlives the server.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// The directory of the images that snapshots are imported from; none unless told. No registry is
    /// ever asked.
    ///
    /// It holds `docker save` archives (`.tar`, `.tar.gz`, `.tgz`) and OCI image layouts, as folders
    /// or packed in the same way; or it is such a layout itself. An import finds an image by the
    /// names that they carry. One that carries a tag only is called like its folder or file, and one
    /// without any `latest` of that. What is put there later is found, too. An import of `local/base`
    /// needs no directory: it is what a VM without an image starts from.
    pub fn images(mut self, path: impl Into<PathBuf>) -> Self {
        self.images = Some(path.into());
        self
    }

    /// The directory of buckets: a bucket mount of `gs://data/runs` is its folder `gs/data/runs`, one
    /// of `s3://data` its folder `s3/data`. The folder of a bucket must be there; prefixes are made.
    /// Unless told, there are no buckets.
    pub fn buckets(mut self, path: impl Into<PathBuf>) -> Self {
        self.buckets = Some(path.into());
        self
    }

    /// The limits of the org; large unless told.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// A fault that is there from the start, behind those given before.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// What [`Fault::probability`] goes by; 0 unless told, so that two runs are alike.
    pub fn fault_seed(mut self, seed: u64) -> Self {
        self.fault_seed = seed;
        self
    }

    /// Starts the server. Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// If the settings cannot be used, or no VM can be isolated on this machine.
    pub async fn start(self) -> Result<Server, StartError> {
        if !self.allows_remote && !self.address.ip().to_canonical().is_loopback() {
            return Err(StartError::NotLoopback(self.address));
        }
        let random_key = || format!("local-{}", Uuid::new_v4().simple());
        let api_key = self.api_key.unwrap_or_else(random_key);
        if api_key.is_empty() || !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(StartError::ApiKey);
        }
        let public_url = self.public_url.map(check_public_url).transpose()?;
        let faults = Faults::new(self.fault_seed);
        for fault in self.faults {
            faults.add(fault).map_err(StartError::Fault)?;
        }
        let no_listener = |source| StartError::Listen {
            address: self.address,
            source,
        };
        let listener = TcpListener::bind(self.address).await.map_err(no_listener)?;
        let address = listener.local_addr().map_err(no_listener)?;
        if !address.ip().to_canonical().is_loopback() {
            tracing::warn!(
                "other machines reach {address}: whoever has the key runs commands on this one"
            );
        }
        let base_url = public_url.unwrap_or_else(|| format!("http://{}", reachable(address)));

        let state_dir = self
            .state_dir
            .map_or_else(StateDir::temporary, StateDir::named);
        state_dir.check().map_err(|source| StartError::StateDir {
            path: state_dir.path().to_owned(),
            source,
        })?;
        if let Some(path) = &self.images {
            std::fs::read_dir(path).map_err(|source| StartError::Images {
                path: path.clone(),
                source,
            })?;
        }
        let host = state_dir.probe().await.map_err(StartError::Isolation)?;
        let missing = not_available();
        if !missing.is_empty() {
            tracing::info!(
                "not available yet, answered with 501: {}",
                missing.join(", ")
            );
        }

        let unusable = |source: StoreError| StartError::Store {
            path: state_dir.path().to_owned(),
            source: Box::new(source),
        };
        let store = Arc::new(state_dir.store(&host).map_err(unusable)?);
        let ssh_keys = SshKeys::load(&store).map_err(unusable)?;
        let ledger = Ledger::new(self.quota);
        let buckets = Buckets::new(self.buckets.as_deref());
        let buckets = Arc::new(buckets.map_err(|source| StartError::Buckets {
            path: self.buckets.unwrap_or_default(),
            source,
        })?);
        let volumes = Volumes::load(&store, &ledger, self.boot_delay).map_err(unusable)?;
        let snapshots = Arc::new(Snapshots::load(&store, &ledger).map_err(unusable)?);
        let images = Images::new(&host, state::images(&host), self.images);
        let images = Arc::new(images.map_err(|error| unusable(error.into()))?);
        let imports = Imports::load(&store, &ledger, &snapshots, &images, &host, self.boot_delay);
        let imports = imports.map_err(unusable)?;
        let objects = state::objects(&host);
        let storage = Storage::new(base_url.clone(), objects.clone(), self.url_lifetime);
        let records = Table::load(&store).map_err(unusable)?;
        let (expired, expiring) = unbounded_channel();
        let vms = Vms::new(
            host,
            self.boot_delay,
            Arc::clone(&ledger),
            records,
            Arc::clone(&volumes),
            Arc::clone(&buckets),
            expired,
        );
        let kept = Arc::downgrade(&store);
        let app = Arc::new(App {
            vms: Arc::new(vms),
            volumes,
            buckets,
            consoles: Consoles::default(),
            snapshots,
            imports,
            storage,
            ledger,
            ssh_keys,
            faults: faults.clone(),
            api_key: ApiKey::new(&api_key),
        });
        let shutdown = CancellationToken::new();
        let running = shutdown.clone().drop_guard();
        let supervisor = tokio::spawn(async move {
            serve(listener, app, expiring, shutdown).await;
            state_dir.release(objects, kept).await;
        });
        Ok(Server {
            address,
            base_url,
            api_key,
            faults,
            running,
            supervisor,
        })
    }
}

/// Where the VMs and this machine's clients reach a server that listens there.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// A URL that paths can follow.
fn check_public_url(url: String) -> Result<String, StartError> {
    let url = url.trim_end_matches('/').to_owned();
    let is_valid = url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    });
    match is_valid && !url.contains(['@', '#', '\'']) {
        true => Ok(url),
        false => Err(StartError::PublicUrl),
    }
}

/// Answers requests until the shutdown, then ends the VMs and with them what waits for them.
async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    mut expiring: UnboundedReceiver<Arc<Machine>>,
    shutdown: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let router = Cuttable(router(Arc::clone(&app)));
    loop {
        select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            Some(machine) = expiring.recv() => {
                let app = Arc::clone(&app);
                tokio::spawn(async move { app.delete_vm(&machine.id).await });
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, router.clone(), Arc::clone(&app), &graceful))),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop((listener, router));
    app.faults.stop();
    join!(app.vms.close(), app.imports.close());
    let at_rest = async { join!(graceful.shutdown(), app.consoles.closed()) };
    let _ = timeout(GRACE, at_rest).await;
    connections.shutdown().await;
}

fn connection(
    stream: TcpStream,
    router: Cuttable,
    app: Arc<App>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    // Events shall not wait for acknowledgements; without it they are late, not lost.
    let _ = stream.set_nodelay(true);
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new());
    http.http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let ends = Ends::of(&stream);
    let api = TowerToHyperService::new(router);
    let serving = ends.map(|ends| {
        let service =
            service_fn(move |request| service_or(api.clone(), Arc::clone(&app), ends, request));
        let serving = http
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        graceful.watch(serving)
    });
    async move {
        // Without its ends the connection has gone already.
        if let Ok(serving) = serving
            && let Err(error) = serving.await
        {
            tracing::debug!(error, "a connection was cut");
        }
    }
}

/// Why a server could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not a loopback address, and no other is
    /// [allowed](ServerBuilder::allow_remote).
    NotLoopback(SocketAddr),
    /// The public URL is not one that paths can follow.
    PublicUrl,
    /// The API key is empty, or has characters that a header cannot carry.
    ApiKey,
    /// A fault could never happen.
    Fault(InvalidFault),
    /// The address cannot be listened on.
    Listen {
        /// The address as it was asked for.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory for VMs cannot be used.
    StateDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// What the directory holds cannot be used: another server uses it, it is of another version, or
    /// damaged.
    Store {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The directory of images cannot be read.
    Images {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory of buckets cannot be used.
    Buckets {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// No VM can be isolated on this machine. The text says why, and the way out if there is one.
    Isolation(ProbeError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(address) => write!(
                f,
                "{address} is not a loopback address such as 127.0.0.1:8787, and other machines are \
                 not allowed to reach this server (allow_remote, --allow-remote)"
            ),
            Self::PublicUrl => f.write_str(
                "the public URL must be like https://host:port, without a login, query or quote",
            ),
            Self::ApiKey => {
                f.write_str("the API key must be visible ASCII characters without spaces")
            }
            Self::Fault(_) => f.write_str("a fault could never happen"),
            Self::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Self::StateDir { path, .. } | Self::Store { path, .. } => {
                write!(f, "the state directory {} cannot be used", path.display())
            }
            Self::Images { path, .. } => {
                write!(
                    f,
                    "the directory of images {} cannot be read",
                    path.display()
                )
            }
            Self::Buckets { path, .. } => {
                write!(
                    f,
                    "the directory of buckets {} cannot be used",
                    path.display()
                )
            }
            Self::Isolation(error) => error.fmt(f),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotLoopback(_) | Self::PublicUrl | Self::ApiKey => None,
            Self::Fault(error) => Some(error),
            Self::Listen { source, .. }
            | Self::StateDir { source, .. }
            | Self::Images { source, .. }
            | Self::Buckets { source, .. } => Some(source),
            Self::Store { source, .. } => Some(&**source),
            Self::Isolation(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_reached_by_loopback() {
        for (listening, expected) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("[::ffff:0.0.0.0]:80", "127.0.0.1:80"),
            ("127.0.0.2:80", "127.0.0.2:80"),
            ("192.168.1.5:80", "192.168.1.5:80"),
        ] {
            let address = listening.parse().map(reachable);
            assert_eq!(address, expected.parse());
        }
    }
}
