//! Quotas, pricing, health: what is not about a resource.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{
    ComputePricing, HealthResponse, OrgQuotaUsage, PricingResponse, PricingTier,
    VolumeStoragePricing,
};
use http::StatusCode;

use super::{App, ORG_ID, json};

/// Example prices: what this server runs costs nothing. Where each tier ends, in vCPU-hours, and its
/// rate in US dollars.
const COMPUTE: [(Option<u32>, &str); 3] = [
    (Some(1_000), "0.09"),
    (Some(10_000), "0.08"),
    (None, "0.07"),
];
const VOLUME_GIB_MONTH: &str = "0.10";

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "getHealth" => on(on_method, health),
        "getPricing" => on(on_method, pricing),
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

async fn pricing() -> Response {
    let compute = ComputePricing::new(tiers());
    let volumes = VolumeStoragePricing::new(VOLUME_GIB_MONTH);
    json(StatusCode::OK, &PricingResponse::new(compute, volumes))
}

/// Both limits of a tier are within it, so each begins one vCPU-hour after the end of the last.
fn tiers() -> Vec<PricingTier> {
    let mut from = 0.0;
    let mut tiers = Vec::new();
    for (number, (end, rate)) in (1..).zip(COMPUTE) {
        let end = end.map(f64::from);
        tiers.push(PricingTier::new(number, from, end, rate));
        from = end.unwrap_or_default() + 1.0;
    }
    tiers
}
