//! Faults on demand: what a client meets, and whether the work was done.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fastvm_local::{Fault, Server, StartError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::*;

const APPEND: &str = "echo done >> /root/work";

/// Runs a command that leaves a line.
async fn work(api: &Api, vm: &str) -> reqwest::Result<reqwest::Response> {
    let command = json!({"command": ["sh", "-c", APPEND]});
    let request = api.request(Method::POST, &format!("{vm}/exec"));
    request.json(&command).send().await
}

/// How often it ran, seen on the disk; no fault may be there that this would meet.
async fn times_worked(api: &Api, vm: &str) -> usize {
    let output = api.sh(vm, "cat /root/work 2>/dev/null || true").await;
    output["stdout"].as_str().unwrap().lines().count()
}

fn id(vm: &str) -> &str {
    vm.rsplit('/').next().unwrap()
}

/// A stream's lines, and whether it ended cleanly.
async fn lines(mut events: Events) -> (Vec<Value>, bool) {
    let mut lines = Vec::new();
    loop {
        match events.next().await {
            Ok(Some(line)) => lines.push(line),
            end => return (lines, end.is_ok()),
        }
    }
}

fn output(lines: &[Value]) -> String {
    let output = lines.iter().filter(|line| line["t"] == "o");
    let bytes: Vec<u8> = output.flat_map(decode).collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_status_is_answered_in_place_of_the_work_so_often() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let other = api.vm().await;
    let busy = Fault::status(503).header("Retry-After", "1").on("execVm");
    let busy = busy.vm(id(&vm)).after(1).times(2);
    let busy = api.server.faults().add(busy).unwrap();
    for expected in [200, 503, 503, 200] {
        assert_eq!(work(&api, &other).await.unwrap().status(), 200);
        let answer = work(&api, &vm).await.unwrap();
        assert_eq!(answer.status(), expected);
        if expected == 503 {
            assert_eq!(answer.headers()["retry-after"], "1");
            assert_eq!(answer.headers()["content-type"], "application/json");
            let error: Value = answer.json().await.unwrap();
            assert_eq!(error, json!({"error": "service unavailable"}));
        }
    }
    assert_eq!(api.status_of(&vm).await, "running");
    assert_eq!(api.server.faults().fired(busy), 2);
    assert_eq!(times_worked(&api, &vm).await, 2);
    assert_eq!(times_worked(&api, &other).await, 4);
    let report = &api.server.faults().list()[0];
    assert_eq!((report.matched, report.fired), (5, 2));
}

#[tokio::test]
async fn a_delay_comes_before_the_work_and_goes_with_other_faults() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let delay = Duration::from_millis(80);
    api.server.faults().add(Fault::delay(delay)).unwrap();
    let begin = Instant::now();
    assert_eq!(work(&api, &vm).await.unwrap().status(), 200);
    assert!(begin.elapsed() >= delay);
    api.server.faults().add(Fault::cut()).unwrap();
    let begin = Instant::now();
    assert!(work(&api, &vm).await.is_err());
    assert!(begin.elapsed() >= delay);
    api.server.faults().clear();
    assert_eq!(times_worked(&api, &vm).await, 1);
}

#[tokio::test]
async fn a_stall_lasts_until_the_client_goes_or_the_server_stops() {
    let api = Api::start().await;
    let vm = api.vm().await;
    api.server
        .faults()
        .add(Fault::stall().on("execVm"))
        .unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(150), work(&api, &vm)).await;
    assert!(waited.is_err());
    api.server.faults().clear();
    assert_eq!(times_worked(&api, &vm).await, 0);

    api.server
        .faults()
        .add(Fault::stall().on("listVms"))
        .unwrap();
    let stalled = api.request(Method::GET, "/v1/vms").send();
    let stalled = tokio::spawn(stalled);
    eventually!("it stalls", api.server.faults().list()[0].fired == 1);
    let begin = Instant::now();
    api.server.stop().await;
    assert!(stalled.await.unwrap().is_err());
    assert!(
        begin.elapsed() < Duration::from_millis(900),
        "not waited for"
    );
}

#[test]
fn a_stalled_upload_is_let_go_when_its_client_is() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tasks = || runtime.metrics().num_alive_tasks();
    let api = runtime.block_on(Api::start());
    let before = tasks();
    runtime.block_on(async {
        let faults = api.server.faults();
        faults.add(Fault::stall().on("createVolume")).unwrap();
        let mut socket = TcpStream::connect(api.server.address()).await.unwrap();
        let key = api.server.api_key();
        let head = format!(
            "POST /v1/volumes HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-length: 100000000\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        // More than anybody reads ahead.
        socket.write_all(&vec![0; 1_000_000]).await.unwrap();
        eventually!("it stalls", faults.list()[0].fired == 1);
        assert!(tasks() > before);
        socket.set_zero_linger().unwrap();
        drop(socket);
        eventually!("it is let go", tasks() == before);
    });
}

#[tokio::test]
async fn a_cut_leaves_the_work_undone_and_a_late_one_done() {
    for is_http2 in [false, true] {
        let mut api = Api::start().await;
        if is_http2 {
            let http = reqwest::Client::builder().no_proxy();
            api.http = http.http2_prior_knowledge().build().unwrap();
        }
        let vm = api.vm().await;
        let faults = api.server.faults();
        faults.add(Fault::cut().on("execVm").times(1)).unwrap();
        let late = Fault::cut_after_work().on("execVm").times(2);
        faults.add(late).unwrap();
        assert!(work(&api, &vm).await.unwrap_err().status().is_none());
        let streamed = api
            .request(Method::POST, &format!("{vm}/exec"))
            .header(ACCEPT, NDJSON)
            .json(&json!({"command": ["sh", "-c", format!("sleep 0.1; {APPEND}")]}));
        assert!(work(&api, &vm).await.unwrap_err().status().is_none());
        assert!(streamed.send().await.unwrap_err().status().is_none());
        assert_eq!(times_worked(&api, &vm).await, 2);
    }
}

#[tokio::test]
async fn a_cut_connection_has_not_a_byte_of_an_answer() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let api = Api::start().await;
    api.server.faults().add(Fault::cut()).unwrap();
    let address = api.server.address();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");
}

#[tokio::test]
async fn a_body_is_cut_or_ended_after_so_many_bytes() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let content = vec![b'x'; 100_000];
    assert_eq!(api.put(&upload, content.clone()).await, 200);
    let faults = api.server.faults();
    let get = || async { api.http.get(&download).send().await.unwrap() };

    faults
        .add(Fault::cut_body_after(70_000).on("storage.get"))
        .unwrap();
    let mut cut = get().await;
    assert_eq!(cut.content_length(), Some(100_000));
    let mut arrived = 0;
    let error = loop {
        match cut.chunk().await {
            Ok(chunk) => arrived += chunk.expect("not the end").len(),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(arrived, 70_000);

    faults.clear();
    faults
        .add(Fault::truncate_body(70_000).on("storage.get"))
        .unwrap();
    let short = get().await;
    assert_eq!(short.content_length(), Some(70_000));
    assert_eq!(short.bytes().await.unwrap().len(), 70_000);

    faults.clear();
    faults
        .add(Fault::truncate_body(0).on("getVm").times(1))
        .unwrap();
    faults
        .add(Fault::truncate_body(1_000_000).on("getVm"))
        .unwrap();
    let empty = api.request(Method::GET, &vm).send().await.unwrap();
    assert_eq!(empty.headers()["content-length"], "0");
    assert_eq!(empty.bytes().await.unwrap(), "");
    assert_eq!(api.get(&vm).await.1["status"], "running");
}

#[tokio::test]
async fn a_stream_is_cut_or_ended_after_so_many_bytes() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let faults = api.server.faults();
    let command = || json!({"command": ["sh", "-c", "echo hello; sleep 0.05; echo world"]});
    let line = "{\"t\":\"o\",\"d\":\"aGVsbG8K\"}\n".len() as u64;

    faults
        .add(Fault::cut_body_after(line).on("execVm").times(1))
        .unwrap();
    faults
        .add(Fault::truncate_body(line).on("execVm").times(1))
        .unwrap();
    for is_clean in [false, true] {
        let (lines, ended_cleanly) = lines(api.stream(&vm, command()).await).await;
        assert_eq!(output(&lines), "hello\n");
        assert_eq!((lines.len(), ended_cleanly), (1, is_clean));
    }
    let (stdout, _, exit) = api.stream(&vm, command()).await.rest().await;
    assert_eq!(
        (stdout.as_slice(), &exit["c"]),
        (&b"hello\nworld\n"[..], &json!(0))
    );
}

#[tokio::test]
async fn one_bit_of_a_body_is_flipped_each_time_the_same() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let content = vec![0; 600_001];
    assert_eq!(api.put(&upload, content.clone()).await, 200);
    api.server.faults().add(Fault::corrupt_body()).unwrap();
    for _ in 0..2 {
        let answer = api.http.get(&download).send().await.unwrap();
        let body = answer.bytes().await.unwrap();
        assert_eq!(body.len(), content.len());
        let wrong: Vec<_> = (0..body.len()).filter(|place| body[*place] != 0).collect();
        assert_eq!((wrong.as_slice(), body[300_000]), (&[300_000][..], 1));
    }
    let answer = api
        .request(Method::POST, &format!("{vm}/exec"))
        .header(ACCEPT, NDJSON);
    let answer = answer
        .json(&json!({"command": ["echo", "hello"]}))
        .send()
        .await
        .unwrap();
    let text = answer.text().await.unwrap();
    assert!(
        !text.starts_with("{\"t\":\"o\",\"d\":\"aGVsbG8K\"}\n"),
        "{text}"
    );
}

#[tokio::test]
async fn an_upload_can_be_refused_and_its_answer_lost() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let faults = api.server.faults();
    faults
        .add(Fault::status(500).on("storage.put").vm(id(&vm)).times(1))
        .unwrap();
    faults
        .add(Fault::cut_after_work().on("storage.put").times(1))
        .unwrap();
    assert_eq!(api.put(&upload, vec![1; 2_000_000]).await, 500);
    assert_eq!(api.http.get(&download).send().await.unwrap().status(), 404);
    assert!(api.http.put(&upload).body("late").send().await.is_err());
    let stored = api.http.get(&download).send().await.unwrap();
    assert_eq!(stored.text().await.unwrap(), "late");
}

#[tokio::test]
async fn a_stream_can_end_without_its_exit_event() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let fault = Fault::no_exit_event().times(1);
    let fault = api.server.faults().add(fault).unwrap();
    // A request that asks for no stream is none of its matches.
    assert_eq!(api.sh(&vm, "echo hello").await["exitCode"], 0);
    assert_eq!(api.server.faults().fired(fault), 0);
    let command = json!({"command": ["sh", "-c", "echo hello"]});
    let (lines, is_clean) = lines(api.stream(&vm, command).await).await;
    assert!(is_clean);
    assert_eq!((lines.len(), output(&lines).as_str()), (1, "hello\n"));
}

#[tokio::test]
async fn a_vm_can_die_in_the_middle_of_a_stream() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let other = api.vm().await;
    let fault = Fault::vm_dies_after(300).on("execVm").vm(id(&vm));
    api.server.faults().add(fault).unwrap();
    // What ends before that is left alone.
    assert_eq!(api.sh(&vm, "true").await["exitCode"], 0);
    let seconds = unique_seconds();
    let line = format!(
        "for i in 1 2 3 4 5 6 7 8 9; do echo $i-----------------------------; sleep 0.02; done; sleep {seconds}"
    );
    let command = json!({"command": ["sh", "-c", line]});
    let (lines, is_clean) = lines(api.stream(&vm, command).await).await;
    assert!(!is_clean);
    assert!(output(&lines).starts_with("1---"));
    assert_eq!(api.status_of(&vm).await, "stopped");
    assert_eq!(api.status_of(&other).await, "running");
    eventually!("the command is gone", !is_running(&seconds));
}

#[tokio::test]
async fn a_paused_vm_can_die_too() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let fault = Fault::vm_dies_after(0).on("pauseVm");
    api.server.faults().add(fault).unwrap();
    let pause = api.request(Method::POST, &format!("{vm}/pause"));
    let answer = pause.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
    eventually!("the VM stops", api.status_of(&vm).await == "stopped");
}

#[tokio::test]
async fn boots_are_slow_or_fail() {
    let slow = Fault::slow_boot(Duration::from_millis(150)).times(1);
    let builder = Server::builder()
        .fault(slow)
        .fault(Fault::failing_boot().times(1));
    let api = Api::of(builder.start().await.unwrap());
    // A request that is refused boots nothing.
    assert_eq!(api.post("/v1/vms", json!({})).await.0, 400);
    let begin = Instant::now();
    let slow = api.vm().await;
    assert_eq!(api.status_of(&slow).await, "provisioning");
    let failing = api.vm().await;
    eventually!("the boot fails", api.status_of(&failing).await == "error");
    eventually!("the VM runs", api.status_of(&slow).await == "running");
    assert!(begin.elapsed() >= Duration::from_millis(150));
    let usual = api.vm().await;
    assert_eq!(api.status_of(&usual).await, "running");
}

async fn outcomes(seed: u64) -> Vec<u16> {
    let fault = Fault::status(500).on("getHealth").probability(0.5);
    let builder = Server::builder().fault(fault).fault_seed(seed);
    let api = Api::of(builder.start().await.unwrap());
    let mut outcomes = Vec::new();
    for _ in 0..40 {
        // Requests that it does not match make no difference.
        api.get("/v1/vms").await;
        outcomes.push(api.get("/healthz").await.0);
    }
    outcomes
}

#[tokio::test]
async fn a_seed_decides_which_requests_fail() {
    let first = outcomes(1).await;
    assert_eq!(first, outcomes(1).await);
    assert_ne!(first, outcomes(2).await);
    assert!(first.contains(&200) && first.contains(&500));
}

#[tokio::test]
async fn faults_are_set_listed_and_removed_over_http() {
    const PATH: &str = "/_local/faults";
    let api = Api::start().await;
    let busy =
        json!({"operation": "listVms", "times": 1, "status": 503, "headers": {"retry-after": "1"}});
    assert_eq!(
        api.post(PATH, busy.clone()).await,
        (201, json!({"ids": [1]}))
    );
    let more = json!([{"operation": "getHealth", "delayMs": 1}, {"vm": "x", "cut": true}]);
    assert_eq!(api.post(PATH, more).await, (201, json!({"ids": [2, 3]})));
    assert_eq!(api.get("/v1/vms").await.0, 503);
    assert_eq!(api.get("/v1/vms").await.0, 200);
    let (status, list) = api.get(PATH).await;
    assert_eq!(status, 200);
    assert_eq!(
        list[0],
        json!({"id": 1, "matched": 2, "fired": 1, "fault": busy})
    );
    assert_eq!(list[2]["fault"], json!({"vm": "x", "cut": true}));

    assert_eq!(api.delete(&format!("{PATH}/2")).await.0, 200);
    assert_eq!(api.delete(&format!("{PATH}/2")).await.0, 404);
    assert_eq!(api.delete(&format!("{PATH}/two")).await.0, 404);
    assert_eq!(api.get(PATH).await.1.as_array().unwrap().len(), 2);
    assert_eq!(api.delete(PATH).await.0, 200);
    assert_eq!(api.get(PATH).await.1, json!([]));

    for (body, named) in [
        (json!({"stauts": 503}), "unknown field `stauts`"),
        (json!({"status": "x"}), "status: invalid type"),
        (json!({"status": 99}), "status: 99 is not"),
        (
            json!([{"cut": true}, {"status": 99}]),
            "[1].status: 99 is not",
        ),
        (
            json!([{"cut": true}, {"times": "x", "cut": true}]),
            "[1].times: invalid type",
        ),
        (json!({}), "exactly one of status, delayMs"),
        (
            json!({"cut": true, "operation": "exec"}),
            "operation: \"exec\"",
        ),
    ] {
        let (status, refusal) = api.post(PATH, body).await;
        let text = refusal["error"].as_str().unwrap();
        assert!(status == 400 && text.contains(named), "{status} {text}");
    }
    assert_eq!(api.get(PATH).await.1, json!([]), "all or none");
    let patch = api.request(Method::PATCH, PATH);
    assert_eq!(answer(patch).await.0, 405);
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let url = format!("{}{PATH}", api.server.base_url());
        assert_eq!(answer(api.http.request(method, url)).await.0, 401);
    }
}

#[tokio::test]
async fn requests_without_the_key_meet_no_fault() {
    let api = Api::start().await;
    let cut = api.server.faults().add(Fault::cut()).unwrap();
    let url = format!("{}/v1/vms", api.server.base_url());
    assert_eq!(answer(api.http.get(url)).await.0, 401);
    assert_eq!(api.server.faults().fired(cut), 0);
}

#[tokio::test]
async fn a_server_does_not_start_with_a_fault_that_is_none() {
    let started = Server::builder().fault(Fault::status(99)).start().await;
    assert!(matches!(started, Err(StartError::Fault(_))));
}

#[test]
fn a_file_that_has_no_faults_stops_the_start_and_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (content, named) in [
        (r#"[{"stauts": 503}]"#, "unknown field `stauts`"),
        (r#"[{"status": 99}]"#, "status: 99 is not"),
    ] {
        std::fs::write(file.path(), content).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_fastvm-local"))
            .args(["--listen", "127.0.0.1:0", "--faults"])
            .arg(file.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(named), "{told}");
    }
}

#[tokio::test]
async fn a_file_of_faults_is_there_from_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        r#"[{"operation": "getHealth", "status": 418}]"#,
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fastvm-local"))
        .args(["--listen", "127.0.0.1:0", "--faults"])
        .arg(file.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("export FASTVM_BASE_URL=").unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("{url}/healthz")).send().await.unwrap();
    assert_eq!(answer.status(), 418);
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert!(child.wait().unwrap().success());
}
