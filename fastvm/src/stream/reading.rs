//! How the body of a stream is read: here, or ahead by a task of its own.
//!
//! hyper hands over one piece at a time. Where the reader runs on a worker of the runtime, beside
//! hyper's own task, that costs next to nothing; where another thread polls it, such as that of
//! `#[tokio::main]`, each piece costs a thread's sleep and wake-up, ten times the work of a small event.
//! There, a task runs beside hyper, and the reader takes all that has come with one wake-up: of a short
//! command, the whole answer. Large pieces are read ahead everywhere: while one is decoded, the next
//! comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fastvm_api::{ByteStream, Error, ErrorKind, ResponseValue, Result};
use http::{HeaderMap, StatusCode};
use tokio::runtime::{Handle, worker_index};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::pipe::{Inlet, Outlet, Piece, pipe};

/// The most pieces that are read at a time.
const MOST_AT_A_TIME: usize = 64;

/// When so many lie ready, they come faster than the reader can be woken for each.
const MANY: usize = 4;

/// A piece of this length takes longer to decode than to hand over to another thread.
const LARGE_PIECE: usize = 4 * 1024;

/// So much in large pieces, and there is more to come.
const MUCH: usize = 256 * 1024;

/// How long the end of a body may take whose last event has come.
const END_WITHIN: Duration = Duration::from_secs(1);

/// For how much of that the reader waits.
const END_AWAITED: Duration = Duration::from_millis(100);

/// Of an answer.
pub(super) type Head = (StatusCode, HeaderMap);

pub(super) struct Reading {
    way: Way,
    runtime: Handle,
}

enum Way {
    /// By whoever polls. `large` is how much has come in large pieces; the body is taken when it is to be
    /// read ahead.
    Here {
        body: Option<ByteStream>,
        large: usize,
    },
    Ahead(Ahead),
}

/// By a task.
struct Ahead {
    pieces: Outlet,
    task: AbortOnDropHandle<()>,
}

impl Reading {
    /// Asks for a stream. Dropped before the answer is there, it asks no more.
    pub(super) async fn begin(
        asking: impl Future<Output = Result<ResponseValue<ByteStream>>> + Send + 'static,
    ) -> Result<(Head, Self)> {
        let runtime = Handle::current();
        let (head, way) = if is_on_worker() {
            let (head, body) = parts(asking.await?);
            let body = Some(body);
            (head, Way::Here { body, large: 0 })
        } else {
            let (answered, answer) = oneshot::channel();
            let ahead = Ahead::start(&runtime, |pieces| ask(asking, answered, pieces));
            let lost = |_| Error::new(ErrorKind::Stream, "the task that reads the stream was lost");
            (answer.await.map_err(lost)??, Way::Ahead(ahead))
        };
        Ok((head, Self { way, runtime }))
    }

    /// Takes what has come, and answers whether that is all there will be.
    pub(super) fn poll_take(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<Piece>,
    ) -> Poll<bool> {
        match &mut self.way {
            Way::Here { body, large } => {
                let Some(mut here) = body.take() else {
                    return Poll::Ready(true);
                };
                if *large >= MUCH || !is_on_worker() {
                    let ahead = Ahead::start(&self.runtime, |pieces| read(here, pieces));
                    self.way = Way::Ahead(ahead);
                    return self.poll_take(context, into);
                }
                let taken = poll_all(&mut here, context, into);
                *body = Some(here);
                let lengths = into.iter().flatten().map(Bytes::len);
                *large += lengths
                    .filter(|length| *length >= LARGE_PIECE)
                    .sum::<usize>();
                taken
            }
            Way::Ahead(ahead) => ahead.pieces.poll_take(context, into),
        }
    }
}

/// The end of a body whose last event has come, so that its connection can serve the next request.
/// Dropped before it is there, it is read by a task.
pub(super) struct End {
    body: Option<ByteStream>,
    limit: Option<Pin<Box<Sleep>>>,
    runtime: Handle,
}

impl End {
    pub(super) fn of(reading: Reading) -> Self {
        let body = match reading.way {
            Way::Here { body, .. } => body,
            // Its task learns that nobody wants more.
            Way::Ahead(ahead) => {
                ahead.task.detach();
                None
            }
        };
        Self {
            body,
            limit: None,
            runtime: reading.runtime,
        }
    }

    /// Ready when it is there, or not worth the waiting.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(());
        };
        if poll_rest(body, context).is_ready() {
            self.body = None;
            return Poll::Ready(());
        }
        let sleep = || {
            let _runtime = self.runtime.enter();
            Box::pin(sleep(END_AWAITED))
        };
        self.limit.get_or_insert_with(sleep).as_mut().poll(context)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.runtime.spawn(read_rest(body));
        }
    }
}

/// Whether what is polled now runs beside hyper.
fn is_on_worker() -> bool {
    worker_index().is_some()
}

fn parts(answer: ResponseValue<ByteStream>) -> (Head, ByteStream) {
    let head = (answer.status(), answer.headers().clone());
    (head, answer.into_inner())
}

impl Ahead {
    fn start<F>(runtime: &Handle, work: impl FnOnce(Inlet) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (inlet, pieces) = pipe();
        let task = AbortOnDropHandle::new(runtime.spawn(work(inlet).in_current_span()));
        Self { pieces, task }
    }
}

async fn ask(
    asking: impl Future<Output = Result<ResponseValue<ByteStream>>>,
    answered: oneshot::Sender<Result<Head>>,
    pieces: Inlet,
) {
    // Nobody waits if the stream was dropped.
    match asking.await.map(parts) {
        Ok((head, body)) => {
            let _ = answered.send(Ok(head));
            read(body, pieces).await;
        }
        Err(error) => _ = answered.send(Err(error)),
    }
}

/// Reads for as long as somebody wants it, then to the end.
async fn read(mut body: ByteStream, pieces: Inlet) {
    let mut read = Vec::new();
    let mut are_many = false;
    let is_over = poll_fn(|context| {
        while ready!(pieces.poll_wanted(context)) {
            let known = read.len();
            let is_over = ready!(poll_all(&mut body, context, &mut read));
            let has_room = read.len() < MOST_AT_A_TIME;
            if are_many && has_room && !is_over && are_worth_a_turn(&read[known..]) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            are_many = pieces.put(&mut read) >= MANY;
            if is_over {
                return Poll::Ready(true);
            }
        }
        Poll::Ready(false)
    });
    if !is_over.await {
        read_rest(body).await;
    }
}

/// Whether, after these, hyper gets a turn to bring more before the reader is woken. Where many small
/// pieces come, a wake-up for each few is what costs most.
fn are_worth_a_turn(new: &[Piece]) -> bool {
    let is_small = |piece: &Piece| piece.as_ref().is_ok_and(|bytes| bytes.len() < LARGE_PIECE);
    !new.is_empty() && new.iter().all(is_small)
}

/// Reads what is left of a body, for nobody. One that does not end is closed with its connection.
async fn read_rest(mut body: ByteStream) {
    let rest = poll_fn(|context| poll_rest(&mut body, context));
    let _ = timeout(END_WITHIN, rest).await;
}

fn poll_rest(body: &mut ByteStream, context: &mut Context<'_>) -> Poll<()> {
    while let Some(Ok(_)) = ready!(body.as_mut().poll_next(context)) {}
    Poll::Ready(())
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
