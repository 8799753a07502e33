//! Packs a folder as a gzipped tar, on a blocking thread, into a channel of chunks.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fastvm_api::{Error, ErrorKind};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};
use tokio::sync::mpsc;

use super::{CHUNK, local_error};

type Sender = mpsc::Sender<io::Result<Bytes>>;
type Archive = Builder<GzEncoder<ChunkWriter>>;

/// Why a folder was not packed as a whole.
pub(super) enum PackError {
    /// Something in it cannot be read.
    Unreadable(Error),
    /// Nobody takes the chunks any more: the request has ended.
    Unwanted,
}

/// Sends the folder's contents. If something cannot be read, the receiver gets an error in place of
/// the rest, so that what was sent is never taken for the whole.
pub(super) fn pack(folder: &Path, sender: Sender) -> Result<(), PackError> {
    let packed = pack_into(folder, &sender);
    if let Err(PackError::Unreadable(_)) = &packed {
        let _ = sender.blocking_send(Err(io::Error::other(
            "the folder cannot be read as a whole",
        )));
    }
    packed
}

fn pack_into(folder: &Path, sender: &Sender) -> Result<(), PackError> {
    let writer = ChunkWriter {
        chunk: Vec::with_capacity(CHUNK),
        sender: sender.clone(),
    };
    let mut archive = Builder::new(GzEncoder::new(writer, Compression::default()));
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        for entry in sorted_entries(&folder.join(&relative))? {
            let relative = relative.join(entry.file_name());
            let path = entry.path();
            // Of a symbolic link itself, not of where it leads.
            let metadata = fs::symlink_metadata(&path).map_err(|error| unreadable(&path, error))?;
            if metadata.is_dir() {
                open.push(relative.clone());
            }
            append(&mut archive, &path, &relative, &metadata)?;
        }
    }
    let writer = archive.into_inner().and_then(GzEncoder::finish);
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
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    // Owners mean nothing on another machine.
    header.set_uid(0);
    header.set_gid(0);
    if metadata.is_dir() {
        header.set_size(0);
        return archive
            .append_data(&mut header, relative, io::empty())
            .map_err(|_| PackError::Unwanted);
    }
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(|error| unreadable(path, error))?;
        header.set_size(0);
        return archive
            .append_link(&mut header, relative, target)
            .map_err(|_| PackError::Unwanted);
    }
    if !metadata.is_file() {
        let message = "it is no file, folder or symbolic link, and cannot be uploaded";
        return Err(PackError::Unreadable(
            Error::new(ErrorKind::Io, message).with_path(path.to_string_lossy()),
        ));
    }
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let mut exact = Exact {
        file: file.take(metadata.len()),
        failure: None,
    };
    let appended = archive.append_data(&mut header, relative, &mut exact);
    if let Some(failure) = exact.failure {
        return Err(unreadable(path, failure));
    }
    appended.map_err(|_| PackError::Unwanted)?;
    // The header has told the size: a file that has grown since would be cut.
    let now = fs::symlink_metadata(path).map_err(|error| unreadable(path, error))?;
    if now.len() != metadata.len() {
        return Err(unreadable(path, changed()));
    }
    Ok(())
}

fn unreadable(path: &Path, error: io::Error) -> PackError {
    PackError::Unreadable(local_error(path, "it cannot be read", error))
}

fn changed() -> io::Error {
    io::Error::other("it changed while it was read")
}

/// A file of which exactly the announced bytes are read; remembers what went wrong, since a tar
/// writer does not tell the reader's faults from its own.
struct Exact {
    file: io::Take<File>,
    failure: Option<io::Error>,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match self.file.read(buffer) {
            Ok(0) if self.file.limit() > 0 && !buffer.is_empty() => Err(changed()),
            result => result,
        };
        result.map_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            self.failure = Some(error);
            copy
        })
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
