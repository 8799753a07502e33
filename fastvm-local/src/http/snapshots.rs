//! Take, list, retrieve, rename and delete snapshots, and what a launch takes over from one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{
    AttachVolumeRequest, CreateSnapshotRequest, DeleteResponse, LaunchVmRequest,
    SkippedSnapshotVolume, UpdateSnapshotRequest,
};
use http::StatusCode;

use super::body::Json;
use super::error::ApiError;
use super::query::Filters;
use super::{App, json};
use crate::snapshots::{NotTaken, Source};

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "listSnapshots" => on(on_method, list),
        "createSnapshot" => on(on_method, create),
        "getSnapshot" => on(on_method, retrieve),
        "updateSnapshot" => on(on_method, update),
        "deleteSnapshot" => on(on_method, delete),
        _ => return None,
    })
}

async fn list(State(app): State<Arc<App>>, filters: Filters) -> Response {
    let mut snapshots = app.snapshots.list();
    snapshots.retain(|snapshot| filters.match_metadata(&snapshot.metadata));
    json(StatusCode::OK, &snapshots)
}

async fn create(
    State(app): State<Arc<App>>,
    Json(request): Json<CreateSnapshotRequest>,
) -> Result<Response, ApiError> {
    let machine = app.vms.get(&request.vm_id);
    let machine = machine.ok_or_else(ApiError::no_such_vm)?;
    let snapshot = app.snapshots.take(machine, request.name).await?;
    Ok(json(StatusCode::CREATED, &snapshot))
}

async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let snapshot = app.snapshots.get(&id).ok_or_else(no_such_snapshot)?;
    Ok(json(StatusCode::OK, &snapshot))
}

async fn update(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(request): Json<UpdateSnapshotRequest>,
) -> Result<Response, ApiError> {
    let renamed = app.snapshots.rename(&id, request.name.as_deref())?;
    Ok(json(StatusCode::OK, &renamed.ok_or_else(no_such_snapshot)?))
}

async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    if !app.snapshots.delete(&id)? {
        return Err(no_such_snapshot());
    }
    Ok(json(StatusCode::OK, &DeleteResponse::new(id, true)))
}

/// The snapshot that a launch shall start from, if it names one, and the captured volumes that it goes
/// without. The request then has what was captured wherever it says nothing itself, but for bucket
/// mounts: what was captured of these is no request, since it has no credentials.
pub(super) fn restore(
    app: &App,
    request: &mut LaunchVmRequest,
) -> Result<Option<(Source, Vec<SkippedSnapshotVolume>)>, ApiError> {
    let Some(id) = &request.snapshot_id else {
        return Ok(None);
    };
    let source = app.snapshots.source(id).ok_or_else(no_such_snapshot)?;
    let source = source.map_err(|status| {
        ApiError::conflict(format!("snapshotId: the snapshot is not ready: {status}"))
    })?;
    let captured = &source.snapshot;
    let keep = |asked: &mut Option<_>, captured: &_| {
        asked.get_or_insert_with(|| Clone::clone(captured));
    };
    keep(&mut request.metadata, &captured.metadata);
    keep(&mut request.env_vars, &captured.env_vars);
    request.disk_gib.get_or_insert(source.disk_gib);
    request.machine_type = (request.machine_type.take()).or_else(|| captured.machine_name.clone());
    request.firewall = (request.firewall.take()).or_else(|| captured.firewall.clone());
    let mut skipped = Vec::new();
    if request.volumes.is_none() {
        let mut kept = Vec::new();
        for volume in &captured.volumes {
            let (id, path) = (&volume.volume_id, &volume.mount_path);
            match app.volumes.skip_reason(volume) {
                Some(reason) => skipped.push(SkippedSnapshotVolume::new(id, path, reason)),
                None => {
                    let mut again = AttachVolumeRequest::new(id, path);
                    again.read_only = volume.read_only;
                    kept.push(again);
                }
            }
        }
        request.volumes = Some(kept);
    }
    Ok(Some((source, skipped)))
}

fn no_such_snapshot() -> ApiError {
    ApiError::not_found("snapshot")
}

impl From<NotTaken> for ApiError {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Status(status) => {
                Self::conflict(format!("the VM is neither running nor paused: {status}"))
            }
            NotTaken::Quota(error) => error.into(),
            NotTaken::Deleted => Self::conflict("the snapshot was deleted while it was taken"),
            NotTaken::Failed(error) => error.into(),
        }
    }
}
