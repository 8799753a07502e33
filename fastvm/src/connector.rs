//! What sends the requests: adds the key, keeps time limits, repeats what may be repeated.

use std::fmt;
use std::time::Duration;

use fastvm_api::{CallInfo, Error, ErrorKind, Operation, Outcome, Result, Sending, Transport};
use http::{HeaderValue, Method, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Request, Response, Url};

use crate::idle::IdleCheck;
use crate::retry::{Budget, RetryPolicy};

const USER_AGENT: &str = concat!("fastvm-rust/", env!("CARGO_PKG_VERSION"));
const API_KEY: &str = "x-api-key";

/// A connection that lies idle is probed this often, so that a dead one is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long an unused connection is kept.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// How long the body of an error answer to a call without a limit may take.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) idle_check: IdleCheck,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            retry: RetryPolicy::default(),
            idle_check: IdleCheck::default(),
        }
    }
}

pub(crate) struct Connector {
    key: HeaderValue,
    settings: Settings,
    budget: Budget,
    /// For calls that are answered as a whole; HTTP/2 where the service offers it.
    calls: reqwest::Client,
    /// For streams and storage: HTTP/1.1, a connection each, so that one nobody reads holds up
    /// nothing else.
    streams: reqwest::Client,
}

impl Connector {
    pub(crate) fn new(key: HeaderValue, base_url: &Url, settings: Settings) -> Result<Self> {
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| {
                let message =
                    "the HTTP client cannot be set up: does the system have CA certificates?";
                Error::new(ErrorKind::Config, message).with_source(error)
            })
        };
        Ok(Self {
            calls: build(connections(base_url, &settings))?,
            streams: build(connections(base_url, &settings).http1_only())?,
            budget: Budget::new(),
            key,
            settings,
        })
    }

    /// The client that requests can be built with.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.calls
    }

    /// The connector of a client, if that sends by one.
    pub(crate) fn of(api: &fastvm_api::Client) -> Option<&Self> {
        let transport: &dyn std::any::Any = &**api.transport();
        transport.downcast_ref()
    }

    /// The idle check that calls of this client start with.
    pub(crate) fn idle_check(api: &fastvm_api::Client) -> IdleCheck {
        Self::of(api).map_or_else(IdleCheck::default, |connector| {
            connector.settings.idle_check
        })
    }

    /// The pause before work of several requests is repeated, which is taken from the budget; `None`
    /// if it must not be. `failed` is how many attempts have.
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
        self.budget.spend().then_some(pause)
    }

    async fn send_with_retries(&self, mut request: Request, call: &CallInfo) -> Result<Response> {
        let operation = call.operation();
        if operation.needs_key {
            request.headers_mut().insert(API_KEY, self.key.clone());
        }
        let retries = call
            .max_retries()
            .unwrap_or(self.settings.retry.max_retries);
        let mut may_have_happened = false;
        let mut attempt = 0;
        loop {
            attempt += 1;
            // A body that is made on the fly cannot be sent twice.
            let next = if attempt <= retries {
                request.try_clone()
            } else {
                None
            };
            let id = may_have_happened.then(|| last_segment(request.url()));
            let error = match self.attempt(request, call).await {
                Ok(response) if response.status().is_success() => {
                    self.budget.earn();
                    return Ok(response);
                }
                Ok(response) => match id {
                    Some(id) if is_gone(operation, &response) => return Ok(deleted(&id, response)),
                    _ => Error::from_response(response, call).await,
                },
                Err(error) => error.with_call(call),
            };
            may_have_happened |= error.outcome() == Outcome::Unknown;
            let pause = self.settings.retry.pause(operation, &error, attempt);
            let (next, pause) = match (next, pause) {
                (Some(next), Some(pause)) if self.budget.spend() => (next, pause),
                _ => {
                    let error = error.with_attempts(attempt);
                    return Err(match may_have_happened {
                        // An attempt that was refused says nothing of those before it.
                        true => error.with_outcome(Outcome::Unknown),
                        false => error,
                    });
                }
            };
            tokio::time::sleep(pause).await;
            request = next;
        }
    }

    async fn attempt(&self, request: Request, call: &CallInfo) -> Result<Response> {
        let operation = call.operation();
        let default = operation
            .is_limited
            .then_some(self.settings.request_timeout);
        let Some(limit) = call.request_timeout().or(default) else {
            return self.exchange(request, operation).await;
        };
        match tokio::time::timeout(limit, self.exchange(request, operation)).await {
            Ok(answer) => answer,
            Err(_) => {
                let message = format!("no answer within {limit:?}");
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }

    /// One request and its answer. The body is read here, too, unless it is streamed, so that a cut
    /// or slow body is a fault of the attempt.
    async fn exchange(&self, request: Request, operation: &Operation) -> Result<Response> {
        if !operation.is_streamed {
            let response = self.calls.execute(request).await.map_err(broken)?;
            return buffered(response).await;
        }
        let response = self.streams.execute(request).await.map_err(broken)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        match tokio::time::timeout(ERROR_BODY_TIMEOUT, buffered(response)).await {
            Ok(Ok(response)) => Ok(response),
            // The status is known: it is not lost for a body that does not come.
            _ => Ok(assemble(status, headers, bytes::Bytes::new())),
        }
    }
}

impl Transport for Connector {
    fn send<'a>(&'a self, request: Request, call: &'a CallInfo) -> Sending<'a> {
        Box::pin(self.send_with_retries(request, call))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn connections(base_url: &Url, settings: &Settings) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(settings.connect_timeout)
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_nodelay(true)
        // Shorter than servers keep an idle connection: a request on one that is being closed is
        // lost, and most must not be sent again.
        .pool_idle_timeout(IDLE_CONNECTION)
        // The API redirects nothing, and a followed redirect would carry the key elsewhere.
        .redirect(Policy::none());
    if is_loopback(base_url) {
        // A proxy of the environment would look for the address on its own machine.
        return builder.no_proxy();
    }
    builder
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_address = host
        .parse()
        .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    is_address || host == "localhost" || host.ends_with(".localhost")
}

async fn buffered(response: Response) -> Result<Response> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.map_err(broken)?;
    Ok(assemble(status, headers, body))
}

fn assemble(status: StatusCode, headers: http::HeaderMap, body: bytes::Bytes) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.into()
}

/// What a fault on the wire means. URLs may be signed: they are taken out.
fn broken(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let (kind, message) = if error.is_connect() {
        (
            ErrorKind::Connect,
            "no connection: is the base URL (FASTVM_BASE_URL) right?",
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

fn is_gone(operation: &Operation, response: &Response) -> bool {
    operation.method == "DELETE" && response.status() == StatusCode::NOT_FOUND
}

/// The answer to a deletion whose first attempt got through without its answer coming back: the
/// repeat finds nothing left to delete.
fn deleted(id: &str, not_found: Response) -> Response {
    let body = serde_json::json!({ "id": id, "deleted": true, "detached": true });
    assemble(
        StatusCode::OK,
        not_found.headers().clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_known_in_every_form() {
        for url in [
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:8",
            "http://localhost",
            "http://a.localhost:3",
        ] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        for url in [
            "https://api.fastvm.org",
            "http://10.0.0.1",
            "http://localhost.example.com",
        ] {
            assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
    }
}
