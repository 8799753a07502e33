//! The body of an upload: counted, hashed and limited while it flows.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fastvm_api::{Error, ErrorKind, Outcome, Result};
use futures_core::Stream;

use super::checksum::Checksum;
use super::progress::Meter;
use super::source::Data;

/// What is known of a body that is or was sent. Clones are the same.
#[derive(Clone)]
pub(super) struct Tally(Arc<Mutex<Count>>);

struct Count {
    meter: Meter,
    checksum: Checksum,
    /// More than this, the VM does not take.
    largest: u64,
    /// Why the body broke off.
    failure: Option<Failure>,
}

enum Failure {
    TooLarge,
    Unreadable(io::Error),
}

/// What was sent.
pub(super) struct Sent {
    pub(super) size: u64,
    /// Its SHA-256, if one was asked for.
    pub(super) checksum: Option<String>,
}

impl Tally {
    pub(super) fn new(meter: Meter, checksum: Checksum, largest: u64) -> Self {
        Self(Arc::new(Mutex::new(Count {
            meter,
            checksum,
            largest,
            failure: None,
        })))
    }

    /// An error if the data, not storage, was the reason to break off; `proof` says whether the
    /// source was whole.
    pub(super) fn check(&self, proof: Result<()>, path: &str) -> Result<()> {
        let mut count = self.lock();
        let failure = count.failure.take();
        if let Some(Failure::TooLarge) = failure {
            let largest = count.largest;
            let message = format!("it makes more than the {largest} bytes that the VM takes");
            return Err(Error::new(ErrorKind::Transfer, message)
                .with_path(path)
                .with_outcome(Outcome::Rejected));
        }
        proof?;
        match failure {
            Some(Failure::Unreadable(error)) => Err(Error::new(ErrorKind::Io, "it cannot be read")
                .with_path(path)
                .with_source(error)),
            _ => Ok(()),
        }
    }

    /// All is sent: sums up.
    pub(super) fn finish(&self) -> Sent {
        let mut count = self.lock();
        count.meter.finish();
        Sent {
            size: count.meter.bytes(),
            checksum: count.checksum.clone().finish(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        // Only a listener can panic in between, and the counts are whole then.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn take(&mut self, chunk: io::Result<Bytes>) -> io::Result<Bytes> {
        let chunk = chunk.map_err(|error| {
            let shown = io::Error::from(error.kind());
            self.failure = Some(Failure::Unreadable(error));
            shown
        })?;
        if self.meter.bytes() + chunk.len() as u64 > self.largest {
            self.failure = Some(Failure::TooLarge);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.checksum.update(&chunk);
        self.meter.add(chunk.len());
        Ok(chunk)
    }
}

/// Data on its way out.
pub(super) struct Outgoing {
    pub(super) data: Data,
    pub(super) tally: Tally,
}

impl Stream for Outgoing {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = ready!(self.data.as_mut().poll_next(context));
        Poll::Ready(chunk.map(|chunk| self.tally.lock().take(chunk)))
    }
}
