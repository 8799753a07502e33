//! The main job, end to end: launch a VM, put a folder of this repository into it, run and stream
//! commands, bring the result back and check it.
//!
//! `cargo run --example quickstart` starts a local server inside itself. With `FASTVM_API_KEY` set
//! it talks to that service (`FASTVM_BASE_URL`, or the FastVM cloud).

mod common;

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use common::{Failure, Service};
use fastvm::{Client, ExecEvent};
use futures_util::TryStreamExt;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let service = Service::start().await?;
    let result = quickstart(&service.client).await;
    service.stop().await;
    result
}

async fn quickstart(client: &Client) -> Result<(), Failure> {
    let start = Instant::now();
    let vm = client
        .vms()
        .launch("c1m2")
        .name("quickstart")
        .metadata("purpose", "example")
        .await?;
    done(
        "launched",
        &format!("VM {} ({} vCPU, {} MiB)", vm.id, vm.cpu, vm.memory_mib),
        start,
    );

    // What was launched is deleted, whatever comes in between.
    let result = work(client, &vm).await;
    let start = Instant::now();
    vm.delete().await?;
    done("deleted", &vm.id, start);
    result
}

async fn work(client: &Client, vm: &fastvm::Vm) -> Result<(), Failure> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let expected = count_lines(&sources)?;

    let start = Instant::now();
    client.upload(&vm.id, &sources, "/root/src").await?;
    done("uploaded", "fastvm/src to /root/src", start);

    let start = Instant::now();
    let out = vm.run(["uname", "-sr"]).await?.ensure_success()?;
    done("ran", &format!("uname: {}", out.stdout.trim()), start);

    let start = Instant::now();
    println!("streaming: lines of source in each folder");
    let line = r#"find src -name '*.rs' | sed 's:/[^/]*$::' | sort -u | while read -r folder; do echo "$(cat "$folder"/*.rs | wc -l) $folder"; done | tee counts.txt"#;
    let mut events = vm.stream(line).await?;
    while let Some(event) = events.try_next().await? {
        match event {
            ExecEvent::Stdout(bytes) => std::io::stdout().write_all(&bytes)?,
            ExecEvent::Stderr(bytes) => std::io::stderr().write_all(&bytes)?,
            ExecEvent::Exit(exit) => done("streamed", &format!("exit {}", exit.code), start),
            _ => {}
        }
    }

    let start = Instant::now();
    let folder = tempfile::tempdir()?;
    let back = folder.path().join("back");
    vm.download("/root", &back).await?;
    done("downloaded", "/root", start);

    let counts = std::fs::read_to_string(back.join("counts.txt"))?;
    let counted: usize = counts
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse::<usize>().ok())
        .sum();
    if counted != expected || count_lines(&back.join("src"))? != expected {
        return Err(format!("{counted} lines were counted in the VM, {expected} here").into());
    }
    println!("checked: {counted} lines there and here");
    Ok(())
}

/// The lines of all Rust files in a folder, by this machine's own count.
fn count_lines(folder: &Path) -> std::io::Result<usize> {
    let mut lines = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            lines += count_lines(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            lines += std::fs::read_to_string(&path)?.matches('\n').count();
        }
    }
    Ok(lines)
}

fn done(what: &str, detail: &str, start: Instant) {
    println!("{what} {detail} in {:.1?}", start.elapsed());
}
