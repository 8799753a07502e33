//! How far a transfer is, for whoever wants to show it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a listener is told at most, but for the end.
const PACE: Duration = Duration::from_millis(100);

/// How far a transfer is: what `.on_progress(..)` is given.
///
/// Counted is what passes between this machine and storage. If the transfer starts over after a
/// passing fault, so does the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that have passed; of a folder, those of its archive.
    pub bytes: u64,
    /// How many there will be, if that is known: not for a folder that is packed while it is sent,
    /// nor for a reader.
    pub total: Option<u64>,
    /// Files that are packed or unpacked so far; 1 for a single file that is through.
    pub files: u64,
}

/// Who is told of the progress.
#[derive(Clone, Default)]
pub(super) struct Listener(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Listener {
    pub(super) fn new(listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some" } else { "None" })
    }
}

/// The count of files, which another thread may keep.
pub(super) type Files = Arc<AtomicU64>;

/// Counts an attempt's bytes, and tells the listener at a bounded rate.
#[derive(Debug)]
pub(super) struct Meter {
    listener: Listener,
    bytes: u64,
    total: Option<u64>,
    files: Files,
    told: Instant,
}

impl Meter {
    pub(super) fn new(listener: &Listener, total: Option<u64>) -> Self {
        Self {
            listener: listener.clone(),
            bytes: 0,
            total,
            files: Files::default(),
            told: Instant::now(),
        }
    }

    /// There will be so many bytes.
    pub(super) fn expect(&mut self, total: Option<u64>) {
        self.total = total;
    }

    /// Where files are counted.
    pub(super) fn files(&self) -> Files {
        self.files.clone()
    }

    /// How many bytes have passed.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many more bytes have passed.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if self.listener.0.is_some() && self.told.elapsed() >= PACE {
            self.tell();
        }
    }

    /// All has passed: the last word, however soon after the one before.
    pub(super) fn finish(&mut self) {
        self.tell();
    }

    fn tell(&mut self) {
        self.told = Instant::now();
        if let Some(listener) = &self.listener.0 {
            listener(Progress {
                bytes: self.bytes,
                total: self.total,
                files: self.files.load(Ordering::Relaxed),
            });
        }
    }
}
