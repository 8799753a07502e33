//! Files and folders, to and from a VM, by way of signed storage.
//!
//! The client and the VM never see each other: one puts the data under a signed URL, the other
//! fetches it. Folders travel as a gzipped tar that is packed and unpacked while it flows.

mod download;
mod pack;
mod unpack;
mod upload;

use std::io;
use std::path::Path;
use std::time::Duration;

use fastvm_api::types::{ExecVmResponse, FilePresignResponse};
use fastvm_api::{CallInfo, Client, Error, ErrorKind, Operation, Result};
use reqwest::{Request, Response};

use crate::connector::Connector;
use crate::exec::{Output, Run};

pub use download::Download;
pub use upload::Upload;

static STORAGE_PUT: Operation = Operation::storage("upload to storage", "PUT");
static STORAGE_GET: Operation = Operation::storage("download from storage", "GET");

/// How much is read, packed or unpacked at a time.
const CHUNK: usize = 256 * 1024;

/// How many chunks wait between a blocking thread and the network.
const CHUNKS_IN_FLIGHT: usize = 4;

/// How long the steps inside the VM may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    fetch: Duration,
    exec: Duration,
    idle_check: Option<Duration>,
}

impl Limits {
    fn of(api: &Client) -> Self {
        let ten_minutes = Duration::from_secs(600);
        Self {
            fetch: ten_minutes,
            exec: ten_minutes,
            idle_check: Connector::idle_check(api).buffered,
        }
    }
}

/// Both kinds of transfer are tuned alike.
macro_rules! transfer_setters {
    () => {
        /// How long the VM may take to fetch the data; 600 s by default.
        pub fn fetch_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.limits.fetch = timeout;
            self
        }

        /// How long each command in the VM may take: to pack, send or unpack; 600 s by default.
        pub fn exec_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.limits.exec = timeout;
            self
        }

        /// After how long a silence of a step in the VM the API is asked whether the VM still
        /// lives, in place of the client's default; `None` turns it off.
        pub fn idle_check(mut self, after: impl Into<Option<std::time::Duration>>) -> Self {
            self.limits.idle_check = after.into();
            self
        }
    };
}
use transfer_setters;

/// Refuses what is no absolute path, before anything is sent.
fn check_remote(path: &str) -> Result<()> {
    let refuse = |message: &str| Err(Error::new(ErrorKind::InvalidInput, message).with_path(path));
    match path {
        "" => refuse("the path in the VM is empty"),
        path if !path.starts_with('/') => refuse("the path in the VM must be absolute"),
        path if path.contains('\0') => refuse("the path in the VM holds a NUL byte"),
        _ => Ok(()),
    }
}

/// Sends a request to signed storage: without the key, on a connection of its own.
async fn storage(
    api: &Client,
    vm_id: &str,
    operation: &'static Operation,
    request: Request,
) -> Result<Response> {
    let call = CallInfo::new(operation).with_vm_id(vm_id);
    api.send(request, &call).await
}

/// Runs a step of a transfer in the VM.
async fn exec(api: &Client, vm_id: &str, limits: Limits, command: [&str; 6]) -> Result<Output> {
    Run::new(api, vm_id.to_owned(), command.into())
        .timeout(limits.exec)
        .idle_check(limits.idle_check)
        .await
}

/// An error of this machine's files.
fn local_error(path: &Path, what: &str, source: io::Error) -> Error {
    let kind = match source.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    };
    Error::new(kind, what)
        .with_path(path.to_string_lossy())
        .with_source(source)
}

/// An error of a step inside the VM.
fn step_failed(
    vm_id: &str,
    path: &str,
    what: &str,
    answer: &ExecVmResponse,
    urls: &FilePresignResponse,
) -> Error {
    let how = match answer.timed_out {
        true => "it took too long".to_owned(),
        false => format!("exit code {}", answer.exit_code),
    };
    // Tools may name the URL they failed on, which is signed.
    let stderr = answer
        .stderr
        .trim()
        .replace(&urls.upload_url, "(signed URL)")
        .replace(&urls.download_url, "(signed URL)");
    let detail = if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    };
    Error::new(ErrorKind::Transfer, format!("{what}: {how}{detail}"))
        .with_vm_id(vm_id)
        .with_path(path)
}
