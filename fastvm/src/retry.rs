//! When a call may be sent again, and after what pause.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fastvm_api::{Error, ErrorKind, Operation, Outcome};
use reqwest::StatusCode;

/// How calls are repeated.
#[derive(Clone, Debug)]
pub(crate) struct RetryPolicy {
    pub(crate) max_retries: u32,
    /// The longest first pause; it doubles with each attempt.
    pub(crate) base: Duration,
    pub(crate) longest: Duration,
    /// A server that asks for a longer wait than this gets no further attempt.
    pub(crate) longest_asked: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 2,
            base: Duration::from_millis(500),
            longest: Duration::from_secs(8),
            longest_asked: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// The pause before the next attempt, or `None` if there must be none.
    pub(crate) fn pause(
        &self,
        operation: &Operation,
        error: &Error,
        attempt: u32,
    ) -> Option<Duration> {
        if !may_repeat(operation, error) {
            return None;
        }
        match error.retry_after() {
            Some(asked) => (asked <= self.longest_asked).then_some(asked),
            None => {
                let longest = self
                    .base
                    .saturating_mul(1 << (attempt - 1).min(16))
                    .min(self.longest);
                // Full jitter: clients that failed together do not come back together.
                Some(longest.mul_f64(fastrand::f64()))
            }
        }
    }
}

/// Whether the failed attempt may be followed by another. What provably never left may always;
/// else the document decides by operation, and the fault must be a passing one.
fn may_repeat(operation: &Operation, error: &Error) -> bool {
    let forbidden = error
        .headers()
        .get("x-should-retry")
        .is_some_and(|value| value == "false");
    if forbidden {
        return false;
    }
    match error.kind() {
        ErrorKind::Connect => error.outcome() == Outcome::NotSent,
        ErrorKind::Connection | ErrorKind::Timeout => operation.is_repeatable,
        ErrorKind::Status => operation.is_repeatable && error.status().is_some_and(is_passing),
        _ => false,
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// What all calls of a client may spend on repeats, so that an outage is not answered by a storm.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Budget {
    const FULL: u32 = 500;
    const COST: u32 = 5;

    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(Self::FULL))
    }

    /// Takes what a repeat costs, if it is there.
    pub(crate) fn spend(&self) -> bool {
        let take = |tokens: u32| tokens.checked_sub(Self::COST);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// Each success earns a little back.
    pub(crate) fn earn(&self) {
        if self.0.load(Ordering::Relaxed) < Self::FULL {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastvm_api::operations::{EXEC_VM, GET_VM};
    use http::HeaderMap;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Error {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let status = StatusCode::from_u16(status).unwrap();
        Error::new(ErrorKind::Status, "").with_answer(status, headers.collect::<HeaderMap>())
    }

    #[test]
    fn only_passing_faults_of_repeatable_operations_are_repeated() {
        let policy = RetryPolicy::default();
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(
                policy.pause(&GET_VM, &answer(status, &[]), 1).is_some(),
                "{status}"
            );
            assert!(
                policy.pause(&EXEC_VM, &answer(status, &[]), 1).is_none(),
                "{status}"
            );
        }
        for status in [301, 400, 401, 403, 404, 409, 422, 501] {
            assert!(
                policy.pause(&GET_VM, &answer(status, &[]), 1).is_none(),
                "{status}"
            );
        }
    }

    #[test]
    fn what_never_left_is_repeated_whatever_it_is() {
        let refused = Error::new(ErrorKind::Connect, "refused");
        assert!(
            RetryPolicy::default()
                .pause(&EXEC_VM, &refused, 1)
                .is_some()
        );
        let cut = Error::new(ErrorKind::Connection, "cut");
        assert!(RetryPolicy::default().pause(&EXEC_VM, &cut, 1).is_none());
    }

    #[test]
    fn the_server_can_forbid_a_repeat_but_not_demand_one() {
        let policy = RetryPolicy::default();
        assert!(
            policy
                .pause(&GET_VM, &answer(503, &[("x-should-retry", "false")]), 1)
                .is_none()
        );
        assert!(
            policy
                .pause(&EXEC_VM, &answer(503, &[("x-should-retry", "true")]), 1)
                .is_none()
        );
        assert!(
            policy
                .pause(&GET_VM, &answer(409, &[("x-should-retry", "true")]), 1)
                .is_none()
        );
    }

    #[test]
    fn the_wait_the_server_asks_for_is_kept_up_to_a_cap() {
        let policy = RetryPolicy::default();
        let asked =
            |seconds: &str| policy.pause(&GET_VM, &answer(429, &[("retry-after", seconds)]), 1);
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("3600"), None);
    }

    #[test]
    fn pauses_grow_up_to_a_longest_one() {
        let policy = RetryPolicy::default();
        for attempt in 1..40 {
            let longest = Duration::from_millis(500 << (attempt - 1).min(4));
            let pause = policy.pause(&GET_VM, &answer(503, &[]), attempt).unwrap();
            assert!(pause <= longest, "{pause:?} after attempt {attempt}");
        }
    }

    #[test]
    fn a_spent_budget_stops_repeats_until_calls_succeed() {
        let budget = Budget::new();
        assert!((0..100).all(|_| budget.spend()));
        assert!(!budget.spend());
        (0..5).for_each(|_| budget.earn());
        assert!(budget.spend());
    }
}
