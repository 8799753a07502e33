//! A command that runs in a VM.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;
use tokio::sync::{Mutex, watch};

use super::kernel::{self, Ending, Wait};
use super::{Exit, procfs};

/// A command that runs in a VM.
///
/// Dropping it neither ends the command nor leaves a zombie: the command runs on, with its output
/// closed. All methods take `&self`, so one task can wait while another kills.
#[derive(Debug)]
pub struct Process {
    /// Its standard input, if [`Stdin::Piped`](super::Stdin::Piped) was asked for. Drop it to send
    /// the end of file.
    pub stdin: Option<Input>,
    /// What it writes to standard output. The end comes when every process that holds it, in the
    /// background too, has closed it.
    pub stdout: Option<Output>,
    /// What it writes to standard error.
    pub stderr: Option<Output>,
    pub(super) child: Arc<Child>,
}

impl Process {
    /// Its process id on the host.
    pub fn host_pid(&self) -> i32 {
        self.child.pid
    }

    /// Waits until the command has ended. Background processes it has left may still run. Can be
    /// called again, and dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// If the status was taken by someone else, as by a `waitpid(-1)` elsewhere in this program.
    pub async fn wait(&self) -> io::Result<Exit> {
        self.child.wait().await
    }

    /// Kills the command, its process group and its whole session, then waits until the
    /// command has ended. What has made a session of its own (a daemon) goes on. Does nothing once the command
    /// has ended: what it has left in the background belongs to the VM.
    pub async fn kill(&self) -> io::Result<()> {
        self.child.kill_session().await
    }
}

/// The end of a pipe that a command writes to.
#[derive(Debug)]
pub struct Output(pipe::Receiver);

impl Output {
    /// Must be called within the runtime.
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        pipe::Receiver::from_owned_fd(pipe).map(Self)
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

/// The end of a pipe that a command reads from. Once nobody reads it, writing fails with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe).
#[derive(Debug)]
pub struct Input(pipe::Sender);

impl Input {
    /// Must be called within the runtime.
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        pipe::Sender::from_owned_fd(pipe).map(Self)
    }
}

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A child of this process, waited for in the background from the start.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: i32,
    pidfd: OwnedFd,
    /// Until it is reaped, `pid` and the process group and session of that number are its own.
    reaped: Arc<Mutex<bool>>,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Running,
    Ended(Exit),
    /// Someone else took its status.
    Lost,
}

impl Child {
    /// Must be called within the runtime.
    pub(super) fn watch(pid: i32, pidfd: OwnedFd) -> Arc<Self> {
        let child = Arc::new(Self {
            pid,
            pidfd,
            reaped: Arc::default(),
            state: watch::Sender::new(State::Running),
        });
        tokio::spawn(reap(Arc::clone(&child)));
        child
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(*self.state.borrow(), State::Running)
    }

    pub(super) async fn wait(&self) -> io::Result<Exit> {
        let mut state = self.state.subscribe();
        let state = state
            .wait_for(|state| !matches!(state, State::Running))
            .await;
        match state.as_deref() {
            Ok(State::Ended(exit)) => Ok(*exit),
            _ => Err(io::Error::other(
                "the exit status was taken by another part of this program",
            )),
        }
    }

    pub(super) async fn kill_session(&self) -> io::Result<()> {
        // Held while signals are sent: so the numbers stay ours.
        let reaped = Arc::clone(&self.reaped).lock_owned().await;
        if *reaped {
            return Ok(());
        }
        let session = self.pid;
        let killed = tokio::task::spawn_blocking(move || {
            let killed = kill_session(session);
            drop(reaped);
            killed
        });
        killed.await.map_err(io::Error::other)??;
        self.wait().await.map(drop)
    }
}

async fn reap(child: Arc<Child>) {
    if kernel::readable(child.pidfd()).await.is_err() {
        // No more descriptors can be watched, as by `fs.epoll.max_user_watches`: a thread does it.
        let child = Arc::clone(&child);
        let _ = tokio::task::spawn_blocking(move || kernel::wait(child.pidfd(), Wait::Watch)).await;
    }
    let mut reaped = child.reaped.lock().await;
    let state = match kernel::wait(child.pidfd(), Wait::Reap) {
        Ok(Ending::Exited(code)) => State::Ended(Exit { code, signal: None }),
        Ok(Ending::Signaled(signal)) => State::Ended(Exit {
            code: 128 + signal,
            signal: Some(signal),
        }),
        Err(_) => State::Lost,
    };
    *reaped = true;
    drop(reaped);
    child.state.send_replace(state);
}

/// Kills every process of a session, and those that they start meanwhile: one that is killed
/// starts no more, so the first round that finds none but killed ones is the last.
fn kill_session(session: i32) -> io::Result<()> {
    match killpg(Pid::from_raw(session), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut killed = BTreeSet::new();
    loop {
        let mut is_last = true;
        for pid in procfs::pids()? {
            if !killed.contains(&pid) && kill_member(pid, session)? {
                killed.insert(pid);
                is_last = false;
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Kills the process if it belongs to the session; whether it was still alive.
fn kill_member(pid: i32, session: i32) -> io::Result<bool> {
    let is_member =
        || procfs::Stat::of(pid).is_some_and(|stat| stat.session == session && !stat.has_ended());
    if !is_member() {
        return Ok(false);
    }
    // The number may have gone to another process since: look again at the one that is held.
    let Ok(pidfd) = kernel::pidfd_open(pid) else {
        return Ok(false);
    };
    if !is_member() {
        return Ok(false);
    }
    match kernel::pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL as i32) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => Ok(false),
        Err(error) => Err(error),
    }
}
