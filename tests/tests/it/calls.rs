//! What holds for every call: configuration, errors, retries, time limits, secrets, and that each
//! one is at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::Pin;
use std::time::{Duration, Instant};

use fastvm::types::{self, AccessMode, VmStatus};
use fastvm::{Client, Error, ErrorKind, Outcome, Result};
use fastvm_api::operations;
use fastvm_tests::{Reply, Stub, World, client};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

pub(crate) const VM: &str = r#"{"id":"vm-1","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"createdAt":"2026-01-01T00:00:00Z","status":"running"}"#;
pub(crate) const OUTPUT: &str = r#"{"exitCode":0,"stdout":"","stderr":"","timedOut":false,"durationMs":1,"stdoutTruncated":false,"stderrTruncated":false}"#;

/// What may have happened although its answer was lost, and must not happen twice.
const SENT_ONCE: [&str; 13] = [
    "addSshKey",
    "attachBucketMount",
    "attachVolume",
    "cancelSnapshotImport",
    "createSnapshot",
    "createSnapshotImport",
    "createVolume",
    "execVm",
    "fetchFileToVm",
    "launchVm",
    "presignFile",
    "presignSnapshotImportContext",
    "registerService",
];

/// What may be sent again though nobody knows whether it arrived.
const REPEATABLE: [&str; 35] = [
    "createConsoleToken",
    "deleteBucketMount",
    "deleteService",
    "deleteSnapshot",
    "deleteSnapshotImport",
    "deleteSshKey",
    "deleteVm",
    "deleteVolume",
    "detachVolume",
    "getBucketMount",
    "getHealth",
    "getOrgQuotas",
    "getPricing",
    "getSnapshot",
    "getSnapshotImport",
    "getVm",
    "getVolume",
    "listBucketMounts",
    "listServices",
    "listSnapshotImports",
    "listSnapshots",
    "listSshKeys",
    "listVms",
    "listVolumeAttachments",
    "listVolumes",
    "patchVmFirewall",
    "pauseVm",
    "refreshVmTtl",
    "resumeVm",
    "rotateBucketMount",
    "setVmFirewall",
    "updateService",
    "updateSnapshot",
    "updateVm",
    "updateVolume",
];

type Failing = Pin<Box<dyn Future<Output = Error> + Send>>;

/// The error of a call that must have one.
fn failing<T>(call: impl IntoFuture<Output = Result<T>, IntoFuture: Send + 'static>) -> Failing {
    let future = call.into_future();
    Box::pin(async move {
        match future.await {
            Ok(_) => panic!("the call succeeded"),
            Err(error) => error,
        }
    })
}

/// Every published call, at its published place, on something that cannot be there.
fn every_call(client: &Client) -> [Failing; 48] {
    let aws =
        || types::BucketMountCredentials::AwsCredentials(types::AwsCredentialsValue::new("x"));
    let source = types::SnapshotImportSourceSpec::new("image").image("alpine:3");
    let (vms, me, imports) = (client.vms(), client.me(), client.snapshot_imports());
    let (services, files, mounts) = (vms.services(), vms.files(), vms.bucket_mounts());
    [
        failing(vms.list()),
        // Without an id nobody looks for the VM: that would count as a list.
        failing(vms.launch("c1m2").launch_id(false)),
        failing(vms.retrieve("v")),
        failing(vms.update("v").name("n")),
        failing(vms.delete("v")),
        failing(vms.pause("v")),
        failing(vms.resume("v")),
        failing(vms.refresh_ttl("v")),
        failing(vms.set_firewall("v")),
        failing(vms.patch_firewall("v")),
        failing(vms.console_token("v")),
        failing(vms.run("v", "true")),
        failing(services.list("v")),
        failing(services.register("v", "web", 80)),
        failing(services.update("v", "w", 80)),
        failing(services.delete("v", "w")),
        failing(files.presign("v", "/a")),
        failing(files.fetch("v", "http://x", "/a")),
        failing(vms.volumes().attach("v", "w", "/mnt")),
        failing(vms.volumes().detach("v", "w")),
        failing(mounts.list("v")),
        failing(mounts.attach("v", "s3://b", "/mnt", aws())),
        failing(mounts.retrieve("v", "w")),
        failing(mounts.rotate("v", "w", aws())),
        failing(mounts.delete("v", "w")),
        failing(me.ssh_keys().list()),
        failing(me.ssh_keys().add("ssh-ed25519 A")),
        failing(me.ssh_keys().delete("v")),
        failing(client.snapshots().list()),
        failing(client.snapshots().create("v")),
        failing(client.snapshots().retrieve("v")),
        failing(client.snapshots().update("v").name("n")),
        failing(client.snapshots().delete("v")),
        failing(imports.list()),
        failing(imports.create(source)),
        failing(imports.presign_context()),
        failing(imports.retrieve("v")),
        failing(imports.delete("v")),
        failing(imports.cancel("v")),
        failing(client.quotas().retrieve()),
        failing(client.volumes().list()),
        failing(client.volumes().create("data", 10, AccessMode::Rw)),
        failing(client.volumes().retrieve("v")),
        failing(client.volumes().update("v").name("n")),
        failing(client.volumes().delete("v")),
        failing(client.volumes().list_attachments("v")),
        failing(client.pricing().retrieve()),
        failing(client.health()),
    ]
}

/// Request line of an operation as [`every_call`] makes it.
fn line_of(operation: &fastvm_api::Operation) -> String {
    let mut values = ["v", "w"].into_iter();
    let segments = operation.path.split('/');
    let filled = segments.map(|segment| match segment.starts_with('{') {
        true => values.next().expect("no path has three parameters"),
        false => segment,
    });
    let path: Vec<&str> = filled.collect();
    format!("{} {}", operation.method, path.join("/"))
}

/// How often each request line arrived.
fn counts(stub: &Stub) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in stub.requests() {
        *counts.entry(request.line).or_default() += 1;
    }
    counts
}

fn at_once(status: u16) -> Reply {
    Reply::json(status, "{}").header("retry-after", "0")
}

fn builder(stub: &Stub) -> fastvm::ClientBuilder {
    Client::builder().api_key("k").base_url(stub.base_url())
}

/// Answers one request with these bytes, and then neither sends nor closes.
async fn answer_once(listener: TcpListener, bytes: Vec<u8>) {
    let _socket = answer(listener, bytes).await;
    std::future::pending().await
}

/// Answers one request with these bytes; what is left is to close.
async fn answer(listener: TcpListener, bytes: Vec<u8>) -> BufReader<TcpStream> {
    let (socket, _) = listener.accept().await.unwrap();
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    while socket.read_line(&mut line).await.unwrap() > 2 {
        line.clear();
    }
    socket.write_all(&bytes).await.unwrap();
    socket
}

/// A port that refuses connections, and that nobody else gets: bound, and not listening.
pub(crate) fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

// The tree and the table of operations

#[tokio::test]
async fn every_published_call_is_at_its_place_and_nothing_is_sent_before_it_is_awaited() {
    let stub = Stub::start([Reply::json(400, r#"{"error":"no"}"#)]).await;
    let calls = every_call(&client(stub.base_url(), "k"));
    assert!(stub.requests().is_empty());
    let mut ids = BTreeSet::new();
    for call in calls {
        let error = call.await;
        let operation = error.operation().unwrap();
        assert_eq!(
            error.status().unwrap().as_u16(),
            400,
            "{}: {error}",
            operation.id
        );
        let requests = stub.requests();
        assert_eq!(requests.last().unwrap().line, line_of(operation));
        assert!(ids.insert(operation.id), "{} twice", operation.id);
    }
    assert_eq!(
        stub.requests().len(),
        48,
        "a 400 is an answer: none is repeated"
    );
    assert_eq!(ids.len(), 48);
}

// An operation that a later document adds is in neither list, and breaks nothing here.
#[test]
fn the_published_operations_are_repeated_or_sent_once_as_listed() {
    let find = |id: &str| {
        let mut all = operations::ALL.iter();
        all.find(|it| it.id == id)
            .unwrap_or_else(|| panic!("{id} is gone"))
    };
    for id in REPEATABLE {
        assert!(find(id).is_repeatable, "{id}");
    }
    for id in SENT_ONCE {
        assert!(!find(id).is_repeatable, "{id}");
    }
    for id in REPEATABLE.iter().chain(&SENT_ONCE) {
        let is_limited = !["execVm", "fetchFileToVm"].contains(id);
        assert_eq!(find(id).is_limited, is_limited, "{id}");
    }
    for operation in operations::ALL {
        let id = operation.id;
        if !REPEATABLE.contains(&id) && !SENT_ONCE.contains(&id) {
            println!(
                "notice: {id} is not listed; repeatable: {}",
                operation.is_repeatable
            );
        }
    }
}

// Configuration

#[test]
fn what_cannot_be_a_key_or_a_base_url_is_refused() {
    for key in [None, Some(""), Some("  "), Some("a\nb"), Some("a\0b")] {
        let mut builder = Client::builder();
        if let Some(key) = key {
            builder = builder.api_key(key);
        }
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{key:?}");
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(error.to_string().contains("API key"), "{error}");
    }
    for url in [
        "",
        "api.fastvm.org",
        "localhost:8787",
        "ftp://api.fastvm.org",
        "http://",
        "http://user@host",
        "http://user:hunter2@host",
        "http://:hunter2@host",
        "http://host?a=b",
        "http://host/#a",
        "http://host:99999",
    ] {
        let error = Client::builder()
            .api_key("k")
            .base_url(url)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(error.to_string().contains("base URL"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let client = Client::builder().api_key("k").build().unwrap();
    assert_eq!(client.base_url(), "https://api.fastvm.org");
}

#[tokio::test]
async fn a_base_url_may_have_a_path_and_slashes_at_its_end() {
    let stub = Stub::start([Reply::json(200, "{}")]).await;
    let url = format!(" {}/fast/vm// ", stub.base_url());
    client(&url, " k\n").vms().list().await.unwrap_err();
    assert_eq!(stub.requests()[0].line, "GET /fast/vm/v1/vms");
    assert_eq!(stub.requests()[0].header("x-api-key"), Some("k"));
}

pub(crate) const CHILD: &str = "FASTVM_TEST_CHILD";

/// Runs one test again, in a process with this environment, and gives what it printed.
pub(crate) async fn in_a_process(test: &str, variables: &[(&str, &str)]) -> String {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    let ours = ["FASTVM_API_KEY", "FASTVM_BASE_URL", "NO_PROXY", "no_proxy"];
    for name in ours {
        command.env_remove(name);
    }
    command.env(CHILD, "1").envs(variables.iter().copied());
    let output = command.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[tokio::test]
async fn from_env_reads_both_variables_and_takes_empty_ones_as_absent() {
    if std::env::var_os(CHILD).is_some() {
        match Client::from_env() {
            Ok(client) if client.base_url().contains("127.0.0.1") => {
                println!("{:?}", client.vms().list().await.is_ok());
            }
            Ok(client) => println!("base URL {}", client.base_url()),
            Err(error) => println!("{:?}: {error}", error.kind()),
        }
        return;
    }
    let test = "calls::from_env_reads_both_variables_and_takes_empty_ones_as_absent";
    let stub = Stub::start([Reply::json(200, "[]")]).await;
    let url = stub.base_url();
    let both = [("FASTVM_API_KEY", "from-env"), ("FASTVM_BASE_URL", url)];
    assert!(in_a_process(test, &both).await.contains("true"));
    assert_eq!(stub.requests()[0].header("x-api-key"), Some("from-env"));
    for variables in [&[("FASTVM_BASE_URL", url)][..], &[("FASTVM_API_KEY", " ")]] {
        let printed = in_a_process(test, variables).await;
        assert!(printed.contains("Config: there is no API key"), "{printed}");
        assert!(printed.contains("FASTVM_API_KEY"), "{printed}");
    }
    let empty = [("FASTVM_API_KEY", "k"), ("FASTVM_BASE_URL", "")];
    assert!(
        in_a_process(test, &empty)
            .await
            .contains("base URL https://api.fastvm.org")
    );
}

#[tokio::test]
async fn a_proxy_of_the_environment_does_not_catch_loopback() {
    if std::env::var_os(CHILD).is_some() {
        let loopback = std::env::var("FASTVM_BASE_URL").unwrap();
        client(&loopback, "k").vms().list().await.unwrap();
        let named = loopback.replace("127.0.0.1", "localhost");
        client(&named, "k").vms().list().await.unwrap();
        // Any other address goes where the environment says.
        client("http://fastvm.test", "k").health().await.unwrap();
        return;
    }
    let stub = Stub::start([Reply::json(200, "[]")]).await;
    let proxy_stub = Stub::start([Reply::json(200, "{}")]).await;
    let proxy = proxy_stub.base_url();
    let variables = [
        ("FASTVM_BASE_URL", stub.base_url()),
        ("http_proxy", proxy),
        ("HTTP_PROXY", proxy),
        ("ALL_PROXY", proxy),
        ("all_proxy", proxy),
    ];
    in_a_process(
        "calls::a_proxy_of_the_environment_does_not_catch_loopback",
        &variables,
    )
    .await;
    assert_eq!(stub.requests().len(), 2);
    let lines: Vec<_> = proxy_stub
        .requests()
        .into_iter()
        .map(|it| it.line)
        .collect();
    assert_eq!(lines, ["GET http://fastvm.test/healthz"]);
}

// Errors

#[tokio::test]
async fn a_wrong_key_is_unauthorized_and_the_error_says_what_to_check() {
    let world = World::start().await;
    let wrong = client(world.server.base_url(), "wrong");
    let error = wrong.vms().launch("c1m2").await.unwrap_err();
    assert!(error.is_unauthorized());
    assert_eq!(error.kind(), ErrorKind::Status);
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(error.attempts(), 1);
    let text = error.to_string();
    assert!(text.contains("launchVm") && text.contains("401"), "{text}");
    assert!(text.contains("FASTVM_API_KEY"), "{text}");
    assert!(world.client.vms().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_vm_is_not_found_and_named_in_the_error() {
    let world = World::start().await;
    let vms = world.client.vms();
    for error in [
        vms.retrieve("no-such").await.unwrap_err(),
        vms.delete("no-such").await.unwrap_err(),
        vms.run("no-such", "true").await.unwrap_err(),
        vms.stream("no-such", "true").await.unwrap_err(),
        world.client.wait_for_vm_ready("no-such").await.unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error}");
        assert_eq!(error.vm_id(), Some("no-such"));
        let operation = error.operation().unwrap().id;
        let text = error.to_string();
        assert!(
            text.contains(operation) && text.contains("no-such"),
            "{text}"
        );
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
}

#[tokio::test]
async fn an_id_is_one_segment_whatever_it_holds() {
    let world = World::start().await;
    for id in ["a/b", "../vms", "a b", "?status=x", "#", "%2e%2e", "ä"] {
        let error = world.client.vms().retrieve(id).await.unwrap_err();
        assert!(error.is_not_found(), "{id}: {error}");
        assert_eq!(error.vm_id(), Some(id));
    }
    let stub = Stub::start([Reply::json(404, "{}")]).await;
    let client = client(stub.base_url(), "k");
    client.vms().retrieve("a/b?c#d%2f").await.unwrap_err();
    let fingerprint = "SHA256:a+b/c";
    client
        .me()
        .ssh_keys()
        .delete(fingerprint)
        .await
        .unwrap_err();
    let requests = stub.requests();
    assert_eq!(requests[0].line, "GET /v1/vms/a%2Fb%3Fc%23d%252f");
    let segment = requests[1].line.strip_prefix("DELETE /v1/me/ssh-keys/");
    let segment = segment.unwrap();
    assert!(!segment.contains('/'), "{segment}");
    let decoded = segment
        .replace("%3A", ":")
        .replace("%2B", "+")
        .replace("%2F", "/");
    assert_eq!(decoded, fingerprint);
}

#[tokio::test]
async fn an_id_that_would_address_something_else_is_refused_before_anything_is_sent() {
    let stub = Stub::start([Reply::json(200, "{}")]).await;
    let client = client(stub.base_url(), "k");
    let vms = client.vms();
    let local = std::env::current_exe().unwrap();
    for id in ["..", ".", "", "a\\b"] {
        for error in [
            vms.retrieve(id).await.unwrap_err(),
            vms.delete(id).await.unwrap_err(),
            vms.run(id, "true").await.unwrap_err(),
            vms.stream(id, "true").await.unwrap_err(),
            vms.services().delete("v", id).await.unwrap_err(),
            client.volumes().delete(id).await.unwrap_err(),
            client.upload(id, &local, "/a").await.unwrap_err(),
            client.download(id, "/a", "/nowhere/a").await.unwrap_err(),
        ] {
            assert!(error.is_invalid_input(), "{id:?}: {error:?}");
            assert_eq!(error.outcome(), Outcome::NotSent);
        }
    }
    assert_eq!(stub.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_of_a_proxy_in_between_keeps_its_status_headers_and_body() {
    let reply = Reply::html(502)
        .header("retry-after", "0")
        .header("x-request-id", "req-7");
    let stub = Stub::start([reply]).await;
    let call = client(stub.base_url(), "k").vms().retrieve("vm-1");
    let error = call.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Status);
    assert_eq!(error.status().unwrap().as_u16(), 502);
    assert!(error.is_server_error());
    assert_eq!(error.headers()["content-type"], "text/html");
    assert_eq!(error.body(), b"<html><h1>Bad Gateway</h1></html>");
    assert_eq!(error.request_id(), Some("req-7"));
    assert_eq!((error.outcome(), error.attempts()), (Outcome::Unknown, 3));
    let text = error.to_string();
    assert!(text.contains("502") && text.contains("req-7"), "{text}");
    assert!(
        text.contains("3 attempts") && !text.contains('\n'),
        "{text}"
    );
}

#[tokio::test]
async fn an_empty_error_body_is_an_error_with_its_status() {
    let stub = Stub::start([Reply::Answer(503, Vec::new(), Vec::new())]).await;
    let vms = client(stub.base_url(), "k").vms();
    for error in [
        vms.run("vm-1", "true").await.unwrap_err(),
        vms.stream("vm-1", "true").await.unwrap_err(),
        vms.list().max_retries(0).await.unwrap_err(),
    ] {
        assert_eq!(error.status().unwrap().as_u16(), 503);
        assert_eq!((error.body(), error.code()), (&b""[..], None));
    }
}

#[tokio::test]
async fn code_and_message_of_the_service_are_in_the_error() {
    let body = r#"{"error":{"code":"guest_umount_busy","message":"the volume\nis in use"}}"#;
    let stub = Stub::start([Reply::json(409, body)]).await;
    let vms = client(stub.base_url(), "k").vms();
    let error = vms.volumes().detach("vm-1", "vol-1").await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(error.code(), Some("guest_umount_busy"));
    assert_eq!(error.message(), "the volume\nis in use");
    assert!(
        error.to_string().contains("the volume is in use"),
        "{error}"
    );
    assert_eq!(error.vm_id(), Some("vm-1"));
}

#[tokio::test]
async fn a_redirect_is_an_error_and_the_key_goes_nowhere_else() {
    let other = Stub::start([Reply::json(200, VM)]).await;
    for status in [301, 302, 307, 308] {
        let to = format!("{}/v1/vms/vm-1", other.base_url());
        let reply = Reply::Answer(status, vec![("location".to_owned(), to)], Vec::new());
        let stub = Stub::start([reply]).await;
        let vms = client(stub.base_url(), "k").vms();
        for error in [
            vms.retrieve("vm-1").await.unwrap_err(),
            vms.run("vm-1", "true").await.unwrap_err(),
            vms.stream("vm-1", "true").await.unwrap_err(),
        ] {
            assert_eq!(error.status().unwrap().as_u16(), status);
            assert!(error.to_string().contains("redirect"), "{error}");
        }
        assert_eq!(stub.requests().len(), 3);
    }
    assert!(other.requests().is_empty());
}

// Retries

#[tokio::test]
async fn a_fault_that_passes_is_not_seen_by_the_caller() {
    let stub = Stub::start([at_once(503), at_once(503), Reply::json(200, VM)]).await;
    let vm = client(stub.base_url(), "k").vms().retrieve("vm-1").await;
    assert_eq!(vm.unwrap().id, "vm-1");
    let requests = stub.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!(request.line, "GET /v1/vms/vm-1");
        assert_eq!(request.header("x-api-key"), Some("k"));
    }
    let stub = Stub::start([at_once(429), Reply::json(200, VM)]).await;
    let update = client(stub.base_url(), "k").vms().update("vm-1").name("n");
    update.await.unwrap();
    let bodies: Vec<_> = stub.requests().into_iter().map(|it| it.body).collect();
    assert_eq!(
        bodies,
        [br#"{"name":"n"}"#.to_vec(), br#"{"name":"n"}"#.to_vec()]
    );
}

#[tokio::test]
async fn each_call_meets_a_passing_fault_as_often_as_its_operation_may_be_sent() {
    let faults = [408, 429, 500, 502, 503, 504].map(at_once);
    let faults = faults
        .into_iter()
        .chain([Reply::Close, Reply::Cut(100, b"{".to_vec())]);
    let rounds = faults.map(|fault| async move {
        let stub = Stub::start([fault.clone()]).await;
        // Nobody asks for the VM of a command whose connection broke: that would count, too.
        let client = builder(&stub).max_retries(1).idle_check(None).build();
        let client = client.unwrap();
        let errors = futures_util::future::join_all(every_call(&client)).await;
        let counts = counts(&stub);
        for error in errors {
            let operation = error.operation().unwrap();
            let times = if REPEATABLE.contains(&operation.id) {
                2
            } else {
                1
            };
            let seen = counts.get(&line_of(operation)).copied();
            assert_eq!(seen, Some(times), "{} at {fault:?}", operation.id);
            assert_eq!(error.attempts() as usize, times, "{error:?}");
            let rejected = error.is_rate_limited();
            let outcome = if rejected {
                Outcome::Rejected
            } else {
                Outcome::Unknown
            };
            assert_eq!(error.outcome(), outcome, "{error:?}");
        }
    });
    futures_util::future::join_all(rounds).await;
}

#[tokio::test]
async fn a_stream_is_asked_for_once() {
    for fault in [at_once(503), at_once(429), Reply::Close] {
        let stub = Stub::start([fault]).await;
        let vms = client(stub.base_url(), "k").vms();
        let stream = vms.stream("vm-1", "true").idle_check(None);
        stream.await.unwrap_err();
        assert_eq!(stub.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_launch_on_a_connection_that_was_used_before_is_sent_once_too() {
    let stub = Stub::start([Reply::json(200, "{}"), Reply::Close]).await;
    let client = client(stub.base_url(), "k");
    client.health().await.unwrap();
    let launch = client.vms().launch("c1m2").launch_id(false);
    let error = launch.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(counts(&stub)["POST /v1/vms"], 1);
}

#[tokio::test]
async fn an_answer_that_is_no_fault_is_never_repeated() {
    for status in [400, 401, 403, 404, 409, 410, 422, 501] {
        let reply = at_once(status).header("x-should-retry", "true");
        let stub = Stub::start([reply]).await;
        let call = client(stub.base_url(), "k").vms().retrieve("vm-1");
        let error = call.await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(stub.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_service_can_forbid_a_repeat_but_not_ask_for_one() {
    let stub = Stub::start([at_once(503).header("x-should-retry", "false")]).await;
    client(stub.base_url(), "k").health().await.unwrap_err();
    assert_eq!(stub.requests().len(), 1);
    let stub = Stub::start([at_once(503).header("x-should-retry", "true")]).await;
    let vms = client(stub.base_url(), "k").vms();
    vms.launch("c1m2").launch_id(false).await.unwrap_err();
    vms.run("vm-1", "true").await.unwrap_err();
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test]
async fn the_pause_the_service_asks_for_is_kept_unless_it_is_too_long() {
    let busy = Reply::json(429, "{}").header("retry-after-ms", "150");
    let stub = Stub::start([busy.header("retry-after", "1"), Reply::json(200, "{}")]).await;
    let start = Instant::now();
    client(stub.base_url(), "k").health().await.unwrap();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(150), "{took:?}");
    assert!(took < Duration::from_millis(900), "{took:?}");

    let stub = Stub::start([Reply::json(429, "{}").header("retry-after", "3600")]).await;
    let start = Instant::now();
    let error = client(stub.base_url(), "k").health().await.unwrap_err();
    assert!(error.is_rate_limited());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!((error.attempts(), stub.requests().len()), (1, 1));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn the_number_of_retries_is_set_for_a_client_or_for_a_call() {
    let stub = Stub::start([at_once(503)]).await;
    let never = builder(&stub).max_retries(0).build().unwrap();
    let often = builder(&stub).max_retries(5).build().unwrap();
    let launch = often.vms().launch("c1m2").launch_id(false);
    for (error, times) in [
        (never.health().await.unwrap_err(), 1),
        (never.health().max_retries(1).await.unwrap_err(), 2),
        (often.health().await.unwrap_err(), 6),
        (often.health().max_retries(0).await.unwrap_err(), 1),
        (launch.max_retries(9).await.unwrap_err(), 1),
    ] {
        assert_eq!(error.attempts(), times, "{error:?}");
    }
    assert_eq!(stub.requests().len(), 1 + 2 + 6 + 1 + 1);
}

#[tokio::test]
async fn a_refused_connection_is_a_connect_error_after_every_attempt() {
    let (_socket, url) = refusing();
    let unreached = client(&url, "k");
    for error in [
        unreached.health().max_retries(1).await.unwrap_err(),
        unreached
            .vms()
            .launch("c1m2")
            .max_retries(1)
            .await
            .unwrap_err(),
        unreached
            .vms()
            .stream("vm-1", "true")
            .max_retries(1)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.is_connect());
        assert_eq!((error.outcome(), error.attempts()), (Outcome::NotSent, 2));
        assert!(error.to_string().contains("FASTVM_BASE_URL"), "{error}");
        assert!(format!("{error:?}").contains("refused"), "{error:?}");
    }
}

#[tokio::test]
async fn a_launch_that_never_left_is_sent_when_the_service_is_back() {
    let (socket, url) = refusing();
    let refused = client(&url, "k").vms().launch("c1m2").max_retries(0);
    assert!(refused.await.unwrap_err().is_connect());
    let launch = client(&url, "k").vms().launch("c1m2").max_retries(4);
    let launch = tokio::spawn(launch.into_future());
    // Long enough for the first attempt, and shorter than most pauses after it.
    tokio::time::sleep(Duration::from_millis(30)).await;
    let head = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length:";
    let answer = format!("{head} {}\r\n\r\n{VM}", VM.len());
    let server = tokio::spawn(answer_once(socket.listen(1).unwrap(), answer.into()));
    assert_eq!(launch.await.unwrap().unwrap().id, "vm-1");
    server.abort();
}

#[tokio::test]
async fn a_deletion_whose_repeat_finds_nothing_has_succeeded() {
    let gone = || Reply::json(404, r#"{"error":"no such VM"}"#);
    let stub = Stub::start([Reply::Close, gone()]).await;
    let vms = client(stub.base_url(), "k").vms();
    let answer = vms.delete("vm 1/2").await.unwrap();
    assert!(answer.deleted);
    assert_eq!(answer.id, "vm 1/2");
    assert_eq!(stub.requests().len(), 2);

    let stub = Stub::start([at_once(503), gone()]).await;
    let keys = client(stub.base_url(), "k").me().ssh_keys();
    let answer = keys.delete("SHA256:a+b/c").max_retries(1).await.unwrap();
    assert_eq!(answer.id, "SHA256:a+b/c");

    let stub = Stub::start([at_once(502), gone(), at_once(500), gone()]).await;
    let vms = client(stub.base_url(), "k").vms();
    assert!(vms.volumes().detach("v", "w").await.unwrap().detached);
    vms.bucket_mounts().delete("v", "w").await.unwrap();

    // The first attempt did nothing: it was not there before either.
    let stub = Stub::start([gone(), at_once(429), gone()]).await;
    let vms = client(stub.base_url(), "k").vms();
    for _ in 0..2 {
        assert!(vms.delete("vm-1").await.unwrap_err().is_not_found());
    }
    // Only deletions are meant.
    let stub = Stub::start([at_once(503), gone()]).await;
    let call = client(stub.base_url(), "k").vms().pause("vm-1");
    assert!(call.await.unwrap_err().is_not_found());
}

// Time limits

#[tokio::test]
async fn a_stalled_service_is_a_timeout() {
    let stub = Stub::start([Reply::Stall]).await;
    let client = builder(&stub)
        .request_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let start = Instant::now();
    let launch = client.vms().launch("c1m2").launch_id(false);
    for error in [
        client.health().max_retries(0).await.unwrap_err(),
        launch.await.unwrap_err(),
        client
            .vms()
            .run("vm-1", "true")
            .request_timeout(Duration::from_millis(100))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.is_timeout());
        assert_eq!((error.outcome(), error.attempts()), (Outcome::Unknown, 1));
    }
    assert_eq!(stub.requests().len(), 3);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_timeout_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_vec();
    let server = tokio::spawn(answer_once(listener, head));
    let call = client(&url, "k").health().max_retries(0);
    let error = call.request_timeout(Duration::from_millis(100)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.outcome(), Outcome::Unknown);
    server.abort();
}

#[tokio::test]
async fn a_refusal_whose_body_breaks_off_is_that_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = b"HTTP/1.1 404 Not Found\r\ncontent-length: 99\r\n\r\n{".to_vec();
    let call = tokio::spawn(client(&url, "k").vms().retrieve("vm-1").into_future());
    let socket = answer(listener, head).await;
    // It waits for the rest of the body, until the connection closes.
    assert!(!call.is_finished());
    drop(socket);
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    assert_eq!((error.outcome(), error.attempts()), (Outcome::Rejected, 1));
}

#[tokio::test]
async fn a_timeout_is_repeated_where_that_is_safe() {
    let stub = Stub::start([Reply::Stall, Reply::json(200, "{}")]).await;
    let call = client(stub.base_url(), "k").health();
    call.request_timeout(Duration::from_millis(100))
        .await
        .unwrap();
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test]
async fn the_request_timeout_does_not_end_a_command() {
    let reply = Reply::json(200, OUTPUT);
    let stub = Stub::start([Reply::After(Duration::from_millis(300), Box::new(reply))]).await;
    let limited = builder(&stub).request_timeout(Duration::from_millis(50));
    let client = limited.build().unwrap();
    client.vms().run("vm-1", "sleep 0.3").await.unwrap();
    let fetch = client.vms().files().fetch("vm-1", "http://x", "/a");
    // The stub answers another shape; that it is waited for is what counts.
    assert_ne!(
        fetch.await.map_err(|error| error.kind()),
        Err(ErrorKind::Timeout)
    );
}

// Requests and answers

#[tokio::test]
async fn an_answer_of_another_shape_is_a_decode_error_with_its_status() {
    for (reply, cause) in [
        (Reply::json(200, "{}"), "missing field `id`"),
        (
            Reply::json(200, &VM.replace("\"n\"", "[]")),
            "invalid type, expected a string",
        ),
        (Reply::json(200, ""), "EOF"),
        (Reply::html(200), "expected value"),
    ] {
        let stub = Stub::start([reply]).await;
        let call = client(stub.base_url(), "k").vms().retrieve("vm-1");
        let error = call.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        let text = format!("{error:?}");
        assert!(text.contains("documented shape"), "{text}");
        assert!(text.contains(cause), "{text}");
        assert_eq!(error.status().unwrap().as_u16(), 200);
        assert_eq!(error.vm_id(), Some("vm-1"));
        assert_eq!(stub.requests().len(), 1);
    }
}

#[tokio::test]
async fn values_and_fields_of_a_newer_service_are_taken_and_optional_ones_may_be_missing() {
    let newer = VM.replace("running", "teleporting");
    let newer = newer.replacen('{', r#"{"newField":{"a":[1]},"#, 1);
    let stub = Stub::start([
        Reply::json(299, &newer),
        Reply::json(200, r#"{"status":"fine","more":1}"#),
        Reply::json(200, "{}"),
    ])
    .await;
    let client = client(stub.base_url(), "k");
    let vm = client.vms().retrieve("vm-1").await.unwrap();
    assert_eq!(vm.status, VmStatus::Unknown("teleporting".to_owned()));
    assert_eq!(vm.status.as_str(), "teleporting");
    let health = client.health().await.unwrap();
    assert_eq!(health.status.as_deref(), Some("fine"));
    assert_eq!(client.health().await.unwrap().status, None);
}

#[tokio::test]
async fn each_request_names_the_client_and_carries_the_key_where_it_is_needed() {
    let stub = Stub::start([at_once(400)]).await;
    futures_util::future::join_all(every_call(&client(stub.base_url(), "the-key"))).await;
    for request in stub.requests() {
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("fastvm-rust/"), "{agent}");
        assert_eq!(request.header("api-version"), None, "{}", request.line);
        let is_open = ["GET /healthz", "GET /v1/pricing"].contains(&request.line.as_str());
        let key = (!is_open).then_some("the-key");
        assert_eq!(request.header("x-api-key"), key, "{}", request.line);
        if !request.body.is_empty() {
            let kind = request.header("content-type");
            assert_eq!(kind, Some("application/json"), "{}", request.line);
        }
    }
}

#[tokio::test]
async fn a_call_can_carry_headers_of_its_own() {
    let stub = Stub::start([Reply::json(200, VM)]).await;
    let vms = client(stub.base_url(), "k").vms();
    let call = vms
        .retrieve("vm-1")
        .header("x-trace", "a")
        .header("x-b", "ü");
    call.await.unwrap();
    let launch = vms
        .launch("c1m2")
        .header("x-trace", "b")
        .header("accept", "x/y");
    launch.await.unwrap();
    let requests = stub.requests();
    assert_eq!(requests[0].header("x-trace"), Some("a"));
    assert_eq!(requests[0].header("x-b"), Some("ü"));
    assert_eq!(requests[1].header("x-trace"), Some("b"));
    for (name, value) in [("a b", "c"), ("", "c"), ("x-a", "c\nd"), ("x-a", "\0")] {
        for error in [
            vms.retrieve("vm-1").header(name, value).await.unwrap_err(),
            vms.launch("c1m2").header(name, value).await.unwrap_err(),
            vms.run("v", "true").header(name, value).await.unwrap_err(),
            vms.stream("v", "true")
                .header(name, value)
                .await
                .unwrap_err(),
        ] {
            assert!(error.is_invalid_input(), "{error}");
            assert_eq!(error.outcome(), Outcome::NotSent);
        }
    }
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test]
async fn send_gives_status_and_headers_with_the_body() {
    let reply = Reply::json(202, VM).header("x-request-id", "req-1");
    let stub = Stub::start([reply]).await;
    let client = client(stub.base_url(), "k");
    let answer = client.vms().retrieve("vm-1").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.id.as_str()),
        (202, "vm-1")
    );
    assert_eq!(answer.headers()["x-request-id"], "req-1");
    let answer = client.vms().launch("c1m2").send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["x-request-id"], "req-1");
}

// Secrets

const CANARY: &str = "canary-5ec7e7";
/// The canary in base64, as standard input travels.
const ENCODED: &str = "Y2FuYXJ5LTVlYzdlNw==";

#[track_caller]
fn assert_silent(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!text.contains(CANARY) && !text.contains(ENCODED), "{text}");
    }
}

#[tokio::test]
async fn secrets_are_in_no_debug_output_of_what_a_program_holds() {
    let builder = Client::builder().api_key(CANARY);
    assert_silent(&builder);
    assert_silent(&builder.clone().base_url(format!("http://a:{CANARY}@host")));
    let client = builder.build().unwrap();
    assert_silent(&client);
    assert_silent(&client.raw());
    assert_silent(&client.transport());
    let vms = client.vms();
    assert_silent(&vms);
    let key = types::GcpServiceAccountKey::new("service_account", "a@b", CANARY);
    let gcp = types::BucketMountCredentials::GcpServiceAccountJson(key);
    let aws = types::AwsCredentialsValue::new(CANARY);
    assert_silent(&aws);
    let aws = types::BucketMountCredentials::AwsCredentials(aws);
    assert_silent(&gcp);
    let mount = types::AttachBucketMountRequest::new("s3://b", "/mnt", aws.clone());
    assert_silent(&mount);
    let launch = vms.launch("c1m2").env_vars("TOKEN", CANARY);
    let launch = launch.bucket_mounts(mount).header("x-auth", CANARY);
    assert_silent(&launch);
    assert_silent(&vms.run("v", "true").stdin(CANARY).header("x-auth", CANARY));
    assert_silent(
        &vms.stream("v", "true")
            .stdin(CANARY)
            .header("x-auth", CANARY),
    );
    assert_silent(&vms.list().header("x-auth", CANARY));
    let mounts = vms.bucket_mounts();
    assert_silent(&mounts.attach("v", "s3://b", "/mnt", aws));
    assert_silent(&mounts.rotate("v", "w", gcp));
    let url = format!("http://storage/a?signature={CANARY}");
    assert_silent(&vms.files().fetch("v", url, "/a"));
    let source = types::SnapshotImportSourceSpec::new("image")
        .registry_password(CANARY)
        .build_args("TOKEN", CANARY);
    assert_silent(&source);
    assert_silent(&client.snapshot_imports().create(source));
}

#[tokio::test]
async fn secrets_are_in_no_debug_output_of_answers() {
    let url = format!("http://storage/a?signature={CANARY}");
    let presigned = format!(
        r#"{{"uploadUrl":"{url}","downloadUrl":"{url}","expiresInSec":1,"maxUploadBytes":1}}"#
    );
    let token = format!(r#"{{"token":"{CANARY}","expiresInSec":1,"websocketPath":"/ws"}}"#);
    let with_env = VM.replacen('{', &format!(r#"{{"envVars":{{"TOKEN":"{CANARY}"}},"#), 1);
    let stub = Stub::start([
        Reply::json(200, &presigned),
        Reply::json(200, &token),
        Reply::json(200, &with_env),
        Reply::json(200, &with_env),
    ])
    .await;
    let vms = client(stub.base_url(), CANARY).vms();
    let presigned = vms.files().presign("v", "/a").send().await.unwrap();
    assert!(presigned.upload_url.contains(CANARY));
    assert_silent(&presigned);
    assert_silent(&vms.console_token("v").await.unwrap());
    assert_silent(&vms.retrieve("v").await.unwrap());
    assert_silent(&vms.launch("c1m2").await.unwrap());
}

#[tokio::test]
async fn secrets_are_in_no_error() {
    let url = format!("http://storage/a?signature={CANARY}");
    // Where serde would quote what it found in place of what it looked for.
    let misplaced = VM.replacen('{', &format!(r#"{{"envVars":"{CANARY}","#), 1);
    let replies = [
        at_once(400),
        at_once(401),
        at_once(404),
        at_once(409),
        at_once(429),
        at_once(503),
        Reply::html(502),
        Reply::json(200, "{}"),
        Reply::json(200, &format!("{url:?}")),
        Reply::json(200, &misplaced),
        Reply::Close,
        Reply::Cut(100, b"{".to_vec()),
        Reply::Stall,
    ];
    let rounds = replies.into_iter().map(|reply| {
        let url = url.clone();
        async move {
            let stub = Stub::start([reply]).await;
            let client = Client::builder().api_key(CANARY).base_url(stub.base_url());
            let limit = Duration::from_millis(100);
            let client = client.max_retries(0).request_timeout(limit).build();
            let vms = client.unwrap().vms();
            let fetch = vms.files().fetch("v", url, "/a").request_timeout(limit);
            let run = vms.run("v", "true").stdin(CANARY).request_timeout(limit);
            let stream = vms.stream("v", "true").stdin(CANARY);
            let launch = vms.launch("c1m2").env_vars("TOKEN", CANARY);
            let launch = launch.launch_id(false);
            let errors = [
                fetch.await.err(),
                run.await.err(),
                stream.request_timeout(limit).await.err(),
                launch.header("x-auth", CANARY).await.err(),
                vms.retrieve("v").await.err(),
                vms.files().presign("v", "/a").await.err(),
            ];
            for error in errors.into_iter().flatten() {
                assert_silent(&error);
                assert!(!error.to_string().contains(CANARY), "{error}");
            }
        }
    });
    futures_util::future::join_all(rounds).await;
    let header = client("http://127.0.0.1:9", "k").vms().list();
    let error = header.header("x-auth", format!("{CANARY}\n")).await;
    assert_silent(&error.unwrap_err());
    let error = Client::builder().api_key(format!("a\n{CANARY}")).build();
    assert_silent(&error.unwrap_err());
}

// Bounds

fn is_sendable<T: IntoFuture<IntoFuture: Send + 'static>>(_: T) {}
fn is_shareable<T: Clone + Send + Sync + 'static>() {}
fn is_error<T: std::error::Error + Send + Sync + 'static>() {}

#[tokio::test]
async fn calls_can_be_spawned_and_errors_are_small() {
    is_shareable::<Client>();
    is_shareable::<fastvm::Vm>();
    is_shareable::<fastvm::Vms>();
    is_error::<Error>();
    assert!(size_of::<Error>() <= 16);
    let client = client("http://127.0.0.1:9", "k");
    let vms = client.vms();
    is_sendable(vms.launch("c1m2"));
    is_sendable(vms.launch("c1m2").send());
    is_sendable(vms.restore("snp_1"));
    is_sendable(vms.run("v", "true"));
    is_sendable(vms.run("v", "true").send());
    is_sendable(vms.stream("v", "true"));
    is_sendable(vms.list());
    is_sendable(vms.list().send());
    is_sendable(vms.update("v"));
    is_sendable(client.upload("v", "a", "/a"));
    is_sendable(client.download("v", "/a", "a"));
    is_sendable(client.wait_for_vm_ready("v"));
    is_sendable(client.health());
    let call = tokio::spawn(async move { vms.list().max_retries(0).await });
    assert!(call.await.unwrap().unwrap_err().is_connect());
}

#[tokio::test]
async fn a_refused_repeat_does_not_hide_that_an_earlier_attempt_may_have_happened() {
    let stub = Stub::start([Reply::Close, Reply::json(409, "{}")]).await;
    let update = client(stub.base_url(), "k").vms().update("vm-1").name("n");
    let error = update.await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!((error.outcome(), error.attempts()), (Outcome::Unknown, 2));
}
