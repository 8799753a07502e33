//! Services of VMs.

use std::sync::Arc;

use axum::extract::Path;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{RegisterServiceRequest, Service, UpdateServiceRequest, VmStatus};
use http::StatusCode;

use super::body::{Json, Target};
use super::error::ApiError;
use super::{App, json};
use crate::services::{NotRegistered, check_name};
use crate::vms::Machine;

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "listServices" => on(on_method, list),
        "registerService" => on(on_method, register),
        "updateService" => on(on_method, update),
        "deleteService" => on(on_method, delete),
        _ => return None,
    })
}

async fn list(Target(machine): Target) -> Response {
    let services = machine.services();
    json(StatusCode::OK, &services.iter().collect::<Vec<_>>())
}

async fn register(
    Target(machine): Target,
    Json(request): Json<RegisterServiceRequest>,
) -> Result<Response, ApiError> {
    check_status(&machine)?;
    let service = Service::new(request.name, request.port, request.h2c.unwrap_or(false));
    let service = machine.change_services(|services| services.register(service))?;
    Ok(json(StatusCode::CREATED, &service))
}

async fn update(
    Target(machine): Target,
    Path((_, name)): Path<(String, String)>,
    Json(request): Json<UpdateServiceRequest>,
) -> Result<Response, ApiError> {
    check_status(&machine)?;
    let service = Service::new(name, request.port, request.h2c.unwrap_or(false));
    let service = machine.change_services(|services| services.put(service))?;
    Ok(json(StatusCode::OK, &service))
}

async fn delete(
    Target(machine): Target,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    check_name(&name)?;
    machine.change_services(|services| services.remove(&name));
    Ok(StatusCode::NO_CONTENT)
}

/// A VM that will not run again has no use for a service.
fn check_status(machine: &Machine) -> Result<(), ApiError> {
    let status = machine.status();
    match status {
        VmStatus::Stopped | VmStatus::Error | VmStatus::Deleting => {
            Err(ApiError::conflict(format!("the VM is {status}")))
        }
        _ => Ok(()),
    }
}

impl From<NotRegistered> for ApiError {
    fn from(error: NotRegistered) -> Self {
        match error {
            NotRegistered::Invalid(text) => Self::bad_request(text),
            NotRegistered::Taken(_) | NotRegistered::TooMany => Self::conflict(error.to_string()),
        }
    }
}
