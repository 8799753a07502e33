//! The server itself: its start, its protocols, its end, and the binary.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fastvm_local::{Server, StartError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn http_2_is_spoken_without_an_upgrade() {
    let mut api = Api::start().await;
    api.http = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let vm = api.vm().await;
    let (stdout, _, exit) = api
        .stream(&vm, json!({"command": ["echo", "hi"]}))
        .await
        .rest()
        .await;
    assert_eq!((stdout.as_slice(), &exit["c"]), (&b"hi\n"[..], &json!(0)));
    let (upload, download) = api.presign(&vm).await;
    let large = vec![7; 5_000_000];
    assert_eq!(api.put(&upload, large.clone()).await, 200);
    assert_eq!(
        api.http
            .get(&download)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        large
    );
    let mut events = api
        .stream(&vm, json!({"command": ["sh", "-c", "echo hi; sleep 9999"]}))
        .await;
    events.next().await.unwrap().unwrap();
    api.delete(&vm).await;
    assert!(events.next().await.is_err());
}

#[tokio::test]
async fn a_server_takes_only_loopback_addresses_and_keys_that_can_be_sent() {
    let elsewhere = Server::builder()
        .listen("0.0.0.0:0".parse().unwrap())
        .start()
        .await;
    let refusal = elsewhere.unwrap_err();
    assert!(matches!(refusal, StartError::NotLoopback(_)));
    assert!(refusal.to_string().contains("allow_remote"), "{refusal}");
    let key = Server::builder().api_key("a b").start().await;
    assert!(matches!(key, Err(StartError::ApiKey)));
    let server = Server::start().await.unwrap();
    let taken = Server::builder().listen(server.address()).start().await;
    assert!(matches!(taken, Err(StartError::Listen { .. })));
}

#[tokio::test]
async fn vms_of_a_server_for_all_machines_still_reach_signed_urls() {
    let server = Server::builder()
        .listen("0.0.0.0:0".parse().unwrap())
        .allow_remote(true)
        .start()
        .await
        .unwrap();
    let port = server.address().port();
    assert_eq!(server.address().ip().to_string(), "0.0.0.0");
    assert_eq!(server.base_url(), format!("http://127.0.0.1:{port}"));
    let api = Api::of(server);
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let sent = format!("echo hi | curl -sS --fail -T - '{upload}'");
    assert_eq!(api.sh(&vm, &sent).await["exitCode"], 0);
    let fetched = api.sh(&vm, &format!("curl -sS '{download}'")).await;
    assert_eq!(fetched["stdout"], "hi\n");
}

#[tokio::test]
async fn a_server_that_is_stopped_or_dropped_ends_everything() {
    for is_dropped in [false, true] {
        let state = tempfile::tempdir().unwrap();
        let api = Api::of(
            Server::builder()
                .state_dir(state.path())
                .start()
                .await
                .unwrap(),
        );
        let vm = api.vm().await;
        let seconds = unique_seconds();
        let mut events = api
            .stream(
                &vm,
                json!({"command": ["sh", "-c", format!("echo hi; sleep {seconds}")]}),
            )
            .await;
        events.next().await.unwrap().unwrap();
        if is_dropped {
            drop(api.server);
        } else {
            api.server.stop().await;
            assert!(!is_running(&seconds));
            assert_eq!(folders(state.path()), 0);
        }
        assert!(events.next().await.is_err());
        eventually!("all processes end", !is_running(&seconds));
        eventually!("the folder goes", folders(state.path()) == 0);
    }
}

/// How many servers have a folder in a state directory.
fn folders(state: &Path) -> usize {
    let entries = std::fs::read_dir(state).unwrap().filter_map(Result::ok);
    let others = entries.filter(|entry| entry.file_name() != "lock" && entry.file_name() != "kept");
    others.count()
}

/// The binary, as it runs.
struct Binary {
    child: Child,
    base_url: String,
}

impl Binary {
    fn start(temporary: &Path) -> Self {
        let listen = ["--listen", "127.0.0.1:0"];
        Self::with(temporary, &[&listen[..], &["--boot-delay", "1ms"]].concat())
    }

    fn with(temporary: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fastvm-local"))
            .args(["--api-key", "a'b"])
            .args(options)
            .env("TMPDIR", temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let url = lines.next().expect("the first line");
        let base_url = url
            .strip_prefix("export FASTVM_BASE_URL=")
            .unwrap()
            .to_owned();
        assert_eq!(lines.next().unwrap(), r"export FASTVM_API_KEY='a'\''b'");
        Self { child, base_url }
    }

    async fn get(&self, path: &str) -> Value {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.get(format!("{}{path}", self.base_url));
        let response = request.header("X-API-Key", "a'b").send().await.unwrap();
        response.json().await.unwrap()
    }

    /// A VM in which `sleep` runs for so long, streamed to a client that stays.
    async fn run_sleep(&self, seconds: &str) -> reqwest::Response {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = |path: &str, body: Value| {
            http.post(format!("{}{path}", self.base_url))
                .header("X-API-Key", "a'b")
                .header(ACCEPT, NDJSON)
                .json(&body)
        };
        let vm: Value = request("/v1/vms", json!({"machineType": "c1m2"}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(vm["status"], "provisioning");
        let exec = format!("/v1/vms/{}/exec", vm["id"].as_str().unwrap());
        let mut response = request(&exec, json!({"command": ["true"]}))
            .send()
            .await
            .unwrap();
        while response.status() == 409 {
            let command = json!({"command": ["sh", "-c", format!("echo hi; sleep {seconds}")]});
            response = request(&exec, command).send().await.unwrap();
        }
        assert!(is_running(seconds) || response.chunk().await.unwrap().is_some());
        response
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Its exit code and its log.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

#[tokio::test]
async fn a_killed_server_leaves_no_process_and_its_folder_goes_with_the_next_start() {
    let temporary = tempfile::tempdir().unwrap();
    let binary = Binary::start(temporary.path());
    let seconds = unique_seconds();
    let response = binary.run_sleep(&seconds).await;
    eventually!("it runs", is_running(&seconds));
    binary.signal(Signal::SIGKILL);
    assert_eq!(binary.ended().0, None);
    eventually!("all processes end", !is_running(&seconds));
    drop(response);

    let next = Binary::start(temporary.path());
    let state = std::fs::read_dir(temporary.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert_eq!(folders(&state), 1, "only the folder of the new server");
    next.signal(Signal::SIGTERM);
    assert_eq!(next.ended().0, Some(0));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_signal_stops_the_server_cleanly() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let temporary = tempfile::tempdir().unwrap();
        let binary = Binary::start(temporary.path());
        let seconds = unique_seconds();
        let response = binary.run_sleep(&seconds).await;
        eventually!("it runs", is_running(&seconds));
        binary.signal(signal);
        let (code, log) = binary.ended();
        assert_eq!(code, Some(0), "{log}");
        assert!(!is_running(&seconds));
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
        drop(response);
        assert!(log.contains("POST /v1/vms 202"), "{log}");
        assert!(!log.contains("http."), "a request is told once: {log}");
        assert!(!log.contains("a'b"), "{log}");
    }
}

#[tokio::test]
async fn a_log_in_json_has_an_object_per_line_and_the_parts_of_each_request() {
    let temporary = tempfile::tempdir().unwrap();
    let options = ["--listen", "127.0.0.1:0", "--log", "json"];
    let binary = Binary::with(temporary.path(), &options);
    binary.get("/v1/vms/x").await;
    binary.signal(Signal::SIGTERM);
    let (code, log) = binary.ended();
    assert_eq!(code, Some(0), "{log}");
    let lines = log.lines().map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().unwrap();
    let is_request = |line: &&Value| line["http.path"] == "/v1/vms/x";
    let request = lines.iter().find(is_request).expect("the request");
    assert_eq!(request["http.method"], "GET");
    assert_eq!(request["http.status"], 404);
    assert!(request["http.ms"].is_number());
    assert_eq!(request["level"], "INFO");
    let message = request["message"].as_str().unwrap();
    assert!(message.starts_with("GET /v1/vms/x 404 "), "{message}");
}

#[tokio::test]
async fn the_quota_of_the_command_line_is_that_of_the_org() {
    let temporary = tempfile::tempdir().unwrap();
    let limits = ["--quota", "vcpu=4,memory-mib=8192", "--quota", "disk-gib=0"];
    let more = ["--quota=snapshot-count=5,volume-count=6,volume-gib=7"];
    let options = [&["--listen", "127.0.0.1:0"], &limits[..], &more].concat();
    let binary = Binary::with(temporary.path(), &options);
    let expected = json!({
        "vcpu": 4, "memoryMiB": 8192, "diskGiB": 0,
        "snapshotCount": 5, "volumeCount": 6, "volumeGiB": 7,
    });
    assert_eq!(binary.get("/v1/org/quotas").await["limits"], expected);
    binary.signal(Signal::SIGTERM);
    assert_eq!(binary.ended().0, Some(0));
}

#[tokio::test]
async fn other_machines_are_served_only_if_that_is_said_twice() {
    let temporary = tempfile::tempdir().unwrap();
    let options = ["--listen", "0.0.0.0:0", "--allow-remote"];
    let binary = Binary::with(temporary.path(), &options);
    assert!(binary.base_url.starts_with("http://127.0.0.1:"));
    assert_eq!(binary.get("/healthz").await, json!({"status": "ok"}));
    binary.signal(Signal::SIGTERM);
    let (code, log) = binary.ended();
    assert_eq!(code, Some(0));
    assert!(log.contains("other machines reach 0.0.0.0:"), "{log}");
}

/// The exit code of a binary that does not start a server, and what it prints.
fn printed(options: &[&str]) -> (Option<i32>, String) {
    let mut binary = Command::new(env!("CARGO_BIN_EXE_fastvm-local"));
    let output = binary.args(options).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let state_dir = ["--listen", "127.0.0.1:0", "--state-dir", "/dev/null/x"];
    for (options, code, expected) in [
        (&["--listen", "0.0.0.0:0"][..], 1, "not a loopback address"),
        (&["--listen", "0.0.0.0:0"], 1, "--allow-remote"),
        (&["--allow-remote"], 2, "--api-key <KEY>"),
        (
            &state_dir,
            1,
            "name a state directory that this user can write",
        ),
        (
            &["--quota", "vcpu=4,gpu=1"],
            2,
            "\"gpu\" is none of vcpu, memory-mib",
        ),
        (&["--quota", "vcpu"], 2, "such as vcpu=4"),
        (
            &["--quota", "vcpu=-1"],
            2,
            "vcpu: \"-1\" is not a whole number",
        ),
        (
            &["--quota", "vcpu=many"],
            2,
            "vcpu: \"many\" is not a whole number",
        ),
        (&["--log", "xml"], 2, "[possible values: text, json]"),
        (&["--boot-delay", "2"], 2, "ms, s or m"),
    ] {
        let (found, text) = printed(options);
        assert_eq!(found, Some(code), "{options:?}: {text}");
        assert!(text.contains(expected), "{options:?}: {text}");
    }
}

#[test]
fn help_teaches_by_examples() {
    let (code, text) = printed(&["--help"]);
    assert_eq!(code, Some(0));
    for expected in [
        "Examples:",
        "--quota vcpu=4",
        "--allow-remote",
        "--log json",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}
