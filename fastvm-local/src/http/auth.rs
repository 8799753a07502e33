//! The API key.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use sha2::{Digest, Sha256};

use super::App;
use super::error::ApiError;

/// A digest of the key: comparing digests tells a guesser nothing by its time.
#[derive(Debug)]
pub(crate) struct ApiKey([u8; 32]);

impl ApiKey {
    pub(crate) fn new(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    fn is(&self, key: &[u8]) -> bool {
        <[u8; 32]>::from(Sha256::digest(key)) == self.0
    }
}

pub(super) async fn check_key(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match request.headers().get("x-api-key") {
        Some(key) if app.api_key.is(key.as_bytes()) => Ok(next.run(request).await),
        Some(_) => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "the API key in X-API-Key is wrong",
        )),
        None => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "the header X-API-Key is missing",
        )),
    }
}
