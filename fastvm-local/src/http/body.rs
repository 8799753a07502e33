//! What requests carry: a query, a JSON body, and the VM in the path.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::App;
use super::error::ApiError;
use crate::check::{Check, Problem};
use crate::vms::Machine;

const MOST_JSON_BYTES: u64 = 16 * 1024 * 1024;

/// How much of a refused body is read, and how long: a client that is still sending would see a
/// broken connection and not the answer.
const MOST_DRAINED_BYTES: usize = 64 * 1024 * 1024;
const MOST_DRAINED_TIME: Duration = Duration::from_secs(2);

/// What the document says about the requests of a route.
#[derive(Clone, Copy)]
struct Expected(Check<'static>);

/// Checks the query of a request, and leaves what is known about its body for [`Json`].
pub(super) async fn check(
    State(check): State<Check<'static>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    check
        .query(request.uri().query().unwrap_or_default())
        .map_err(refused)?;
    request.extensions_mut().insert(Expected(check));
    Ok(next.run(request).await)
}

/// A JSON body that is as the document says; `Option<Json<T>>` where it may be left out.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, ApiError> {
        let body = json_body(request).await?;
        body.map(Self).ok_or_else(no_body)
    }
}

impl<T: DeserializeOwned> OptionalFromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Option<Self>, ApiError> {
        Ok(json_body(request).await?.map(Self))
    }
}

async fn json_body<T: DeserializeOwned>(request: Request) -> Result<Option<T>, ApiError> {
    let (parts, body) = request.into_parts();
    let check = parts.extensions.get().map(|Expected(check)| *check);
    if let Some(check) = check {
        check_content_type(&parts.headers, check)?;
    }
    let body = read(&parts.headers, body).await?;
    if body.is_empty() {
        return match check {
            Some(check) if check.needs_body() => Err(no_body()),
            _ => Ok(None),
        };
    }
    parse(body, check).map(Some)
}

fn no_body() -> ApiError {
    ApiError::bad_request("the body is missing")
}

fn refused(problem: Problem) -> ApiError {
    ApiError::bad_request(problem.to_string())
}

fn check_content_type(headers: &HeaderMap, check: Check<'_>) -> Result<(), ApiError> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = given.to_str().unwrap_or_default().split(';').next();
    let essence = essence.unwrap_or_default().trim();
    if check.takes(essence) {
        return Ok(());
    }
    let expected: Vec<_> = check.content_types().collect();
    Err(ApiError::bad_request(format!(
        "the content type is {essence:?}, not {}",
        expected.join(" or ")
    )))
}

pub(super) async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, ApiError> {
    let too_large = || {
        let text = format!("the body has more than {MOST_JSON_BYTES} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    if content_length(headers).is_some_and(|length| length > MOST_JSON_BYTES) {
        drain(headers, body).await;
        return Err(too_large());
    }
    let length = content_length(headers).and_then(|length| usize::try_from(length).ok());
    let mut bytes = BytesMut::with_capacity(length.unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| ApiError::bad_request(format!("the body is cut: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if (bytes.len() + data.len()) as u64 > MOST_JSON_BYTES {
            drain(headers, body).await;
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// No text of the body gets into a refusal: it may be a secret.
fn parse<T: DeserializeOwned>(body: Bytes, check: Option<Check<'_>>) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the body is not JSON: {error}")))?;
    drop(body);
    if let Some(check) = check {
        check.body(&value).map_err(refused)?;
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        ApiError::bad_request(match error.path().to_string().as_str() {
            "." => "the body: not as expected".to_owned(),
            path => format!("{path}: not as expected"),
        })
    })
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads on a little after a refusal, unless the client waits to be asked for the body.
pub(super) async fn drain(headers: &HeaderMap, mut body: Body) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let reading = async {
        let mut drained = 0;
        while let Some(Ok(frame)) = body.frame().await {
            drained += frame.data_ref().map_or(0, Bytes::len);
            if drained > MOST_DRAINED_BYTES {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(MOST_DRAINED_TIME, reading).await;
}

/// The VM that a path names first.
pub(super) struct Target(pub(super) Arc<Machine>);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let parameters = Path::<Vec<String>>::from_request_parts(parts, app).await;
        let Path(parameters) = parameters.map_err(|_| ApiError::no_such_vm())?;
        let machine = parameters.first().and_then(|id| app.vms.get(id));
        machine.map(Self).ok_or_else(ApiError::no_such_vm)
    }
}
