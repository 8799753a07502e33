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
    assert!(matches!(elsewhere, Err(StartError::NotLoopback(_))));
    let key = Server::builder().api_key("a b").start().await;
    assert!(matches!(key, Err(StartError::ApiKey)));
    let server = Server::start().await.unwrap();
    let taken = Server::builder().listen(server.address()).start().await;
    assert!(matches!(taken, Err(StartError::Listen { .. })));
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
        let mut child = Command::new(env!("CARGO_BIN_EXE_fastvm-local"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--api-key",
                "a'b",
                "--boot-delay",
                "1ms",
            ])
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
        assert!(!log.contains("a'b"), "{log}");
    }
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let output = Command::new(env!("CARGO_BIN_EXE_fastvm-local"))
        .args(["--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("not a loopback address")
    );
    let output = Command::new(env!("CARGO_BIN_EXE_fastvm-local"))
        .args(["--listen", "127.0.0.1:0", "--state-dir", "/dev/null/x"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("name a state directory that this user can write"),
        "{told}"
    );
}
