//! Copies a root directory: folders, files and links with their modes, times and, as root, owners. No
//! symbolic link is followed and no mount is entered. Sockets, pipes and devices are left out. A file
//! with several names stays one: some images have a hundred names for each of their programs.
//!
//! At most two folders are open at a time, however deep the tree is. What forbids to be read (mode
//! 000) is opened for as long as it takes, and closed again.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::vec;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{
    FileStat, Mode, SFlag, UtimensatFlags, fstat, fstatat, futimens, mkdirat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, Whence, fchownat, geteuid, linkat, lseek, symlinkat};

/// Mode bits that `chmod` takes.
const MODE_BITS: u32 = 0o7777;

/// Copies the folder `from`, which must be at rest, to the new folder `to`. After an error part of
/// the copy is left.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let folder = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let from = openat(AT_FDCWD, from, folder, Mode::empty())?;
    fs::create_dir(to)?;
    let to = openat(AT_FDCWD, to, folder, Mode::empty())?;
    let mut walk = Walk {
        top: Level::open(&from, &to, c"")?,
        above: Vec::new(),
        linked: HashMap::new(),
        root: to,
        keeps_owners: geteuid().is_root(),
    };
    let walked = walk.run();
    if walked.is_err() {
        walk.close_all();
    }
    walked
}

struct Walk {
    /// The folder that is being copied.
    top: Level,
    /// What is left to do in the folders around it. They are not open.
    above: Vec<Rest>,
    /// The copies of files with several names, by device and number of the original: paths from
    /// the root of the copy.
    linked: HashMap<(u64, u64), PathBuf>,
    root: OwnedFd,
    keeps_owners: bool,
}

struct Level {
    from: Dir,
    to: OwnedFd,
    rest: Rest,
}

/// What is left to do in a folder.
struct Rest {
    name: CString,
    names: vec::IntoIter<CString>,
    /// What the folder was like before it was opened.
    was: FileStat,
}

impl Level {
    /// Opens a folder to be read and its copy to be filled.
    fn open(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> io::Result<Self> {
        let was = fstat(from)?;
        let opened = || -> io::Result<_> {
            open_to_owner(from, &was, 0o700)?;
            let mut open = Dir::from_fd(reopen(from)?)?;
            let names = open.iter().map(|entry| Ok(entry?.file_name().to_owned()));
            let mut names: Vec<CString> = names.collect::<io::Result<_>>()?;
            names.retain(|name| !matches!(name.as_bytes(), b"." | b".."));
            fs::set_permissions(path_of(to), Permissions::from_mode(0o700))?;
            Ok((open, names, reopen(to)?))
        };
        let (open, names, to) = opened().inspect_err(|_| close_again(from, &was))?;
        Ok(Self {
            from: open,
            to,
            rest: Rest {
                name: name.to_owned(),
                names: names.into_iter(),
                was,
            },
        })
    }
}

impl Walk {
    fn run(&mut self) -> io::Result<()> {
        loop {
            match self.top.rest.names.next() {
                Some(name) => self.copy(&name)?,
                None => {
                    // Its own mode may forbid the way up.
                    let around = self.around();
                    dress(&self.top.to, &self.top.rest.was, self.keeps_owners)?;
                    if !self.leave(around)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn copy(&mut self, name: &CStr) -> io::Result<()> {
        let Level { from, to, .. } = &self.top;
        let was = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        match kind(&was) {
            SFlag::S_IFDIR => self.enter(name),
            SFlag::S_IFREG if was.st_nlink > 1 => self.copy_linked(name, &was),
            SFlag::S_IFREG => copy_file(from, to, name, self.keeps_owners),
            SFlag::S_IFLNK => copy_link(from, to, name, &was, self.keeps_owners),
            _ => Ok(()),
        }
    }

    /// Copies a file that has other names, unless it was copied under one of them.
    fn copy_linked(&mut self, name: &CStr, was: &FileStat) -> io::Result<()> {
        let Level { from, to, .. } = &self.top;
        let file = (was.st_dev, was.st_ino);
        // Where no link can be made (too many, too long a path, a closed folder), there is a copy more.
        let link = |copy| linkat(&self.root, copy, to, name, AtFlags::empty());
        if self
            .linked
            .get(&file)
            .is_some_and(|copy: &PathBuf| link(copy).is_ok())
        {
            return Ok(());
        }
        copy_file(from, to, name, self.keeps_owners)?;
        let folders = self.above.iter().chain([&self.top.rest]);
        let names = folders.map(|folder| folder.name.as_c_str()).chain([name]);
        let path = names
            .map(|name| OsStr::from_bytes(name.to_bytes()))
            .collect();
        self.linked.insert(file, path);
        Ok(())
    }

    fn enter(&mut self, name: &CStr) -> io::Result<()> {
        let folder = match open_within(&self.top.from, name, OFlag::O_DIRECTORY) {
            // A mount: what is in it is not of this tree.
            Err(Errno::EXDEV) => return Ok(()),
            found => found?,
        };
        mkdirat(&self.top.to, name, Mode::S_IRWXU)?;
        let copy = open_within(&self.top.to, name, OFlag::O_DIRECTORY)?;
        let inner = Level::open(&folder, &copy, name)?;
        let outer = std::mem::replace(&mut self.top, inner);
        self.above.push(outer.rest);
        Ok(())
    }

    /// The folder around this one and its copy, unless this is the outermost.
    fn around(&self) -> Option<io::Result<(Dir, OwnedFd)>> {
        let open = || Ok((Dir::from_fd(up(&self.top.from)?)?, up(&self.top.to)?));
        (!self.above.is_empty()).then(open)
    }

    /// Leaves the original as it was found, and goes on around it, if there is something.
    fn leave(&mut self, around: Option<io::Result<(Dir, OwnedFd)>>) -> io::Result<bool> {
        close_again(&self.top.from, &self.top.rest.was);
        let (Some(around), Some(rest)) = (around, self.above.pop()) else {
            return Ok(false);
        };
        let (from, to) = around?;
        self.top = Level { from, to, rest };
        Ok(true)
    }

    /// After an error: the original shall be as it was.
    fn close_all(&mut self) {
        loop {
            let around = self.around();
            if !matches!(self.leave(around), Ok(true)) {
                return;
            }
        }
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn up(folder: &impl AsFd) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(folder, c"..", flags, Mode::empty())
}

/// Finds a name in a folder, without the right to read what it names.
fn open_within(folder: &impl AsFd, name: &CStr, more: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(more | OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(folder, name, how)
}

/// A path that leads to what a descriptor stands for, wherever that is.
fn path_of(found: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", found.as_fd().as_raw_fd())
}

fn reopen(found: &OwnedFd) -> io::Result<OwnedFd> {
    File::open(path_of(found)).map(OwnedFd::from)
}

/// Gives the owner these rights, if they are missing: root in a VM needs none to read.
fn open_to_owner(found: &OwnedFd, was: &FileStat, rights: u32) -> io::Result<()> {
    if was.st_mode & rights == rights || geteuid().is_root() {
        return Ok(());
    }
    let mode = was.st_mode & MODE_BITS | rights;
    fs::set_permissions(path_of(found), Permissions::from_mode(mode))
}

fn close_again(found: &impl AsFd, was: &FileStat) {
    let is_changed = fstat(found).is_ok_and(|is| is.st_mode != was.st_mode);
    if is_changed {
        // Who could open it can close it.
        let mode = Permissions::from_mode(was.st_mode & MODE_BITS);
        let _ = fs::set_permissions(path_of(found), mode);
    }
}

fn copy_file(from: &Dir, to: &OwnedFd, name: &CStr, keeps_owner: bool) -> io::Result<()> {
    let found = match open_within(from, name, OFlag::empty()) {
        Err(Errno::EXDEV) => return Ok(()),
        found => found?,
    };
    let was = fstat(&found)?;
    open_to_owner(&found, &was, 0o400)?;
    let opened = reopen(&found);
    close_again(&found, &was);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let copy = openat(to, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let mut copy = File::from(copy);
    copy_content(File::from(opened?), &mut copy)?;
    dress(&copy.into(), &was, keeps_owner)
}

/// Copies what is written in a file and leaves its holes. The kernel shares the blocks if the file
/// system can.
fn copy_content(mut from: File, to: &mut File) -> io::Result<()> {
    let length = from.metadata()?.len();
    let mut place = 0;
    while let Some(data) = data_from(&from, place)? {
        let end = lseek(&from, data, Whence::SeekHole)?;
        from.seek(SeekFrom::Start(data.unsigned_abs()))?;
        to.seek(SeekFrom::Start(data.unsigned_abs()))?;
        io::copy(&mut (&from).take(end.abs_diff(data)), to)?;
        place = end;
    }
    to.set_len(length)
}

/// Where the first data at this place or after it is.
fn data_from(file: &File, place: i64) -> io::Result<Option<i64>> {
    match lseek(file, place, Whence::SeekData) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn copy_link(
    from: &Dir,
    to: &OwnedFd,
    name: &CStr,
    was: &FileStat,
    keeps_owner: bool,
) -> io::Result<()> {
    let target: OsString = readlinkat(from, name)?;
    symlinkat(target.as_os_str(), to, name)?;
    if keeps_owner
        && (was.st_uid, was.st_gid) != owner_of(&fstatat(to, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    {
        let (uid, gid) = (Uid::from_raw(was.st_uid), Gid::from_raw(was.st_gid));
        fchownat(to, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    let (accessed, modified) = times(was);
    let itself = UtimensatFlags::NoFollowSymlink;
    Ok(utimensat(to, name, &accessed, &modified, itself)?)
}

fn owner_of(stat: &FileStat) -> (u32, u32) {
    (stat.st_uid, stat.st_gid)
}

/// Gives a copy the owner, mode and times of the original. In this order: a new owner takes setuid
/// bits away.
fn dress(copy: &OwnedFd, was: &FileStat, keeps_owner: bool) -> io::Result<()> {
    if keeps_owner && owner_of(was) != owner_of(&fstat(copy)?) {
        fchown(copy, Some(was.st_uid), Some(was.st_gid))?;
    }
    let mode = Permissions::from_mode(was.st_mode & MODE_BITS);
    fs::set_permissions(path_of(copy), mode)?;
    let (accessed, modified) = times(was);
    Ok(futimens(copy, &accessed, &modified)?)
}

fn times(stat: &FileStat) -> (TimeSpec, TimeSpec) {
    (
        TimeSpec::new(stat.st_atime, stat.st_atime_nsec),
        TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).map_or(0, |found| found.mode() & MODE_BITS)
    }

    fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, Permissions::from_mode(mode))
    }

    #[test]
    fn modes_times_links_and_holes_are_kept_and_sockets_are_not() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir_all(from.join("closed/inner"))?;
        fs::write(from.join("closed/inner/file"), "text")?;
        fs::write(from.join("program"), "#!")?;
        fs::write(from.join("secret"), "hidden")?;
        symlink("/etc/passwd", from.join("absolute"))?;
        symlink("nowhere", from.join("dangling"))?;
        let socket = UnixListener::bind(from.join("socket"))?;
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let holey = File::create(from.join("holey"))?;
        holey.set_len(1 << 32)?;
        std::os::unix::fs::FileExt::write_all_at(&holey, b"end", (1 << 32) - 3)?;
        holey.set_modified(long_ago)?;
        File::open(from.join("closed/inner"))?.set_modified(long_ago)?;
        set_mode(&from.join("program"), 0o4755)?;
        set_mode(&from.join("secret"), 0)?;
        set_mode(&from.join("closed"), 0)?;
        set_mode(&from, 0o1777)?;

        copy_tree(&from, &to)?;

        for tree in [&from, &to] {
            assert_eq!(mode(tree), 0o1777);
            assert_eq!(mode(&tree.join("program")), 0o4755);
            assert_eq!(mode(&tree.join("secret")), 0);
            assert_eq!(mode(&tree.join("closed")), 0);
            set_mode(&tree.join("closed"), 0o700)?;
            set_mode(&tree.join("secret"), 0o600)?;
            assert_eq!(fs::read_to_string(tree.join("closed/inner/file"))?, "text");
            assert_eq!(fs::read_to_string(tree.join("secret"))?, "hidden");
            assert_eq!(tree.join("closed/inner").metadata()?.modified()?, long_ago);
            assert_eq!(
                fs::read_link(tree.join("absolute"))?,
                Path::new("/etc/passwd")
            );
            assert_eq!(fs::read_link(tree.join("dangling"))?, Path::new("nowhere"));
            let holey = tree.join("holey").metadata()?;
            assert_eq!((holey.len(), holey.modified()?), (1 << 32, long_ago));
            assert!(holey.blocks() < 2048, "holes are not filled");
        }
        assert!(from.join("socket").exists() && !to.join("socket").exists());
        drop(socket);
        Ok(())
    }

    #[test]
    fn a_file_with_several_names_stays_one() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir_all(from.join("bin/inner"))?;
        fs::create_dir_all(from.join("sbin"))?;
        fs::write(from.join("bin/tool"), "program")?;
        set_mode(&from.join("bin/tool"), 0o4755)?;
        for name in ["first", "bin/second", "bin/inner/third", "sbin/fourth"] {
            fs::hard_link(from.join("bin/tool"), from.join(name))?;
        }
        set_mode(&from.join("bin"), 0o555)?;

        copy_tree(&from, &to)?;

        let tool = to.join("bin/tool").metadata()?;
        assert_eq!((tool.nlink(), tool.mode() & MODE_BITS), (5, 0o4755));
        for name in ["first", "bin/second", "bin/inner/third", "sbin/fourth"] {
            assert_eq!(to.join(name).metadata()?.ino(), tool.ino(), "{name}");
        }
        assert_ne!(tool.ino(), from.join("bin/tool").metadata()?.ino());
        for tree in [&from, &to] {
            set_mode(&tree.join("bin"), 0o755)?;
        }
        Ok(())
    }

    #[test]
    fn a_tree_deeper_than_paths_reach_is_copied() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let here = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let mut folder = openat(AT_FDCWD, place.path(), here, Mode::empty())?;
        for name in std::iter::once(c"from").chain(std::iter::repeat_n(c"deep", 900)) {
            mkdirat(&folder, name, Mode::S_IRWXU)?;
            folder = openat(&folder, name, here, Mode::empty())?;
        }

        copy_tree(&place.path().join("from"), &place.path().join("to"))?;

        let mut folder = openat(AT_FDCWD, &place.path().join("to"), here, Mode::empty())?;
        for _ in 0..900 {
            folder = openat(&folder, c"deep", here, Mode::empty())?;
        }
        for name in ["from", "to"] {
            super::super::remove::remove_tree(&place.path().join(name))?;
        }
        Ok(())
    }

    #[test]
    fn a_link_in_place_of_the_tree_is_refused() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        fs::create_dir(place.path().join("real"))?;
        symlink("real", place.path().join("link"))?;
        let to = place.path().join("to");
        assert!(copy_tree(&place.path().join("link"), &to).is_err());
        assert!(!to.exists());
        Ok(())
    }
}
