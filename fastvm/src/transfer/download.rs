//! From a VM to this machine.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fastvm_api::types::FilePresignResponse;
use fastvm_api::{Client, Error, ErrorKind, Pending, Result};
use ignore::gitignore::Gitignore;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::attempts::Attempts;
use super::exclude::{excluded, patterns_for_tar};
use super::incoming::Reading;
use super::place::{NewFile, NewFolder};
use super::resume::{Broken, Object};
use super::send::{Order, Sent};
use super::unpack::{self, Rules};
use super::{Options, check_remote, local_error, lost, transfer_setters};

/// How much is read into memory unless the caller says.
const MOST_BYTES_IN_MEMORY: u64 = 256 * 1024 * 1024;

/// How many entries a folder may have unless the caller says.
const MOST_ENTRIES: u64 = 1_000_000;

/// What is downloaded, and how.
#[derive(Clone, Debug)]
struct Source {
    api: Client,
    vm_id: String,
    remote: String,
}

/// A download to a file or folder: `client.download(&id, remote, local)`,
/// `vm.download(remote, local)`.
///
/// See [`Client::download`](crate::Client::download). Dropping the future stops it, removes what is
/// temporary and leaves the target as it was; once all has arrived and is being moved into place,
/// that is done to its end. In the VM nothing is staged.
#[derive(Clone, Debug)]
#[must_use = "a download does nothing until it is awaited"]
pub struct Download {
    source: Source,
    local: PathBuf,
    options: Options,
    max_size: Option<u64>,
    max_entries: u64,
    exclude: Vec<String>,
    sync: bool,
}

impl Download {
    pub(crate) fn new(api: &Client, vm_id: String, remote: String, local: PathBuf) -> Self {
        Self {
            options: Options::of(api),
            source: Source::new(api, vm_id, remote),
            local,
            max_size: None,
            max_entries: MOST_ENTRIES,
            exclude: Vec::new(),
            sync: false,
        }
    }

    transfer_setters!();

    /// How many bytes the file, or all files of the folder together, may have. By default a file may
    /// have any size, and a folder that of the VM's disk, so that an archive which claims more
    /// cannot fill this machine's.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// How many files, folders and links a folder may have; a million by default.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// Leaves out of a folder what matches this pattern, which is written as a line of a
    /// `.gitignore` in that folder: `target/`, `*.log`, `/only/here`, `!but-not-this`. Can be
    /// repeated; the last one that matches decides. Without effect on a single file.
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    /// Whether the data is flushed to the disk before it gets its name, and the name before this
    /// ends, so that it outlives a power failure; no by default.
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    async fn run(self) -> Result<()> {
        let mut attempts = self.source.begin(&self.options)?;
        let excluded = excluded(&self.exclude)?;
        loop {
            match self.attempt(&excluded).await {
                Ok(()) => return Ok(()),
                Err(broken) => broken.repeated_by(&mut attempts).await?,
            }
        }
    }

    async fn attempt(&self, excluded: &Gitignore) -> Result<(), Broken> {
        let tar_excludes = patterns_for_tar(&self.exclude);
        let order = Order {
            files_only: false,
            tar_excludes: &tar_excludes,
            ..self.source.order(&self.options, self.max_size)
        };
        let (urls, sent) = self.source.send(&order).await?;
        let object = order.object(&urls, &sent);
        let object = match sent.is_folder {
            true => {
                let rules = self.rules(&urls, excluded)?;
                self.receive_folder(object, rules).await?
            }
            false => self.receive_file(object, sent.mode).await?,
        };
        object.finish();
        Ok(())
    }

    async fn receive_file(&self, object: Object, mode: Option<u32>) -> Result<Object, Broken> {
        let target = self.local.clone();
        let (new, mut file) = blocking(move || NewFile::beside(&target, mode)).await?;
        let (reading, mut chunks) = Reading::of(object);
        while let Some(mut chunk) = chunks.recv().await {
            let target = self.local.clone();
            // For as long as there is something to write: a thread is not held by a slow connection.
            (file, chunks) = blocking(move || {
                loop {
                    file.write_all(&chunk).map_err(|error| {
                        local_error(&target, "the file cannot be written", error)
                    })?;
                    chunk = match chunks.try_recv() {
                        Ok(next) => next,
                        Err(_) => return Ok((file, chunks)),
                    };
                }
            })
            .await?;
        }
        let object = reading.end().await?;
        let sync = self.sync;
        blocking(move || new.put(&file, sync)).await?;
        object.files().fetch_add(1, Ordering::Relaxed);
        Ok(object)
    }

    async fn receive_folder(&self, object: Object, rules: Rules) -> Result<Object, Broken> {
        let (target, files) = (self.local.clone(), object.files());
        let (reading, mut chunks) = Reading::of(object);
        // No thread is held before the connection is there: many could leave none to look up the
        // names of hosts.
        let first = chunks.recv().await.unwrap_or_default();
        // The thread owns the folder: when this future is dropped, it is removed once nobody writes
        // into it any more.
        let unpacked = blocking(move || {
            let folder = NewFolder::beside(&target)?;
            let stamps = unpack::unpack(first, chunks, folder.path(), &rules, &files)?;
            Ok((folder, stamps))
        })
        .await;
        // If it has failed, that is why there was no more to unpack.
        let object = reading.end().await?;
        let (folder, stamps) = unpacked.map_err(|error| error.with_vm_id(&self.source.vm_id))?;
        let sync = self.sync;
        blocking(move || folder.put(&stamps, sync)).await?;
        Ok(object)
    }

    fn rules(&self, urls: &FilePresignResponse, excluded: &Gitignore) -> Result<Rules> {
        let disk = u64::try_from(urls.max_upload_bytes).unwrap_or_default();
        Ok(Rules {
            max_size: self.max_size.unwrap_or(disk),
            max_entries: self.max_entries,
            is_gzipped: self.options.compression.gzip_level()?.is_some(),
            excluded: excluded.clone(),
            sync: self.sync,
        })
    }
}

impl IntoFuture for Download {
    type Output = Result<()>;
    type IntoFuture = Pending<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A download of a file into memory: `vm.download_bytes(remote)`.
///
/// See [`Client::download_bytes`](crate::Client::download_bytes).
#[derive(Clone, Debug)]
#[must_use = "a download does nothing until it is awaited"]
pub struct DownloadBytes {
    source: Source,
    options: Options,
    max_size: u64,
}

impl DownloadBytes {
    pub(crate) fn new(api: &Client, vm_id: String, remote: String) -> Self {
        Self {
            options: Options::of(api),
            source: Source::new(api, vm_id, remote),
            max_size: MOST_BYTES_IN_MEMORY,
        }
    }

    transfer_setters!();

    /// How many bytes the file may have; 256 MiB by default. A larger one is not sent.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    async fn run(self) -> Result<Bytes> {
        let mut attempts = self.source.begin(&self.options)?;
        loop {
            match self.attempt().await {
                Ok(bytes) => return Ok(bytes),
                Err(broken) => broken.repeated_by(&mut attempts).await?,
            }
        }
    }

    async fn attempt(&self) -> Result<Bytes, Broken> {
        let order = self.source.order(&self.options, Some(self.max_size));
        let (urls, sent) = self.source.send(&order).await?;
        let (reading, mut chunks) = Reading::of(order.object(&urls, &sent));
        let size = sent.bytes.min(MOST_BYTES_IN_MEMORY);
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        while let Some(chunk) = chunks.recv().await {
            bytes.extend_from_slice(&chunk);
        }
        let object = reading.end().await?;
        object.files().fetch_add(1, Ordering::Relaxed);
        object.finish();
        Ok(bytes.into())
    }
}

impl IntoFuture for DownloadBytes {
    type Output = Result<Bytes>;
    type IntoFuture = Pending<Bytes>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A download of a file into a writer: `vm.download_to(remote, writer)`.
///
/// See [`Client::download_to`](crate::Client::download_to).
#[must_use = "a download does nothing until it is awaited"]
pub struct DownloadTo<'w> {
    source: Source,
    writer: Box<dyn AsyncWrite + Send + Unpin + 'w>,
    options: Options,
    max_size: Option<u64>,
}

impl<'w> DownloadTo<'w> {
    pub(crate) fn new(
        api: &Client,
        vm_id: String,
        remote: String,
        writer: impl AsyncWrite + Send + Unpin + 'w,
    ) -> Self {
        Self {
            options: Options::of(api),
            source: Source::new(api, vm_id, remote),
            writer: Box::new(writer),
            max_size: None,
        }
    }

    transfer_setters!();

    /// How many bytes the file may have; any number by default. A larger one is not sent.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    async fn run(mut self) -> Result<u64> {
        let mut attempts = self.source.begin(&self.options)?;
        let mut written = 0;
        loop {
            match self.attempt(&mut written).await {
                Ok(()) => return Ok(written),
                // What the writer has cannot be taken back.
                Err(broken) if written > 0 => return Err(broken.into_error()),
                Err(broken) => broken.repeated_by(&mut attempts).await?,
            }
        }
    }

    async fn attempt(&mut self, written: &mut u64) -> Result<(), Broken> {
        let order = self.source.order(&self.options, self.max_size);
        let (urls, sent) = self.source.send(&order).await?;
        let (reading, mut chunks) = Reading::of(order.object(&urls, &sent));
        let refused = |error: std::io::Error| {
            let message = "the writer does not take the data";
            Error::new(ErrorKind::Io, message)
                .with_vm_id(&self.source.vm_id)
                .with_path(&self.source.remote)
                .with_source(error)
        };
        while let Some(chunk) = chunks.recv().await {
            *written += chunk.len() as u64;
            self.writer.write_all(&chunk).await.map_err(refused)?;
        }
        let object = reading.end().await?;
        self.writer.flush().await.map_err(refused)?;
        object.files().fetch_add(1, Ordering::Relaxed);
        object.finish();
        Ok(())
    }
}

impl fmt::Debug for DownloadTo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadTo")
            .field("source", &self.source)
            .field("options", &self.options)
            .field("max_size", &self.max_size)
            .finish_non_exhaustive()
    }
}

impl<'w> IntoFuture for DownloadTo<'w> {
    type Output = Result<u64>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<u64>> + Send + 'w>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl Source {
    fn new(api: &Client, vm_id: String, remote: String) -> Self {
        Self {
            api: api.clone(),
            vm_id,
            remote,
        }
    }

    /// Refuses what cannot work, before anything is sent.
    fn begin(&self, options: &Options) -> Result<Attempts> {
        check_remote(&self.remote)?;
        options.compression.gzip_level()?;
        Ok(options.attempts(&self.api))
    }

    /// What is asked of the VM: the file, and no folder.
    fn order<'a>(&'a self, options: &'a Options, most_bytes: Option<u64>) -> Order<'a> {
        Order {
            api: &self.api,
            vm_id: &self.vm_id,
            path: &self.remote,
            options,
            files_only: true,
            tar_excludes: &[],
            most_bytes,
        }
    }

    /// Has the VM put the data under fresh URLs.
    async fn send(&self, order: &Order<'_>) -> Result<(FilePresignResponse, Sent), Broken> {
        let files = self.api.vms().files();
        let presign = files.presign(&self.vm_id, &self.remote);
        let urls = presign.call_options(order.options.calls.clone()).await?;
        let sent = order.carry_out(&urls).await?;
        Ok((urls, sent))
    }
}

/// Does work that blocks on a thread of its own, to its end even if nobody waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}
