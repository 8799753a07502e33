//! SSH keys of the user.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{AddSshKeyRequest, DeleteResponse, SshKeyListResponse};
use http::StatusCode;

use super::body::Json;
use super::error::ApiError;
use super::{App, json};
use crate::ssh_keys::NotAdded;

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "listSshKeys" => on(on_method, list),
        "addSshKey" => on(on_method, add),
        "deleteSshKey" => on(on_method, delete),
        _ => return None,
    })
}

async fn list(State(app): State<Arc<App>>) -> Response {
    json(
        StatusCode::OK,
        &SshKeyListResponse::new(app.ssh_keys.list()),
    )
}

async fn add(
    State(app): State<Arc<App>>,
    Json(request): Json<AddSshKeyRequest>,
) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &app.ssh_keys.add(&request)?))
}

async fn delete(
    State(app): State<Arc<App>>,
    fingerprint: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let no_such_key = || ApiError::not_found("SSH key");
    let Path(fingerprint) = fingerprint.map_err(|_| no_such_key())?;
    let removed = app.ssh_keys.remove(&fingerprint)?;
    let key = removed.ok_or_else(no_such_key)?;
    Ok(json(
        StatusCode::OK,
        &DeleteResponse::new(key.fingerprint, true),
    ))
}

impl From<NotAdded> for ApiError {
    fn from(error: NotAdded) -> Self {
        match error {
            NotAdded::Invalid(_) => Self::bad_request(error.to_string()),
            NotAdded::Exists | NotAdded::TooMany => Self::conflict(error.to_string()),
            NotAdded::Io(error) => error.into(),
        }
    }
}
