//! Waiting until a VM runs.

use std::time::Duration;

use fastvm_api::types::{self, VmStatus};
use fastvm_api::{CallOptions, Client, Error, ErrorKind, Pending, Result};
use tokio::time::Instant;

use crate::vm::Vm;

/// The first pause between two polls, and the least one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// How much of the time waited so far the next pause takes: a VM is late by a fraction of its boot,
/// and a long boot costs few polls.
const PAUSE_SHARE: f64 = 0.2;

/// Both waits are tuned alike.
macro_rules! wait_setters {
    () => {
        /// The longest pause between two polls; 2 s by default. The first pauses are shorter: they
        /// start near 50 ms and grow with the time waited.
        pub fn poll_interval(mut self, interval: std::time::Duration) -> Self {
            self.wait.poll_interval = interval;
            self
        }

        /// How long to wait until it is running or ready; 300 s by default.
        pub fn wait_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.wait.timeout = timeout;
            self
        }
    };
}
pub(crate) use wait_setters;

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
            let waiting = self
                .wait
                .until_running(&self.api, &self.id, None, &self.calls);
            let vm = waiting.await?;
            Ok(Vm::new(&self.api, vm))
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) poll_interval: Duration,
    pub(crate) timeout: Duration,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(2),
            timeout: Duration::from_secs(300),
        }
    }
}

impl Wait {
    /// Polls until the VM runs. `known` is the VM as last answered.
    pub(super) async fn until_running(
        &self,
        api: &Client,
        id: &str,
        known: Option<types::Vm>,
        calls: &CallOptions,
    ) -> Result<types::Vm> {
        let start = Instant::now();
        let mut last_status = known.as_ref().map(|vm| vm.status.clone());
        let mut last_error = None;
        let mut vm = known;
        loop {
            if let Some(vm) = vm.take() {
                if vm.status == VmStatus::Running {
                    return Ok(vm);
                }
                if has_failed(&vm.status) {
                    return Err(ended(vm));
                }
                last_status = Some(vm.status);
                tokio::time::sleep(self.pause(start.elapsed())).await;
            }
            let left = self.timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(self.not_ready(id, last_status, last_error));
            }
            let poll = api.vms().retrieve(id).call_options(calls.clone());
            match tokio::time::timeout(left, poll).await {
                Ok(Ok(found)) => vm = Some(found),
                Ok(Err(error)) if is_final(&error) => {
                    let error = error.with_vm_id(id);
                    return Err(match last_status {
                        Some(status) => error.with_vm_status(status),
                        None => error,
                    });
                }
                // A fault that outlasted the call's own retries may still pass before the deadline.
                Ok(Err(error)) => {
                    last_error = Some(error);
                    tokio::time::sleep(self.pause(start.elapsed())).await;
                }
                Err(_) => return Err(self.not_ready(id, last_status, last_error)),
            }
        }
    }

    /// How long to wait until the next poll.
    pub(crate) fn pause(&self, waited: Duration) -> Duration {
        let pause = poll_pause(waited, self.poll_interval);
        pause.min(self.timeout.saturating_sub(waited))
    }

    fn not_ready(&self, id: &str, status: Option<VmStatus>, cause: Option<Error>) -> Error {
        let message = format!(
            "not running after {:?}: wait longer with `.wait_timeout(..)`",
            self.timeout
        );
        let mut error = Error::new(ErrorKind::NotReady, message).with_vm_id(id);
        if let Some(status) = status {
            error = error.with_vm_status(status);
        }
        match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

/// The pause before the next poll of something that has been waited for so long.
pub(crate) fn poll_pause(waited: Duration, longest: Duration) -> Duration {
    let growing = waited.mul_f64(PAUSE_SHARE).max(SHORTEST_PAUSE).min(longest);
    // Waits that began together do not poll together.
    growing.mul_f64(0.9 + 0.2 * fastrand::f64())
}

/// A status the VM does not get out of by itself. An unknown one counts as in transition.
fn has_failed(status: &VmStatus) -> bool {
    matches!(
        status,
        VmStatus::Error | VmStatus::Stopped | VmStatus::Deleting
    )
}

fn ended(vm: types::Vm) -> Error {
    let message = "the VM will not run any more: launch another";
    Error::new(ErrorKind::Launch, message)
        .with_vm_id(vm.id)
        .with_vm_status(vm.status)
}

/// What another poll will not change.
pub(crate) fn is_final(error: &Error) -> bool {
    error.is_invalid_input()
        || error.is_unauthorized()
        || error.is_forbidden()
        || error.is_not_found()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polls(boot: Duration) -> u32 {
        let wait = Wait::default();
        let mut waited = Duration::ZERO;
        let mut polls = 0;
        while waited < boot {
            let pause = wait.pause(waited);
            // The deadline leaves no pause: the wait is over.
            if pause.is_zero() {
                break;
            }
            waited += pause;
            polls += 1;
        }
        polls
    }

    #[test]
    fn a_short_boot_is_noticed_soon_and_a_long_one_costs_few_polls() {
        assert!(polls(Duration::from_millis(100)) <= 4);
        assert!(polls(Duration::from_secs(3)) <= 30);
        assert!(polls(Duration::from_secs(300)) <= 200);
    }

    #[test]
    fn pauses_stay_below_the_poll_interval() {
        let wait = Wait {
            poll_interval: Duration::from_millis(100),
            ..Wait::default()
        };
        assert!(wait.pause(Duration::from_secs(60)) <= Duration::from_millis(110));
    }
}
