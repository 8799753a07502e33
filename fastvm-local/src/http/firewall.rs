//! Firewall policies of VMs.

use std::sync::Arc;

use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{FirewallPolicy, PatchFirewallRequest};
use http::StatusCode;

use super::body::{Json, Target};
use super::error::ApiError;
use super::{App, json};
use crate::firewall;

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "setVmFirewall" => on(on_method, set),
        "patchVmFirewall" => on(on_method, patch),
        _ => return None,
    })
}

async fn set(
    Target(machine): Target,
    Json(policy): Json<FirewallPolicy>,
) -> Result<Response, ApiError> {
    firewall::check(&policy).map_err(ApiError::bad_request)?;
    let vm = machine.change(|vm| vm.firewall = Some(policy))?;
    Ok(json(StatusCode::OK, &vm))
}

async fn patch(
    Target(machine): Target,
    Json(request): Json<PatchFirewallRequest>,
) -> Result<Response, ApiError> {
    if request == PatchFirewallRequest::new() {
        return Ok(json(StatusCode::OK, &machine.view()));
    }
    let vm = machine.try_change(|vm| {
        let policy = firewall::patched(vm.firewall.as_ref(), request);
        firewall::check(&policy).map_err(ApiError::bad_request)?;
        vm.firewall = Some(policy);
        Ok::<_, ApiError>(())
    })?;
    Ok(json(StatusCode::OK, &vm))
}
