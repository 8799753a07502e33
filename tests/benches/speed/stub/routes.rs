//! Which request gets which answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

use super::answers::{Answer, output};
use super::vms::{Vms, made};
use crate::Report;

/// A request, as far as it matters.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) key: String,
    pub(super) wants_stream: bool,
    /// Its length is not known beforehand.
    pub(super) is_chunked: bool,
    pub(super) body: Bytes,
    pub(super) length: u64,
}

#[derive(Debug)]
pub(super) struct Stub {
    key: String,
    base_url: String,
    vms: Vms,
    /// By what was asked.
    answers: Mutex<HashMap<String, Arc<Answer>>>,
    connections: AtomicU64,
    stored: AtomicU64,
}

impl Stub {
    pub(super) fn new(key: String, base_url: String) -> Self {
        Self {
            key,
            base_url,
            vms: Vms::new(),
            answers: Mutex::default(),
            connections: AtomicU64::new(0),
            stored: AtomicU64::new(0),
        }
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn take_counts(&self) -> Report {
        let (polls, polls_in_a_second) = self.vms.take_polls();
        crate::report([
            ("connections", self.connections.swap(0, Relaxed) as f64),
            ("stored", self.stored.swap(0, Relaxed) as f64),
            ("polls", polls as f64),
            ("polls_in_a_second", polls_in_a_second as f64),
        ])
    }

    /// Whether the answer depends on the body.
    pub(super) fn keeps_body(&self, request: &Request) -> bool {
        let path = &request.path;
        // An archive is read again. Of a file, which may be larger than memory, the length is.
        path.starts_with("/v1/vms") || path.starts_with("/storage/disk/") && request.is_chunked
    }

    pub(super) async fn answer(&self, request: Request) -> Arc<Answer> {
        if let Some(object) = request.path.strip_prefix("/storage/") {
            return self.storage(object, &request);
        }
        if request.key != self.key {
            return refused(401, "the key is another");
        }
        let path = request.path.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (&*request.method, &segments[..]) {
            ("GET", ["healthz"]) => shown(&json!({ "status": "ok" })),
            ("POST", ["v1", "vms"]) => shown(&self.vms.launch(&request.body)),
            ("GET", ["v1", "vms"]) => match request.path.split_once("?metadata.count=") {
                // So many VMs, for the cost of a list.
                Some((_, count)) => self.list(&request.path, count),
                None => shown(&self.vms.all()),
            },
            ("GET", ["v1", "vms", id]) => match self.vms.one(id) {
                Some(vm) => shown(&vm),
                None => shown(&made(id, "running", &json!({}))),
            },
            ("DELETE", ["v1", "vms", id]) => shown(&json!({ "id": id, "deleted": true })),
            ("POST", ["v1", "vms", "disk", "exec"]) => self.executed(&request.body).await,
            ("POST", ["v1", "vms", id, "exec"]) => self.command(id, request.wants_stream),
            ("POST", ["v1", "vms", id, "files", "presign"]) => self.presigned(id, &request.body),
            ("POST", ["v1", "vms", _, "files", "fetch"]) => self.command("sink", false),
            _ => refused(404, "there is no such thing here"),
        }
    }

    fn storage(&self, object: &str, request: &Request) -> Arc<Answer> {
        if request.method != "PUT" {
            let found = self.known(object);
            return found.unwrap_or_else(|| refused(404, "there is no such object"));
        }
        self.stored.fetch_add(request.length, Relaxed);
        let answer = match request.body.is_empty() {
            true => Answer::object(request.length),
            false => Answer::stored(vec![(request.body.clone(), 1)]),
        };
        self.remember(object.to_owned(), answer);
        Arc::new(Answer::json(200, ""))
    }

    fn presigned(&self, vm: &str, body: &[u8]) -> Arc<Answer> {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let path = request["path"].as_str().unwrap_or_default();
        let url = format!("{}/storage/{vm}/{}", self.base_url, crate::hex(path));
        shown(&json!({
            "uploadUrl": url, "downloadUrl": url, "expiresInSec": 900, "maxUploadBytes": 1_u64 << 50,
        }))
    }

    fn command(&self, vm: &str, is_streamed: bool) -> Arc<Answer> {
        let name = format!("{vm} {is_streamed}");
        if let Some(known) = self.known(&name) {
            return known;
        }
        match Answer::of_command(vm, is_streamed) {
            Some(answer) => self.remember(name, answer),
            None => refused(404, "there is no such VM"),
        }
    }

    /// What a download has its VM do is done on this machine, once.
    async fn executed(&self, body: &Bytes) -> Arc<Answer> {
        let name = String::from_utf8_lossy(body).into_owned();
        if let Some(known) = self.known(&name) {
            return known;
        }
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let words: Vec<_> = request["command"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        let words: Vec<_> = words.into_iter().filter_map(Value::as_str).collect();
        let Some((program, arguments)) = words.split_first() else {
            return refused(400, "there is no command");
        };
        let done = tokio::process::Command::new(program)
            .args(arguments)
            .output();
        match done.await {
            Ok(done) => {
                let stdout = String::from_utf8_lossy(&done.stdout);
                self.remember(name, Answer::json(200, output(&stdout)))
            }
            Err(error) => refused(500, &error.to_string()),
        }
    }

    fn list(&self, path: &str, count: &str) -> Arc<Answer> {
        if let Some(known) = self.known(path) {
            return known;
        }
        let count = count.parse().unwrap_or(0);
        let vm = |index: u64| made(&format!("vm-{index}"), "running", &json!({}));
        let all: Value = (0..count).map(vm).collect();
        self.remember(path.to_owned(), Answer::json(200, all.to_string()))
    }

    fn known(&self, name: &str) -> Option<Arc<Answer>> {
        self.answers().get(name).cloned()
    }

    fn remember(&self, name: String, answer: Answer) -> Arc<Answer> {
        let answer = Arc::new(answer);
        self.answers().insert(name, Arc::clone(&answer));
        answer
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<String, Arc<Answer>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(value: &Value) -> Arc<Answer> {
    Arc::new(Answer::json(200, value.to_string()))
}

fn refused(status: u16, why: &str) -> Arc<Answer> {
    Arc::new(Answer::json(status, json!({ "error": why }).to_string()))
}
