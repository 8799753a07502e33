//! What an upload takes its data from, opened anew for each attempt.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::SystemTime;

use bytes::Bytes;
use fastvm_api::{Error, ErrorKind, Result};
use futures_core::Stream;
use tokio::io::AsyncRead;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

use super::gzip::{self, Part};
use super::pack::{self, PackError, Packing};
use super::progress::Files;
use super::{CHUNK, changed, local_error, lost};

/// The permissions of a file that has none here.
const PLAIN: u32 = 0o644;

/// Data as it flows.
pub(super) type Data = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// Where the data comes from, as the caller says it.
pub(super) enum Source {
    Path(PathBuf),
    Bytes(Bytes),
    Reader(Reader),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path:?}"),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Reader(_) => f.write_str("a reader"),
        }
    }
}

/// What was found there.
pub(super) enum Content {
    File(PathBuf),
    /// With the permissions of the folder itself.
    Folder(Packing, u32),
    Bytes(Bytes),
    /// Until it was read.
    Reader(Option<Reader>),
}

/// The data of one attempt.
pub(super) struct Opened {
    pub(super) data: Data,
    /// How many bytes it has, if that is known.
    pub(super) size: Option<u64>,
    /// The permissions that the file or folder has here.
    pub(super) mode: u32,
    pub(super) proof: Proof,
}

/// Tells at the end whether what was sent is what was to be sent.
pub(super) enum Proof {
    /// Nothing can have gone wrong that did not show.
    None,
    File(OpenFile),
    Packed(oneshot::Receiver<Result<(), PackError>>),
}

impl Content {
    /// Looks at the source. Only a path can be something that cannot be uploaded.
    pub(super) async fn of(source: Source, packing: Packing) -> Result<Self> {
        let path = match source {
            Source::Path(path) => path,
            Source::Bytes(bytes) => return Ok(Self::Bytes(bytes)),
            Source::Reader(reader) => return Ok(Self::Reader(Some(reader))),
        };
        let metadata = tokio::fs::metadata(&path)
            .await
            .map_err(|error| local_error(&path, "there is nothing to upload", error))?;
        if metadata.is_dir() {
            let mode = permissions(&metadata);
            return Ok(Self::Folder(packing.of(path), mode));
        }
        if metadata.is_file() {
            return Ok(Self::File(path));
        }
        let message = "only files and folders can be uploaded";
        Err(Error::new(ErrorKind::InvalidInput, message).with_path(path.to_string_lossy()))
    }

    /// The file or folder of this machine, to be named in errors.
    pub(super) fn path(&self) -> Option<String> {
        let path = match self {
            Self::File(path) => path,
            Self::Folder(packing, _) => packing.folder(),
            Self::Bytes(_) | Self::Reader(_) => return None,
        };
        Some(path.to_string_lossy().into_owned())
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self, Self::Folder(..))
    }

    /// Whether another attempt can begin from the start.
    pub(super) fn can_start_over(&self) -> bool {
        !matches!(self, Self::Reader(_))
    }

    /// Begins to read. A folder's files are counted in `files`.
    pub(super) async fn open(&mut self, files: Files) -> Result<Opened> {
        let (data, size, mode, proof): (Data, _, _, _) = match self {
            Self::File(path) => {
                let (file, open) = OpenFile::open(path).await?;
                let (size, mode) = (open.size, open.mode);
                let data = FileChunks::new(file, size);
                (Box::pin(data), Some(size), mode, Proof::File(open))
            }
            Self::Folder(packing, mode) => {
                let (data, packed) = Parts::of(packing.clone(), files)?;
                (Box::pin(data), None, *mode, Proof::Packed(packed))
            }
            Self::Bytes(bytes) => {
                let size = Some(bytes.len() as u64);
                (Box::pin(Slices(bytes.clone())), size, PLAIN, Proof::None)
            }
            Self::Reader(reader) => {
                let reader = reader.take().ok_or_else(|| {
                    Error::new(ErrorKind::Transfer, "the reader was read already")
                })?;
                let data = ReaderStream::with_capacity(reader, CHUNK);
                (Box::pin(data), None, PLAIN, Proof::None)
            }
        };
        Ok(Opened {
            data,
            size,
            mode,
            proof,
        })
    }
}

impl Proof {
    /// Looks again. `is_put` is whether storage says that it has the data.
    pub(super) async fn check(self, is_put: bool) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::File(file) => {
                let checked = tokio::task::spawn_blocking(move || file.check());
                checked.await.map_err(lost)?
            }
            Self::Packed(packed) => match packed.await.map_err(lost)? {
                Err(PackError::Unreadable(error)) => Err(error),
                Err(PackError::Unwanted) if is_put => {
                    let message = "storage took a part of the data only";
                    Err(Error::new(ErrorKind::Transfer, message))
                }
                Ok(()) | Err(PackError::Unwanted) => Ok(()),
            },
        }
    }
}

/// A file that is being read, and what it was when that began.
pub(super) struct OpenFile {
    path: PathBuf,
    file: File,
    size: u64,
    mode: u32,
    modified: Option<SystemTime>,
}

impl OpenFile {
    async fn open(path: &Path) -> Result<(File, Self)> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let cannot_read = |error| local_error(&path, "the file cannot be read", error);
            let file = File::open(&path).map_err(cannot_read)?;
            let metadata = file.metadata().map_err(cannot_read)?;
            let again = file.try_clone().map_err(cannot_read)?;
            let open = Self {
                file: again,
                size: metadata.len(),
                mode: permissions(&metadata),
                modified: metadata.modified().ok(),
                path,
            };
            Ok((file, open))
        });
        opened.await.map_err(lost)?
    }

    /// Whether it still is what it was: nothing is taken for whole that is half old and half new.
    fn check(mut self) -> Result<()> {
        let cannot_read = |error| local_error(&self.path, "the file cannot be read", error);
        let now = self.file.metadata().map_err(cannot_read)?;
        let is_same = now.len() == self.size && now.modified().ok() == self.modified;
        // Files like those in `/proc` say falsely that they are empty.
        let rest = self.file.seek(SeekFrom::Start(self.size));
        let rest = rest.and_then(|_| self.file.read(&mut [0]));
        match is_same && rest.map_err(cannot_read)? == 0 {
            true => Ok(()),
            false => Err(changed(&self.path)),
        }
    }
}

#[cfg(unix)]
fn permissions(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

#[cfg(not(unix))]
fn permissions(metadata: &std::fs::Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { PLAIN }
}

/// A file, read a chunk ahead of what is taken of it. No thread is held in between, so that many
/// transfers do not use up those of the runtime.
struct FileChunks {
    reading: Option<JoinHandle<(File, io::Result<Bytes>)>>,
    left: u64,
}

impl FileChunks {
    /// So many bytes of the file, or all if it has fewer.
    fn new(file: File, size: u64) -> Self {
        let mut chunks = Self {
            reading: None,
            left: size,
        };
        chunks.read_on(file);
        chunks
    }

    fn read_on(&mut self, mut file: File) {
        let length = usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK));
        if length > 0 {
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let chunk = read_chunk(&mut file, length);
                (file, chunk)
            }));
        }
    }
}

/// The next bytes of a file: so many, but at its end.
fn read_chunk(file: &mut File, length: usize) -> io::Result<Bytes> {
    let mut chunk = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(filled);
    Ok(chunk.into())
}

impl Stream for FileChunks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let (file, chunk) = read.map_err(io::Error::other)?;
        let chunk = chunk?;
        if chunk.is_empty() {
            return Poll::Ready(None);
        }
        self.left -= chunk.len() as u64;
        self.read_on(file);
        Poll::Ready(Some(Ok(chunk)))
    }
}

/// The parts of a folder's archive as they come from the threads that make them.
struct Parts {
    parts: mpsc::Receiver<Part>,
    next: Option<Part>,
}

impl Parts {
    /// Begins to pack on a thread of its own: one of the runtime's would be held while the network
    /// is waited for, and many of them would leave none to look up the names of hosts.
    fn of(
        packing: Packing,
        files: Files,
    ) -> Result<(Self, oneshot::Receiver<Result<(), PackError>>)> {
        let (sender, parts) = gzip::channel();
        let (end, packed) = oneshot::channel();
        let work = move || {
            // Nobody wants to know if the transfer was dropped.
            let _ = end.send(pack::pack(&packing, &files, sender));
        };
        thread::Builder::new()
            .name("fastvm-pack".to_owned())
            .spawn(work)
            .map_err(lost)?;
        Ok((Self { parts, next: None }, packed))
    }
}

impl Stream for Parts {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(next) = &mut self.next {
                let part = ready!(Pin::new(next).poll(context));
                self.next = None;
                return Poll::Ready(Some(part.map_err(io::Error::other).flatten()));
            }
            self.next = ready!(self.parts.poll_recv(context));
            if self.next.is_none() {
                return Poll::Ready(None);
            }
        }
    }
}

/// Bytes in memory, a chunk at a time, so that their progress shows.
struct Slices(Bytes);

impl Stream for Slices {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let length = self.0.len().min(CHUNK);
        let slice = self.0.split_to(length);
        Poll::Ready((length > 0).then_some(Ok(slice)))
    }
}
