//! Fans a job out over many VMs: counts primes, a range of numbers in each VM. What fails in one VM
//! loses nothing of the others.
//!
//! ```sh
//! cargo run -p fastvm --example fan_out [number of VMs]
//! ```

mod common;

use std::time::Instant;

use common::{Failure, Service};
use fastvm::types::{TtlAction, VmTtl};
use fastvm::{Client, Vm};
use tokio::task::JoinSet;

/// How many numbers each VM looks at.
const RANGE: usize = 1000;

const COUNT: &str = r#"
    BEGIN {
        for (n = from; n < to; n++) {
            prime = n > 1
            for (d = 2; d * d <= n && prime; d++) prime = n % d
            if (prime) count++
        }
        print count + 0
    }"#;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let count = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 8,
    };
    let service = Service::start().await?;
    let result = fan_out(&service.client, count).await;
    service.stop().await;
    result
}

async fn fan_out(client: &Client, count: usize) -> Result<(), Failure> {
    let start = Instant::now();
    let vms = client.vms();
    // Should this program be killed, the service deletes them by itself.
    let ttl = VmTtl::new(600, TtlAction::Delete);
    let launch = |shard| {
        let launch = vms.launch("c1m2").name(format!("primes-{shard}"));
        launch.ttl(ttl.clone())
    };
    let launched = vms.launch_many(count, launch).await;
    println!("launched in {:.1?}", start.elapsed());

    let mut jobs = JoinSet::new();
    for (shard, vm) in launched.into_iter().enumerate() {
        jobs.spawn(async move {
            let vm = vm?.into_guard(); // deleted when the job is over, whatever comes in between
            let primes = count_primes(&vm, shard * RANGE).await?;
            vm.close().await?;
            Ok::<_, Failure>((shard, primes))
        });
    }
    let (mut primes, mut failed) = (0, 0);
    while let Some(job) = jobs.join_next().await {
        match job? {
            Ok((shard, found)) => {
                println!("VM {shard}: {found} primes");
                primes += found;
            }
            Err(error) => {
                eprintln!("a range is missing: {error}");
                failed += 1;
            }
        }
    }
    println!(
        "{primes} primes below {} in {:.1?}",
        count * RANGE,
        start.elapsed()
    );
    match failed {
        0 => Ok(()),
        failed => Err(format!("{failed} of {count} VMs failed").into()),
    }
}

async fn count_primes(vm: &Vm, from: usize) -> Result<u64, Failure> {
    let (from, to) = (format!("from={from}"), format!("to={}", from + RANGE));
    let command = vm.command("awk").args(["-v", &from, "-v", &to, COUNT]);
    let counted = command.output().await?.ensure_success()?;
    Ok(String::from_utf8(counted.stdout)?.trim().parse()?)
}
