//! What can go wrong, each with what was tried. The cause is in `source()`.

use std::error::Error;
use std::fmt;
use std::io;

/// This machine cannot isolate a VM, or not yet.
#[derive(Debug)]
pub struct ProbeError {
    pub(super) reason: String,
    pub(super) way_out: Option<String>,
    pub(super) source: Option<Box<dyn Error + Send + Sync>>,
}

impl ProbeError {
    #[cfg(target_os = "linux")]
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            way_out: None,
            source: None,
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn way_out(mut self, way_out: impl Into<String>) -> Self {
        self.way_out = Some(way_out.into());
        self
    }

    #[cfg(target_os = "linux")]
    pub(super) fn source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What can be done about it, if that is known.
    pub fn hint(&self) -> Option<&str> {
        self.way_out.as_deref()
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no VM can be isolated on this machine: {}", self.reason)?;
        self.way_out
            .iter()
            .try_for_each(|way_out| write!(f, "; {way_out}"))
    }
}

impl Error for ProbeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

/// A VM could not be launched. Nothing of it is left.
#[derive(Debug)]
#[non_exhaustive]
pub enum LaunchError {
    /// The id, the host name or a variable cannot be used.
    Invalid {
        /// What is wrong with which.
        what: String,
    },
    /// The VM's directory could not be prepared.
    Files {
        /// What was tried.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel refused a step of the isolation.
    Kernel {
        /// What was tried.
        doing: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { what } => f.write_str(what),
            Self::Files { doing, .. } | Self::Kernel { doing, .. } => {
                write!(f, "the VM could not be launched: could not {doing}")
            }
        }
    }
}

impl Error for LaunchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Invalid { .. } => None,
            Self::Files { source, .. } | Self::Kernel { source, .. } => Some(source),
        }
    }
}

/// A folder could not be mounted in a VM, or not be unmounted. All is as it was before.
#[derive(Debug)]
#[non_exhaustive]
pub enum MountError {
    /// The source or the target cannot be used.
    Invalid {
        /// What is wrong with which.
        what: String,
    },
    /// Something else than a folder is on the way to the target.
    InTheWay {
        /// The target as it was asked for.
        path: String,
    },
    /// A process of the VM uses the mount.
    Busy,
    /// The VM has ended.
    Gone,
    /// The server or the kernel could not do it.
    Kernel {
        /// What was tried.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { what } => f.write_str(what),
            Self::InTheWay { path } => {
                write!(f, "{path}: something else than a folder is in the way")
            }
            Self::Busy => f.write_str("the mount is in use"),
            Self::Gone => f.write_str("the VM has ended"),
            Self::Kernel { doing, .. } => write!(f, "could not {doing}"),
        }
    }
}

impl Error for MountError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Kernel { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A command could not be started. Nothing of it has run.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExecError {
    /// There is no such program in the VM, or the interpreter its first line names is missing.
    NotFound {
        /// The program as it was asked for.
        program: String,
    },
    /// The program is there and cannot be run.
    NotExecutable {
        /// The program as it was asked for.
        program: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The working directory cannot be entered.
    WorkingDirectory {
        /// The directory as it was asked for.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The VM has no such user or group.
    NoUser {
        /// What was asked for.
        user: String,
    },
    /// The command or its environment cannot be passed to a program.
    Invalid {
        /// What is wrong with which.
        what: String,
    },
    /// The VM is frozen.
    Frozen,
    /// The VM has ended.
    Gone,
    /// The server or the kernel could not start a process.
    Kernel {
        /// What was tried.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl ExecError {
    /// The exit code a shell would answer, if the fault is the command's: 127 for a program that is
    /// not found, 126 for one that cannot be run.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::NotFound { .. } => Some(127),
            Self::NotExecutable { .. } | Self::WorkingDirectory { .. } | Self::NoUser { .. } => {
                Some(126)
            }
            _ => None,
        }
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { program } => write!(f, "{program}: command not found"),
            Self::NotExecutable { program, .. } => write!(f, "{program}: cannot be executed"),
            Self::WorkingDirectory { path, .. } => {
                write!(f, "{path}: cannot be the working directory")
            }
            Self::NoUser { user } => write!(f, "{user}: the VM has no such user or group"),
            Self::Invalid { what } => f.write_str(what),
            Self::Frozen => f.write_str("the VM is frozen"),
            Self::Gone => f.write_str("the VM has ended"),
            Self::Kernel { doing, .. } => {
                write!(f, "the command could not be started: could not {doing}")
            }
        }
    }
}

impl Error for ExecError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotExecutable { source, .. }
            | Self::WorkingDirectory { source, .. }
            | Self::Kernel { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A file of a VM could not be written.
#[derive(Debug)]
pub(crate) enum FileError {
    /// The VM has ended.
    Gone,
    /// What is at this path is neither a file nor can be one.
    NotAFile { path: String },
    /// The server or the kernel could not do it.
    Failed { doing: String, source: io::Error },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the VM has ended"),
            Self::NotAFile { path } => write!(f, "{path}: not a file"),
            Self::Failed { doing, .. } => write!(f, "could not {doing}"),
        }
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { source, .. } => Some(source),
            Self::Gone | Self::NotAFile { .. } => None,
        }
    }
}
