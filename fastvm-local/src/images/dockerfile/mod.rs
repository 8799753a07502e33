//! Builds the image that a Dockerfile describes.
//!
//! `parse` reads the file, `words` and `pattern` its texts, `plan` checks it and finds out what is
//! to be built, `context` unpacks what was uploaded, `root` reads and writes root directories without
//! leaving them, `copy` is COPY and ADD, `run` is RUN, and `build` goes through the steps: each stage
//! has one root directory, on which its steps work in place, and each RUN is a command in a VM of it.

#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

#[cfg(target_os = "linux")]
mod build;
#[cfg(target_os = "linux")]
mod context;
#[cfg(target_os = "linux")]
mod copy;
mod parse;
mod pattern;
mod plan;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
mod run;
#[cfg(all(test, target_os = "linux"))]
mod tests;
mod words;

#[cfg(target_os = "linux")]
pub(crate) use build::build;

/// What is built of a context.
#[derive(Clone)]
pub(crate) struct DockerfileSpec {
    /// Where the Dockerfile is in the context.
    pub(crate) path: String,
    /// The stage to build; the last one unless told.
    pub(crate) target: Option<String>,
    /// Values of ARG.
    pub(crate) build_args: BTreeMap<String, String>,
}

impl Default for DockerfileSpec {
    fn default() -> Self {
        Self {
            path: "Dockerfile".to_owned(),
            target: None,
            build_args: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for DockerfileSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.debug_struct("DockerfileSpec")
            .field("path", &self.path)
            .field("target", &self.target)
            .field("build_args", &self.build_args.keys())
            .finish()
    }
}

/// Why nothing was built. Its text is one line for users: without secrets, and without paths of the
/// server.
#[derive(Debug)]
pub(crate) enum BuildError {
    /// The context or the Dockerfile does not allow it.
    Diagnostic(String),
    Cancelled,
    /// The server could not do it.
    Server {
        /// To follow "could not".
        doing: &'static str,
        source: Box<dyn Error + Send + Sync>,
    },
}

impl BuildError {
    fn server(doing: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Server {
            doing,
            source: source.into(),
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Diagnostic(text) => f.write_str(text),
            Self::Cancelled => f.write_str("the build was cancelled"),
            Self::Server { doing, .. } => write!(f, "the server could not {doing}"),
        }
    }
}

/// The cause is for the log: it may have paths of the server in it.
impl Error for BuildError {}

/// What is wrong in a Dockerfile, and where.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    /// 0 if it is about the file as a whole.
    line: usize,
    keyword: String,
    what: String,
}

impl Fault {
    fn new(line: usize, keyword: &str, what: impl Into<String>) -> Self {
        Self {
            line,
            keyword: keyword.to_owned(),
            what: what.into(),
        }
    }

    fn of_file(what: impl Into<String>) -> Self {
        Self::new(0, "", what)
    }

    fn in_file(self, file: &str) -> BuildError {
        let Self {
            line,
            keyword,
            what,
        } = self;
        let text = match line {
            0 => format!("{file}: {what}"),
            line => format!("{file} line {line}, {keyword}: {what}"),
        };
        BuildError::Diagnostic(one_line(&text))
    }
}

/// Control characters, line ends included, become spaces.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// Nothing is built where no VM can be had.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn build(
    _context: &std::path::Path,
    _spec: &DockerfileSpec,
    _images: &super::Images,
    _host: &crate::sandbox::Host,
    _progress: impl Fn(super::ImportEvent) + Send + Sync,
    _cancel: tokio_util::sync::CancellationToken,
) -> Result<super::Image, BuildError> {
    let unsupported = std::io::Error::from(std::io::ErrorKind::Unsupported);
    Err(BuildError::server("build", unsupported))
}
