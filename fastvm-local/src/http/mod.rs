//! The API over HTTP: which operation is answered by which handler.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, get, on, put};
use fastvm_api::Operation;
use http::{Method, StatusCode};

use crate::bucket_mounts::Buckets;
use crate::check::Check;
use crate::console::Consoles;
use crate::faults::{Faults, STORAGE_GET, STORAGE_PUT};
use crate::imports::Imports;
use crate::quota::Ledger;
use crate::snapshots::Snapshots;
use crate::ssh_keys::SshKeys;
use crate::storage::{PREFIX, Storage};
use crate::vms::Vms;
use crate::volumes::Volumes;

mod auth;
mod body;
mod bucket_mounts;
mod console;
mod error;
mod exec;
mod faults;
mod files;
mod firewall;
mod log;
mod org;
mod proxied;
mod query;
mod services;
mod snapshot_imports;
mod snapshots;
mod ssh_keys;
mod storage;
mod vms;
mod volumes;

pub(crate) use auth::ApiKey;
use error::ApiError;
pub(crate) use faults::Cuttable;
pub(crate) use proxied::service_or;

/// The one org that there is.
pub(crate) const ORG_ID: &str = "org_local";

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) vms: Arc<Vms>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) buckets: Arc<Buckets>,
    pub(crate) consoles: Consoles,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) imports: Arc<Imports>,
    pub(crate) storage: Storage,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) ssh_keys: SshKeys,
    pub(crate) faults: Faults,
    pub(crate) api_key: ApiKey,
}

/// What answers an operation, if this server has it. Each module knows its own.
fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    [
        vms::handler,
        exec::handler,
        console::handler,
        firewall::handler,
        services::handler,
        files::handler,
        volumes::handler,
        bucket_mounts::handler,
        ssh_keys::handler,
        snapshots::handler,
        snapshot_imports::handler,
        org::handler,
    ]
    .into_iter()
    .find_map(|handler| handler(operation, on_method))
}

/// The operations of the API that are answered with 501.
pub(crate) fn not_available() -> Vec<&'static str> {
    operations()
        .filter(|(operation, method)| handler(operation.id, *method).is_none())
        .map(|(operation, _)| operation.id)
        .collect()
}

/// Every operation of the API, once, and its method.
fn operations() -> impl Iterator<Item = (&'static Operation, MethodFilter)> {
    let mut seen = HashSet::new();
    fastvm_api::operations::ALL
        .iter()
        .copied()
        .filter(move |operation| seen.insert((operation.method, operation.path)))
        .filter_map(|operation| {
            let method: Method = operation.method.parse().ok()?;
            Some((operation, MethodFilter::try_from(method).ok()?))
        })
}

fn with_faults(
    app: &Arc<App>,
    operation: &'static str,
    route: MethodRouter<Arc<App>>,
) -> MethodRouter<Arc<App>> {
    let state = (Arc::clone(app), operation);
    route.route_layer(from_fn_with_state(state, faults::apply))
}

/// Reads of signed storage.
fn storage_reads(app: &Arc<App>) -> MethodRouter<Arc<App>> {
    with_faults(app, STORAGE_GET, get(storage::get))
}

/// The path of an object in signed storage.
fn object_path() -> String {
    format!("{PREFIX}/{{vm_id}}/{{key}}")
}

/// All routes: those of the API's table, signed storage, and the sockets of consoles.
pub(crate) fn router(app: Arc<App>) -> Router {
    let check_key = from_fn_with_state(Arc::clone(&app), auth::check_key);
    let mut routes: HashMap<String, MethodRouter<Arc<App>>> = HashMap::new();
    for (operation, on_method) in operations() {
        let mut route = handler(operation.id, on_method).unwrap_or_else(|| {
            on(on_method, || async {
                ApiError::not_available(operation.id)
            })
        });
        if let Some(check) = Check::of(operation.method, operation.path) {
            route = route.route_layer(from_fn_with_state(check, body::check));
        }
        route = with_faults(&app, operation.id, route);
        if operation.needs_key {
            route = route.route_layer(check_key.clone());
        }
        let path = unnamed_parameters(operation.path);
        let known = routes.remove(&path).unwrap_or_default();
        routes.insert(path, known.merge(route));
    }
    let wrong_method =
        (|| async { ApiError::from(StatusCode::METHOD_NOT_ALLOWED) }).layer(check_key.clone());
    let unknown_path = unknown_path.layer(check_key.clone());
    let mut router = Router::new();
    for (path, route) in routes {
        router = router.route(&path, route.fallback(wrong_method.clone()));
    }
    let objects = storage_reads(&app)
        .merge(with_faults(&app, STORAGE_PUT, put(storage::put)))
        .fallback(|| async { ApiError::from(StatusCode::METHOD_NOT_ALLOWED) });
    let fault_routes = faults::routes(|route| {
        let route = route.route_layer(check_key.clone());
        route.fallback(wrong_method.clone())
    });
    let consoles =
        get(console::open).fallback(|| async { ApiError::from(StatusCode::METHOD_NOT_ALLOWED) });
    router
        .merge(fault_routes)
        .route(&object_path(), objects)
        .route(&unnamed_parameters(console::PATH), consoles)
        .fallback(unknown_path)
        .layer(from_fn(log::log))
        .with_state(app)
}

async fn unknown_path(request: Request) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    ApiError::new(
        StatusCode::NOT_FOUND,
        format!("no such operation: {method} {path}"),
    )
}

/// The path with its parameters numbered: the router wants equal names at equal places, and the
/// document need not have them.
fn unnamed_parameters(path: &str) -> String {
    let segments = path.split('/').enumerate().map(|(place, segment)| {
        if segment.starts_with('{') {
            format!("{{p{place}}}")
        } else {
            segment.to_owned()
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// An answer with a JSON body.
fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => {
            let mut response = Response::new(body.into());
            *response.status_mut() = status;
            let json = http::HeaderValue::from_static("application/json");
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, json);
            response
        }
        Err(error) => ApiError::internal(&error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_by_place() {
        assert_eq!(
            unnamed_parameters("/v1/vms/{id}/services/{name}"),
            "/v1/vms/{p3}/services/{p5}"
        );
    }
}
