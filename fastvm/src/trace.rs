//! What `tracing` is told of a call: a span from its first attempt to its answer, and an event for
//! each repeat. Costs a check of a flag when nobody listens.

use std::time::{Duration, Instant};

use fastvm_api::{CallInfo, Error, Result};
use reqwest::Response;
use tracing::field::{Empty, debug};
use tracing::{Span, info_span};

/// The span of a call that is being made, and since when.
pub(crate) struct Trace {
    pub(crate) span: Span,
    start: Option<Instant>,
}

impl Trace {
    pub(crate) fn begin(call: &CallInfo) -> Self {
        let span = info_span!(
            target: "fastvm",
            "call",
            operation = call.operation().id,
            vm_id = call.vm_id(),
            status = Empty,
            attempts = Empty,
            duration_ms = Empty,
            error = Empty,
            outcome = Empty,
        );
        let start = (!span.is_disabled()).then(Instant::now);
        Self { span, start }
    }

    pub(crate) fn end(&self, answer: &Result<Response>, attempts: u32) {
        let Some(start) = self.start else {
            return;
        };
        let span = &self.span;
        let status = match answer {
            Ok(response) => Some(response.status()),
            Err(error) => error.status(),
        };
        span.record("status", status.map(|status| status.as_u16()));
        span.record("attempts", attempts);
        span.record("duration_ms", start.elapsed().as_secs_f64() * 1e3);
        match answer {
            Ok(_) => tracing::debug!(target: "fastvm", parent: span, "answered"),
            Err(error) => {
                span.record("error", debug(error.kind()));
                span.record("outcome", debug(error.outcome()));
                tracing::debug!(target: "fastvm", parent: span, reason = %error, "failed");
            }
        }
    }
}

/// A failed attempt that is followed by another.
pub(crate) fn repeat(attempt: u32, pause: Duration, error: &Error) {
    let pause_ms = pause.as_secs_f64() * 1e3;
    tracing::info!(target: "fastvm", attempt, pause_ms, reason = %error, "will be repeated");
}

/// A failed attempt that would be followed by another if the client's budget for those were not
/// spent.
pub(crate) fn budget_spent(attempt: u32) {
    tracing::warn!(target: "fastvm", attempt, "not repeated: the budget for repeats is spent");
}
