//! Unpacks a tar that nobody vouches for into a folder of its own, on a blocking thread.
//!
//! Only files and folders are written while the archive flows, each of them new, so that there is
//! no link that something could be written through; symbolic links come last, when it is known
//! where all of them lead.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use fastvm_api::{Error, ErrorKind, Result};
use flate2::bufread::GzDecoder;
use ignore::gitignore::Gitignore;
use tar::{Archive, Entry, EntryType};

use super::CHUNK;
use super::exclude::is_excluded;
use super::incoming::Chunks;
use super::place::{FolderStamp, allow, flush};
use super::progress::Files;

/// How much of an archive may describe an entry: names are kept in memory.
const MOST_HEADER_BYTES: u64 = 1024 * 1024;

/// How many links the kernel follows, at most.
const MOST_LINKS: usize = 40;

/// What is taken from an archive.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// How many bytes all files may have together.
    pub(super) max_size: u64,
    pub(super) max_entries: u64,
    pub(super) is_gzipped: bool,
    pub(super) excluded: Gitignore,
    /// Whether files are flushed to the disk.
    pub(super) sync: bool,
}

/// Unpacks `first` and what comes from the channel into an empty `folder`. Answers what the folders in it are to
/// be like once all is in its place: a read-only one would keep out its own contents until then.
pub(super) fn unpack(
    first: Bytes,
    mut chunks: Chunks,
    folder: &Path,
    rules: &Rules,
    files: &Files,
) -> Result<Vec<FolderStamp>> {
    let reader = ChunkReader {
        chunks: &mut chunks,
        rest: first,
    };
    let reader: Box<dyn Read + '_> = match rules.is_gzipped {
        true => Box::new(GzDecoder::new(reader)),
        false => Box::new(reader),
    };
    let allowance = Rc::new(Cell::new(MOST_HEADER_BYTES));
    let mut archive = Archive::new(Metered {
        reader,
        allowance: allowance.clone(),
    });
    let mut unpacker = Unpacker::new(folder, rules, files);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        allowance.set(u64::MAX);
        unpacker.take(&mut entry)?;
        allowance.set(MOST_HEADER_BYTES);
    }
    // To the end, where the checksum of the whole is.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    // What follows the archive is not unpacked, but it is a part of the object.
    while chunks.blocking_recv().is_some() {}
    unpacker.finish()
}

struct Unpacker<'a> {
    root: &'a Path,
    rules: &'a Rules,
    files: &'a Files,
    entries: u64,
    bytes: u64,
    /// All folders that were made.
    folders: BTreeSet<PathBuf>,
    /// Those that the archive describes.
    stamps: BTreeMap<PathBuf, FolderStamp>,
    /// Where each symbolic link leads.
    links: BTreeMap<PathBuf, PathBuf>,
    buffer: Vec<u8>,
}

impl<'a> Unpacker<'a> {
    fn new(root: &'a Path, rules: &'a Rules, files: &'a Files) -> Self {
        Self {
            root,
            rules,
            files,
            entries: 0,
            bytes: 0,
            folders: BTreeSet::from([PathBuf::new()]),
            stamps: BTreeMap::new(),
            links: BTreeMap::new(),
            buffer: vec![0; CHUNK],
        }
    }

    fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<()> {
        let name = entry.path().map_err(broken)?.into_owned();
        self.entries += 1;
        if self.entries > self.rules.max_entries {
            let most = self.rules.max_entries;
            let message = format!("it is beyond the {most} entries that `.max_entries(..)` allows");
            return Err(hostile(&name, message));
        }
        let path = inside(&name).map_err(|why| hostile(&name, why))?;
        let is_folder = entry.header().entry_type().is_dir();
        if is_excluded(&self.rules.excluded, &path, is_folder) {
            io::copy(entry, &mut io::sink()).map_err(broken)?;
            return Ok(());
        }
        match entry.header().entry_type() {
            EntryType::Directory => self.take_folder(path, entry),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // Archives of old marked folders so.
                match entry.path_bytes().ends_with(b"/") {
                    true => self.take_folder(path, entry),
                    false => self.take_file(&path, entry),
                }
            }
            EntryType::Symlink => {
                let to = leads_to(&path, entry)?;
                self.take_link(path, to)
            }
            EntryType::Link => {
                let to = leads_to(&path, entry)?;
                self.take_hard_link(path, &to)
            }
            other => {
                let message = format!("an entry of type {other:?} is not taken from a VM");
                Err(hostile(&path, message))
            }
        }
    }

    fn take_folder(&mut self, path: PathBuf, entry: &Entry<'_, impl Read>) -> Result<()> {
        let stamp = FolderStamp {
            path: path.clone(),
            mode: entry.header().mode().map_err(broken)?,
            modified: modified(entry),
        };
        self.make_folder(&path)?;
        match self.stamps.insert(path.clone(), stamp) {
            None => Ok(()),
            Some(_) => Err(collides(&path)),
        }
    }

    fn take_file(&mut self, path: &Path, entry: &mut Entry<'_, impl Read>) -> Result<()> {
        let mode = entry.header().mode().map_err(broken)?;
        let mut file = self.new_file(path)?;
        self.copy(path, entry, &mut file)?;
        let written = || {
            file.set_modified(modified(entry))?;
            allow(&file, mode)?;
            match self.rules.sync {
                true => flush(&file),
                false => Ok(()),
            }
        };
        written().map_err(|error| cannot_write(path, error))?;
        self.files.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn new_file(&mut self, path: &Path) -> Result<File> {
        self.make_parent(path)?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.root.join(path))
            .map_err(|error| cannot_make(path, error))
    }

    fn copy(
        &mut self,
        path: &Path,
        entry: &mut Entry<'_, impl Read>,
        file: &mut File,
    ) -> Result<()> {
        let mut length = 0;
        loop {
            let count = entry
                .read(&mut self.buffer)
                .map_err(|error| broken(error).with_path(path.to_string_lossy()))?;
            let Some(data) = self.buffer.get(..count).filter(|data| !data.is_empty()) else {
                break;
            };
            length += count as u64;
            self.bytes += count as u64;
            if self.bytes > self.rules.max_size {
                let most = self.rules.max_size;
                let message = format!(
                    "with it the folder has more than the {most} bytes that `.max_size(..)` allows"
                );
                return Err(hostile(path, message));
            }
            file.write_all(data)
                .map_err(|error| cannot_write(path, error))?;
        }
        if length == entry.size() {
            return Ok(());
        }
        let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
        Err(broken(cut).with_path(path.to_string_lossy()))
    }

    fn take_link(&mut self, path: PathBuf, to: PathBuf) -> Result<()> {
        if self.links.contains_key(&path) {
            return Err(collides(&path));
        }
        self.links.insert(path, to);
        Ok(())
    }

    /// Another name for a file, or for a symbolic link, that came before.
    fn take_hard_link(&mut self, path: PathBuf, to: &Path) -> Result<()> {
        let to =
            inside(to).map_err(|_| hostile(&path, "it is a hard link that leaves the folder"))?;
        if let Some(link) = self.links.get(&to) {
            let link = link.clone();
            return self.take_link(path, link);
        }
        self.make_parent(&path)?;
        // No link has been made so far: this leads nowhere but into the folder.
        let linked = fs::hard_link(self.root.join(to), self.root.join(&path));
        linked.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                hostile(&path, "it is a hard link to what the archive does not have")
            }
            _ => cannot_make(&path, error),
        })?;
        self.files.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn make_parent(&mut self, path: &Path) -> Result<()> {
        let parent = path.parent().ok_or_else(|| collides(path))?;
        self.make_folder(parent)
    }

    /// Makes a folder and those above it, if they are not made yet.
    fn make_folder(&mut self, path: &Path) -> Result<()> {
        if self.folders.contains(path) {
            return Ok(());
        }
        self.make_parent(path)?;
        fs::create_dir(self.root.join(path)).map_err(|error| cannot_make(path, error))?;
        self.folders.insert(path.to_owned());
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<FolderStamp>> {
        for (path, to) in &self.links {
            if self.leaves(path, to) {
                let message = format!("it is a link to {to:?}, which leaves the folder");
                return Err(hostile(path, message));
            }
        }
        for (path, to) in std::mem::take(&mut self.links) {
            self.make_parent(&path)?;
            symlink(&to, &self.root.join(&path)).map_err(|error| cannot_make(&path, error))?;
        }
        Ok(self.stamps.into_values().collect())
    }

    /// Whether following a link leads out of the folder, be it by way of other links.
    fn leaves(&self, link: &Path, to: &Path) -> bool {
        let mut at = link.parent().unwrap_or(link).to_owned();
        let mut ahead = steps(to);
        let mut followed = 0;
        while let Some(step) = ahead.pop() {
            match step {
                Step::Out => return true,
                // Up from what is no folder of this archive: nobody knows where that is.
                Step::Up if !self.folders.contains(&at) || !at.pop() => return true,
                Step::Up => {}
                Step::Into(name) => at.push(name),
            }
            let Some(next) = self.links.get(&at) else {
                continue;
            };
            followed += 1;
            if followed > MOST_LINKS {
                // Nobody gets further.
                return false;
            }
            at.pop();
            ahead.extend(steps(next));
        }
        false
    }
}

enum Step {
    Into(OsString),
    Up,
    Out,
}

/// The steps of a link, the first one last.
fn steps(to: &Path) -> Vec<Step> {
    let step = |component| match component {
        Component::Normal(name) => Some(Step::Into(name.to_owned())),
        Component::CurDir => None,
        Component::ParentDir => Some(Step::Up),
        Component::RootDir | Component::Prefix(_) => Some(Step::Out),
    };
    to.components().rev().filter_map(step).collect()
}

/// The path of an entry below the folder, if it is one.
fn inside(name: &Path) -> Result<PathBuf, &'static str> {
    let mut path = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) if is_plain(part) => path.push(part),
            Component::Normal(_) => return Err("this system has no such names"),
            Component::CurDir => {}
            Component::ParentDir => return Err("its path leaves the folder"),
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
        }
    }
    Ok(path)
}

/// Whether a name means nothing but itself: elsewhere a colon names a drive or a hidden stream.
fn is_plain(name: &std::ffi::OsStr) -> bool {
    cfg!(unix) || !name.to_string_lossy().contains([':', '\\', '/'])
}

fn leads_to(path: &Path, entry: &Entry<'_, impl Read>) -> Result<PathBuf> {
    let to = entry.link_name().map_err(broken)?;
    to.map(std::borrow::Cow::into_owned)
        .ok_or_else(|| hostile(path, "it is a link to nothing"))
}

fn modified(entry: &Entry<'_, impl Read>) -> SystemTime {
    let seconds = entry.header().mtime().unwrap_or_default();
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(unix)]
fn symlink(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(windows)]
fn symlink(to: &Path, at: &Path) -> io::Result<()> {
    let target = at.parent().unwrap_or(at).join(to);
    match target.is_dir() {
        true => std::os::windows::fs::symlink_dir(to, at),
        false => std::os::windows::fs::symlink_file(to, at),
    }
}

fn broken(error: io::Error) -> Error {
    let message = "the archive from the VM is damaged or incomplete";
    Error::new(ErrorKind::Transfer, message).with_source(error)
}

fn hostile(name: &Path, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Transfer, message).with_path(name.to_string_lossy())
}

fn collides(path: &Path) -> Error {
    hostile(path, "the archive has two entries of this name")
}

fn cannot_make(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => collides(path),
        _ => cannot_write(path, error),
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "it cannot be unpacked")
        .with_path(path.to_string_lossy())
        .with_source(error)
}

/// Fails once the allowance is used up.
struct Metered<'a> {
    reader: Box<dyn Read + 'a>,
    allowance: Rc<Cell<u64>>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let left = self.allowance.get().checked_sub(count as u64);
        let left =
            left.ok_or_else(|| io::Error::other("the description of an entry is too long"))?;
        self.allowance.set(left);
        Ok(count)
    }
}

/// Reads chunks as they come.
struct ChunkReader<'a> {
    chunks: &'a mut Chunks,
    rest: Bytes,
}

impl BufRead for ChunkReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.rest.is_empty() {
            // An empty rest still takes room.
            self.rest = Bytes::new();
            match self.chunks.blocking_recv() {
                Some(chunk) => self.rest = chunk,
                None => break,
            }
        }
        Ok(&self.rest)
    }

    fn consume(&mut self, count: usize) {
        self.rest.advance(count);
    }
}

impl Read for ChunkReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::place::NewFolder;
    use super::super::place::tests::flushed;
    use super::*;

    #[test]
    fn every_file_and_folder_is_flushed_if_that_is_asked_for() {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, entry_type) in [
            ("./", EntryType::Directory),
            ("a", EntryType::Regular),
            ("sub/", EntryType::Directory),
            ("sub/b", EntryType::Regular),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(entry_type);
            header.set_mode(0o755);
            header.set_size(0);
            archive.append_data(&mut header, path, io::empty()).unwrap();
        }
        let archive = Bytes::from(archive.into_inner().unwrap());
        // Two files, two folders, and the folder that the name is in.
        for (sync, count) in [(false, 0), (true, 5)] {
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("target");
            let rules = Rules {
                max_size: 0,
                max_entries: 4,
                is_gzipped: false,
                excluded: Gitignore::empty(),
                sync,
            };
            let (_, chunks) = tokio::sync::mpsc::unbounded_channel();
            let download = || {
                let new = NewFolder::beside(&target).unwrap();
                let files = Files::default();
                let stamps = unpack(archive.clone(), chunks, new.path(), &rules, &files);
                new.put(&stamps.unwrap(), sync).unwrap();
            };
            assert_eq!(flushed(download), count);
            assert!(target.join("sub/b").is_file());
        }
    }
}
