//! Runs a test suite in shards: puts a folder into a VM per shard, runs a command in each, shows what
//! they say as they say it, brings their reports down, and exits as the worst of them did.
//!
//! ```sh
//! cargo run -p fastvm --example test_shards [folder] [number of shards] [shell line]
//! ```
//!
//! The line runs in the folder with `SHARD` (from 0 on) and `SHARDS` set, and writes its reports into
//! the folder `reports`; they end up here in `reports/shard-0` and so on. Without arguments, a small
//! suite is made, one of whose six tests fails.

mod common;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use common::{Failure, Service};
use fastvm::types::{TtlAction, VmTtl};
use fastvm::{Client, Vm};
use futures_util::TryStreamExt;
use tokio::task::JoinSet;

/// Every n-th test of the folder, with a line of report for each.
const RUN_TESTS: &str = r#"
    failed=0 i=0
    for test in tests/*; do
        if [ $((i % SHARDS)) = "$SHARD" ]; then
            if sh "$test"; then result=ok; else result=FAILED failed=1; fi
            echo "$test $result" | tee -a reports/results
        fi
        i=$((i + 1))
    done
    exit $failed"#;

#[derive(Clone)]
struct Suite {
    folder: PathBuf,
    shards: usize,
    line: String,
    reports: PathBuf,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let demo = tempfile::tempdir()?;
    let mut args = std::env::args().skip(1);
    let suite = Suite {
        folder: match args.next() {
            Some(folder) => folder.into(),
            None => demo_suite(demo.path())?,
        },
        shards: args.next().map_or(Ok(3), |shards| shards.parse())?,
        line: args.next().unwrap_or_else(|| RUN_TESTS.to_owned()),
        reports: std::env::current_dir()?.join("reports"),
    };
    let service = Service::start().await?;
    let result = run_all(&service.client, &suite).await;
    service.stop().await;
    Ok(ExitCode::from(result?))
}

/// Gives the highest exit code of a shard.
async fn run_all(client: &Client, suite: &Suite) -> Result<u8, Failure> {
    let vms = client.vms();
    let ttl = VmTtl::new(3600, TtlAction::Delete); // also if this program is killed
    let launch = |shard| {
        let launch = vms.launch("c1m2").name(format!("shard-{shard}"));
        launch.ttl(ttl.clone())
    };
    let launched = vms.launch_many(suite.shards, launch);
    let mut shards = JoinSet::new();
    for (shard, vm) in launched.all_or_nothing().await?.into_iter().enumerate() {
        let suite = suite.clone();
        shards.spawn(async move {
            let vm = vm.into_guard();
            let code = run_shard(&vm, &suite, shard).await;
            vm.close().await?;
            code
        });
    }
    let mut worst = 0;
    while let Some(shard) = shards.join_next().await {
        worst = worst.max(shard??); // on an error, the guards delete what still runs
    }
    println!("reports are in {}", suite.reports.display());
    Ok(worst)
}

async fn run_shard(vm: &Vm, suite: &Suite, shard: usize) -> Result<u8, Failure> {
    vm.upload(&suite.folder, "/root/suite").await?;
    vm.fs().create_dir_all("/root/suite/reports").await?;

    let line = format!(
        "cd /root/suite && export SHARD={shard} SHARDS={}\n{}",
        suite.shards, suite.line
    );
    let mut lines = vm.stream(line).await?.lines();
    while let Some(line) = lines.try_next().await? {
        println!("[{shard}] {}", line.text);
    }
    let exit = lines.exit().ok_or("the shard ended without an exit code")?;
    let code = u8::try_from(exit.code).unwrap_or(1);

    // Also those of a shard that failed: they say why.
    let target = suite.reports.join(format!("shard-{shard}"));
    std::fs::create_dir_all(&suite.reports)?;
    vm.download("/root/suite/reports", &target).await?;
    Ok(code)
}

fn demo_suite(folder: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir(folder.join("tests"))?;
    for test in 1..=6 {
        let body = if test == 4 {
            "echo four is wrong >&2; exit 1"
        } else {
            "true"
        };
        std::fs::write(folder.join(format!("tests/{test}.sh")), body)?;
    }
    Ok(folder.to_owned())
}
