//! The client and its configuration.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use reqwest::Url;

use crate::connector::{Connector, Settings, Wire};
use crate::idle::IdleCheck;
use crate::launch::WaitForVmReady;
use crate::network::{Network, ProxyChoice};
use crate::ports;
use crate::retry::RetryPolicy;
use crate::tls;
use crate::transfer::{Download, DownloadBytes, DownloadTo, Upload};
use crate::vms::Vms;
use crate::{Error, ErrorKind, Result, Transport};

/// Where the API lives unless the configuration says otherwise.
const DEFAULT_BASE_URL: &str = "https://api.fastvm.org";

/// The way to FastVM: the root of the resource tree, and the calls that span several operations.
///
/// Derefs to the generated root, so that every operation of the API is at its published place:
/// `client.snapshots().list()`, `client.me().ssh_keys().add(key)`. One client serves a thousand
/// tasks: it is cheap to clone, and clones share connections and the budget for retries. Over HTTP/2
/// calls share a connection, and commands one for each hundred that are under way, since a server takes
/// only so many at a time over each; over HTTP/1.1 each call has one, as each stream and transfer
/// always has. However many launches wait, together they ask at most 20 times a second. Dropping a
/// call's future cancels it on this side; what had reached the service goes on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = fastvm_local::Server::start().await?;
/// let client = fastvm::Client::builder()
///     .api_key(server.api_key())
///     .base_url(server.base_url())
///     .build()?;
/// assert_eq!(client.health().await?.status.as_deref(), Some("ok"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    api: fastvm_api::Client,
}

impl Client {
    /// A client configured by the environment: `FASTVM_API_KEY`, and `FASTVM_BASE_URL` if the
    /// service is not `https://api.fastvm.org`. Empty variables count as absent. With more to set,
    /// start from [`ClientBuilder::env`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the key is missing, the URL is none, or the system has no
    /// certificates to check the service by.
    pub fn from_env() -> Result<Self> {
        Self::builder().env().build()
    }

    /// A client configured by the program.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The calls on VMs: the overrides `launch`, `restore`, `run`, `stream`, and every operation
    /// of the resource.
    pub fn vms(&self) -> Vms {
        Vms::new(&self.api)
    }

    /// Waits until the VM is `running`, and answers it.
    ///
    /// For a VM that was launched with `.wait(false)`, or is being resumed. How often it asks and
    /// how long it waits are set by `.poll_interval(..)` and `.wait_timeout(..)`. Sends
    /// `GET /v1/vms/{id}` until then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Launch`] if the VM ends as `error`, `stopped` or `deleting`;
    /// [`ErrorKind::NotReady`] if time runs out. Both carry the VM's id and last status.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// let vm = client.vms().launch("c1m2").wait(false).await?;
    /// let vm = client.wait_for_vm_ready(&vm.id).await?;
    /// assert_eq!(vm.status, "running");
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for_vm_ready(&self, id: impl Into<String>) -> WaitForVmReady {
        WaitForVmReady::new(&self.api, id.into())
    }

    /// Puts a file or folder of this machine into a VM.
    ///
    /// A file becomes the file named by `remote`, with the permissions it has here; it gets that
    /// name only when it is whole, so a failure leaves what was there. Of a folder, the contents
    /// land in the folder named by `remote`, which is made with its parents; what is there stays,
    /// and same names are replaced. A folder that is new in the VM comes about as a whole or not at
    /// all; into one that is there, the files go one by one once the whole archive has arrived. If
    /// that fails in the middle (a full disk), the error says so, and those before it stay.
    /// A new folder has the permissions of the one here, too; one that is there keeps its own.
    /// Permissions, symbolic links and empty folders are kept; owners are not: everything belongs to
    /// root. `remote` is absolute. Names can hold whatever the file system allows, in a folder also
    /// what is no UTF-8.
    ///
    /// Data flows from the disk to storage: nothing is staged on this machine, and memory does not
    /// grow with the size. Lengths are compared inside the VM; with `.verify(true)`, checksums too.
    /// When storage fails in passing, or does nothing for `.stall_timeout(..)`, the transfer starts
    /// over with fresh signed URLs, as often as the client's retries say. To cancel, drop the future: see [`Upload`].
    ///
    /// Inside the VM it needs `sh` and the usual small tools (`wc`, `chmod`, `mv`, `rm`), for
    /// folders also `tar` with gzip. Sends `POST …/files/presign`, the data to the signed URL,
    /// `POST …/files/fetch` and `POST …/exec`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// # let folder = tempfile::tempdir()?;
    /// # let project = folder.path();
    /// # std::fs::write(project.join("main.rs"), "fn main() {}")?;
    /// # std::fs::create_dir(project.join("target"))?;
    /// client
    ///     .upload(&vm.id, project, "/root/project")
    ///     .exclude("target/")
    ///     .on_progress(|now| println!("{} files, {} bytes", now.files, now.bytes))
    ///     .await?;
    /// assert_eq!(vm.run("ls project").await?.stdout, "main.rs\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// All name the path. [`ErrorKind::NotFound`] or [`ErrorKind::Io`] if something here cannot be
    /// read; [`ErrorKind::InvalidInput`] if a file is larger than the VM takes;
    /// [`ErrorKind::Transfer`] if a file changes while it is sent, an archive grows larger than the
    /// VM takes, or the VM cannot fetch it or put it in place. What storage answers is an
    /// [`ErrorKind::Status`]. After each of them, nothing temporary is left in the VM as long as
    /// that can be reached.
    pub fn upload(
        &self,
        id: impl Into<String>,
        local: impl AsRef<std::path::Path>,
        remote: impl Into<String>,
    ) -> Upload {
        let local = local.as_ref().to_owned();
        Upload::of_path(&self.api, id.into(), local, remote.into())
    }

    /// Makes a file in a VM of bytes in memory: see [`upload`](Self::upload).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// client
    ///     .upload_bytes(&vm.id, "#!/bin/sh\necho hello\n", "/root/hello")
    ///     .mode(0o755)
    ///     .await?;
    /// assert_eq!(vm.run("./hello").await?.stdout, "hello\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload_bytes(
        &self,
        id: impl Into<String>,
        data: impl Into<Vec<u8>>,
        remote: impl Into<String>,
    ) -> Upload {
        Upload::of_bytes(&self.api, id.into(), data.into(), remote.into())
    }

    /// Makes a file in a VM of all that a reader gives: see [`upload`](Self::upload).
    ///
    /// A reader cannot start over, so the transfer is not repeated when storage fails in passing;
    /// the error says so.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// let reader = tokio::io::AsyncReadExt::take(tokio::io::repeat(b'x'), 1_000_000);
    /// client.upload_reader(&vm.id, reader, "/root/many").await?;
    /// assert_eq!(vm.run("wc -c < many").await?.stdout, "1000000\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload_reader(
        &self,
        id: impl Into<String>,
        reader: impl tokio::io::AsyncRead + Send + 'static,
        remote: impl Into<String>,
    ) -> Upload {
        Upload::of_reader(&self.api, id.into(), reader, remote.into())
    }

    /// Brings a file or folder of a VM to this machine, as a whole or not at all.
    ///
    /// A file becomes the file named by `local`, with the permissions it has in the VM. Of a folder,
    /// the contents land in the folder named by `local`, which is made with its parents; what is
    /// there stays, and same names are replaced. Permissions, times, symbolic links and empty
    /// folders are kept; owners are not. `remote` is absolute.
    ///
    /// Data goes to a temporary name beside the target, is checked for its length, and then takes
    /// the target's name; a folder is first unpacked and checked, then moved into place. Until then
    /// the target is not touched, and after a failure nothing is left beside it. `.verify(true)`
    /// compares checksums as well, `.sync(true)` flushes to the disk. Connections to storage that
    /// break, or bring nothing for `.stall_timeout(..)`, are followed by others, which go on where
    /// the data ended.
    ///
    /// A VM is not trusted: absolute paths, `..`, links that lead out of the folder, devices, names
    /// that collide, and more than `.max_size(..)` or `.max_entries(..)` allow are errors that name
    /// the entry. Links that were there before are replaced, never followed.
    ///
    /// Inside the VM it needs `sh` and `curl`, for folders also `tar` and `gzip`. Sends
    /// `POST …/files/presign`, `POST …/exec`, and fetches the data from the signed URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] with the path if there is none in the VM; [`ErrorKind::Transfer`] if
    /// the VM cannot read or send all of it, or it is not taken; [`ErrorKind::Io`] with the path if
    /// it cannot be written here; [`ErrorKind::Connection`], [`ErrorKind::Timeout`] or
    /// [`ErrorKind::Status`] if storage fails again and again.
    pub fn download(
        &self,
        id: impl Into<String>,
        remote: impl Into<String>,
        local: impl AsRef<std::path::Path>,
    ) -> Download {
        Download::new(
            &self.api,
            id.into(),
            remote.into(),
            local.as_ref().to_owned(),
        )
    }

    /// Brings a file of a VM into memory: at most 256 MiB, unless `.max_size(..)` says otherwise.
    ///
    /// A larger file is not sent. Otherwise as [`download`](Self::download).
    ///
    /// # Errors
    ///
    /// Those of [`download`](Self::download); [`ErrorKind::InvalidInput`] if it is a folder.
    pub fn download_bytes(
        &self,
        id: impl Into<String>,
        remote: impl Into<String>,
    ) -> DownloadBytes {
        DownloadBytes::new(&self.api, id.into(), remote.into())
    }

    /// Brings a file of a VM into a writer, and answers how many bytes it has.
    ///
    /// The writer gets the data as it comes: after an error it may have a part of it. A transfer
    /// that has brought something goes on after a fault, but does not start over. The writer is
    /// flushed, not shut down; it may be borrowed (`&mut writer`). Otherwise as
    /// [`download`](Self::download).
    ///
    /// # Errors
    ///
    /// Those of [`download`](Self::download); [`ErrorKind::InvalidInput`] if it is a folder,
    /// [`ErrorKind::Io`] if the writer fails.
    pub fn download_to<'w>(
        &self,
        id: impl Into<String>,
        remote: impl Into<String>,
        writer: impl tokio::io::AsyncWrite + Send + Unpin + 'w,
    ) -> DownloadTo<'w> {
        DownloadTo::new(&self.api, id.into(), remote.into(), writer)
    }

    /// The generated client below this one, without the overrides: one request per call.
    pub fn raw(&self) -> &fastvm_api::Client {
        &self.api
    }
}

impl Deref for Client {
    type Target = fastvm_api::Client;

    fn deref(&self) -> &fastvm_api::Client {
        &self.api
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.base_url())
            .finish_non_exhaustive()
    }
}

/// The configuration of a [`Client`]: `Client::builder().api_key(..).build()?`.
///
/// Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) unless
/// [`proxy`](Self::proxy) or [`no_proxy`](Self::no_proxy) says otherwise, and certificates those of
/// the system.
///
/// ```
/// # use std::time::Duration;
/// let client = fastvm::Client::builder()
///     .api_key("key")
///     .request_timeout(Duration::from_secs(20))
///     .max_retries(4)
///     .user_agent_suffix("my-app/1.0")
///     .http(|http| http.pool_max_idle_per_host(4))
///     .build()?;
/// # let _ = client;
/// # Ok::<(), fastvm::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder makes a client only by `build`"]
pub struct ClientBuilder {
    api_key: Option<String>,
    base_url: String,
    settings: Settings,
    network: Network,
    transport: Option<Arc<dyn Transport>>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            api_key: None,
            base_url: DEFAULT_BASE_URL.to_owned(),
            settings: Settings::default(),
            network: Network::default(),
            transport: None,
        }
    }
}

impl ClientBuilder {
    /// Takes from the environment what stands there: `FASTVM_API_KEY` and `FASTVM_BASE_URL`. Empty
    /// variables count as absent; others take the place of what was set before this call.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// let client = fastvm::Client::builder()
    ///     .env()
    ///     .request_timeout(Duration::from_secs(20))
    ///     .build()?;
    /// # let _ = client;
    /// # Ok::<(), fastvm::Error>(())
    /// ```
    pub fn env(mut self) -> Self {
        let variable = |name: &str| {
            let value = std::env::var(name).ok();
            value.filter(|value| !value.trim().is_empty())
        };
        if let Some(key) = variable("FASTVM_API_KEY") {
            self = self.api_key(key);
        }
        if let Some(url) = variable("FASTVM_BASE_URL") {
            self = self.base_url(url);
        }
        self
    }

    /// The API key. It is sent to the API only, never to storage.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Where the API lives; `https://api.fastvm.org` by default. A loopback address is never
    /// reached through a proxy of the environment.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Below which domain the services of VMs have their hosts: `fastvm.org` for
    /// `web--….proxy.fastvm.org`, with a port if it needs one. By default the host of the base URL
    /// without a leading `api.`: see [`Vm::url`](crate::Vm::url).
    pub fn proxy_domain(mut self, domain: impl Into<String>) -> Self {
        self.settings.proxy_domain = Some(domain.into());
        self
    }

    /// How long an attempt of a control call may take, its answer included; 60 s by default.
    /// Commands and transfers have limits of their own.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout;
        self
    }

    /// How long a connection may take to come about; 5 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.network.connect_timeout = timeout;
        self
    }

    /// How often a call may be repeated after a passing fault; 2 by default. What must not be
    /// repeated is not, except when it provably never left.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.settings.retry.max_retries = retries;
        self
    }

    /// How calls are repeated, in full; see [`max_retries`](Self::max_retries) for the number alone.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Names the program to the service: it is sent after this crate's own name and version in
    /// `User-Agent`, such as `my-app/1.0`.
    pub fn user_agent_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.network.user_agent_suffix = Some(suffix.into());
        self
    }

    /// Reaches the service and its storage through this proxy, loopback addresses too, in place of
    /// those of the environment: `http://proxy.example.com:3128`, with a login if it needs one
    /// (`http://user:password@…`).
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.network.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// Uses no proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.network.proxy = ProxyChoice::Never;
        self
    }

    /// Trusts these certificates besides those of the system: PEM, one or several in a row, or DER.
    /// Can be called again for more.
    pub fn root_certificate(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        self.network.root_certificates.push(certificate.into());
        self
    }

    /// Never speaks HTTP/2, for a proxy in between that cannot; off by default. Streams and transfers
    /// are HTTP/1.1 in any case, on connections of their own.
    pub fn http1_only(mut self, is_http1_only: bool) -> Self {
        self.network.is_http1_only = is_http1_only;
        self
    }

    /// Sets up the connections further: addresses, interfaces, pools, client certificates, DNS.
    ///
    /// It is called for each of the client's connection pools, with their builder before this crate's
    /// own settings. What the client's promises stand on cannot be changed: no redirects, HTTP/1.1
    /// for streams, no repeats below the [retry policy](Self::retry), no time limits but those of
    /// this builder and of the calls. Headers set by default here go to storage, too.
    ///
    /// With it reqwest sets TLS up, so that all its settings can be used. It takes the cryptography of
    /// the process: a process that has not chosen any gets that of this crate's features as its own.
    pub fn http(
        mut self,
        set_up: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.network.hook = Some(Arc::new(set_up));
        self
    }

    /// Sends requests through this and opens no connection: for tests without sockets, or another
    /// HTTP stack.
    ///
    /// It is handed each attempt, those of transfers to and from storage too, with the key on it if
    /// there is one; here none is needed. Retries, time limits, idle checks and tracing work as ever.
    /// What was set for connections has no effect.
    ///
    /// ```
    /// use fastvm::{CallInfo, Client, Sending, Transport};
    ///
    /// /// Knows of no VM.
    /// #[derive(Debug)]
    /// struct Fake;
    ///
    /// impl Transport for Fake {
    ///     fn send<'a>(&'a self, _: reqwest::Request, call: &'a CallInfo) -> Sending<'a> {
    ///         assert_eq!(call.operation().id, "getVm");
    ///         let answer = http::Response::builder().status(404).body("");
    ///         Box::pin(async { Ok(answer.expect("it is one").into()) })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::builder().transport(Fake).build()?;
    /// assert!(client.vms().retrieve("vm-1").await.unwrap_err().is_not_found());
    /// # Ok(())
    /// # }
    /// ```
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Ties the client's requests to the program's traces: `of_call` is asked once per call, within
    /// its `tracing` span, and what it answers is sent to the API as the header `traceparent`.
    ///
    /// With `tracing-opentelemetry`, for instance:
    ///
    /// ```ignore
    /// builder.traceparent(|| {
    ///     let context = tracing::Span::current().context();
    ///     let mut headers = std::collections::HashMap::new();
    ///     TraceContextPropagator::new().inject_context(&context, &mut headers);
    ///     headers.remove("traceparent")
    /// })
    /// ```
    pub fn traceparent(
        mut self,
        of_call: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.settings.traceparent = Some(Arc::new(of_call));
        self
    }

    /// After how long a silence a stream, a run or a transfer asks the API whether its VM still
    /// lives; by default 15 s for streams and 30 s for what is answered as a whole. It asks again at
    /// intervals that grow up to 60 s, and only a VM that is gone, stopped or paused ends the wait.
    /// It also asks when the connection breaks, to say whether the VM went with it. `None` turns it
    /// off. The generated `vms().files().fetch(..)` is one request without this.
    pub fn idle_check(mut self, after: impl Into<Option<Duration>>) -> Self {
        let after = after.into();
        self.settings.idle_check = IdleCheck {
            streamed: after,
            buffered: after,
        };
        self
    }

    /// Makes the client. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the key is missing or cannot be a header,
    /// the base URL, the proxy, the proxy domain or a certificate is none, or the system has no certificates to check
    /// the service by.
    pub fn build(mut self) -> Result<Client> {
        let key = match self.api_key.filter(|key| !key.trim().is_empty()) {
            Some(key) => Some(key_header(&key)?),
            None if self.transport.is_some() => None,
            None => {
                return Err(config(
                    "there is no API key: set FASTVM_API_KEY, or call `.api_key(..)`",
                ));
            }
        };
        let base_url = parse_base_url(&self.base_url)?;
        if let Some(domain) = &mut self.settings.proxy_domain {
            *domain = ports::parse_domain(domain)
                .ok_or_else(|| config("the proxy domain must be like fastvm.org"))?;
        }
        let (http, wire) = match self.transport {
            Some(transport) => (request_builder()?, Wire::Given(transport)),
            None => {
                let connections = self.network.connect(&base_url)?;
                (
                    connections.calls.clone(),
                    Wire::Sockets(Box::new(connections)),
                )
            }
        };
        let connector = Connector::new(key, wire, self.settings);
        let api = fastvm_api::Client::new(base_url.as_str(), http, Arc::new(connector));
        Ok(Client { api })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &shown(&self.base_url))
            .field("settings", &self.settings)
            .field("network", &self.network)
            .field("has_transport", &self.transport.is_some())
            .finish_non_exhaustive()
    }
}

/// A URL as it may be shown. What `build` will refuse in it can be a secret.
fn shown(url: &str) -> &str {
    match url.contains(['@', '?', '#']) {
        true => "[redacted]",
        false => url,
    }
}

fn key_header(key: &str) -> Result<HeaderValue> {
    let mut key = HeaderValue::from_str(key.trim())
        .map_err(|_| config("the API key holds characters that no header can"))?;
    key.set_sensitive(true);
    Ok(key)
}

/// What builds requests and sends none: needs no certificates.
fn request_builder() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().no_proxy();
    let builder = builder.tls_backend_preconfigured(tls::trusting_nobody()?);
    builder
        .build()
        .map_err(|error| config("requests cannot be built").with_source(error))
}

fn parse_base_url(text: &str) -> Result<Url> {
    let refuse = |why: &str| {
        config(format!(
            "the base URL must be like {DEFAULT_BASE_URL}, but {why}"
        ))
    };
    let url = Url::parse(text.trim()).map_err(|error| refuse("it is no URL").with_source(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("its scheme is neither http nor https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refuse("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it holds a login"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has a query or fragment"));
    }
    Ok(url)
}

pub(crate) fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}
