//! Everything at once, for as long as it is told, while connections break, answers are late, wrong
//! or cut, and VMs die: nothing hangs for longer than the limits say, what says it has succeeded has,
//! commands run once, and in the end nothing is left: no VM, snapshot or volume, no task, thread,
//! descriptor, process or mount, no temporary file here or in a VM, and no memory to speak of.
//!
//! A short form is part of the ordinary run. The long one, with its totals:
//! `FASTVM_SOAK=600 cargo test -p fastvm-tests --release --test soak -- --nocapture`.
//! `FASTVM_SOAK_SEED` repeats the choices of a run, though not its timing.
//!
//! Bodies are damaged where that can be noticed: transfers have checksums, and of texts one byte is
//! made one that no text has. A digit that becomes another one inside an answer is told by nobody.

mod life;
mod tally;
mod usage;
mod weather;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastvm::{Client, RetryPolicy};
use fastvm_local::Server;
use fastvm_tests::FaultProxy;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinSet;

use tally::Tally;
use usage::Usage;

/// How long it lasts in seconds if nothing is said.
const SHORT: u64 = 10;

/// Says to the second process that it is the one.
const INSIDE: &str = "FASTVM_SOAK_INSIDE";

/// How long an attempt of a call may take here; 60 s by default.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How much memory may be used more in the end than after a third of the time.
const MEMORY_BOUND_KIB: u64 = 48 * 1024;

/// How long what goes on in the background may take to end: deletions are tried for 30 s.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn whatever_the_network_does_nothing_hangs_lies_or_is_left_behind() {
    if std::env::var_os(INSIDE).is_some() {
        return soak();
    }
    // A process of its own, whose temporary files are known.
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("whatever_the_network_does_nothing_hangs_lies_or_is_left_behind")
        .env(INSIDE, "1")
        .env("TMPDIR", folder.path())
        .status()
        .unwrap();
    assert!(status.success(), "what it printed says why");
    assert_eq!(names(folder.path()), [""; 0], "temporary files are left");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
    )
}

fn soak() {
    let seconds = number("FASTVM_SOAK").unwrap_or(SHORT);
    let seed = number("FASTVM_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX)));
    println!("soak of {seconds} s, FASTVM_SOAK_SEED={seed}");
    // Two runtimes, so that the tasks of the client are told from those of the server.
    let server_side = Runtime::new().unwrap();
    let (server, proxy) = server_side.block_on(serve(seed));
    let world = Arc::new(World {
        tally: Tally::default(),
        folder: tempfile::tempdir().unwrap(),
        seed,
        next: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        server,
        proxy,
    });
    // Once without faults, so that whatever stays has come about.
    client_side(&world, Duration::ZERO, server_side.handle());
    world.tally.forget();
    let before = Usage::of_this_process(&server_side);
    let length = Duration::from_secs(seconds);
    let warm = client_side(&world, length, server_side.handle());
    world.tally.print();
    // A connection that was to stall after so many bytes may have got there after the calm.
    world.proxy.reset_all();
    nothing_more_is_used(&server_side, &before, warm);
    world.tally.judge(seed);
    let world = Arc::into_inner(world).expect("nobody else has it");
    assert_eq!(names(world.folder.path()), [""; 0], "local files are left");
    server_side.block_on(world.server.stop());
}

/// What all share.
pub(crate) struct World {
    pub(crate) tally: Tally,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) seed: u64,
    next: AtomicUsize,
    /// The storm is: what lives does no more than it has begun.
    pub(crate) is_over: AtomicBool,
    pub(crate) server: Server,
    pub(crate) proxy: FaultProxy,
}

impl World {
    /// A number that nothing else has.
    pub(crate) fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn client(&self) -> Client {
        let mut retries = RetryPolicy::default();
        retries.first_backoff = Duration::from_millis(50);
        retries.longest_backoff = Duration::from_millis(400);
        let builder = Client::builder()
            .api_key(self.server.api_key())
            .base_url(self.proxy.base_url())
            .request_timeout(REQUEST_TIMEOUT)
            .retry(retries)
            .idle_check(Duration::from_secs(1));
        builder.build().unwrap()
    }
}

async fn serve(seed: u64) -> (Server, FaultProxy) {
    let proxy = FaultProxy::bind().await;
    let server = Server::builder()
        .public_url(proxy.base_url())
        .fault_seed(seed)
        .boot_delay(Duration::from_millis(10))
        .start()
        .await
        .unwrap();
    proxy.forward_to(server.address());
    (server, proxy)
}

/// All that clients do, for this long: many lives of VMs at once, each of all verbs; then calm, and
/// what is left. Answers the memory after a third of the time.
fn client_side(world: &Arc<World>, length: Duration, server_side: &Handle) -> u64 {
    let runtime = Runtime::new().unwrap();
    let begin = Instant::now();
    let client = world.client();
    let warm = runtime.block_on(async {
        let at_once = if length.is_zero() { 1 } else { 16 };
        let mut lives = JoinSet::new();
        for worker in 0..at_once {
            let (world, client) = (Arc::clone(world), client.clone());
            let mut rng = fastrand::Rng::with_seed(world.seed.wrapping_add(worker));
            lives.spawn(async move {
                loop {
                    life::live(&world, &client, &mut rng, length.is_zero()).await;
                    if begin.elapsed() >= length {
                        break;
                    }
                }
            });
        }
        let warm = match length.is_zero() {
            true => 0,
            false => storm(world, length, server_side).await,
        };
        while let Some(ended) = lives.join_next().await {
            ended.unwrap();
        }
        nothing_is_left(world, &client).await;
        warm
    });
    drop(client);
    let what = "the tasks of the client end with it";
    eventually(what, || match runtime.metrics().num_alive_tasks() {
        0 => Ok(()),
        tasks => Err(format!("{tasks} tasks")),
    });
    warm
}

/// Bad weather for this long, then calm. Answers the memory after a third of the time.
async fn storm(world: &Arc<World>, length: Duration, server_side: &Handle) -> u64 {
    let weather = server_side.spawn(weather::change(Arc::clone(world)));
    tokio::time::sleep(length / 3).await;
    let warm = usage::memory_kib();
    tokio::time::sleep(length - length / 3).await;
    weather.abort();
    // It has ended, so that no fault comes after the calm.
    let _ = weather.await;
    weather::calm(world);
    world.is_over.store(true, Ordering::Relaxed);
    warm
}

/// No VM, snapshot or volume but those whose maker was told that they may be left.
async fn nothing_is_left(world: &World, client: &Client) {
    let begin = Instant::now();
    let mut left;
    loop {
        left = Vec::new();
        for vm in client.vms().list().await.unwrap() {
            left.push(format!("VM {} ({})", vm.name, vm.status));
        }
        for snapshot in client.snapshots().list().await.unwrap() {
            left.push(format!("snapshot {}", snapshot.name));
        }
        for volume in client.volumes().list().await.unwrap() {
            left.push(format!("volume {}", volume.name));
        }
        left.retain(|text| !world.tally.is_told_of(text));
        if left.is_empty() || begin.elapsed() > PATIENCE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for text in left {
        world.tally.wrong(format!("{text} is left behind"));
    }
    // Those are the caller's to remove.
    for vm in client.vms().list().await.unwrap() {
        println!("left, as was told: VM {} ({})", vm.name, vm.status);
        client.vms().delete(&vm.id).await.unwrap();
    }
    for snapshot in client.snapshots().list().await.unwrap() {
        client.snapshots().delete(&snapshot.id).await.unwrap();
    }
    for volume in client.volumes().list().await.unwrap() {
        client.volumes().delete(&volume.id).await.unwrap();
    }
}

fn nothing_more_is_used(server_side: &Runtime, before: &Usage, warm_kib: u64) {
    println!("before: {before}");
    eventually("what was used is given back", || {
        let now = Usage::of_this_process(server_side);
        if !now.is_within(before) {
            return Err(now.to_string());
        }
        println!("in the end: {now}");
        Ok(())
    });
    let growth = usage::memory_kib().saturating_sub(warm_kib);
    println!("memory: {growth} KiB more than after a third of the time");
    assert!(growth <= MEMORY_BOUND_KIB, "{growth} KiB more");
}

fn eventually(what: &str, condition: impl Fn() -> Result<(), String>) {
    let begin = Instant::now();
    while let Err(found) = condition() {
        assert!(
            begin.elapsed() < PATIENCE,
            "never happened: {what}; {found}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What is in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}
