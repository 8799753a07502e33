//! Commands in VMs: started, read, ended at their limit, whoever listens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio::{join, select};
use tokio_util::sync::CancellationToken;

use crate::sandbox::{ExecError, ExecSpec, Exit, Output, Process, Sandbox};
use crate::vms::Machine;

/// How long a command may run unless the request says.
pub(crate) const DEFAULT_LIMIT: Duration = Duration::from_secs(3600);

/// The exit code of a command that was killed at its limit: 128 + SIGKILL.
pub(crate) const KILLED: i32 = 137;
const SIGKILL: i32 = 9;

/// How long the output of a command that has ended is awaited, if a background process holds it.
const LINGER: Duration = Duration::from_millis(250);

/// What is still read after that: as much as a pipe can hold.
const LEFT_IN_PIPE: usize = 1024 * 1024;

/// How long the end of a VM can take to be seen after that of its processes.
const DEATH_NOTICE: Duration = Duration::from_millis(50);

/// A chunk of output is read into what is left of a block, and a new block is taken when less than
/// `LEAST_READ` is left.
const BLOCK: usize = 64 * 1024;
const LEAST_READ: usize = 16 * 1024;

/// How many chunks wait for a slow reader before the command has to.
const EVENTS_AHEAD: usize = 8;

/// What a command does, as it happens. The last one is [`Exit`](Event::Exit), unless the VM ends
/// under the command: then there is none.
#[derive(Debug)]
pub(crate) enum Event {
    Stdout(Bytes),
    Stderr(Bytes),
    Exit(Ended),
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) is_timed_out: bool,
    pub(crate) duration: Duration,
    /// Why it could not be run.
    pub(crate) diagnostic: Option<String>,
}

/// Starts a command. It runs to its end or its limit even if this future or the receiver is
/// dropped; its output goes nowhere then.
pub(crate) async fn start(
    machine: Arc<Machine>,
    sandbox: Arc<Sandbox>,
    spec: ExecSpec,
    limit: Duration,
) -> Result<mpsc::Receiver<Event>, ExecError> {
    let (events, receiver) = mpsc::channel(EVENTS_AHEAD);
    let (started, starting) = oneshot::channel();
    tokio::spawn(async move {
        let begin = Instant::now();
        match sandbox.exec(spec).await {
            Ok(process) => {
                let _ = started.send(Ok(()));
                let deadline = Deadline { begin, limit };
                follow(process, deadline, &machine, &sandbox, &events).await;
            }
            Err(error) => match error.exit_code() {
                Some(code) => {
                    let _ = started.send(Ok(()));
                    let ended = Ended {
                        code,
                        is_timed_out: false,
                        duration: begin.elapsed(),
                        diagnostic: Some(with_cause(&error)),
                    };
                    let _ = events.send(Event::Exit(ended)).await;
                }
                None => drop(started.send(Err(error))),
            },
        }
    });
    starting.await.unwrap_or(Err(ExecError::Gone))?;
    Ok(receiver)
}

/// An error and its causes in one line.
pub(crate) fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[derive(Clone, Copy)]
struct Deadline {
    begin: Instant,
    limit: Duration,
}

async fn follow(
    mut process: Process,
    deadline: Deadline,
    machine: &Machine,
    sandbox: &Sandbox,
    events: &mpsc::Sender<Event>,
) {
    let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
    let lingered = CancellationToken::new();
    let reading = async {
        join!(
            forward(stdout, Event::Stdout, events, &lingered),
            forward(stderr, Event::Stderr, events, &lingered),
        );
    };
    let ending = end(&process, deadline, machine, sandbox);
    tokio::pin!(reading, ending);
    let ended = select! {
        ended = &mut ending => {
            select! {
                () = &mut reading => {}
                () = sleep(LINGER) => {
                    lingered.cancel();
                    reading.await;
                }
            }
            ended
        }
        () = &mut reading => ending.await,
    };
    if let Some(ended) = ended {
        let _ = events.send(Event::Exit(ended)).await;
    }
}

/// Sends on what a command writes, until it is closed or, after the command's end, nothing is left.
async fn forward(
    output: Option<Output>,
    event: fn(Bytes) -> Event,
    events: &mpsc::Sender<Event>,
    lingered: &CancellationToken,
) {
    let Some(mut output) = output else { return };
    let mut block = BytesMut::new();
    let mut left = LEFT_IN_PIPE;
    while left > 0 {
        if block.capacity() < LEAST_READ {
            block.reserve(BLOCK);
        }
        let read = select! {
            biased;
            read = output.read_buf(&mut block) => read,
            () = lingered.cancelled() => return,
        };
        let Ok(length @ 1..) = read else { return };
        if lingered.is_cancelled() {
            left = left.saturating_sub(length);
        }
        // Fails once nobody listens; the command shall write on all the same.
        let _ = events.send(event(block.split().freeze())).await;
    }
}

/// Waits for the end of a command, and brings it about at its limit. `None` if the VM ended.
async fn end(
    process: &Process,
    deadline: Deadline,
    machine: &Machine,
    sandbox: &Sandbox,
) -> Option<Ended> {
    let Deadline { begin, limit } = deadline;
    let ended = |code, is_timed_out, diagnostic| {
        Some(Ended {
            code,
            is_timed_out,
            duration: begin.elapsed(),
            diagnostic,
        })
    };
    let Ok(waited) = timeout(limit.saturating_sub(begin.elapsed()), process.wait()).await else {
        let killed = process.kill().await;
        if machine.is_gone() {
            return None;
        }
        return ended(KILLED, true, killed.err().map(|error| error.to_string()));
    };
    match waited {
        Ok(exit) if ended_with_vm(&exit, machine, sandbox).await => None,
        Ok(exit) => ended(exit.code(), false, None),
        Err(error) => ended(KILLED, false, Some(error.to_string())),
    }
}

/// Whether a command was killed because its VM ended.
pub(crate) async fn ended_with_vm(exit: &Exit, machine: &Machine, sandbox: &Sandbox) -> bool {
    exit.signal() == Some(SIGKILL)
        && (machine.is_gone() || timeout(DEATH_NOTICE, sandbox.ended()).await.is_ok())
}
