//! Quotas, pricing, health: what is not about a resource.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{HealthResponse, OrgQuotaUsage};
use http::StatusCode;

use super::{App, ORG_ID, json};

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "getHealth" => on(on_method, health),
        "getOrgQuotas" => on(on_method, quotas),
        _ => return None,
    })
}

async fn health() -> Response {
    json(StatusCode::OK, &HealthResponse::new().status("ok"))
}

async fn quotas(State(app): State<Arc<App>>) -> Response {
    let (limits, usage) = (app.ledger.limits(), app.ledger.used());
    json(
        StatusCode::OK,
        &OrgQuotaUsage::new(ORG_ID, limits.into(), usage.into()),
    )
}
