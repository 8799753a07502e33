//! When a transfer starts over.

use std::time::Duration;

use fastvm_api::{Client, Error, ErrorKind, Operation, Result};
use http::StatusCode;

use crate::connector::Connector;

/// What a transfer's attempt is to the retry policy: putting an object, or getting one, changes
/// nothing by being done twice.
static ATTEMPT: Operation = {
    let mut operation = Operation::storage("transfer", "");
    operation.is_repeatable = true;
    operation
};

/// The attempts of a transfer. They follow the client's retry policy, and each begins with fresh
/// signed URLs.
#[derive(Debug)]
pub(super) struct Attempts {
    api: Client,
    max_retries: Option<u32>,
    failed: u32,
    is_renewed: bool,
}

impl Attempts {
    pub(super) fn new(api: &Client, max_retries: Option<u32>) -> Self {
        Self {
            api: api.clone(),
            max_retries,
            failed: 0,
            is_renewed: false,
        }
    }

    /// Waits until the next attempt is due, or gives the error back if there is to be none.
    pub(super) async fn after(&mut self, error: Error) -> Result<()> {
        match self.pause(&error) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(error.with_attempts(self.failed)),
        }
    }

    /// Counts a failed attempt; the pause before the next, or `None` if there is to be none.
    pub(super) fn pause(&mut self, error: &Error) -> Option<Duration> {
        self.failed += 1;
        if self.is_expired(error) {
            return Some(Duration::ZERO);
        }
        Connector::of(&self.api)?.pause_before_repeat(
            &ATTEMPT,
            error,
            self.failed,
            self.max_retries,
        )
    }

    /// How many attempts have failed.
    pub(super) fn failed(&self) -> u32 {
        self.failed
    }

    /// Whether storage refuses the signed URL, for the first time: a fresh one may do.
    fn is_expired(&mut self, error: &Error) -> bool {
        let is_refused =
            error.kind() == ErrorKind::Status && error.status() == Some(StatusCode::FORBIDDEN);
        let may_repeat = self.max_retries != Some(0) && !self.is_renewed;
        self.is_renewed |= is_refused;
        is_refused && may_repeat
    }
}
