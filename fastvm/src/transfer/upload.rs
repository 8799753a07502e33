//! From this machine into a VM.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fastvm_api::types::FilePresignResponse;
use fastvm_api::{Client, Error, ErrorKind, Pending, Result};
use http::{HeaderValue, Method, header};
use reqwest::Body;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use super::pack::{self, PackError};
use super::{
    CHUNK, CHUNKS_IN_FLIGHT, Options, STEP_TIMEOUT, STORAGE_PUT, check_remote, exec, local_error,
    step_failed, storage, transfer_setters,
};
use crate::connector::storage_request;
use crate::exec::{succeeded, timeout_sec};
use crate::idle::watched;

/// Unpacks an archive (`$1`) into a folder (`$2`) and removes it, whatever happens. `tar -C` would
/// take a backslash in the folder's name for an escape.
const UNPACK: &str =
    r#"mkdir -p -- "$2" && cd -- "$2" && tar -xzf "$1"; code=$?; rm -f -- "$1"; exit $code"#;

/// An upload: `client.upload(&id, local, remote)`, `vm.upload(local, remote)`.
///
/// See [`Client::upload`](crate::Client::upload). Dropping the future stops it; an archive that the
/// VM has fetched by then may stay in its `/tmp`.
#[derive(Clone, Debug)]
#[must_use = "an upload does nothing until it is awaited"]
pub struct Upload {
    api: Client,
    vm_id: String,
    local: PathBuf,
    remote: String,
    fetch_timeout: Duration,
    options: Options,
}

impl Upload {
    pub(crate) fn new(api: &Client, vm_id: String, local: PathBuf, remote: String) -> Self {
        Self {
            api: api.clone(),
            vm_id,
            local,
            remote,
            fetch_timeout: STEP_TIMEOUT,
            options: Options::of(api),
        }
    }

    transfer_setters!();

    /// How long the VM may take to fetch the data; 600 s by default.
    pub fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.fetch_timeout = timeout;
        self
    }

    async fn run(self) -> Result<()> {
        check_remote(&self.remote)?;
        let metadata = tokio::fs::metadata(&self.local)
            .await
            .map_err(|error| local_error(&self.local, "there is nothing to upload", error))?;
        if metadata.is_dir() {
            return self.upload_folder().await;
        }
        if !metadata.is_file() {
            let message = "only files and folders can be uploaded";
            return Err(Error::new(ErrorKind::InvalidInput, message)
                .with_path(self.local.to_string_lossy()));
        }
        self.upload_file(metadata.len()).await
    }

    async fn upload_file(self, size: u64) -> Result<()> {
        if self.remote.ends_with('/') {
            let message = "the path in the VM names a folder: name the file";
            return Err(Error::new(ErrorKind::InvalidInput, message).with_path(self.remote));
        }
        let cannot_read = |error| local_error(&self.local, "the file cannot be read", error);
        let mut file = tokio::fs::File::open(&self.local)
            .await
            .map_err(cannot_read)?;
        file.set_max_buf_size(CHUNK);
        let urls = self.presign().await?;
        let largest = u64::try_from(urls.max_upload_bytes).unwrap_or_default();
        if size > largest {
            let message = format!("the file has {size} bytes, but the VM takes {largest} at most");
            return Err(Error::new(ErrorKind::InvalidInput, message)
                .with_path(self.local.to_string_lossy()));
        }
        let unchanged = file.metadata().await.map_err(cannot_read)?.modified().ok();
        let data = ReaderStream::with_capacity(file.take(size), CHUNK);
        self.put(&urls, Body::wrap_stream(data), Some(size)).await?;
        // Nothing is fetched that is half old and half new.
        let now = tokio::fs::metadata(&self.local)
            .await
            .map_err(cannot_read)?;
        if now.len() != size || now.modified().ok() != unchanged {
            let message = "the file changed while it was sent";
            return Err(
                Error::new(ErrorKind::Transfer, message).with_path(self.local.to_string_lossy())
            );
        }
        self.fetch(&urls, &self.remote).await
    }

    async fn upload_folder(self) -> Result<()> {
        let urls = self.presign().await?;
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let folder = self.local.clone();
        let packing = tokio::task::spawn_blocking(move || pack::pack(&folder, sender));
        let put = self
            .put(&urls, Body::wrap_stream(Chunks(receiver)), None)
            .await;
        match packing.await {
            // What cannot be read breaks the request, and is the reason to report.
            Ok(Err(PackError::Unreadable(error))) => return Err(error.with_vm_id(self.vm_id)),
            Ok(Ok(()) | Err(PackError::Unwanted)) => put?,
            Err(panic) => {
                put?;
                let message = "the folder could not be packed";
                return Err(Error::new(ErrorKind::Transfer, message).with_source(panic));
            }
        }
        let archive = format!("/tmp/.fastvm-upload-{:016x}.tar.gz", fastrand::u64(..));
        let unpacked = match self.fetch(&urls, &archive).await {
            Ok(()) => self.unpack(&urls, &archive).await,
            Err(error) => Err(error),
        };
        if unpacked.is_err() {
            // Best effort: the failure itself is what the caller has to know.
            let _ = self
                .api
                .vms()
                .run(&self.vm_id, ["rm", "-f", &archive])
                .await;
        }
        unpacked
    }

    async fn presign(&self) -> Result<FilePresignResponse> {
        self.api
            .vms()
            .files()
            .presign(&self.vm_id, &self.remote)
            .await
    }

    async fn put(&self, urls: &FilePresignResponse, body: Body, size: Option<u64>) -> Result<()> {
        let mut request = storage_request(Method::PUT, &urls.upload_url)?;
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        if let Some(size) = size {
            headers.insert(header::CONTENT_LENGTH, size.into());
        }
        *request.body_mut() = Some(body);
        let answer = storage(&self.api, &self.vm_id, &STORAGE_PUT, request).await;
        answer
            .map(drop)
            .map_err(|error| error.with_path(self.local.to_string_lossy()))
    }

    async fn fetch(&self, urls: &FilePresignResponse, path: &str) -> Result<()> {
        let seconds = timeout_sec(self.fetch_timeout)?;
        let files = self.api.vms().files();
        let fetch = files
            .fetch(&self.vm_id, &urls.download_url, path)
            .timeout_sec(seconds);
        let limit = self.options.idle_check;
        let fetched = watched(&self.api, &self.vm_id, limit, fetch.into_future()).await?;
        match succeeded(&fetched) {
            true => Ok(()),
            false => Err(step_failed(
                &self.vm_id,
                &self.remote,
                "the VM could not fetch the data",
                &fetched,
                urls,
            )),
        }
    }

    async fn unpack(&self, urls: &FilePresignResponse, archive: &str) -> Result<()> {
        let command = ["sh", "-c", UNPACK, "sh", archive, &self.remote];
        let unpacked = exec(&self.api, &self.vm_id, &self.options, command).await?;
        match unpacked.is_success() {
            true => Ok(()),
            false => Err(step_failed(
                &self.vm_id,
                &self.remote,
                "the VM could not unpack the folder",
                &unpacked,
                urls,
            )),
        }
    }
}

impl IntoFuture for Upload {
    type Output = Result<()>;
    type IntoFuture = Pending<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Packed chunks as they come from the packing thread.
struct Chunks(mpsc::Receiver<io::Result<Bytes>>);

impl futures_core::Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
