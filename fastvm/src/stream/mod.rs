//! Commands whose output comes as a stream of events.

mod event;
mod lines;
mod output;
mod pipe;
mod reading;

use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fastvm_api::types::ExecVmRequest;
use fastvm_api::{CallOptions, Client, Error, ErrorKind, Pending, ResponseValue, Result};

use crate::connector::Connector;
use crate::exec::{CommandLine, command_setters};
use crate::idle::{Watch, watched};

pub use event::{ExecEvent, Exit};
pub use lines::{Line, LineSource, Lines};
pub use output::{IncompleteOutput, StreamOutput};

use event::Decoder;
use pipe::Piece;
use reading::{End, Reading};

/// A command to stream: `vm.stream(..)`. See [`Vms::stream`](crate::Vms::stream).
#[derive(Debug)]
#[must_use = "a command does not run until it is awaited"]
pub struct Stream {
    api: Client,
    request: fastvm_api::vms::Stream,
    vm_id: String,
    idle_check: Option<Duration>,
    problem: Option<Error>,
}

impl Stream {
    pub(crate) fn new(api: &Client, vm_id: String, command: CommandLine) -> Self {
        Self {
            api: api.clone(),
            problem: command.problem(),
            request: api.vms().stream(&vm_id, command.as_args()),
            vm_id,
            idle_check: Connector::idle_check(api).streamed,
        }
    }

    /// The request as it is, of a command without a problem.
    pub(crate) fn of_request(
        api: &Client,
        vm_id: &str,
        request: ExecVmRequest,
        options: CallOptions,
    ) -> Self {
        let stream = Self::new(api, vm_id.to_owned(), CommandLine::from(&request.command));
        Self {
            request: stream.request.body(request).call_options(options),
            ..stream
        }
    }

    command_setters!(request);

    /// Starts it, and gives the events with the status and headers of the answer.
    pub async fn send(self) -> Result<ResponseValue<ExecStream>> {
        if let Some(problem) = self.problem {
            return Err(problem.with_vm_id(self.vm_id));
        }
        let (api, vm_id) = (self.api.clone(), self.vm_id.clone());
        // In a piece of its own: allocators take long for a large one.
        let asking = Box::pin(async move {
            let sending = pin!(self.request.send());
            watched(&api, &vm_id, self.idle_check, sending).await
        });
        let ((status, headers), body) = Reading::begin(asking).await?;
        let watch = self
            .idle_check
            .map(|first| Watch::new(&self.api, &self.vm_id, first));
        let events = ExecStream::new(body, self.vm_id, watch);
        Ok(ResponseValue::new(events, status, headers))
    }
}

impl IntoFuture for Stream {
    type Output = Result<ExecStream>;
    type IntoFuture = Pending<ExecStream>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// The events of a command, as they come: a [`futures_core::Stream`].
///
/// Ends after [`ExecEvent::Exit`], or after an error: [`ErrorKind::Gone`] if the VM was deleted,
/// stopped or paused; [`ErrorKind::Stream`] if the connection broke or closed before the exit was
/// reported for another reason, or sent what is no event. Then nobody knows how the command ended,
/// or whether it has. What came before the error was given before it.
///
/// Dropping the stream closes its connection; the command runs on to its exit or its timeout.
pub struct ExecStream {
    decoder: Decoder,
    vm_id: String,
    state: State,
    watch: Option<Watch>,
    /// Data came since the body was last waited for.
    is_fresh: bool,
    /// What was taken of the body last, empty again: its room is used anew.
    pieces: Vec<Piece>,
}

enum State {
    Running(Reading),
    /// The body has ended, cleanly or by an error; what it brought is still being read.
    Closed(Option<reqwest::Error>),
    /// The connection broke off, and the VM is asked about it.
    Broken(Pin<Box<dyn Future<Output = Error> + Send>>),
    /// The exit was given. With the end of its body, the connection can serve the next stream.
    Ending(End),
    Ended,
}

impl ExecStream {
    fn new(body: Reading, vm_id: String, watch: Option<Watch>) -> Self {
        Self {
            decoder: Decoder::default(),
            vm_id,
            state: State::Running(body),
            watch,
            is_fresh: false,
            pieces: Vec::new(),
        }
    }

    /// Reads on to the end, and gives all output that has not been read yet, kept in memory.
    ///
    /// Unlike the answer of a buffered run it is not cut at 4 MiB, and it is bytes.
    ///
    /// # Errors
    ///
    /// [`IncompleteOutput`]: what ended the stream, with the output that came before it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// match vm.stream("head -c 5000000 /dev/zero").await?.output().await {
    ///     Ok(output) => assert_eq!(output.ensure_success()?.stdout.len(), 5_000_000),
    ///     Err(cut) => eprintln!("{cut}: only {} bytes came", cut.stdout.len()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn output(self) -> Result<StreamOutput, IncompleteOutput> {
        output::collect(self).await
    }

    /// The lines of both outputs as text, in the order of their ends.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use futures_util::TryStreamExt;
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// let mut lines = vm.stream("echo one; echo zwölf").await?.lines();
    /// while let Some(line) = lines.try_next().await? {
    ///     println!("{:?}: {}", line.source, line.text);
    /// }
    /// assert!(lines.exit().is_some_and(|exit| exit.is_success()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn lines(self) -> Lines {
        Lines::new(self)
    }

    /// Whether the VM has gone in a silence. Costs nothing while data flows.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        let is_fresh = std::mem::take(&mut self.is_fresh);
        let Some(watch) = &mut self.watch else {
            return Poll::Pending;
        };
        if is_fresh {
            watch.touch();
        }
        watch.poll_gone(context)
    }

    /// The connection ended and the command's exit did not come.
    fn break_off(&mut self, broken: Option<reqwest::Error>) {
        let error = match broken {
            Some(broken) => {
                let message =
                    "the connection broke before the command's exit was reported: it may still run";
                Error::new(ErrorKind::Stream, message).with_source(broken.without_url())
            }
            None => {
                let message =
                    "the stream ended before the command's exit was reported: it may still run";
                Error::new(ErrorKind::Stream, message)
            }
        };
        self.state = State::Broken(match &self.watch {
            Some(watch) => watch.explained(error),
            None => Box::pin(std::future::ready(error)),
        });
    }

    fn end(&mut self, error: Error) -> Poll<Option<Result<ExecEvent>>> {
        self.state = State::Ended;
        let operation = &fastvm_api::operations::EXEC_VM_STREAM;
        let error = error.with_operation(operation).with_vm_id(&self.vm_id);
        Poll::Ready(Some(Err(error)))
    }

    /// Brings what has come to the decoder.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let State::Running(body) = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let Poll::Ready(is_over) = body.poll_take(context, &mut self.pieces) else {
            return self.poll_gone(context).map(Err);
        };
        self.is_fresh = true;
        for piece in self.pieces.drain(..) {
            match piece {
                Ok(bytes) => self.decoder.push(bytes),
                Err(error) => self.state = State::Closed(Some(error)),
            }
        }
        if is_over && matches!(self.state, State::Running(_)) {
            self.decoder.close();
            self.state = State::Closed(None);
        }
        Poll::Ready(Ok(()))
    }
}

impl futures_core::Stream for ExecStream {
    type Item = Result<ExecEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.state {
                State::Running(_) | State::Closed(_) => {}
                State::Broken(explained) => {
                    let error = ready!(explained.as_mut().poll(context));
                    return self.end(error);
                }
                State::Ending(end) => {
                    ready!(end.poll(context));
                    self.state = State::Ended;
                    return Poll::Ready(None);
                }
                State::Ended => return Poll::Ready(None),
            }
            match self.decoder.next() {
                Ok(Some(event)) => {
                    if let ExecEvent::Exit(_) = event {
                        self.state = match std::mem::replace(&mut self.state, State::Ended) {
                            State::Running(body) => State::Ending(End::of(body)),
                            _ => State::Ended,
                        };
                    }
                    return Poll::Ready(Some(Ok(event)));
                }
                Ok(None) => {}
                Err(error) => return self.end(error),
            }
            if let State::Closed(broken) = &mut self.state {
                let broken = broken.take();
                self.break_off(broken);
                continue;
            }
            if let Err(gone) = ready!(self.poll_body(context)) {
                return self.end(gone);
            }
        }
    }
}

impl fmt::Debug for ExecStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecStream")
            .field("vm_id", &self.vm_id)
            .field(
                "has_ended",
                &matches!(self.state, State::Ending(_) | State::Ended),
            )
            .finish_non_exhaustive()
    }
}
