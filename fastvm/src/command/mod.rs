//! Commands, shaped like those of `tokio::process`.

mod child;
mod demux;
mod script;

use std::fmt;
use std::time::Duration;

use fastvm_api::types::ExecVmRequest;
use fastvm_api::{CallOptions, Client, Error, ErrorKind, Result};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::connector::Connector;
use crate::exec::{CommandLine, command_setters};
use crate::stream::{IncompleteOutput, Stream, StreamOutput};
use crate::vm::Vm;
use crate::vms::Vms;

use demux::Shared;
use script::{Report, Setup};

pub use child::{Child, ChildOutput, ExitStatus, Signal};

impl Vm {
    /// A command to run in this VM, in the way of `tokio::process::Command`.
    ///
    /// Nothing is sent before [`output`](Command::output), [`status`](Command::status) or
    /// [`spawn`](Command::spawn) is awaited. See [`Command`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// let output = vm
    ///     .command("sh")
    ///     .args(["-c", "echo \"$GREETING from $PWD\""])
    ///     .env("GREETING", "hello")
    ///     .current_dir("/tmp")
    ///     .output()
    ///     .await?
    ///     .ensure_success()?;
    /// assert_eq!(output.stdout, b"hello from /tmp\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn command(&self, program: impl Into<String>) -> Command {
        Command::new(self.client(), &self.id, program.into())
    }

    /// A line for `sh -c`, as a [`Command`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// let status = vm.shell("grep -q three").stdin("one\ntwo\n").status().await?;
    /// assert_eq!(status.code, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shell(&self, line: impl Into<String>) -> Command {
        Command::line(self.client(), &self.id, line.into())
    }
}

impl Vms {
    /// A command to run in a VM: see [`Vm::command`].
    pub fn command(&self, id: impl Into<String>, program: impl Into<String>) -> Command {
        Command::new(self.api(), id, program.into())
    }

    /// A line for `sh -c` in a VM: see [`Vm::shell`].
    pub fn shell(&self, id: impl Into<String>, line: impl Into<String>) -> Command {
        Command::line(self.api(), id, line.into())
    }
}

/// A command to run in a VM: made by [`Vm::command`] and [`Vm::shell`].
///
/// Shaped like `tokio::process::Command`, with three differences: setters take and give the command
/// itself; the outputs of a child are always piped; and input is bytes that are there before the
/// start, since the API delivers it once ([`stdin`](Self::stdin)). Without that the command reads
/// nothing.
///
/// Arguments are any text without NUL and arrive byte for byte; no shell reads them. Output is bytes,
/// comes as a stream and has no limit. An exit code other than 0 is not an error until success is
/// asked for with `.ensure_success()`.
///
/// Each start sends `POST /v1/vms/{id}/exec` for `application/x-ndjson`, once: if the answer is lost,
/// the command may have run.
///
/// # What the VM needs
///
/// The API takes a program, arguments, input and a time limit. The rest is done by a POSIX `sh` in
/// the VM, which becomes the command: its process id stays the same. So:
///
/// - [`env`](Self::env), [`env_clear`](Self::env_clear), [`current_dir`](Self::current_dir),
///   [`kill_on_drop`](Self::kill_on_drop) and [`spawn`](Self::spawn) need `sh` and `env`.
/// - [`user`](Self::user) needs `id` and either the `setpriv` of util-linux or `su`, and that the
///   service runs commands as root.
/// - [`Child::signal`] and [`Child::kill`] need `sh`, and `cat` where there is a `/proc`.
///
/// A command that uses none of these is sent as it is, and needs nothing.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`], before anything is sent, for what cannot be: an empty program, a NUL
/// byte, a name of a variable with `=`, a user whose name has other characters than letters, digits
/// and `_.-`.
///
/// A working directory that does not exist and a user that the VM does not know are
/// [`ErrorKind::NotFound`]; other reasons why the command could not be begun, such as a working
/// directory that cannot be entered, are [`ErrorKind::Command`]. The command has not run then:
/// [`outcome`](crate::Error::outcome) is [`Rejected`](crate::Outcome::Rejected).
///
/// A program that is not found is no error until success is asked for: it has the exit code 127, and
/// one that cannot be run 126, as in a shell.
#[must_use = "a command does not run until it is started by `output`, `status` or `spawn`"]
pub struct Command {
    api: Client,
    vm_id: String,
    args: Vec<String>,
    setup: Setup,
    kills_on_drop: bool,
    /// Everything but the command, which is put in at the start.
    request: ExecVmRequest,
    options: CallOptions,
    idle_check: Option<Duration>,
    problem: Option<Error>,
}

impl Command {
    fn new(api: &Client, vm_id: impl Into<String>, program: String) -> Self {
        Self {
            api: api.clone(),
            vm_id: vm_id.into(),
            args: vec![program],
            setup: Setup::default(),
            kills_on_drop: false,
            request: ExecVmRequest::new(Vec::<String>::new()),
            options: CallOptions::default(),
            idle_check: Connector::idle_check(api).streamed,
            problem: None,
        }
    }

    fn line(api: &Client, vm_id: impl Into<String>, line: String) -> Self {
        let line = CommandLine::from(line);
        let mut command = Self::new(api, vm_id, String::new());
        command.problem = line.problem();
        command.args = line.as_args().to_vec();
        command
    }

    command_setters!(options);

    /// One more argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment, besides those that commands in this VM have.
    ///
    /// The value is in no error and no `Debug` output, but can be seen inside the VM while the
    /// command starts. If `PATH` is set, the program is looked for there.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.setup.env.insert(name.into(), value.into());
        self
    }

    /// Sets variables of its environment: see [`env`](Self::env).
    pub fn envs<K: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        self.setup.env.extend(variables);
        self
    }

    /// Starts with an empty environment: without the VM's variables, and without those set here so
    /// far. Without a `PATH` the program is looked for where the VM's system does by default.
    pub fn env_clear(mut self) -> Self {
        self.setup.env.clear();
        self.setup.clears_env = true;
        self
    }

    /// Runs it in this directory of the VM. A relative one is looked for where commands start, most
    /// often the home of root.
    pub fn current_dir(mut self, dir: impl Into<String>) -> Self {
        self.setup.dir = Some(dir.into());
        self
    }

    /// Runs it as this user of the VM, with the user's groups, and with `HOME`, `USER` and `LOGNAME`
    /// accordingly. A name, of letters, digits and `_.-`. The working directory must be one that the
    /// user can enter, if it is set.
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.setup.user = Some(name.into());
        self
    }

    /// Whether the command is killed when the future of [`output`](Self::output),
    /// [`status`](Self::status) or [`spawn`](Self::spawn), or the [`Child`], is dropped before its
    /// end; not so by default. One try, in the background: see [`Child`].
    pub fn kill_on_drop(mut self, kills: bool) -> Self {
        self.kills_on_drop = kills;
        self
    }

    /// Runs it to its end, and gives all it put out, kept in memory. There is no limit of 4 MiB, as
    /// [`Vm::run`] has it.
    ///
    /// # Errors
    ///
    /// [`IncompleteOutput`]: why it could not be started, or what ended the stream, with the output
    /// that came before it. Becomes the plain [`Error`](crate::Error) by `?` where that is asked for.
    pub async fn output(self) -> Result<StreamOutput, IncompleteOutput> {
        match self.start(false).await {
            Ok(child) => child.wait_with_output().await,
            Err(error) => Err(IncompleteOutput::of_nothing(error)),
        }
    }

    /// Runs it to its end, and says how that was. Its output is discarded, but for the end of
    /// standard error, which [`ensure_success`](ExitStatus::ensure_success) shows.
    ///
    /// # Errors
    ///
    /// Those of [`Command`], and those of [`Child::wait`].
    pub async fn status(self) -> Result<ExitStatus> {
        let mut child = self.start(false).await?;
        child.stdout = None;
        child.stderr = None;
        child.wait().await
    }

    /// Starts it, and gives a [`Child`] as soon as the VM has told its process id.
    ///
    /// # Errors
    ///
    /// Those of [`Command`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// use fastvm::Signal;
    /// use tokio::io::{AsyncBufReadExt, BufReader};
    ///
    /// let mut child = vm.shell("echo ready; exec sleep 600").spawn().await?;
    /// let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    /// assert_eq!(lines.next_line().await?.as_deref(), Some("ready"));
    /// child.signal(Signal::Term).await?;
    /// assert_eq!(child.wait().await?.code, 128 + 15);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn spawn(self) -> Result<Child> {
        self.start(true).await
    }

    /// Starts it, with its process id if that is needed.
    async fn start(self, needs_id: bool) -> Result<Child> {
        if !self.kills_on_drop {
            return self.begin(needs_id).await;
        }
        // A task of its own: if this future is dropped, the child that comes of it is, too.
        let (vm_id, runtime) = (self.vm_id.clone(), Handle::current());
        let starting = tokio::spawn(async move {
            let mut child = self.begin(true).await?;
            child.killer = Some(runtime);
            Ok(child)
        });
        starting.await.unwrap_or_else(|stopped| {
            let message = "the start of the command was stopped with its runtime";
            let error = Error::new(ErrorKind::Command, message).with_source(stopped);
            Err(error.with_vm_id(vm_id))
        })
    }

    async fn begin(mut self, needs_id: bool) -> Result<Child> {
        if let Some(problem) = self.problem() {
            return Err(problem.with_vm_id(self.vm_id));
        }
        let tag = (needs_id || !self.setup.is_empty())
            .then(|| format!("fastvm-{}", Uuid::new_v4().simple()));
        self.request.command = match &tag {
            Some(tag) => self.setup.wrap(tag, &self.args),
            None => self.args,
        };
        let stream = Stream::of_request(&self.api, &self.vm_id, self.request, self.options);
        let events = stream.idle_check(self.idle_check).await.map_err(|error| {
            let values: Vec<_> = self.setup.env.values().collect();
            error.without_secrets(&values)
        })?;
        let shared = Shared::new(events, tag);
        let mut child = Child::new(&self.api, &self.vm_id, shared);
        child.process = match child.shared.report().await {
            Some(Report::Started(process)) => Some(process),
            Some(Report::Refused(reason)) => {
                return Err(self.setup.refusal(&reason).with_vm_id(self.vm_id));
            }
            None => None,
        };
        Ok(child)
    }

    fn problem(&mut self) -> Option<Error> {
        let noted = self.problem.take();
        let problem = noted.or_else(|| CommandLine::from(&self.args).problem());
        problem.or_else(|| self.setup.check().err())
    }
}

/// Without the values of variables, and without input: both can be secret.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("vm_id", &self.vm_id)
            .field("args", &self.args)
            .field("env", &self.setup.env.keys())
            .field("current_dir", &self.setup.dir)
            .field("user", &self.setup.user)
            .finish_non_exhaustive()
    }
}
