//! What lies in a VM under a temporary name while it is put in place, and goes away whatever
//! happens.

use std::time::Duration;

use fastvm_api::{Client, Error, ErrorKind, Outcome, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::attempts::Attempts;
use crate::exec::Run;

/// How long the removal may take, and how long a failed transfer waits for it.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a step under way is waited for before what it has written so far is removed.
const GRACE: Duration = Duration::from_secs(2);

/// When a VM that gave no answer is looked at again.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// Paths in a VM that are removed unless the transfer says that they are gone. Dropped in the
/// middle, they are removed by a task, when the step that may still write them has ended at
/// the latest.
pub(crate) struct Staging {
    remains: Option<Remains>,
    running: Option<JoinHandle<()>>,
    /// The drop may happen on a thread that knows no runtime.
    runtime: Option<Handle>,
}

#[derive(Clone)]
struct Remains {
    api: Client,
    vm_id: String,
    paths: Vec<String>,
}

impl Staging {
    pub(crate) fn new(api: &Client, vm_id: &str, paths: Vec<String>) -> Self {
        let remains = Remains {
            api: api.clone(),
            vm_id: vm_id.to_owned(),
            paths,
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
            // Nobody waits if the transfer was dropped.
            let _ = sender.send(work.await);
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
            // The step may be about to begin: what it makes after the removal goes a little later.
            let remains = remains.clone();
            let later = async move {
                tokio::time::sleep(SECOND_LOOK).await;
                remains.remove().await;
            };
            tokio::spawn(later.in_current_span());
        }
        // In a task, so that a caller who goes now does not stop it.
        let removal = tokio::spawn(remains.remove().in_current_span());
        // The failure itself is what the caller has to know.
        let _ = tokio::time::timeout(REMOVAL_TIMEOUT, removal).await;
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
            let removal = async move {
                if let Some(mut running) = running
                    && tokio::time::timeout(GRACE, &mut running).await.is_err()
                {
                    remains.clone().remove().await;
                    let _ = running.await;
                }
                remains.remove().await;
            };
            runtime.spawn(removal.in_current_span());
        }
    }
}

impl Remains {
    /// Best effort, but it does no harm twice, so passing faults are ridden out.
    async fn remove(self) {
        let mut command = ["rm", "-rf", "--"].map(str::to_owned).to_vec();
        command.extend(self.paths);
        let mut attempts = Attempts::new(&self.api, None);
        loop {
            let run = Run::new(&self.api, self.vm_id.clone(), command.clone().into());
            let run = run.timeout(REMOVAL_TIMEOUT);
            // The VM ends it in time; an answer that does not come is not waited for.
            match run.request_timeout(2 * REMOVAL_TIMEOUT).await {
                Ok(_) => return,
                Err(error) => {
                    if attempts.after(error).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
