//! What sends the requests: adds the key, keeps time limits, repeats what may be repeated.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastvm_api::{
    CallInfo, Error, ErrorKind, Operation, Outcome, Result, Sending, Transport, successful,
    whole_body,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Request, Response, ResponseBuilderExt, Url};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::again::Again;
use crate::handover::{self, Handover};
use crate::idle::IdleCheck;
use crate::launch::Turns;
use crate::network::{Connections, Taken};
use crate::retry::{Budget, RetryPolicy};
use crate::secrets;
use crate::trace::{self, Trace};

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// How long the body of an answer without success may take.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Says what `traceparent` a call carries.
pub(crate) type Traceparent = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// How calls are made, whatever carries them.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) request_timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) idle_check: IdleCheck,
    pub(crate) traceparent: Option<Traceparent>,
    /// Where the services of VMs are, if it does not follow from the base URL.
    pub(crate) proxy_domain: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(60),
            retry: RetryPolicy::default(),
            idle_check: IdleCheck::default(),
            traceparent: None,
            proxy_domain: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("request_timeout", &self.request_timeout)
            .field("retry", &self.retry)
            .field("idle_check", &self.idle_check)
            .field("passes_traceparent", &self.traceparent.is_some())
            .finish()
    }
}

/// What an attempt goes through.
pub(crate) enum Wire {
    Sockets(Box<Connections>),
    /// What the program brought along, such as a fake.
    Given(Arc<dyn Transport>),
}

impl Wire {
    /// Sends a request; the lane of a command is taken until its answer is whole.
    async fn send(
        &self,
        request: Box<Request>,
        call: &CallInfo,
    ) -> Result<(Response, Option<Taken>)> {
        let operation = call.operation();
        let connections = match self {
            Self::Given(transport) => return Ok((transport.send(*request, call).await?, None)),
            Self::Sockets(connections) => connections.here()?,
        };
        // A lost call is noticed by its time limit, a stalled transfer by its own.
        if operation.is_limited || operation.path.is_empty() {
            let client = match operation.is_streamed {
                true => &connections.streams,
                false => &connections.calls,
            };
            let response = client.execute(*request).await.map_err(broken)?;
            return Ok((response, None));
        }
        let taken = match operation.is_streamed {
            true => None,
            false => Some(connections.lane()?),
        };
        let (client, opens) = match &taken {
            Some(taken) => (&taken.lane.http, taken.opened().await),
            None => (&connections.streams, None),
        };
        let limit = connections.handover_limit();
        match handover::send(client, *request, limit, opens).await {
            Handover::Done(answer) => Ok((answer.map_err(broken)?, taken)),
            Handover::Withdrawn => {
                if let Some(taken) = taken {
                    connections.close(&taken.lane);
                }
                let message = format!("no connection took the request within {limit:?}");
                Err(Error::new(ErrorKind::Connect, message))
            }
        }
    }
}

pub(crate) struct Connector {
    /// Only a given transport can do without.
    key: Option<HeaderValue>,
    settings: Settings,
    budget: Budget,
    turns: Turns,
    heard: Heard,
    wire: Wire,
}

/// When the last answer came.
struct Heard {
    start: Instant,
    /// In microseconds from the start.
    last: AtomicU64,
}

impl Heard {
    /// After so many microseconds without an answer, a close may have come that was not seen.
    const RECENT: u64 = 1000;

    fn new() -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    fn note(&self) {
        let (last, now) = (self.last.load(Ordering::Relaxed), self.now());
        // Written now and then: other threads read what lies beside it.
        if now.saturating_sub(last) > Self::RECENT / 8 {
            self.last.store(now, Ordering::Relaxed);
        }
    }

    /// Whether the runtime has just looked at its connections, and looks while this goes on: a yield
    /// would tell nothing more, and wakes another thread.
    fn is_up_to_date(&self) -> bool {
        let runtime = Handle::try_current().map(|runtime| runtime.runtime_flavor());
        if !matches!(runtime, Ok(RuntimeFlavor::MultiThread)) {
            return false;
        }
        let last = self.last.load(Ordering::Relaxed);
        last > 0 && self.now() < last + Self::RECENT
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Connector {
    pub(crate) fn new(key: Option<HeaderValue>, wire: Wire, settings: Settings) -> Self {
        Self {
            key,
            budget: Budget::new(settings.retry.budget),
            turns: Turns::new(),
            heard: Heard::new(),
            wire,
            settings,
        }
    }

    /// The connector of a client, if that sends by one.
    pub(crate) fn of(api: &fastvm_api::Client) -> Option<&Self> {
        let transport: &dyn std::any::Any = &**api.transport();
        transport.downcast_ref()
    }

    /// A client like this one that shares no connections with it, for another runtime. A given
    /// transport has to be shared.
    pub(crate) fn on_new_connections(api: &fastvm_api::Client) -> Result<fastvm_api::Client> {
        let Some((connector, wire)) = Self::of(api).and_then(|connector| match &connector.wire {
            Wire::Sockets(connections) => Some((connector, connections)),
            Wire::Given(_) => None,
        }) else {
            return Ok(api.clone());
        };
        let connections = wire.anew()?;
        let http = connections.calls.clone();
        let (key, settings) = (connector.key.clone(), connector.settings.clone());
        let connector = Self::new(key, Wire::Sockets(Box::new(connections)), settings);
        Ok(fastvm_api::Client::new(
            api.base_url(),
            http,
            Arc::new(connector),
        ))
    }

    /// The idle check that calls of this client start with.
    pub(crate) fn idle_check(api: &fastvm_api::Client) -> IdleCheck {
        Self::of(api).map_or_else(IdleCheck::default, |connector| {
            connector.settings.idle_check
        })
    }

    /// Whose turn it is to poll for a VM.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// The domain of services, if the configuration says so.
    pub(crate) fn proxy_domain(&self) -> Option<&str> {
        self.settings.proxy_domain.as_deref()
    }

    /// The pause before a repeat, or before work of several requests is done again; it is taken from
    /// the budget. `None` if there must be none. `failed` is how many attempts have.
    pub(crate) fn pause_before_repeat(
        &self,
        operation: &Operation,
        error: &Error,
        failed: u32,
        max_retries: Option<u32>,
    ) -> Option<Duration> {
        let policy = &self.settings.retry;
        if failed > max_retries.unwrap_or(policy.max_retries) {
            return None;
        }
        let pause = policy.pause(operation, error, failed)?;
        if !self.budget.spend() {
            trace::budget_spent(failed);
            return None;
        }
        trace::repeat(failed, pause, error);
        Some(pause)
    }

    async fn send_traced(&self, request: Box<Request>, call: &CallInfo) -> Result<Response> {
        let trace = Trace::begin(call);
        let mut attempts = 0;
        let answer = {
            let mut sending = pin!(self.send_with_retries(request, call, &mut attempts));
            // Where it lies: what instruments a future would move it, which is no small one.
            poll_fn(|context| trace.span.in_scope(|| sending.as_mut().poll(context))).await
        };
        trace.end(&answer, attempts);
        answer
    }

    /// Puts the key on what goes to the API, and what ties the request to the caller's trace.
    fn sign(&self, request: &mut Request, operation: &Operation) {
        let headers = request.headers_mut();
        if let Some(key) = self.key.as_ref().filter(|_| operation.needs_key) {
            headers.insert(&API_KEY, key.clone());
        }
        let Some(traceparent) = &self.settings.traceparent else {
            return;
        };
        // Storage is not the API, and a call's own header goes before.
        if operation.path.is_empty() || headers.contains_key(&TRACEPARENT) {
            return;
        }
        let value = traceparent().and_then(|text| HeaderValue::try_from(text).ok());
        if let Some(value) = value {
            headers.insert(&TRACEPARENT, value);
        }
    }

    /// Has a connection change its protocol. Sent once; any answer but 101 is an error.
    #[cfg(feature = "console")]
    pub(crate) async fn upgrade(&self, request: Request, call: &CallInfo) -> Result<Response> {
        let limit = call.request_timeout();
        let limit = limit.unwrap_or(self.settings.request_timeout);
        let exchange = async {
            let (response, _) = self.wire.send(Box::new(request), call).await?;
            match response.status() {
                StatusCode::SWITCHING_PROTOCOLS => Ok(response),
                _ => Err(Error::from_response(response, call).await),
            }
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(no_answer(limit)),
        }
    }

    async fn send_with_retries(
        &self,
        mut request: Box<Request>,
        call: &CallInfo,
        attempts: &mut u32,
    ) -> Result<Response> {
        self.sign(&mut request, call.operation());
        // A body that is made on the fly cannot be sent twice.
        let again = Again::of(&mut request);
        *attempts = 1;
        match self.attempt(request, call).await {
            Ok(response) => {
                self.budget.earn();
                Ok(response)
            }
            // Apart: most calls never get here.
            Err(error) => Box::pin(self.repeat(again, error, call, attempts)).await,
        }
    }

    /// After a failed attempt: those that follow it, if any may.
    async fn repeat(
        &self,
        again: Option<Again>,
        error: Error,
        call: &CallInfo,
        attempts: &mut u32,
    ) -> Result<Response> {
        let operation = call.operation();
        let mut error = error.with_call(call);
        let mut may_have_happened = false;
        loop {
            let next = again.as_ref().map(Again::request);
            if let Some(request) = &next {
                if may_have_happened && is_gone(operation, &error) {
                    return deleted(request.url(), &error);
                }
                error = error.without_secrets(&secrets::of(request));
            }
            may_have_happened |= error.outcome() == Outcome::Unknown;
            let pause = next.as_ref().and_then(|_| {
                self.pause_before_repeat(operation, &error, *attempts, call.max_retries())
            });
            let (Some(pause), Some(next)) = (pause, next) else {
                let error = error.with_attempts(*attempts);
                return Err(match may_have_happened {
                    // An attempt that was refused says nothing of those before it.
                    true => error.with_outcome(Outcome::Unknown),
                    false => error,
                });
            };
            tokio::time::sleep(pause).await;
            *attempts += 1;
            match Box::pin(self.attempt(Box::new(next), call)).await {
                Ok(response) => {
                    self.budget.earn();
                    return Ok(response);
                }
                Err(failed) => error = failed.with_call(call),
            }
        }
    }

    async fn attempt(&self, request: Box<Request>, call: &CallInfo) -> Result<Response> {
        let default = call
            .operation()
            .is_limited
            .then_some(self.settings.request_timeout);
        let Some(limit) = call.request_timeout().or(default) else {
            return self.exchange(request, call).await;
        };
        match tokio::time::timeout(limit, self.exchange(request, call)).await {
            Ok(answer) => answer,
            Err(_) => Err(no_answer(limit)),
        }
    }

    /// One request and its answer, which is an error if its status is. The body is read here, too,
    /// unless it is streamed, so that a cut or slow body is a fault of the attempt.
    async fn exchange(&self, request: Box<Request>, call: &CallInfo) -> Result<Response> {
        if !call.operation().is_repeatable && !self.heard.is_up_to_date() {
            // What is lost on a connection that the service has closed is not sent again: this
            // lets the runtime see such closes before a connection is chosen.
            tokio::task::yield_now().await;
        }
        let (response, _taken) = self.wire.send(request, call).await?;
        self.heard.note();
        let response = match successful(response) {
            Ok(response) => response,
            Err(refused) => return Err(Box::pin(error_of(refused, call)).await),
        };
        match call.operation().is_streamed {
            true => Ok(response),
            false => buffered(response, call).await,
        }
    }
}

impl Transport for Connector {
    fn send<'a>(&'a self, request: Request, call: &'a CallInfo) -> Sending<'a> {
        Box::pin(self.send_traced(Box::new(request), call))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The answer with its whole body, which lies apart if it may.
fn buffered(
    mut response: Response,
    call: &CallInfo,
) -> impl Future<Output = Result<Response>> + Send {
    let status = response.status();
    // An `async fn` would hold the response twice.
    async move {
        let body = whole_body(&mut response).await.map_err(broken)?;
        if let Some(apart) = call.body_apart() {
            apart.put(body);
            return Ok(response);
        }
        let headers = std::mem::take(response.headers_mut());
        assemble(status, response.url().clone(), headers, body)
    }
}

/// What an answer without success means. Its status is known, and not lost for a body that does not come.
async fn error_of(response: Response, call: &CallInfo) -> Error {
    let (status, headers) = (response.status(), response.headers().clone());
    let reading = Error::from_response(response, call);
    match tokio::time::timeout(ERROR_BODY_TIMEOUT, reading).await {
        Ok(error) => error,
        Err(_) => Error::new(ErrorKind::Status, "").with_answer(status, headers),
    }
}

/// An answer whose body is there. The URL is one that is at hand: without it, reqwest would parse one.
fn assemble(status: StatusCode, url: Url, headers: HeaderMap, body: Bytes) -> Result<Response> {
    let head = http::Response::builder().status(status).url(url);
    let mut response = head.body(body).map_err(|error| {
        Error::new(ErrorKind::Decode, "the answer cannot be read").with_source(error)
    })?;
    *response.headers_mut() = headers;
    Ok(response.into())
}

fn no_answer(limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("no answer within {limit:?}"))
}

/// What a fault on the wire means. URLs may be signed: they are taken out.
fn broken(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let (kind, message) = if error.is_connect() {
        (
            ErrorKind::Connect,
            "no connection: is the base URL (FASTVM_BASE_URL) right?",
        )
    } else if was_refused(&error) {
        (
            ErrorKind::Connect,
            "the service did not take the request, which it may do at any time over HTTP/2",
        )
    } else if error.is_builder() {
        (ErrorKind::InvalidInput, "the request cannot be built")
    } else {
        (
            ErrorKind::Connection,
            "the connection broke before the answer was whole",
        )
    };
    Error::new(kind, message).with_source(error)
}

/// Whether the service said, as HTTP/2 can, that it has not looked at the request: because it closes the
/// connection, or for a reason of its own (RFC 9113, 8.7).
fn was_refused(error: &reqwest::Error) -> bool {
    let first: &dyn std::error::Error = error;
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    causes.any(|cause| {
        let Some(cause) = cause.downcast_ref::<h2::Error>() else {
            return false;
        };
        let is_closing = cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR);
        let is_refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        cause.is_remote() && (is_closing || is_refused)
    })
}

fn is_gone(operation: &Operation, error: &Error) -> bool {
    operation.method == "DELETE" && error.is_not_found()
}

/// The answer to a deletion whose first attempt got through without its answer coming back: the
/// repeat finds nothing left to delete.
fn deleted(url: &Url, not_found: &Error) -> Result<Response> {
    let body = serde_json::json!({ "id": last_segment(url), "deleted": true, "detached": true });
    let headers = not_found.headers().clone();
    assemble(
        StatusCode::OK,
        url.clone(),
        headers,
        body.to_string().into(),
    )
}

/// What the last segment of a path stands for, its percent-encoding undone.
fn last_segment(url: &Url) -> String {
    let segment = url.path_segments().and_then(|mut all| all.next_back());
    let decoded = percent_encoding::percent_decode_str(segment.unwrap_or_default());
    decoded.decode_utf8_lossy().into_owned()
}

/// A request to signed storage, which is no operation of the API.
pub(crate) fn storage_request(method: Method, url: &str) -> Result<Request> {
    let url =
        Url::parse(url).map_err(|_| Error::new(ErrorKind::Decode, "the signed URL is no URL"))?;
    Ok(Request::new(method, url))
}
