//! Unpacks a gzipped tar from a channel of chunks, on a blocking thread, into a folder beside the
//! target, and moves it into place when it is whole.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use bytes::{Buf, Bytes};
use fastvm_api::{Error, ErrorKind, Result};
use flate2::read::GzDecoder;
use tar::{Archive, EntryType};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::local_error;

/// A new folder beside `target`, gone when dropped.
pub(super) fn folder_beside(target: &Path) -> Result<TempDir> {
    let parent = parent_of(target);
    fs::create_dir_all(parent)
        .map_err(|error| local_error(parent, "the folder cannot be made", error))?;
    temporary(0o777)
        .tempdir_in(parent)
        .map_err(|error| local_error(parent, "no folder can be made in it", error))
}

/// Makes what is to be renamed into place when it is whole, with `mode` less the user's mask.
pub(super) fn temporary(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fastvm-download-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// The folder that holds `target`.
pub(super) fn parent_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Unpacks all that comes from the channel into `folder`.
pub(super) fn unpack(chunks: mpsc::Receiver<Bytes>, folder: &Path) -> Result<()> {
    let reader = ChunkReader {
        chunks,
        rest: Bytes::new(),
    };
    let mut archive = Archive::new(GzDecoder::new(reader));
    // Folders last, the innermost first: a read-only one must not keep its own files out.
    let mut folders = Vec::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        match entry.header().entry_type() {
            EntryType::Directory => {
                folders.push(entry);
                continue;
            }
            EntryType::Regular
            | EntryType::Continuous
            | EntryType::GNUSparse
            | EntryType::Symlink
            | EntryType::Link => {}
            other => {
                return Err(hostile(
                    &name,
                    &format!("an entry of type {other:?} is not taken from a VM"),
                ));
            }
        }
        let is_inside = entry
            .unpack_in(folder)
            .map_err(|error| cannot_write(&name, error))?;
        if !is_inside {
            return Err(hostile(&name, "it would lie outside the folder"));
        }
    }
    folders.sort_by(|a, b| b.path_bytes().cmp(&a.path_bytes()));
    for mut entry in folders {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry
            .unpack_in(folder)
            .map_err(|error| cannot_write(&name, error))?
        {
            return Err(hostile(&name, "it would lie outside the folder"));
        }
    }
    // To the end, where the checksum of the whole is.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    Ok(())
}

/// Moves the contents of `from` into `to`: as a whole if there is nothing yet, else entry by entry;
/// what is there stays, same names are replaced.
pub(super) fn move_into_place(from: TempDir, to: &Path) -> Result<()> {
    let cannot = |error| local_error(to, "the folder cannot be moved into place", error);
    match fs::metadata(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::rename(from.path(), to).map_err(cannot)?;
            // It has another name now.
            let _ = from.keep();
            Ok(())
        }
        Err(error) => Err(cannot(error)),
        Ok(metadata) if !metadata.is_dir() => Err(cannot(io::Error::new(
            io::ErrorKind::NotADirectory,
            "there is a file of its name",
        ))),
        Ok(_) => merge(from.path(), to),
    }
}

fn merge(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(|error| local_error(from, "it cannot be read", error))? {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let cannot = |error| local_error(&target, "it cannot be replaced", error);
        let is_folder = entry.file_type().map_err(cannot)?.is_dir();
        // A link itself, never where it leads: an earlier download may have brought it, and a VM
        // must not write outside the folder.
        match fs::symlink_metadata(&target) {
            Ok(there) if is_folder && there.is_dir() => {
                merge(&source, &target)?;
                continue;
            }
            // A folder cannot be renamed to the name of a file.
            Ok(there) if is_folder && !there.is_dir() => {
                fs::remove_file(&target).map_err(cannot)?;
            }
            _ => {}
        }
        fs::rename(&source, &target).map_err(cannot)?;
    }
    Ok(())
}

fn broken(error: io::Error) -> Error {
    Error::new(
        ErrorKind::Transfer,
        "the archive from the VM is damaged or incomplete",
    )
    .with_source(error)
}

fn hostile(name: &str, message: &str) -> Error {
    Error::new(ErrorKind::Transfer, message).with_path(name)
}

fn cannot_write(name: &str, error: io::Error) -> Error {
    // A cut archive shows while an entry is written, too.
    Error::new(ErrorKind::Transfer, "it cannot be unpacked")
        .with_path(name)
        .with_source(error)
}

/// Reads chunks as they come.
struct ChunkReader {
    chunks: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.rest = chunk,
                None => return Ok(0),
            }
        }
        let length = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
