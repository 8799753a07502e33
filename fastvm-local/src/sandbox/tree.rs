//! A root directory at rest, of which VMs get copies.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Host, copy_tree, remove_when_at_rest};

/// A folder that VMs are launched from.
#[derive(Debug)]
pub(crate) struct Tree {
    path: PathBuf,
    is_discarded: AtomicBool,
    /// One copy at a time: what forbids to be read is opened for it, and a second would take that
    /// for what it is.
    copying: Mutex<()>,
    /// Keeps the directory of a server in which it lies, until it is deleted.
    within: Option<Host>,
}

impl Tree {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self {
            path,
            is_discarded: AtomicBool::new(false),
            copying: Mutex::new(()),
            within: None,
        }
    }

    /// One in the directory of a server, which is discarded from the start.
    pub(crate) fn temporary(path: PathBuf, within: Host) -> Self {
        let mut tree = Self::at(path);
        tree.discard();
        tree.within = Some(within);
        tree
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it from a folder that is at rest: it is there as a whole or not at all. Blocks.
    pub(crate) fn fill_from(&self, folder: &Path) -> io::Result<()> {
        self.fill(|half| copy_tree(folder, half))
    }

    /// The same from another tree.
    pub(crate) fn fill_from_tree(&self, tree: &Self) -> io::Result<()> {
        self.fill(|half| tree.copy_to(half))
    }

    fn fill(&self, copy_to: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let mut half = self.path.clone().into_os_string();
        half.push(".new");
        let half = PathBuf::from(half);
        let filled = copy_to(&half).and_then(|()| fs::rename(&half, &self.path));
        if filled.is_err() {
            // What cannot be deleted is swept by the next start.
            let _ = remove_when_at_rest(&half);
        }
        filled
    }

    /// Makes a new folder a copy of it. Blocks.
    pub(crate) fn copy_to(&self, folder: &Path) -> io::Result<()> {
        // Nothing in memory is half changed after a panic.
        let _alone = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        copy_tree(&self.path, folder)
    }

    /// Deletes it, in the background, when the last who launches from it is done.
    pub(crate) fn discard(&self) {
        self.is_discarded.store(true, Ordering::Relaxed);
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !*self.is_discarded.get_mut() {
            return;
        }
        let path = std::mem::take(&mut self.path);
        let within = self.within.take();
        let remove = move || {
            let _within = within;
            if let Err(error) = remove_when_at_rest(&path) {
                tracing::warn!(path = %path.display(), %error, "a snapshot could not be deleted");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
