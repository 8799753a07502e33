//! The calls on VMs: overrides over the generated resource.

use std::ops::Deref;

use fastvm_api::{Client, types};

use crate::exec::{CommandLine, Run};
use crate::launch::Launch;
use crate::stream::Stream;
use crate::vm::Vm;

/// The calls on VMs: `client.vms()`.
///
/// Derefs to the generated [`fastvm_api::vms::Vms`], whose operations that answer a VM give a
/// [`Vm`] handle here: `client.vms().retrieve(&id)`, `.pause(&id)`, `.resume(&id)`, `.update(&id)`.
#[derive(Clone, Debug)]
pub struct Vms {
    api: Client,
    tree: fastvm_api::vms::Vms<Vm>,
}

impl Vms {
    pub(crate) fn new(api: &Client) -> Self {
        Self {
            api: api.clone(),
            tree: fastvm_api::vms::Vms::new(api),
        }
    }

    pub(crate) fn api(&self) -> &Client {
        &self.api
    }

    /// Boots a VM of this machine type, such as `c1m2`, and waits until it is `running`.
    ///
    /// Name, disk, metadata, environment, firewall, TTL, volumes and bucket mounts are set by
    /// methods of these names. `.wait(false)` answers at once; `.poll_interval(..)` and
    /// `.wait_timeout(..)` tune the wait. Sends `POST /v1/vms`, once, then `GET /v1/vms/{id}` until
    /// it runs.
    ///
    /// # What is left behind
    ///
    /// A VM that is not handed over is deleted (`DELETE /v1/vms/{id}`, tried for up to 30 s), unless
    /// [`.keep_on_failure()`](Launch::keep_on_failure) is set:
    ///
    /// - When the wait fails or times out, before the error is answered.
    ///   [`Error::cleanup`](crate::Error::cleanup) says whether that succeeded.
    /// - When the future is dropped, in the background: the request runs in a task of its own, and
    ///   what it makes then is deleted. One that was never polled sends nothing. If the
    ///   runtime ends before that, its end is held up for up to 5 s (10 s for all of a process).
    ///   Against a client that is killed there is [`.lease(..)`](Launch::lease).
    ///
    /// When the answer is lost (a cut connection, a timeout, a 5xx), the launch is not sent again.
    /// The VM is looked for by the label [`LAUNCH_ID_KEY`](crate::LAUNCH_ID_KEY) that the request
    /// carried, seven times within 10 s (45 s if the service is slow), and taken as the answer; its
    /// [`warnings`](Vm::warnings) are lost then. [`.launch_id(false)`](Launch::launch_id) turns
    /// that off.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Launch`](crate::ErrorKind::Launch) if the VM ends as `error`, `stopped` or
    /// `deleting`, [`ErrorKind::NotReady`](crate::ErrorKind::NotReady) if time runs out: both carry
    /// the VM's id. A 400 if the request is not valid. An error whose
    /// [`outcome`](crate::Error::outcome) is `Unknown` and that has no VM's id if the answer was lost
    /// and no VM was found: it says which label to look for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// let vm = client.vms().launch("c1m2").name("dev").metadata("env", "test").await?;
    /// assert_eq!(vm.status, "running");
    /// vm.delete().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn launch(&self, machine_type: impl Into<String>) -> Launch {
        Launch::cold(&self.api, machine_type)
    }

    /// Starts a VM from a snapshot, and waits until it is `running`.
    ///
    /// What is not set is taken over from the snapshot; a list of volumes or bucket mounts replaces
    /// the captured one in full, an empty one included (`.set_volumes(vec![])`). What could not be
    /// restored is in [`Vm::warnings`]. Waits, fails and cleans up like [`launch`](Self::launch);
    /// but only one that sets metadata carries a launch id, since that would replace the captured
    /// metadata. Sends `POST /v1/vms` with `snapshotId`.
    pub fn restore(&self, snapshot_id: impl Into<String>) -> Launch {
        Launch::restore(&self.api, snapshot_id)
    }

    /// Runs a command in a VM, and answers its output when it has ended.
    ///
    /// A string is a shell line (`sh -c`), an array or `Vec` an argument vector. An exit code other
    /// than 0 is not an error here; [`Output::ensure_success`](crate::Output::ensure_success) makes
    /// it one. At most 4 MiB of each output stream are kept; [`stream`](Self::stream) has no such
    /// limit. `.stdin(..)` gives it input, `.timeout(..)` a limit on the server. Sends
    /// `POST /v1/vms/{id}/exec`, once: if the answer is lost, the command may have run.
    ///
    /// The answer is waited for as long as the VM lives. A peer that is silently gone is noticed
    /// within about a minute; `.request_timeout(..)` ends the wait earlier, though not the command.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// let out = client.vms().run(&vm.id, ["echo", "it's $HOME"]).await?;
    /// assert_eq!(out.stdout, "it's $HOME\n");
    ///
    /// let out = client.vms().run(&vm.id, "cat | wc -c && exit 3").stdin("four").await?;
    /// assert_eq!((out.stdout.trim(), out.exit_code), ("4", 3));
    /// # Ok(())
    /// # }
    /// ```
    pub fn run(&self, id: impl Into<String>, command: impl Into<CommandLine>) -> Run {
        Run::new(&self.api, id.into(), command.into())
    }

    /// Runs a command in a VM, and answers its output as it comes.
    ///
    /// Takes what [`run`](Self::run) takes. The stream ends with the command's
    /// [`Exit`](crate::ExecEvent::Exit) or with an error. It has an HTTP/1.1 connection of its own,
    /// so that one nobody reads holds up no other call. Sends `POST /v1/vms/{id}/exec` for
    /// `application/x-ndjson`, once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fastvm::ExecEvent;
    /// # use futures_util::TryStreamExt;
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// let mut events = client.vms().stream(&vm.id, "echo one; echo two >&2").await?;
    /// while let Some(event) = events.try_next().await? {
    ///     match event {
    ///         ExecEvent::Stdout(bytes) => assert_eq!(&bytes[..], b"one\n"),
    ///         ExecEvent::Stderr(bytes) => assert_eq!(&bytes[..], b"two\n"),
    ///         ExecEvent::Exit(exit) => assert_eq!(exit.code, 0),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(&self, id: impl Into<String>, command: impl Into<CommandLine>) -> Stream {
        Stream::new(&self.api, id.into(), command.into())
    }

    /// A handle on a VM that is at hand, such as an item of a list. Sends nothing.
    pub fn handle(&self, vm: impl Into<types::Vm>) -> Vm {
        Vm::new(&self.api, vm.into())
    }
}

impl Deref for Vms {
    type Target = fastvm_api::vms::Vms<Vm>;

    fn deref(&self) -> &Self::Target {
        &self.tree
    }
}
