//! One stream of events, read by up to three: standard output, standard error, and who waits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use fastvm_api::{Error, ErrorKind};
use futures_core::Stream as _;

use super::script::Report;
use crate::exec::STDERR_TAIL;
use crate::stream::{ExecEvent, ExecStream, Exit};

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Stdout,
    Stderr,
    Waiter,
}

/// The stream, shared. Whoever needs something drives it, and leaves what is for the others.
pub(super) struct Shared {
    demux: Mutex<Demux>,
    wakers: Arc<Wakers>,
}

/// Wakes all that wait: the stream itself knows only who asked last, and that one may be gone.
#[derive(Default)]
struct Wakers([Mutex<Option<Waker>>; 3]);

struct Demux {
    /// Gone after its end, so that its connection is free.
    events: Option<ExecStream>,
    stdout: Buffer,
    stderr: Buffer,
    stderr_tail: Vec<u8>,
    reporting: Reporting,
    end: Option<End>,
}

/// What came and was not read yet; `None` if nobody wants it.
struct Buffer(Option<VecDeque<Bytes>>);

enum Reporting {
    /// The tag that the report will have, and what came on standard error so far.
    Awaited(String, Vec<u8>),
    Over(Option<Report>),
}

enum End {
    Exited(Exit),
    /// The error is for the first that waits; the rest get its text.
    Failed(Option<Error>, ErrorKind, String),
}

impl Shared {
    pub(super) fn new(events: ExecStream, tag: Option<String>) -> Arc<Self> {
        let demux = Demux {
            events: Some(events),
            stdout: Buffer(Some(VecDeque::new())),
            stderr: Buffer(Some(VecDeque::new())),
            stderr_tail: Vec::new(),
            reporting: match tag {
                Some(tag) => Reporting::Awaited(tag, Vec::new()),
                None => Reporting::Over(None),
            },
            end: None,
        };
        Arc::new(Self {
            demux: Mutex::new(demux),
            wakers: Arc::default(),
        })
    }

    /// What the VM reported of the start, unless the stream ended before.
    pub(super) async fn report(&self) -> Option<Report> {
        let found = |demux: &mut Demux| match &mut demux.reporting {
            Reporting::Awaited(..) => None,
            Reporting::Over(report) => Some(report.take()),
        };
        poll_fn(|context| self.poll(Reader::Waiter, context, found)).await
    }

    /// Reads on to the end, and says how that was. What is wanted of the output is kept.
    pub(super) async fn ended(&self) -> Result<Exit, Error> {
        let end = |demux: &mut Demux| demux.end.as_mut().map(End::tell);
        poll_fn(|context| self.poll(Reader::Waiter, context, end)).await
    }

    /// The next piece of an output that is not empty, at most this long; `None` at its end.
    pub(super) fn poll_read(
        &self,
        reader: Reader,
        length: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        self.poll(reader, context, |demux| {
            if let Some(piece) = demux.buffer(reader).next(length) {
                return Some(Ok(Some(piece)));
            }
            let failed = |error| Err(io::Error::new(io::ErrorKind::ConnectionAborted, error));
            Some(match demux.end.as_ref()? {
                End::Exited(_) => Ok(None),
                End::Failed(_, kind, text) => failed(Error::new(*kind, text.as_str())),
            })
        })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }

    /// All that was kept of an output, for good.
    pub(super) fn take(&self, reader: Reader) -> Vec<u8> {
        let pieces = self.lock().buffer(reader).0.take().unwrap_or_default();
        let mut whole = Vec::with_capacity(pieces.iter().map(Bytes::len).sum());
        pieces
            .iter()
            .for_each(|piece| whole.extend_from_slice(piece));
        whole
    }

    /// Nobody wants this output any more.
    pub(super) fn discard(&self, reader: Reader) {
        self.lock().buffer(reader).0 = None;
    }

    /// The end of standard error, discarded or not.
    pub(super) fn stderr_tail(&self) -> Vec<u8> {
        self.lock().stderr_tail.clone()
    }

    /// Reads events until there is what is looked for. The end must be among it.
    fn poll<T>(
        &self,
        reader: Reader,
        context: &mut Context<'_>,
        mut look: impl FnMut(&mut Demux) -> Option<T>,
    ) -> Poll<T> {
        self.wakers.set(reader, context.waker());
        let everyone = Waker::from(Arc::clone(&self.wakers));
        let mut context = Context::from_waker(&everyone);
        let mut has_news = false;
        let mut demux = self.lock();
        let found = loop {
            if let Some(found) = look(&mut demux) {
                break Poll::Ready(found);
            }
            match demux.poll_event(&mut context) {
                Poll::Ready(()) => has_news = true,
                Poll::Pending => break Poll::Pending,
            }
        };
        drop(demux);
        if has_news {
            self.wakers.wake_others(reader);
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, Demux> {
        self.demux.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Demux {
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let event = match &mut self.events {
            Some(events) => std::task::ready!(Pin::new(events).poll_next(context)),
            None => None,
        };
        match event {
            Some(Ok(ExecEvent::Stdout(bytes))) => self.stdout.push(bytes),
            Some(Ok(ExecEvent::Stderr(bytes))) => self.take_stderr(bytes),
            Some(Ok(ExecEvent::Exit(exit))) => self.finish(End::Exited(exit)),
            Some(Err(error)) => self.finish(End::of(error)),
            None => {
                let message = "the stream was read to its end before";
                self.finish(End::of(Error::new(ErrorKind::Stream, message)));
            }
        }
        Poll::Ready(())
    }

    fn take_stderr(&mut self, bytes: Bytes) {
        let Reporting::Awaited(tag, head) = &mut self.reporting else {
            return self.push_stderr(bytes);
        };
        head.extend_from_slice(&bytes);
        // A shell may warn of something before it reports.
        let Some(start) = memchr::memmem::find(head, tag.as_bytes()) else {
            return;
        };
        let Some(end) = memchr::memchr(b'\n', &head[start..]) else {
            return;
        };
        let line = String::from_utf8_lossy(&head[start + tag.len()..start + end]);
        let report = Report::of(line.trim_start());
        head.drain(start..=start + end);
        let rest = Bytes::from(std::mem::take(head));
        self.reporting = Reporting::Over(Some(report));
        self.push_stderr(rest);
    }

    fn push_stderr(&mut self, bytes: Bytes) {
        self.stderr_tail.extend_from_slice(&bytes);
        let surplus = self.stderr_tail.len().saturating_sub(STDERR_TAIL);
        self.stderr_tail.drain(..surplus);
        self.stderr.push(bytes);
    }

    fn finish(&mut self, end: End) {
        let unreported = Reporting::Over(None);
        if let Reporting::Awaited(_, head) = std::mem::replace(&mut self.reporting, unreported) {
            self.push_stderr(head.into());
        }
        self.events = None;
        self.end.get_or_insert(end);
    }

    fn buffer(&mut self, reader: Reader) -> &mut Buffer {
        match reader {
            Reader::Stderr => &mut self.stderr,
            _ => &mut self.stdout,
        }
    }
}

impl Buffer {
    fn push(&mut self, bytes: Bytes) {
        if let Some(pieces) = self.0.as_mut().filter(|_| !bytes.is_empty()) {
            pieces.push_back(bytes);
        }
    }

    fn next(&mut self, length: usize) -> Option<Bytes> {
        let pieces = self.0.as_mut()?;
        let first = pieces.front_mut()?;
        if first.len() > length {
            return Some(first.split_to(length));
        }
        pieces.pop_front()
    }
}

impl End {
    fn of(error: Error) -> Self {
        let (kind, text) = (error.kind(), error.to_string());
        Self::Failed(Some(error), kind, text)
    }

    fn tell(&mut self) -> Result<Exit, Error> {
        match self {
            Self::Exited(exit) => Ok(exit.clone()),
            Self::Failed(error, kind, text) => {
                let again = || Error::new(*kind, text.as_str());
                Err(error.take().unwrap_or_else(again))
            }
        }
    }
}

impl Wakers {
    fn set(&self, reader: Reader, waker: &Waker) {
        let mut slot = Self::lock(&self.0[reader as usize]);
        match &mut *slot {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }

    fn wake_others(&self, reader: Reader) {
        self.wake_if(|slot| slot != reader as usize);
    }

    fn wake_if(&self, is_meant: impl Fn(usize) -> bool) {
        let slots = self.0.iter().enumerate();
        for (_, slot) in slots.filter(|(slot, _)| is_meant(*slot)) {
            let waker = Self::lock(slot).take();
            waker.into_iter().for_each(Waker::wake);
        }
    }

    fn lock(slot: &Mutex<Option<Waker>>) -> MutexGuard<'_, Option<Waker>> {
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_if(|_| true);
    }
}
