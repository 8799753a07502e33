//! A client in a process of its own: does one work, and tells what it cost.

mod floor;
mod sdk;
mod work;

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::{Failure, Report};

type Done<T> = Result<T, Failure>;

/// What both can do. What is measured is written once, on top of it.
pub(crate) trait Caller: Clone + Send + Sync + Sized + 'static {
    /// A stream that nobody reads on.
    type Open: Send;
    /// A VM in a list.
    type Entry: Send;
    /// What there is of a VM to work with.
    type Handle: Send;

    /// By the key, address and certificate in the environment.
    fn new() -> Done<Self>;

    /// Answers how much the command put out.
    fn run(&self, vm: &str) -> impl Future<Output = Done<usize>> + Send;

    /// Hands over each piece of output; answers when the exit has come.
    fn stream(
        &self,
        vm: &str,
        each: impl FnMut(&[u8]) + Send,
    ) -> impl Future<Output = Done<()>> + Send;

    /// Opens a stream and reads what comes first.
    fn open(&self, vm: &str) -> impl Future<Output = Done<Self::Open>> + Send;

    /// A file or a folder.
    fn upload(&self, local: &Path) -> impl Future<Output = Done<()>> + Send;

    /// Of what lies at the same path on the stub's side.
    fn download(&self, remote: &Path, local: &Path) -> impl Future<Output = Done<()>> + Send;

    /// Answers when it runs.
    fn launch(&self, machine_type: &str) -> impl Future<Output = Done<()>> + Send;

    /// So many VMs.
    fn list(&self, count: usize) -> impl Future<Output = Done<Vec<Self::Entry>>> + Send;

    /// Of a VM that was listed.
    fn handle(&self, entry: Self::Entry) -> Self::Handle;
}

/// `task` says in which task of which runtime it is done.
pub(crate) fn run(who: &str, task: &str, work: &str, parameters: &[&str]) -> Done<Report> {
    match who {
        "floor" => run_as::<floor::Floor>(task, work, parameters),
        "fastvm" => run_as::<sdk::Sdk>(task, work, parameters),
        _ => Err(format!("who is {who}?").into()),
    }
}

fn run_as<C: Caller>(task: &str, work: &str, parameters: &[&str]) -> Done<Report> {
    let mut builder = match task {
        "current" => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build()?;
    let work = work.to_owned();
    let parameters = parameters.iter().map(|word| (*word).to_owned()).collect();
    runtime.block_on(async {
        let doing = work::run::<C>(work, parameters);
        match task {
            "spawned" => tokio::spawn(doing).await?,
            _ => doing.await,
        }
    })
}

/// Time and memory from here on.
pub(crate) struct Meter {
    wall: Instant,
    cpu: Duration,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self {
            cpu: cpu(UsageWho::RUSAGE_SELF),
            wall: Instant::now(),
        }
    }

    /// What so many items have cost.
    pub(crate) fn stop(self, items: usize) -> Report {
        let wall = self.wall.elapsed();
        let cpu = cpu(UsageWho::RUSAGE_SELF).saturating_sub(self.cpu);
        crate::report([
            ("items", items as f64),
            ("wall", wall.as_secs_f64()),
            ("cpu", cpu.as_secs_f64()),
            ("peak", memory("VmHWM:")),
        ])
    }
}

/// User and system time.
pub(crate) fn cpu(who: UsageWho) -> Duration {
    let Ok(usage) = getrusage(who) else {
        return Duration::ZERO;
    };
    let times = [usage.user_time(), usage.system_time()];
    let micros = times.map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Duration::from_micros(micros.iter().sum::<i64>().unsigned_abs())
}

/// A line of `/proc/self/status`, in bytes.
fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib * 1024.0)
}
