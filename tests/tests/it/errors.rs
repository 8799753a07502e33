//! The table of errors in the documentation, walked row by row, and what an error says to do.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use fastvm::types::AccessMode;
use fastvm::{Client, Error, RetryPolicy};
use fastvm_tests::{Reply, Stub};
use futures_util::TryStreamExt;

use crate::calls::{VM, refusing};

const TABLE: &str = include_str!("../../../fastvm-api/src/errors.md");

const ONCE: &str = "sent once";
const THRICE: &str = "sent up to 3 times";
const THRICE_IF_REPEATABLE: &str = "sent up to 3 times if repeatable, else once";

fn builder(base_url: &str) -> fastvm::ClientBuilder {
    let mut retries = RetryPolicy::default();
    retries.first_backoff = Duration::from_millis(1);
    let builder = Client::builder().api_key("k").base_url(base_url);
    builder
        .retry(retries)
        .request_timeout(Duration::from_millis(100))
}

/// The errors that a situation makes, and what else is to be seen of it.
#[derive(Default)]
struct Seen {
    errors: Vec<Error>,
    /// How often a repeatable and another operation were sent.
    sent: Option<(usize, usize)>,
}

type Walk = Pin<Box<dyn Future<Output = Seen>>>;

fn errors(errors: impl Future<Output = Vec<Error>> + 'static) -> Walk {
    Box::pin(async move {
        let errors = errors.await;
        Seen { errors, sent: None }
    })
}

/// What comes of a service that always answers so.
fn answers(replies: impl IntoIterator<Item = Reply>) -> Walk {
    let replies: Vec<Reply> = replies.into_iter().collect();
    Box::pin(async move {
        let mut seen = Seen::default();
        for reply in replies {
            let stub = Stub::start([reply]).await;
            let client = builder(stub.base_url()).build().unwrap();
            let repeatable = client.volumes().list().await.unwrap_err();
            let sent = stub.requests().len();
            assert_eq!(sent, repeatable.attempts() as usize, "{repeatable}");
            let create = client.volumes().create("data", 1, AccessMode::Rw);
            let other = create.await.unwrap_err();
            let sent = (sent, stub.requests().len() - sent);
            assert_eq!(*seen.sent.get_or_insert(sent), sent, "{repeatable}");
            seen.errors.extend([repeatable, other]);
        }
        seen
    })
}

fn statuses<const N: usize>(statuses: [u16; N]) -> Walk {
    answers(statuses.map(|status| Reply::json(status, r#"{"error":"no"}"#)))
}

fn status_with(status: u16, name: &str, value: &str) -> Walk {
    answers([Reply::json(status, "{}").header(name, value)])
}

/// A service whose VM is always in this state, and whose commands never say a word.
async fn silent_vm(status: &str) -> (Stub, Client) {
    let vm = VM.replace("running", status);
    let stub = Stub::answering(move |request| match request.line.ends_with("/exec") {
        true => Reply::Stall,
        false if request.line.starts_with("DELETE") => {
            Reply::json(200, r#"{"id":"vm-1","deleted":true}"#)
        }
        false => Reply::json(200, &vm),
    })
    .await;
    let client = builder(stub.base_url())
        .idle_check(Duration::from_millis(10))
        .build();
    (stub, client.unwrap())
}

async fn world() -> (fastvm_tests::World, fastvm::Vm) {
    let world = fastvm_tests::World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    (world, vm)
}

async fn no_configuration() -> Vec<Error> {
    let builder = || Client::builder().api_key("k");
    [
        Client::builder(),
        builder().base_url("x"),
        builder().proxy("x"),
        builder().root_certificate("x"),
    ]
    .map(|builder| builder.build().unwrap_err())
    .into()
}

async fn no_input() -> Seen {
    let stub = Stub::start([Reply::json(200, "{}")]).await;
    let vms = builder(stub.base_url()).build().unwrap().vms();
    let errors = vec![
        vms.retrieve("").await.unwrap_err(),
        vms.retrieve("..").await.unwrap_err(),
        vms.run("v", "").await.unwrap_err(),
        vms.list().header("a b", "c").await.unwrap_err(),
        vms.stream("v", "true")
            .timeout(Duration::ZERO)
            .await
            .unwrap_err(),
    ];
    let sent = Some((stub.requests().len(), 0));
    Seen { errors, sent }
}

async fn no_connection() -> Seen {
    let (_socket, url) = refusing();
    let client = builder(&url).build().unwrap();
    let errors = vec![
        client.volumes().list().await.unwrap_err(),
        client
            .volumes()
            .create("data", 1, AccessMode::Rw)
            .await
            .unwrap_err(),
    ];
    let sent = (errors[0].attempts() as usize, errors[1].attempts() as usize);
    Seen {
        errors,
        sent: Some(sent),
    }
}

async fn no_events() -> Vec<Error> {
    let mut errors = Vec::new();
    for reply in [
        Reply::Chunked(vec![]),
        Reply::ChunkedCut(vec![b"{\"t\":\"o\"".to_vec()]),
        Reply::Chunked(vec![b"<html>\n".to_vec()]),
    ] {
        let stub = Stub::start([reply]).await;
        let vms = builder(stub.base_url()).build().unwrap().vms();
        let events = vms.stream("v", "true").await.unwrap();
        errors.push(events.try_collect::<Vec<_>>().await.unwrap_err());
        // What else is asked is whether the VM lives.
        let lines = stub.requests().into_iter().map(|request| request.line);
        let (sent, asked): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("POST"));
        assert_eq!(sent, ["POST /v1/vms/v/exec"]);
        assert!(
            asked.iter().all(|line| line == "GET /v1/vms/v"),
            "{asked:?}"
        );
    }
    errors
}

async fn vm_gone() -> Vec<Error> {
    let mut errors = Vec::new();
    for status in ["stopped", "paused", "deleting"] {
        let (stub, client) = silent_vm(status).await;
        errors.push(client.vms().run("vm-1", "true").await.unwrap_err());
        errors.push(client.vms().stream("vm-1", "true").await.unwrap_err());
        let lines = stub.requests().into_iter().map(|request| request.line);
        let asked = lines.filter(|line| line == "GET /v1/vms/vm-1").count();
        assert!(asked >= 2, "asked {asked} times");
    }
    errors
}

async fn vm_ended() -> Vec<Error> {
    let mut errors = Vec::new();
    for status in ["error", "stopped", "deleting"] {
        let (_stub, client) = silent_vm(status).await;
        errors.push(client.wait_for_vm_ready("vm-1").await.unwrap_err());
        errors.push(client.vms().launch("c1m2").await.unwrap_err());
    }
    errors
}

async fn vm_not_ready() -> Vec<Error> {
    let (_stub, client) = silent_vm("provisioning").await;
    let limit = Duration::from_millis(50);
    let wait = client.wait_for_vm_ready("vm-1").wait_timeout(limit);
    let launch = client.vms().launch("c1m2").wait_timeout(limit);
    vec![wait.await.unwrap_err(), launch.await.unwrap_err()]
}

async fn snapshot_ended() -> Vec<Error> {
    let stub = Stub::start([crate::snapshots::snapshot(201, "error")]).await;
    let client = fastvm_tests::client(stub.base_url(), "k");
    let vm = crate::snapshots::vm(&client);
    vec![vm.snapshot("n").await.unwrap_err()]
}

async fn build_failed() -> Vec<Error> {
    let mut errors = Vec::new();
    for status in ["failed", "cancelled"] {
        let stub = Stub::start([crate::images::import(202, status, &["why"], "")]).await;
        let imports = fastvm_tests::client(stub.base_url(), "k").snapshot_imports();
        let build = imports.build_image("x").await.unwrap();
        errors.push(build.snapshot().await.unwrap_err());
    }
    errors
}

async fn command_failed() -> Vec<Error> {
    let (_world, vm) = world().await;
    let output = vm.run("echo why >&2; exit 3").await.unwrap();
    vec![output.ensure_success().unwrap_err()]
}

async fn no_file() -> Vec<Error> {
    let (_world, vm) = world().await;
    let folder = tempfile::tempdir().unwrap();
    let (missing, target) = (folder.path().join("missing"), folder.path().join("target"));
    let errors = vec![
        vm.upload(&missing, "/root/a").await.unwrap_err(),
        vm.download("/root/missing", &target).await.unwrap_err(),
    ];
    assert!(!target.exists());
    errors
}

async fn no_access() -> Vec<Error> {
    let (_world, vm) = world().await;
    let folder = tempfile::tempdir().unwrap();
    vm.run("echo a > /root/a").await.unwrap();
    // A file where a folder would have to be made: no user of this machine can.
    let file = folder.path().join("file");
    std::fs::write(&file, "old").unwrap();
    let error = vm.download("/root/a", file.join("a")).await.unwrap_err();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    vec![error]
}

async fn other_kind_of_file() -> Vec<Error> {
    let (_world, vm) = world().await;
    let fs = vm.fs();
    vec![
        fs.create_dir("/root").await.unwrap_err(),
        fs.read("/root").await.unwrap_err(),
        fs.read_dir("/dev/null").await.unwrap_err(),
    ]
}

async fn forbidden_by_the_vm() -> Vec<Error> {
    let (_world, vm) = world().await;
    let fs = vm.fs();
    vec![
        fs.remove_file("/proc/version").await.unwrap_err(),
        fs.create_dir("/usr/new").await.unwrap_err(),
    ]
}

async fn no_transfer() -> Vec<Error> {
    let (_world, vm) = world().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("a");
    std::fs::write(&source, "new").unwrap();
    vm.run("echo old > /root/file").await.unwrap();
    // A folder cannot be made where a file is.
    let error = vm.upload(folder.path(), "/root/file").await.unwrap_err();
    let left = vm.run("cat /root/file").await.unwrap();
    assert_eq!(left.stdout, "old\n");
    vec![error]
}

fn seen(walk: impl Future<Output = Seen> + 'static) -> Walk {
    Box::pin(walk)
}

/// How each situation of the table is made, by its first words.
fn situations() -> BTreeMap<&'static str, Walk> {
    let redirect = |status| Reply::json(status, "{}").header("location", "http://127.0.0.1:9/");
    let cut = [Reply::Close, Reply::Cut(100, b"{".to_vec())];
    let misshapen = [
        Reply::json(200, "7"),
        Reply::html(200),
        Reply::json(201, ""),
    ];
    BTreeMap::from([
        ("no API key", errors(no_configuration())),
        ("an id that is empty", seen(no_input())),
        ("no connection", seen(no_connection())),
        ("the connection broke", answers(cut)),
        ("no answer within", answers([Reply::Stall])),
        (
            "400",
            statuses([400, 401, 402, 403, 404, 405, 409, 410, 413, 418, 422]),
        ),
        ("408", statuses([408])),
        ("429", status_with(429, "retry-after", "0")),
        ("429 that asks", status_with(429, "retry-after", "61")),
        ("500", statuses([500, 502, 503, 504])),
        ("501", statuses([501, 505, 511])),
        ("503 with", status_with(503, "x-should-retry", "false")),
        ("301", answers([301, 302, 307, 308].map(redirect))),
        ("2xx", answers(misshapen)),
        ("the events", errors(no_events())),
        ("the VM was deleted", errors(vm_gone())),
        ("the VM ended", errors(vm_ended())),
        ("the VM was not", errors(vm_not_ready())),
        ("the snapshot ended", errors(snapshot_ended())),
        ("an image build", errors(build_failed())),
        ("`ensure_success`", errors(command_failed())),
        ("no such file", errors(no_file())),
        ("a file of this machine", errors(no_access())),
        ("a file of the VM", errors(other_kind_of_file())),
        ("the system of the VM", errors(forbidden_by_the_vm())),
        ("data did not", errors(no_transfer())),
    ])
}

#[tokio::test]
async fn the_table_of_errors_is_true_row_by_row() {
    let rows: Vec<Vec<&str>> = TABLE
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| situation"))
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").collect())
        .collect();
    let mut situations = situations();
    for row in rows {
        let [situation, kind, outcome, action] = row[..] else {
            panic!("a row has other columns: {row:?}");
        };
        let name = situations
            .keys()
            .filter(|name| situation.starts_with(**name))
            .max_by_key(|name| name.len());
        let name = *name.unwrap_or_else(|| panic!("nobody knows how to make {situation:?}"));
        let seen = situations.remove(name).unwrap().await;
        assert!(!seen.errors.is_empty(), "{situation}");
        for error in &seen.errors {
            let found = format!("`{:?}` | `{:?}`", error.kind(), error.outcome());
            assert_eq!(found, format!("{kind} | {outcome}"), "{situation}: {error}");
        }
        let expected = match action.split(';').next() {
            Some("nothing was sent") => Some((0, 0)),
            Some(ONCE) => Some((1, 1)),
            Some(THRICE) => Some((3, 3)),
            Some(THRICE_IF_REPEATABLE) => Some((3, 1)),
            _ => None,
        };
        if seen.sent.is_some() {
            assert_eq!(seen.sent, expected, "{situation}");
        }
    }
    let left: Vec<_> = situations.keys().collect();
    assert!(left.is_empty(), "these are in no row: {left:?}");
}

#[tokio::test]
async fn an_error_says_in_one_line_what_to_do() {
    let answer = |status| Reply::json(status, r#"{"error":"because"}"#);
    let limited = |wait: &str| answer(429).header("retry-after", wait);
    let cases = [
        (answer(401), "check the API key (FASTVM_API_KEY)", None),
        (answer(403), "the API key does not allow this", None),
        (answer(404), "check the id", None),
        (answer(409), "look at it before you try again", None),
        (answer(413), "send less", None),
        (limited("90"), "retry after 90 s", None),
        (answer(429), "retry later", None),
        (answer(501), "this service does not do that", None),
        (
            answer(503),
            "retry later",
            Some("look before you send it again"),
        ),
        (
            answer(408),
            "retry later",
            Some("look before you send it again"),
        ),
        (
            Reply::Stall,
            "no answer within 100ms: allow it more time",
            Some("it may have happened"),
        ),
        (
            Reply::Close,
            "the connection broke before",
            Some("it may have happened"),
        ),
    ];
    for (reply, hint, hint_if_unrepeatable) in cases {
        let stub = Stub::start([reply]).await;
        let client = builder(stub.base_url()).max_retries(0).build().unwrap();
        let list = client.vms().services().list("vm-1").await.unwrap_err();
        let attach = client.vms().volumes().attach("vm-1", "w", "/mnt");
        let attach = attach.await.unwrap_err();
        for (error, operation, hint) in [
            (list, "listServices", hint),
            (attach, "attachVolume", hint_if_unrepeatable.unwrap_or(hint)),
        ] {
            let line = error.to_string();
            assert!(
                line.starts_with(&format!("{operation} of VM vm-1: ")),
                "{line}"
            );
            assert!(line.contains(hint), "{hint:?} is not in {line:?}");
            assert_eq!(line.lines().count(), 1);
        }
    }
    let (_socket, url) = refusing();
    let client = builder(&url).build().unwrap();
    let line = client.vms().list().await.unwrap_err().to_string();
    assert!(
        line.contains("is the base URL (FASTVM_BASE_URL) right?"),
        "{line}"
    );
    assert!(line.ends_with("(after 3 attempts)"), "{line}");
}

#[tokio::test]
async fn predicates_tell_errors_apart() {
    type Predicate = fn(&Error) -> bool;
    let predicates: [(&str, Predicate); 11] = [
        ("not found", Error::is_not_found),
        ("unauthorized", Error::is_unauthorized),
        ("forbidden", Error::is_forbidden),
        ("conflict", Error::is_conflict),
        ("rate limited", Error::is_rate_limited),
        ("too large", Error::is_too_large),
        ("server error", Error::is_server_error),
        ("timeout", Error::is_timeout),
        ("connect", Error::is_connect),
        ("gone", Error::is_gone),
        ("transient", Error::is_transient),
    ];
    let of = |error: &Error| -> Vec<&str> {
        let hold = predicates.iter().filter(|(_, predicate)| predicate(error));
        hold.map(|(name, _)| *name).collect()
    };
    let answers = [
        (400, &[][..]),
        (401, &["unauthorized"]),
        (403, &["forbidden"]),
        (404, &["not found"]),
        (408, &["timeout", "transient"]),
        (409, &["conflict"]),
        (413, &["too large"]),
        (429, &["rate limited", "transient"]),
        (500, &["server error", "transient"]),
        (501, &["server error"]),
        (503, &["server error", "transient"]),
        (504, &["server error", "timeout", "transient"]),
    ];
    for (status, expected) in answers {
        let stub = Stub::start([Reply::json(status, "{}")]).await;
        let client = builder(stub.base_url()).max_retries(0).build().unwrap();
        assert_eq!(
            of(&client.pricing().retrieve().await.unwrap_err()),
            expected
        );
    }
    let wire = [
        (Reply::Close, &["transient"][..]),
        (Reply::Stall, &["timeout", "transient"]),
    ];
    for (reply, expected) in wire {
        let stub = Stub::start([reply]).await;
        let client = builder(stub.base_url()).max_retries(0).build().unwrap();
        assert_eq!(
            of(&client.pricing().retrieve().await.unwrap_err()),
            expected
        );
    }
    assert_eq!(
        of(&no_connection().await.errors[0]),
        ["connect", "transient"]
    );
    assert_eq!(of(&vm_gone().await[0]), ["gone"]);
    assert_eq!(of(&vm_not_ready().await[0]), ["timeout"]);
    assert_eq!(of(&no_file().await[0]), ["not found"]);
}
