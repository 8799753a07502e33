//! A real, isolated VM on one Linux machine, made of namespaces.
//!
//! A [`Sandbox`] has its own root directory, processes, host name and users. Of the host it sees
//! `/usr` and a few files of `/etc`, read-only, or nothing if its root is a complete one
//! ([`RootKind`]). It shares the host's network: two VMs cannot listen on the same port, ports below
//! 1024 cannot be taken, and the abstract Unix sockets of the host can be reached. It keeps programs
//! apart that mean well. It is not a wall against code that wants out.
//!
//! [`Host::probe`] finds out whether this machine can do it, by doing it once. There is no way to
//! run a command that is not isolated.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use fastvm_local::sandbox::{ExecSpec, Host, LaunchSpec};
//!
//! # let state = tempfile::tempdir()?;
//! # let state_dir = state.path();
//! let host = Host::probe(state_dir).await?;
//! let vm = host.launch(LaunchSpec::new("1", "web")).await?;
//! let process = vm.exec(ExecSpec::new(["sh", "-c", "exit 3"])).await?;
//! assert_eq!(process.wait().await?.code(), 3);
//! vm.remove().await?;
//! # Ok(())
//! # }
//! ```
//!
//! How it is built: `probe` finds out what this machine can do, and says what is missing; `root`
//! furnishes a VM's root directory; `copy` and `tree` keep copies of one; `instance` keeps the
//! directories of one server and sweeps those of dead ones; `init` is the program of process 1,
//! `user` finds out whom a command runs as; `vm`, `process` and `terminal` are what runs; `kernel`
//! and `init` are the only modules with unsafe code.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

mod error;
mod tree;

#[cfg(target_os = "linux")]
mod copy;
#[cfg(target_os = "linux")]
mod identity;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod init;
#[cfg(target_os = "linux")]
mod instance;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod kernel;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(target_os = "linux")]
mod remove;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
mod terminal;
#[cfg(target_os = "linux")]
mod user;
#[cfg(target_os = "linux")]
mod vm;

#[cfg(not(target_os = "linux"))]
mod unsupported;

#[cfg(target_os = "linux")]
pub(crate) use copy::copy_tree;
pub(crate) use error::FileError;
pub use error::{ExecError, LaunchError, MountError, ProbeError};
#[cfg(target_os = "linux")]
pub(crate) use instance::remove_when_at_rest;
#[cfg(target_os = "linux")]
pub use probe::Host;
#[cfg(target_os = "linux")]
pub use process::{Input, Output, Process};
#[cfg(target_os = "linux")]
pub(crate) use root::{PATH, fill as furnish};
#[cfg(not(target_os = "linux"))]
pub(crate) use std::fs::remove_dir_all as remove_when_at_rest;
#[cfg(target_os = "linux")]
pub use terminal::Terminal;
pub(crate) use tree::Tree;
#[cfg(not(target_os = "linux"))]
pub use unsupported::{Host, Input, Output, Process, Sandbox, Terminal};
#[cfg(not(target_os = "linux"))]
pub(crate) use unsupported::{copy_tree, furnish};
#[cfg(target_os = "linux")]
pub(crate) use user::owner_of;
#[cfg(target_os = "linux")]
pub use vm::Sandbox;

/// What a new VM shall be.
#[derive(Clone)]
#[non_exhaustive]
pub struct LaunchSpec {
    /// Names the VM's directory: a plain file name. No two VMs of a host have one id.
    pub id: String,
    /// The host name inside, at most 64 bytes.
    pub hostname: String,
    /// Variables of every command, on top of `PATH`, `HOME`, `USER`, `LOGNAME`, `LANG` and `TERM`.
    pub env: BTreeMap<String, String>,
    /// What its root directory starts as a copy of, if it is a restored one.
    pub(crate) source: Option<Arc<Tree>>,
    /// What the root directory holds; [`RootKind::Host`] unless told. The copy of a VM's root is of
    /// the kind that the VM was: keep it with the source.
    pub root: RootKind,
}

impl LaunchSpec {
    /// A VM without variables of its own.
    pub fn new(id: impl Into<String>, hostname: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            hostname: hostname.into(),
            env: BTreeMap::new(),
            source: None,
            root: RootKind::Host,
        }
    }
}

/// Where the programs of a VM come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootKind {
    /// Programs, libraries and certificates are the host's, mounted read-only over a root directory
    /// that holds the rest: `local/base`, and what was made of it.
    #[default]
    Host,
    /// The root directory is complete, as that of an image, or even empty: nothing of the host is
    /// seen. `/proc`, `/dev` (with `pts` and `shm`), `/sys` (empty) and `/etc` are made if they are
    /// missing, and three files are written, whatever the image has in their place:
    ///
    /// - `/etc/hostname`
    /// - `/etc/hosts`, unless the image has one: then it is given the VM's own name
    /// - `/etc/resolv.conf`, which is the host's, as the network is
    ///
    /// No program is needed to launch such a VM, and none for [`Sandbox::exec`] but the one that is
    /// run. A folder is at `/proc`, `/dev` and `/sys`, or nothing: with a link there the launch
    /// fails. Where only one user id exists (the server is not root's), every file is that user's.
    Own,
}

impl fmt::Debug for LaunchSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        let mut spec = f.debug_struct("LaunchSpec");
        spec.field("id", &self.id)
            .field("hostname", &self.hostname)
            .field("variables", &self.env.keys())
            .field("source", &self.source)
            .field("root", &self.root);
        spec.finish()
    }
}

/// A command to be run in a VM.
#[derive(Clone)]
#[non_exhaustive]
pub struct ExecSpec {
    /// The program and its arguments. A program without `/` is searched in the VM's `PATH`.
    pub argv: Vec<String>,
    /// Variables on top of the VM's.
    pub env: BTreeMap<String, String>,
    /// The working directory. `None` is the home of the user, or `/` if that cannot be entered.
    pub cwd: Option<String>,
    /// Who runs it, as the `USER` of an image says it: a name or a number, and behind a `:` a group,
    /// which is a name or a number, too. Names are looked up in the VM's `/etc/passwd` and
    /// `/etc/group`. `None` and the empty text are root.
    ///
    /// A number that is not in `/etc/passwd` has the group 0 and the home `/`. Without a group in
    /// the text, the groups that list the user are the user's, too. `HOME`, `USER` and `LOGNAME`
    /// follow the user, unless the VM or the command sets them.
    ///
    /// Where only one user id exists (the server is not root's), the text is checked and the
    /// variables are set, and the command runs as root of the VM all the same, as `chown` there
    /// answers with success.
    pub user: Option<String>,
    /// What the program reads.
    pub stdin: Stdin,
}

impl ExecSpec {
    /// A command of root's that starts at its home and reads nothing.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            cwd: None,
            user: None,
            stdin: Stdin::Null,
        }
    }
}

impl fmt::Debug for ExecSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments and values may be secrets.
        let (program, variables) = (self.argv.first(), self.env.keys());
        let mut spec = f.debug_struct("ExecSpec");
        spec.field("program", &program)
            .field("cwd", &self.cwd)
            .field("user", &self.user)
            .field("variables", &variables);
        spec.finish_non_exhaustive()
    }
}

/// What a command finds on its standard input.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    #[default]
    Null,
    /// These bytes, then the end. They are written in the background; a program need not read them.
    Bytes(Vec<u8>),
    /// What is written to [`Process::stdin`], until that is dropped.
    Piped,
}

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Characters in a line.
    pub cols: u16,
    /// Lines.
    pub rows: u16,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    code: i32,
    signal: Option<i32>,
}

impl Exit {
    /// The exit code; 128 + n if signal n ended the command.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// The signal that ended the command, if one did.
    pub fn signal(&self) -> Option<i32> {
        self.signal
    }
}
