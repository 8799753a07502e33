//! The VMs of a server and their life: registered, booting, running, paused, gone.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use fastvm_api::types::{TtlAction, Vm, VmStatus, VmTtl};
use tokio::select;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bucket_mounts::Buckets;
use crate::firewall;
use crate::images::Origin;
use crate::quota::{Ledger, Quota, QuotaExceeded, Share};
use crate::sandbox::{Host, LaunchError, LaunchSpec, Sandbox};
use crate::services::Services;
use crate::store::{Record, Table};
use crate::volumes::Volumes;

/// How long after a VM could not be paused its TTL tries again.
const TTL_RETRY: Duration = Duration::from_secs(1);

impl Record for Vm {
    const KIND: &'static str = "vms";

    fn id(&self) -> &str {
        &self.id
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }
}

/// All VMs of a server.
#[derive(Debug)]
pub(crate) struct Vms {
    host: Host,
    boot_delay: Duration,
    ledger: Arc<Ledger>,
    records: Arc<Table<Vm>>,
    volumes: Arc<Volumes>,
    buckets: Arc<Buckets>,
    /// Takes the VMs that their TTL deletes.
    expired: UnboundedSender<Arc<Machine>>,
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
    /// Takes longer, by so much.
    Slow(Duration),
    /// Ends in `error`.
    Fails,
    /// Stays `provisioning`.
    Hangs,
}

impl Boot {
    fn delay(self) -> Duration {
        match self {
            Self::Slow(delay) => delay,
            _ => Duration::ZERO,
        }
    }
}

/// Why a VM could not be launched.
#[derive(Debug)]
pub(crate) enum NotLaunched {
    /// The server is about to stop.
    Closed,
    Quota(QuotaExceeded),
    /// Its record could not be written.
    NotKept(io::Error),
    Failed(LaunchError),
}

/// Why a VM was not changed, paused or resumed.
#[derive(Debug)]
pub(crate) enum NotChanged {
    /// It has been deleted.
    Gone,
    /// It has another status than the one it must have.
    Status {
        wanted: VmStatus,
        found: VmStatus,
    },
    /// It has no TTL.
    NoTtl,
    Quota(QuotaExceeded),
    Io(io::Error),
}

impl From<io::Error> for NotChanged {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<QuotaExceeded> for NotChanged {
    fn from(error: QuotaExceeded) -> Self {
        Self::Quota(error)
    }
}

impl Vms {
    /// The VMs of a server that starts: those that an earlier one has left are stopped.
    pub(crate) fn new(
        host: Host,
        boot_delay: Duration,
        ledger: Arc<Ledger>,
        records: Table<Vm>,
        volumes: Arc<Volumes>,
        buckets: Arc<Buckets>,
        expired: UnboundedSender<Arc<Machine>>,
    ) -> Self {
        let vms = Self {
            host,
            boot_delay,
            ledger,
            records: Arc::new(records),
            volumes,
            buckets,
            expired,
            registry: Mutex::default(),
        };
        for mut vm in vms.records.list() {
            if vm.status != VmStatus::Error {
                stop(&mut vm);
            }
            vms.enter(&mut lock(&vms.registry), vm, Origin::default(), None);
        }
        vms
    }

    /// Registers a VM and boots it, in the background unless a boot takes no time. It boots on if
    /// this future is dropped.
    pub(crate) async fn launch(
        self: &Arc<Self>,
        vm: Vm,
        spec: LaunchSpec,
        origin: Origin,
        boot: Boot,
    ) -> Result<Vm, NotLaunched> {
        let machine = self.register(vm, origin)?;
        let booting = tokio::spawn(Arc::clone(self).boot(Arc::clone(&machine), spec, boot));
        if self.boot_delay.is_zero()
            && boot == Boot::Normal
            && let Ok(Err(error)) = booting.await
        {
            self.delete(&machine.id).await;
            return Err(NotLaunched::Failed(error));
        }
        Ok(machine.view())
    }

    fn register(&self, vm: Vm, origin: Origin) -> Result<Arc<Machine>, NotLaunched> {
        let share = self
            .ledger
            .take(share_of(&vm))
            .map_err(NotLaunched::Quota)?;
        let mut registry = lock(&self.registry);
        if registry.is_closed {
            return Err(NotLaunched::Closed);
        }
        let kept = self.records.insert(vm.clone());
        kept.map_err(NotLaunched::NotKept)?;
        Ok(self.enter(&mut registry, vm, origin, Some(share)))
    }

    fn enter(
        &self,
        registry: &mut Registry,
        vm: Vm,
        origin: Origin,
        share: Option<Share>,
    ) -> Arc<Machine> {
        registry.launched += 1;
        let machine = Arc::new(Machine {
            id: vm.id.clone(),
            number: registry.launched,
            origin,
            ledger: Arc::clone(&self.ledger),
            records: Arc::clone(&self.records),
            expired: self.expired.clone(),
            gone: CancellationToken::new(),
            turn: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                vm,
                sandbox: None,
                share,
                countdown: None,
                services: Services::default(),
            }),
        });
        registry
            .machines
            .insert(machine.id.clone(), Arc::clone(&machine));
        machine
    }

    async fn boot(
        self: Arc<Self>,
        machine: Arc<Machine>,
        spec: LaunchSpec,
        boot: Boot,
    ) -> Result<(), LaunchError> {
        select! {
            () = tokio::time::sleep(self.boot_delay.saturating_add(boot.delay())) => {}
            () = machine.gone.cancelled() => return Ok(()),
        }
        match boot {
            Boot::Hangs => Ok(()),
            Boot::Fails => {
                machine.fail();
                Ok(())
            }
            Boot::Normal | Boot::Slow(_) => match self.host.launch(spec).await {
                Ok(sandbox) => {
                    self.mount_in(&machine, &sandbox).await;
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

    async fn mount_in(&self, machine: &Arc<Machine>, sandbox: &Sandbox) {
        self.volumes.mount_in(machine, sandbox).await;
        self.buckets.mount_in(machine, sandbox).await;
    }

    /// Mounts what was attached to a VM while it was paused: to be called when it has been resumed.
    pub(crate) async fn mount_pending(&self, machine: &Arc<Machine>) {
        let _turn = machine.turn().await;
        if let Ok(sandbox) = machine.running() {
            self.mount_in(machine, &sandbox).await;
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
        let taken = lock(&self.registry).machines.remove(id);
        let Some(machine) = taken else {
            return false;
        };
        machine.end().await;
        if let Err(error) = self.records.remove(id) {
            tracing::error!(vm = id, %error, "the record of a VM could not be removed");
        }
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
}

/// One VM.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: String,
    number: u64,
    origin: Origin,
    ledger: Arc<Ledger>,
    records: Arc<Table<Vm>>,
    expired: UnboundedSender<Arc<Machine>>,
    gone: CancellationToken,
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// As it was last set; whether it still runs is asked of the sandbox.
    vm: Vm,
    sandbox: Option<Arc<Sandbox>>,
    /// Its part of the quota, unless it is paused or has ended.
    share: Option<Share>,
    /// Stops the countdown of the TTL when it is dropped.
    countdown: Option<DropGuard>,
    services: Services,
}

impl State {
    fn view(&self) -> Vm {
        let mut vm = self.vm.clone();
        let policy = firewall::effective(vm.firewall.as_ref(), self.services.iter());
        vm.effective_firewall = Some(policy);
        if self.has_ended() {
            stop(&mut vm);
        }
        vm
    }

    /// The status that [`view`](Self::view) shows, without the rest: each command asks for it.
    fn status(&self) -> VmStatus {
        if self.has_ended() {
            VmStatus::Stopped
        } else {
            self.vm.status.clone()
        }
    }

    fn has_ended(&self) -> bool {
        let sandbox = self.sandbox.as_ref();
        sandbox.is_some_and(|sandbox| !sandbox.is_alive())
    }

    /// The sandbox, if the VM has this status.
    fn sandbox_if(&self, wanted: VmStatus) -> Result<Arc<Sandbox>, NotChanged> {
        let found = self.status();
        match &self.sandbox {
            Some(sandbox) if found == wanted => Ok(Arc::clone(sandbox)),
            _ => Err(NotChanged::Status { wanted, found }),
        }
    }
}

impl Machine {
    /// The VM as the API shows it now.
    pub(crate) fn view(&self) -> Vm {
        lock(&self.state).view()
    }

    /// Changes what the API shows.
    pub(crate) fn change(self: &Arc<Self>, change: impl FnOnce(&mut Vm)) -> Result<Vm, NotChanged> {
        self.try_change(|vm| {
            change(vm);
            Ok(())
        })
    }

    /// The same with a change that can be refused.
    pub(crate) fn try_change<E: From<NotChanged>>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Vm) -> Result<(), E>,
    ) -> Result<Vm, E> {
        let mut state = lock(&self.state);
        if self.is_gone() {
            return Err(NotChanged::Gone.into());
        }
        let mut changed = state.vm.clone();
        change(&mut changed)?;
        let kept = self.records.insert(changed.clone());
        kept.map_err(NotChanged::Io)?;
        state.vm = changed;
        self.count_down(&mut state);
        Ok(state.view())
    }

    /// What it has of its image beside the files.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is registered now.
    pub(crate) fn services(&self) -> Services {
        lock(&self.state).services.clone()
    }

    pub(crate) fn change_services<T>(&self, change: impl FnOnce(&mut Services) -> T) -> T {
        change(&mut lock(&self.state).services)
    }

    /// The place where commands run, or else the status that has none.
    pub(crate) fn running(&self) -> Result<Arc<Sandbox>, VmStatus> {
        let state = lock(&self.state);
        let running = state.sandbox_if(VmStatus::Running);
        running.map_err(|_| state.status())
    }

    /// The status that [`view`](Self::view) shows.
    pub(crate) fn status(&self) -> VmStatus {
        lock(&self.state).status()
    }

    /// The place where commands run, be it frozen.
    pub(crate) fn alive(&self) -> Option<Arc<Sandbox>> {
        let sandbox = lock(&self.state).sandbox.clone();
        sandbox.filter(|sandbox| sandbox.is_alive())
    }

    /// Whether it has been deleted.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// Is cancelled when it is deleted.
    pub(crate) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    /// Waits for what pauses, resumes or changes the TTL, and keeps it away until the answer is
    /// dropped.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Stops all processes of a running VM; a paused one stays as it is. It is done even if this
    /// future is dropped.
    pub(crate) async fn pause(self: &Arc<Self>) -> Result<Vm, NotChanged> {
        let machine = Arc::clone(self);
        to_its_end(async move {
            let _turn = machine.turn().await;
            machine.freeze().await
        })
        .await
    }

    /// The same, for who has the turn.
    async fn freeze(self: &Arc<Self>) -> Result<Vm, NotChanged> {
        let running = {
            let state = lock(&self.state);
            if state.status() == VmStatus::Paused {
                return Ok(state.view());
            }
            state.sandbox_if(VmStatus::Running)
        };
        let frozen = running?.freeze().await;
        let mut state = lock(&self.state);
        self.check_still(&state, VmStatus::Running)?;
        frozen?;
        let vm = &mut state.vm;
        vm.status = VmStatus::Paused;
        vm.paused_at = Some(now());
        vm.ttl_remaining_ms = remaining(vm);
        vm.expires_at_ms = None;
        state.share = None;
        Ok(self.settle(&mut state))
    }

    /// Whether the VM has neither been deleted nor ended since it had this status, which would
    /// explain any error.
    fn check_still(&self, state: &State, status: VmStatus) -> Result<(), NotChanged> {
        if self.is_gone() {
            return Err(NotChanged::Gone);
        }
        state.sandbox_if(status).map(drop)
    }

    /// Lets the processes of a paused VM go on; a running one is left alone. It is done even if this
    /// future is dropped.
    pub(crate) async fn resume(self: &Arc<Self>) -> Result<Vm, NotChanged> {
        let machine = Arc::clone(self);
        to_its_end(async move {
            let _turn = machine.turn().await;
            machine.thaw().await
        })
        .await
    }

    async fn thaw(self: &Arc<Self>) -> Result<Vm, NotChanged> {
        let (paused, asked) = {
            let state = lock(&self.state);
            if state.status() == VmStatus::Running {
                return Ok(state.view());
            }
            (state.sandbox_if(VmStatus::Paused)?, share_of(&state.vm))
        };
        let share = self.ledger.take(asked)?;
        let thawed = paused.thaw().await;
        let mut state = lock(&self.state);
        self.check_still(&state, VmStatus::Paused)?;
        thawed?;
        let vm = &mut state.vm;
        vm.status = VmStatus::Running;
        vm.paused_at = None;
        vm.expires_at_ms = vm.ttl_remaining_ms.take().map(after);
        state.share = Some(share);
        Ok(self.settle(&mut state))
    }

    /// Starts the countdown of the TTL anew.
    pub(crate) async fn refresh_ttl(self: &Arc<Self>) -> Result<Vm, NotChanged> {
        let _turn = self.turn().await;
        let vm = self.view();
        if vm.ttl.is_none() {
            return Err(NotChanged::NoTtl);
        }
        if matches!(vm.status, VmStatus::Stopped | VmStatus::Error) {
            let (wanted, found) = (VmStatus::Running, vm.status);
            return Err(NotChanged::Status { wanted, found });
        }
        self.change(start_cycle)
    }

    fn run(self: &Arc<Self>, sandbox: Sandbox) {
        let mut state = lock(&self.state);
        // Dropping the sandbox of a VM deleted meanwhile ends it.
        if self.is_gone() {
            return;
        }
        let sandbox = Arc::new(sandbox);
        state.sandbox = Some(Arc::clone(&sandbox));
        state.vm.status = VmStatus::Running;
        start_cycle(&mut state.vm);
        self.settle(&mut state);
        drop(state);
        let machine = Arc::clone(self);
        tokio::spawn(async move {
            select! {
                () = sandbox.ended() => machine.stopped(),
                () = machine.gone.cancelled() => {}
            }
        });
    }

    /// It has ended by itself.
    fn stopped(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        if !self.is_gone() {
            stop(&mut state.vm);
            state.share = None;
            self.settle(&mut state);
        }
    }

    fn fail(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        if !self.is_gone() {
            state.vm.status = VmStatus::Error;
            state.vm.volumes.clear();
            state.vm.bucket_mounts.clear();
            state.share = None;
            self.settle(&mut state);
        }
    }

    /// Keeps what has happened to the VM and counts down accordingly. It has happened whether its
    /// record can be written or not.
    fn settle(self: &Arc<Self>, state: &mut State) -> Vm {
        if let Err(error) = self.records.insert(state.vm.clone()) {
            tracing::error!(vm = self.id, %error, "the record of a VM could not be written");
        }
        self.count_down(state);
        state.view()
    }

    /// Starts the countdown to what the VM shows as its expiry, in place of an earlier one.
    fn count_down(self: &Arc<Self>, state: &mut State) {
        state.countdown = state.vm.expires_at_ms.map(|expiry| {
            let stopped = CancellationToken::new();
            let machine = Arc::downgrade(self);
            tokio::spawn(count_down(machine, until(expiry), stopped.clone()));
            stopped.drop_guard()
        });
    }

    /// Does what the TTL asks for at its end. If it is not the end, or cannot be done yet: how long
    /// to wait.
    async fn expire(self: &Arc<Self>) -> Option<Duration> {
        let _turn = self.turn().await;
        let action = {
            let state = lock(&self.state);
            let vm = state.view();
            // The clock may have been set, and the TTL refreshed.
            let wait = until(vm.expires_at_ms?);
            if !wait.is_zero() {
                return Some(wait);
            }
            let action = vm.ttl?.action;
            if action == TtlAction::Delete {
                // From now on changes are refused, so that no client is told of a life to come.
                self.gone.cancel();
            }
            action
        };
        if action == TtlAction::Delete {
            // If nobody takes it, the server is about to end all VMs.
            let _ = self.expired.send(Arc::clone(self));
            return None;
        }
        match self.freeze().await {
            Err(NotChanged::Io(error)) => {
                tracing::error!(vm = self.id, %error, "the TTL could not pause a VM");
                Some(TTL_RETRY)
            }
            _ => None,
        }
    }

    async fn end(&self) {
        let sandbox = {
            let mut state = lock(&self.state);
            self.gone.cancel();
            state.share = None;
            state.countdown = None;
            state.sandbox.take()
        };
        self.kill_in(sandbox).await;
    }

    /// Kills all its processes, running or paused, and leaves it as one that has stopped by itself.
    pub(crate) async fn kill(&self) {
        let sandbox = lock(&self.state).sandbox.clone();
        self.kill_in(sandbox).await;
    }

    async fn kill_in(&self, sandbox: Option<Arc<Sandbox>>) {
        if let Some(sandbox) = sandbox
            && let Err(error) = sandbox.kill().await
        {
            tracing::error!(vm = self.id, %error, "a VM could not be killed");
        }
    }
}

async fn count_down(machine: Weak<Machine>, mut wait: Duration, stopped: CancellationToken) {
    loop {
        select! {
            () = tokio::time::sleep(wait) => {}
            () = stopped.cancelled() => return,
        }
        let Some(machine) = machine.upgrade() else {
            return;
        };
        match machine.expire().await {
            Some(again) => wait = again,
            None => return,
        }
    }
}

/// Does something whether somebody waits for it or not.
pub(crate) async fn to_its_end<T, E>(
    act: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<io::Error> + Send + 'static,
{
    tokio::spawn(act).await.map_err(io::Error::other)?
}

fn share_of(vm: &Vm) -> Quota {
    Quota::of_vm(vm.cpu, vm.memory_mib, vm.disk_gib)
}

/// Shows a VM that has ended.
fn stop(vm: &mut Vm) {
    vm.status = VmStatus::Stopped;
    vm.expires_at_ms = None;
    vm.ttl_remaining_ms = None;
    vm.paused_at = None;
    vm.volumes.clear();
    vm.bucket_mounts.clear();
}

/// Starts the countdown of the VM's TTL anew, if it has one: of a running VM now, of a paused one
/// when it is resumed.
pub(crate) fn start_cycle(vm: &mut Vm) {
    let length = vm.ttl.as_ref().map(length_ms);
    vm.expires_at_ms = length.filter(|_| vm.status == VmStatus::Running).map(after);
    vm.ttl_remaining_ms = length.filter(|_| vm.status == VmStatus::Paused);
}

/// What a pause leaves of the TTL of a running VM.
fn remaining(vm: &Vm) -> Option<i64> {
    let (ttl, expiry) = (vm.ttl.as_ref()?, vm.expires_at_ms?);
    let left = expiry.saturating_sub(now().timestamp_millis());
    // A pause at the end of a cycle is what the TTL asks for, and the next one is a full one.
    if left <= 0 && ttl.action == TtlAction::Pause {
        return Some(length_ms(ttl));
    }
    Some(left.max(0))
}

fn length_ms(ttl: &VmTtl) -> i64 {
    ttl.seconds.saturating_mul(1000)
}

/// The time so many milliseconds from now, in milliseconds since the epoch.
fn after(ms: i64) -> i64 {
    now().timestamp_millis().saturating_add(ms)
}

/// How long it is until then.
fn until(expiry: i64) -> Duration {
    let left = expiry.saturating_sub(now().timestamp_millis());
    Duration::from_millis(u64::try_from(left).unwrap_or_default())
}

pub(crate) fn now() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}

/// No code panics while it holds one of these locks; if some did, the data would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
