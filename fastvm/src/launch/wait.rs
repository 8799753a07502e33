//! Waiting until a VM runs.

use std::sync::{Mutex, PoisonError};

use fastvm_api::types::{self, VmStatus};
use fastvm_api::{CallOptions, Client, Error, ErrorKind, Pending, Result};

use crate::connector::Connector;
use crate::launch::Turns;
use crate::poll::{Step, Wait, wait_setters};
use crate::vm::Vm;

/// A wait for a VM: `client.wait_for_vm_ready(&id)`.
///
/// It is no launch: whatever becomes of the wait, the VM is left.
#[derive(Clone, Debug)]
#[must_use = "it waits only when awaited"]
pub struct WaitForVmReady {
    api: Client,
    id: String,
    calls: CallOptions,
    wait: Wait,
}

impl WaitForVmReady {
    pub(crate) fn new(api: &Client, id: String) -> Self {
        Self {
            api: api.clone(),
            id,
            calls: CallOptions::default(),
            wait: Wait::default(),
        }
    }

    wait_setters!();
    fastvm_api::__call_options!(calls);
}

impl IntoFuture for WaitForVmReady {
    type Output = Result<Vm>;
    type IntoFuture = Pending<Vm>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let waiting = until_running(&self.wait, &self.api, &self.id, None, &self.calls);
            let vm = waiting.await?;
            Ok(Vm::new(&self.api, vm))
        })
    }
}

/// Polls until the VM runs. `known` is the VM as last answered.
pub(super) async fn until_running(
    wait: &Wait,
    api: &Client,
    id: &str,
    known: Option<types::Vm>,
    calls: &CallOptions,
) -> Result<types::Vm> {
    let last_status = Mutex::new(None);
    let judge = |vm: types::Vm| {
        let mut last_status = last_status.lock().unwrap_or_else(PoisonError::into_inner);
        *last_status = Some(vm.status.clone());
        running(vm)
    };
    let known = known.map(judge);
    let turns = Connector::of(api).map(Connector::turns);
    let _wait = turns.map(Turns::wait);
    let late = || "not running".to_owned();
    let ask = || async {
        let vm = match turns {
            // A call with options of its own is nobody else's.
            Some(turns) if calls.is_default() => turns.look(api, id).await,
            _ => api.vms().retrieve(id).call_options(calls.clone()).await,
        };
        Step::of(vm, judge)
    };
    let waited = wait.until(known, late, ask).await;
    waited.map_err(|error| {
        let error = error.with_vm_id(id);
        let last_status = last_status.into_inner();
        match last_status.unwrap_or_else(PoisonError::into_inner) {
            Some(status) if error.vm_status().is_none() => error.with_vm_status(status),
            _ => error,
        }
    })
}

/// A VM does not get out of these by itself. An unknown status counts as in transition.
fn running(vm: types::Vm) -> Step<types::Vm> {
    match vm.status {
        VmStatus::Running => Step::Done(vm),
        VmStatus::Error | VmStatus::Stopped | VmStatus::Deleting => {
            let message = "the VM will not run any more: launch another";
            let error = Error::new(ErrorKind::Launch, message).with_vm_id(vm.id);
            Step::Failed(error.with_vm_status(vm.status))
        }
        _ => Step::Wait(None),
    }
}
