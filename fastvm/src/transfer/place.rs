//! Puts what has arrived in its place: by a temporary name beside it, and a rename.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fastvm_api::{Error, Result};
use tempfile::{NamedTempFile, TempDir, TempPath};

use super::local_error;

const PREFIX: &str = ".fastvm-download-";

/// What a folder is to be like when all is in its place.
#[derive(Debug)]
pub(super) struct FolderStamp {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) modified: SystemTime,
}

/// The folders above a target that had to be made for it; removed again unless it gets there.
#[derive(Debug, Default)]
struct Parents(Vec<PathBuf>);

impl Parents {
    /// Makes those that are missing.
    fn of(target: &Path) -> io::Result<Self> {
        let mut made = Self::default();
        let missing: Vec<_> = parent_of(target)
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Ok(()) => made.0.push(folder.to_owned()),
                // Someone else was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    /// They stay.
    fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // Unless someone else has put something there.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// A file beside its target, gone when dropped.
#[derive(Debug)]
pub(super) struct NewFile {
    temporary: TempPath,
    target: PathBuf,
    parents: Parents,
}

impl NewFile {
    /// With these permissions, or those of a file that any program makes.
    pub(super) fn beside(target: &Path, mode: Option<u32>) -> Result<(Self, File)> {
        let cannot = |error| local_error(target, "the file cannot be written", error);
        if target.is_dir() {
            let error = io::ErrorKind::IsADirectory.into();
            return Err(local_error(target, "it is a folder: name the file", error));
        }
        let parents = Parents::of(target).map_err(cannot)?;
        let made = temporary(0o666).tempfile_in(parent_of(target));
        let (file, temporary) = made.map(NamedTempFile::into_parts).map_err(cannot)?;
        if let Some(mode) = mode {
            allow(&file, mode).map_err(cannot)?;
        }
        let new = Self {
            temporary,
            target: target.to_owned(),
            parents,
        };
        Ok((new, file))
    }

    /// Takes the target's name. With `sync`, the file and the entry of its name are on the disk
    /// then.
    pub(super) fn put(mut self, file: &File, sync: bool) -> Result<()> {
        let put = || {
            if sync {
                flush(file)?;
            }
            self.temporary.persist(&self.target)?;
            self.parents.keep();
            match sync {
                true => sync_folder(parent_of(&self.target)),
                false => Ok(()),
            }
        };
        put().map_err(|error| local_error(&self.target, "the file cannot be written", error))
    }
}

/// A folder beside its target, or in it, gone when dropped.
#[derive(Debug)]
pub(super) struct NewFolder {
    temporary: TempDir,
    target: PathBuf,
    parents: Parents,
}

impl NewFolder {
    pub(super) fn beside(target: &Path) -> Result<Self> {
        let cannot = |error| local_error(target, "no folder can be made for it", error);
        let parents = Parents::of(target).map_err(cannot)?;
        let temporary = match fs::metadata(target) {
            Ok(there) if !there.is_dir() => {
                let error = io::ErrorKind::NotADirectory.into();
                return Err(local_error(target, "there is a file of its name", error));
            }
            Ok(there) => folder_near(target, &there),
            Err(_) => temporary(0o700).tempdir_in(parent_of(target)),
        };
        Ok(Self {
            temporary: temporary.map_err(cannot)?,
            target: target.to_owned(),
            parents,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Takes the target's name, or if there is a folder of that name, moves its contents there: what
    /// is there stays, same names are replaced.
    pub(super) fn put(mut self, stamps: &[FolderStamp], sync: bool) -> Result<()> {
        let mut move_ = Move {
            from: self.temporary.path(),
            to: &self.target,
            there: HashSet::new(),
        };
        match fs::metadata(&self.target) {
            Ok(_) => {
                move_.check(Path::new(""))?;
                move_.merge(Path::new(""))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::rename(move_.from, move_.to)
                    .map_err(|error| cannot_move(&self.target, error))?;
            }
            Err(error) => return Err(cannot_move(&self.target, error)),
        }
        move_.stamp(stamps, sync)?;
        self.parents.keep();
        Ok(())
    }
}

/// A folder on the same disk as one that is there: beside it, if it can be, else in it.
fn folder_near(target: &Path, there: &fs::Metadata) -> io::Result<TempDir> {
    // What a link names may be anywhere.
    let target = target.canonicalize()?;
    let parent = parent_of(&target);
    let is_on_one_disk = fs::metadata(parent).is_ok_and(|parent| disk(&parent) == disk(there));
    let beside = is_on_one_disk.then(|| temporary(0o700).tempdir_in(parent));
    match beside {
        Some(Ok(folder)) => Ok(folder),
        _ => temporary(0o700).tempdir_in(&target),
    }
}

#[cfg(unix)]
fn disk(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(metadata)
}

#[cfg(not(unix))]
fn disk(_: &fs::Metadata) -> u64 {
    0
}

/// Contents on their way from one folder to another.
struct Move<'a> {
    from: &'a Path,
    to: &'a Path,
    /// Folders that were there before.
    there: HashSet<PathBuf>,
}

impl Move<'_> {
    /// Fails if something cannot be replaced, before anything is.
    fn check(&mut self, folder: &Path) -> Result<()> {
        self.there.insert(folder.to_owned());
        for (path, kind) in self.entries(folder)? {
            let target = self.to.join(&path);
            // A link itself, never where it leads: an earlier download may have brought it, and a
            // VM must not write outside the folder.
            let Ok(there) = fs::symlink_metadata(&target) else {
                continue;
            };
            match (kind.is_dir(), there.is_dir()) {
                (true, true) => self.check(&path)?,
                (false, true) => {
                    let error = io::Error::from(io::ErrorKind::IsADirectory);
                    return Err(local_error(
                        &target,
                        "a folder is not replaced by a file",
                        error,
                    ));
                }
                (_, false) => {}
            }
        }
        Ok(())
    }

    fn merge(&self, folder: &Path) -> Result<()> {
        for (path, kind) in self.entries(folder)? {
            if self.there.contains(&path) {
                self.merge(&path)?;
                continue;
            }
            let target = self.to.join(&path);
            let replace = || {
                // A folder cannot be renamed to the name of a file or link.
                if kind.is_dir() && fs::symlink_metadata(&target).is_ok_and(|there| !there.is_dir())
                {
                    fs::remove_file(&target)?;
                }
                fs::rename(self.from.join(&path), &target)
            };
            replace().map_err(|error| cannot_move(&target, error))?;
        }
        Ok(())
    }

    fn entries(&self, folder: &Path) -> Result<Vec<(PathBuf, fs::FileType)>> {
        let here = self.from.join(folder);
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            Ok((folder.join(entry.file_name()), entry.file_type()?))
        };
        fs::read_dir(&here)
            .and_then(|entries| entries.map(entry).collect())
            .map_err(|error| local_error(&here, "it cannot be read", error))
    }

    /// Makes the folders that are new what they are to be, the innermost first.
    fn stamp(&self, stamps: &[FolderStamp], sync: bool) -> Result<()> {
        for stamp in stamps.iter().rev() {
            let path = self.to.join(&stamp.path);
            let is_new = !self.there.contains(&stamp.path);
            self.stamp_one(&path, stamp, is_new, sync)
                .map_err(|error| cannot_move(&path, error))?;
        }
        if sync {
            let parent = parent_of(self.to);
            sync_folder(parent).map_err(|error| cannot_move(parent, error))?;
        }
        Ok(())
    }

    #[cfg(unix)]
    fn stamp_one(
        &self,
        path: &Path,
        stamp: &FolderStamp,
        is_new: bool,
        sync: bool,
    ) -> io::Result<()> {
        if !is_new && !sync {
            return Ok(());
        }
        let folder = File::open(path)?;
        if is_new {
            folder.set_modified(stamp.modified)?;
            allow(&folder, stamp.mode)?;
        }
        match sync {
            true => flush(&folder),
            false => Ok(()),
        }
    }

    /// Elsewhere folders have neither permissions nor a flush of their own.
    #[cfg(not(unix))]
    fn stamp_one(&self, _: &Path, stamp: &FolderStamp, _: bool, _: bool) -> io::Result<()> {
        let _ = (stamp.mode, stamp.modified);
        Ok(())
    }
}

fn cannot_move(path: &Path, error: io::Error) -> Error {
    local_error(path, "it cannot be moved into place", error)
}

/// Makes what is to be renamed into place, with `mode` less the user's mask.
fn temporary(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// The folder that holds `target`.
fn parent_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Sets the permissions of a file or folder; no set-id or sticky bits.
#[cfg(unix)]
pub(super) fn allow(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode & 0o777))
}

#[cfg(not(unix))]
pub(super) fn allow(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

/// Returns when a file or folder is on the disk.
pub(super) fn flush(file: &File) -> io::Result<()> {
    #[cfg(all(test, unix))]
    tests::FLUSHED.set(tests::FLUSHED.get() + 1);
    file.sync_all()
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    flush(&File::open(folder)?)
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How much this thread has flushed.
        pub(super) static FLUSHED: Cell<usize> = const { Cell::new(0) };
    }

    /// How much is flushed meanwhile.
    pub(in crate::transfer) fn flushed(work: impl FnOnce()) -> usize {
        let before = FLUSHED.get();
        work();
        FLUSHED.get() - before
    }

    #[test]
    fn a_file_is_flushed_before_it_gets_its_name_and_its_folder_after() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        for (sync, count) in [(false, 0), (true, 2)] {
            let (new, file) = NewFile::beside(&target, None).unwrap();
            assert_eq!(flushed(|| new.put(&file, sync).unwrap()), count);
        }
        fs::remove_file(&target).unwrap();
        // What cannot be flushed never gets its name.
        let (new, _) = NewFile::beside(&target, None).unwrap();
        let unflushable = File::open("/dev/null").unwrap();
        let error = new.put(&unflushable, true).unwrap_err();
        assert_eq!(error.path(), target.to_str());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
