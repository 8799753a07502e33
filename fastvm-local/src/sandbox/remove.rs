//! Deletes a tree and nothing else: no symbolic link is followed, no mount is entered, and folders
//! that forbid it (mode 000) are opened first.

use std::ffi::{CStr, CString};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2, renameat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Deeper folders are moved up to the top first: each level holds a descriptor.
const MAX_DEPTH: usize = 100;

/// Deletes the folder at `path` with all it holds. That there is none is no error.
///
/// The tree must be at rest: nobody else may rename in it meanwhile.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let top = match open_folder(AT_FDCWD, path) {
        Ok(top) => top,
        Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    let mut tree = Tree { top, moved: 0 };
    loop {
        let before = tree.moved;
        tree.empty(tree.top.try_clone()?, 0)?;
        if tree.moved == before {
            return fs::remove_dir(path);
        }
    }
}

struct Tree {
    top: OwnedFd,
    /// How many folders were moved up.
    moved: u64,
}

impl Tree {
    fn empty(&mut self, folder: OwnedFd, depth: usize) -> io::Result<()> {
        let mut folder = Dir::from_fd(folder)?;
        let names = folder.iter().map(|entry| Ok(entry?.file_name().to_owned()));
        let names: Vec<CString> = names.collect::<io::Result<_>>()?;
        for name in names
            .iter()
            .filter(|name| !matches!(name.as_bytes(), b"." | b".."))
        {
            match unlinkat(&folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(Errno::EISDIR) => self.remove_folder(&folder, name, depth)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn remove_folder(&mut self, parent: &Dir, name: &CStr, depth: usize) -> io::Result<()> {
        let folder = open_folder(parent, name)?;
        if depth == MAX_DEPTH {
            self.moved += 1;
            let free = CString::new(format!(".moved-{}-{}", std::process::id(), self.moved))?;
            return Ok(renameat(parent, name, &self.top, free.as_c_str())?);
        }
        self.empty(folder, depth + 1)?;
        Ok(unlinkat(parent, name, UnlinkatFlags::RemoveDir)?)
    }
}

/// Opens a folder that is neither a link nor a mount, and makes it ours to read and to change.
fn open_folder<F, P>(parent: F, name: &P) -> Result<OwnedFd, Errno>
where
    F: std::os::fd::AsFd,
    P: ?Sized + nix::NixPath,
{
    let how = |flags: OFlag| {
        let resolve = if parent.as_fd().as_raw_fd() == AT_FDCWD.as_raw_fd() {
            // The way to the top may lead through mounts and links of the host.
            ResolveFlag::empty()
        } else {
            ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS
        };
        OpenHow::new()
            .flags(flags | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(resolve)
    };
    let found = openat2(&parent, name, how(OFlag::O_PATH))?;
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    let mode = fs::metadata(&itself)
        .map_err(errno_of)?
        .permissions()
        .mode();
    if mode & 0o700 != 0o700 {
        fs::set_permissions(&itself, Permissions::from_mode(0o700)).map_err(errno_of)?;
    }
    openat2(&parent, name, how(OFlag::O_RDONLY))
}

fn errno_of(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_folders_go_and_what_links_point_to_stays() -> io::Result<()> {
        let outside = tempfile::tempdir()?;
        fs::write(outside.path().join("kept"), "kept")?;
        let place = tempfile::tempdir()?;
        let tree = place.path().join("tree");
        fs::create_dir_all(tree.join("closed/inner"))?;
        fs::write(tree.join("closed/inner/file"), "gone")?;
        std::os::unix::fs::symlink(outside.path(), tree.join("closed/link"))?;
        for closed in ["closed/inner", "closed"] {
            fs::set_permissions(tree.join(closed), Permissions::from_mode(0o000))?;
        }

        remove_tree(&tree)?;

        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(outside.path().join("kept"))?, "kept");
        Ok(())
    }

    #[test]
    fn a_tree_deeper_than_the_descriptors_reach_goes_too() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        let mut folder = open_folder(AT_FDCWD, place.path())?;
        nix::sys::stat::mkdirat(&folder, "tree", nix::sys::stat::Mode::S_IRWXU)?;
        folder = open_folder(&folder, "tree")?;
        for _ in 0..2500 {
            nix::sys::stat::mkdirat(&folder, "d", nix::sys::stat::Mode::S_IRWXU)?;
            folder = open_folder(&folder, "d")?;
        }

        remove_tree(&place.path().join("tree"))?;

        assert_eq!(fs::read_dir(place.path())?.count(), 0);
        Ok(())
    }

    #[test]
    fn a_link_in_place_of_the_tree_is_refused() -> io::Result<()> {
        let place = tempfile::tempdir()?;
        fs::create_dir(place.path().join("real"))?;
        std::os::unix::fs::symlink("real", place.path().join("link"))?;

        assert!(remove_tree(&place.path().join("link")).is_err());
        assert!(place.path().join("real").exists());
        Ok(())
    }
}
