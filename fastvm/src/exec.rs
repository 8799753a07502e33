//! Commands: how they are written, and their buffered run.

use std::fmt;
use std::ops::Deref;
use std::pin::pin;
use std::time::Duration;

use fastvm_api::types::ExecVmResponse;
use fastvm_api::{Client, Error, ErrorKind, Pending, ResponseValue, Result};

use crate::connector::Connector;
use crate::idle::watched;

/// How long after the end of a command's own time its answer may take, where that is bounded.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How much of stderr's end an error shows.
pub(crate) const STDERR_TAIL: usize = 400;

/// A command to run: a shell line or an argument vector.
///
/// `&str` and `String` are a line for `sh -c`; arrays, slices and `Vec`s are the program and its
/// arguments, which no shell touches.
///
/// ```
/// use fastvm::CommandLine;
///
/// assert_eq!(CommandLine::from("ls | wc -l").as_args(), ["sh", "-c", "ls | wc -l"]);
/// assert_eq!(CommandLine::from(["ls", "-la"]).as_args(), ["ls", "-la"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    args: Vec<String>,
    is_line: bool,
}

impl CommandLine {
    /// The argument vector as it is sent.
    pub fn as_args(&self) -> &[String] {
        &self.args
    }

    fn line(line: String) -> Self {
        Self {
            args: vec!["sh".to_owned(), "-c".to_owned(), line],
            is_line: true,
        }
    }

    /// What the service would refuse, or run as something else.
    pub(crate) fn problem(&self) -> Option<Error> {
        let refuse = |message: &str| Some(Error::new(ErrorKind::InvalidInput, message));
        let is_empty = match (self.is_line, self.args.as_slice()) {
            (true, [.., line]) => line.trim().is_empty(),
            (_, [program, ..]) => program.is_empty(),
            (_, []) => true,
        };
        if is_empty {
            return refuse("the command is empty");
        }
        match self.args.iter().any(|arg| arg.contains('\0')) {
            true => {
                refuse("an argument of the command holds a NUL byte, which no program can be given")
            }
            false => None,
        }
    }
}

impl From<&str> for CommandLine {
    fn from(line: &str) -> Self {
        Self::line(line.to_owned())
    }
}

impl From<String> for CommandLine {
    fn from(line: String) -> Self {
        Self::line(line)
    }
}

impl From<&String> for CommandLine {
    fn from(line: &String) -> Self {
        Self::line(line.clone())
    }
}

impl<S: Into<String>> From<Vec<S>> for CommandLine {
    fn from(args: Vec<S>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self {
            args,
            is_line: false,
        }
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for CommandLine {
    fn from(args: [S; N]) -> Self {
        Vec::from(args).into()
    }
}

impl<S: AsRef<str>> From<&[S]> for CommandLine {
    fn from(args: &[S]) -> Self {
        args.iter().map(AsRef::as_ref).collect::<Vec<&str>>().into()
    }
}

impl<S: AsRef<str>, const N: usize> From<&[S; N]> for CommandLine {
    fn from(args: &[S; N]) -> Self {
        args.as_slice().into()
    }
}

impl<S: AsRef<str>> From<&Vec<S>> for CommandLine {
    fn from(args: &Vec<S>) -> Self {
        args.as_slice().into()
    }
}

/// Whole seconds for the wire, rounded up, so that a command never gets less than was asked for.
pub(crate) fn timeout_sec(timeout: Duration) -> Result<i64> {
    if timeout.is_zero() {
        let message = "the command's timeout is zero: it would not run at all";
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let seconds = timeout
        .as_secs()
        .saturating_add(u64::from(timeout.subsec_nanos() > 0));
    i64::try_from(seconds)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "the command's timeout is too long"))
}

/// The setters that all kinds of command share. `request` is the generated builder or body, `$call`
/// what takes the options of the call, and `problem` the first thing that was wrong.
macro_rules! command_setters {
    ($call:ident) => {
        fastvm_api::__exec_vm_setters!(request);
        fastvm_api::__call_options!($call);

        /// All of the command's standard input: it is delivered once, then the input is closed.
        pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
            let text = base64_simd::STANDARD.encode_to_string(input.into());
            self.request = self.request.stdin(text);
            self
        }

        /// After how long a silence the API is asked whether the VM still lives, in place of the
        /// client's default; `None` turns it off. See
        /// [`ClientBuilder::idle_check`](crate::ClientBuilder::idle_check).
        pub fn idle_check(mut self, after: impl Into<Option<std::time::Duration>>) -> Self {
            self.idle_check = after.into();
            self
        }

        /// How long the command may run on the server, in whole seconds, rounded up; zero is
        /// refused. When time is up it is killed with all it started, and counts as timed out.
        /// Without this the server applies a limit of its own; the client sets none.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            match crate::exec::timeout_sec(timeout) {
                Ok(seconds) => self.request = self.request.timeout_sec(seconds),
                Err(error) => {
                    self.problem.get_or_insert(error);
                }
            }
            self
        }
    };
}
pub(crate) use command_setters;

/// A command to run to its end: `vm.run(..)`. See [`Vms::run`](crate::Vms::run).
#[derive(Debug)]
#[must_use = "a command does not run until it is awaited"]
pub struct Run {
    api: Client,
    request: fastvm_api::vms::Run,
    vm_id: String,
    idle_check: Option<Duration>,
    problem: Option<Error>,
}

impl Run {
    pub(crate) fn new(api: &Client, vm_id: String, command: CommandLine) -> Self {
        Self {
            api: api.clone(),
            problem: command.problem(),
            request: api.vms().run(&vm_id, command.args),
            vm_id,
            idle_check: Connector::idle_check(api).buffered,
        }
    }

    command_setters!(request);

    /// Runs it, and gives the output with the status and headers of the answer.
    pub async fn send(self) -> Result<ResponseValue<Output>> {
        let exchange = self.exchange(|answer, vm_id| {
            let (status, headers) = (answer.status(), answer.headers().clone());
            let output = Output {
                answer: answer.into_inner(),
                vm_id,
            };
            ResponseValue::new(output, status, headers)
        });
        exchange.await
    }

    /// What `of` makes of the answer and of the VM that it is from.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    fn exchange<T>(
        self,
        of: impl FnOnce(ResponseValue<ExecVmResponse>, String) -> T + Send,
    ) -> impl Future<Output = Result<T>> + Send {
        async move {
            if let Some(problem) = self.problem {
                return Err(problem.with_vm_id(self.vm_id));
            }
            let sending = pin!(self.request.send());
            let answer = watched(&self.api, &self.vm_id, self.idle_check, sending).await?;
            Ok(of(answer, self.vm_id))
        }
    }
}

impl IntoFuture for Run {
    type Output = Result<Output>;
    type IntoFuture = Pending<Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.exchange(|answer, vm_id| Output {
            answer: answer.into_inner(),
            vm_id,
        }))
    }
}

/// What a command put out, and how it ended. Derefs to the answer: `out.stdout`, `out.exit_code`,
/// `out.timed_out`, `out.stdout_truncated`.
#[derive(Clone, PartialEq)]
pub struct Output {
    answer: ExecVmResponse,
    vm_id: String,
}

impl Output {
    /// Whether it exited with 0 and in time.
    pub fn is_success(&self) -> bool {
        succeeded(&self.answer)
    }

    /// How long it ran.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.duration_ms.try_into().unwrap_or_default())
    }

    /// Itself if the command succeeded, else an error with its exit code and the end of its stderr.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Command`].
    pub fn ensure_success(self) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        let killed_after = self.timed_out.then(|| self.duration());
        let error = command_failed(self.exit_code, killed_after, self.stderr.trim_end());
        Err(error.with_vm_id(self.vm_id))
    }

    /// The answer of the API.
    pub fn into_answer(self) -> ExecVmResponse {
        self.answer
    }
}

impl Deref for Output {
    type Target = ExecVmResponse;

    fn deref(&self) -> &ExecVmResponse {
        &self.answer
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer.fmt(f)
    }
}

/// Whether what a command or a fetch answers is a success.
pub(crate) fn succeeded(answer: &ExecVmResponse) -> bool {
    answer.exit_code == 0 && !answer.timed_out
}

/// The error of a command that did not succeed, with the end of what it said of it.
pub(crate) fn command_failed(code: i64, killed_after: Option<Duration>, reason: &str) -> Error {
    let mut message = match killed_after {
        Some(time) => format!("the command was killed when its time was up, after {time:?}"),
        None => format!("the command exited with code {code}"),
    };
    let reason = tail(reason, STDERR_TAIL).trim();
    if !reason.is_empty() {
        message += &format!(": {reason}");
    }
    Error::new(ErrorKind::Command, message)
}

/// The last `length` bytes, or a little less, so that no character is cut.
pub(crate) fn tail(text: &str, length: usize) -> &str {
    let mut start = text.len().saturating_sub(length);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_command_becomes_the_same_vector() {
        let args = ["a", "b c"];
        let expected = CommandLine::from(args);
        assert_eq!(CommandLine::from(&args), expected);
        assert_eq!(CommandLine::from(&args[..]), expected);
        assert_eq!(CommandLine::from(args.to_vec()), expected);
        assert_eq!(CommandLine::from(&args.to_vec()), expected);
        assert_eq!(CommandLine::from(args.map(String::from)), expected);
        assert_eq!(CommandLine::from("x"), CommandLine::from(String::from("x")));
    }

    #[test]
    fn what_cannot_run_is_a_problem() {
        for command in [
            CommandLine::from(" "),
            CommandLine::from([""]),
            CommandLine::from(Vec::<String>::new()),
            CommandLine::from(["a", "b\0"]),
        ] {
            assert!(command.problem().is_some(), "{command:?}");
        }
        assert!(CommandLine::from(["echo", ""]).problem().is_none());
    }

    #[test]
    fn a_timeout_is_rounded_up_and_never_zero() {
        assert_eq!(timeout_sec(Duration::from_millis(1)).unwrap(), 1);
        assert_eq!(timeout_sec(Duration::from_secs(2)).unwrap(), 2);
        assert_eq!(timeout_sec(Duration::from_millis(2001)).unwrap(), 3);
        assert!(timeout_sec(Duration::ZERO).is_err());
        assert!(timeout_sec(Duration::MAX).is_err());
    }

    #[test]
    fn a_tail_never_cuts_a_character() {
        assert_eq!(tail("aäö", 3), "ö");
        assert_eq!(tail("ab", 9), "ab");
    }
}
