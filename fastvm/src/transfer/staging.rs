//! What lies in a VM under a temporary name while it is put in place, and goes away whatever
//! happens.

use std::time::Duration;

use fastvm_api::{Client, Error, ErrorKind, Outcome, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::Instrument;

use crate::cleanup::{Leftover, delete, delete_in_any_case};

/// How long a failed transfer waits for the removal.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a step under way is waited for before what it has written so far is removed.
const GRACE: Duration = Duration::from_secs(2);

/// When a VM that gave no answer is looked at again; and once more, when the step has been for so
/// long past its own time limit.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// Paths in a VM that are removed unless the transfer says that they are gone. Dropped in the
/// middle, they are removed by a task, when the step that may still write them has ended at
/// the latest.
pub(crate) struct Staging {
    remains: Option<Remains>,
    /// The step, which tells whether nobody knows how far it is.
    running: Option<JoinHandle<bool>>,
    /// The drop may happen on a thread that knows no runtime.
    runtime: Option<Handle>,
}

#[derive(Clone)]
struct Remains {
    api: Client,
    what: Leftover,
    /// How long a step may go on in the VM.
    step_limit: Duration,
}

impl Staging {
    pub(crate) fn new(api: &Client, vm_id: &str, paths: Vec<String>, step_limit: Duration) -> Self {
        let vm_id = vm_id.to_owned();
        let remains = Remains {
            api: api.clone(),
            what: Leftover::Staged { vm_id, paths },
            step_limit,
        };
        Self {
            remains: Some(remains),
            running: None,
            runtime: Handle::try_current().ok(),
        }
    }

    /// Does a step in the VM. It goes on there when the caller waits no more, so it does here, too.
    pub(crate) async fn step<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let step = async move {
            let done = work.await;
            let is_unanswered = done.as_ref().is_err_and(is_unanswered);
            // Nobody waits if the transfer was dropped.
            let _ = sender.send(done);
            is_unanswered
        };
        self.running = Some(tokio::spawn(step.in_current_span()));
        let lost = |_| Error::new(ErrorKind::Transfer, "a step in the VM was lost");
        receiver.await.map_err(lost)?
    }

    /// After the last step: what failed leaves nothing, and what succeeded has left nothing.
    pub(crate) async fn settle(mut self, result: Result<()>) -> Result<()> {
        let (Err(error), Some(remains)) = (&result, self.remains.take()) else {
            return result;
        };
        if is_unanswered(error) {
            tokio::spawn(remains.clone().remove_later().in_current_span());
        }
        // In a task, so that a caller who goes now does not stop it.
        let removal = tokio::spawn(remains.remove().in_current_span());
        // The failure itself is what the caller has to know.
        let _ = timeout(REMOVAL_TIMEOUT, removal).await;
        result
    }
}

/// Whether nobody knows how far the step is.
fn is_unanswered(error: &Error) -> bool {
    error.kind() != ErrorKind::Transfer && error.outcome() == Outcome::Unknown
}

impl Drop for Staging {
    fn drop(&mut self) {
        let Some(remains) = self.remains.take() else {
            return;
        };
        let running = self.running.take();
        if let Some(runtime) = self.runtime.take() {
            runtime.spawn(remains.remove_after(running).in_current_span());
        }
    }
}

impl Remains {
    /// Nobody is to be told of a failure.
    fn remove(&self) -> impl Future<Output = ()> + Send + use<> {
        let removal = delete_in_any_case(self.api.clone(), self.what.clone());
        async move { drop(removal.await) }
    }

    /// A step whose answer is lost may be about to begin, or go on for as long as it may: what it
    /// makes after the removal goes a little later.
    async fn remove_later(self) {
        for pause in [SECOND_LOOK, self.step_limit] {
            sleep(pause).await;
            let _ = delete(self.api.clone(), self.what.clone()).await;
        }
    }

    /// When the step has ended, and before that if it takes long.
    fn remove_after(self, running: Option<JoinHandle<bool>>) -> impl Future<Output = ()> + Send {
        let last = self.remove();
        async move {
            let mut is_unanswered = false;
            if let Some(mut running) = running {
                let ended = match timeout(GRACE, &mut running).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        self.remove().await;
                        running.await
                    }
                };
                is_unanswered = ended.unwrap_or(true);
            }
            last.await;
            if is_unanswered {
                self.remove_later().await;
            }
        }
    }
}
