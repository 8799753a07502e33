//! Signed storage: PUT and GET of one object.

use std::io::{self, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use http_body_util::BodyExt;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::App;
use super::body::{content_length, drain};
use super::error::ApiError;
use super::files::most_upload_bytes;
use crate::imports::{CONTEXTS, MOST_CONTEXT_BYTES};
use crate::storage::{self, Denied, Object, Signed};

const READ_BYTES: usize = 256 * 1024;

fn check(
    app: &App,
    method: &Method,
    (vm_id, key): (String, String),
    query: Option<&str>,
) -> Result<Object, ApiError> {
    let object = Object { vm_id, key };
    let signed = Signed::parse(query.unwrap_or_default());
    app.storage
        .check(method, &object, &signed)
        .map_err(|denied| {
            let text = match denied {
                Denied::Forged => "this URL is not signed for this request",
                Denied::Expired => "this URL has expired",
            };
            ApiError::new(StatusCode::FORBIDDEN, text)
        })?;
    Ok(object)
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(object): Path<(String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let admitted = check(&app, &Method::PUT, object, query.as_deref()).and_then(|object| {
        let most = most_bytes(&app, &object)?;
        match content_length(&headers) {
            Some(length) if length > most => Err(too_large(most)),
            _ => Ok((object, most)),
        }
    });
    match admitted {
        Ok((object, most)) => store(&app, &object, &headers, body, most).await,
        Err(refusal) => {
            drain(&headers, body).await;
            Err(refusal)
        }
    }
}

/// How much may be put there, if something may.
fn most_bytes(app: &App, object: &Object) -> Result<u64, ApiError> {
    if object.vm_id == CONTEXTS {
        let is_expected = app.imports.expects(object);
        let gone = || ApiError::not_found("build context: it was used or has expired");
        return is_expected.then_some(MOST_CONTEXT_BYTES).ok_or_else(gone);
    }
    let machine = app.vms.get(&object.vm_id);
    let machine = machine.ok_or_else(ApiError::no_such_vm)?;
    Ok(most_upload_bytes(machine.view().disk_gib).unsigned_abs())
}

fn too_large(most: u64) -> ApiError {
    let text = format!("more than the {most} bytes that this URL allows");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}

async fn store(
    app: &App,
    object: &Object,
    headers: &HeaderMap,
    mut body: Body,
    most: u64,
) -> Result<Response, ApiError> {
    let mut upload = app.storage.upload(object).await?;
    let mut written = 0;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| ApiError::bad_request(format!("the body is cut: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        written += data.len() as u64;
        if written > most {
            drop(upload);
            drain(headers, body).await;
            return Err(too_large(most));
        }
        upload.file.write_all(&data).await?;
    }
    let tag = upload.finish().await?;
    Ok([(ETAG, tag)].into_response())
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(object): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let object = check(&app, &Method::GET, object, query.as_deref())?;
    let opened = storage::open(&app.storage.path_of(&object)).await?;
    let (file, metadata) =
        opened.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, "nothing was put here"))?;
    let (size, tag) = (metadata.len(), storage::entity_tag(&metadata)?);
    if text(&headers, IF_NONE_MATCH).is_some_and(|tags| lists(tags, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let asked = match text(&headers, IF_RANGE) {
        Some(only_of) if only_of != tag => None,
        _ => text(&headers, RANGE),
    };
    let (status, part) = match asked.and_then(|asked| range(asked, size)) {
        None => (StatusCode::OK, 0..size),
        Some(Ok(part)) => (StatusCode::PARTIAL_CONTENT, part),
        Some(Err(Unsatisfiable)) => {
            let refusal = ApiError::from(StatusCode::RANGE_NOT_SATISFIABLE);
            return Ok(([(CONTENT_RANGE, format!("bytes */{size}"))], refusal).into_response());
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, part.end - part.start)
        .header(ACCEPT_RANGES, "bytes")
        .header(ETAG, tag);
    if status == StatusCode::PARTIAL_CONTENT {
        let (first, last) = (part.start, part.end - 1);
        response = response.header(CONTENT_RANGE, format!("bytes {first}-{last}/{size}"));
    }
    let body = read(file, part).await?;
    response
        .body(body)
        .map_err(|error| ApiError::internal(&error))
}

async fn read(mut file: File, part: Range<u64>) -> io::Result<Body> {
    file.seek(SeekFrom::Start(part.start)).await?;
    file.set_max_buf_size(READ_BYTES);
    let part = file.take(part.end - part.start);
    Ok(Body::from_stream(ReaderStream::with_capacity(
        part, READ_BYTES,
    )))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a list of entity tags has this one.
fn lists(tags: &str, tag: &str) -> bool {
    let mut tags = tags
        .split(',')
        .map(|one| one.trim().trim_start_matches("W/"));
    tags.any(|one| one == "*" || one == tag)
}

#[derive(Debug, PartialEq, Eq)]
struct Unsatisfiable;

/// The part of an object that a `Range` header asks for. `None` if it is of a form to be ignored:
/// other units, several parts.
fn range(header: &str, size: u64) -> Option<Result<Range<u64>, Unsatisfiable>> {
    let (first, last) = header.strip_prefix("bytes=")?.trim().split_once('-')?;
    let part = match (first, last) {
        ("", suffix) => {
            let suffix: u64 = suffix.parse().ok()?;
            size.saturating_sub(suffix)..size
        }
        (first, "") => first.parse().ok()?..size,
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some(if part.is_empty() {
        Err(Unsatisfiable)
    } else {
        Ok(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_object() {
        assert_eq!(range("bytes=0-4", 10), Some(Ok(0..5)));
        assert_eq!(range("bytes=4-", 10), Some(Ok(4..10)));
        assert_eq!(range("bytes=-3", 10), Some(Ok(7..10)));
        assert_eq!(range("bytes=-30", 10), Some(Ok(0..10)));
        assert_eq!(range("bytes=4-400", 10), Some(Ok(4..10)));
        assert_eq!(range("bytes=10-", 10), Some(Err(Unsatisfiable)));
        assert_eq!(range("bytes=-0", 10), Some(Err(Unsatisfiable)));
        for ignored in [
            "bytes=5-4",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=",
            "bytes=a-b",
        ] {
            assert_eq!(range(ignored, 10), None, "{ignored}");
        }
    }
}
