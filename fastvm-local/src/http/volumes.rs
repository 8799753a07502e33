//! Volumes, and their attachment to VMs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{CreateVolumeRequest, DeleteResponse, UpdateVolumeRequest};
use http::StatusCode;

use super::body::Json;
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

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(text) => Self::bad_request(text),
            Refused::NoSuchVolume => Self::not_found("volume"),
            Refused::NotReady => Self::conflict("VOL_NOT_READY"),
            Refused::Conflict(text) => Self::conflict(text),
            Refused::Quota(error) => error.into(),
            Refused::Io(error) => error.into(),
        }
    }
}
