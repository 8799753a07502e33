//! Taking a snapshot, and waiting until VMs can be launched from it.

use std::time::Duration;

use fastvm_api::types::{self, SnapshotStatus};
use fastvm_api::{Client, Error, ErrorKind, Outcome, Pending, Result, snapshots};
use tracing::Instrument;
use uuid::Uuid;

use crate::cleanup::{DeleteOnDrop, Leftover};
use crate::poll::{Step, Wait, wait_setters};
use crate::vm::Vm;

/// The pauses before each look for a snapshot whose answer was lost.
const LOOKS_MS: [u64; 4] = [0, 500, 1000, 2000];

impl Vm {
    /// Takes a snapshot of this VM, and waits until it is `ready`: [`Vms::restore`] starts VMs from
    /// it.
    ///
    /// The VM is `running` or `paused`. A paused one is captured once per pause: further calls give
    /// the first snapshot, under its name. Sends `POST /v1/snapshots`, once, then
    /// `GET /v1/snapshots/{id}` until it is ready; `client.snapshots().create(&vm.id)` does not wait.
    ///
    /// # What is left behind
    ///
    /// A snapshot that ends as `error` is deleted. One that is not ready when time runs out, or when
    /// the future is dropped, goes on being made, and is in `client.snapshots().list()`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Snapshot`] if it ends as `error`, [`ErrorKind::NotReady`] if time runs out, a 409
    /// if the VM is neither running nor paused. An error whose [`outcome`](Error::outcome) is
    /// `Unknown` if the answer was lost: a snapshot may have been made.
    ///
    /// [`Vms::restore`]: crate::Vms::restore
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// vm.run("echo prepared > /root/state").await?.ensure_success()?;
    /// let snapshot = vm.snapshot("prepared").await?;
    ///
    /// let restored = client.vms().restore(&snapshot.id).await?;
    /// assert_eq!(restored.run("cat /root/state").await?.stdout, "prepared\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot(&self, name: impl Into<String>) -> TakeSnapshot {
        TakeSnapshot {
            api: self.client().clone(),
            vm_id: self.id.clone(),
            request: self.client().snapshots().create(&self.id).name(name),
            wait: Wait::default(),
        }
    }
}

/// A snapshot to be taken: `vm.snapshot("name")`. Awaited, it gives the snapshot once it is ready.
#[derive(Clone, Debug)]
#[must_use = "no snapshot is taken until this is awaited"]
pub struct TakeSnapshot {
    api: Client,
    vm_id: String,
    request: snapshots::Create,
    wait: Wait,
}

impl TakeSnapshot {
    fastvm_api::__create_snapshot_setters!(request);
    fastvm_api::__call_options!(request);
    wait_setters!();

    async fn run(self) -> Result<types::Snapshot> {
        let taken = self.request.await.map_err(|error| {
            let error = error.with_vm_id(&self.vm_id);
            match error.outcome() {
                Outcome::Unknown => error.with_advice(
                    "a snapshot may have been made all the same: look through `snapshots().list()` before you take another",
                ),
                _ => error,
            }
        });
        until_ready(&self.api, taken?, &self.wait).await
    }
}

impl IntoFuture for TakeSnapshot {
    type Output = Result<types::Snapshot>;
    type IntoFuture = Pending<types::Snapshot>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Polls until the snapshot is ready. One that has failed is deleted.
async fn until_ready(
    api: &Client,
    snapshot: types::Snapshot,
    wait: &Wait,
) -> Result<types::Snapshot> {
    let (id, vm_id) = (snapshot.id.clone(), snapshot.vm_id.clone());
    let late = || format!("the snapshot {id} is not ready");
    let known = judge(api, snapshot).await;
    let ask = || async {
        match api.snapshots().retrieve(&id).await {
            Ok(snapshot) => judge(api, snapshot).await,
            Err(error) => Step::of(Err(error), Step::Done),
        }
    };
    let waited = wait.until(Some(known), late, ask).await;
    waited.map_err(|error| error.with_vm_id(vm_id))
}

async fn judge(api: &Client, snapshot: types::Snapshot) -> Step<types::Snapshot> {
    match snapshot.status {
        SnapshotStatus::Ready => Step::Done(snapshot),
        SnapshotStatus::Error => Step::Failed(failed(api, snapshot).await),
        // One that this version does not know counts as on its way.
        _ => Step::Wait(None),
    }
}

async fn failed(api: &Client, snapshot: types::Snapshot) -> Error {
    let id = &snapshot.id;
    let deletion = DeleteOnDrop::of(api, Leftover::Snapshot(id.clone()));
    let left = match deletion.delete().await {
        Ok(()) => String::new(),
        Err(error) => format!(" (it could not be deleted and may be left: {error})"),
    };
    let message = format!("the snapshot {id} ended as `error`: take another{left}");
    Error::new(ErrorKind::Snapshot, message).with_vm_id(snapshot.vm_id)
}

/// A snapshot that is ready, and is deleted when this goes if it was taken for this alone.
#[derive(Debug)]
pub(crate) struct Passing {
    pub(crate) id: String,
    deletion: Option<DeleteOnDrop>,
}

impl Passing {
    /// Takes one that is deleted in the end.
    pub(crate) async fn take(api: &Client, vm_id: &str, wait: &Wait) -> Result<Self> {
        let created = create_own(api.clone(), vm_id.to_owned());
        // In a task of its own, so that what it makes is seen even if this future is dropped.
        let created = tokio::spawn(created.in_current_span()).await;
        let (snapshot, passing) = created.map_err(|cause| {
            let message = "the runtime ended before the answer came";
            Error::new(ErrorKind::Connection, message).with_source(cause)
        })??;
        match until_ready(api, snapshot, wait).await {
            Ok(_) => Ok(passing),
            Err(error) => {
                passing.end().await;
                Err(error)
            }
        }
    }

    /// Takes one that stays.
    pub(crate) async fn take_to_keep(request: TakeSnapshot) -> Result<Self> {
        let snapshot = request.await?;
        Ok(Self {
            id: snapshot.id,
            deletion: None,
        })
    }

    /// Deletes it now, unless it is to stay.
    pub(crate) async fn end(self) {
        let Some(deletion) = self.deletion else {
            return;
        };
        if let Err(error) = deletion.delete().await {
            let snapshot = self.id;
            tracing::warn!(target: "fastvm", snapshot, reason = %error, "the snapshot of a fork may be left");
        }
    }
}

/// Takes a snapshot whose name tells that it is ours: a paused VM answers the one that somebody has
/// taken before, which is not to be deleted.
async fn create_own(api: Client, vm_id: String) -> Result<(types::Snapshot, Passing)> {
    let name = format!("fork-{}", Uuid::new_v4().simple());
    let snapshot = match api.snapshots().create(&vm_id).name(&name).await {
        Err(error) if error.outcome() == Outcome::Unknown => find(&api, &name)
            .await
            .ok_or_else(|| error.with_vm_id(vm_id).with_advice(format!(
                "a snapshot may have been made all the same, but was not found: look for one with the name {name}"
            )))?,
        created => created?,
    };
    let is_ours = snapshot.name == name;
    let deletion = is_ours.then(|| {
        let leftover = Leftover::Snapshot(snapshot.id.clone());
        DeleteOnDrop::of(&api, leftover)
    });
    let id = snapshot.id.clone();
    Ok((snapshot, Passing { id, deletion }))
}

/// Looks for a snapshot whose answer was lost; none if it does not show up.
async fn find(api: &Client, name: &str) -> Option<types::Snapshot> {
    for pause in LOOKS_MS {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let listed = api.snapshots().list().await.unwrap_or_default();
        let found = listed.into_iter().find(|snapshot| snapshot.name == name);
        if found.is_some() {
            return found;
        }
    }
    None
}
