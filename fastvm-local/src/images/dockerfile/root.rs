//! Reads and writes a directory tree as if it were `/`: links lead where they would in a VM of it,
//! and never out of it. What is written gets a name that is free, so that nothing is written
//! through a link. A tree may have come from anywhere, but it must be at rest.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{
    FileStat, Mode, SFlag, UtimensatFlags, fstat, fstatat, futimens, mkdirat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, geteuid, symlinkat, unlinkat};

const MODE_BITS: u32 = 0o7777;

const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

/// A directory tree.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    resolve: ResolveFlag,
}

/// User and group.
pub(super) type Owner = (u32, u32);

/// What something new looks like from outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) mode: u32,
    pub(super) owner: Owner,
    /// Now, unless told.
    pub(super) modified: Option<TimeSpec>,
}

impl Look {
    pub(super) fn of(stat: &FileStat) -> Self {
        Self {
            mode: stat.st_mode & MODE_BITS,
            owner: (stat.st_uid, stat.st_gid),
            modified: Some(TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec)),
        }
    }

    /// A folder that nobody has described.
    pub(super) fn of_folder(owner: Owner) -> Self {
        Self {
            mode: 0o755,
            owner,
            modified: None,
        }
    }
}

/// What is found in a tree.
pub(super) enum Found {
    Folder(OwnedFd),
    File(File),
    /// A device, a pipe or a socket.
    Other,
}

impl Root {
    /// A tree with links in it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            folder: openat(AT_FDCWD, path, FOLDER, Mode::empty())?,
            resolve: ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        })
    }

    /// A tree in which a path through a link is an error.
    pub(super) fn without_links(path: &Path) -> io::Result<Self> {
        let mut root = Self::open(path)?;
        root.resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS;
        Ok(root)
    }

    fn resolve(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(self.resolve);
        openat2(&self.folder, path, how)
    }

    /// What a path leads to, if it leads somewhere.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Found>> {
        let found = match self.resolve(path, OFlag::O_PATH) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            found => found?,
        };
        Ok(Some(match kind(&fstat(&found)?) {
            SFlag::S_IFDIR => Found::Folder(reopen(&found)?),
            SFlag::S_IFREG => Found::File(File::from(reopen(&found)?)),
            _ => Found::Other,
        }))
    }

    /// A small text file.
    pub(super) fn read(&self, path: &Path, limit: u64) -> io::Result<Option<String>> {
        let Some(Found::File(file)) = self.find(path)? else {
            return Ok(None);
        };
        let mut text = String::new();
        file.take(limit + 1).read_to_string(&mut text)?;
        if text.len() as u64 > limit {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it is too large",
            ));
        }
        Ok(Some(text))
    }

    /// Writes a file into a folder that is there.
    pub(super) fn put(&self, path: &Path, content: impl Read, look: Look) -> io::Result<()> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.resolve(path.parent().unwrap_or(Path::new("")), FOLDER)?;
        put_file(&folder, name, content, look)
    }

    /// Whether something has this path, a link included.
    pub(super) fn has(&self, path: &Path) -> io::Result<bool> {
        match self.resolve(path, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The folder at a path. It and the folders around it are made if they are missing.
    pub(super) fn folder(&self, path: &Path, look: Look) -> io::Result<OwnedFd> {
        match self.resolve(path, FOLDER) {
            Err(Errno::ENOENT) => {}
            found => return Ok(found?),
        }
        let mut done = PathBuf::new();
        let mut folder = self.resolve(&done, FOLDER)?;
        for name in path {
            done.push(name);
            folder = match self.resolve(&done, FOLDER) {
                Err(Errno::ENOENT) => {
                    let made = make_folder(&folder, name)?;
                    dress(&made, look)?;
                    made
                }
                found => found?,
            };
        }
        Ok(folder)
    }
}

/// The names in a folder, in order.
pub(super) fn names(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut open = Dir::from_fd(openat(folder, c".", FOLDER, Mode::empty())?)?;
    let names = open.iter().map(|entry| {
        let name = entry?.file_name().to_bytes().to_vec();
        Ok(OsStr::from_bytes(&name).to_owned())
    });
    let mut names: Vec<OsString> = names.collect::<io::Result<_>>()?;
    names.retain(|name| name != "." && name != "..");
    names.sort();
    Ok(names)
}

/// What has this name in a folder, itself and not what it links to.
pub(super) fn stat(folder: &OwnedFd, name: &OsStr) -> nix::Result<Option<FileStat>> {
    match fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Opens a folder, or a file to be read; not through a link.
pub(super) fn open_inner(folder: &OwnedFd, name: &OsStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

pub(super) fn link_target(folder: &OwnedFd, name: &OsStr) -> nix::Result<OsString> {
    readlinkat(folder, name)
}

/// Lets the owner write to a folder for a while: root in a VM can at any time, and a server that is
/// not root's shall be able to, too.
struct Unlocked<'a> {
    folder: &'a OwnedFd,
    was: Option<u32>,
}

impl<'a> Unlocked<'a> {
    fn new(folder: &'a OwnedFd) -> io::Result<Self> {
        let mode = fstat(folder)?.st_mode & MODE_BITS;
        let is_locked = mode & 0o700 != 0o700 && !geteuid().is_root();
        if is_locked {
            fs::set_permissions(path_of(folder), Permissions::from_mode(mode | 0o700))?;
        }
        let was = is_locked.then_some(mode);
        Ok(Self { folder, was })
    }
}

impl Drop for Unlocked<'_> {
    fn drop(&mut self) {
        if let Some(mode) = self.was {
            // Who could open it can close it.
            let mode = Permissions::from_mode(mode);
            let _ = fs::set_permissions(path_of(self.folder), mode);
        }
    }
}

/// Makes a file of this name, in the place of a file or link that is there.
pub(super) fn put_file(
    folder: &OwnedFd,
    name: &OsStr,
    mut content: impl Read,
    look: Look,
) -> io::Result<()> {
    let _unlocked = Unlocked::new(folder)?;
    make_room(folder, name)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = openat(folder, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let mut file = File::from(file);
    io::copy(&mut content, &mut file)?;
    dress(&file.into(), look)
}

/// Makes a link of this name, in the place of a file or link that is there.
pub(super) fn put_link(
    folder: &OwnedFd,
    name: &OsStr,
    target: &OsStr,
    look: Look,
) -> io::Result<()> {
    let _unlocked = Unlocked::new(folder)?;
    make_room(folder, name)?;
    symlinkat(target, folder, name)?;
    if geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(look.owner.0), Gid::from_raw(look.owner.1));
        let itself = AtFlags::AT_SYMLINK_NOFOLLOW;
        fchownat(folder, name, Some(uid), Some(gid), itself)?;
    }
    if let Some(modified) = look.modified {
        let itself = UtimensatFlags::NoFollowSymlink;
        utimensat(folder, name, &modified, &modified, itself)?;
    }
    Ok(())
}

/// Opens the folder of this name, or makes one; whether it is new. A new one gets its look when it
/// is filled, by [`dress`].
pub(super) fn put_folder(folder: &OwnedFd, name: &OsStr) -> io::Result<(OwnedFd, bool)> {
    check_name(name)?;
    match stat(folder, name)?.map(|found| kind(&found)) {
        Some(SFlag::S_IFDIR) => Ok((open_inner(folder, name)?, false)),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            "what is there already is no folder",
        )),
        None => Ok((make_folder(folder, name)?, true)),
    }
}

fn make_folder(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    check_name(name)?;
    let _unlocked = Unlocked::new(folder)?;
    mkdirat(folder, name, Mode::S_IRWXU)?;
    Ok(open_inner(folder, name)?)
}

/// A name that is a path would lead elsewhere.
fn check_name(name: &OsStr) -> io::Result<()> {
    let is_path = name.as_bytes().contains(&b'/') || matches!(name.as_bytes(), b"" | b"." | b"..");
    match is_path {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is not the name of a file",
        )),
        false => Ok(()),
    }
}

/// Takes a file or link of this name away.
fn make_room(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    check_name(name)?;
    match stat(folder, name)?.map(|found| kind(&found)) {
        None => Ok(()),
        Some(SFlag::S_IFDIR) => Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "what is there already is a folder",
        )),
        Some(_) => Ok(unlinkat(folder, name, UnlinkatFlags::NoRemoveDir)?),
    }
}

/// In this order: a new owner takes setuid bits away. Owners are root's to give; where only one
/// user id exists, all files are that user's.
pub(super) fn dress(found: &OwnedFd, look: Look) -> io::Result<()> {
    if geteuid().is_root() {
        fchown(found, Some(look.owner.0), Some(look.owner.1))?;
    }
    fs::set_permissions(path_of(found), Permissions::from_mode(look.mode))?;
    if let Some(modified) = look.modified {
        futimens(found, &modified, &modified)?;
    }
    Ok(())
}

/// A path that leads to what a descriptor stands for, wherever that is.
fn path_of(found: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", found.as_fd().as_raw_fd())
}

fn reopen(found: &OwnedFd) -> io::Result<OwnedFd> {
    File::open(path_of(found)).map(OwnedFd::from)
}
