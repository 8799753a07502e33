//! Follows the log of a program in a VM while it runs: both outputs as they come, each line with the time
//! that it came after. Ctrl-C ends it, and leaves nothing behind.
//!
//! ```sh
//! cargo run -p fastvm --example live_log ['a shell line']
//! ```

mod common;

use std::time::Instant;

use common::{Failure, Service};
use fastvm::{Client, LineSource, Vm};
use futures_util::TryStreamExt;

const PROGRAM: &str = "
    for i in 1 2 3 4 5; do
        echo request $i served
        [ $i = 3 ] && echo 'request 3 was slow' >&2
        sleep 0.1
    done";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let program = std::env::args().nth(1);
    let service = Service::start().await?;
    let result = run(&service.client, program.as_deref().unwrap_or(PROGRAM)).await;
    service.stop().await;
    result
}

async fn run(client: &Client, program: &str) -> Result<(), Failure> {
    let vm = client.vms().launch("c1m2").name("live-log").await?;
    let vm = vm.into_guard();
    let followed = tokio::select! {
        followed = follow(&vm, program) => followed,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    // The program ends with its VM. That this client went away would not have ended it.
    vm.close().await?;
    followed
}

async fn follow(vm: &Vm, program: &str) -> Result<(), Failure> {
    let start = Instant::now();
    let mut lines = vm.stream(program).await?.lines();
    // A stream that breaks off is an error, so that what was followed to the end is the whole log.
    while let Some(line) = lines.try_next().await? {
        let mark = match line.source {
            LineSource::Stdout => ' ',
            LineSource::Stderr => '!',
        };
        println!(
            "{:7.3}s {mark} {}",
            start.elapsed().as_secs_f64(),
            line.text
        );
    }
    match lines.exit() {
        Some(exit) if exit.is_success() => Ok(()),
        Some(exit) => Err(format!("the program exited with {}", exit.code).into()),
        None => Err("the log was read to its end before".into()),
    }
}
