//! When a call may be sent again, and after what pause.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fastvm_api::{Error, ErrorKind, Operation, Outcome};

/// How calls are repeated after a fault that may pass.
///
/// Which calls may be repeated is not up to a policy: what is not safe to send twice is repeated only
/// if it provably never left, see [`Error::outcome`](crate::Error::outcome).
///
/// ```
/// # use std::time::Duration;
/// let mut retries = fastvm::RetryPolicy::default();
/// retries.max_retries = 5;
/// retries.longest_backoff = Duration::from_secs(30);
/// let client = fastvm::Client::builder().api_key("key").retry(retries).build()?;
/// # let _ = client;
/// # Ok::<(), fastvm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often a call may be repeated; 2 by default, so that it is sent 3 times at most.
    pub max_retries: u32,
    /// The longest pause before the first repeat; 0.5 s by default. It doubles with each repeat, and
    /// each pause is a random part of it, so that clients that failed together do not come back
    /// together.
    pub first_backoff: Duration,
    /// What that grows up to; 8 s by default.
    pub longest_backoff: Duration,
    /// The longest pause that the service may ask for (`retry-after-ms`, `Retry-After`); 60 s by
    /// default. A call that it asks to wait longer for is not repeated: the error says how long.
    pub longest_retry_after: Duration,
    /// How many repeats all calls of a client may make together before calls succeed again; 100 by
    /// default. Each success gives a fifth of a repeat back, up to this. So an outage is not
    /// answered by a storm.
    pub budget: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 2,
            first_backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(8),
            longest_retry_after: Duration::from_secs(60),
            budget: 100,
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
            Some(asked) => (asked <= self.longest_retry_after).then_some(asked),
            None => {
                let longest = self
                    .first_backoff
                    .saturating_mul(1 << (attempt - 1).min(16))
                    .min(self.longest_backoff);
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
        _ => operation.is_repeatable && error.is_transient(),
    }
}

/// What all calls of a client may spend on repeats.
#[derive(Debug)]
pub(crate) struct Budget {
    full: u32,
    left: AtomicU32,
}

impl Budget {
    /// What a repeat costs, in successes.
    const COST: u32 = 5;

    pub(crate) fn new(repeats: u32) -> Self {
        let full = repeats.saturating_mul(Self::COST);
        Self {
            full,
            left: AtomicU32::new(full),
        }
    }

    /// Takes what a repeat costs, if it is there.
    pub(crate) fn spend(&self) -> bool {
        let take = |left: u32| left.checked_sub(Self::COST);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// Each success earns a little back.
    pub(crate) fn earn(&self) {
        // Most often it is full: reading it costs less than writing it.
        if self.left.load(Ordering::Relaxed) < self.full {
            let give = |left: u32| (left < self.full).then_some(left + 1);
            let _ = self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, give);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastvm_api::operations::{EXEC_VM, GET_VM};
    use http::{HeaderMap, StatusCode};

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
        let budget = Budget::new(100);
        assert!((0..100).all(|_| budget.spend()));
        assert!(!budget.spend());
        (0..5).for_each(|_| budget.earn());
        assert!(budget.spend());
    }
}
