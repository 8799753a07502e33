//! Faults on their way to requests, and the route by which they are set.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use fastvm_api::types::{ExecEvent, ExecEventKind};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::select;
use tokio::time::sleep;
use tower_service::Service;

use super::error::ApiError;
use super::exec::wants_events;
use super::{App, body, json};
use crate::faults::{Answer, Effect, Fault, FaultId, Seen};
use crate::storage;
use crate::vms::Machine;

const PATH: &str = "/_local/faults";

/// How long what was written of a body that is to be cut may take to leave: the HTTP library drops
/// what it still holds when a body fails.
const LEAVE: Duration = Duration::from_millis(20);

/// The route by which faults are set, listed and removed.
pub(super) fn routes(
    with_key: impl Fn(MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>>,
) -> Router<Arc<App>> {
    let all = get(list).post(add).delete(clear);
    Router::new().route(PATH, with_key(all)).route(
        &format!("{PATH}/{{id}}"),
        with_key(axum::routing::delete(remove)),
    )
}

async fn add(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body).await?;
    let is_list = body.trim_ascii_start().starts_with(b"[");
    let faults: Vec<Fault> = if is_list {
        parse(&body)?
    } else {
        vec![parse(&body)?]
    };
    let ids = app.faults.add_all(faults).map_err(|(place, error)| {
        ApiError::bad_request(if is_list {
            format!("[{place}].{error}")
        } else {
            error.to_string()
        })
    })?;
    Ok(json(StatusCode::CREATED, &json!({ "ids": ids })))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("the body is not JSON: {error}")))?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        ApiError::bad_request(match path.as_str() {
            "." => format!("the body: {inner}"),
            path => format!("{path}: {inner}"),
        })
    })
}

async fn list(State(app): State<Arc<App>>) -> Response {
    json(StatusCode::OK, &app.faults.list())
}

async fn clear(State(app): State<Arc<App>>) -> Response {
    app.faults.clear();
    json(StatusCode::OK, &json!({ "deleted": true }))
}

async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let id: Option<FaultId> = id.parse().ok();
    if !id.is_some_and(|id| app.faults.remove(id)) {
        return Err(ApiError::not_found("fault"));
    }
    Ok(json(StatusCode::OK, &json!({ "deleted": true })))
}

/// Ready when the client goes in the middle of its body. While one waits to be read, the HTTP library
/// does not notice; behind the end of the body it does.
async fn broken_off(mut body: Body) {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return;
        }
    }
    std::future::pending().await
}

/// Lets the faults of an operation happen to a request.
pub(super) async fn apply(
    State((app, operation)): State<(Arc<App>, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    if !app.faults.is_active() {
        return next.run(request).await;
    }
    let vm = vm_of(request.uri().path());
    let plan = app.faults.plan(Seen {
        operation,
        vm,
        is_stream: operation == "execVm" && wants_events(request.headers()),
    });
    let vm = vm.and_then(|id| app.vms.get(id));
    if !plan.delay.is_zero() {
        select! {
            () = sleep(plan.delay) => {}
            () = app.faults.stopped() => return cut(),
        }
    }
    match plan.effect {
        None => next.run(request).await,
        Some(Effect::Answer(answer)) => {
            let (parts, body) = request.into_parts();
            body::drain(&parts.headers, body).await;
            instead(answer)
        }
        Some(Effect::Stall) => {
            select! {
                () = app.faults.stopped() => {}
                () = broken_off(request.into_body()) => {}
            }
            cut()
        }
        Some(Effect::Cut) => cut(),
        Some(Effect::CutAfterWork) => {
            let mut body = next.run(request).await.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            cut()
        }
        Some(Effect::CutBody(bytes)) => faulty(next.run(request).await, Kind::Cut(bytes)),
        Some(Effect::TruncateBody(bytes)) => truncated(next.run(request).await, bytes),
        Some(Effect::CorruptBody) => {
            let response = next.run(request).await;
            let place = length(&response).map(|length| length / 2);
            faulty(response, Kind::Corrupt(place))
        }
        Some(Effect::NoExitEvent) => faulty(next.run(request).await, Kind::NoExitEvent),
        Some(Effect::VmDies(bytes)) => faulty(next.run(request).await, Kind::VmDies(bytes, vm)),
        // These are of boots and not of requests.
        Some(Effect::Delay(_) | Effect::SlowBoot(_) | Effect::FailingBoot) => {
            next.run(request).await
        }
    }
}

/// The id in the paths of a VM's operations and of its signed URLs.
fn vm_of(path: &str) -> Option<&str> {
    let rest = path
        .strip_prefix("/v1/vms/")
        .or_else(|| path.strip_prefix(storage::PREFIX)?.strip_prefix('/'))?;
    rest.split('/').next()
}

fn instead(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// Marks an answer that is not to be sent: the connection is closed in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoAnswer;

fn cut() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(NoAnswer);
    response
}

fn length(response: &Response) -> Option<u64> {
    let exact = http_body::Body::size_hint(response.body()).exact();
    exact.or_else(|| body::content_length(response.headers()))
}

fn truncated(mut response: Response, bytes: u64) -> Response {
    if let Some(length) = body::content_length(response.headers()) {
        let length = HeaderValue::from(length.min(bytes));
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    faulty(response, Kind::Truncate(bytes))
}

fn faulty(response: Response, kind: Kind) -> Response {
    response.map(|inner| {
        Body::new(Faulty {
            inner,
            kind,
            cutting: None,
        })
    })
}

/// A body that goes wrong.
struct Faulty {
    inner: Body,
    kind: Kind,
    /// What is done before the body fails, once it is to.
    cutting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// How, with the bytes that are still to come before that.
enum Kind {
    Cut(u64),
    Truncate(u64),
    VmDies(u64, Option<Arc<Machine>>),
    /// At this place; in the middle of the first chunk if there is none.
    Corrupt(Option<u64>),
    NoExitEvent,
    /// It has, and the rest is as it is.
    Done,
}

impl http_body::Body for Faulty {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            if let Some(cutting) = &mut this.cutting {
                ready!(cutting.as_mut().poll(cx));
                return Poll::Ready(Some(Err(axum::Error::new(CutByFault))));
            }
            match &mut this.kind {
                Kind::Truncate(0) => return Poll::Ready(None),
                Kind::Cut(0) => {
                    this.cutting = Some(Box::pin(sleep(LEAVE)));
                    continue;
                }
                Kind::VmDies(0, vm) => {
                    this.cutting = Some(Box::pin(kill(vm.take())));
                    continue;
                }
                _ => {}
            }
            let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                Ok(data) => {
                    if let Some(data) = this.kind.changed(data) {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.kind {
            Kind::Truncate(0) => true,
            Kind::Cut(0) | Kind::VmDies(0, _) => false,
            _ => self.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        match (&self.kind, inner.exact()) {
            (Kind::Truncate(left), Some(exact)) => SizeHint::with_exact(exact.min(*left)),
            (Kind::Truncate(_) | Kind::NoExitEvent, _) => SizeHint::default(),
            _ => inner,
        }
    }
}

impl Kind {
    /// What becomes of a chunk; `None` if it is left out.
    fn changed(&mut self, mut data: Bytes) -> Option<Bytes> {
        match self {
            Self::Cut(left) | Self::Truncate(left) | Self::VmDies(left, _) => {
                let fitting = usize::try_from(*left).unwrap_or(usize::MAX);
                data.truncate(fitting);
                *left -= data.len() as u64;
            }
            Self::Corrupt(place) => {
                let length = data.len() as u64;
                match place.unwrap_or(length / 2) {
                    beyond if beyond >= length => *place = place.map(|place| place - length),
                    here => {
                        data = flipped(&data, here);
                        *self = Self::Done;
                    }
                }
            }
            // Each event is a chunk of its own.
            Self::NoExitEvent if is_exit_event(&data) => return None,
            Self::NoExitEvent | Self::Done => {}
        }
        Some(data)
    }
}

fn flipped(data: &[u8], place: u64) -> Bytes {
    let mut data = data.to_vec();
    let byte = usize::try_from(place)
        .ok()
        .and_then(|place| data.get_mut(place));
    if let Some(byte) = byte {
        *byte ^= 1;
    }
    data.into()
}

fn is_exit_event(line: &[u8]) -> bool {
    serde_json::from_slice(line).is_ok_and(|event: ExecEvent| event.t == ExecEventKind::Exit)
}

async fn kill(vm: Option<Arc<Machine>>) {
    sleep(LEAVE).await;
    if let Some(vm) = vm {
        vm.kill().await;
    }
}

/// In place of an answer.
#[derive(Debug)]
pub(crate) struct CutByFault;

impl std::fmt::Display for CutByFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for CutByFault {}

/// The routes as a service that fails where there is to be no answer: a connection is closed then,
/// which no answer can bring about.
#[derive(Clone)]
pub(crate) struct Cuttable(pub(crate) Router);

impl<B> Service<http::Request<B>> for Cuttable
where
    Router: Service<http::Request<B>, Response = Response, Error = std::convert::Infallible>,
    <Router as Service<http::Request<B>>>::Future: Send + 'static,
{
    type Response = Response;
    type Error = CutByFault;
    type Future = Pin<Box<dyn Future<Output = Result<Response, CutByFault>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CutByFault>> {
        Service::<http::Request<B>>::poll_ready(&mut self.0, cx).map_err(|never| match never {})
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let answering = self.0.call(request);
        Box::pin(async move {
            let response = answering.await.map_err(|never| match never {})?;
            match response.extensions().get::<NoAnswer>() {
                Some(NoAnswer) => Err(CutByFault),
                None => Ok(response),
            }
        })
    }
}
