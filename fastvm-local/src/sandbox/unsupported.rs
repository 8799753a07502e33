//! Where there are no namespaces, no VM can be had: [`Host::probe`] says so, and no value of the
//! other types exists.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    ExecError, ExecSpec, Exit, FileError, LaunchError, LaunchSpec, MountError, ProbeError,
    TerminalSize,
};

/// Always fails: there is no VM whose files could be copied.
pub(crate) fn copy_tree(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always fails, for the same reason.
pub(crate) fn furnish(_root: &Path, _hostname: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A machine on which VMs can be launched: not this one.
#[derive(Clone, Debug)]
pub struct Host(Infallible);

impl Host {
    /// Always fails: VMs are made of Linux namespaces.
    ///
    /// # Errors
    ///
    /// Always.
    pub async fn probe(_state_dir: impl Into<PathBuf>) -> Result<Self, ProbeError> {
        Err(ProbeError {
            reason: format!(
                "VMs are made of Linux namespaces, and this is {}",
                std::env::consts::OS
            ),
            way_out: Some("run the server on Linux, in a virtual machine or WSL 2".to_owned()),
            source: None,
        })
    }

    /// Cannot be called.
    pub async fn launch(&self, _spec: LaunchSpec) -> Result<Sandbox, LaunchError> {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn root_of(&self, _id: &str) -> PathBuf {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn shows_host_processes(&self) -> bool {
        match self.0 {}
    }
}

/// A running VM: none exists here.
#[derive(Debug)]
pub struct Sandbox(Infallible);

impl Sandbox {
    /// Cannot be called.
    pub fn id(&self) -> &str {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn root(&self) -> &Path {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn host_pid(&self) -> i32 {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn exec(&self, _spec: ExecSpec) -> Result<Process, ExecError> {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn mount(
        &self,
        _source: impl Into<PathBuf>,
        _target: &str,
        _read_only: bool,
    ) -> Result<(), MountError> {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn unmount(&self, _target: &str) -> Result<(), MountError> {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn terminal(
        &self,
        _spec: ExecSpec,
        _size: TerminalSize,
    ) -> Result<Terminal, ExecError> {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn is_alive(&self) -> bool {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn ended(&self) {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn freeze(&self) -> io::Result<()> {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn thaw(&self) -> io::Result<()> {
        match self.0 {}
    }

    /// Cannot be called.
    pub(crate) async fn create_file(&self, _path: &str) -> Result<NewFile, FileError> {
        match self.0 {}
    }

    /// Cannot be called.
    pub(crate) async fn at_rest<T>(
        &self,
        _work: impl FnOnce(&Path) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn kill(&self) -> io::Result<()> {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn remove(self) -> io::Result<()> {
        match self.0 {}
    }
}

/// A file of a VM that is being written: none exists here.
#[derive(Debug)]
pub(crate) struct NewFile(Infallible);

impl NewFile {
    /// Cannot be called.
    pub(crate) async fn write(&self, _bytes: bytes::Bytes) -> Result<(), FileError> {
        match self.0 {}
    }
}

/// A command that runs in a VM: none does here.
#[derive(Debug)]
pub struct Process {
    /// Its standard input.
    pub stdin: Option<Input>,
    /// What it writes to standard output.
    pub stdout: Option<Output>,
    /// What it writes to standard error.
    pub stderr: Option<Output>,
    never: Infallible,
}

impl Process {
    /// Cannot be called.
    pub fn host_pid(&self) -> i32 {
        match self.never {}
    }

    /// Cannot be called.
    pub async fn wait(&self) -> io::Result<Exit> {
        match self.never {}
    }

    /// Cannot be called.
    pub async fn kill(&self) -> io::Result<()> {
        match self.never {}
    }
}

/// A terminal of a VM: none exists here.
#[derive(Debug)]
pub struct Terminal(Infallible);

impl Terminal {
    /// Cannot be called.
    pub fn process(&self) -> &Process {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn read(&self, _buffer: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn write_all(&self, _bytes: &[u8]) -> io::Result<()> {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn resize(&self, _size: TerminalSize) -> io::Result<()> {
        match self.0 {}
    }
}

/// The end of a pipe that a command writes to: none exists here.
#[derive(Debug)]
pub struct Output(Infallible);

impl AsyncRead for Output {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

/// The end of a pipe that a command reads from: none exists here.
#[derive(Debug)]
pub struct Input(Infallible);

impl AsyncWrite for Input {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}
