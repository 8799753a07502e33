//! A command that was started.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fastvm_api::{Client, Error, ErrorKind, Outcome, Result};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Handle;

use super::demux::{Reader, Shared};
use super::script::{HAS_ENDED, Process};
use crate::exec::Run;
use crate::stream::{Exit, IncompleteOutput, StreamOutput};

/// How long sending a signal may take in the VM.
const SIGNAL_LIMIT: Duration = Duration::from_secs(30);

/// A running command: made by [`Command::spawn`](super::Command::spawn).
///
/// Both outputs come over one connection, which is read while somebody reads or waits. What came of
/// an output that nobody has read yet is kept in memory, so none can hold up the other; drop the
/// [`ChildOutput`] that is not wanted. While nobody reads or waits at all, the command has to wait
/// once the buffers on the way are full.
///
/// # What is left behind
///
/// Dropping a child does not end its command: it runs on to its exit or its timeout, and its outputs
/// can be read on by whoever took them. With
/// [`kill_on_drop`](super::Command::kill_on_drop) it is killed by a task in the background, once; the
/// task belongs to the runtime that the command was started in, and ends with it.
pub struct Child {
    /// Standard output, until it is taken.
    pub stdout: Option<ChildOutput>,
    /// Standard error, until it is taken.
    pub stderr: Option<ChildOutput>,
    pub(super) shared: Arc<Shared>,
    pub(super) process: Option<Process>,
    pub(super) api: Client,
    pub(super) vm_id: String,
    pub(super) killer: Option<Handle>,
}

impl Child {
    pub(super) fn new(api: &Client, vm_id: &str, shared: Arc<Shared>) -> Self {
        let output = |reader| {
            let shared = Arc::clone(&shared);
            Some(ChildOutput { shared, reader })
        };
        Self {
            stdout: output(Reader::Stdout),
            stderr: output(Reader::Stderr),
            process: None,
            api: api.clone(),
            vm_id: vm_id.to_owned(),
            killer: None,
            shared,
        }
    }

    /// Its process id in the VM; `None` once its end is known here, or if it could not be started.
    pub fn id(&self) -> Option<u32> {
        let process = self.process.as_ref()?;
        (!self.shared.has_ended()).then_some(process.pid)
    }

    /// Waits until it has exited. May be called again, and be dropped without loss.
    ///
    /// What comes meanwhile on [`stdout`](Self::stdout) and [`stderr`](Self::stderr) is kept and can
    /// be read after.
    ///
    /// # Errors
    ///
    /// Those of the stream, see [`ExecStream`](crate::ExecStream): then nobody knows how the command
    /// ended, or whether it has.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        let exit = self.shared.ended().await?;
        Ok(ExitStatus {
            exit,
            stderr_tail: self.shared.stderr_tail(),
            vm_id: self.vm_id.clone(),
        })
    }

    /// Waits until it has exited, and gives all output that was not taken or read, kept in memory.
    ///
    /// # Errors
    ///
    /// [`IncompleteOutput`]: what ended the stream, with the output that came before it.
    pub async fn wait_with_output(mut self) -> Result<StreamOutput, IncompleteOutput> {
        let ended = self.shared.ended().await;
        let rest = |output: Option<ChildOutput>| match output {
            Some(output) => output.shared.take(output.reader),
            None => Vec::new(),
        };
        let (stdout, stderr) = (rest(self.stdout.take()), rest(self.stderr.take()));
        match ended {
            Ok(exit) => Ok(StreamOutput::new(stdout, stderr, exit, self.vm_id.clone())),
            Err(error) => Err(IncompleteOutput {
                stdout,
                stderr,
                error,
            }),
        }
    }

    /// Kills it with what it started, and waits for its end. One that has ended is a success.
    ///
    /// # Errors
    ///
    /// Those of [`signal`](Self::signal) and [`wait`](Self::wait).
    pub async fn kill(&mut self) -> Result<()> {
        match (self.shared.has_ended(), &self.process) {
            (true, _) => return Ok(()),
            // It has not been started, so there is nothing but its end to come.
            (false, None) => {}
            (false, Some(process)) => {
                send_signal(&self.api, &self.vm_id, process, Signal::Kill).await?;
            }
        }
        self.wait().await.map(|_| ())
    }

    /// Sends a signal to it and to what it started, as far as that stayed in its process group.
    ///
    /// Runs `kill` in the VM: a `POST /v1/vms/{id}/exec`. Where the VM has `/proc`, a process that
    /// got the id of the command after its end is not mistaken for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Command`](crate::ErrorKind::Command) if the command has ended, or was never
    /// started; and those of the call.
    pub async fn signal(&self, signal: Signal) -> Result<()> {
        let over = || {
            let error = Error::new(ErrorKind::Command, "the command has ended");
            error
                .with_vm_id(&self.vm_id)
                .with_outcome(Outcome::Rejected)
        };
        let process = match (&self.process, self.shared.has_ended()) {
            (Some(process), false) => process,
            _ => return Err(over()),
        };
        match send_signal(&self.api, &self.vm_id, process, signal).await? {
            true => Ok(()),
            false => Err(over()),
        }
    }
}

/// Sends a signal, and says whether the process was there.
async fn send_signal(api: &Client, vm_id: &str, process: &Process, signal: Signal) -> Result<bool> {
    let command = process.signal(signal.name());
    let run = Run::new(api, vm_id.to_owned(), command.into()).timeout(SIGNAL_LIMIT);
    // The VM ends it in time; an answer that does not come is not waited for.
    let sent = run.request_timeout(2 * SIGNAL_LIMIT).await?;
    if sent.exit_code == HAS_ENDED {
        return Ok(false);
    }
    sent.ensure_success().map(|_| true)
}

impl Drop for Child {
    fn drop(&mut self) {
        let (Some(runtime), Some(process)) = (self.killer.take(), self.process.take()) else {
            return;
        };
        if self.shared.has_ended() {
            return;
        }
        let (api, vm_id) = (self.api.clone(), std::mem::take(&mut self.vm_id));
        runtime.spawn(async move {
            if let Err(error) = send_signal(&api, &vm_id, &process, Signal::Kill).await {
                tracing::warn!(%error, "a command was dropped, and could not be killed");
            }
        });
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("vm_id", &self.vm_id)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// An output of a [`Child`]: an [`AsyncRead`].
///
/// Ends when the command has exited. An error of the stream comes after all that came before it, as
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) with an [`Error`] inside: an output that
/// was cut is never taken for whole. Dropping it discards what is left of this output.
pub struct ChildOutput {
    shared: Arc<Shared>,
    reader: Reader,
}

impl AsyncRead for ChildOutput {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let length = buffer.remaining();
        if let Some(piece) = ready!(self.shared.poll_read(self.reader, length, context))? {
            buffer.put_slice(&piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for ChildOutput {
    fn drop(&mut self) {
        self.shared.discard(self.reader);
    }
}

impl fmt::Debug for ChildOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChildOutput").field(&self.reader).finish()
    }
}

/// How a command ended. Derefs to [`Exit`]: `status.code`, `status.timed_out`,
/// `status.is_success()`.
#[derive(Clone, PartialEq, Eq)]
pub struct ExitStatus {
    exit: Exit,
    stderr_tail: Vec<u8>,
    vm_id: String,
}

impl ExitStatus {
    /// Itself if the command succeeded, else an error with its exit code and the end of its stderr.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Command`](crate::ErrorKind::Command).
    pub fn ensure_success(self) -> Result<Self> {
        match self.exit.is_success() {
            true => Ok(self),
            false => Err(self.exit.failure(&self.stderr_tail).with_vm_id(self.vm_id)),
        }
    }
}

impl Deref for ExitStatus {
    type Target = Exit;

    fn deref(&self) -> &Exit {
        &self.exit
    }
}

impl fmt::Debug for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exit.fmt(f)
    }
}

/// A signal for [`Child::signal`], by the name that POSIX has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// The terminal went away; servers often read their configuration again.
    Hup,
    /// An interrupt, as by Ctrl-C.
    Int,
    /// Quit, with a core dump, as by Ctrl-\\.
    Quit,
    /// Abort, with a core dump.
    Abrt,
    /// A request to end.
    Term,
    /// The end, at once; it cannot be caught.
    Kill,
    /// The first whose meaning is the program's.
    Usr1,
    /// The second whose meaning is the program's.
    Usr2,
    /// Stop until [`Cont`](Self::Cont); it cannot be caught.
    Stop,
    /// Go on after a stop.
    Cont,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Abrt => "ABRT",
            Self::Term => "TERM",
            Self::Kill => "KILL",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
            Self::Stop => "STOP",
            Self::Cont => "CONT",
        }
    }
}
