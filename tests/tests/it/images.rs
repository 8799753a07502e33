//! Image builds: their events, their snapshot, their end.

use std::fs;
use std::path::Path;

use fastvm::ErrorKind;
use fastvm::types::SnapshotImportEvent;
use fastvm_local::Fault;
use fastvm_tests::{Reply, Stub, World, client};
use futures_util::TryStreamExt;

use crate::launch::{count, eventually};

const IMPORT: &str = r#"{"id":"imp-1","status":"STATUS","source":{"type":"image"},"createdAt":"2026-01-01T00:00:00Z","events":[EVENTS]"#;
const EVENT: &str = r#"{"phase":"pull","status":"started","timestampMs":1,"message":"MESSAGE"}"#;

pub(crate) fn import(code: u16, status: &str, events: &[&str], rest: &str) -> Reply {
    let events: Vec<_> = events
        .iter()
        .map(|it| EVENT.replace("MESSAGE", it))
        .collect();
    let import = IMPORT
        .replace("STATUS", status)
        .replace("EVENTS", &events.join(","));
    Reply::json(code, &format!("{import}{rest}}}"))
}

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

async fn snapshots(world: &World) -> usize {
    world.client.snapshots().list().await.unwrap().len()
}

/// What the image of a folder has below `/root`, a path a line.
async fn built(world: &World, folder: &Path) -> String {
    let imports = world.client.snapshot_imports();
    let build = imports.build_dockerfile(folder).await.unwrap();
    let snapshot = build.snapshot().await.unwrap();
    let vm = world.client.vms().restore(&snapshot.id).await.unwrap();
    let found = vm
        .run("cd /root/app && find . -type f | sort")
        .await
        .unwrap();
    found.stdout.clone()
}

#[tokio::test]
async fn an_image_becomes_a_snapshot_that_can_be_restored() {
    let world = World::start().await;
    let imports = world.client.snapshot_imports();
    let build = imports
        .build_image("local/base")
        .name("base")
        .await
        .unwrap();
    let snapshot = build.snapshot().await.unwrap();
    assert_eq!(
        (snapshot.name.as_str(), snapshot.status.as_str()),
        ("base", "ready")
    );
    let vm = world.client.vms().restore(&snapshot.id).await.unwrap();
    assert_eq!(vm.run("echo up").await.unwrap().stdout, "up\n");
    // Every call of the resource is where it was.
    assert_eq!(imports.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn each_event_comes_once_and_in_order_and_the_stream_ends() {
    let stub = Stub::start([
        import(202, "pending", &[], ""),
        import(200, "running", &["a"], ""),
        import(200, "almost", &["a", "b"], ""),
        import(
            200,
            "succeeded",
            &["a", "b", "c", "d"],
            r#","snapshotId":"snp_1""#,
        ),
        crate::snapshots::snapshot(200, "ready"),
    ])
    .await;
    let client = client(stub.base_url(), "k");
    let mut build = client.snapshot_imports().build_image("x").await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = build.try_next().await.unwrap() {
        seen.extend(event.message);
    }
    assert_eq!(seen, ["a", "b", "c", "d"]);
    assert_eq!(build.snapshot().await.unwrap().id, "snp_1");
}

#[tokio::test]
async fn a_dockerfile_is_built_with_its_arguments_and_target() {
    let world = World::start().await;
    let folder = project(&[(
        "docker/Dockerfile",
        "FROM local/base AS first\nARG WHO\nRUN echo $WHO > /root/who\nFROM first\nRUN rm /root/who\n",
    )]);
    let build = world
        .client
        .snapshot_imports()
        .build_dockerfile(folder.path());
    let build = build
        .dockerfile("docker/Dockerfile")
        .target("first")
        .build_arg("WHO", "me");
    let snapshot = build.await.unwrap().snapshot().await.unwrap();
    let vm = world.client.vms().restore(&snapshot.id).await.unwrap();
    assert_eq!(vm.run("cat /root/who").await.unwrap().stdout, "me\n");
}

#[tokio::test]
async fn what_a_dockerignore_leaves_out_is_not_sent_but_its_exceptions_and_the_dockerfile_are() {
    let world = World::start().await;
    let files = [
        ("Dockerfile", "FROM local/base\nCOPY . /root/app/\n"),
        (".dockerignore", "*\n!src\nsrc/*.log\n"),
        ("src/main.rs", ""),
        ("src/a.log", ""),
        ("src/deep/b.log", ""),
        ("target/out", ""),
    ];
    let folder = project(&files);
    let found = built(&world, folder.path()).await;
    assert!(
        found.contains("./src/main.rs\n./src") || found.contains("./src/main.rs\n"),
        "{found}"
    );
    assert!(found.contains("./src/deep/b.log\n"), "{found}");
    assert!(
        !found.contains("a.log") && !found.contains("target"),
        "{found}"
    );
}

#[tokio::test]
async fn a_build_that_fails_carries_its_last_events() {
    let world = World::start().await;
    let folder = project(&[(
        "Dockerfile",
        "FROM local/base\nRUN echo because >&2; exit 3\n",
    )]);
    let imports = world.client.snapshot_imports();
    let mut build = imports.build_dockerfile(folder.path()).await.unwrap();
    let mut seen: Vec<SnapshotImportEvent> = Vec::new();
    let error = loop {
        match build.try_next().await {
            Ok(event) => seen.push(event.expect("it does not end in silence")),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Build);
    assert!(error.to_string().contains("failed"), "{error}");
    assert!(!error.build_events().is_empty());
    assert!(seen.ends_with(error.build_events()));
    assert!(build.try_next().await.unwrap().is_none());
    assert_eq!(build.snapshot().await.unwrap_err().kind(), ErrorKind::Build);
    assert_eq!(snapshots(&world).await, 0);
}

#[tokio::test]
async fn an_image_that_is_not_there_is_told_with_the_way_out() {
    let world = World::start().await;
    let imports = world.client.snapshot_imports();
    let build = imports.build_image("pyhton:3.13").await.unwrap();
    let error = build.snapshot().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Build);
    let said = format!("{error} {:?}", error.build_events());
    assert!(said.contains("pyhton:3.13"), "{said}");
    assert!(said.contains("--images"), "{said}");
    assert_eq!(snapshots(&world).await, 0);
}

#[tokio::test]
async fn a_folder_without_a_dockerfile_is_named_and_nothing_is_sent() {
    let world = World::start().await;
    let presigned = count(&world, "presignSnapshotImportContext");
    let folder = project(&[("readme", "")]);
    let imports = world.client.snapshot_imports();
    let error = imports.build_dockerfile(folder.path()).await.unwrap_err();
    assert!(error.is_not_found());
    assert!(error.path().unwrap().ends_with("/Dockerfile"), "{error}");
    assert_eq!(world.server.faults().fired(presigned), 0);
}

#[tokio::test]
async fn a_context_that_is_too_large_is_refused_before_it_is_sent() {
    let urls = r#"{"uploadUrl":"http://127.0.0.1:9/x?sig=s","contextRef":"c","expiresInSec":60,"maxUploadBytes":10}"#;
    let stub = Stub::start([Reply::json(200, urls)]).await;
    let folder = project(&[("Dockerfile", "FROM local/base\n")]);
    let imports = client(stub.base_url(), "k").snapshot_imports();
    let error = imports.build_dockerfile(folder.path()).await.unwrap_err();
    assert!(error.is_invalid_input(), "{error}");
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test]
async fn storage_that_fails_in_passing_is_given_the_context_again() {
    let world = World::start().await;
    let puts = count(&world, "storage.put");
    let fault = Fault::status(503).on("storage.put").times(1);
    world.server.faults().add(fault).unwrap();
    let folder = project(&[
        ("Dockerfile", "FROM local/base\nCOPY a /root/app/\n"),
        ("a", ""),
    ]);
    assert_eq!(built(&world, folder.path()).await, "./a\n");
    assert_eq!(world.server.faults().fired(puts), 2);
}

#[tokio::test]
async fn a_build_can_be_cancelled_and_is_when_it_is_dropped() {
    let world = World::with_boot_delay(std::time::Duration::from_secs(60)).await;
    let imports = world.client.snapshot_imports();
    let folder = project(&[("Dockerfile", "FROM local/base\nRUN sleep 60\n")]);
    let build = imports.build_dockerfile(folder.path()).await.unwrap();
    assert_eq!(build.cancel().await.unwrap().status, "cancelled");

    let build = imports.build_dockerfile(folder.path()).await.unwrap();
    let id = build.id().to_owned();
    drop(build);
    eventually(async || imports.retrieve(&id).await.unwrap().status == "cancelled").await;

    let build = imports.build_dockerfile(folder.path()).await.unwrap();
    let id = build.detach();
    assert_ne!(imports.retrieve(&id).await.unwrap().status, "cancelled");
    imports.cancel(&id).await.unwrap();
}

#[tokio::test]
async fn a_registry_password_is_in_no_debug_output_and_no_error() {
    let echo = r#"{"error":"cannot log in as me with hunter22"}"#;
    let stub = Stub::start([Reply::json(400, echo)]).await;
    let imports = client(stub.base_url(), "k").snapshot_imports();
    let build = imports.build_image("x/y").registry_login("me", "hunter22");
    assert!(!format!("{build:?}").contains("hunter22"));
    let error = build.await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
}
