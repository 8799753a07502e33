//! Deleting what must not be left behind.

use std::time::Duration;

use fastvm_api::{CallOptions, Client, Error, ErrorKind, Outcome, Result};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::exec::Run;
use crate::rescue::Rescue;

/// How long a deletion is tried.
const LIMIT: Duration = Duration::from_secs(30);

/// How long an attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);

/// How long the removal of files may take in the VM, which ends it then.
const REMOVAL_LIMIT: Duration = Duration::from_secs(30);

/// The pauses between two attempts: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What must not be left behind.
#[derive(Clone, Debug)]
pub(crate) enum Leftover {
    /// The VM of this id.
    Vm(String),
    /// The snapshot of this id.
    Snapshot(String),
    /// The import of this id, and the snapshot that it makes: it is cancelled.
    Import(String),
    /// What a transfer has put into a VM under temporary names.
    Staged { vm_id: String, paths: Vec<String> },
}

impl Leftover {
    fn noun(&self) -> &'static str {
        match self {
            Self::Vm(_) => "VM",
            Self::Snapshot(_) => "snapshot",
            Self::Import(_) => "snapshot import",
            Self::Staged { .. } => "temporary files in the VM",
        }
    }

    /// The error with the id, if it is of a VM.
    fn named_in(&self, error: Error) -> Error {
        match self {
            Self::Vm(id) | Self::Staged { vm_id: id, .. } => error.with_vm_id(id),
            Self::Snapshot(_) | Self::Import(_) => error,
        }
    }

    /// Whether another attempt can end otherwise. A conflict passes when the VM has left the state
    /// that it is in; of one that runs no commands, nobody knows when it will.
    fn may_pass(&self, error: &Error) -> bool {
        match self {
            Self::Staged { .. } if error.is_conflict() || error.kind() == ErrorKind::Command => {
                false
            }
            _ => {
                error.is_conflict()
                    || error.is_rate_limited()
                    || error.is_connect()
                    || error.outcome() == Outcome::Unknown
            }
        }
    }
}

/// Sees to it that a VM or snapshot does not outlive this value.
///
/// Dropping it deletes that in a task of the runtime that it was made in, or on a thread when that
/// runtime ends. Where there is none, in a program without async code, the feature `blocking` deletes
/// it then and there.
#[derive(Debug)]
pub(crate) struct DeleteOnDrop {
    leftover: Option<(Client, Leftover)>,
    /// The drop may happen on a thread that knows no runtime.
    runtime: Option<Handle>,
}

impl DeleteOnDrop {
    /// Of this VM.
    pub(crate) fn new(api: &Client, id: &str) -> Self {
        Self::of(api, Leftover::Vm(id.to_owned()))
    }

    pub(crate) fn of(api: &Client, leftover: Leftover) -> Self {
        Self {
            leftover: Some((api.clone(), leftover)),
            runtime: Handle::try_current().ok(),
        }
    }

    /// Leaves it.
    pub(crate) fn disarm(mut self) {
        self.leftover = None;
    }

    /// Deletes it now. Dropping the future does not stop the deletion.
    pub(crate) async fn delete(mut self) -> Result<()> {
        let Some((api, leftover)) = self.leftover.take() else {
            return Ok(());
        };
        match tokio::spawn(delete_in_any_case(api, leftover.clone())).await {
            Ok(result) => result,
            Err(cause) => {
                let noun = leftover.noun();
                let message = format!("the runtime ended before the {noun} was deleted");
                let error = leftover.named_in(Error::new(ErrorKind::Connection, message));
                Err(error.with_source(cause))
            }
        }
    }
}

impl Drop for DeleteOnDrop {
    fn drop(&mut self) {
        let runtime = Handle::try_current().ok().or_else(|| self.runtime.take());
        let Some((api, leftover)) = self.leftover.take() else {
            return;
        };
        // Nobody is left to be told of a failure.
        match runtime {
            Some(runtime) => drop(runtime.spawn(delete_in_any_case(api, leftover))),
            #[cfg(feature = "blocking")]
            None => drop(crate::blocking::drive(delete(api, leftover))),
            #[cfg(not(feature = "blocking"))]
            None => drop((api, leftover)),
        }
    }
}

/// Deletes it, on a thread if the runtime ends before that.
pub(crate) fn delete_in_any_case(
    api: Client,
    leftover: Leftover,
) -> impl Future<Output = Result<()>> + Send {
    let work = leftover.clone();
    let rescue = Rescue::new(&api, |api| delete(api, work));
    async move {
        let result = delete(api, leftover).await;
        rescue.disarm();
        result
    }
}

/// Deletes it, trying again for as long as that can help. What is gone already is deleted.
pub(crate) async fn delete(api: Client, leftover: Leftover) -> Result<()> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match attempt(&api, &leftover).await {
            Ok(()) => return Ok(()),
            Err(error) => error.with_attempts(attempts),
        };
        let wait = error.retry_after().unwrap_or(pause);
        if !leftover.may_pass(&error) || start.elapsed() + wait >= LIMIT {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt(api: &Client, leftover: &Leftover) -> Result<()> {
    let options = CallOptions::default()
        .request_timeout(ATTEMPT_LIMIT)
        .max_retries(0);
    let answer = match leftover {
        Leftover::Vm(id) => api.vms().delete(id).call_options(options).await,
        Leftover::Snapshot(id) => api.snapshots().delete(id).call_options(options).await,
        Leftover::Import(id) => return cancel(api, id, options).await,
        Leftover::Staged { vm_id, paths } => return remove(api, vm_id, paths).await,
    };
    match answer {
        Ok(answer) if answer.deleted => Ok(()),
        Ok(_) => {
            let noun = leftover.noun();
            let message = format!("the service answered that it has not deleted the {noun}");
            Err(leftover.named_in(Error::new(ErrorKind::Decode, message)))
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Cancels an import. One that was faster is deleted with its snapshot.
async fn cancel(api: &Client, id: &str, options: CallOptions) -> Result<()> {
    let imports = api.snapshot_imports();
    let ended = match imports.cancel(id).call_options(options.clone()).await {
        Ok(import) if import.snapshot_id.is_some() => {
            imports.delete(id).call_options(options).await.map(drop)
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    match ended {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// Removes files in a VM. Those of a VM that is gone have gone with it.
async fn remove(api: &Client, vm_id: &str, paths: &[String]) -> Result<()> {
    let words = ["rm", "-rf", "--"].map(str::to_owned);
    let command: Vec<String> = words.into_iter().chain(paths.iter().cloned()).collect();
    let run = Run::new(api, vm_id.to_owned(), command.into()).timeout(REMOVAL_LIMIT);
    // An answer that does not come in time is not waited for.
    match run.request_timeout(2 * REMOVAL_LIMIT).await {
        Ok(output) => output.ensure_success().map(drop),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
