//! Packs a folder as a tar, gzipped or not, on a blocking thread, into a channel of its parts.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

use fastvm_api::{Error, ErrorKind, Result};
use ignore::gitignore::Gitignore;
use tar::{Builder, Header};

use super::exclude::excluded;
use super::gzip::{self, Output, Sender};
use super::progress::Files;
use super::{changed, local_error};

/// What is in a tar begins at multiples of this.
const TAR_BLOCK: u64 = 512;

type Archive<'scope, 'env> = Builder<Output<'scope, 'env>>;

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
    let packed = thread::scope(|scope| {
        let output = Output::new(sender.clone(), packing.gzip_level, scope);
        pack_into(packing, files, Builder::new(output))
    });
    if let Err(PackError::Unreadable(_)) = &packed {
        let error = io::Error::other("the folder cannot be read as a whole");
        let _ = gzip::send(&sender, Err(error));
    }
    packed
}

fn pack_into(
    packing: &Packing,
    files: &Files,
    mut archive: Archive<'_, '_>,
) -> Result<(), PackError> {
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        let folder = packing.folder.join(&relative);
        for name in sorted_names(&folder)? {
            let relative = relative.join(&name);
            let path = folder.join(&name);
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
    let finished = archive.into_inner().and_then(Output::finish);
    finished.map_err(|_| PackError::Unwanted)
}

fn sorted_names(folder: &Path) -> Result<Vec<OsString>, PackError> {
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name());
    let names = fs::read_dir(folder).and_then(|entries| entries.map(name).collect());
    let mut names: Vec<_> = names.map_err(|error| unreadable(folder, error))?;
    names.sort();
    Ok(names)
}

fn append(
    archive: &mut Archive<'_, '_>,
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
    archive: &mut Archive<'_, '_>,
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

fn append_file(
    archive: &mut Archive<'_, '_>,
    path: &Path,
    relative: &Path,
) -> Result<(), PackError> {
    let cannot_read = |error| unreadable(path, error);
    let mut file = File::open(path).map_err(cannot_read)?;
    let before = file.metadata().map_err(cannot_read)?;
    let size = before.len();
    archive
        .append_data(&mut header(&before, size), relative, io::empty())
        .map_err(|_| PackError::Unwanted)?;
    copy(&mut file, path, size, archive.get_mut())?;
    // The header has told the size: a file that has grown since would be cut.
    let is_longer = file.read(&mut [0]).map_err(cannot_read)? > 0;
    let now = file.metadata().map_err(cannot_read)?;
    let is_same = now.len() == size && now.modified().ok() == before.modified().ok();
    match is_same && !is_longer {
        true => Ok(()),
        false => Err(PackError::Unreadable(changed(path))),
    }
}

/// Exactly the announced bytes of a file, straight from it, and what fills up their last block.
fn copy(
    file: &mut File,
    path: &Path,
    size: u64,
    output: &mut Output<'_, '_>,
) -> Result<(), PackError> {
    let mut left = size;
    while left > 0 {
        let room = output.room().map_err(|_| PackError::Unwanted)?;
        let most = usize::try_from(left).map_or(room.len(), |left| left.min(room.len()));
        match file.read(&mut room[..most]) {
            Ok(0) => return Err(PackError::Unreadable(changed(path))),
            Ok(count) => {
                output.filled(count);
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(path, error)),
        }
    }
    let padding = (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
    let zeros = &[0; TAR_BLOCK as usize][..padding as usize];
    output.write_all(zeros).map_err(|_| PackError::Unwanted)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that takes several threads and more parts than are made ahead.
    fn large_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..40 {
            let data = format!("{index} ").repeat(200_000);
            fs::write(folder.path().join(format!("{index:02}")), data).unwrap();
        }
        folder
    }

    fn packing(folder: &Path) -> (tokio::sync::mpsc::Receiver<gzip::Part>, Packed) {
        let packing = Packing::new(&[], Some(6)).unwrap().of(folder.to_owned());
        let (sender, parts) = gzip::channel();
        let packed = thread::spawn(move || pack(&packing, &Files::default(), sender));
        (parts, packed)
    }

    type Packed = thread::JoinHandle<Result<(), PackError>>;

    #[test]
    fn when_nobody_takes_the_archive_its_threads_end() {
        let folder = large_folder();
        let (mut parts, packed) = packing(folder.path());
        parts
            .blocking_recv()
            .unwrap()
            .blocking_recv()
            .unwrap()
            .unwrap();
        assert!(!packed.is_finished());
        drop(parts);
        // It waits for all threads that compress.
        assert!(matches!(packed.join().unwrap(), Err(PackError::Unwanted)));
    }

    #[test]
    #[cfg(unix)]
    fn what_cannot_be_read_in_the_middle_is_named_and_ends_the_archive_with_an_error() {
        let folder = large_folder();
        let socket = folder.path().join("20-socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let (mut parts, packed) = packing(folder.path());
        let mut results = Vec::new();
        while let Some(part) = parts.blocking_recv() {
            results.push(part.blocking_recv().unwrap().is_ok());
        }
        assert_eq!(
            results.iter().position(|is_ok| !is_ok),
            Some(results.len() - 1)
        );
        match packed.join().unwrap() {
            Err(PackError::Unreadable(error)) => assert_eq!(error.path(), socket.to_str()),
            _ => panic!("it is unreadable"),
        }
    }
}
