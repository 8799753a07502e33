//! Presign and fetch.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{FetchFileRequest, FilePresignResponse, PresignFileRequest, VmStatus};
use http::{Method, StatusCode};

use super::body::{Json, Target};
use super::error::ApiError;
use super::{App, exec, json};
use crate::rules;
use crate::sandbox::ExecSpec;
use crate::storage::{Denied, Object};

const DEFAULT_FETCH_LIMIT: Duration = Duration::from_secs(600);

/// Downloads `$1` to `$2`, whatever characters that path has: `$(dirname ..)` would drop a line
/// break at the end of the folder's name.
const FETCH: &str = r#"mkdir -p -- "${2%/*}/" && exec curl -qgsSf --noproxy '*' -o "$2" -- "$1""#;

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
    app.storage
        .check_download_url(&request.url)
        .map_err(|denied| {
            ApiError::bad_request(match denied {
                Denied::Forged => "url: not a downloadUrl of this server",
                Denied::Expired => "url: expired",
            })
        })?;
    let download = ExecSpec::new(["sh", "-c", FETCH, "sh", &request.url, &request.path]);
    exec::collected(exec::start(machine, download, limit).await?).await
}
