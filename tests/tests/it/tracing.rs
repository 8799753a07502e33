//! What a program that listens to `tracing` learns of its calls.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastvm::{Client, RetryPolicy};
use fastvm_tests::{Reply, Stub, World};
use tracing::Span;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::calls::VM;

/// All that is told on this thread while it lives, as lines of text.
pub(crate) struct Listener {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Listener {
    pub(crate) fn start() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::CLOSE)
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        Self {
            lines,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.0.lock().unwrap()).into_owned()
    }

    /// The one line with this in it.
    fn line(&self, part: &str) -> String {
        let text = self.text();
        let found: Vec<_> = text.lines().filter(|line| line.contains(part)).collect();
        assert_eq!(found.len(), 1, "{part:?} in {text}");
        found[0].to_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn builder(stub: &Stub) -> fastvm::ClientBuilder {
    Client::builder().api_key("k").base_url(stub.base_url())
}

#[track_caller]
fn assert_parts(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
}

#[tokio::test]
async fn a_call_is_a_span_and_each_repeat_an_event_in_it() {
    let stub = Stub::start([
        Reply::json(503, r#"{"error":"busy"}"#).header("retry-after-ms", "7"),
        Reply::json(200, VM),
    ])
    .await;
    let client = builder(&stub).build().unwrap();
    let listener = Listener::start();
    client.vms().retrieve("vm-1").await.unwrap();
    let repeat = listener.line("will be repeated");
    assert_parts(
        &repeat,
        &["INFO", "fastvm", r#"call{operation="getVm" vm_id="vm-1"}"#],
    );
    assert_parts(&repeat, &["attempt=1", "pause_ms=7.0", "503", "busy"]);
    let close = listener.line("close");
    assert_parts(
        &close,
        &[
            r#"operation="getVm" vm_id="vm-1""#,
            "status=200",
            "attempts=2",
        ],
    );
    assert_parts(&close, &["duration_ms="]);
    assert!(!close.contains("error="), "{close}");
}

#[tokio::test]
async fn the_span_of_a_failed_call_says_how_it_failed() {
    let stub = Stub::start([Reply::json(404, r#"{"error":"no such volume"}"#)]).await;
    let client = builder(&stub).build().unwrap();
    let listener = Listener::start();
    client.volumes().retrieve("v").await.unwrap_err();
    assert_parts(&listener.line("failed"), &["DEBUG", "no such volume"]);
    let close = listener.line("close");
    assert_parts(
        &close,
        &[
            "status=404",
            "attempts=1",
            "error=Status",
            "outcome=Rejected",
        ],
    );
    assert!(!close.contains("vm_id"), "{close}");
}

#[tokio::test]
async fn a_call_without_an_answer_has_a_span_without_a_status() {
    let stub = Stub::start([Reply::Close]).await;
    let client = builder(&stub).build().unwrap();
    let listener = Listener::start();
    let run = client.vms().run("vm-1", "true").idle_check(None);
    run.await.unwrap_err();
    let close = listener.line("close");
    assert_parts(
        &close,
        &[
            r#"operation="execVm""#,
            "error=Connection",
            "outcome=Unknown",
        ],
    );
    assert!(!close.contains("status="), "{close}");
}

#[tokio::test]
async fn a_spent_budget_for_repeats_is_a_warning() {
    let stub = Stub::start([Reply::json(503, "{}")]).await;
    let mut retries = RetryPolicy::default();
    retries.budget = 1;
    retries.first_backoff = Duration::from_millis(1);
    let client = builder(&stub).retry(retries).build().unwrap();
    let listener = Listener::start();
    client.vms().list().await.unwrap_err();
    assert_parts(&listener.line("WARN"), &["attempt=2", "budget"]);
}

#[tokio::test]
async fn a_traceparent_is_made_once_per_call_in_its_span_and_sent_with_each_attempt() {
    let stub = Stub::start([
        Reply::json(503, "{}").header("retry-after", "0"),
        Reply::json(200, "[]"),
    ])
    .await;
    let count = AtomicUsize::new(0);
    let client = builder(&stub).traceparent(move || {
        let span = Span::current();
        let name = span.metadata().map_or("no span", |span| span.name());
        Some(format!("{name}-{}", count.fetch_add(1, Ordering::Relaxed)))
    });
    let client = client.build().unwrap();
    let _listener = Listener::start();
    client.vms().list().await.unwrap();
    client.vms().list().await.unwrap();
    client
        .vms()
        .list()
        .header("traceparent", "mine")
        .await
        .unwrap();
    let seen = stub.requests();
    let sent: Vec<_> = seen.iter().map(|it| it.header("traceparent")).collect();
    assert_eq!(
        sent,
        [Some("call-0"), Some("call-0"), Some("call-1"), Some("mine")]
    );
}

#[tokio::test]
async fn a_traceparent_that_is_none_or_no_header_is_left_out() {
    let stub = Stub::start([Reply::json(200, "[]")]).await;
    for parent in [None, Some("a\nb".to_owned())] {
        let client = builder(&stub).traceparent(move || parent.clone()).build();
        client.unwrap().vms().list().await.unwrap();
    }
    assert!(
        stub.requests()
            .iter()
            .all(|it| it.header("traceparent").is_none())
    );
}

#[tokio::test]
async fn a_transfer_is_a_span_per_request_without_its_signed_url() {
    let world = World::start().await;
    let client = Client::builder()
        .api_key(world.server.api_key())
        .base_url(world.server.base_url())
        .build()
        .unwrap();
    let vm = client.vms().launch("c1m2").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    std::fs::write(&file, "hello").unwrap();
    let listener = Listener::start();
    vm.upload(&file, "/root/a").await.unwrap();
    let text = listener.text();
    assert_parts(
        &text,
        &[
            r#"operation="presignFile""#,
            r#"operation="upload to storage""#,
        ],
    );
    assert!(!text.contains("://"), "{text}");
}
