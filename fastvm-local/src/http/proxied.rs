//! Requests for services of VMs, told from those of the API by their host name.

use std::sync::Arc;

use axum::response::Response;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::Service;

use super::App;
use super::error::ApiError;
use super::log::Line;
use crate::exec::with_cause;
use crate::proxy::{self, Ends, NotForwarded, Target};

/// Has a service answer a request, or else the API. A service asks for no API key.
pub(crate) async fn service_or<S>(
    api: S,
    app: Arc<App>,
    ends: Ends,
    request: Request<Incoming>,
) -> Result<Response, S::Error>
where
    S: Service<Request<Incoming>, Response = Response>,
{
    let Some(target) = Target::of(&request) else {
        return api.call(request).await;
    };
    let mut line = Line::of(&request);
    let forwarded = forward(&app, &target, ends, request).await;
    let response = forwarded.unwrap_or_else(Response::from);
    line.status = Some(response.status());
    line.vm = target.vm_id;
    Ok(response)
}

async fn forward(
    app: &App,
    target: &Target,
    ends: Ends,
    request: Request<Incoming>,
) -> Result<Response, ApiError> {
    let no_such_service = || ApiError::not_found("service");
    let machine = app.vms.get(&target.vm_id).ok_or_else(no_such_service)?;
    let services = machine.services();
    let service = services.get(&target.service).ok_or_else(no_such_service)?;
    machine.running().map_err(|status| {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the VM is {status}"),
        )
    })?;
    let gone = machine.gone();
    drop(machine);
    Ok(proxy::forward(request, service, ends, gone).await?)
}

impl From<NotForwarded> for ApiError {
    fn from(error: NotForwarded) -> Self {
        let status = match error {
            NotForwarded::Invalid(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, with_cause(&error))
    }
}
