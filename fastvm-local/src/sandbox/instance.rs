//! The directories of one server, and those that dead servers have left.
//!
//! ```text
//! <state>/lock                      held while directories are made or swept
//! <state>/server-<pid>-<n>/lock     held while that server lives, be it killed
//!                         /vms/<id> the root of a VM
//!                         /trash/…  roots on their way out
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::remove::remove_tree;

const PREFIX: &str = "server-";

/// The directory of this server. It goes when this value does, or else with the next sweep.
#[derive(Debug)]
pub(super) struct Instance {
    path: PathBuf,
    _lock: Flock<File>,
    next_trash: AtomicU64,
}

impl Instance {
    /// Sweeps what dead servers have left below `state`, and makes a directory for this one.
    pub(super) fn create(state: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        private_dir_builder().recursive(true).create(state)?;
        // So that `/proc/…/mountinfo`, errors and sweeps speak of one path, whatever links lead there.
        let state = state.canonicalize()?;
        let _sweeping = lock(&state.join("lock"), FlockArg::LockExclusive)?;
        sweep(&state)?;
        // A server in another container may have our process id: take the next free name.
        let path = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = state.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match private_dir_builder().create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => break other.map(|()| path)?,
            }
        };
        let lock = lock(&path.join("lock"), FlockArg::LockExclusiveNonblock)?;
        for folder in ["vms", "trash"] {
            private_dir_builder().create(path.join(folder))?;
        }
        Ok(Self {
            path,
            _lock: lock,
            next_trash: AtomicU64::new(0),
        })
    }

    /// Where the root of a VM is.
    pub(super) fn root_of(&self, id: &str) -> PathBuf {
        self.path.join("vms").join(id)
    }

    /// Takes a root out of the way at once; it is to be deleted then. `None` if there is none.
    pub(super) fn discard(&self, root: &Path) -> io::Result<Option<PathBuf>> {
        let number = self.next_trash.fetch_add(1, Ordering::Relaxed);
        let trash = self.path.join("trash").join(number.to_string());
        match fs::rename(root, &trash) {
            Ok(()) => Ok(Some(trash)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // What cannot be deleted now is left to the next sweep.
        let _ = remove_tree(&self.path);
    }
}

/// Nobody else on the host may reach a VM's files: some of them run as root.
fn private_dir_builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

fn lock(path: &Path, how: FlockArg) -> io::Result<Flock<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    Flock::lock(file, how).map_err(|(_, errno)| errno.into())
}

/// Deletes the directories whose server is dead. One that cannot be deleted hinders nobody.
fn sweep(state: &Path) -> io::Result<()> {
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !is_ours || !entry.file_type()?.is_dir() {
            continue;
        }
        if lock(&entry.path().join("lock"), FlockArg::LockExclusiveNonblock).is_ok() {
            let _ = remove_when_at_rest(&entry.path());
        }
    }
    Ok(())
}

/// Deletes a folder with all it holds. VMs that died a moment ago may be writing to it still.
pub(crate) fn remove_when_at_rest(path: &Path) -> io::Result<()> {
    let mut attempts = 100;
    loop {
        match remove_tree(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempts > 0 => {
                attempts -= 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}
