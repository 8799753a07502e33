//! Packs a folder as a tar, gzipped or not, on a blocking thread, into a channel of chunks.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fastvm_api::{Error, ErrorKind, Result};
use flate2::write::GzEncoder;
use ignore::gitignore::Gitignore;
use tar::{Builder, Header};
use tokio::sync::mpsc;

use super::exclude::excluded;
use super::progress::Files;
use super::{CHUNK, changed, local_error};

type Sender = mpsc::Sender<io::Result<Bytes>>;
type Archive = Builder<Compressed>;

/// What is packed of a folder, and how.
#[derive(Clone, Debug)]
pub(super) struct Packing {
    folder: PathBuf,
    excluded: Gitignore,
    gzip_level: Option<u32>,
}

impl Packing {
    /// How any folder is packed. Patterns that are none are refused.
    pub(super) fn new(exclude: &[String], gzip_level: Option<u32>) -> Result<Self> {
        Ok(Self {
            folder: PathBuf::new(),
            excluded: excluded(exclude)?,
            gzip_level,
        })
    }

    /// The same, of this folder.
    pub(super) fn of(self, folder: PathBuf) -> Self {
        Self { folder, ..self }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Why a folder was not packed as a whole.
pub(super) enum PackError {
    /// Something in it cannot be read.
    Unreadable(Error),
    /// Nobody takes the chunks any more: the request has ended.
    Unwanted,
}

/// Sends the folder's contents. If something cannot be read, the receiver gets an error in place of
/// the rest, so that what was sent is never taken for the whole.
pub(super) fn pack(packing: &Packing, files: &Files, sender: Sender) -> Result<(), PackError> {
    let packed = pack_into(packing, files, &sender);
    if let Err(PackError::Unreadable(_)) = &packed {
        let _ = sender.blocking_send(Err(io::Error::other(
            "the folder cannot be read as a whole",
        )));
    }
    packed
}

fn pack_into(packing: &Packing, files: &Files, sender: &Sender) -> Result<(), PackError> {
    let writer = ChunkWriter {
        chunk: Vec::with_capacity(CHUNK),
        sender: sender.clone(),
    };
    let mut archive = Builder::new(Compressed::new(writer, packing.gzip_level));
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        for entry in sorted_entries(&packing.folder.join(&relative))? {
            let relative = relative.join(entry.file_name());
            let path = entry.path();
            // Of a symbolic link itself, not of where it leads.
            let metadata = fs::symlink_metadata(&path).map_err(|error| unreadable(&path, error))?;
            let is_folder = metadata.is_dir();
            if packing.excluded.matched(&relative, is_folder).is_ignore() {
                continue;
            }
            append(&mut archive, &path, &relative, &metadata)?;
            if is_folder {
                open.push(relative);
            } else {
                files.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let writer = archive.into_inner().and_then(Compressed::finish);
    writer
        .and_then(|mut writer| writer.send())
        .map_err(|_| PackError::Unwanted)
}

fn sorted_entries(folder: &Path) -> Result<Vec<fs::DirEntry>, PackError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(|error| unreadable(folder, error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

fn append(
    archive: &mut Archive,
    path: &Path,
    relative: &Path,
    metadata: &Metadata,
) -> Result<(), PackError> {
    if metadata.is_dir() {
        let mut header = header(metadata, 0);
        return archive
            .append_data(&mut header, relative, io::empty())
            .map_err(|_| PackError::Unwanted);
    }
    if metadata.is_symlink() {
        return append_link(archive, path, relative, metadata);
    }
    if !metadata.is_file() {
        let message = "it is no file, folder or symbolic link, and cannot be uploaded";
        return Err(PackError::Unreadable(
            Error::new(ErrorKind::Io, message).with_path(path.to_string_lossy()),
        ));
    }
    append_file(archive, path, relative)
}

fn append_link(
    archive: &mut Archive,
    path: &Path,
    relative: &Path,
    metadata: &Metadata,
) -> Result<(), PackError> {
    let target = fs::read_link(path).map_err(|error| unreadable(path, error))?;
    let mut header = header(metadata, 0);
    // To the letter: as a path, it would lose its `./` and `//`.
    let literal = target.as_os_str().as_encoded_bytes();
    let appended = match header.set_link_name_literal(literal) {
        Ok(()) => archive.append_data(&mut header, relative, io::empty()),
        Err(_) => archive.append_link(&mut header, relative, &target),
    };
    appended.map_err(|_| PackError::Unwanted)
}

fn append_file(archive: &mut Archive, path: &Path, relative: &Path) -> Result<(), PackError> {
    let cannot_read = |error| unreadable(path, error);
    let file = File::open(path).map_err(cannot_read)?;
    let before = file.metadata().map_err(cannot_read)?;
    let mut exact = Exact {
        file: file.take(before.len()),
        failure: None,
    };
    let appended = archive.append_data(&mut header(&before, before.len()), relative, &mut exact);
    match exact.failure {
        Some(Failure::Changed) => return Err(PackError::Unreadable(changed(path))),
        Some(Failure::Unreadable(error)) => return Err(unreadable(path, error)),
        None => appended.map_err(|_| PackError::Unwanted)?,
    }
    // The header has told the size: a file that has grown since would be cut.
    let mut file = exact.file.into_inner();
    let is_longer = file.read(&mut [0]).map_err(cannot_read)? > 0;
    let now = file.metadata().map_err(cannot_read)?;
    let is_same = now.len() == before.len() && now.modified().ok() == before.modified().ok();
    match is_same && !is_longer {
        true => Ok(()),
        false => Err(PackError::Unreadable(changed(path))),
    }
}

fn header(metadata: &Metadata, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    // Owners mean nothing on another machine.
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

fn unreadable(path: &Path, error: io::Error) -> PackError {
    PackError::Unreadable(local_error(path, "it cannot be read", error))
}

/// A file of which exactly the announced bytes are read; remembers what went wrong, since a tar
/// writer does not tell the reader's faults from its own.
struct Exact {
    file: io::Take<File>,
    failure: Option<Failure>,
}

enum Failure {
    Changed,
    Unreadable(io::Error),
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            Ok(0) if self.file.limit() > 0 && !buffer.is_empty() => {
                self.failure = Some(Failure::Changed);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(read) => Ok(read),
            Err(error) => {
                let shown = error.kind().into();
                self.failure = Some(Failure::Unreadable(error));
                Err(shown)
            }
        }
    }
}

/// What the archive is written to.
enum Compressed {
    Gzip(Box<GzEncoder<ChunkWriter>>),
    Plain(ChunkWriter),
}

impl Compressed {
    fn new(writer: ChunkWriter, gzip_level: Option<u32>) -> Self {
        match gzip_level {
            Some(level) => {
                let level = flate2::Compression::new(level);
                Self::Gzip(Box::new(GzEncoder::new(writer, level)))
            }
            None => Self::Plain(writer),
        }
    }

    fn finish(self) -> io::Result<ChunkWriter> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Plain(writer) => Ok(writer),
        }
    }
}

impl Write for Compressed {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(data),
            Self::Plain(writer) => writer.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Plain(writer) => writer.flush(),
        }
    }
}

/// Gathers what is written into chunks and hands them over.
struct ChunkWriter {
    chunk: Vec<u8>,
    sender: Sender,
}

impl ChunkWriter {
    fn send(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        let sent = self.sender.blocking_send(Ok(chunk.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.chunk.len() + data.len() > CHUNK {
            self.send()?;
        }
        self.chunk.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
