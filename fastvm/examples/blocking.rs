//! A program without `async`: launch VMs from threads, run commands, follow a log.
//!
//! `cargo run --example blocking --features blocking` starts a local server inside itself. With
//! `FASTVM_API_KEY` set it talks to that service (`FASTVM_BASE_URL`, or the FastVM cloud).

mod common;

use std::thread;

use common::{Failure, Service};
use fastvm::Client;
use fastvm::blocking::{Call, Iterate};

fn main() -> Result<(), Failure> {
    // A local server is async, and needs a runtime; the client needs none.
    let runtime = tokio::runtime::Runtime::new()?;
    let service = runtime.block_on(Service::start())?;
    let result = work(&service.client);
    runtime.block_on(service.stop());
    result
}

fn work(client: &Client) -> Result<(), Failure> {
    // One VM per thread. Each is deleted when its guard goes, whatever comes in between.
    let sums = thread::scope(|scope| {
        let shards: Vec<_> = (1..=3)
            .map(|shard| scope.spawn(move || sum(client, shard)))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("no panic");
        shards.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    println!("sums: {sums:?}");

    let vm = client.vms().launch("c1m2").call()?.into_guard();
    let mut lines = vm
        .stream("for i in 1 2 3; do echo step $i; sleep 0.1; done")
        .call()?
        .lines();
    for line in lines.iter() {
        println!("log: {}", line?.text);
    }
    println!("exit: {:?}", lines.exit().map(|exit| exit.code));
    vm.close().call()?;
    println!("VMs left: {}", client.vms().list().call()?.len());
    Ok(())
}

fn sum(client: &Client, shard: u32) -> fastvm::Result<u64> {
    let name = format!("shard-{shard}");
    let vm = client.vms().launch("c1m2").name(name).call()?.into_guard();
    let numbers: String = (0..1000).map(|i| format!("{}\n", i * shard)).collect();
    vm.upload_bytes(numbers, "/root/numbers").call()?;
    let out = vm.run("awk '{ s += $1 } END { print s }' numbers").call()?;
    let sum = out.ensure_success()?.stdout.trim().parse();
    Ok(sum.unwrap_or_default())
}
