//! Launching a VM, so that none is left behind.

mod adopt;
mod turns;
mod wait;

use std::collections::BTreeMap;
use std::time::Duration;

use fastvm_api::{CallOptions, Cleanup, Client, Error, ErrorKind, Pending, ResponseValue, Result};

use adopt::Arrival;
pub use adopt::LAUNCH_ID_KEY;
use tokio_util::sync::CancellationToken;
pub(crate) use turns::Turns;
pub use wait::WaitForVmReady;
use wait::until_running;

use crate::cleanup::DeleteOnDrop;
use crate::lease::LeasedLaunch;
use crate::poll::{Wait, wait_setters};
use crate::vm::Vm;

/// A launch or restore: `client.vms().launch("c1m2")`, `client.vms().restore("snp_…")`.
///
/// Awaited, it gives the VM once it is running. See [`Vms::launch`](crate::Vms::launch).
#[derive(Clone, Debug)]
#[must_use = "a launch does nothing until it is awaited"]
pub struct Launch {
    api: Client,
    request: fastvm_api::vms::Launch,
    is_restore: bool,
    metadata: Option<BTreeMap<String, String>>,
    has_launch_id: bool,
    keeps_on_failure: bool,
    waits: bool,
    wait: Wait,
}

impl Launch {
    pub(crate) fn cold(api: &Client, machine_type: impl Into<String>) -> Self {
        Self::new(api, api.vms().launch().machine_type(machine_type), false)
    }

    pub(crate) fn restore(api: &Client, snapshot_id: impl Into<String>) -> Self {
        Self::new(api, api.vms().launch().snapshot_id(snapshot_id), true)
    }

    fn new(api: &Client, request: fastvm_api::vms::Launch, is_restore: bool) -> Self {
        Self {
            api: api.clone(),
            request,
            is_restore,
            metadata: None,
            has_launch_id: true,
            keeps_on_failure: false,
            waits: true,
            wait: Wait::default(),
        }
    }

    fastvm_api::__launch_vm_setters!(request);
    fastvm_api::__call_options!(request);

    /// Labels for the VM, by which `vms().list()` can filter. Adds one; `set_metadata` sets them
    /// all.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let metadata = self.metadata.get_or_insert_default();
        metadata.insert(key.into(), value.into());
        self
    }

    /// All labels of the VM, in place of those added so far. On a restore they replace the captured
    /// ones, an empty map included.
    pub fn set_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Whether to send an id of this launch as the label [`LAUNCH_ID_KEY`], as is the default.
    ///
    /// By it the VM is found when the answer is lost. It is left off where the labels of the caller
    /// have that key or leave no room (256 labels, 65536 bytes as JSON), and on a restore without
    /// labels, since it would replace the captured ones.
    pub fn launch_id(mut self, launch_id: bool) -> Self {
        self.has_launch_id = launch_id;
        self
    }

    /// Leaves the VM when the launch fails, times out or is dropped after the VM was made. By
    /// default it is deleted.
    pub fn keep_on_failure(mut self) -> Self {
        self.keeps_on_failure = true;
        self
    }

    /// Whether to wait until the VM is running, as is the default. Without, the handle is of a VM
    /// that may be queued, and what becomes of it is up to the caller: see
    /// [`Client::wait_for_vm_ready`](crate::Client::wait_for_vm_ready).
    pub fn wait(mut self, wait: bool) -> Self {
        self.waits = wait;
        self
    }

    wait_setters!();

    /// Leases the VM from the start: nothing is left of it even if this client is killed, be it
    /// before the answer has come. To be called last.
    ///
    /// The launch sets a TTL that deletes the VM, in place of `.ttl(..)`. It counts from when the VM
    /// runs. For the limits, and for what follows, see [`Vm::lease`].
    pub fn lease(self, length: Duration) -> LeasedLaunch {
        LeasedLaunch::new(self, length)
    }

    /// Whether the VM stays whatever happens.
    pub(crate) fn keeps_on_failure(&self) -> bool {
        self.keeps_on_failure
    }

    /// Polls at least this often.
    pub(crate) fn poll_within(mut self, interval: Duration) -> Self {
        self.wait.poll_interval = self.wait.poll_interval.min(interval);
        self
    }

    /// Launches, waits, and gives the VM with the status and headers of the launch's answer, or of
    /// the list that the VM was found in if that answer was lost.
    pub async fn send(self) -> Result<ResponseValue<Vm>> {
        self.send_unless(&CancellationToken::new()).await
    }

    /// The same, unless it is stopped while it waits: then the VM is deleted before this answers.
    pub(crate) async fn send_unless(self, stop: &CancellationToken) -> Result<ResponseValue<Vm>> {
        let arrival = adopt::post(
            self.api.clone(),
            self.request,
            adopt::mark(self.metadata, self.is_restore, self.has_launch_id),
            self.keeps_on_failure,
        );
        let Arrival {
            mut vm,
            warnings,
            status,
            headers,
            unless_delivered,
        } = arrival.await?;
        if self.waits {
            let id = vm.id.clone();
            // The options of the launch are for its own request, which may take long.
            let calls = CallOptions::default();
            let running = until_running(&self.wait, &self.api, &id, Some(vm), &calls);
            let running = stop.run_until_cancelled(running).await;
            vm = match running.unwrap_or_else(|| Err(stopped(&id))) {
                Ok(vm) => vm,
                Err(error) => return Err(clean_up(error, unless_delivered).await),
            };
        }
        if let Some(deletion) = unless_delivered {
            deletion.disarm();
        }
        let vm = Vm::new(&self.api, vm).with_warnings(warnings);
        Ok(ResponseValue::new(vm, status, headers))
    }
}

fn stopped(id: &str) -> Error {
    Error::new(ErrorKind::Launch, "it was stopped, since another failed").with_vm_id(id)
}

/// The error with what became of the VM.
async fn clean_up(error: Error, deletion: Option<DeleteOnDrop>) -> Error {
    let Some(deletion) = deletion else {
        return error.with_cleanup(Cleanup::Kept);
    };
    error.with_cleanup(match deletion.delete().await {
        Ok(()) => Cleanup::Deleted,
        Err(error) => Cleanup::Failed(error),
    })
}

impl IntoFuture for Launch {
    type Output = Result<Vm>;
    type IntoFuture = Pending<Vm>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
