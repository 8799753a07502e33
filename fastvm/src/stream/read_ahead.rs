//! A stream that is asked for and read ahead by a task of its own.
//!
//! hyper hands over one piece at a time. Where the reader runs beside hyper's own task that costs next
//! to nothing; where another thread polls it, such as that of `#[tokio::main]`, each piece costs a
//! thread's sleep and wake-up, ten times the work of a small event. The task runs beside hyper, and
//! the reader takes all that has come with one wake-up: of a short command, the whole answer.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fastvm_api::{ByteStream, Error, ErrorKind, ResponseValue, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

/// How much is read before somebody takes it: beyond that the connection is left full.
const MOST_BYTES: u32 = 256 * 1024;

/// The most pieces that are read, and that are taken, at a time.
const MOST_AT_A_TIME: usize = 64;

/// How long the end of a body may take whose last event has come.
const END_WITHIN: Duration = Duration::from_secs(1);

pub(super) type Piece = std::result::Result<Bytes, reqwest::Error>;

pub(super) struct ReadAhead {
    pieces: UnboundedReceiver<Piece>,
    room: Arc<Semaphore>,
    task: AbortOnDropHandle<()>,
    runtime: Handle,
}

impl ReadAhead {
    /// Asks for a stream. Gives the status and headers of the answer, which may be awaited as long as
    /// there is what it gives besides: the reading of the body.
    pub(super) fn start(
        asking: impl Future<Output = Result<ResponseValue<ByteStream>>> + Send + 'static,
    ) -> (impl Future<Output = Result<ResponseValue<()>>> + Send, Self) {
        let (answered, answer) = oneshot::channel();
        let (sender, pieces) = unbounded_channel();
        let room = Arc::new(Semaphore::new(MOST_BYTES as usize));
        let runtime = Handle::current();
        let work = ask(asking, answered, sender, room.clone());
        let task = runtime.spawn(work.in_current_span());
        let answer = async {
            let lost = |_| Error::new(ErrorKind::Stream, "the task that reads the stream was lost");
            answer.await.map_err(lost)?
        };
        let reading = Self {
            pieces,
            room,
            task: AbortOnDropHandle::new(task),
            runtime,
        };
        (answer, reading)
    }

    /// Takes what has come; nothing at the end of the body.
    pub(super) fn poll_take(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<Piece>,
    ) -> Poll<()> {
        ready!(self.pieces.poll_recv_many(context, into, MOST_AT_A_TIME));
        let taken: u32 = into.iter().map(size).sum();
        self.room.add_permits(taken as usize);
        Poll::Ready(())
    }

    /// Lets the body come to its end, so that its connection can serve another request.
    pub(super) fn let_end(self) {
        if !self.task.is_finished() {
            let reading = self.task;
            self.runtime
                .spawn(async { timeout(END_WITHIN, reading).await });
        }
    }
}

async fn ask(
    asking: impl Future<Output = Result<ResponseValue<ByteStream>>>,
    answered: oneshot::Sender<Result<ResponseValue<()>>>,
    sender: UnboundedSender<Piece>,
    room: Arc<Semaphore>,
) {
    let (answer, body) = match asking.await {
        Ok(answer) => {
            let head = ResponseValue::new((), answer.status(), answer.headers().clone());
            (Ok(head), Some(answer.into_inner()))
        }
        Err(error) => (Err(error), None),
    };
    // Nobody waits if the stream was dropped.
    let _ = answered.send(answer);
    if let Some(body) = body {
        read(body, sender, room).await;
    }
}

async fn read(mut body: ByteStream, sender: UnboundedSender<Piece>, room: Arc<Semaphore>) {
    let mut pieces = Vec::new();
    let mut is_over = false;
    while !is_over {
        is_over = poll_fn(|context| poll_all(&mut body, context, &mut pieces)).await;
        for piece in pieces.drain(..) {
            let Ok(permit) = room.acquire_many(size(&piece)).await else {
                return;
            };
            permit.forget();
            if sender.send(piece).is_err() {
                return;
            }
        }
    }
}

/// All that is there, and whether it is the end. The end is most often there with the last piece: seen
/// at once, its connection is free before the reader can want another.
fn poll_all(
    body: &mut ByteStream,
    context: &mut Context<'_>,
    pieces: &mut Vec<Piece>,
) -> Poll<bool> {
    loop {
        match body.as_mut().poll_next(context) {
            Poll::Ready(Some(piece)) => {
                let is_broken = piece.is_err();
                pieces.push(piece);
                if is_broken || pieces.len() == MOST_AT_A_TIME {
                    return Poll::Ready(is_broken);
                }
            }
            Poll::Ready(None) => return Poll::Ready(true),
            Poll::Pending if pieces.is_empty() => return Poll::Pending,
            Poll::Pending => return Poll::Ready(false),
        }
    }
}

/// The room that a piece takes. One that is larger than all of it takes all.
fn size(piece: &Piece) -> u32 {
    let length = piece.as_ref().map_or(0, Bytes::len);
    u32::try_from(length).unwrap_or(MOST_BYTES).min(MOST_BYTES)
}
