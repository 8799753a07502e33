//! The outside of a VM's terminal: what a person sees and types.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::TerminalSize;
use super::kernel;
use super::process::{Child, Process};
use super::vm::Vm;

/// How long a command may take to end after its terminal was hung up.
const HANG_UP_LIMIT: Duration = Duration::from_secs(1);

/// A terminal of a VM, and the command that runs in it.
///
/// One task can read while others write, resize and wait for the command: all methods take `&self`.
///
/// Dropping it hangs up: the command and what runs in the foreground get `SIGHUP`, and if the
/// command has not ended a second later, its whole session is killed. If the VM is frozen, all this
/// comes once it is thawed.
pub struct Terminal {
    outside: Arc<AsyncFd<OwnedFd>>,
    process: Process,
    vm: Arc<Vm>,
    runtime: Handle,
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl Terminal {
    /// `outside` does not block. Must be called within the runtime.
    pub(super) fn new(vm: Arc<Vm>, outside: OwnedFd, child: Arc<Child>) -> io::Result<Self> {
        let process = Process {
            stdin: None,
            stdout: None,
            stderr: None,
            child,
        };
        Ok(Self {
            outside: Arc::new(kernel::watched(outside)?),
            process,
            vm,
            runtime: Handle::current(),
        })
    }

    /// The command that it was opened for. It has no pipes.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Reads what is shown; 0 once no process has the terminal open. Dropping the future loses
    /// nothing.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |fd: &OwnedFd| match unistd::read(fd, buffer) {
            // What the kernel answers when the inside is closed.
            Err(Errno::EIO) => Ok(0),
            other => Ok(other?),
        };
        self.outside.async_io(Interest::READABLE, read).await
    }

    /// Types these bytes; waits while the terminal takes no more. Dropping the future may have
    /// typed some of them.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = |fd: &OwnedFd| Ok(unistd::write(fd, bytes)?);
            let written = self.outside.async_io(Interest::WRITABLE, write).await?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Changes its size; what runs in the foreground gets `SIGWINCH`.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        Ok(kernel::resize(self.outside.get_ref().as_fd(), size)?)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let (vm, child) = (Arc::clone(&self.vm), Arc::clone(&self.process.child));
        let outside = Arc::clone(&self.outside);
        self.runtime.spawn(async move {
            vm.hang_up(outside).await;
            if timeout(HANG_UP_LIMIT, child.wait()).await.is_err() {
                let _ = child.kill_session().await;
            }
        });
    }
}
