//! An object on its way in, read by a task of its own.
//!
//! Where the caller polls from, each chunk may wake another thread. The task runs where the
//! connection does, and whoever takes the chunks finds many at once.

use std::panic::resume_unwind;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::lost;
use super::resume::{Broken, Object};

/// How many bytes may have come that are not used up yet: chunks may be small or large.
const ROOM: u32 = 1024 * 1024;

/// What the smallest chunk takes of it: it costs more than its bytes.
const LEAST: u32 = 4096;

/// What has come. A chunk is to be dropped before the next is waited for.
pub(super) type Chunks = mpsc::UnboundedReceiver<Bytes>;

/// The reading of an object, which stops when this is dropped.
pub(super) struct Reading(JoinSet<Result<Object, Broken>>);

impl Reading {
    /// Begins. The chunks end when the object is whole or its reading has failed.
    pub(super) fn of(object: Object) -> (Self, Chunks) {
        let (sender, chunks) = mpsc::unbounded_channel();
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

async fn read(mut object: Object, sender: mpsc::UnboundedSender<Bytes>) -> Result<Object, Broken> {
    let room = Arc::new(Semaphore::new(ROOM as usize));
    while let Some(bytes) = object.chunk().await? {
        let size = u32::try_from(bytes.len()).unwrap_or(ROOM);
        let taken = room.clone().acquire_many_owned(size.clamp(LEAST, ROOM));
        let chunk = Chunk {
            bytes,
            _room: taken.await.map_err(lost)?,
        };
        if sender.send(Bytes::from_owner(chunk)).is_err() {
            break;
        }
    }
    Ok(object)
}

/// Bytes that give their room back when they are dropped.
struct Chunk {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
