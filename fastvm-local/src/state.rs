//! Where the VMs and objects of a server lie.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::sandbox::{Host, ProbeError};
use crate::store::{Store, StoreError};

/// The folder of objects stands among those of the VMs, none of which can have this name: there it
/// is private, goes with the server, and is swept by the next start if the server is killed.
const OBJECTS: &str = ".objects";

/// So do the root directories that are made of images.
const IMAGES: &str = ".images";

/// What a temporary server keeps lies there, too.
const KEPT: &str = ".kept";

const MOST_ATTEMPTS: usize = 5;

/// How long the background removal of VMs is awaited.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);

/// A directory that servers share, each with a folder of its own in it.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    is_temporary: bool,
}

impl StateDir {
    pub(crate) fn named(path: PathBuf) -> Self {
        Self {
            path,
            is_temporary: false,
        }
    }

    /// One below the system's temporary directory, for all servers of this user: so that each can
    /// remove what a killed one has left.
    pub(crate) fn temporary() -> Self {
        #[cfg(target_os = "linux")]
        let owner = nix::unistd::geteuid();
        #[cfg(not(target_os = "linux"))]
        let owner = "user";
        Self {
            path: std::env::temp_dir().join(format!("fastvm-local-{owner}")),
            is_temporary: true,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that nobody else owns the directory, if it is there.
    pub(crate) fn check(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if self.is_temporary {
            use std::os::unix::fs::MetadataExt;
            let found = match std::fs::symlink_metadata(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                found => found?,
            };
            let is_ours = found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw();
            if !is_ours || found.mode() & 0o022 != 0 {
                return Err(io::Error::other(
                    "it is not a directory that only this user can write",
                ));
            }
        }
        Ok(())
    }

    /// Finds out whether VMs can be had here.
    pub(crate) async fn probe(&self) -> Result<Host, ProbeError> {
        let mut attempt = 1;
        loop {
            match Host::probe(&self.path).await {
                // Another server has removed the directory while we came.
                Err(error)
                    if self.is_temporary && is_not_found(&error) && attempt < MOST_ATTEMPTS =>
                {
                    attempt += 1
                }
                probed => return probed,
            }
        }
    }

    /// What is kept beside the VMs: in a directory that the user has named it outlives the server.
    pub(crate) fn store(&self, host: &Host) -> Result<Store, StoreError> {
        if self.is_temporary {
            Store::open(host.root_of(KEPT), false)
        } else {
            Store::open(self.path.join("kept"), true)
        }
    }

    /// Waits until the server's folder is gone, which it is when the last of its VMs is removed, and
    /// what is kept is free for another server; removes a temporary directory after the last server.
    pub(crate) async fn release(self, objects: PathBuf, kept: Weak<Store>) {
        if let Ok(state) = self.path.canonicalize() {
            let below = objects.ancestors().take_while(|folder| *folder != state);
            let servers_own = below.last().unwrap_or(&objects);
            let begin = Instant::now();
            let is_used = || servers_own.exists() || kept.strong_count() > 0;
            while is_used() && begin.elapsed() < REMOVAL_LIMIT {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        if self.is_temporary {
            let _ = remove_if_unused(&self.path);
        }
    }
}

/// Where the root directories that a server makes of images lie.
pub(crate) fn images(host: &Host) -> PathBuf {
    host.root_of(IMAGES)
}

/// Where the objects of a server lie.
pub(crate) fn objects(host: &Host) -> PathBuf {
    host.root_of(OBJECTS)
}

fn is_not_found(error: &ProbeError) -> bool {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

/// Removes the directory if there is nothing in it but the lock of those who come and go.
fn remove_if_unused(path: &Path) -> io::Result<()> {
    for entry in path.read_dir()? {
        if entry?.file_name() != "lock" {
            return Ok(());
        }
    }
    std::fs::remove_file(path.join("lock"))?;
    std::fs::remove_dir(path)
}
