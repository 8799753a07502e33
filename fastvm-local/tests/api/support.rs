//! A server to test, a client to test it with, and what else several tests use.

use fastvm_local::Server;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

pub(crate) const NDJSON: &str = "application/x-ndjson";

pub(crate) struct Api {
    pub(crate) server: Server,
    pub(crate) http: reqwest::Client,
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::of(Server::start().await.unwrap())
    }

    pub(crate) fn of(server: Server) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, http }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.server.base_url());
        self.http
            .request(method, url)
            .header("X-API-Key", self.server.api_key())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn put_json(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::DELETE, path)).await
    }

    /// Launches a VM; gives its path.
    pub(crate) async fn launch(&self, body: Value) -> String {
        let (status, vm) = self.post("/v1/vms", body).await;
        assert!(matches!(status, 201 | 202), "{status} {vm}");
        format!("/v1/vms/{}", vm["id"].as_str().unwrap())
    }

    pub(crate) async fn vm(&self) -> String {
        self.launch(json!({"machineType": "c1m2", "diskGiB": 1}))
            .await
    }

    pub(crate) async fn sh(&self, vm: &str, line: &str) -> Value {
        let (status, output) = self
            .post(
                &format!("{vm}/exec"),
                json!({"command": ["sh", "-c", line]}),
            )
            .await;
        assert_eq!(status, 200, "{output}");
        output
    }

    pub(crate) async fn stream(&self, vm: &str, body: Value) -> Events {
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

    pub(crate) async fn presign(&self, vm: &str) -> (String, String) {
        let (status, signed) = self
            .post(&format!("{vm}/files/presign"), json!({"path": "/x"}))
            .await;
        assert_eq!(status, 200, "{signed}");
        let url = |name: &str| signed[name].as_str().unwrap().to_owned();
        (url("uploadUrl"), url("downloadUrl"))
    }

    pub(crate) async fn put(&self, url: &str, body: impl Into<reqwest::Body>) -> u16 {
        self.http
            .put(url)
            .body(body)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    pub(crate) async fn status_of(&self, vm: &str) -> Value {
        self.get(vm).await.1["status"].clone()
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The lines of a stream, one after the other.
pub(crate) struct Events {
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl Events {
    /// `None` at the orderly end, an error if the connection is cut.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, reqwest::Error> {
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
    pub(crate) async fn rest(mut self) -> (Vec<u8>, Vec<u8>, Value) {
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

pub(crate) fn decode(event: &Value) -> Vec<u8> {
    base64_simd::STANDARD
        .decode_to_vec(event["d"].as_str().unwrap())
        .unwrap()
}

pub(crate) fn encode(text: &str) -> String {
    base64_simd::STANDARD.encode_to_string(text)
}

/// Waits for a condition; fails after ten seconds.
macro_rules! eventually {
    ($what:literal, $condition:expr) => {
        let begin = std::time::Instant::now();
        while !$condition {
            assert!(
                begin.elapsed() < std::time::Duration::from_secs(10),
                "never happened: {}",
                $what
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
}
pub(crate) use eventually;

/// Whether a process on this machine was started with this argument.
pub(crate) fn is_running(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut command_lines =
        processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    command_lines.any(|line| {
        line.split(|byte| *byte == 0)
            .any(|found| found == argument.as_bytes())
    })
}

/// An argument for `sleep` that no other test has.
pub(crate) fn unique_seconds() -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("9999.{}{number:04}", std::process::id())
}
