//! The one error answer: a status and `{"error": "<text>"}`.

use std::error::Error;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::exec::with_cause;
use crate::quota::QuotaExceeded;
use crate::sandbox::{ExecError, LaunchError, MountError};
use crate::vms::{NotChanged, NotLaunched};

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    text: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn conflict(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    pub(super) fn not_available(what: &str) -> Self {
        let text = format!("{what} is not available on the local server yet");
        Self::new(StatusCode::NOT_IMPLEMENTED, text)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no such {what}"))
    }

    pub(super) fn no_such_vm() -> Self {
        Self::not_found("VM")
    }

    /// The VM ended under a command, which may have done anything by then.
    pub(super) fn vm_ended() -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "the VM ended while the command ran",
        )
    }

    pub(super) fn internal(error: &dyn Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, with_cause(error))
    }
}

impl From<StatusCode> for ApiError {
    fn from(status: StatusCode) -> Self {
        let text = status.canonical_reason().unwrap_or("error");
        Self::new(status, text.to_ascii_lowercase())
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<QuotaExceeded> for ApiError {
    fn from(error: QuotaExceeded) -> Self {
        Self::new(StatusCode::FORBIDDEN, error.to_string())
    }
}

impl From<NotLaunched> for ApiError {
    fn from(error: NotLaunched) -> Self {
        match error {
            NotLaunched::Closed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
            }
            NotLaunched::Quota(error) => error.into(),
            NotLaunched::NotKept(error) => Self::internal(&error),
            NotLaunched::Failed(error @ LaunchError::Invalid { .. }) => {
                Self::bad_request(with_cause(&error))
            }
            NotLaunched::Failed(error) => Self::internal(&error),
        }
    }
}

impl From<NotChanged> for ApiError {
    fn from(error: NotChanged) -> Self {
        match error {
            NotChanged::Gone => Self::no_such_vm(),
            NotChanged::Status { wanted, found } => {
                Self::conflict(format!("the VM is not {wanted}: {found}"))
            }
            NotChanged::NoTtl => Self::conflict("the VM has no TTL"),
            NotChanged::Quota(error) => error.into(),
            NotChanged::Io(error) => Self::internal(&error),
        }
    }
}

impl From<MountError> for ApiError {
    fn from(error: MountError) -> Self {
        match error {
            MountError::Busy => Self::new(StatusCode::BAD_GATEWAY, "guest_umount_busy"),
            MountError::InTheWay { .. } => Self::conflict(format!("mountPath: {error}")),
            MountError::Gone => Self::conflict(error.to_string()),
            error => Self::new(StatusCode::BAD_GATEWAY, with_cause(&error)),
        }
    }
}

impl From<ExecError> for ApiError {
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::Invalid { .. } => Self::bad_request(format!("command: {error}")),
            ExecError::Frozen | ExecError::Gone => Self::conflict(error.to_string()),
            error => Self::new(StatusCode::BAD_GATEWAY, with_cause(&error)),
        }
    }
}

impl From<ApiError> for Response {
    fn from(error: ApiError) -> Self {
        super::json(error.status, &json!({ "error": error.text }))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.into()
    }
}
