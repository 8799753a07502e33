//! Nothing takes longer than is said of it, by default: a service that goes silent in the middle of
//! whatever is being done. The clock is the runtime's own and jumps over what is only waited for, so
//! that the limits are those that users get. What a silent network does is in `bad_network`.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastvm::{Client, ErrorKind, Sending, Transport};
use fastvm_api::CallInfo;
use futures_util::stream;
use reqwest::Body;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::calls::{OUTPUT, VM};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What the service does with a request.
enum Says {
    Nothing,
    This(u16, String),
    /// The body begins so and does not go on.
    Begins(u16, String),
}

use Says::{Begins, Nothing, This};

struct Service<F>(F);

impl<F> fmt::Debug for Service<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl<F: Fn(&str, &Value) -> Says + Send + Sync + 'static> Transport for Service<F> {
    fn send<'a>(&'a self, request: reqwest::Request, _: &'a CallInfo) -> Sending<'a> {
        let line = format!("{} {}", request.method(), request.url().path());
        let body = request.body().and_then(Body::as_bytes).unwrap_or_default();
        let body = serde_json::from_slice(body).unwrap_or_default();
        let (status, body) = match (self.0)(&line, &body) {
            Nothing => return Box::pin(std::future::pending()),
            This(status, body) => (status, Body::from(body)),
            Begins(status, body) => {
                let piece = stream::iter([Ok::<_, std::io::Error>(body)]);
                let endless = futures_util::StreamExt::chain(piece, stream::pending());
                (status, Body::wrap_stream(endless))
            }
        };
        let answer = http::Response::builder().status(status).body(body);
        Box::pin(async { Ok(answer.unwrap().into()) })
    }
}

/// A client as it is by default, of a service that does this.
fn client(service: impl Fn(&str, &Value) -> Says + Send + Sync + 'static) -> Client {
    let builder = Client::builder().base_url("http://api.test");
    builder.transport(Service(service)).build().unwrap()
}

/// Fails unless so much time has passed: not less than the limit, and no more than a pause beyond.
#[track_caller]
fn took(begin: Instant, least: Duration, most: Duration) {
    let time = begin.elapsed();
    assert!(
        time >= least && time <= most,
        "{time:?}, not {least:?} to {most:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_takes_a_minute_and_a_call_three_attempts_if_it_may_be_repeated() {
    let client = client(|_, _| Nothing);
    let begin = Instant::now();
    let error = client.vms().list().await.unwrap_err();
    assert!(error.is_timeout() && error.attempts() == 3, "{error:?}");
    took(begin, 3 * MINUTE, 3 * MINUTE + 2 * SECOND);
    let begin = Instant::now();
    let error = client.volumes().create("n", 1, "rw").await.unwrap_err();
    assert!(error.is_timeout() && error.attempts() == 1, "{error:?}");
    took(begin, MINUTE, MINUTE + SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_counts_as_an_answer_that_does_not_come() {
    let client = client(|_, _| Begins(200, "[".to_owned()));
    let begin = Instant::now();
    let error = client.vms().list().max_retries(0).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    took(begin, MINUTE, MINUTE + SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_says_so_though_the_body_of_the_error_does_not_come() {
    let client = client(|_, _| Begins(409, r#"{"err"#.to_owned()));
    let vms = client.vms();
    let begin = Instant::now();
    for error in [
        vms.stream("vm-1", "true").await.unwrap_err(),
        vms.run("vm-1", "true").await.unwrap_err(),
        vms.pause("vm-1").await.unwrap_err(),
    ] {
        assert!(error.is_conflict(), "{error:?}");
        assert_eq!(error.attempts(), 1);
    }
    took(begin, Duration::ZERO, 3 * (10 * SECOND + SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_launch_is_waited_for_for_five_minutes_and_then_deleted_for_half_a_minute() {
    let client = client(|line, _| match line.starts_with("DELETE") {
        true => Nothing,
        false => This(200, VM.replace("running", "provisioning")),
    });
    let begin = Instant::now();
    let error = client.vms().launch("c1m2").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
    // The last attempt to delete may begin just before the end.
    took(begin, 5 * MINUTE, 5 * MINUTE + 30 * SECOND + 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_lost_launch_is_looked_for_for_45_seconds_at_most() {
    let client = client(|_, _| Nothing);
    let begin = Instant::now();
    let error = client.vms().launch("c1m2").await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    took(begin, MINUTE, MINUTE + 45 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_and_a_volume_are_waited_for_for_five_minutes() {
    let client = client(|line, _| {
        let made = json!({
            "id": "x", "orgId": "o", "vmId": "vm-1", "name": "n", "status": "creating",
            "createdAt": "2026-01-01T00:00:00Z", "sizeGiB": 1, "pendingSizeGiB": 0,
            "accessMode": "rw", "mountedCount": 0,
        });
        match line {
            "GET /v1/vms/vm-1" => This(200, VM.to_owned()),
            _ => This(200, made.to_string()),
        }
    });
    let vm = client.vms().retrieve("vm-1").await.unwrap();
    let begin = Instant::now();
    let error = vm.snapshot("n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
    took(begin, 5 * MINUTE, 5 * MINUTE + SECOND);
    let begin = Instant::now();
    let error = client.volumes().wait_until_ready("x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
    took(begin, 5 * MINUTE, 5 * MINUTE + SECOND);
}

/// A service whose VM lives for so long, and whose commands say nothing.
fn silent_until(dies: Instant) -> Client {
    client(move |line, _| match line {
        "GET /v1/vms/vm-1" if Instant::now() < dies => This(200, VM.to_owned()),
        "GET /v1/vms/vm-1" => This(200, VM.replace("running", "stopped")),
        _ => Nothing,
    })
}

#[tokio::test(start_paused = true)]
async fn a_silent_vm_is_asked_about_after_15_seconds_of_a_stream_and_30_of_a_run() {
    let client = silent_until(Instant::now());
    let begin = Instant::now();
    let stream = client.vms().stream("vm-1", "true").await;
    assert_eq!(stream.unwrap_err().kind(), ErrorKind::Gone);
    took(begin, 15 * SECOND, 16 * SECOND);
    let begin = Instant::now();
    let run = client.vms().run("vm-1", "true").await;
    assert_eq!(run.unwrap_err().kind(), ErrorKind::Gone);
    took(begin, 30 * SECOND, 31 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_dies_after_an_hour_of_silence_is_noticed_within_a_minute() {
    let hour = 60 * MINUTE;
    let begin = Instant::now();
    let client = silent_until(begin + hour);
    let stream = async { client.vms().stream("vm-1", "true").await.err() };
    let run = async { client.vms().run("vm-1", "true").await.err() };
    let (stream, run) = tokio::join!(stream, run);
    for error in [stream, run] {
        assert_eq!(error.unwrap().kind(), ErrorKind::Gone);
    }
    took(begin, hour, hour + MINUTE);
}

#[tokio::test(start_paused = true)]
async fn storage_that_does_nothing_is_given_up_after_a_minute_and_tried_thrice() {
    let urls = r#"{"uploadUrl":"http://store.test/put","downloadUrl":"http://store.test/get","expiresInSec":900,"maxUploadBytes":1000000}"#;
    let sent = OUTPUT.replace(r#""stdout":"""#, r#""stdout":"is file\nsent 4\ncurl 0\n""#);
    let client = client(move |line, _| match line {
        line if line.ends_with("/presign") => This(200, urls.to_owned()),
        line if line.ends_with("/exec") => This(200, sent.clone()),
        _ => Nothing,
    });
    let begin = Instant::now();
    let error = client.upload_bytes("vm-1", "data", "/x").await.unwrap_err();
    assert!(error.is_timeout() && error.attempts() == 3, "{error:?}");
    took(begin, 3 * MINUTE, 3 * MINUTE + 2 * SECOND);
    let begin = Instant::now();
    let error = client.download_bytes("vm-1", "/x").await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    took(begin, 3 * MINUTE, 3 * MINUTE + 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_upload_has_staged_is_removed_for_half_a_minute_at_most() {
    let urls = r#"{"uploadUrl":"http://store.test/put","downloadUrl":"http://store.test/get","expiresInSec":900,"maxUploadBytes":1000000}"#;
    let failed = OUTPUT.replace(r#""exitCode":0"#, r#""exitCode":23"#);
    let client = client(move |line, _| match line {
        line if line.ends_with("/presign") => This(200, urls.to_owned()),
        line if line.ends_with("/fetch") => This(200, failed.clone()),
        "PUT /put" => This(200, String::new()),
        "GET /v1/vms/vm-1" => This(200, VM.to_owned()),
        _ => Nothing,
    });
    let begin = Instant::now();
    let error = client.upload_bytes("vm-1", "data", "/x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transfer, "{error:?}");
    took(begin, Duration::ZERO, 31 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_a_step_makes_whose_answer_is_lost_is_removed_when_its_time_is_over_at_the_latest() {
    let urls = r#"{"uploadUrl":"http://store.test/put","downloadUrl":"http://store.test/get","expiresInSec":900,"maxUploadBytes":1000000}"#;
    let begin = Instant::now();
    let removals = Arc::new(Mutex::new(Vec::new()));
    let client = client({
        let removals = removals.clone();
        move |line, body| match line {
            line if line.ends_with("/presign") => This(200, urls.to_owned()),
            line if line.ends_with("/fetch") => This(502, String::new()),
            "PUT /put" => This(200, String::new()),
            "GET /v1/vms/vm-1" => This(200, VM.to_owned()),
            _ if body["command"][0] == "rm" => {
                removals.lock().unwrap().push(begin.elapsed().as_secs());
                This(200, OUTPUT.to_owned())
            }
            _ => Nothing,
        }
    });
    let upload = client.upload_bytes("vm-1", "data", "/x");
    let upload = upload.exec_timeout(MINUTE).fetch_timeout(3 * MINUTE);
    let error = upload.await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(502));
    took(begin, Duration::ZERO, SECOND);
    assert_eq!(*removals.lock().unwrap(), [0]);
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(*removals.lock().unwrap(), [0, 5, 5 + 180]);
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_gets_no_answer_is_given_up_after_a_minute() {
    let client = client(|line, body| {
        let command = body["command"].as_array().cloned().unwrap_or_default();
        match line {
            "GET /v1/vms/vm-1" => This(200, VM.to_owned()),
            // The report of a start: the tag that the script was given, the process and its time.
            _ if command.iter().any(|arg| arg == "sleep") => {
                let tag = command[4].as_str().unwrap();
                let report = base64_simd::STANDARD.encode_to_string(format!("{tag} 7 1\n"));
                Begins(200, format!("{{\"t\":\"e\",\"d\":\"{report}\"}}\n"))
            }
            _ => Nothing,
        }
    });
    let vm = client.vms().retrieve("vm-1").await.unwrap();
    let mut child = vm.command("sleep").arg("600").spawn().await.unwrap();
    assert_eq!(child.id(), Some(7));
    let begin = Instant::now();
    let error = child.kill().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    took(begin, MINUTE, MINUTE + SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_port_is_waited_for_for_a_minute_and_a_console_opened_within_one() {
    let client = client(|line, _| match line {
        "GET /v1/vms/vm-1" => This(200, VM.to_owned()),
        line if line.ends_with("/console-token") => This(
            200,
            r#"{"token":"t","expiresInSec":60,"websocketPath":"/socket"}"#.to_owned(),
        ),
        _ => Nothing,
    });
    let vm = client.vms().retrieve("vm-1").await.unwrap();
    let begin = Instant::now();
    let error = vm.wait_for_port(8080).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
    took(begin, MINUTE, MINUTE + SECOND);
    let begin = Instant::now();
    let error = vm.console().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    took(begin, MINUTE, MINUTE + SECOND);
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_given_up_after_five_seconds() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full, those who knock get no answer.
    let knock = || timeout(Duration::from_millis(500), TcpStream::connect(address));
    let mut queue = Vec::new();
    while let Ok(queued) = knock().await {
        queue.push(queued.unwrap());
    }
    let client = fastvm_tests::client(&format!("http://{address}"), "k");
    let begin = Instant::now();
    let error = client.vms().list().max_retries(0).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    took(begin, 5 * SECOND, 8 * SECOND);
}
