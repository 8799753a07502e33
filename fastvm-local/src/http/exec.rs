//! Commands in both forms: one answer at the end, or a line for each event.

use std::pin::Pin;
use std::str::Utf8Error;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use fastvm_api::types::{ExecEvent, ExecEventKind, ExecVmRequest, ExecVmResponse};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use tokio::sync::mpsc::Receiver;

use super::body::{Json, Target};
use super::error::ApiError;
use super::{App, json};
use crate::exec::{self, DEFAULT_LIMIT, Ended, Event};
use crate::rules;
use crate::sandbox::{ExecSpec, Sandbox, Stdin};
use crate::vms::Machine;

const NDJSON: &str = "application/x-ndjson";

/// How much of each output stream the buffered form keeps.
const MOST_KEPT_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "execVm" => on(on_method, exec),
        _ => return None,
    })
}

async fn exec(
    headers: HeaderMap,
    Target(machine): Target,
    Json(request): Json<ExecVmRequest>,
) -> Result<Response, ApiError> {
    if request.command.first().is_none_or(String::is_empty) {
        return Err(ApiError::bad_request(
            "command: the program, its first element, is missing or empty",
        ));
    }
    let limit =
        rules::time_limit(request.timeout_sec, DEFAULT_LIMIT).map_err(ApiError::bad_request)?;
    let mut spec = machine.origin().command(request.command);
    if let Some(stdin) = request.stdin {
        let stdin = base64_simd::STANDARD.decode_to_vec(stdin);
        spec.stdin = Stdin::Bytes(stdin.map_err(|_| ApiError::bad_request("stdin: not base64"))?);
    }
    let events = start(machine, spec, limit).await?;
    if !wants_events(&headers) {
        return collected(events).await;
    }
    let mut response = Response::new(Body::new(Lines::new(events)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

/// Starts a command, if the VM runs.
async fn start(
    machine: Arc<Machine>,
    spec: ExecSpec,
    limit: Duration,
) -> Result<Receiver<Event>, ApiError> {
    let sandbox = running(&machine)?;
    Ok(exec::start(machine, sandbox, spec, limit).await?)
}

/// The place where commands run.
pub(super) fn running(machine: &Machine) -> Result<Arc<Sandbox>, ApiError> {
    machine
        .running()
        .map_err(|status| ApiError::conflict(format!("the VM is not running: {status}")))
}

/// Whether the client asks for events rather than for one answer; the first of both counts.
pub(super) fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut types = accepted
        .flat_map(|value| value.split(','))
        .filter_map(|part| part.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    types
        .find(|essence| matches!(essence.as_str(), NDJSON | "application/json"))
        .is_some_and(|found| found == NDJSON)
}

/// The answer to a command as a whole, once it has ended.
pub(super) async fn collected(mut events: Receiver<Event>) -> Result<Response, ApiError> {
    let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
    while let Some(event) = events.recv().await {
        match event {
            Event::Stdout(bytes) => stdout.push(&bytes),
            Event::Stderr(bytes) => stderr.push(&bytes),
            Event::Exit(ended) => {
                if let Some(diagnostic) = &ended.diagnostic {
                    stderr.push(format!("{diagnostic}\n").as_bytes());
                }
                return Ok(json(StatusCode::OK, &answer(&ended, &stdout, &stderr)));
            }
        }
    }
    Err(ApiError::vm_ended())
}

fn answer(ended: &Ended, stdout: &Kept, stderr: &Kept) -> ExecVmResponse {
    ExecVmResponse::new(
        ended.code.into(),
        stdout.text(),
        stderr.text(),
        stdout.is_truncated,
        stderr.is_truncated,
        ended.is_timed_out,
        duration_ms(ended),
    )
}

fn duration_ms(ended: &Ended) -> i64 {
    i64::try_from(ended.duration.as_millis()).unwrap_or(i64::MAX)
}

/// The beginning of an output stream.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    is_truncated: bool,
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        let room = MOST_KEPT_BYTES - self.bytes.len();
        let fitting = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..fitting]);
        self.is_truncated |= fitting < bytes.len();
    }

    /// What is not UTF-8 is replaced; a character cut by the cap is left out.
    fn text(&self) -> String {
        let mut bytes = self.bytes.as_slice();
        if self.is_truncated {
            let is_first = |byte: &u8| !(0x80..0xC0).contains(byte);
            let last = bytes.iter().rposition(is_first).unwrap_or_default();
            let (before, character) = bytes.split_at(last);
            let is_cut = |error: Utf8Error| error.error_len().is_none();
            if std::str::from_utf8(character).is_err_and(is_cut) {
                bytes = before;
            }
        }
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// A body that has a line for each event, as it happens. It is cut if the VM ends.
struct Lines {
    events: Receiver<Event>,
    is_complete: bool,
}

impl Lines {
    fn new(events: Receiver<Event>) -> Self {
        Self {
            events,
            is_complete: false,
        }
    }
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = VmEnded;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, VmEnded>>> {
        if self.is_complete {
            return Poll::Ready(None);
        }
        let event = ready!(self.events.poll_recv(cx));
        self.is_complete = !matches!(event, Some(Event::Stdout(_) | Event::Stderr(_)));
        Poll::Ready(Some(match event {
            Some(event) => Ok(Frame::data(line(event))),
            None => Err(VmEnded),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.is_complete
    }
}

/// Cuts the connection of a stream.
#[derive(Debug)]
struct VmEnded;

impl std::fmt::Display for VmEnded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the VM ended while the command ran")
    }
}

impl std::error::Error for VmEnded {}

fn line(event: Event) -> Bytes {
    match event {
        Event::Stdout(bytes) => output_line("o", &bytes),
        Event::Stderr(bytes) => output_line("e", &bytes),
        Event::Exit(ended) => exit_line(ended),
    }
}

/// Written by hand: this is done for every chunk.
fn output_line(kind: &str, bytes: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(base64_simd::STANDARD.encoded_length(bytes.len()) + 32);
    line.extend_from_slice(b"{\"t\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"d\":\"");
    base64_simd::STANDARD.encode_append(bytes, &mut line);
    line.extend_from_slice(b"\"}\n");
    line.into()
}

fn exit_line(ended: Ended) -> Bytes {
    let mut event = ExecEvent::new(ExecEventKind::Exit)
        .c(ended.code)
        .to(ended.is_timed_out)
        .ms(duration_ms(&ended));
    event.d = ended.diagnostic;
    let mut line = serde_json::to_vec(&event).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
