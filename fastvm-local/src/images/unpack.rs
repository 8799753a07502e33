//! Unpacks layers, one over the other, into a root directory.
//!
//! A layer comes from anywhere, so nothing is written by path: each folder is opened by the kernel as
//! if the root directory were `/`, so that links lead where they would in a VM and never out of it,
//! and what is written to it has a plain name that is new. Devices, pipes and extended attributes
//! are left out.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fstatat, futimens, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{
    Gid, LinkatFlags, Uid, UnlinkatFlags, fchownat, geteuid, linkat, symlinkat, unlinkat,
};
use tar::{Archive, Entry, EntryType};

use crate::sandbox::remove_when_at_rest;

/// What a name of a layer begins with that takes something away.
const WHITEOUT: &[u8] = b".wh.";
/// Takes away all that earlier layers have put into its folder.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other names of this kind are notes of old tools.
const NOTE: &[u8] = b".wh..wh.";

const MODE_BITS: u32 = 0o7777;

/// A root directory that layers are put into.
pub(super) struct Root {
    root: OwnedFd,
    keeps_owners: bool,
    /// What folders shall be like in the end. Until then their owner can write to them.
    folders: Vec<(PathBuf, Look)>,
}

/// What a file or folder looks like from outside.
#[derive(Clone, Copy)]
struct Look {
    mode: u32,
    owner: (Uid, Gid),
    modified: TimeSpec,
}

impl Root {
    /// An empty one, at a path that is free.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        Ok(Self {
            root: openat(AT_FDCWD, path, FOLDER, Mode::empty())?,
            keeps_owners: geteuid().is_root(),
            folders: Vec::new(),
        })
    }

    /// Puts a layer over what is there.
    pub(super) fn apply(&mut self, layer: impl Read) -> io::Result<()> {
        let mut made = HashSet::new();
        for entry in Archive::new(layer).entries()? {
            let mut entry = entry?;
            let named = entry.path_bytes().into_owned();
            self.put(&mut entry, &named, &mut made).map_err(|error| {
                let name = String::from_utf8_lossy(&named).into_owned();
                io::Error::new(error.kind(), format!("{name}: {error}"))
            })?;
        }
        Ok(())
    }

    /// Makes a folder, unless it is there.
    pub(super) fn make_folder(&self, path: &str) -> io::Result<()> {
        self.folder(&inner_path(path.as_bytes())?).map(drop)
    }

    /// Gives the folders their modes and times, the innermost first.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let depth = |path: &Path| path.components().count();
        self.folders
            .sort_by_key(|(path, _)| std::cmp::Reverse(depth(path)));
        for (path, look) in &self.folders {
            let itself = if path.as_os_str().is_empty() {
                Ok(self.root.try_clone()?)
            } else {
                self.find(path, OFlag::O_NOFOLLOW)
            };
            match itself {
                Ok(folder) => look.give_to(&folder, false)?,
                // A later layer has put something else there.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn put<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        named: &[u8],
        made: &mut HashSet<PathBuf>,
    ) -> io::Result<()> {
        let path = inner_path(named)?;
        let kind = entry.header().entry_type();
        let Some(name) = path.file_name() else {
            if kind.is_dir() {
                self.folders.push((path, self.look(entry)?));
            }
            return Ok(());
        };
        let above = path.parent().unwrap_or(Path::new(""));
        if let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT) {
            return self.take_away(above, name.as_bytes(), hidden, made);
        }
        let is_known = kind.is_dir()
            || kind.is_symlink()
            || kind.is_hard_link()
            || matches!(
                kind,
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse
            );
        if !is_known {
            return Ok(());
        }
        let folder = self.folder(above)?;
        let look = self.look(entry)?;
        if kind.is_dir() {
            if !is_folder(&folder, name)? {
                clear(&folder, name)?;
                mkdirat(&folder, name, Mode::S_IRWXU)?;
            }
            let made = within(&folder, name, OFlag::O_DIRECTORY | OFlag::O_PATH)?;
            let open = Look {
                mode: look.mode | 0o700,
                ..look
            };
            open.give_to(&made, self.keeps_owners)?;
            self.folders.push((path.clone(), look));
        } else {
            let target = link_target(entry, kind)?;
            // The file that a hard link names may be the one in its way.
            if kind.is_hard_link() && inner_path(target.as_bytes())? == path {
                return Ok(());
            }
            clear(&folder, name)?;
            if kind.is_hard_link() {
                self.link(&target, &folder, name)?;
            } else if kind.is_symlink() {
                symlinkat(target.as_os_str(), &folder, name)?;
                look.give_to_link(&folder, name, self.keeps_owners)?;
            } else {
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
                let file = openat(&folder, name, flags | OFlag::O_NOFOLLOW, Mode::S_IRUSR)?;
                let mut file = File::from(file);
                io::copy(entry, &mut file)?;
                look.give_to(&OwnedFd::from(file), self.keeps_owners)?;
            }
        }
        made.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn link(&self, target: &OsStr, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let target = inner_path(target.as_bytes())?;
        let (Some(above), Some(target)) = (target.parent(), target.file_name()) else {
            return Err(refused("a hard link to the root directory"));
        };
        let above = self.find(above, OFlag::empty())?;
        Ok(linkat(&above, target, folder, name, LinkatFlags::empty())?)
    }

    /// Follows a whiteout: what this layer has itself is not meant.
    fn take_away(
        &self,
        above: &Path,
        name: &[u8],
        hidden: &[u8],
        made: &HashSet<PathBuf>,
    ) -> io::Result<()> {
        let folder = match self.find(above, OFlag::empty()) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            folder => folder?,
        };
        if name == OPAQUE {
            return clear_folder(&folder, above, made);
        }
        if name.starts_with(NOTE) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(refused("a whiteout of no name"));
        }
        let hidden = OsStr::from_bytes(hidden);
        clear_unless_made(&folder, hidden, &above.join(hidden), made)
    }

    /// The folder at a path in the root directory, made if it is missing.
    fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.find(path, OFlag::empty()) {
            Err(Errno::ENOENT) => {}
            found => return Ok(found?),
        }
        let mut done = PathBuf::new();
        for name in path.iter() {
            let above = self.find(&done, OFlag::empty())?;
            match mkdirat(&above, name, Mode::S_IRWXU) {
                Ok(()) => {
                    let made = within(&above, name, OFlag::O_DIRECTORY | OFlag::O_PATH)?;
                    fs::set_permissions(path_of(&made), Permissions::from_mode(0o755))?;
                }
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            done.push(name);
        }
        Ok(self.find(path, OFlag::empty())?)
    }

    /// The folder that a path leads to in a VM with this root directory.
    fn find(&self, path: &Path, more: OFlag) -> nix::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let how = OpenHow::new()
            .flags(FOLDER | more)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.root, path, how)
    }

    fn look<R: Read>(&self, entry: &Entry<'_, R>) -> io::Result<Look> {
        let header = entry.header();
        let id = |id: u64| u32::try_from(id).map_err(|_| refused("an owner that cannot be"));
        let seconds = i64::try_from(header.mtime()?).unwrap_or_default();
        Ok(Look {
            mode: header.mode()? & MODE_BITS,
            owner: (
                Uid::from_raw(id(header.uid()?)?),
                Gid::from_raw(id(header.gid()?)?),
            ),
            modified: TimeSpec::new(seconds, 0),
        })
    }
}

const FOLDER: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

impl Look {
    /// In this order: a new owner takes setuid bits away.
    fn give_to(self, found: &OwnedFd, with_owner: bool) -> io::Result<()> {
        if with_owner {
            self.own(found, OsStr::new(""), AtFlags::AT_EMPTY_PATH)?;
        }
        let itself = path_of(found);
        fs::set_permissions(&itself, Permissions::from_mode(self.mode))?;
        let times = (&self.modified, &self.modified);
        match futimens(found, times.0, times.1) {
            // What was found by name only is not open.
            Err(Errno::EBADF) => {
                let follow = UtimensatFlags::FollowSymlink;
                Ok(utimensat(
                    AT_FDCWD,
                    itself.as_str(),
                    times.0,
                    times.1,
                    follow,
                )?)
            }
            other => Ok(other?),
        }
    }

    fn give_to_link(self, folder: &OwnedFd, name: &OsStr, with_owner: bool) -> io::Result<()> {
        if with_owner {
            self.own(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
        let itself = UtimensatFlags::NoFollowSymlink;
        Ok(utimensat(
            folder,
            name,
            &self.modified,
            &self.modified,
            itself,
        )?)
    }

    fn own(self, folder: &OwnedFd, name: &OsStr, flags: AtFlags) -> io::Result<()> {
        let (uid, gid) = self.owner;
        match fchownat(folder, name, Some(uid), Some(gid), flags) {
            // An owner that is not there in this user namespace.
            Err(Errno::EINVAL) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// A name of a layer as a path below the root directory: `/a`, `./a` and `a` are the same.
fn inner_path(named: &[u8]) -> io::Result<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(named)).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => {}
            _ => return Err(refused("a path that leads out of the image")),
        }
    }
    Ok(path)
}

fn link_target<R: Read>(entry: &Entry<'_, R>, kind: EntryType) -> io::Result<OsString> {
    if !kind.is_symlink() && !kind.is_hard_link() {
        return Ok(OsString::new());
    }
    let target = entry.link_name_bytes();
    let target = target.filter(|target| !target.is_empty());
    let target = target.ok_or_else(|| refused("a link to nothing"))?;
    Ok(OsStr::from_bytes(&target).to_owned())
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn kind_of(folder: &impl AsFd, name: &OsStr) -> nix::Result<Option<SFlag>> {
    match fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(
            SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT,
        )),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn is_folder(folder: &impl AsFd, name: &OsStr) -> nix::Result<bool> {
    Ok(kind_of(folder, name)? == Some(SFlag::S_IFDIR))
}

/// Opens what has this name in a folder, unless it is a link.
fn within(folder: &impl AsFd, name: &OsStr, flags: OFlag) -> nix::Result<OwnedFd> {
    openat(
        folder,
        name,
        flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
}

/// Deletes what has this name in a folder, if something has.
fn clear(folder: &impl AsFd, name: &OsStr) -> io::Result<()> {
    match kind_of(folder, name)? {
        None => Ok(()),
        Some(SFlag::S_IFDIR) => remove_when_at_rest(&Path::new(&path_of(folder)).join(name)),
        Some(_) => Ok(unlinkat(folder, name, UnlinkatFlags::NoRemoveDir)?),
    }
}

/// The same, but for what this layer has made.
fn clear_unless_made(
    folder: &impl AsFd,
    name: &OsStr,
    path: &Path,
    made: &HashSet<PathBuf>,
) -> io::Result<()> {
    if !made.contains(path) {
        return clear(folder, name);
    }
    if is_folder(folder, name)? {
        let inner = within(folder, name, OFlag::O_DIRECTORY | OFlag::O_PATH)?;
        return clear_folder(&inner, path, made);
    }
    Ok(())
}

fn clear_folder(folder: &OwnedFd, path: &Path, made: &HashSet<PathBuf>) -> io::Result<()> {
    let mut open = Dir::from_fd(within(folder, OsStr::new("."), OFlag::O_DIRECTORY)?)?;
    let names = open.iter().map(|entry| Ok(entry?.file_name().to_owned()));
    let names: Vec<_> = names.collect::<io::Result<_>>()?;
    for name in names {
        let name = OsStr::from_bytes(name.as_bytes());
        if name != "." && name != ".." {
            clear_unless_made(folder, name, &path.join(name), made)?;
        }
    }
    Ok(())
}

/// A path that leads to what a descriptor stands for.
fn path_of(found: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", found.as_fd().as_raw_fd())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use tar::{Builder, Header};

    use super::*;

    const LONG_AGO: u64 = 1_000_000;

    fn add(layer: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, mode: u32, data: &str) {
        let mut header = Header::new_gnu();
        // Written as they are: `set_path` would refuse what a hostile layer has.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        let is_link = kind.is_symlink() || kind.is_hard_link();
        let data = if is_link {
            let target = &mut header.as_gnu_mut().unwrap().linkname;
            target[..data.len()].copy_from_slice(data.as_bytes());
            ""
        } else {
            data
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(geteuid().as_raw().into());
        header.set_gid(nix::unistd::getegid().as_raw().into());
        header.set_mtime(LONG_AGO);
        header.set_size(data.len() as u64);
        header.set_cksum();
        layer.append(&header, data.as_bytes()).unwrap();
    }

    fn layer(entries: &[(EntryType, &str, u32, &str)]) -> Vec<u8> {
        let mut layer = Builder::new(Vec::new());
        for (kind, name, mode, data) in entries {
            add(&mut layer, *kind, name, *mode, data);
        }
        layer.into_inner().unwrap()
    }

    fn unpack(root: &Path, layers: &[Vec<u8>]) -> io::Result<()> {
        let mut into = Root::create(root)?;
        for layer in layers {
            into.apply(&layer[..])?;
        }
        into.finish()
    }

    const FILE: EntryType = EntryType::Regular;
    const DIR: EntryType = EntryType::Directory;
    const SYMLINK: EntryType = EntryType::Symlink;
    const LINK: EntryType = EntryType::Link;

    #[test]
    fn layers_lie_over_each_other() -> io::Result<()> {
        let lower = layer(&[
            (DIR, "./", 0o711, ""),
            (DIR, "./closed", 0o500, ""),
            (FILE, "./closed/file", 0o4755, "lower"),
            (DIR, "./usr", 0o755, ""),
            (DIR, "./usr/lib", 0o755, ""),
            (SYMLINK, "./lib", 0o777, "usr/lib"),
            (FILE, "./gone", 0o644, ""),
            (DIR, "./gone-too", 0o000, ""),
            (FILE, "./gone-too/inner", 0o644, ""),
            (DIR, "./emptied", 0o755, ""),
            (FILE, "./emptied/old", 0o644, ""),
            (DIR, "./emptied/both", 0o755, ""),
            (FILE, "./emptied/both/old", 0o644, ""),
            (FILE, "./becomes-folder", 0o644, ""),
            (DIR, "./becomes-file", 0o755, ""),
            (FILE, "./becomes-file/inner", 0o644, ""),
            (EntryType::Char, "./device", 0o666, ""),
        ]);
        let upper = layer(&[
            (FILE, "closed/file", 0o600, "upper"),
            (FILE, "/lib/through-link", 0o644, "real"),
            (LINK, "second-name", 0o600, "closed/file"),
            (FILE, ".wh.gone", 0, ""),
            (FILE, ".wh.gone-too", 0, ""),
            (FILE, ".wh.never-there", 0, ""),
            (FILE, "emptied/both/new", 0o644, ""),
            (FILE, "emptied/.wh..wh..opq", 0, ""),
            (FILE, "emptied/new", 0o644, ""),
            (DIR, "becomes-folder", 0o755, ""),
            (FILE, "becomes-file", 0o644, "file"),
            (FILE, "made/on/the/way", 0o644, ""),
            (FILE, ".wh..wh.plnk", 0, ""),
        ]);
        let place = tempfile::tempdir()?;
        let root = place.path().join("root");

        unpack(&root, &[lower, upper])?;

        let look = |path: &str| root.join(path).symlink_metadata();
        let mode = |path: &str| look(path).map(|found| found.mode() & MODE_BITS);
        assert_eq!((mode("")?, mode("closed")?), (0o711, 0o500));
        assert_eq!(look("closed")?.mtime().unsigned_abs(), LONG_AGO);
        assert_eq!(mode("closed/file")?, 0o600);
        assert_eq!(look("closed/file")?.mtime().unsigned_abs(), LONG_AGO);
        assert_eq!(fs::read_to_string(root.join("second-name"))?, "upper");
        assert_eq!(look("second-name")?.ino(), look("closed/file")?.ino());
        assert_eq!(
            fs::read_to_string(root.join("usr/lib/through-link"))?,
            "real"
        );
        assert!(look("lib")?.is_symlink());
        for gone in [
            "gone",
            "gone-too",
            "emptied/old",
            "emptied/both/old",
            "device",
        ] {
            assert!(look(gone).is_err(), "{gone}");
        }
        for there in ["emptied/new", "emptied/both/new", "made/on/the/way"] {
            assert!(look(there)?.is_file(), "{there}");
        }
        assert!(look("becomes-folder")?.is_dir() && look("becomes-file")?.is_file());
        assert_eq!(mode("made/on")?, 0o755);
        assert!(!fs::read_dir(&root)?.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().as_bytes().starts_with(WHITEOUT))
        }));
        Ok(())
    }

    #[test]
    fn a_hostile_layer_reaches_nothing_outside() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let outside = place.path().join("outside");
        fs::create_dir(&outside)?;
        fs::write(outside.join("kept"), "kept")?;
        let outside_text = outside.to_str().unwrap();
        let up = format!("{}{outside_text}", "../".repeat(20));
        let secret = format!("{outside_text}/kept");
        let hostile: [&[(EntryType, &str, u32, &str)]; 10] = [
            &[(FILE, "../outside/new", 0o644, "")],
            &[(FILE, "a/../../outside/new", 0o644, "")],
            &[
                (SYMLINK, "link", 0o777, outside_text),
                (FILE, "link/new", 0o644, ""),
            ],
            &[(SYMLINK, "link", 0o777, &up), (FILE, "link/new", 0o644, "")],
            &[
                (SYMLINK, "link", 0o777, outside_text),
                (FILE, "link/.wh.kept", 0, ""),
            ],
            &[
                (SYMLINK, "link", 0o777, outside_text),
                (FILE, "link/.wh..wh..opq", 0, ""),
            ],
            &[
                (SYMLINK, "link", 0o777, &secret),
                (FILE, "link", 0o644, "new"),
            ],
            &[(LINK, "link", 0o644, &secret), (FILE, "link", 0o644, "new")],
            &[(LINK, "link", 0o644, "../outside/kept")],
            &[(FILE, "a/.wh...", 0, "")],
        ];
        for (number, entries) in hostile.into_iter().enumerate() {
            let root = place.path().join(format!("root{number}"));
            let _ = unpack(&root, &[layer(entries)]);
            let names = fs::read_dir(&outside)?.map(|entry| Ok(entry?.file_name()));
            let names: Vec<_> = names.collect::<io::Result<_>>()?;
            assert_eq!(names, ["kept"], "{entries:?}");
            assert_eq!(
                fs::read_to_string(outside.join("kept"))?,
                "kept",
                "{entries:?}"
            );
            assert_eq!(outside.join("kept").metadata()?.nlink(), 1, "{entries:?}");
        }
        Ok(())
    }

    #[test]
    fn paths_that_lead_out_of_the_image_are_refused_by_name() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let refusal = unpack(
            &place.path().join("root"),
            &[layer(&[(FILE, "../x", 0o644, "")])],
        );
        let text = refusal.unwrap_err().to_string();
        assert_eq!(text, "../x: a path that leads out of the image");
        Ok(())
    }

    #[test]
    fn links_lead_where_they_would_in_a_vm() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let root = place.path().join("root");
        let entries: [(EntryType, &str, u32, &str); 4] = [
            (DIR, "real", 0o755, ""),
            (SYMLINK, "absolute", 0o777, "/real"),
            (SYMLINK, "climbing", 0o777, "../../../real"),
            (FILE, "absolute/one", 0o644, ""),
        ];
        let more = [(FILE, "climbing/two", 0o644, "")];
        unpack(&root, &[layer(&entries), layer(&more)])?;
        assert!(root.join("real/one").is_file() && root.join("real/two").is_file());
        Ok(())
    }
}
