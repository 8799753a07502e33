//! The body of an upload: counted, hashed and limited while it flows.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fastvm_api::{Error, ErrorKind, Outcome, Result};
use futures_core::Stream;
use tokio::time::Instant;

use super::checksum::Checksum;
use super::progress::Meter;
use super::source::Data;

/// A body on its way out, and what is known of it. Clones are the same: one goes with the request.
#[derive(Clone)]
pub(super) struct Outgoing(Arc<Mutex<Flow>>);

struct Flow {
    /// Until it is closed.
    data: Option<Data>,
    meter: Meter,
    checksum: Checksum,
    /// More than this, the VM does not take.
    largest: u64,
    /// Why the body broke off.
    failure: Option<Failure>,
    /// When something was last taken; `None` while the source is waited for.
    taken: Option<Instant>,
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

impl Outgoing {
    pub(super) fn new(data: Data, meter: Meter, checksum: Checksum, largest: u64) -> Self {
        Self(Arc::new(Mutex::new(Flow {
            data: Some(data),
            meter,
            checksum,
            largest,
            failure: None,
            taken: Some(Instant::now()),
        })))
    }

    /// Nobody takes the rest: storage may answer without having read it, and the connection would
    /// hold on to it.
    pub(super) fn close(&self) {
        self.lock().data = None;
    }

    /// For how long nobody has taken anything, though it was there.
    pub(super) fn idle(&self) -> Duration {
        self.lock().taken.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// An error if the data, not storage, was the reason to break off; `proof` says whether the
    /// source was whole.
    pub(super) fn check(&self, proof: Result<()>, path: &str) -> Result<()> {
        let mut flow = self.lock();
        let failure = flow.failure.take();
        if let Some(Failure::TooLarge) = failure {
            let largest = flow.largest;
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
        let mut flow = self.lock();
        flow.meter.finish();
        Sent {
            size: flow.meter.bytes(),
            checksum: flow.checksum.clone().finish(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Flow> {
        // Only a listener can panic in between, and the counts are whole then.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flow {
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

impl Stream for Outgoing {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut flow = self.lock();
        let Some(data) = &mut flow.data else {
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        };
        let polled = data.as_mut().poll_next(context);
        flow.taken = polled.is_ready().then(Instant::now);
        let chunk = ready!(polled);
        Poll::Ready(chunk.map(|chunk| flow.take(chunk)))
    }
}
