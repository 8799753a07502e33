//! The VMs of a server and their life: registered, booting, running, gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use fastvm_api::types::{Vm, VmStatus, VmTtl};
use tokio::select;
use tokio_util::sync::CancellationToken;

use crate::sandbox::{Host, LaunchError, LaunchSpec, Sandbox};

/// All VMs of a server.
#[derive(Debug)]
pub(crate) struct Vms {
    host: Host,
    boot_delay: Duration,
    registry: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    machines: HashMap<String, Arc<Machine>>,
    launched: u64,
    is_closed: bool,
}

/// How a boot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Normal,
    /// Ends in `error`.
    Fails,
    /// Stays `provisioning`.
    Hangs,
}

/// Why a VM could not be launched.
#[derive(Debug)]
pub(crate) enum NotLaunched {
    /// The server is about to stop.
    Closed,
    Failed(LaunchError),
}

impl Vms {
    pub(crate) fn new(host: Host, boot_delay: Duration) -> Self {
        Self {
            host,
            boot_delay,
            registry: Mutex::default(),
        }
    }

    /// Registers a VM and boots it, in the background unless a boot takes no time. It boots on if
    /// this future is dropped.
    pub(crate) async fn launch(
        self: &Arc<Self>,
        vm: Vm,
        spec: LaunchSpec,
        boot: Boot,
    ) -> Result<Vm, NotLaunched> {
        let machine = self.register(vm)?;
        let booting = tokio::spawn(Arc::clone(self).boot(Arc::clone(&machine), spec, boot));
        if self.boot_delay.is_zero()
            && boot == Boot::Normal
            && let Ok(Err(error)) = booting.await
        {
            self.take(&machine.id);
            return Err(NotLaunched::Failed(error));
        }
        Ok(machine.view())
    }

    fn register(&self, vm: Vm) -> Result<Arc<Machine>, NotLaunched> {
        let mut registry = lock(&self.registry);
        if registry.is_closed {
            return Err(NotLaunched::Closed);
        }
        registry.launched += 1;
        let machine = Arc::new(Machine {
            id: vm.id.clone(),
            number: registry.launched,
            gone: CancellationToken::new(),
            state: Mutex::new(State { vm, sandbox: None }),
        });
        registry
            .machines
            .insert(machine.id.clone(), Arc::clone(&machine));
        Ok(machine)
    }

    async fn boot(
        self: Arc<Self>,
        machine: Arc<Machine>,
        spec: LaunchSpec,
        boot: Boot,
    ) -> Result<(), LaunchError> {
        select! {
            () = tokio::time::sleep(self.boot_delay) => {}
            () = machine.gone.cancelled() => return Ok(()),
        }
        match boot {
            Boot::Hangs => Ok(()),
            Boot::Fails => {
                machine.fail();
                Ok(())
            }
            Boot::Normal => match self.host.launch(spec).await {
                Ok(sandbox) => {
                    machine.run(sandbox);
                    Ok(())
                }
                Err(error) => {
                    tracing::error!(
                        vm = machine.id,
                        error = &error as &dyn std::error::Error,
                        "boot failed"
                    );
                    machine.fail();
                    Err(error)
                }
            },
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Machine>> {
        lock(&self.registry).machines.get(id).cloned()
    }

    /// All VMs, the oldest first.
    pub(crate) fn list(&self) -> Vec<Vm> {
        let mut machines: Vec<_> = lock(&self.registry).machines.values().cloned().collect();
        machines.sort_unstable_by_key(|machine| machine.number);
        machines.iter().map(|machine| machine.view()).collect()
    }

    /// Deletes a VM: on return none of its processes is left. Whether it was there.
    pub(crate) async fn delete(&self, id: &str) -> bool {
        let Some(machine) = self.take(id) else {
            return false;
        };
        machine.end().await;
        true
    }

    /// Ends all VMs and takes no new ones.
    pub(crate) async fn close(&self) {
        let machines: Vec<_> = {
            let mut registry = lock(&self.registry);
            registry.is_closed = true;
            registry
                .machines
                .drain()
                .map(|(_, machine)| machine)
                .collect()
        };
        for machine in machines {
            machine.end().await;
        }
    }

    fn take(&self, id: &str) -> Option<Arc<Machine>> {
        lock(&self.registry).machines.remove(id)
    }
}

/// One VM.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: String,
    number: u64,
    gone: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// As it was last set; whether it still runs is asked of the sandbox.
    vm: Vm,
    sandbox: Option<Arc<Sandbox>>,
}

impl Machine {
    /// The VM as the API shows it now.
    pub(crate) fn view(&self) -> Vm {
        let state = lock(&self.state);
        let mut vm = state.vm.clone();
        if state
            .sandbox
            .as_ref()
            .is_some_and(|sandbox| !sandbox.is_alive())
        {
            vm.status = VmStatus::Stopped;
            vm.expires_at_ms = None;
        }
        vm
    }

    /// Changes what the API shows.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Vm)) -> Vm {
        change(&mut lock(&self.state).vm);
        self.view()
    }

    /// The place where commands run, or else the status that has none.
    pub(crate) fn running(&self) -> Result<Arc<Sandbox>, VmStatus> {
        let sandbox = lock(&self.state).sandbox.clone();
        sandbox
            .filter(|sandbox| sandbox.is_alive())
            .ok_or_else(|| self.view().status)
    }

    /// Whether it has been deleted.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    fn run(&self, sandbox: Sandbox) {
        let mut state = lock(&self.state);
        // Dropping the sandbox of a VM deleted meanwhile ends it.
        if !self.is_gone() {
            state.sandbox = Some(Arc::new(sandbox));
            state.vm.status = VmStatus::Running;
            state.vm.expires_at_ms = state.vm.ttl.as_ref().map(expiry);
        }
    }

    fn fail(&self) {
        lock(&self.state).vm.status = VmStatus::Error;
    }

    async fn end(&self) {
        let sandbox = {
            let mut state = lock(&self.state);
            self.gone.cancel();
            state.sandbox.take()
        };
        if let Some(sandbox) = sandbox
            && let Err(error) = sandbox.kill().await
        {
            tracing::error!(vm = self.id, %error, "a VM could not be killed");
        }
    }
}

/// When a TTL that starts now runs out, in milliseconds since the epoch.
pub(crate) fn expiry(ttl: &VmTtl) -> i64 {
    now().timestamp_millis() + ttl.seconds * 1000
}

pub(crate) fn now() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}

/// No code panics while it holds one of these locks; if some did, the data would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
