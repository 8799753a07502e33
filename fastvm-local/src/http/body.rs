//! What requests carry: a JSON body, and the VM in the path.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::App;
use super::error::ApiError;
use crate::vms::Machine;

const MOST_JSON_BYTES: u64 = 16 * 1024 * 1024;

/// How much of a refused body is read, and how long: a client that is still sending would see a
/// broken connection and not the answer.
const MOST_DRAINED_BYTES: usize = 64 * 1024 * 1024;
const MOST_DRAINED_TIME: Duration = Duration::from_secs(2);

/// A JSON body, checked against its type.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        check_content_type(&parts.headers)?;
        let body = read(&parts.headers, body).await?;
        parse(&body).map(Self)
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = given.to_str().unwrap_or_default().split(';').next();
    let essence = essence.unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "the content type is {essence:?}, not \"application/json\""
    )))
}

async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, ApiError> {
    let too_large = || {
        let text = format!("the body has more than {MOST_JSON_BYTES} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    if content_length(headers).is_some_and(|length| length > MOST_JSON_BYTES) {
        drain(headers, body).await;
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
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

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // Else a list would pass for an object whose fields are all left out.
    if body
        .trim_ascii_start()
        .first()
        .is_some_and(|first| *first == b'[')
    {
        return Err(ApiError::bad_request(
            "the body is not as expected: a list, not an object",
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        ApiError::bad_request(match path.as_str() {
            "." => format!("the body is not as expected: {inner}"),
            path => format!("{path}: {inner}"),
        })
    })?;
    json.end()
        .map_err(|error| ApiError::bad_request(format!("the body is not as expected: {error}")))?;
    Ok(parsed)
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

/// The VM that a path names.
pub(super) struct Target(pub(super) Arc<Machine>);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let id = Path::<String>::from_request_parts(parts, app).await;
        let id = id.map_err(|_| ApiError::no_such_vm())?;
        app.vms.get(&id).map(Self).ok_or_else(ApiError::no_such_vm)
    }
}
