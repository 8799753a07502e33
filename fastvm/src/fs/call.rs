//! A call: a script in the VM, and what became of it.

use std::time::Duration;

use fastvm_api::{Client, Error, ErrorKind, Pending, Result};
use tokio::time::timeout;

use super::failure::failed;
use super::path::RemotePath;
use super::script::PRELUDE;
use crate::exec::ANSWER_WITHIN;
use crate::stream::{Stream, StreamOutput};

/// How long a script may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(600);

const NO_ANSWER: &str = "the command's time is up, and the service does not say how it ended";

/// A script to run on a path, with more arguments.
#[derive(Debug)]
pub(super) struct Call {
    api: Client,
    vm_id: String,
    path: RemotePath,
    second: Option<RemotePath>,
    script: &'static str,
    args: Vec<String>,
    stdin: Vec<u8>,
    problem: Option<Error>,
}

impl Call {
    pub(super) fn new(
        api: &Client,
        vm_id: &str,
        script: &'static str,
        path: impl AsRef<[u8]>,
    ) -> Self {
        let path = RemotePath::from(path.as_ref());
        Self {
            api: api.clone(),
            vm_id: vm_id.to_owned(),
            problem: path.problem(),
            args: vec![path.escaped()],
            path,
            second: None,
            script,
            stdin: Vec::new(),
        }
    }

    pub(super) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A second path, as the next argument.
    pub(super) fn to(mut self, path: impl AsRef<[u8]>) -> Self {
        let path = RemotePath::from(path.as_ref());
        self.problem = self.problem.or_else(|| path.problem());
        self.args.push(path.escaped());
        self.second = Some(path);
        self
    }

    pub(super) fn stdin(mut self, data: Vec<u8>) -> Self {
        self.stdin = data;
        self
    }

    /// Not done at all if there is an error.
    pub(super) fn unless(mut self, problem: Option<Error>) -> Self {
        self.problem = self.problem.or(problem);
        self
    }

    /// Runs it to its exit, whatever that is.
    pub(super) async fn outcome(self) -> Result<Outcome> {
        let Self { path, vm_id, .. } = self;
        let of_call = |error: Error| {
            let error = error.with_vm_id(&vm_id);
            match error.path() {
                Some(_) => error,
                None => error.with_path(path.to_string_lossy()),
            }
        };
        if let Some(problem) = self.problem {
            return Err(of_call(problem));
        }
        let script = [PRELUDE, self.script].concat();
        let mut command = ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
        command.extend(self.args);
        let mut stream = Stream::new(&self.api, vm_id.clone(), command.into()).timeout(TIMEOUT);
        if !self.stdin.is_empty() {
            stream = stream.stdin(self.stdin);
        }
        let work = async { Ok(stream.await?.output().await?) };
        let output = match timeout(TIMEOUT + ANSWER_WITHIN, work).await {
            Ok(output) => output.map_err(of_call)?,
            Err(_) => return Err(of_call(Error::new(ErrorKind::Timeout, NO_ANSWER))),
        };
        Ok(Outcome {
            output,
            vm_id,
            second: self.second,
            path,
        })
    }

    /// Its standard output, if it succeeds.
    pub(super) async fn output(self) -> Result<Vec<u8>> {
        self.outcome().await?.ensure_success()
    }

    /// For calls that give nothing.
    pub(super) fn done(self) -> Pending<()> {
        Box::pin(async move { self.output().await.map(drop) })
    }
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) output: StreamOutput,
    vm_id: String,
    path: RemotePath,
    second: Option<RemotePath>,
}

impl Outcome {
    pub(super) fn ensure_success(self) -> Result<Vec<u8>> {
        if self.output.is_success() {
            return Ok(self.output.stdout);
        }
        let second = self.second.as_ref().unwrap_or(&self.path);
        Err(failed(&self.output, &self.path, second).with_vm_id(self.vm_id))
    }
}

/// A tool in the VM told something that it should not have.
pub(super) fn unreadable(path: &RemotePath, what: &str) -> Error {
    let message = format!("what the VM tells of it cannot be read: {what}");
    Error::new(ErrorKind::Decode, message).with_path(path.to_string_lossy())
}
