//! The one error type, for generated calls and overrides alike.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::exchange::head;
use crate::types::{SnapshotImportEvent, VmStatus};
use crate::{CallInfo, Operation};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed, what it was about, and what is known of its side effects.
///
/// `Display` says it in one line; [`source`](StdError::source) has the cause, and `Debug` prints
/// both, since that is what a failing `main` shows. Signed URLs, keys and other secrets are in
/// neither.
///
/// ```
/// # use fastvm_api::{Error, ErrorKind, Outcome};
/// # fn launch() -> Result<(), Error> { Err(Error::new(ErrorKind::Connect, "connection refused")) }
/// match launch() {
///     Err(error) if error.is_rate_limited() => println!("later: {:?}", error.retry_after()),
///     Err(error) if error.outcome() == Outcome::NotSent => println!("nothing happened: {error}"),
///     other => other?,
/// }
/// # Ok::<(), Error>(())
/// ```
#[doc = include_str!("errors.md")]
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<&'static Operation>,
    vm_id: Option<String>,
    vm_status: Option<VmStatus>,
    path: Option<String>,
    io_kind: Option<io::ErrorKind>,
    status: Option<StatusCode>,
    headers: HeaderMap,
    code: Option<String>,
    body: Bytes,
    outcome: Option<Outcome>,
    attempts: u32,
    advice: Option<String>,
    cleanup: Option<Cleanup>,
    build_events: Vec<SnapshotImportEvent>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What sort of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client cannot be made: no API key, a base URL that is none, no certificates.
    Config,
    /// An argument was refused before anything was sent.
    InvalidInput,
    /// No connection to the service came about.
    Connect,
    /// The connection broke before the answer was whole.
    Connection,
    /// An attempt took longer than its time limit.
    Timeout,
    /// The service answered a status other than 2xx: see [`Error::status`].
    Status,
    /// A successful answer has another shape than documented.
    Decode,
    /// The events of a command ended without its exit, or could not be read.
    Stream,
    /// The VM ended in a state that it cannot become `running` from.
    Launch,
    /// The VM was not `running`, the snapshot not `ready`, or what was waited for in a VM not there,
    /// when the time to wait was over.
    NotReady,
    /// A snapshot ended in a state that it cannot become `ready` from.
    Snapshot,
    /// An image build failed, was cancelled or cannot be followed: see [`Error::build_events`].
    Build,
    /// The VM was deleted, stopped or paused while a command or transfer waited for it.
    Gone,
    /// A command in the VM failed: it exited with another code than 0, or was timed out.
    Command,
    /// A file or folder, in the VM or on this machine, or a service of the VM does not exist.
    NotFound,
    /// A file or folder, in the VM or on this machine, cannot be read or changed: see
    /// [`Error::io_kind`].
    Io,
    /// A file did not get from here to there, or not as a whole.
    Transfer,
}

/// What is known of the side effects of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It provably never reached the service: nothing happened.
    NotSent,
    /// It was refused: nothing happened.
    Rejected,
    /// It may have happened, in part or as a whole.
    Unknown,
}

/// What became of the VM of a launch that failed after the VM had been made.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cleanup {
    /// It was deleted: nothing is left.
    Deleted,
    /// It was left, as the caller wished.
    Kept,
    /// It could not be deleted, for this reason, and may still be there.
    Failed(Error),
}

/// How much of an answer's body an error keeps.
const KEPT_BODY: usize = 64 * 1024;

/// How much of a message `Display` shows.
const SHOWN_MESSAGE: usize = 2000;

const REDACTED: &str = "[redacted]";

/// A shorter text is hardly a secret, and taking it out would garble the message.
const SHORTEST_SECRET: usize = 4;

/// For those who make errors: a [`Transport`](crate::Transport), an override.
impl Error {
    /// An error with a message: one lower-case line that says what failed and what to do. What can
    /// be secret in a URL is taken out of it: the query, where signatures are, and a login.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: without_url_secrets(message.into()),
            operation: None,
            vm_id: None,
            vm_status: None,
            path: None,
            io_kind: None,
            status: None,
            headers: HeaderMap::new(),
            code: None,
            body: Bytes::new(),
            outcome: None,
            attempts: 1,
            advice: None,
            cleanup: None,
            build_events: Vec::new(),
            source: None,
        }))
    }

    /// An error of an answer whose status is not 2xx. Reads what is left of its body.
    pub async fn from_response(mut response: reqwest::Response, call: &CallInfo) -> Self {
        let (status, headers) = head(&mut response);
        let mut body = Vec::new();
        // A body that breaks off is still an answer with this status.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= KEPT_BODY {
                break;
            }
        }
        let (code, message) = read_body(&body);
        let message = message.unwrap_or_else(|| match status.is_redirection() {
            true => {
                "the service answered a redirect, which is not followed: is the base URL right?"
                    .to_owned()
            }
            false => String::new(),
        });
        let mut error = Self::new(ErrorKind::Status, message)
            .with_call(call)
            .with_answer(status, headers)
            .with_body(body);
        error.0.code = code;
        error
    }

    /// The operation and the VM that the failed call was about.
    pub fn with_call(self, call: &CallInfo) -> Self {
        let error = self.with_operation(call.operation());
        match call.vm_id() {
            Some(id) => error.with_vm_id(id),
            None => error,
        }
    }

    /// The operation that failed.
    pub fn with_operation(mut self, operation: &'static Operation) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// The VM it is about.
    pub fn with_vm_id(mut self, id: impl Into<String>) -> Self {
        self.0.vm_id = Some(id.into());
        self
    }

    /// The status the VM was in when last seen.
    pub fn with_vm_status(mut self, status: VmStatus) -> Self {
        self.0.vm_status = Some(status);
        self
    }

    /// The file or folder it is about.
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    /// What the system says of the file or folder.
    pub fn with_io_kind(mut self, kind: io::ErrorKind) -> Self {
        self.0.io_kind = Some(kind);
        self
    }

    /// The status and headers of the answer.
    pub fn with_answer(mut self, status: StatusCode, headers: HeaderMap) -> Self {
        self.0.status = Some(status);
        self.0.headers = headers;
        self
    }

    /// The body of the answer; its beginning is kept.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        let mut body = body.into();
        body.truncate(KEPT_BODY);
        self.0.body = body;
        self
    }

    /// What is known of its side effects, where the kind does not say.
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = Some(outcome);
        self
    }

    /// How often it was tried.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// What to do about it, where more is known than the status says.
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// What became of the VM that was launched.
    pub fn with_cleanup(mut self, cleanup: Cleanup) -> Self {
        self.0.cleanup = Some(cleanup);
        self
    }

    /// The last events of the image build that failed.
    pub fn with_build_events(mut self, events: Vec<SnapshotImportEvent>) -> Self {
        self.0.build_events = events;
        self
    }

    /// The same without these texts in its message and code: a service may repeat what it was sent.
    pub fn without_secrets(mut self, secrets: &[impl AsRef<str>]) -> Self {
        let texts = [Some(&mut self.0.message), self.0.code.as_mut()];
        for text in texts.into_iter().flatten() {
            for secret in secrets.iter().map(AsRef::as_ref) {
                if secret.len() >= SHORTEST_SECRET && text.contains(secret) {
                    *text = text.replace(secret, REDACTED);
                }
            }
        }
        self
    }

    /// What caused it.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }
}

/// For those who handle errors.
impl Error {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is known of the side effects of the failed call.
    ///
    /// [`NotSent`](Outcome::NotSent) if it never left, [`Rejected`](Outcome::Rejected) for a 4xx
    /// answer other than 408 and for a file that is not there, else [`Unknown`](Outcome::Unknown).
    pub fn outcome(&self) -> Outcome {
        if let Some(outcome) = self.0.outcome {
            return outcome;
        }
        match (self.0.kind, self.0.status) {
            (ErrorKind::Config | ErrorKind::InvalidInput | ErrorKind::Connect, _) => {
                Outcome::NotSent
            }
            (ErrorKind::Status, Some(StatusCode::REQUEST_TIMEOUT)) => Outcome::Unknown,
            (ErrorKind::Status, Some(status)) if status.is_client_error() => Outcome::Rejected,
            (ErrorKind::NotFound, _) => Outcome::Rejected,
            _ => Outcome::Unknown,
        }
    }

    /// The HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The headers of the answer; empty if there was none.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The body of the answer, up to 64 KiB of it, whatever it holds.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// The machine-readable code in the answer's body, such as `guest_umount_busy`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// What the service says of the failure, or else what this crate does.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The id under which the service knows the request, for its support.
    pub fn request_id(&self) -> Option<&str> {
        let headers = ["x-request-id", "request-id", "x-amzn-requestid"];
        headers
            .iter()
            .find_map(|name| self.0.headers.get(*name)?.to_str().ok())
    }

    /// How long the service asks to wait before another attempt: `retry-after-ms`, or else
    /// `Retry-After` in seconds or as a date.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.0.headers, SystemTime::now())
    }

    /// The operation that failed, if it is one of the API's.
    pub fn operation(&self) -> Option<&'static Operation> {
        self.0.operation
    }

    /// The VM it is about.
    pub fn vm_id(&self) -> Option<&str> {
        self.0.vm_id.as_deref()
    }

    /// The status the VM was in when last seen, where a wait for it failed.
    pub fn vm_status(&self) -> Option<&VmStatus> {
        self.0.vm_status.as_ref()
    }

    /// What became of the VM, where a launch failed after the VM had been made.
    pub fn cleanup(&self) -> Option<&Cleanup> {
        self.0.cleanup.as_ref()
    }

    /// The last events of an image build that failed, at most 20; empty otherwise.
    pub fn build_events(&self) -> &[SnapshotImportEvent] {
        &self.0.build_events
    }

    /// The file or folder it is about, in the VM or on this machine.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// What the system says of a file or folder, in the VM or on this machine, that it refuses to
    /// read or change: `NotFound`, `PermissionDenied`, `AlreadyExists`, … `None` for what is not of
    /// the kind [`NotFound`](ErrorKind::NotFound) or [`Io`](ErrorKind::Io).
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        let of_source = || Some(self.0.source.as_ref()?.downcast_ref::<io::Error>()?.kind());
        match self.0.kind {
            ErrorKind::NotFound => Some(io::ErrorKind::NotFound),
            ErrorKind::Io => self.0.io_kind.or_else(of_source),
            _ => None,
        }
    }

    /// How many times the call was tried.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// What the call was about does not exist: a 404, or a missing file or folder.
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound || self.has_status(StatusCode::NOT_FOUND)
    }

    /// The key is missing or not known: a 401.
    pub fn is_unauthorized(&self) -> bool {
        self.has_status(StatusCode::UNAUTHORIZED)
    }

    /// The key does not allow this: a 403.
    pub fn is_forbidden(&self) -> bool {
        self.has_status(StatusCode::FORBIDDEN)
    }

    /// The state of the resource rules this out: a 409.
    pub fn is_conflict(&self) -> bool {
        self.has_status(StatusCode::CONFLICT)
    }

    /// Too many requests: a 429.
    pub fn is_rate_limited(&self) -> bool {
        self.has_status(StatusCode::TOO_MANY_REQUESTS)
    }

    /// A fault of the service: a 5xx.
    pub fn is_server_error(&self) -> bool {
        self.0.status.is_some_and(|status| status.is_server_error())
    }

    /// Time ran out: for an attempt, for a VM to be ready, or by a 408 or 504 of the service.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Timeout | ErrorKind::NotReady)
            || self.has_status(StatusCode::REQUEST_TIMEOUT)
            || self.has_status(StatusCode::GATEWAY_TIMEOUT)
    }

    /// No connection came about.
    pub fn is_connect(&self) -> bool {
        self.0.kind == ErrorKind::Connect
    }

    /// What was sent is larger than the service takes: a 413.
    pub fn is_too_large(&self) -> bool {
        self.has_status(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// The VM was deleted, stopped or paused while a command or transfer waited for it.
    pub fn is_gone(&self) -> bool {
        self.0.kind == ErrorKind::Gone
    }

    /// A fault that may pass: the same call can succeed later. No connection, a broken one, a
    /// timeout of an attempt, or a status 408, 429, 500, 502, 503 or 504.
    ///
    /// It says nothing of whether a repeat is safe: see [`outcome`](Self::outcome).
    pub fn is_transient(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connect | ErrorKind::Connection | ErrorKind::Timeout => true,
            ErrorKind::Status => self
                .0
                .status
                .is_some_and(|status| matches!(status.as_u16(), 408 | 429 | 500 | 502..=504)),
            _ => false,
        }
    }

    /// An argument was refused before anything was sent.
    pub fn is_invalid_input(&self) -> bool {
        self.0.kind == ErrorKind::InvalidInput
    }

    fn has_status(&self, status: StatusCode) -> bool {
        self.0.kind == ErrorKind::Status && self.0.status == Some(status)
    }

    /// What to do about it, where that is plain.
    fn hint(&self) -> Option<Cow<'static, str>> {
        let look_first = || Cow::from("it may have happened: look before you send it again");
        let may_be_repeated = self.0.operation.is_some_and(|it| it.is_repeatable);
        let status = match self.0.kind {
            ErrorKind::Status => self.0.status?.as_u16(),
            ErrorKind::Timeout if may_be_repeated => {
                return Some("allow it more time with `.request_timeout(..)`".into());
            }
            ErrorKind::Timeout | ErrorKind::Connection if !may_be_repeated => {
                return Some(look_first());
            }
            _ => return None,
        };
        Some(match status {
            401 => "check the API key (FASTVM_API_KEY)".into(),
            403 => "the API key does not allow this".into(),
            404 => "check the id: what was deleted is not found either".into(),
            409 => "its state rules this out: look at it before you try again".into(),
            413 => "it is more than the service takes: send less".into(),
            429 => match self.retry_after() {
                Some(wait) => format!("retry after {} s", wait.as_secs_f64().ceil()).into(),
                None => "retry later".into(),
            },
            501 => "this service does not do that".into(),
            408 | 500..=599 if may_be_repeated => "retry later".into(),
            408 | 500..=599 => look_first(),
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut parts: Vec<Cow<'_, str>> = Vec::new();
        let subject = match (inner.operation, &inner.vm_id) {
            (Some(operation), Some(vm)) => Some(format!("{} of VM {vm}", operation.id)),
            (Some(operation), None) => Some(operation.id.to_owned()),
            (None, Some(vm)) => Some(format!("VM {vm}")),
            (None, None) => None,
        };
        parts.extend(subject.map(Cow::from));
        parts.extend(inner.path.as_ref().map(|path| format!("{path:?}").into()));
        parts.extend(inner.status.map(|status| status.to_string().into()));
        if !inner.message.is_empty() {
            parts.push(one_line(&inner.message).into());
        }
        parts.extend(match &inner.advice {
            Some(advice) => Some(advice.into()),
            None => self.hint(),
        });
        write!(f, "{}", parts.join(": "))?;
        if let Some(status) = &inner.vm_status {
            write!(f, " (last status: {status})")?;
        }
        match &inner.cleanup {
            Some(Cleanup::Deleted) => write!(f, " (the VM was deleted)")?,
            Some(Cleanup::Kept) => write!(f, " (the VM was kept)")?,
            Some(Cleanup::Failed(error)) => {
                write!(f, " (the VM could not be deleted and may be left: {error})")?
            }
            None => {}
        }
        if inner.attempts > 1 {
            write!(f, " (after {} attempts)", inner.attempts)?;
        }
        if let Some(id) = self.request_id() {
            write!(f, " (request {})", one_line(id))?;
        }
        Ok(())
    }
}

/// Its beginning, on one line and without control characters, whatever the service sent.
fn one_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = text.chars().take(SHOWN_MESSAGE).map(visible).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {}", without_url_secrets(error.to_string()))?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Text whose URLs have neither a query, where signatures and tokens are, nor a login.
fn without_url_secrets(text: String) -> String {
    const SCHEME_END: &str = "://";
    if !text.contains(SCHEME_END) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(SCHEME_END) {
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`');
        let (url, next) = after.split_at(after.find(is_end).unwrap_or(after.len()));
        let (host, path) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
        shown += before;
        shown += SCHEME_END;
        match host.rsplit_once('@') {
            Some((_, host)) => shown.extend([REDACTED, "@", host]),
            None => shown += host,
        }
        match path.split_once(['?', '#']) {
            Some((path, _)) => shown.extend([path, "?", REDACTED]),
            None => shown += path,
        }
        rest = next;
    }
    shown + rest
}

/// For code that has `std::io::Result`. The error itself is inside: `io_error.downcast::<Error>()`.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind as Io;
        let cause = error
            .source()
            .and_then(|cause| cause.downcast_ref::<Self>());
        let kind = match (cause, error.kind()) {
            (Some(cause), _) => cause.kind(),
            (None, ErrorKind::NotFound) => Io::NotFound,
            (None, ErrorKind::InvalidInput) => Io::InvalidInput,
            (None, ErrorKind::Timeout) => Io::TimedOut,
            _ => Io::Other,
        };
        Self::new(kind, error)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Code and message of an error body: `error` is a text, a code, or an object of both; `message`,
/// `detail` and `code` stand beside it.
fn read_body(body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return (None, None);
    };
    let error = body.get("error");
    let text = |node: Option<&Value>, key: &str| Some(node?.get(key)?.as_str()?.to_owned());
    let error_text = error.and_then(Value::as_str);
    let is_code = |text: &&str| text.contains('_') && !text.contains(char::is_whitespace);
    let code = text(Some(&body), "code")
        .or_else(|| text(error, "code"))
        .or_else(|| error_text.filter(is_code).map(str::to_owned));
    let message = text(Some(&body), "message")
        .or_else(|| text(error, "message"))
        .or_else(|| text(Some(&body), "detail"))
        .or_else(|| error_text.map(str::to_owned));
    (code, message)
}

fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok());
    if let Some(millis) = millis {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    // A date in the past: at once.
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_made_of_it_has_the_kind_of_its_cause_and_gives_it_back() {
        use std::io::{Error as IoError, ErrorKind as IoKind};
        let full = IoError::from(IoKind::StorageFull);
        let error = Error::new(ErrorKind::Io, "cannot write").with_source(full);
        let io = IoError::from(error);
        assert_eq!(io.kind(), IoKind::StorageFull);
        assert_eq!(io.downcast::<Error>().unwrap().kind(), ErrorKind::Io);
        let slow = Error::new(ErrorKind::Timeout, "no answer");
        assert_eq!(IoError::from(slow).kind(), IoKind::TimedOut);
    }

    fn body(text: &str) -> (Option<String>, Option<String>) {
        read_body(text.as_bytes())
    }

    fn some(code: Option<&str>, message: Option<&str>) -> (Option<String>, Option<String>) {
        (code.map(str::to_owned), message.map(str::to_owned))
    }

    #[test]
    fn every_form_of_error_body_is_understood() {
        assert_eq!(
            body(r#"{"error":"no such VM"}"#),
            some(None, Some("no such VM"))
        );
        assert_eq!(
            body(r#"{"error":"guest_umount_busy"}"#),
            some(Some("guest_umount_busy"), Some("guest_umount_busy"))
        );
        assert_eq!(
            body(r#"{"error":{"message":"no","code":"nope"}}"#),
            some(Some("nope"), Some("no"))
        );
        assert_eq!(
            body(r#"{"detail":"why","code":"c"}"#),
            some(Some("c"), Some("why"))
        );
        assert_eq!(
            body(r#"{"message":"m","error":"a_b"}"#),
            some(Some("a_b"), Some("m"))
        );
        assert_eq!(body("<html>502</html>"), some(None, None));
        assert_eq!(body("[1]"), some(None, None));
    }

    #[test]
    fn a_wait_is_read_in_all_its_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let wait = |pairs: &[(&'static str, &str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            retry_after(&headers.collect(), now)
        };
        assert_eq!(wait(&[("retry-after", "3")]), Some(Duration::from_secs(3)));
        assert_eq!(
            wait(&[("retry-after", "3"), ("retry-after-ms", "250")]),
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")]),
            Some(Duration::ZERO)
        );
        assert_eq!(wait(&[("retry-after", "-1")]), None);
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn the_outcome_follows_from_kind_and_status() {
        let status = |code| {
            let status = StatusCode::from_u16(code).unwrap();
            Error::new(ErrorKind::Status, "")
                .with_answer(status, HeaderMap::new())
                .outcome()
        };
        assert_eq!(status(400), Outcome::Rejected);
        assert_eq!(status(429), Outcome::Rejected);
        assert_eq!(status(408), Outcome::Unknown);
        assert_eq!(status(502), Outcome::Unknown);
        assert_eq!(
            Error::new(ErrorKind::Connect, "").outcome(),
            Outcome::NotSent
        );
        assert_eq!(
            Error::new(ErrorKind::Timeout, "").outcome(),
            Outcome::Unknown
        );
    }

    #[test]
    fn an_error_tells_what_became_of_the_vm_of_a_failed_launch() {
        let failed = |cleanup| {
            let error = Error::new(ErrorKind::NotReady, "not running").with_vm_id("vm-1");
            error.with_cleanup(cleanup).to_string()
        };
        assert_eq!(
            failed(Cleanup::Deleted),
            "VM vm-1: not running (the VM was deleted)"
        );
        let refused = Error::new(ErrorKind::Connect, "no connection");
        assert_eq!(
            failed(Cleanup::Failed(refused)),
            "VM vm-1: not running (the VM could not be deleted and may be left: no connection)"
        );
    }

    #[test]
    fn display_is_one_line_and_debug_tells_the_cause() {
        let error = Error::new(ErrorKind::Connection, "cut\noff")
            .with_vm_id("vm-1")
            .with_attempts(3)
            .with_source(std::io::Error::other("reset"));
        let line = "VM vm-1: cut off: it may have happened: look before you send it again (after 3 attempts)";
        assert_eq!(error.to_string(), line);
        assert_eq!(format!("{error:?}"), format!("{line}: reset"));
    }

    #[test]
    fn urls_are_shown_without_query_and_login() {
        let error = Error::new(
            ErrorKind::Transfer,
            "a https://u:p@host:1/a/b?sig=1&x=2 \"http://c#t\" ws://d/e?f, file:///g",
        );
        assert_eq!(
            error.message(),
            "a https://[redacted]@host:1/a/b?[redacted] \"http://c?[redacted]\" ws://d/e?[redacted] file:///g"
        );
    }

    #[test]
    fn a_message_of_the_service_is_bounded_and_cannot_steer_a_terminal() {
        let error = Error::new(ErrorKind::Status, format!("\u{1b}[2J{}", "x".repeat(9000)));
        let line = error.to_string();
        assert!(
            line.len() <= SHOWN_MESSAGE && !line.contains('\u{1b}'),
            "{line}"
        );
    }

    #[test]
    fn given_secrets_are_taken_out_of_message_and_code() {
        let mut error = Error::new(ErrorKind::Status, "no hunter2 in on");
        error.0.code = Some("hunter2".to_owned());
        let error = error.without_secrets(&["hunter2", "on"]);
        assert_eq!(error.message(), "no [redacted] in on");
        assert_eq!(error.code(), Some("[redacted]"));
    }
}
