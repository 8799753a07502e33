//! Bucket mounts of VMs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{AttachBucketMountRequest, RotateBucketMountRequest};
use http::StatusCode;

use super::body::{Json, Target};
use super::error::ApiError;
use super::{App, json};
use crate::bucket_mounts::{Buckets, Refused, find};

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "listBucketMounts" => on(on_method, list),
        "attachBucketMount" => on(on_method, attach),
        "getBucketMount" => on(on_method, retrieve),
        "rotateBucketMount" => on(on_method, rotate),
        "deleteBucketMount" => on(on_method, delete),
        _ => return None,
    })
}

async fn list(Target(machine): Target) -> Response {
    json(StatusCode::OK, &machine.view().bucket_mounts)
}

async fn attach(
    State(app): State<Arc<App>>,
    Target(machine): Target,
    Json(request): Json<AttachBucketMountRequest>,
) -> Result<Response, ApiError> {
    let mount = app.buckets.attach(&machine, request).await?;
    Ok(json(StatusCode::OK, &mount))
}

async fn retrieve(
    Target(machine): Target,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &find(&machine.view(), &id)?))
}

async fn rotate(
    State(app): State<Arc<App>>,
    Target(machine): Target,
    Path((_, id)): Path<(String, String)>,
    Json(request): Json<RotateBucketMountRequest>,
) -> Result<Response, ApiError> {
    let mount = app
        .buckets
        .rotate(&machine, &id, request.credentials)
        .await?;
    Ok(json(StatusCode::OK, &mount))
}

async fn delete(
    Target(machine): Target,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    Buckets::detach(&machine, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Vm(error) => return error.into(),
            Refused::Mount(error) => return error.into(),
            Refused::Invalid(_) => StatusCode::BAD_REQUEST,
            Refused::NoSuchMount => StatusCode::NOT_FOUND,
            Refused::Conflict(_) => StatusCode::CONFLICT,
        };
        Self::new(status, refused.to_string())
    }
}
