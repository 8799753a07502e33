//! Many VMs at once: launched together, or forked off one.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use fastvm_api::{Cleanup, Client, Error, Pending, Result};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::cleanup::DeleteOnDrop;
use crate::launch::Launch;
use crate::poll::{Wait, wait_setters};
use crate::snapshot::Passing;
use crate::vm::Vm;
use crate::vms::Vms;

/// How many calls are under way at a time, unless the caller says.
pub(crate) const CONCURRENCY: usize = 16;

type Each = Arc<dyn Fn(usize, Launch) -> Launch + Send + Sync>;
type Results = Pin<Box<dyn Future<Output = Vec<Result<Vm>>> + Send>>;

impl Vms {
    /// Launches `count` VMs, so many at a time, and gives a result for each, in order.
    ///
    /// `launch` is asked for each launch, from 0 on, before anything is sent: for VMs that differ, and
    /// for restores as well. By default 16 are under way at a time; see
    /// [`.concurrency(..)`](LaunchMany::concurrency). One that fails cleans up after itself, like
    /// [`launch`](Self::launch), and leaves the others alone;
    /// [`.all_or_nothing()`](LaunchMany::all_or_nothing) makes it one result.
    ///
    /// # What is left behind
    ///
    /// When the future is dropped, nothing: the VMs that are up already are deleted, too, in the
    /// background. A launch with `.keep_on_failure()` keeps its VM.
    ///
    /// # Errors
    ///
    /// Each result is that of a [`launch`](Self::launch).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// let vms = client.vms();
    /// let workers = vms
    ///     .launch_many(3, |i| vms.launch("c1m2").name(format!("worker-{i}")))
    ///     .all_or_nothing()
    ///     .await?;
    /// assert_eq!(workers[2].name, "worker-2");
    /// # Ok(())
    /// # }
    /// ```
    pub fn launch_many(&self, count: usize, launch: impl FnMut(usize) -> Launch) -> LaunchMany {
        LaunchMany {
            launches: (0..count).map(launch).collect(),
            concurrency: CONCURRENCY,
        }
    }
}

impl Vm {
    /// Makes `count` copies of this VM, and gives a result for each, in order.
    ///
    /// Takes a snapshot, restores it so many times, and deletes it, unless
    /// [`.keep_snapshot("name")`](Fork::keep_snapshot) is set. The VM is `running` or `paused`, and
    /// stays so. [`.each(..)`](Fork::each) sets what differs between the copies; what is not set is
    /// taken over from the VM. By default 16 restores are under way at a time.
    ///
    /// # What is left behind
    ///
    /// When the future is dropped, nothing: the snapshot and the copies are deleted in the
    /// background. A snapshot that somebody else has taken of a paused VM in the same pause is used,
    /// but not deleted. A snapshot that cannot be deleted is told to `tracing`, and the copies are
    /// given all the same.
    ///
    /// # Errors
    ///
    /// Those of [`snapshot`](Self::snapshot) if there is none to restore. Then each result is that of
    /// a [`restore`](crate::Vms::restore).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// vm.run("echo prepared > /root/state").await?.ensure_success()?;
    /// let copies = vm
    ///     .fork(2)
    ///     .each(|i, launch| launch.name(format!("copy-{i}")))
    ///     .all_or_nothing()
    ///     .await?;
    /// assert_eq!(copies[1].run("cat /root/state").await?.stdout, "prepared\n");
    /// assert!(client.snapshots().list().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn fork(&self, count: usize) -> Fork {
        Fork {
            vm: self.clone(),
            count,
            each: None,
            kept_as: None,
            concurrency: CONCURRENCY,
            wait: Wait::default(),
        }
    }
}

/// Many launches: [`Vms::launch_many`]. Awaited, it gives a result for each, in order.
#[derive(Clone, Debug)]
#[must_use = "nothing is launched until this is awaited"]
pub struct LaunchMany {
    launches: Vec<Launch>,
    concurrency: usize,
}

impl LaunchMany {
    /// How many launches are under way at a time; 16 by default, and at least 1.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most;
        self
    }

    /// Makes it one result: all VMs, or the first error.
    ///
    /// When a launch fails, no more are begun, those that wait are stopped, and the VMs of all are
    /// deleted before the error is answered. It says so if one could not be.
    pub fn all_or_nothing(self) -> LaunchAll {
        LaunchAll(self)
    }

    /// The VMs are deleted unless they are kept.
    async fn held(self) -> Vec<Result<Launched>> {
        let jobs = self.launches.into_iter().map(|launch| async {
            let never = CancellationToken::new();
            Launched::of(launch, &never).await
        });
        in_order(jobs, self.concurrency).await
    }
}

impl IntoFuture for LaunchMany {
    type Output = Vec<Result<Vm>>;
    type IntoFuture = Results;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { keep_each(self.held().await) })
    }
}

/// Many launches of which all succeed or none: [`LaunchMany::all_or_nothing`].
#[derive(Clone, Debug)]
#[must_use = "nothing is launched until this is awaited"]
pub struct LaunchAll(LaunchMany);

impl LaunchAll {
    /// The VMs are deleted unless they are kept.
    async fn held(self) -> Result<Vec<Launched>> {
        let stop = CancellationToken::new();
        // In the order of time: the first is the reason of the others.
        let failures = Arc::new(Mutex::new(Vec::new()));
        let jobs = self.0.launches.into_iter().map(|launch| {
            let (stop, failures) = (stop.clone(), Arc::clone(&failures));
            async move {
                if stop.is_cancelled() {
                    return None;
                }
                let failure = match Launched::of(launch, &stop).await {
                    Ok(launched) => return Some(launched),
                    Err(failure) => failure,
                };
                lock(&failures).push(failure);
                stop.cancel();
                None
            }
        });
        let launched = in_order(jobs, self.0.concurrency).await;
        let launched: Vec<Launched> = launched.into_iter().flatten().collect();
        let mut failures = std::mem::take(&mut *lock(&failures)).into_iter();
        let Some(first) = failures.next() else {
            return Ok(launched);
        };
        let mut left: Vec<String> = failures.filter_map(left_behind).collect();
        let deletions = launched.into_iter().map(Launched::delete);
        let deleted = in_order(deletions, self.0.concurrency).await;
        left.extend(deleted.into_iter().flatten());
        Err(match left.is_empty() {
            true => first,
            false => first.with_advice(format!(
                "these VMs could not be deleted and may be left: {}",
                left.join(", ")
            )),
        })
    }
}

impl IntoFuture for LaunchAll {
    type Output = Result<Vec<Vm>>;
    type IntoFuture = Pending<Vec<Vm>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(keep_all(self.held().await?)) })
    }
}

fn lock(failures: &Mutex<Vec<Error>>) -> std::sync::MutexGuard<'_, Vec<Error>> {
    failures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The VM that a failed launch could not delete.
fn left_behind(error: Error) -> Option<String> {
    match error.cleanup() {
        Some(Cleanup::Failed(_)) => error.vm_id().map(str::to_owned),
        _ => None,
    }
}

/// A VM that is not handed over yet.
struct Launched {
    vm: Vm,
    /// None if it is kept in any case.
    deletion: Option<DeleteOnDrop>,
}

impl Launched {
    async fn of(launch: Launch, stop: &CancellationToken) -> Result<Self> {
        let keeps = launch.keeps_on_failure();
        let vm = launch.send_unless(stop).await?.into_inner();
        let deletion = (!keeps).then(|| DeleteOnDrop::new(vm.client(), &vm.id));
        Ok(Self { vm, deletion })
    }

    fn keep(self) -> Vm {
        if let Some(deletion) = self.deletion {
            deletion.disarm();
        }
        self.vm
    }

    /// Deletes the VM; answers its id if that fails.
    async fn delete(self) -> Option<String> {
        let deleted = self.deletion?.delete().await;
        deleted.is_err().then(|| self.vm.id.clone())
    }
}

fn keep_all(launched: Vec<Launched>) -> Vec<Vm> {
    launched.into_iter().map(Launched::keep).collect()
}

fn keep_each(launched: Vec<Result<Launched>>) -> Vec<Result<Vm>> {
    let keep = |launched: Result<Launched>| launched.map(Launched::keep);
    launched.into_iter().map(keep).collect()
}

/// Copies of a VM: [`Vm::fork`]. Awaited, it gives a result for each, in order.
#[derive(Clone)]
#[must_use = "nothing is forked until this is awaited"]
pub struct Fork {
    vm: Vm,
    count: usize,
    each: Option<Each>,
    kept_as: Option<String>,
    concurrency: usize,
    wait: Wait,
}

impl Fork {
    /// Sets what differs between the copies: it is given the number of each, from 0 on, and its
    /// restore.
    pub fn each(mut self, set: impl Fn(usize, Launch) -> Launch + Send + Sync + 'static) -> Self {
        self.each = Some(Arc::new(set));
        self
    }

    /// Leaves the snapshot, under this name, whatever becomes of the copies.
    pub fn keep_snapshot(mut self, name: impl Into<String>) -> Self {
        self.kept_as = Some(name.into());
        self
    }

    /// How many restores are under way at a time; 16 by default, and at least 1.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most;
        self
    }

    wait_setters!();

    /// Makes it one result: all copies, or the first error, and then none of them is left. See
    /// [`LaunchMany::all_or_nothing`].
    pub fn all_or_nothing(self) -> ForkAll {
        ForkAll(self)
    }

    async fn snapshot(&self) -> Result<Passing> {
        match &self.kept_as {
            None => Passing::take(self.api(), &self.vm.id, &self.wait).await,
            Some(name) => {
                let taken = self.vm.snapshot(name);
                let taken = taken.poll_interval(self.wait.poll_interval);
                Passing::take_to_keep(taken.wait_timeout(self.wait.timeout)).await
            }
        }
    }

    fn restores(&self, snapshot: &Passing) -> LaunchMany {
        let restore = |index| {
            let restore = Launch::restore(self.api(), &snapshot.id)
                .poll_interval(self.wait.poll_interval)
                .wait_timeout(self.wait.timeout);
            match &self.each {
                Some(set) => set(index, restore),
                None => restore,
            }
        };
        LaunchMany {
            launches: (0..self.count).map(restore).collect(),
            concurrency: self.concurrency,
        }
    }

    fn api(&self) -> &Client {
        self.vm.client()
    }
}

impl fmt::Debug for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fork")
            .field("vm", &self.vm.id)
            .field("count", &self.count)
            .field("kept_as", &self.kept_as)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for Fork {
    type Output = Result<Vec<Result<Vm>>>;
    type IntoFuture = Pending<Vec<Result<Vm>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let snapshot = self.snapshot().await?;
            let copies = self.restores(&snapshot).held().await;
            snapshot.end().await;
            Ok(keep_each(copies))
        })
    }
}

/// Copies of a VM of which all succeed or none: [`Fork::all_or_nothing`].
#[derive(Clone, Debug)]
#[must_use = "nothing is forked until this is awaited"]
pub struct ForkAll(Fork);

impl IntoFuture for ForkAll {
    type Output = Result<Vec<Vm>>;
    type IntoFuture = Pending<Vec<Vm>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let snapshot = self.0.snapshot().await?;
            let copies = self.0.restores(&snapshot).all_or_nothing().held().await;
            snapshot.end().await;
            Ok(keep_all(copies?))
        })
    }
}

/// Does jobs, so many at a time, and gives what comes of them in their order. Dropping the future
/// stops those under way, and drops what came of the others.
pub(crate) async fn in_order<T: Send + 'static>(
    jobs: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    concurrency: usize,
) -> Vec<T> {
    let mut jobs = jobs.into_iter().enumerate();
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    loop {
        while running.len() < concurrency.max(1)
            && let Some((index, job)) = jobs.next()
        {
            let job = async move { (index, job.await) };
            running.spawn(job.in_current_span());
        }
        match running.join_next().await {
            None => break,
            Some(Ok(ended)) => done.push(ended),
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime shuts down, and with it goes whoever waits for this.
                Err(_) => std::future::pending().await,
            },
        }
    }
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, output)| output).collect()
}
