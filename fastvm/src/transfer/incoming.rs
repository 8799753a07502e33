//! An object on its way in, read by a task of its own.
//!
//! Where the caller polls from, each chunk may wake another thread. The task runs where the
//! connection does, and whoever takes the chunks finds many at once.

use std::panic::resume_unwind;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::lost;
use super::resume::{Broken, Object};

/// How many chunks wait to be taken. The connection makes none larger than some 400 KiB.
pub(super) const CHUNKS: usize = 8;

/// The reading of an object, which stops when this is dropped.
pub(super) struct Reading(JoinSet<Result<Object, Broken>>);

impl Reading {
    /// Begins. The chunks end when the object is whole or its reading has failed.
    pub(super) fn of(object: Object) -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, chunks) = mpsc::channel(CHUNKS);
        let mut task = JoinSet::new();
        task.spawn(read(object, sender).in_current_span());
        (Self(task), chunks)
    }

    /// Why the chunks have ended: the object if it is whole, or if nobody took all of it.
    pub(super) async fn end(mut self) -> Result<Object, Broken> {
        match self.0.join_next().await {
            Some(Ok(read)) => read,
            Some(Err(error)) => match error.try_into_panic() {
                // That of a listener, which is the caller's own.
                Ok(panic) => resume_unwind(panic),
                Err(error) => Err(lost(error).into()),
            },
            // There is one task, and this is called once.
            None => Err(lost("nothing reads it").into()),
        }
    }
}

async fn read(mut object: Object, sender: mpsc::Sender<Bytes>) -> Result<Object, Broken> {
    while let Some(chunk) = object.chunk().await? {
        if sender.send(chunk).await.is_err() {
            break;
        }
    }
    Ok(object)
}
