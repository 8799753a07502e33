//! Builds a Dockerfile, shows what happens meanwhile, and runs a command in a VM made of the result.
//!
//! ```sh
//! cargo run -p fastvm --example build_dockerfile [folder with a Dockerfile]
//! ```
//!
//! The folder's `.dockerignore` counts. Without a folder, a small one is made. The local server has no
//! registry: `FROM` is `local/base`, or an image of the folder that it was told of.

mod common;

use std::path::{Path, PathBuf};

use common::{Failure, Service};
use fastvm::types::Snapshot;
use fastvm::{Client, ErrorKind};
use futures_util::TryStreamExt;

const DOCKERFILE: &str = "\
FROM local/base
ARG GREETING=hello
WORKDIR /srv
COPY . .
RUN sort words > sorted && echo \"$GREETING from the build\"
";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let demo = tempfile::tempdir()?;
    let folder = match std::env::args().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => {
            std::fs::write(demo.path().join("Dockerfile"), DOCKERFILE)?;
            std::fs::write(demo.path().join("words"), "pear\napple\n")?;
            demo.path().to_owned()
        }
    };
    let service = Service::start().await?;
    let result = build_and_run(&service.client, &folder).await;
    service.stop().await;
    result
}

async fn build_and_run(client: &Client, folder: &Path) -> Result<(), Failure> {
    let snapshot = build(client, folder).await?;
    println!("snapshot {} is ready", snapshot.id);

    let vm = client.vms().restore(&snapshot.id).await?.into_guard();
    let listed = vm
        .shell("pwd; ls -l; cat sorted 2>/dev/null")
        .output()
        .await?;
    print!("{}", String::from_utf8_lossy(&listed.stdout));
    vm.close().await?;
    client.snapshots().delete(&snapshot.id).await?;
    Ok(())
}

async fn build(client: &Client, folder: &Path) -> Result<Snapshot, Failure> {
    let imports = client.snapshot_imports();
    let request = imports.build_dockerfile(folder).name("example");
    // To drop the build, as by `?` or Ctrl-C, would cancel it.
    let mut build = request.build_arg("GREETING", "greetings").await?;
    while let Some(event) = build.try_next().await.inspect_err(show_reason)? {
        let message = event.message.unwrap_or_default();
        println!("{:>10} {:<9} {message}", event.phase, event.status);
    }
    Ok(build.snapshot().await?)
}

/// What the build said last, if it failed.
fn show_reason(error: &fastvm::Error) {
    if error.kind() == ErrorKind::Build {
        for event in error.build_events() {
            eprintln!("{} {} {:?}", event.phase, event.status, event.message);
        }
    }
}
