//! Volumes, and their attachment to VMs.

use std::sync::Arc;

use axum::routing::{MethodFilter, MethodRouter};

use super::App;

pub(super) fn handler(_: &str, _: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    None
}
