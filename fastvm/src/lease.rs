//! A VM that lives as long as its client says so.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use fastvm_api::types::{TtlAction, VmTtl};
use fastvm_api::{Client, Error, ErrorKind, Outcome, Patch, Pending, Result};
use tokio::sync::SetOnce;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;

use crate::cleanup::DeleteOnDrop;
use crate::launch::Launch;
use crate::vm::Vm;

/// The longest TTL the service takes.
const LONGEST_SECONDS: u64 = 31_536_000;

/// The longest pause after a heartbeat that failed.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// A VM that the service deletes by itself when its client is gone: made by [`Vm::lease`] and
/// [`Launch::lease`].
///
/// Derefs to the [`Vm`]. The VM has a TTL that deletes it, and a task starts that anew at every third
/// of its time (`POST /v1/vms/{id}/ttl/refresh`). The task belongs to the runtime that the lease was
/// made in.
///
/// # What is left behind
///
/// - After [`close`](Self::close), nothing, or its error says so.
/// - After a drop, early returns and panics included, the VM is deleted in the background, as by a
///   [`VmGuard`](crate::VmGuard). That leaves a VM alone which has lost its TTL to somebody else.
/// - After a killed client or a lost network, the service deletes the VM when the time of the lease is
///   over: nobody has to be there for it.
/// - The TTL stands still while the VM is paused, and ends with a VM that stops or fails. Such a VM
///   stays if there is no client.
///
/// A lease is no shorter than what the client may be out of reach for: 30 s and more are sensible.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::time::Duration;
/// # let server = fastvm_local::Server::start().await?;
/// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
/// let vm = client.vms().launch("c1m2").lease(Duration::from_secs(60)).await?;
/// tokio::select! {
///     out = vm.run("echo hello") => assert_eq!(out?.stdout, "hello\n"),
///     why = vm.lost() => panic!("the VM is out of our hands: {why}"),
/// }
/// vm.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "without this value nothing keeps the VM alive"]
pub struct Lease {
    vm: Vm,
    heartbeat: Heartbeat,
}

impl Lease {
    fn new(vm: Vm, terms: Terms) -> Self {
        let heartbeat = Heartbeat::start(&vm, terms);
        Self { vm, heartbeat }
    }

    /// Waits until the lease is lost, and answers why; for ever if it is kept.
    ///
    /// It is lost when the VM is gone or has its TTL no more, when the service refuses the heartbeat,
    /// and when none got through for the time of the lease. It does not come back.
    pub async fn lost(&self) -> &Error {
        &self.heartbeat.lost.wait().await.error
    }

    /// Whether the lease is lost: see [`lost`](Self::lost).
    pub fn is_lost(&self) -> bool {
        self.heartbeat.lost.initialized()
    }

    /// Ends the lease and deletes the VM now, like [`VmGuard::close`](crate::VmGuard::close).
    ///
    /// # Errors
    ///
    /// What the last attempt failed with. The TTL deletes the VM then.
    pub async fn close(mut self) -> Result<()> {
        // No heartbeat may put off what the TTL does if this fails.
        self.heartbeat.task.abort();
        match self.heartbeat.deletion.take() {
            Some(deletion) => deletion.delete().await,
            None => Ok(()),
        }
    }

    /// Ends the lease and leaves the VM, without a TTL. Sends `PATCH /v1/vms/{id}`.
    ///
    /// # Errors
    ///
    /// If the TTL could not be taken away: it deletes the VM when its time is over.
    pub async fn keep(mut self) -> Result<Vm> {
        self.heartbeat.leave();
        let vm = self.vm.update().ttl(Patch::Clear).await?;
        match vm.ttl {
            None => Ok(vm),
            Some(_) => {
                let message = "the service left the TTL as it was: the VM will be deleted";
                Err(Error::new(ErrorKind::Decode, message).with_vm_id(&vm.id))
            }
        }
    }
}

impl Deref for Lease {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        &self.vm
    }
}

/// The task that keeps a lease. It ends with this value, and the VM does, too.
#[derive(Debug)]
struct Heartbeat {
    task: JoinHandle<()>,
    lost: Arc<SetOnce<Loss>>,
    deletion: Option<DeleteOnDrop>,
}

/// How a lease was lost.
#[derive(Debug)]
struct Loss {
    error: Error,
    /// The VM lives on without a TTL: somebody has decided that.
    is_taken_over: bool,
}

impl Heartbeat {
    fn start(vm: &Vm, terms: Terms) -> Self {
        let lost = Arc::new(SetOnce::new());
        let beating = beat(vm.client().clone(), vm.id.clone(), terms, Arc::clone(&lost));
        Self {
            task: tokio::spawn(beating.in_current_span()),
            lost,
            deletion: Some(DeleteOnDrop::new(vm.client(), &vm.id)),
        }
    }

    /// Deletes nothing in the end.
    fn leave(&mut self) {
        if let Some(deletion) = self.deletion.take() {
            deletion.disarm();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
        if self.lost.get().is_some_and(|loss| loss.is_taken_over) {
            self.leave();
        }
    }
}

/// A lease on a VM that is at hand: `vm.lease(..)`.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is awaited"]
pub struct TakeLease {
    vm: Vm,
    length: Duration,
}

impl TakeLease {
    pub(crate) fn new(vm: &Vm, length: Duration) -> Self {
        Self {
            vm: vm.clone(),
            length,
        }
    }

    async fn send(self) -> Result<Lease> {
        let terms = Terms::new(self.length)?;
        let vm = self.vm.update().ttl(terms.ttl()).await?;
        Ok(Lease::new(
            vm.with_warnings(self.vm.warnings().clone()),
            terms,
        ))
    }
}

impl IntoFuture for TakeLease {
    type Output = Result<Lease>;
    type IntoFuture = Pending<Lease>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A launch whose VM is leased from the start: `client.vms().launch("c1m2").lease(..)`.
#[derive(Clone, Debug)]
#[must_use = "a launch does nothing until it is awaited"]
pub struct LeasedLaunch {
    launch: Launch,
    length: Duration,
}

impl LeasedLaunch {
    pub(crate) fn new(launch: Launch, length: Duration) -> Self {
        Self { launch, length }
    }

    async fn send(self) -> Result<Lease> {
        let terms = Terms::new(self.length)?;
        // The TTL counts from when the VM runs: it has to be noticed before it is over.
        let launch = self.launch.ttl(terms.ttl()).poll_within(terms.beat());
        Ok(Lease::new(launch.await?, terms))
    }
}

impl IntoFuture for LeasedLaunch {
    type Output = Result<Lease>;
    type IntoFuture = Pending<Lease>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// How long a lease is, in whole seconds.
#[derive(Clone, Copy, Debug)]
struct Terms {
    length: Duration,
}

impl Terms {
    fn new(length: Duration) -> Result<Self> {
        let rounded_up = u64::from(length.subsec_nanos() > 0);
        let seconds = length.as_secs().saturating_add(rounded_up);
        if seconds == 0 || seconds > LONGEST_SECONDS {
            let message = format!("a lease is from 1 s to {LONGEST_SECONDS} s, not {length:?}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(Self {
            length: Duration::from_secs(seconds),
        })
    }

    fn ttl(self) -> VmTtl {
        // At most a year: it fits.
        let seconds = i64::try_from(self.length.as_secs()).unwrap_or(i64::MAX);
        VmTtl::new(seconds, TtlAction::Delete)
    }

    fn beat(self) -> Duration {
        self.length / 3
    }
}

/// Refreshes the TTL until the lease is lost. The first beat is due at once: the wait for the VM may
/// have taken a part of the time.
async fn beat(api: Client, id: String, terms: Terms, lost: Arc<SetOnce<Loss>>) {
    let pause = terms.beat();
    let mut kept_until = Instant::now() + terms.length;
    loop {
        let sent = Instant::now();
        let refresh = api.vms().refresh_ttl(&id);
        let refresh = refresh.request_timeout(pause).max_retries(0);
        let error = match refresh.await {
            Ok(_) => {
                kept_until = sent + terms.length;
                tokio::time::sleep_until(sent + pause).await;
                continue;
            }
            Err(error) => error,
        };
        let retry = (pause / 4).min(LONGEST_RETRY);
        if is_final(&error) || Instant::now() + retry >= kept_until {
            // Set once: this is the only place, and it returns.
            let _ = lost.set(loss(&api, &id, error).await);
            return;
        }
        tokio::time::sleep(retry).await;
    }
}

/// What another heartbeat will not change: the VM or its TTL is gone, or the service will have none
/// of it.
fn is_final(error: &Error) -> bool {
    error.outcome() == Outcome::Rejected && !error.is_rate_limited()
}

/// Why the lease is lost, from what the last heartbeat failed with.
async fn loss(api: &Client, id: &str, cause: Error) -> Loss {
    let found = match cause.is_conflict() {
        true => api.vms().retrieve(id).await.ok(),
        false => None,
    };
    let is_taken_over = found.as_ref().is_some_and(|vm| vm.ttl.is_none());
    let message = match &found {
        _ if cause.is_not_found() => "the lease is lost: the VM was deleted",
        _ if is_taken_over => {
            "the lease is lost: the VM has no TTL any more, so nothing deletes it"
        }
        Some(_) => "the lease is lost: the VM does not run any more, so its TTL does not, either",
        None => {
            "the lease is lost: no heartbeat gets through, so the VM is deleted when its TTL is over"
        }
    };
    let error = Error::new(ErrorKind::Gone, message).with_vm_id(id);
    let error = match found {
        Some(vm) => error.with_vm_status(vm.status),
        None => error,
    };
    Loss {
        error: error.with_source(cause),
        is_taken_over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_rounded_up_to_whole_seconds() {
        let seconds = |length| Terms::new(length).map(|terms| terms.ttl().seconds).ok();
        assert_eq!(seconds(Duration::from_millis(1)), Some(1));
        assert_eq!(seconds(Duration::from_secs(2)), Some(2));
        assert_eq!(seconds(Duration::from_millis(2001)), Some(3));
        assert_eq!(
            seconds(Duration::from_secs(LONGEST_SECONDS)),
            Some(31_536_000)
        );
    }

    #[test]
    fn a_lease_that_cannot_be_is_refused() {
        for length in [Duration::ZERO, Duration::from_secs(LONGEST_SECONDS + 1)] {
            let error = Terms::new(length).unwrap_err();
            assert!(error.is_invalid_input(), "{error}");
        }
        assert!(Terms::new(Duration::MAX).is_err());
    }
}
