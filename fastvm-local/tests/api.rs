//! The API of the server, over real sockets.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fastvm_local::{Server, StartError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const NDJSON: &str = "application/x-ndjson";

/// What this server has; the test of the others goes by it.
const SERVED: [&str; 9] = [
    "listVms",
    "launchVm",
    "getVm",
    "updateVm",
    "deleteVm",
    "execVm",
    "presignFile",
    "fetchFileToVm",
    "getHealth",
];

struct Api {
    server: Server,
    http: reqwest::Client,
}

impl Api {
    async fn start() -> Self {
        Self::of(Server::start().await.unwrap())
    }

    fn of(server: Server) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, http }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.server.base_url());
        self.http
            .request(method, url)
            .header("X-API-Key", self.server.api_key())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(Method::PATCH, path).json(&body)).await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::DELETE, path)).await
    }

    /// Launches a VM; gives its path.
    async fn launch(&self, body: Value) -> String {
        let (status, vm) = self.post("/v1/vms", body).await;
        assert!(matches!(status, 201 | 202), "{status} {vm}");
        format!("/v1/vms/{}", vm["id"].as_str().unwrap())
    }

    async fn vm(&self) -> String {
        self.launch(json!({"machineType": "c1m2", "diskGiB": 1}))
            .await
    }

    async fn sh(&self, vm: &str, line: &str) -> Value {
        let (status, output) = self
            .post(
                &format!("{vm}/exec"),
                json!({"command": ["sh", "-c", line]}),
            )
            .await;
        assert_eq!(status, 200, "{output}");
        output
    }

    async fn stream(&self, vm: &str, body: Value) -> Events {
        let request = self
            .request(Method::POST, &format!("{vm}/exec"))
            .header(ACCEPT, NDJSON)
            .json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], NDJSON);
        Events {
            response,
            unread: Vec::new(),
        }
    }

    async fn presign(&self, vm: &str) -> (String, String) {
        let (status, signed) = self
            .post(&format!("{vm}/files/presign"), json!({"path": "/x"}))
            .await;
        assert_eq!(status, 200, "{signed}");
        let url = |name: &str| signed[name].as_str().unwrap().to_owned();
        (url("uploadUrl"), url("downloadUrl"))
    }

    async fn put(&self, url: &str, body: impl Into<reqwest::Body>) -> u16 {
        self.http
            .put(url)
            .body(body)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    async fn status_of(&self, vm: &str) -> Value {
        self.get(vm).await.1["status"].clone()
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The lines of a stream, one after the other.
struct Events {
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl Events {
    /// `None` at the orderly end, an error if the connection is cut.
    async fn next(&mut self) -> Result<Option<Value>, reqwest::Error> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).unwrap()));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.unread.extend(chunk),
                None => return Ok(None),
            }
        }
    }

    /// Both outputs as they came, and the exit event.
    async fn rest(mut self) -> (Vec<u8>, Vec<u8>, Value) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            let event = self.next().await.unwrap().expect("an exit event");
            match event["t"].as_str().unwrap() {
                "o" => stdout.extend(decode(&event)),
                "e" => stderr.extend(decode(&event)),
                "x" => {
                    assert_eq!(
                        self.next().await.unwrap(),
                        None,
                        "the exit event is the last"
                    );
                    return (stdout, stderr, event);
                }
                other => panic!("an event of kind {other}"),
            }
        }
    }
}

fn decode(event: &Value) -> Vec<u8> {
    base64_simd::STANDARD
        .decode_to_vec(event["d"].as_str().unwrap())
        .unwrap()
}

fn encode(text: &str) -> String {
    base64_simd::STANDARD.encode_to_string(text)
}

/// Waits for a condition; fails after ten seconds.
macro_rules! eventually {
    ($what:literal, $condition:expr) => {
        let begin = Instant::now();
        while !$condition {
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "never happened: {}",
                $what
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
}

/// Whether a process on this machine was started with this argument.
fn is_running(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut command_lines =
        processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    command_lines.any(|line| {
        line.split(|byte| *byte == 0)
            .any(|found| found == argument.as_bytes())
    })
}

/// An argument for `sleep` that no other test has.
fn unique_seconds() -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("9999.{}{number:04}", std::process::id())
}

#[tokio::test]
async fn a_launch_without_delay_answers_201_with_a_running_vm() {
    let api = Api::start().await;
    let body = json!({
        "machineType": "c2m4", "name": "  my\t dev ", "metadata": {"env": "prod"}, "envVars": {"GREETING": "hi"},
        "ttl": {"seconds": 60, "action": "delete"},
    });
    let (status, vm) = api.post("/v1/vms", body).await;
    assert_eq!(status, 201);
    assert_eq!(vm["status"], "running");
    assert_eq!(vm["name"], "my dev");
    assert_eq!(
        (&vm["cpu"], &vm["memoryMiB"], &vm["diskGiB"]),
        (&json!(2), &json!(4096), &json!(10))
    );
    assert_eq!(vm["metadata"], json!({"env": "prod"}));
    assert_eq!(vm["ttl"], json!({"seconds": 60, "action": "delete"}));
    assert!(vm["expiresAtMs"].is_i64());
    assert!(vm["createdAt"].as_str().unwrap().ends_with('Z'));
    assert!(vm.get("pausedAt").is_none());

    let path = format!("/v1/vms/{}", vm["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await, (200, vm));
    let output = api.sh(&path, "echo $GREETING from $(hostname)").await;
    assert_eq!(output["stdout"], "hi from my-dev\n");
}

#[tokio::test]
async fn a_vm_without_a_name_is_called_after_its_id() {
    let api = Api::start().await;
    let (_, vm) = api
        .post(
            "/v1/vms",
            json!({"machineType": "c1m2", "name": "  ", "diskGiB": 3}),
        )
        .await;
    assert_eq!(
        vm["name"],
        format!("vm-{}", &vm["id"].as_str().unwrap()[..8])
    );
    assert_eq!(vm["diskGiB"], 3);
}

#[tokio::test]
async fn a_boot_delay_makes_clients_poll() {
    let api = Api::of(
        Server::builder()
            .boot_delay(Duration::from_millis(100))
            .start()
            .await
            .unwrap(),
    );
    let (status, vm) = api.post("/v1/vms", json!({"machineType": "c1m2"})).await;
    assert_eq!((status, &vm["status"]), (202, &json!("provisioning")));
    let path = format!("/v1/vms/{}", vm["id"].as_str().unwrap());
    let (status, refusal) = api
        .post(&format!("{path}/exec"), json!({"command": ["true"]}))
        .await;
    assert_eq!(
        (status, refusal),
        (409, json!({"error": "the VM is not running: provisioning"}))
    );
    eventually!("the VM runs", api.status_of(&path).await == "running");
    assert_eq!(api.sh(&path, "true").await["exitCode"], 0);
}

#[tokio::test]
async fn a_boot_can_be_made_to_fail_or_to_hang() {
    let api = Api::start().await;
    let with_boot =
        |boot: &str| json!({"machineType": "c1m2", "metadata": {"fastvm-local/boot": boot}});
    let failing = api.launch(with_boot("error")).await;
    let hanging = api.launch(with_boot("never")).await;
    eventually!("the boot fails", api.status_of(&failing).await == "error");
    assert_eq!(api.status_of(&hanging).await, "provisioning");
    assert_eq!(api.delete(&hanging).await.0, 200);
    assert_eq!(api.post("/v1/vms", with_boot("maybe")).await.0, 400);
}

#[tokio::test]
async fn a_launch_that_asks_for_too_much_is_refused() {
    let api = Api::start().await;
    let many: serde_json::Map<_, _> = (0..257).map(|n| (n.to_string(), json!(""))).collect();
    let large: serde_json::Map<_, _> = (0..17)
        .map(|n| (n.to_string(), json!("x".repeat(4096))))
        .collect();
    for (body, named) in [
        (json!({}), "machineType"),
        (json!({"machineType": "huge"}), "machineType"),
        (json!({"machineType": 4}), "machineType"),
        (json!({"machineType": "c1m2", "diskGiB": 0}), "diskGiB"),
        (json!({"machineType": "c1m2", "diskGiB": "ten"}), "diskGiB"),
        (json!({"machineType": "c1m2", "metadata": many}), "metadata"),
        (
            json!({"machineType": "c1m2", "metadata": large}),
            "metadata",
        ),
        (
            json!({"machineType": "c1m2", "metadata": {"": "x"}}),
            "metadata",
        ),
        (
            json!({"machineType": "c1m2", "metadata": {"k": "x".repeat(4097)}}),
            "metadata.k",
        ),
        (
            json!({"machineType": "c1m2", "metadata": {"k": 1}}),
            "metadata.k",
        ),
        (
            json!({"machineType": "c1m2", "envVars": {"1A": "x"}}),
            "envVars",
        ),
        (
            json!({"machineType": "c1m2", "envVars": {"A": "x\ny"}}),
            "envVars.A",
        ),
        (
            json!({"machineType": "c1m2", "ttl": {"seconds": 31_536_001, "action": "pause"}}),
            "ttl.seconds",
        ),
        (
            json!({"machineType": "c1m2", "ttl": {"seconds": 60, "action": "explode"}}),
            "ttl.action",
        ),
        (
            json!({"machineType": "c1m2", "ttl": {"action": "pause"}}),
            "seconds",
        ),
    ] {
        let (status, refusal) = api.post("/v1/vms", body).await;
        assert_eq!(status, 400, "{refusal}");
        assert!(
            refusal["error"].as_str().unwrap().contains(named),
            "{refusal} does not name {named}"
        );
    }
    let restore = api.post("/v1/vms", json!({"snapshotId": "snp_1"})).await;
    assert_eq!(restore.0, 501);
    assert_eq!(api.get("/v1/vms").await, (200, json!([])));
}

#[tokio::test]
async fn lists_are_filtered_by_status_and_metadata() {
    let api = Api::start().await;
    let label = |env: &str, boot: &str| json!({"machineType": "c1m2", "name": format!("{env}{boot}"), "metadata": {"env": env, "a b": "1&2", "fastvm-local/boot": boot}});
    let mut plain = label("dev", "");
    plain["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("fastvm-local/boot");
    api.launch(plain).await;
    api.launch(label("dev", "never")).await;
    api.launch(label("prod", "never")).await;
    let names = async |query: &str| {
        let (status, vms) = api.get(&format!("/v1/vms{query}")).await;
        assert_eq!(status, 200);
        let names = vms
            .as_array()
            .unwrap()
            .iter()
            .map(|vm| vm["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["dev", "devnever", "prodnever"]);
    assert_eq!(names("?status=running").await, ["dev"]);
    assert_eq!(names("?status=dreaming").await, Vec::<String>::new());
    assert_eq!(names("?metadata.env=dev").await, ["dev", "devnever"]);
    assert_eq!(
        names("?metadata.env=dev&metadata.a%20b=1%262&status=provisioning").await,
        ["devnever"]
    );
    assert_eq!(
        names("?metadata.env=dev&metadata.env=prod").await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn an_update_keeps_clears_and_sets() {
    let api = Api::start().await;
    let vm = api
        .launch(json!({"machineType": "c1m2", "name": "a", "metadata": {"k": "v"}}))
        .await;
    let (status, named) = api
        .patch(
            &vm,
            json!({"name": " b  c ", "ttl": {"seconds": 60, "action": "pause"}}),
        )
        .await;
    assert_eq!(
        (status, &named["name"], &named["metadata"]),
        (200, &json!("b c"), &json!({"k": "v"}))
    );
    assert!(named["expiresAtMs"].is_i64());
    let (_, kept) = api.patch(&vm, json!({})).await;
    assert_eq!(kept, named);
    let (_, cleared) = api.patch(&vm, json!({"ttl": null, "metadata": {}})).await;
    assert!(
        cleared.get("ttl").is_none()
            && cleared.get("expiresAtMs").is_none()
            && cleared.get("metadata").is_none()
    );
    assert_eq!(
        api.patch(&vm, json!({"ttl": {"seconds": 0, "action": "pause"}}))
            .await
            .0,
        400
    );
    assert_eq!(api.patch("/v1/vms/none", json!({})).await.0, 404);
}

#[tokio::test]
async fn a_deleted_vm_is_gone_with_its_processes() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    api.sh(&vm, &format!("sleep {seconds} > /dev/null 2>&1 &"))
        .await;
    assert!(is_running(&seconds));
    let (status, answer) = api.delete(&vm).await;
    assert_eq!(
        (status, answer),
        (
            200,
            json!({"id": vm.rsplit('/').next().unwrap(), "deleted": true})
        )
    );
    assert!(!is_running(&seconds));
    let gone = json!({"error": "no such VM"});
    assert_eq!(api.get(&vm).await, (404, gone.clone()));
    assert_eq!(api.delete(&vm).await, (404, gone.clone()));
    assert_eq!(
        api.post(&format!("{vm}/exec"), json!({"command": ["true"]}))
            .await,
        (404, gone)
    );
    assert_eq!(api.get("/v1/vms").await, (200, json!([])));
}

#[tokio::test]
async fn all_but_health_needs_the_key() {
    let api = Api::start().await;
    let without_key = |path: &str| api.http.get(format!("{}{path}", api.server.base_url()));
    assert_eq!(
        answer(without_key("/healthz")).await,
        (200, json!({"status": "ok"}))
    );
    assert_eq!(
        answer(without_key("/v1/vms").header("X-API-Key", "wrong"))
            .await
            .0,
        401
    );
    for path in ["/v1/vms", "/v1/vms/x", "/v1/snapshots", "/nowhere"] {
        let (status, refusal) = answer(without_key(path)).await;
        assert_eq!(status, 401);
        assert!(refusal["error"].is_string());
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let api = Api::start().await;
    let (status, refusal) = api.get("/v1/nowhere").await;
    assert_eq!(
        (status, refusal),
        (404, json!({"error": "no such operation: GET /v1/nowhere"}))
    );
    let response = api.request(Method::PUT, "/v1/vms").send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    assert!(response.json::<Value>().await.unwrap()["error"].is_string());
    assert_eq!(api.get("/v1/vms/%FF").await.0, 404);
    assert_eq!(api.get("/v1/vms/..%2F..").await.0, 404);
}

#[tokio::test]
async fn every_other_operation_answers_501() {
    let api = Api::start().await;
    for operation in fastvm_api::operations::ALL {
        if SERVED.contains(&operation.id) {
            continue;
        }
        let path = operation.path.replace(['{', '}'], "");
        let method = operation.method.parse().unwrap();
        let (status, refusal) = answer(api.request(method, &path)).await;
        let expected = format!("{} is not available on the local server yet", operation.id);
        assert_eq!((status, refusal), (501, json!({"error": expected})));
    }
}

#[tokio::test]
async fn bodies_that_are_not_as_expected_are_refused() {
    let api = Api::start().await;
    let post = |body: &str| api.request(Method::POST, "/v1/vms").body(body.to_owned());
    for (request, expected) in [
        (post("{"), "EOF"),
        (post(""), "EOF"),
        (post("[]"), "body"),
        (post("{} {}"), "trailing"),
        (post("{}").header(CONTENT_TYPE, "text/plain"), "text/plain"),
    ] {
        let (status, refusal) = answer(request).await;
        assert_eq!(status, 400);
        assert!(
            refusal["error"].as_str().unwrap().contains(expected),
            "{refusal}"
        );
    }
    let large = "x".repeat(16 * 1024 * 1024 + 1);
    assert_eq!(answer(post(&large)).await.0, 413);
    let chunked = reqwest::Body::wrap_stream(Chunks(17));
    assert_eq!(
        answer(api.request(Method::POST, "/v1/vms").body(chunked))
            .await
            .0,
        413
    );
}

/// So many MiB without a length.
struct Chunks(usize);

impl futures_core::Stream for Chunks {
    type Item = Result<Vec<u8>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let chunk = self.0.checked_sub(1).map(|left| {
            self.0 = left;
            Ok(vec![b'x'; 1024 * 1024])
        });
        std::task::Poll::Ready(chunk)
    }
}

#[tokio::test]
async fn a_buffered_exec_answers_once_with_all() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let body =
        json!({"command": ["sh", "-c", "cat; echo oops >&2; exit 3"], "stdin": encode("in\0put")});
    for accept in [None, Some("*/*"), Some("application/json")] {
        let mut request = api.request(Method::POST, &format!("{vm}/exec")).json(&body);
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        let (status, output) = answer(request).await;
        assert_eq!((status, &output["exitCode"]), (200, &json!(3)));
        assert_eq!(
            (&output["stdout"], &output["stderr"]),
            (&json!("in\0put"), &json!("oops\n"))
        );
        assert_eq!(output["timedOut"], false);
        assert!(output["durationMs"].is_i64());
    }
}

#[tokio::test]
async fn events_come_as_they_happen() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let line = "echo first; until [ -e /tmp/go ]; do sleep 0.01; done; echo second >&2; exit 7";
    let mut events = api
        .stream(&vm, json!({"command": ["sh", "-c", line]}))
        .await;
    let first = events.next().await.unwrap().unwrap();
    assert_eq!(first, json!({"t": "o", "d": encode("first\n")}));
    api.sh(&vm, "touch /tmp/go").await;
    let (stdout, stderr, exit) = events.rest().await;
    assert_eq!(
        (stdout.as_slice(), stderr.as_slice()),
        (&b""[..], &b"second\n"[..])
    );
    assert_eq!((&exit["c"], &exit["to"]), (&json!(7), &json!(false)));
    assert!(exit["ms"].is_i64() && exit.get("d").is_none());
}

#[tokio::test]
async fn a_command_is_killed_at_its_limit_with_all_it_started() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    let command = json!({"command": ["sh", "-c", format!("echo hi; sleep {seconds} & wait")], "timeoutSec": 1});
    let events = api.stream(&vm, command.clone()).await;
    let exec = format!("{vm}/exec");
    let buffered = api.post(&exec, command);
    let ((_, output), (stdout, _, exit)) = tokio::join!(buffered, events.rest());
    assert_eq!(
        (&output["exitCode"], &output["timedOut"], &output["stdout"]),
        (&json!(137), &json!(true), &json!("hi\n"))
    );
    assert_eq!(
        (&exit["c"], &exit["to"], stdout.as_slice()),
        (&json!(137), &json!(true), &b"hi\n"[..])
    );
    assert!(!is_running(&seconds));
}

#[tokio::test]
async fn a_buffered_exec_keeps_4_mib_and_a_stream_all() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let line = "yes xxäöü | head -c 6000000; yes | head -c 4194304 >&2";
    let output = api.sh(&vm, line).await;
    // The cap cuts a character of two bytes, which is left out.
    assert_eq!(
        output["stdout"].as_str().unwrap().len(),
        4 * 1024 * 1024 - 1
    );
    assert_eq!(output["stderr"].as_str().unwrap().len(), 4 * 1024 * 1024);
    assert_eq!(
        (&output["stdoutTruncated"], &output["stderrTruncated"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(output["exitCode"], 0);

    let (stdout, stderr, exit) = api
        .stream(&vm, json!({"command": ["sh", "-c", line]}))
        .await
        .rest()
        .await;
    assert_eq!(
        (stdout.len(), stderr.len(), &exit["c"]),
        (6_000_000, 4_194_304, &json!(0))
    );
    assert!(stdout.starts_with("xxäöü\nxxäöü\n".as_bytes()));
}

#[tokio::test]
async fn a_command_that_cannot_be_run_says_why() {
    let api = Api::start().await;
    let vm = api.vm().await;
    for (command, code) in [("nope", 127), ("/etc/passwd", 126)] {
        let (status, output) = api
            .post(&format!("{vm}/exec"), json!({"command": [command]}))
            .await;
        assert_eq!((status, &output["exitCode"]), (200, &json!(code)));
        assert!(output["stderr"].as_str().unwrap().contains(command));
        let (_, _, exit) = api
            .stream(&vm, json!({"command": [command]}))
            .await
            .rest()
            .await;
        assert_eq!(exit["c"], code);
        assert!(exit["d"].as_str().unwrap().contains(command));
    }
}

#[tokio::test]
async fn an_exec_that_makes_no_sense_is_refused() {
    let api = Api::start().await;
    let vm = api.vm().await;
    for (body, named) in [
        (json!({}), "command"),
        (json!({"command": []}), "command"),
        (json!({"command": ["", "x"]}), "command"),
        (json!({"command": "ls"}), "command"),
        (json!({"command": ["a\0b"]}), "command"),
        (json!({"command": ["cat"], "stdin": "no base64!"}), "stdin"),
        (json!({"command": ["cat"], "timeoutSec": 0}), "timeoutSec"),
        (json!({"command": ["cat"], "timeoutSec": 1.5}), "timeoutSec"),
    ] {
        let (status, refusal) = api.post(&format!("{vm}/exec"), body).await;
        assert_eq!(status, 400, "{refusal}");
        assert!(
            refusal["error"].as_str().unwrap().contains(named),
            "{refusal} does not name {named}"
        );
    }
}

#[tokio::test]
async fn a_command_outlives_its_client() {
    let api = Api::start().await;
    let vm = api.vm().await;
    // More than all buffers hold: it must not block on output that nobody reads.
    let line = |name: &str| format!("echo begun; yes | head -c 30000000; touch /root/{name}");
    let mut events = api
        .stream(&vm, json!({"command": ["sh", "-c", line("streamed")]}))
        .await;
    events.next().await.unwrap();
    drop(events);
    let buffered =
        json!({"command": ["sh", "-c", format!("touch /tmp/begun; {}", line("buffered"))]});
    let exec = format!("{vm}/exec");
    let given_up = async {
        eventually!(
            "it begins",
            api.sh(&vm, "test -e /tmp/begun").await["exitCode"] == 0
        );
    };
    tokio::select! {
        _ = api.post(&exec, buffered) => {}
        () = given_up => {}
    }
    for name in ["streamed", "buffered"] {
        eventually!(
            "it ends",
            api.sh(&vm, &format!("test -e /root/{name}")).await["exitCode"] == 0
        );
    }
}

#[tokio::test]
async fn a_slow_reader_gets_all() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let body = json!({"command": ["sh", "-c", "head -c 20000000 /dev/zero; touch /tmp/done"]});
    let events = api.stream(&vm, body).await;
    // The pipe, the channel and the sockets are full now, and the command waits for the reader.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(api.sh(&vm, "test -e /tmp/done").await["exitCode"], 1);
    let (stdout, _, exit) = events.rest().await;
    assert_eq!((stdout.len(), &exit["c"]), (20_000_000, &json!(0)));
}

#[tokio::test]
async fn a_background_process_does_not_hold_up_the_answer() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    let begin = Instant::now();
    let output = api
        .sh(&vm, &format!("sleep {seconds} & yes & echo hi"))
        .await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(output["stdout"].as_str().unwrap().contains("hi\n"));
    assert!(is_running(&seconds));
}

#[tokio::test]
async fn a_stream_is_cut_when_its_vm_is_deleted() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let command = json!({"command": ["sh", "-c", "echo hi; sleep 9999"]});
    let mut events = api.stream(&vm, command.clone()).await;
    events.next().await.unwrap().unwrap();
    let path = format!("{vm}/exec");
    let (cut, (status, _), _) = tokio::join!(events.next(), api.post(&path, command), async {
        eventually!("both run", api.sh(&vm, "[ $(pgrep -c -x sleep) = 2 ] || [ $(cat /proc/[0-9]*/comm | grep -c '^sleep$') -ge 2 ]").await["exitCode"] == 0);
        api.delete(&vm).await
    });
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(status, 502);
}

#[tokio::test]
async fn a_vm_that_dies_by_itself_is_stopped_and_cuts_its_streams() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    let line = format!("echo hi; sleep {seconds}");
    let mut events = api
        .stream(&vm, json!({"command": ["sh", "-c", line]}))
        .await;
    events.next().await.unwrap().unwrap();
    eventually!("it runs", is_running(&seconds));
    kill(first_process_beside(&seconds), Signal::SIGKILL).unwrap();
    assert!(events.next().await.is_err());
    assert!(!is_running(&seconds));
    eventually!("it is seen", api.status_of(&vm).await == "stopped");
    let (status, _) = api
        .post(&format!("{vm}/exec"), json!({"command": ["true"]}))
        .await;
    assert_eq!(status, 409);
    assert_eq!(api.delete(&vm).await.0, 200);
}

/// Process 1 of the VM in which a process with this argument runs, by its number on the host.
fn first_process_beside(argument: &str) -> Pid {
    let of = |pid: i32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let processes = || {
        let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
    };
    let beside = processes().find(|pid| {
        of(*pid, "cmdline").is_ok_and(|line| line.split('\0').any(|found| found == argument))
    });
    let vm = namespace(beside.expect("it runs")).expect("it can be looked at");
    let first = processes().find(|pid| {
        let is_first = |status: String| {
            let numbers = status.lines().find(|line| line.starts_with("NSpid:"));
            numbers.is_some_and(|numbers| numbers.split_whitespace().last() == Some("1"))
        };
        namespace(*pid).as_ref() == Some(&vm) && of(*pid, "status").is_ok_and(is_first)
    });
    Pid::from_raw(first.expect("a VM has a process 1"))
}

#[tokio::test]
async fn a_file_goes_up_into_the_vm_and_back() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    assert!(!upload.contains('\'') && !download.contains('\''));
    assert_eq!(api.put(&upload, "some bytes").await, 200);
    assert_eq!(
        api.http
            .get(&download)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "some bytes"
    );

    let path = "/root/new folder/it's [a] {file} -ä";
    let (status, fetched) = api
        .post(
            &format!("{vm}/files/fetch"),
            json!({"url": download, "path": path}),
        )
        .await;
    assert_eq!(
        (status, &fetched["exitCode"]),
        (200, &json!(0)),
        "{fetched}"
    );
    let (_, output) = api
        .post(&format!("{vm}/exec"), json!({"command": ["cat", path]}))
        .await;
    assert_eq!(output["stdout"], "some bytes");

    let (upload, download) = api.presign(&vm).await;
    for line in [
        format!("curl -sSf -T '/root/big' '{upload}'"),
        format!("cat /root/big | curl -sSf -T - '{upload}'"),
    ] {
        let output = api
            .sh(
                &vm,
                &format!("head -c 5000000 /dev/urandom > /root/big; {line} && cksum < /root/big"),
            )
            .await;
        assert_eq!(output["exitCode"], 0, "{output}");
        let back = api
            .http
            .get(&download)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(back.len(), 5_000_000);
    }
    assert_eq!(api.put(&upload, "").await, 200);
    let (_, fetched) = api
        .post(
            &format!("{vm}/files/fetch"),
            json!({"url": download, "path": "/root/empty"}),
        )
        .await;
    assert_eq!(fetched["exitCode"], 0);
    assert_eq!(
        api.sh(&vm, "test -f /root/empty && ! test -s /root/empty")
            .await["exitCode"],
        0
    );
}

#[tokio::test]
async fn downloads_know_ranges_and_tags() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    api.put(&upload, "0123456789").await;
    let get = || api.http.get(&download);
    let whole = get().send().await.unwrap();
    assert_eq!(whole.content_length(), Some(10));
    assert_eq!(whole.headers()[CONTENT_TYPE], "application/octet-stream");
    let tag = whole.headers()[ETAG].clone();

    let part = get()
        .header(RANGE, "bytes=4-")
        .header("If-Range", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (part.status(), &part.headers()["content-range"]),
        (
            StatusCode::PARTIAL_CONTENT,
            &"bytes 4-9/10".parse().unwrap()
        )
    );
    assert_eq!(part.text().await.unwrap(), "456789");
    assert_eq!(
        get()
            .header(RANGE, "bytes=10-")
            .send()
            .await
            .unwrap()
            .status(),
        416
    );
    assert_eq!(
        get()
            .header(IF_NONE_MATCH, &tag)
            .send()
            .await
            .unwrap()
            .status(),
        304
    );

    api.put(&upload, "abcdefghij").await;
    let changed = get()
        .header(RANGE, "bytes=4-")
        .header("If-Range", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (changed.status(), changed.text().await.unwrap().as_str()),
        (StatusCode::OK, "abcdefghij")
    );
}

#[tokio::test]
async fn storage_is_bound_to_method_object_and_time() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let status = async |method: Method, url: &str| {
        let response = api
            .http
            .request(method, url)
            .body("x")
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        assert!(response.json::<Value>().await.unwrap()["error"].is_string());
        status
    };
    assert_eq!(status(Method::GET, &download).await, 404);
    assert_eq!(status(Method::PUT, &download).await, 403);
    assert_eq!(status(Method::GET, &upload).await, 403);
    assert_eq!(
        status(Method::PUT, &upload.replace("method=PUT", "method=GET")).await,
        403
    );
    assert_eq!(
        status(Method::PUT, &upload.replace("expires=1", "expires=2")).await,
        403
    );
    assert_eq!(
        status(Method::PUT, &upload.replace("sig=", "sig=A")).await,
        403
    );
    assert_eq!(
        status(Method::PUT, upload.split('?').next().unwrap()).await,
        403
    );
    let (_, other) = api.presign(&vm).await;
    let (object, query) = (
        other.split('?').next().unwrap(),
        download.split('?').nth(1).unwrap(),
    );
    assert_eq!(status(Method::GET, &format!("{object}?{query}")).await, 403);
    assert_eq!(status(Method::POST, &upload).await, 405);
    assert_eq!(
        status(Method::GET, &download).await,
        404,
        "none of these has stored anything"
    );

    let brief = Api::of(
        Server::builder()
            .url_lifetime(Duration::from_millis(1))
            .start()
            .await
            .unwrap(),
    );
    let vm = brief.vm().await;
    let (upload, download) = brief.presign(&vm).await;
    eventually!("it expires", brief.put(&upload, "x").await == 403);
    let (status, refusal) = brief
        .post(
            &format!("{vm}/files/fetch"),
            json!({"url": download, "path": "/x"}),
        )
        .await;
    assert_eq!((status, refusal), (400, json!({"error": "url: expired"})));
}

#[tokio::test]
async fn an_upload_beyond_the_disk_is_refused_and_a_cut_one_leaves_nothing() {
    let state = tempfile::tempdir().unwrap();
    let api = Api::of(
        Server::builder()
            .state_dir(state.path())
            .start()
            .await
            .unwrap(),
    );
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let target = upload.strip_prefix(api.server.base_url()).unwrap();
    let head = |length: u64| {
        format!(
            "PUT {target} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };

    let mut socket = TcpStream::connect(api.server.address()).unwrap();
    let refused = tokio::task::spawn_blocking({
        let head = head(1024 * 1024 * 1024 + 1);
        move || {
            socket.write_all(head.as_bytes()).unwrap();
            let mut line = String::new();
            BufReader::new(socket).read_line(&mut line).unwrap();
            line
        }
    });
    assert_eq!(refused.await.unwrap(), "HTTP/1.1 413 Payload Too Large\r\n");

    let mut socket = TcpStream::connect(api.server.address()).unwrap();
    socket
        .write_all(format!("{}0123456789", head(20)).as_bytes())
        .unwrap();
    eventually!("the upload begins", !objects(state.path()).is_empty());
    drop(socket);
    eventually!("the rest is removed", objects(state.path()).is_empty());
    assert_eq!(api.http.get(&download).send().await.unwrap().status(), 404);

    api.put(&upload, "x").await;
    assert_eq!(objects(state.path()).len(), 1);
    api.delete(&vm).await;
    eventually!("objects go with their VM", objects(state.path()).is_empty());
    assert_eq!(api.http.get(&download).send().await.unwrap().status(), 404);
    assert_eq!(api.put(&upload, "x").await, 404);
}

/// The objects in a state directory, finished or not.
fn objects(state: &Path) -> Vec<std::path::PathBuf> {
    let entries = |folder: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect()
    };
    let servers = entries(state).into_iter();
    let of_vms = servers.flat_map(|server| entries(&server.join("vms/.objects")));
    of_vms.flat_map(|folder| entries(&folder)).collect()
}

#[tokio::test]
async fn a_fetch_takes_only_what_it_should() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    let fetch = async |url: &str, path: &str| {
        api.post(
            &format!("{vm}/files/fetch"),
            json!({"url": url, "path": path}),
        )
        .await
    };
    for url in [
        "http://example.org/x",
        &upload,
        &download.replace("sig=", "sig=A"),
        &download.replace("127.0.0.1", "localhost"),
    ] {
        assert_eq!(
            fetch(url, "/root/x").await,
            (
                400,
                json!({"error": "url: not a downloadUrl of this server"})
            )
        );
    }
    assert_eq!(
        fetch(&download, "root/x").await,
        (400, json!({"error": "path: not absolute"}))
    );
    let (status, missing) = fetch(&download, "/root/x").await;
    assert_eq!(status, 200);
    assert_ne!(missing["exitCode"], 0);
    assert!(
        missing["stderr"].as_str().unwrap().contains("404"),
        "{missing}"
    );
    assert_eq!(api.sh(&vm, "test -e /root/x").await["exitCode"], 1);
    let body = json!({"url": download, "path": "/x", "timeoutSec": -1});
    assert_eq!(api.post(&format!("{vm}/files/fetch"), body).await.0, 400);
}

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
    entries.filter(|entry| entry.file_name() != "lock").count()
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
