//! Snapshot imports: snapshots that are made of an image, or of what a Dockerfile builds.
//!
//! An import is a record that tells how far it has come, and a worker that brings it on. The record
//! decides: once it says that the import is over, by whatever way, the worker changes it no more and
//! leaves nothing behind.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use fastvm_api::types::{
    Snapshot, SnapshotImportEvent, SnapshotImportEventStatus as Status,
    SnapshotImportPhase as Phase, SnapshotImportResponse as Import, SnapshotImportStatus,
    SnapshotStatus,
};
use tokio::select;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exec::with_cause;
use crate::images::dockerfile::{BuildError, DockerfileSpec, build};
use crate::images::{Image, ImageError, Images, ImportEvent};
use crate::quota::{Ledger, Quota, QuotaExceeded, Share};
use crate::sandbox::Host;
use crate::snapshots::{self, NotTaken, Snapshots};
use crate::storage::{Object, Storage};
use crate::store::{Record, Store, StoreError, Table};
use crate::vms;

/// The folder of uploaded contexts among the objects. No VM has this id.
pub(crate) const CONTEXTS: &str = "contexts";

/// How large a context may be.
pub(crate) const MOST_CONTEXT_BYTES: u64 = 512 * 1024 * 1024;

/// How long after its URL a context that nobody uses is kept.
const CONTEXT_LIFETIME: Duration = Duration::from_secs(3600);

/// How many imports are worked on at a time.
const WORKERS: usize = 2;

impl Record for Import {
    const KIND: &'static str = "snapshot-imports";

    fn id(&self) -> &str {
        &self.id
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }
}

/// All imports of a server.
#[derive(Debug)]
pub(crate) struct Imports {
    table: Table<Import>,
    ledger: Arc<Ledger>,
    snapshots: Arc<Snapshots>,
    images: Arc<Images>,
    /// Where builds run.
    host: Host,
    /// How long an import stays `pending`, at least.
    delay: Duration,
    workers: Semaphore,
    /// Ends the work on an import that is not over.
    running: Mutex<HashMap<String, CancellationToken>>,
    /// The server is about to stop.
    closing: CancellationToken,
    tasks: TaskTracker,
    contexts: Mutex<HashMap<String, Context>>,
}

/// A context that may be used once.
#[derive(Debug)]
struct Context {
    object: Object,
    expires: Instant,
}

/// What an import is to be made of.
#[derive(Debug)]
pub(crate) enum Source {
    Image {
        reference: String,
        platform: Option<String>,
    },
    /// The archive is deleted when it is built.
    Dockerfile {
        archive: Archive,
        spec: DockerfileSpec,
    },
}

/// An uploaded file that is deleted when it is dropped.
#[derive(Debug)]
pub(crate) struct Archive(pub(crate) PathBuf);

impl Drop for Archive {
    fn drop(&mut self) {
        // What cannot be deleted goes with the server.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Why a context cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoContext {
    Unknown,
    NotUploaded,
}

/// Why an import was not deleted.
#[derive(Debug)]
pub(crate) enum NotDeleted {
    Missing,
    Running,
    Failed(io::Error),
}

impl From<io::Error> for NotDeleted {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Why no snapshot came of an import.
#[derive(Debug)]
enum Failure {
    /// It is over already, or the server stops.
    Over,
    Image(ImageError),
    Saving(NotTaken),
    Build(BuildError),
    Io(io::Error),
}

impl Imports {
    /// What is in the store already. The imports that a server has not brought to their end failed
    /// with it.
    pub(crate) fn load(
        store: &Arc<Store>,
        ledger: &Arc<Ledger>,
        snapshots: &Arc<Snapshots>,
        images: &Arc<Images>,
        host: &Host,
        delay: Duration,
    ) -> Result<Arc<Self>, StoreError> {
        let imports = Self {
            table: Table::load(store)?,
            ledger: Arc::clone(ledger),
            snapshots: Arc::clone(snapshots),
            images: Arc::clone(images),
            host: host.clone(),
            delay,
            workers: Semaphore::new(WORKERS),
            running: Mutex::default(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            contexts: Mutex::default(),
        };
        let unfinished = imports
            .table
            .list()
            .into_iter()
            .filter(|import| !is_over(import));
        for import in unfinished {
            imports.change(&import.id, |import| {
                let what = "the server ended before the import did".to_owned();
                end(import, SnapshotImportStatus::Failed, Some(what));
            })?;
        }
        Ok(Arc::new(imports))
    }

    pub(crate) fn get(&self, id: &str) -> Option<Import> {
        self.table.get(id)
    }

    /// All imports, the newest first.
    pub(crate) fn list(&self) -> Vec<Import> {
        let mut imports = self.table.list();
        imports.reverse();
        imports
    }

    /// The part of the quota that an import needs for its snapshot.
    pub(crate) fn take_share(&self) -> Result<Share, QuotaExceeded> {
        self.ledger.take(Quota::of_snapshot())
    }

    /// Registers an import and starts the work on it.
    pub(crate) fn create(
        self: &Arc<Self>,
        import: Import,
        source: Source,
        share: Share,
    ) -> io::Result<Import> {
        let cancel = self.closing.child_token();
        // Before it can be seen, since then it can be cancelled.
        self.running().insert(import.id.clone(), cancel.clone());
        let kept = self.table.insert(import.clone());
        kept.inspect_err(|_| drop(self.running().remove(&import.id)))?;
        let imports = Arc::clone(self);
        let id = import.id.clone();
        self.tasks.spawn(async move {
            let worked = imports.work(&id, source, share, &cancel).await;
            if let Err(failure) = worked {
                imports.fail(&id, &failure);
            }
            imports.running().remove(&id);
        });
        Ok(import)
    }

    async fn work(
        &self,
        id: &str,
        source: Source,
        share: Share,
        cancel: &CancellationToken,
    ) -> Result<(), Failure> {
        let turn = async {
            sleep(self.delay).await;
            self.workers.acquire().await
        };
        let _turn = select! {
            turn = turn => turn.map_err(|_| Failure::Over)?,
            () = cancel.cancelled() => return Err(Failure::Over),
        };
        self.step(id, |import| {
            import.status = SnapshotImportStatus::Running;
            import.started_at = Some(vms::now());
        })?;
        self.note(id, Phase::Preparing, Status::Started)?;
        self.note(id, Phase::Preparing, Status::Completed)?;
        self.note(id, Phase::Network, Status::Skipped)?;
        let image = self.image(id, source, cancel).await?;
        self.note(id, Phase::Export, Status::Skipped)?;
        self.note(id, Phase::Saving, Status::Started)?;
        let snapshot = self.save(id, image, share, cancel).await?;
        let done = self.step(id, |import| {
            log(import, Phase::Saving, Status::Completed, None);
            log(import, Phase::Warming, Status::Skipped, None);
            import.snapshot_id = Some(snapshot.id.clone());
            end(import, SnapshotImportStatus::Succeeded, None);
        });
        if done.is_err() {
            // It was cancelled at the last moment.
            self.snapshots.delete(&snapshot.id)?;
        }
        done
    }

    async fn image(
        &self,
        id: &str,
        source: Source,
        cancel: &CancellationToken,
    ) -> Result<Image, Failure> {
        match source {
            Source::Image {
                reference,
                platform,
            } => {
                self.note(id, Phase::Pull, Status::Started)?;
                let found = self
                    .images
                    .find(&reference, platform.as_deref(), cancel)
                    .await;
                let image = found.map_err(Failure::Image)?;
                self.note(id, Phase::Pull, Status::Completed)?;
                Ok(image)
            }
            Source::Dockerfile { archive, spec } => {
                let cancel = cancel.clone();
                // One that is over takes no more entries, and that is no fault of the build.
                let progress = |event: ImportEvent| {
                    let ImportEvent {
                        phase,
                        status,
                        message,
                    } = event;
                    let _ = self.step(id, |import| log(import, phase, status, message));
                };
                let (images, host) = (&self.images, &self.host);
                let built = build(&archive.0, &spec, images, host, progress, cancel).await;
                built.map_err(Failure::Build)
            }
        }
    }

    async fn save(
        &self,
        id: &str,
        image: Image,
        share: Share,
        cancel: &CancellationToken,
    ) -> Result<Snapshot, Failure> {
        let import = self.table.get(id).ok_or(Failure::Over)?;
        let mut snapshot = Snapshot::new(
            snapshots::new_id(),
            crate::http::ORG_ID,
            import.name.as_deref().unwrap_or(id),
            id,
            SnapshotStatus::Creating,
            vms::now(),
        );
        snapshot.machine_name = import.machine_name;
        let disk_gib = import.disk_gib.unwrap_or_default();
        let saved = self
            .snapshots
            .import(snapshot, disk_gib, image, share, cancel);
        saved.await.map_err(Failure::Saving)
    }

    /// Changes an import that is not over.
    fn step(&self, id: &str, change: impl FnOnce(&mut Import)) -> Result<(), Failure> {
        let changed = self.table.change(id, |import| {
            if is_over(import) {
                return Err(Failure::Over);
            }
            change(import);
            import.updated_at = Some(vms::now());
            Ok(())
        });
        changed?.map(drop).ok_or(Failure::Over)
    }

    fn note(&self, id: &str, phase: Phase, status: Status) -> Result<(), Failure> {
        self.step(id, |import| log(import, phase, status, None))
    }

    fn fail(&self, id: &str, failure: &Failure) {
        if matches!(failure, Failure::Over) || self.closing.is_cancelled() {
            return;
        }
        let failed = self.step(id, |import| {
            let what = with_cause(failure);
            end(import, SnapshotImportStatus::Failed, Some(what));
        });
        if let Err(Failure::Io(error)) = failed {
            tracing::error!(import = id, %error, "the failure of an import could not be kept");
        }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Import)) -> io::Result<Option<Import>> {
        self.table.change(id, |import| {
            if !is_over(import) {
                change(import);
                import.updated_at = Some(vms::now());
            }
            Ok(())
        })
    }

    /// Ends an import, unless it is over; how it is then, if it is there. Its worker stops soon.
    pub(crate) fn cancel(&self, id: &str) -> io::Result<Option<Import>> {
        let import = self.change(id, |import| {
            end(import, SnapshotImportStatus::Cancelled, None);
        })?;
        if let Some(worker) = self.running().get(id) {
            worker.cancel();
        }
        Ok(import)
    }

    /// Deletes an import that is over, and its snapshot.
    pub(crate) fn delete(&self, id: &str) -> Result<(), NotDeleted> {
        let import = self.table.get(id).ok_or(NotDeleted::Missing)?;
        if !is_over(&import) {
            return Err(NotDeleted::Running);
        }
        if let Some(snapshot) = &import.snapshot_id {
            self.snapshots.delete(snapshot)?;
        }
        self.table.remove(id)?.map(drop).ok_or(NotDeleted::Missing)
    }

    /// Stops all work; what is not over is left so in the records.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A place for a context, and its name. Contexts that were not used in time go.
    pub(crate) fn expect_context(&self, storage: &Storage) -> (String, Object) {
        let object = Object::new(CONTEXTS);
        let name = format!("ctx_{}", object.key);
        let now = Instant::now();
        let context = Context {
            object: object.clone(),
            expires: now + storage.lifetime() + CONTEXT_LIFETIME,
        };
        let mut contexts = self.contexts();
        contexts.retain(|_, context| {
            let is_kept = now < context.expires;
            if !is_kept {
                drop(Archive(storage.path_of(&context.object)));
            }
            is_kept
        });
        contexts.insert(name.clone(), context);
        (name, object)
    }

    /// Whether a context may be put there.
    pub(crate) fn expects(&self, object: &Object) -> bool {
        let contexts = self.contexts();
        let mut expected = contexts.values().map(|context| &context.object.key);
        expected.any(|key| *key == object.key)
    }

    /// Takes a context that was uploaded, and says how large it is. Nobody can use it again.
    pub(crate) fn take_context(
        &self,
        name: &str,
        storage: &Storage,
    ) -> Result<(Archive, u64), NoContext> {
        let mut contexts = self.contexts();
        let context = contexts.get(name).ok_or(NoContext::Unknown)?;
        let path = storage.path_of(&context.object);
        let found = std::fs::metadata(&path).map_err(|_| NoContext::NotUploaded)?;
        contexts.remove(name);
        Ok((Archive(path), found.len()))
    }

    /// No code panics while it holds one of these locks.
    fn running(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contexts(&self) -> MutexGuard<'_, HashMap<String, Context>> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(import: &Import) -> bool {
    use SnapshotImportStatus::{Cancelled, Failed, Succeeded};
    matches!(import.status, Succeeded | Failed | Cancelled)
}

fn log(import: &mut Import, phase: Phase, status: Status, message: Option<String>) {
    let mut event = SnapshotImportEvent::new(phase, status, vms::now().timestamp_millis());
    event.message = message;
    import.events.push(event);
}

/// Brings an import to its end. The step that it is in ends the same way.
fn end(import: &mut Import, status: SnapshotImportStatus, error: Option<String>) {
    let how = match status {
        SnapshotImportStatus::Succeeded => Status::Completed,
        SnapshotImportStatus::Cancelled => Status::Cancelled,
        _ => Status::Failed,
    };
    let open = import
        .events
        .last()
        .filter(|last| last.status == Status::Started);
    if let Some(phase) = open.map(|last| last.phase.clone()) {
        log(import, phase, how.clone(), error.clone());
    }
    log(import, Phase::Done, how, None);
    import.status = status;
    import.error = error;
    import.finished_at = Some(vms::now());
    import.updated_at = import.finished_at;
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over => f.write_str("the import is over"),
            Self::Image(error) => error.fmt(f),
            Self::Saving(NotTaken::Deleted) => {
                f.write_str("the snapshot was deleted while it was made")
            }
            Self::Saving(_) => f.write_str("the snapshot could not be saved"),
            Self::Io(_) => f.write_str("the import could not be kept"),
            Self::Build(error) => error.fmt(f),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Image(error) => error.source(),
            Self::Saving(NotTaken::Failed(error)) | Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
