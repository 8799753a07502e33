//! The same calls without `async`: `.call()` in place of `.await`, and `for` over streams.
//!
//! With the feature `blocking`, every builder of this crate can be called, generated ones included;
//! there is no second client. It works wherever threads do, inside async code too: it never panics
//! there, but it holds up the thread that it is called on.
//!
//! ```
//! use fastvm::ExecEvent;
//! use fastvm::blocking::{Call, Iterate};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # let server = runtime.block_on(fastvm_local::Server::start())?;
//! # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
//! let vm = client.vms().launch("c1m2").name("dev").call()?.into_guard();
//! assert_eq!(vm.run(["echo", "hello"]).call()?.stdout, "hello\n");
//!
//! for event in vm.stream("echo one; echo two >&2").call()?.iter() {
//!     match event? {
//!         ExecEvent::Stdout(bytes) => assert_eq!(&bytes[..], b"one\n"),
//!         ExecEvent::Stderr(bytes) => assert_eq!(&bytes[..], b"two\n"),
//!         ExecEvent::Exit(exit) => assert!(exit.is_success()),
//!         _ => {}
//!     }
//! }
//! vm.close().call()?;
//! assert!(client.vms().list().call()?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! The caller's thread does the work of the call; inside async code a thread that is made for it does,
//! since the caller's belongs to another runtime. Sockets, timers and what goes on in the background
//! (heartbeats of leases, deletions) belong to a runtime that one thread, `fastvm-blocking`, drives
//! for the whole program. It starts with the first call and ends with the program. Blocking calls
//! have connections of their own, so that they never wait for a runtime that they hold up.
//!
//! What was started by `.await` stays with the runtime of that: a stream that was awaited on a runtime
//! of one thread gives nothing while that thread iterates it. Start it by `.call()` there.

use std::fmt;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread, ThreadId};

use futures_core::Stream;
use tokio::runtime::Handle;
use tracing::Instrument;

use crate::{Error, ErrorKind, IncompleteOutput, Outcome, Result};

/// `.call()` in place of `.await`, for whatever can be awaited and answers a [`Result`].
///
/// That is every builder (`client.vms().launch("c1m2").call()?`), and every `async fn`
/// (`builder.send().call()?`, `guard.close().call()?`); those of `tokio::io` on what this crate hands
/// out as well (`reader.read_to_end(&mut bytes).call()?`). See the [module](self) for an example.
pub trait Call: IntoFuture {
    /// Does what `.await` does, and returns when it is done. Holds up this thread until then.
    ///
    /// It can be called on any thread, also on one that runs async code; there, other tasks of that
    /// thread wait as well.
    ///
    /// # Errors
    ///
    /// Those of the call; and [`ErrorKind::Io`] if the system gives no thread where one is needed, or
    /// if a task that a blocking call left in the background makes one itself.
    fn call(self) -> Self::Output;
}

impl<F, T, E> Call for F
where
    F: IntoFuture<Output = Result<T, E>> + Send,
    F::IntoFuture: Send,
    T: Send,
    E: From<Error> + Send,
{
    fn call(self) -> Self::Output {
        // Converted inside, since that may already want a runtime.
        drive(async move { self.await })?
    }
}

/// `.iter()` for streams: the events and lines of commands, and every other stream of this crate.
pub trait Iterate: Stream + Unpin {
    /// What comes, as an iterator that waits for each item. Holds up this thread while it waits.
    ///
    /// It borrows the stream, which can be asked or read on afterwards.
    ///
    /// ```
    /// # use fastvm::blocking::{Call, Iterate};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let server = runtime.block_on(fastvm_local::Server::start())?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").call()?;
    /// let mut lines = vm.stream("echo one; echo two; exit 3").call()?.lines();
    /// for line in lines.iter() {
    ///     println!("{}", line?.text);
    /// }
    /// assert_eq!(lines.exit().map(|exit| exit.code), Some(3));
    /// # Ok(())
    /// # }
    /// ```
    fn iter(&mut self) -> Iter<'_, Self>;
}

impl<S, T, E> Iterate for S
where
    S: Stream<Item = Result<T, E>> + Unpin + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn iter(&mut self) -> Iter<'_, Self> {
        Iter { stream: Some(self) }
    }
}

/// The items of a stream, each waited for: made by [`Iterate::iter`].
#[must_use = "an iterator does nothing until it is asked"]
pub struct Iter<'a, S: ?Sized> {
    stream: Option<&'a mut S>,
}

impl<S, T, E> Iterator for Iter<'_, S>
where
    S: Stream<Item = Result<T, E>> + Unpin + Send,
    T: Send,
    E: From<Error> + Send,
{
    type Item = Result<T, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let stream = self.stream.as_deref_mut()?;
        let next = poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
        let item = drive(next).unwrap_or_else(|error| {
            self.stream = None;
            Some(Err(error.into()))
        });
        if item.is_none() {
            self.stream = None;
        }
        item
    }
}

impl<S: ?Sized> fmt::Debug for Iter<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_ended = self.stream.is_none();
        f.debug_struct("Iter")
            .field("has_ended", &has_ended)
            .finish_non_exhaustive()
    }
}

/// So that [`ExecStream::output`](crate::ExecStream::output) can be called, too.
impl From<Error> for IncompleteOutput {
    fn from(error: Error) -> Self {
        Self {
            stdout: Vec::new(),
            stderr: Vec::new(),
            error,
        }
    }
}

/// Drives a future to its end, with the sockets and tasks of the blocking runtime.
pub(crate) fn drive<F>(future: F) -> Result<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    let runtime = Runtime::get()?;
    if thread::current().id() == runtime.thread {
        let message = "a task of a blocking call cannot make one: use `.await` there";
        return Err(refused(message));
    }
    if Handle::try_current().is_err() {
        return runtime.poll_here(future);
    }
    // A thread that works for another runtime hands its wake-ups to that, which stands still.
    let future = future.in_current_span();
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .spawn_scoped(scope, || runtime.poll_here(future))
            .map_err(no_thread)?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Whether this is inside of [`drive`], or a task that was spawned there.
pub(crate) fn is_current() -> bool {
    let runtime = RUNTIME.get().map(|runtime| runtime.handle.id());
    Handle::try_current().is_ok_and(|current| Some(current.id()) == runtime)
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

struct Runtime {
    handle: Handle,
    thread: ThreadId,
}

impl Runtime {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let thread = thread::Builder::new()
            .name("fastvm-blocking".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        let thread = thread.thread().id();
        Ok(Self { handle, thread })
    }

    /// The one of this program. It is started if need be, and never ends.
    fn get() -> Result<&'static Self> {
        static START: Mutex<()> = Mutex::new(());
        if let Some(runtime) = RUNTIME.get() {
            return Ok(runtime);
        }
        let _one_at_a_time = START.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = RUNTIME.get() {
            return Ok(runtime);
        }
        let started = Self::start().map_err(no_thread)?;
        Ok(RUNTIME.get_or_init(|| started))
    }

    fn poll_here<F: Future>(&self, future: F) -> Result<F::Output> {
        if Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed()) {
            return Err(refused("a thread that is ending can make no call"));
        }
        let _inside = self.handle.enter();
        let mut future = pin!(future);
        let signal = Arc::new(Signal::new());
        let waker = Waker::from(Arc::clone(&signal));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
            signal.wait();
        }
    }
}

fn no_thread(cause: std::io::Error) -> Error {
    refused("the system gives no thread for blocking calls").with_source(cause)
}

fn refused(message: &str) -> Error {
    Error::new(ErrorKind::Io, message).with_outcome(Outcome::NotSent)
}

/// Wakes the thread that drives a future. The flag is its own: what the future does may use up the
/// thread's one token, a blocking call within a call for instance.
struct Signal {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Signal {
    fn new() -> Self {
        Self {
            thread: thread::current(),
            is_woken: AtomicBool::new(false),
        }
    }

    fn wait(&self) {
        while !self.is_woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
