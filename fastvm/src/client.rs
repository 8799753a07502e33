//! The client and its configuration.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use reqwest::Url;

use crate::connector::{Connector, Settings};
use crate::idle::IdleCheck;
use crate::launch::WaitForVmReady;
use crate::transfer::{Download, Upload};
use crate::vms::Vms;
use crate::{Error, ErrorKind, Result};

/// Where the API lives unless the configuration says otherwise.
const DEFAULT_BASE_URL: &str = "https://api.fastvm.org";

/// The way to FastVM: the root of the resource tree, and the calls that span several operations.
///
/// Derefs to the generated root, so that every operation of the API is at its published place:
/// `client.snapshots().list()`, `client.me().ssh_keys().add(key)`. Cheap to clone; clones share
/// connections and the budget for retries. Dropping a call's future cancels it on this side; what
/// had reached the service goes on.
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
    /// service is not `https://api.fastvm.org`. Empty variables count as absent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the key is missing, the URL is none, or the system has no
    /// certificates to check the service by.
    pub fn from_env() -> Result<Self> {
        let variable = |name: &str| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let mut builder = Self::builder();
        if let Some(key) = variable("FASTVM_API_KEY") {
            builder = builder.api_key(key);
        }
        if let Some(url) = variable("FASTVM_BASE_URL") {
            builder = builder.base_url(url);
        }
        builder.build()
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
    /// A file becomes the file named by `remote`. Of a folder, the contents land in the folder
    /// named by `remote`, which is made with its parents; what is there stays, and same names are
    /// replaced. In a folder, permissions and symbolic links are kept; owners are not: everything
    /// belongs to root. `remote` is absolute. Folders are packed while they are sent: nothing is
    /// staged on this machine's disk, and memory does not grow with the size.
    ///
    /// Inside the VM, folders need `sh` and `tar` with gzip. Sends `POST …/files/presign`, the data
    /// to the signed URL, `POST …/files/fetch`, and for folders `POST …/exec`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Io`] with the path if something cannot be read;
    /// [`ErrorKind::Transfer`] if the VM cannot fetch or unpack it.
    pub fn upload(
        &self,
        id: impl Into<String>,
        local: impl AsRef<std::path::Path>,
        remote: impl Into<String>,
    ) -> Upload {
        Upload::new(
            &self.api,
            id.into(),
            local.as_ref().to_owned(),
            remote.into(),
        )
    }

    /// Brings a file or folder of a VM to this machine.
    ///
    /// A file becomes the file named by `local`. Of a folder, the contents land in the folder named
    /// by `local`, which is made with its parents; what is there stays, and same names are
    /// replaced. `remote` is absolute. Data goes to a temporary name beside the target first:
    /// nothing half-written is ever under its final name.
    ///
    /// Inside the VM it needs `sh` and `curl`, for folders also `tar` with gzip. Sends
    /// `POST …/files/presign`, `POST …/exec`, and fetches the data from the signed URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] with the path if there is none in the VM; [`ErrorKind::Transfer`] if
    /// the VM cannot read or send it, or it arrives incomplete; [`ErrorKind::Io`] with the path if
    /// it cannot be written here.
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
#[derive(Clone)]
#[must_use = "a builder makes a client only by `build`"]
pub struct ClientBuilder {
    api_key: Option<String>,
    base_url: String,
    settings: Settings,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            api_key: None,
            base_url: DEFAULT_BASE_URL.to_owned(),
            settings: Settings::default(),
        }
    }
}

impl ClientBuilder {
    /// The API key. It is sent to the API only, never to storage.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Where the API lives; `https://api.fastvm.org` by default. A loopback address is never
    /// reached through a proxy.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
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
        self.settings.connect_timeout = timeout;
        self
    }

    /// How often a call may be repeated after a passing fault; 2 by default. What must not be
    /// repeated is not, except when it provably never left.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.settings.retry.max_retries = retries;
        self
    }

    /// After how long a silence a stream, a run or a transfer asks the API whether its VM still
    /// lives; by default 15 s for streams and 30 s for what is answered as a whole. It asks again at
    /// intervals that grow up to 60 s, and only a VM that is gone, stopped or paused ends the wait.
    /// `None` turns it off.
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
    /// [`ErrorKind::Config`] if the key is missing or cannot be a header, the base URL is none, or
    /// the system has no certificates to check the service by.
    pub fn build(self) -> Result<Client> {
        let key = self
            .api_key
            .filter(|key| !key.trim().is_empty())
            .ok_or_else(|| {
                config("there is no API key: set FASTVM_API_KEY, or call `.api_key(..)`")
            })?;
        let mut key = HeaderValue::from_str(key.trim())
            .map_err(|_| config("the API key holds characters that no header can"))?;
        key.set_sensitive(true);
        let base_url = parse_base_url(&self.base_url)?;
        let connector = Connector::new(key, &base_url, self.settings)?;
        let http = connector.http().clone();
        let api = fastvm_api::Client::new(base_url.as_str(), http, Arc::new(connector));
        Ok(Client { api })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &shown(&self.base_url))
            .field("settings", &self.settings)
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

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}
