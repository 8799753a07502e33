//! Deleting a VM that must not be left behind.

use std::time::Duration;

use fastvm_api::{Client, Error, ErrorKind, Outcome, Result};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::rescue::Rescue;

/// How long a deletion is tried.
const LIMIT: Duration = Duration::from_secs(30);

/// How long an attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);

/// The pauses between two attempts: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Sees to it that a VM does not outlive this value.
///
/// Dropping it deletes the VM in a task of the runtime that it was made in, or on a thread when that
/// runtime ends.
#[derive(Debug)]
pub(crate) struct DeleteOnDrop {
    vm: Option<(Client, String)>,
    /// The drop may happen on a thread that knows no runtime.
    runtime: Option<Handle>,
}

impl DeleteOnDrop {
    pub(crate) fn new(api: &Client, id: &str) -> Self {
        Self {
            vm: Some((api.clone(), id.to_owned())),
            runtime: Handle::try_current().ok(),
        }
    }

    /// Leaves the VM.
    pub(crate) fn disarm(mut self) {
        self.vm = None;
    }

    /// Deletes the VM now. Dropping the future does not stop the deletion.
    pub(crate) async fn delete(mut self) -> Result<()> {
        let Some((api, id)) = self.vm.take() else {
            return Ok(());
        };
        match tokio::spawn(delete_in_any_case(api, id.clone())).await {
            Ok(result) => result,
            Err(cause) => {
                let message = "the runtime ended before the VM was deleted";
                let error = Error::new(ErrorKind::Connection, message);
                Err(error.with_vm_id(id).with_source(cause))
            }
        }
    }
}

impl Drop for DeleteOnDrop {
    fn drop(&mut self) {
        let runtime = Handle::try_current().ok().or_else(|| self.runtime.take());
        if let (Some((api, id)), Some(runtime)) = (self.vm.take(), runtime) {
            // Nobody is left to be told of a failure.
            drop(runtime.spawn(delete_in_any_case(api, id)));
        }
    }
}

/// Deletes a VM, on a thread if the runtime ends before that.
fn delete_in_any_case(api: Client, id: String) -> impl Future<Output = Result<()>> + Send {
    let work = id.clone();
    let rescue = Rescue::new(&api, |api| delete(api, work));
    async move {
        let result = delete(api, id).await;
        rescue.disarm();
        result
    }
}

/// Deletes a VM, trying again for as long as that can help. One that is gone already is deleted.
pub(crate) async fn delete(api: Client, id: String) -> Result<()> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match attempt(&api, &id).await {
            Ok(()) => return Ok(()),
            Err(error) => error.with_attempts(attempts),
        };
        let wait = error.retry_after().unwrap_or(pause);
        if !may_pass(&error) || start.elapsed() + wait >= LIMIT {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt(api: &Client, id: &str) -> Result<()> {
    let deletion = api
        .vms()
        .delete(id)
        .request_timeout(ATTEMPT_LIMIT)
        .max_retries(0);
    match deletion.await {
        Ok(answer) if answer.deleted => Ok(()),
        Ok(_) => {
            let message = "the service answered that it has not deleted the VM";
            Err(Error::new(ErrorKind::Decode, message).with_vm_id(id))
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether another attempt can end otherwise. A conflict passes when the VM has left the state
/// that it is in.
fn may_pass(error: &Error) -> bool {
    error.is_conflict()
        || error.is_rate_limited()
        || error.is_connect()
        || error.outcome() == Outcome::Unknown
}
