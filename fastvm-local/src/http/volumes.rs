//! Volumes, and their attachment to VMs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{
    AttachVolumeRequest, CreateVolumeRequest, DeleteResponse, DetachVolumeResponse,
    UpdateVolumeRequest,
};
use http::StatusCode;

use super::body::{Json, Target};
use super::error::ApiError;
use super::{App, ORG_ID, json};
use crate::volumes::Refused;

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "listVolumes" => on(on_method, list),
        "createVolume" => on(on_method, create),
        "getVolume" => on(on_method, retrieve),
        "updateVolume" => on(on_method, update),
        "deleteVolume" => on(on_method, delete),
        "attachVolume" => on(on_method, attach),
        "detachVolume" => on(on_method, detach),
        "listVolumeAttachments" => on(on_method, attachments),
        _ => return None,
    })
}

async fn list(State(app): State<Arc<App>>) -> Response {
    json(StatusCode::OK, &app.volumes.list(&app.vms).await)
}

async fn create(
    State(app): State<Arc<App>>,
    Json(request): Json<CreateVolumeRequest>,
) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &app.volumes.create(request, ORG_ID)?))
}

async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    Ok(json(
        StatusCode::OK,
        &app.volumes.view(&id, &app.vms).await?,
    ))
}

async fn update(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(request): Json<UpdateVolumeRequest>,
) -> Result<Response, ApiError> {
    app.volumes.update(&id, request).await?;
    Ok(json(
        StatusCode::OK,
        &app.volumes.view(&id, &app.vms).await?,
    ))
}

async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    app.volumes.delete(&id, &app.vms).await?;
    Ok(json(StatusCode::OK, &DeleteResponse::new(id, true)))
}

async fn attachments(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    Ok(json(
        StatusCode::OK,
        &app.volumes.attachments(&id, &app.vms)?,
    ))
}

async fn attach(
    State(app): State<Arc<App>>,
    Target(machine): Target,
    Json(request): Json<AttachVolumeRequest>,
) -> Result<Response, ApiError> {
    Ok(json(
        StatusCode::OK,
        &app.volumes.attach(&machine, request).await?,
    ))
}

async fn detach(
    State(app): State<Arc<App>>,
    Path((vm, volume)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let machine = app.vms.get(&vm).ok_or_else(ApiError::no_such_vm)?;
    app.volumes.detach(&machine, &volume).await?;
    Ok(json(StatusCode::OK, &DetachVolumeResponse::new(true)))
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Vm(error) => return error.into(),
            Refused::Quota(error) => return error.into(),
            Refused::Io(error) => return error.into(),
            Refused::Mount(error) => return error.into(),
            Refused::Invalid(_) => StatusCode::BAD_REQUEST,
            Refused::NoSuchVolume | Refused::NotAttached => StatusCode::NOT_FOUND,
            Refused::NotReady | Refused::Conflict(_) => StatusCode::CONFLICT,
        };
        Self::new(status, refused.to_string())
    }
}
