//! Presign and fetch.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{FetchFileRequest, FilePresignResponse, PresignFileRequest, VmStatus};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tower_service::Service;

use super::body::{Json, Target};
use super::error::ApiError;
use super::{App, Cuttable, exec, json, object_path, storage_reads};
use crate::exec::{Ended, Event, KILLED, with_cause};
use crate::rules;
use crate::sandbox::{FileError, Sandbox};
use crate::storage::{Denied, Object};

const DEFAULT_FETCH_LIMIT: Duration = Duration::from_secs(600);

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "presignFile" => on(on_method, presign),
        "fetchFileToVm" => on(on_method, fetch),
        _ => return None,
    })
}

async fn presign(
    State(app): State<Arc<App>>,
    Target(machine): Target,
    Json(_): Json<PresignFileRequest>,
) -> Result<Response, ApiError> {
    let vm = machine.view();
    if matches!(vm.status, VmStatus::Stopped | VmStatus::Error) {
        let text = format!("the VM does not come back: {}", vm.status);
        return Err(ApiError::conflict(text));
    }
    let object = Object::new(&machine.id);
    let storage = &app.storage;
    let expires_ms = storage.expiry();
    let answer = FilePresignResponse::new(
        storage.sign(&Method::PUT, &object, expires_ms),
        storage.sign(&Method::GET, &object, expires_ms),
        i64::try_from(storage.lifetime().as_secs()).unwrap_or(i64::MAX),
        most_upload_bytes(vm.disk_gib),
    );
    Ok(json(StatusCode::OK, &answer))
}

/// The size of a VM's disk.
pub(super) fn most_upload_bytes(disk_gib: i64) -> i64 {
    disk_gib.saturating_mul(1024 * 1024 * 1024)
}

async fn fetch(
    State(app): State<Arc<App>>,
    Target(machine): Target,
    Json(request): Json<FetchFileRequest>,
) -> Result<Response, ApiError> {
    let limit = rules::time_limit(request.timeout_sec, DEFAULT_FETCH_LIMIT);
    let limit = limit.map_err(ApiError::bad_request)?;
    let target = app.storage.check_download_url(&request.url);
    let target = target.map_err(|denied| {
        ApiError::bad_request(match denied {
            Denied::Forged => "url: not a downloadUrl of this server",
            Denied::Expired => "url: expired",
        })
    })?;
    let object = Request::get(target).body(Body::empty());
    let object = object.map_err(|_| ApiError::bad_request("url: not a URL"))?;
    let sandbox = exec::running(&machine)?;

    // It goes on to its end, or to that of the VM, even if the client goes away.
    let (events, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let begin = Instant::now();
        let loading = load(&app, object, &sandbox, &request.path);
        let loaded = select! {
            biased;
            () = sandbox.ended() => return,
            loaded = timeout(limit, loading) => loaded,
        };
        let ended = ended(loaded, begin.elapsed());
        // Nobody may listen any more.
        let _ = events.send(Event::Exit(ended)).await;
    });
    exec::collected(receiver).await
}

/// Why a fetch did not work, with the exit code that `curl` has for it.
struct NotLoaded(i32, String);

const REFUSED: i32 = 22;
const CUT: i32 = 18;
const NOT_WRITTEN: i32 = 23;

/// Writes what storage answers to a file of the VM. Faults of storage happen to it as to anyone.
async fn load(
    app: &Arc<App>,
    object: Request<Body>,
    sandbox: &Sandbox,
    path: &str,
) -> Result<(), NotLoaded> {
    let cut =
        |error: &dyn Error| NotLoaded(CUT, format!("the download is cut: {}", with_cause(error)));
    let not_written = |error: FileError| NotLoaded(NOT_WRITTEN, with_cause(&error));
    let storage = Router::new().route(&object_path(), storage_reads(app));
    let answer = Cuttable(storage.with_state(Arc::clone(app))).call(object);
    let answer = answer.await.map_err(|error| cut(&error))?;
    if answer.status() != StatusCode::OK {
        let text = format!("the download is refused: {}", answer.status());
        return Err(NotLoaded(REFUSED, text));
    }
    let file = sandbox.create_file(path).await.map_err(not_written)?;
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| cut(&error))?;
        if let Ok(bytes) = frame.into_data() {
            file.write(bytes).await.map_err(not_written)?;
        }
    }
    Ok(())
}

fn ended(loaded: Result<Result<(), NotLoaded>, Elapsed>, duration: Duration) -> Ended {
    let (code, diagnostic) = match &loaded {
        Ok(Ok(())) => (0, None),
        Ok(Err(NotLoaded(code, text))) => (*code, Some(text.clone())),
        Err(_) => (KILLED, None),
    };
    Ended {
        code,
        is_timed_out: loaded.is_err(),
        duration,
        diagnostic,
    }
}
