//! Snapshots that are built from a Dockerfile.

use std::io::{Cursor, Write};

use fastvm_local::Server;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::image::{Layer, TestImage};
use crate::support::*;

const IMPORTS: &str = "/v1/snapshot-imports";

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, text) in files {
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default().unix_permissions(mode);
        zip.start_file(*path, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Uploads a context, and starts a build of it.
async fn start(api: &Api, zip: Vec<u8>, more: Value) -> String {
    let presign = format!("{IMPORTS}/context-presign");
    let (status, context) = api.post(&presign, json!({"sizeBytes": zip.len()})).await;
    assert_eq!(status, 200, "{context}");
    let uploaded = api.put(context["uploadUrl"].as_str().unwrap(), zip).await;
    assert_eq!(uploaded, 200);
    let mut source = json!({"type": "dockerfile", "contextRef": context["contextRef"]});
    let fields = more.as_object().unwrap().clone();
    source.as_object_mut().unwrap().extend(fields);
    let (status, import) = api.post(IMPORTS, json!({"source": source})).await;
    assert_eq!(status, 202, "{import}");
    format!("{IMPORTS}/{}", import["id"].as_str().unwrap())
}

async fn build(api: &Api, files: &[(&str, &str)], more: Value) -> Value {
    let path = start(api, archive(files), more).await;
    eventually!(
        "the build ends",
        api.get(&path).await.1["finishedAt"].is_string()
    );
    api.get(&path).await.1
}

/// A VM of what is built.
async fn vm_of(api: &Api, import: &Value) -> String {
    assert_eq!(import["status"], "succeeded", "{import}");
    let snapshot = &import["snapshotId"];
    api.launch(json!({"snapshotId": snapshot})).await
}

async fn failure(api: &Api, dockerfile: &str) -> String {
    let import = build(api, &[("Dockerfile", dockerfile)], json!({})).await;
    assert_eq!(import["status"], "failed", "{import}");
    assert_eq!(import.get("snapshotId"), None);
    let last = import["events"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["phase"], &last["status"]),
        (&json!("done"), &json!("failed"))
    );
    import["error"].as_str().unwrap().to_owned()
}

fn messages(import: &Value) -> Vec<&str> {
    let events = import["events"].as_array().unwrap().iter();
    events
        .filter_map(|event| event["message"].as_str())
        .collect()
}

#[tokio::test]
async fn a_vm_of_a_build_has_its_files_environment_directory_and_user() {
    let api = Api::start().await;
    let dockerfile = "ARG BASE=local/base\nFROM $BASE AS build\nARG WHO\nWORKDIR /src\nCOPY . .\n\
        RUN sed \"s/WHO/$WHO/\" greet > out && echo built\n\
        FROM local/base AS app\nENV GREETING=hello\nCOPY --from=build --chmod=755 /src/out /app/greet\n\
        WORKDIR /app\nUSER daemon\nCMD [\"./greet\"]\n\
        FROM scratch AS last\nCOPY missing /\n";
    let files = [
        ("deploy/Dockerfile", dockerfile),
        ("greet", "#!/bin/sh\necho $GREETING WHO\n"),
        (".dockerignore", "deploy\n"),
    ];
    let more = json!({
        "dockerfilePath": "deploy/Dockerfile", "target": "app",
        "buildArgs": {"WHO": "world", "TYPO": "x"},
    });
    let import = build(&api, &files, more).await;
    let vm = vm_of(&api, &import).await;
    let output = api.sh(&vm, "./greet; pwd; echo $USER").await;
    assert_eq!(output["stdout"], "hello world\n/app\ndaemon\n", "{output}");
    let messages = messages(&import);
    assert!(
        messages.contains(&"[build 5/5] RUN sed \"s/WHO/$WHO/\" greet > out && echo built"),
        "{messages:?}"
    );
    assert!(messages.contains(&"built"), "{messages:?}");
    assert!(
        messages.iter().any(|message| message.contains("TYPO")),
        "{messages:?}"
    );
    let phases: Vec<String> = {
        let events = import["events"].as_array().unwrap().iter();
        events
            .map(|event| event["phase"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut order = phases.clone();
    order.dedup();
    let expected = [
        "preparing",
        "network",
        "fetch_context",
        "build",
        "export",
        "saving",
        "warming",
        "done",
    ];
    assert_eq!(order, expected);
}

#[tokio::test]
async fn a_build_starts_from_an_image_of_the_folder_and_runs_its_programs() {
    let dir = tempfile::tempdir().unwrap();
    let layer = Layer::new()
        .programs(&["sh", "cat", "id"])
        .folder("etc", 0o755)
        .file(
            "etc/passwd",
            0o644,
            "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n",
        )
        .file("old", 0o644, "old");
    let config = json!({"Env": ["PATH=/usr/bin", "FROM_IMAGE=yes"]});
    TestImage::new([layer], config).layout(&dir.path().join("app"), json!({}));
    let api = Api::of(Server::builder().images(dir.path()).start().await.unwrap());
    let dockerfile = "FROM app\nCOPY --chown=app data /usr/share/data\n\
        RUN test $FROM_IMAGE = yes && test ! -e /usr/bin/ls && cat /old > /new\nCOPY --from=app old /copy";
    let files = [("Dockerfile", dockerfile), ("data", "data")];
    let import = build(&api, &files, json!({})).await;
    let vm = vm_of(&api, &import).await;
    let output = api
        .sh(&vm, "cat /new /copy /usr/share/data; echo $FROM_IMAGE")
        .await;
    assert_eq!(output["stdout"], "oldolddatayes\n", "{output}");
}

#[tokio::test]
async fn a_build_that_fails_says_where_and_why() {
    let api = Api::start().await;
    for (dockerfile, expected) in [
        (
            "FROM local/base\nRUN echo the reason >&2; exit 4",
            "Dockerfile line 2, RUN: the command ended with exit code 4: the reason",
        ),
        (
            "FROM local/base\nCOPY missing /",
            "Dockerfile line 2, COPY: there is no missing",
        ),
        (
            "FROM local/base\nADD https://example.com/x /",
            "Dockerfile line 2, ADD: https://example.com/x is not fetched: a build here asks no network for files",
        ),
        (
            "FROM local/base\n\nONBUILD RUN x",
            "Dockerfile line 3, ONBUILD: this instruction is not supported",
        ),
    ] {
        assert_eq!(failure(&api, dockerfile).await, expected);
    }
    let unknown = failure(&api, "FROM local/base\nFETCH x").await;
    assert!(unknown.starts_with("Dockerfile line 2, FETCH: there is no such instruction"));
    let missing = failure(&api, "FROM not/here:1").await;
    assert!(
        missing.starts_with("Dockerfile line 1, FROM: "),
        "{missing}"
    );
    assert_eq!(api.get("/v1/snapshots").await.1, json!([]));
    assert_eq!(
        api.get("/v1/vms").await.1,
        json!([]),
        "no VM of a build is to be seen"
    );
}

#[tokio::test]
async fn a_context_that_is_hostile_or_none_is_refused() {
    let api = Api::start().await;
    for (zip, expected) in [
        (b"no zip".to_vec(), "the context is no zip archive"),
        (archive(&[("x", "")]), "the context has no file Dockerfile"),
        (
            archive(&[("Dockerfile", "FROM scratch"), ("../../etc/x", "")]),
            "the context has a file \"../../etc/x\", which would be outside of it",
        ),
    ] {
        let path = start(&api, zip, json!({})).await;
        eventually!(
            "the build ends",
            api.get(&path).await.1["finishedAt"].is_string()
        );
        let import = api.get(&path).await.1;
        assert_eq!(import["status"], "failed");
        let error = import["error"].as_str().unwrap();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn a_build_is_cancelled_in_the_middle_of_a_command() {
    let api = Api::start().await;
    let seconds = unique_seconds();
    let dockerfile = format!("FROM local/base\nRUN sleep {seconds}");
    let path = start(&api, archive(&[("Dockerfile", &dockerfile)]), json!({})).await;
    eventually!("the command runs", is_running(&seconds));
    let (status, import) = api.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!((status, &import["status"]), (200, &json!("cancelled")));
    eventually!("the command has ended", !is_running(&seconds));
    assert_eq!(api.get("/v1/snapshots").await.1, json!([]));
    assert_eq!(api.delete(&path).await.0, 200);
}

#[tokio::test]
async fn a_server_that_stops_ends_its_builds() {
    let api = Api::start().await;
    let seconds = unique_seconds();
    let dockerfile = format!("FROM local/base\nRUN sleep {seconds}");
    start(&api, archive(&[("Dockerfile", &dockerfile)]), json!({})).await;
    eventually!("the command runs", is_running(&seconds));
    api.server.stop().await;
    eventually!("the command has ended", !is_running(&seconds));
}
