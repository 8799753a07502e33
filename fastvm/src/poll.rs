//! Asking again and again until something is ready.

use std::time::Duration;

use fastvm_api::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep, timeout};

/// The first pause between two questions, and the least one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(30);

/// How much of the time waited so far the next pause takes: what is ready is noticed late by half of
/// that, a fraction of the wait, and a long wait costs few questions.
const PAUSE_SHARE: f64 = 0.13;

/// All waits for a state of the service's are tuned alike.
macro_rules! wait_setters {
    () => {
        /// The longest pause between two polls; 2.5 s by default. The first pauses are shorter: they
        /// start near 30 ms and grow with the time waited.
        pub fn poll_interval(mut self, interval: std::time::Duration) -> Self {
            self.wait.poll_interval = interval;
            self
        }

        /// How long to wait until it is running or ready; 300 s by default.
        pub fn wait_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.wait.timeout = timeout;
            self
        }
    };
}
pub(crate) use wait_setters;

/// What an answer says of what is waited for.
pub(crate) enum Step<T> {
    Done(T),
    /// Not yet; with the error if it was no answer.
    Wait(Option<Error>),
    Failed(Error),
}

impl<T> Step<T> {
    /// What `judge` says of the answer, if there is one.
    pub(crate) fn of<A>(answer: Result<A>, judge: impl FnOnce(A) -> Self) -> Self {
        match answer {
            Ok(answer) => judge(answer),
            Err(error) if is_final(&error) => Self::Failed(error),
            // A fault that outlasted the call's own retries may still pass before the deadline.
            Err(error) => Self::Wait(Some(error)),
        }
    }
}

/// How often to ask, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) poll_interval: Duration,
    pub(crate) timeout: Duration,
    /// The setter that makes it longer.
    pub(crate) setter: &'static str,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(2500),
            timeout: Duration::from_secs(300),
            setter: "wait_timeout",
        }
    }
}

impl Wait {
    /// Asks until a step ends it. `known` is what is known before the first question, and `late` says
    /// what is wrong when time runs out.
    pub(crate) async fn until<T, F>(
        &self,
        known: Option<Step<T>>,
        late: impl FnOnce() -> String,
        ask: impl Fn() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Step<T>>,
    {
        let start = Instant::now();
        let mut last_error = None;
        let mut step = known;
        loop {
            match step {
                Some(Step::Done(found)) => return Ok(found),
                Some(Step::Failed(error)) => return Err(error),
                Some(Step::Wait(error)) => {
                    last_error = error.or(last_error);
                    sleep(self.pause(start.elapsed())).await;
                }
                None => {}
            }
            let left = self.timeout.saturating_sub(start.elapsed());
            step = match left.is_zero() {
                true => None,
                false => timeout(left, ask()).await.ok(),
            };
            if step.is_none() {
                return Err(self.not_ready(&late(), last_error));
            }
        }
    }

    /// How long to wait until the next question; not beyond the deadline.
    fn pause(&self, waited: Duration) -> Duration {
        let pause = poll_pause(waited, self.poll_interval);
        pause.min(self.timeout.saturating_sub(waited))
    }

    fn not_ready(&self, late: &str, cause: Option<Error>) -> Error {
        let Self {
            timeout, setter, ..
        } = self;
        let message = format!("{late} after {timeout:?}: wait longer with `.{setter}(..)`");
        let error = Error::new(ErrorKind::NotReady, message);
        match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

/// The pause before the next question about something that has been waited for so long.
pub(crate) fn poll_pause(waited: Duration, longest: Duration) -> Duration {
    let growing = waited.mul_f64(PAUSE_SHARE).max(SHORTEST_PAUSE).min(longest);
    // Waits that began together do not ask together.
    growing.mul_f64(0.9 + 0.2 * fastrand::f64())
}

/// What another question will not change.
pub(crate) fn is_final(error: &Error) -> bool {
    error.is_invalid_input()
        || error.is_unauthorized()
        || error.is_forbidden()
        || error.is_not_found()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polls(boot: Duration) -> u32 {
        let wait = Wait::default();
        let mut waited = Duration::ZERO;
        let mut polls = 0;
        while waited < boot {
            let pause = wait.pause(waited);
            // The deadline leaves no pause: the wait is over.
            if pause.is_zero() {
                break;
            }
            waited += pause;
            polls += 1;
        }
        polls
    }

    #[test]
    fn a_short_boot_is_noticed_soon_and_a_long_one_costs_few_polls() {
        assert!(polls(Duration::from_millis(100)) <= 5);
        assert!(polls(Duration::from_secs(3)) <= 30);
        assert!(polls(Duration::from_secs(300)) <= 180);
    }

    #[test]
    fn pauses_stay_below_the_poll_interval() {
        let wait = Wait {
            poll_interval: Duration::from_millis(100),
            ..Wait::default()
        };
        assert!(wait.pause(Duration::from_secs(60)) <= Duration::from_millis(110));
    }
}
