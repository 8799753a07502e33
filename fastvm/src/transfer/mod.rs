//! Files and folders, to and from a VM, by way of signed storage.
//!
//! The client and the VM never see each other: one puts the data under a signed URL, the other
//! fetches it. Folders travel as a gzipped tar that is packed and unpacked while it flows.

mod attempts;
mod checksum;
mod download;
mod exclude;
mod gzip;
mod incoming;
mod outgoing;
mod pack;
mod place;
mod progress;
mod resume;
mod send;
mod source;
mod staging;
mod unpack;
mod upload;

use std::io;
use std::path::Path;
use std::time::Duration;

use fastvm_api::types::{ExecVmResponse, FilePresignResponse};
use fastvm_api::{CallInfo, CallOptions, Client, Error, ErrorKind, Operation, Result};
use reqwest::{Request, Response};

use crate::connector::Connector;
use crate::exec::{ANSWER_WITHIN, CommandLine, Run, STDERR_TAIL, tail};

use attempts::Attempts;
use progress::Listener;

pub use download::{Download, DownloadBytes, DownloadTo};
pub use progress::Progress;
pub(crate) use staging::Staging;
pub use upload::Upload;
pub(crate) use upload::temporary_name;

static STORAGE_PUT: Operation = Operation::storage("upload to storage", "PUT");
static STORAGE_GET: Operation = Operation::storage("download from storage", "GET");

/// How much is read, packed or unpacked at a time.
const CHUNK: usize = 256 * 1024;

/// How many chunks of an archive wait between those who make it and the network, besides one for
/// each thread that compresses.
const CHUNKS_IN_FLIGHT: usize = 4;

/// How the archive of a folder is compressed on its way. Single files travel as they are.
///
/// An upload compresses on all cores, up to eight, which all uploads of a program share. It looks
/// before it compresses, some KiB at a time: what is compressed already, such as images and videos,
/// costs little. A download is compressed in the VM by its `gzip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Gzip at a level that suits most folders. How is left to this crate, and may change.
    #[default]
    Auto,
    /// None: for a network that is faster than the compression, or for the download of what is
    /// compressed already.
    None,
    /// Gzip at this level, from 1, which is fastest, to 9, which is smallest. Others are refused.
    /// What an upload finds to be compressed already is not compressed again at any level.
    Level(u32),
}

impl Compression {
    /// The level of gzip, or `None` for no compression.
    fn gzip_level(self) -> Result<Option<u32>> {
        match self {
            Self::Auto => Ok(Some(6)),
            Self::None => Ok(None),
            Self::Level(level @ 1..=9) => Ok(Some(level)),
            Self::Level(level) => {
                let message = format!("the compression level is {level}, but must be from 1 to 9");
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
        }
    }
}

/// How a transfer is done.
#[derive(Clone, Debug)]
struct Options {
    /// How long each command in the VM may take.
    exec: Duration,
    idle_check: Option<Duration>,
    /// How long storage may neither take nor give anything.
    stall: Duration,
    /// Of each call to the API.
    calls: CallOptions,
    compression: Compression,
    verify: bool,
    listener: Listener,
}

impl Options {
    fn of(api: &Client) -> Self {
        Self {
            exec: STEP_TIMEOUT,
            idle_check: Connector::idle_check(api).buffered,
            stall: STALL_TIMEOUT,
            calls: CallOptions::default(),
            compression: Compression::default(),
            verify: false,
            listener: Listener::default(),
        }
    }

    /// What a step in the VM is called with, whose own time limit this is.
    fn step_calls(&self, limit: Duration) -> CallOptions {
        let answer = limit.saturating_add(ANSWER_WITHIN);
        self.calls.clone().request_timeout(answer)
    }

    /// The attempts that the caller allows.
    fn attempts(&self, api: &Client) -> Attempts {
        Attempts::new(api, self.calls.retries())
    }
}

/// How long storage may do nothing unless the caller says.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a step in the VM may take unless the caller says.
const STEP_TIMEOUT: Duration = Duration::from_secs(600);

/// Both kinds of transfer are tuned alike.
macro_rules! transfer_setters {
    () => {
        /// Tells how far the transfer is: at most ten times a second, and when the last byte is
        /// through. The listener runs in between the data, so it should be quick.
        pub fn on_progress(
            mut self,
            listener: impl Fn(crate::Progress) + Send + Sync + 'static,
        ) -> Self {
            self.options.listener = crate::transfer::progress::Listener::new(listener);
            self
        }

        /// How the archive of a folder is compressed on its way; by default as suits most.
        pub fn compression(mut self, compression: crate::Compression) -> Self {
            self.options.compression = compression;
            self
        }

        /// Whether a SHA-256 of what travels, made while it flows, is compared with one made inside
        /// the VM, which needs `sha256sum` there; no by default. Lengths are always compared.
        pub fn verify(mut self, verify: bool) -> Self {
            self.options.verify = verify;
            self
        }

        /// How long storage may neither take nor give anything on a connection; 60 s by default.
        /// Then the attempt counts as one whose connection broke in passing. However long a
        /// transfer lasts, it is not cut as long as data flows.
        pub fn stall_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.stall = timeout;
            self
        }

        /// Sends this header with each request to the API, besides those the client sets; storage
        /// does not get it.
        pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.options.calls = self.options.calls.header(name, value);
            self
        }

        /// How long each attempt of a control call of this transfer may take, in place of the
        /// client's default. Steps in the VM have limits of their own, and the data flows as long
        /// as it takes.
        pub fn request_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.calls = self.options.calls.request_timeout(timeout);
            self
        }

        /// How often each call of this transfer may be repeated after a passing fault, and how
        /// often the transfer may start over after one of storage, in place of the client's
        /// default.
        pub fn max_retries(mut self, retries: u32) -> Self {
            self.options.calls = self.options.calls.max_retries(retries);
            self
        }

        /// These options for each call to the API, in place of all that were set so far by
        /// `header`, `request_timeout` and `max_retries`.
        pub fn call_options(mut self, options: crate::CallOptions) -> Self {
            self.options.calls = options;
            self
        }

        /// How long each command in the VM may take: to pack, send, unpack or put in place; 600 s
        /// by default.
        pub fn exec_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.exec = timeout;
            self
        }

        /// After how long a silence of a step in the VM the API is asked whether the VM still
        /// lives, in place of the client's default; `None` turns it off.
        pub fn idle_check(mut self, after: impl Into<Option<std::time::Duration>>) -> Self {
            self.options.idle_check = after.into();
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

/// A step of a transfer in the VM, to be awaited.
fn exec(api: &Client, vm_id: &str, options: &Options, command: impl Into<CommandLine>) -> Run {
    Run::new(api, vm_id.to_owned(), command.into())
        .timeout(options.exec)
        .idle_check(options.idle_check)
        .call_options(options.step_calls(options.exec))
}

/// Storage has done nothing for so long.
fn stalled(limit: Duration) -> Error {
    let message = format!("storage did nothing for {limit:?}");
    Error::new(ErrorKind::Timeout, message)
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

/// A file of this machine is not what it was when its reading began.
fn changed(path: &Path) -> Error {
    let message = "the file changed while it was sent";
    Error::new(ErrorKind::Transfer, message).with_path(path.to_string_lossy())
}

/// A task or thread of a transfer has not lived to the end of its work.
fn lost(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = "a thread that the transfer needs was lost";
    Error::new(ErrorKind::Transfer, message).with_source(source)
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
    let detail = match tail(&stderr, STDERR_TAIL) {
        "" => String::new(),
        stderr => format!(": {stderr}"),
    };
    Error::new(ErrorKind::Transfer, format!("{what}: {how}{detail}"))
        .with_vm_id(vm_id)
        .with_path(path)
}
