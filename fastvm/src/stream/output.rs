//! The whole output of a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;

use fastvm_api::{Error, ErrorKind, Result};
use futures_core::Stream as _;

use super::{ExecEvent, ExecStream, Exit};

/// What a streamed command put out, and how it ended: see [`ExecStream::output`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOutput {
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub exit: Exit,
    vm_id: String,
}

impl StreamOutput {
    pub(crate) fn new(stdout: Vec<u8>, stderr: Vec<u8>, exit: Exit, vm_id: String) -> Self {
        Self {
            stdout,
            stderr,
            exit,
            vm_id,
        }
    }

    /// Whether it exited with 0 and in time.
    pub fn is_success(&self) -> bool {
        self.exit.is_success()
    }

    /// Itself if the command succeeded, else an error with its exit code, the end of its stderr,
    /// and what the service says of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Command`].
    pub fn ensure_success(self) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        Err(self.exit.failure(&self.stderr).with_vm_id(self.vm_id))
    }
}

/// Shows how much there is, not what: output can hold secrets, and be long.
impl fmt::Debug for StreamOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamOutput")
            .field("stdout", &format_args!("{} bytes", self.stdout.len()))
            .field("stderr", &format_args!("{} bytes", self.stderr.len()))
            .field("exit", &self.exit)
            .finish_non_exhaustive()
    }
}

/// Why the output of a command is not whole, with what came of it: the error of
/// [`ExecStream::output`].
///
/// Becomes the plain [`Error`] by `?` where that is asked for.
#[non_exhaustive]
pub struct IncompleteOutput {
    /// What came of its standard output.
    pub stdout: Vec<u8>,
    /// What came of its standard error.
    pub stderr: Vec<u8>,
    /// What ended it.
    pub error: Error,
}

impl IncompleteOutput {
    /// There never was any output.
    pub(crate) fn of_nothing(error: Error) -> Self {
        Self {
            stdout: Vec::new(),
            stderr: Vec::new(),
            error,
        }
    }
}

impl From<IncompleteOutput> for Error {
    fn from(incomplete: IncompleteOutput) -> Self {
        incomplete.error
    }
}

impl fmt::Display for IncompleteOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for IncompleteOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        let (stdout, stderr) = (self.stdout.len(), self.stderr.len());
        write!(
            f,
            " (after {stdout} bytes of stdout and {stderr} of stderr)"
        )
    }
}

impl std::error::Error for IncompleteOutput {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

pub(super) async fn collect(mut events: ExecStream) -> Result<StreamOutput, IncompleteOutput> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut exit = None;
    let ended = loop {
        match poll_fn(|context| Pin::new(&mut events).poll_next(context)).await {
            Some(Ok(ExecEvent::Stdout(bytes))) => stdout.extend_from_slice(&bytes),
            Some(Ok(ExecEvent::Stderr(bytes))) => stderr.extend_from_slice(&bytes),
            Some(Ok(ExecEvent::Exit(how))) => exit = Some(how),
            Some(Err(error)) => break Err(error),
            None => {
                break exit.ok_or_else(|| {
                    let message = "the stream was read to its end before";
                    Error::new(ErrorKind::Stream, message).with_vm_id(&events.vm_id)
                });
            }
        }
    };
    match ended {
        Ok(exit) => {
            let vm_id = std::mem::take(&mut events.vm_id);
            Ok(StreamOutput::new(stdout, stderr, exit, vm_id))
        }
        Err(error) => Err(IncompleteOutput {
            stdout,
            stderr,
            error,
        }),
    }
}
