//! Snapshots: what a VM's files and settings were at a time, for new VMs to start from.
//!
//! The files of each are a folder, of which every restored VM gets a copy: none of them depends on
//! another, on the VM that was captured, or on the snapshot once it runs. Memory and processes are
//! not captured.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use fastvm_api::types::{
    Service, Snapshot, SnapshotBucketMountAttachment, SnapshotService, SnapshotStatus,
    SnapshotVolumeAttachment, Vm, VmStatus,
};
use serde::{Deserialize, Serialize};
use tokio::select;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::images::{Image, Origin};
use crate::quota::{Ledger, Quota, QuotaExceeded, Share};
use crate::rules;
use crate::sandbox::{Sandbox, Tree, remove_when_at_rest};
use crate::services::{NotRegistered, Services};
use crate::store::{Record, Store, StoreError, Table};
use crate::vms::{self, Machine, to_its_end};

/// All snapshots of a server.
#[derive(Debug)]
pub(crate) struct Snapshots {
    folder: PathBuf,
    table: Table<Kept>,
    ledger: Arc<Ledger>,
    /// What belongs to each record and cannot be written down.
    held: Mutex<HashMap<String, Held>>,
}

/// A snapshot as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    snapshot: Snapshot,
    /// Disk of the VM that was captured.
    disk_gib: i64,
    /// If the VM was paused: since when, which tells one pause from another.
    paused_at: Option<DateTime<Utc>>,
    #[serde(default)]
    origin: Origin,
}

impl Record for Kept {
    const KIND: &'static str = "snapshots";

    fn id(&self) -> &str {
        &self.snapshot.id
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.snapshot.created_at
    }
}

#[derive(Debug)]
struct Held {
    tree: Arc<Tree>,
    _share: Share,
}

/// What a restored VM starts from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) snapshot: Snapshot,
    pub(crate) disk_gib: i64,
    pub(crate) origin: Origin,
    pub(crate) tree: Arc<Tree>,
}

/// Why no snapshot was taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// The VM is neither running nor paused.
    Status(VmStatus),
    Quota(QuotaExceeded),
    /// Somebody has deleted it meanwhile.
    Deleted,
    Failed(io::Error),
}

impl From<io::Error> for NotTaken {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Snapshots {
    /// What is in the store already. What a server that was killed has left half done is swept.
    pub(crate) fn load(store: &Arc<Store>, ledger: &Arc<Ledger>) -> Result<Self, StoreError> {
        let snapshots = Self {
            folder: store.data_of(Kept::KIND)?,
            table: Table::load(store)?,
            ledger: Arc::clone(ledger),
            held: Mutex::default(),
        };
        for kept in snapshots.table.list() {
            let id = kept.snapshot.id;
            snapshots.hold(&id, ledger.take_unchecked(Quota::of_snapshot()));
            let is_whole = snapshots.place_of(&id).is_dir();
            snapshots.table.change(&id, |kept| {
                if kept.snapshot.status == SnapshotStatus::Creating || !is_whole {
                    kept.snapshot.status = SnapshotStatus::Error;
                }
                Ok::<_, io::Error>(())
            })?;
        }
        snapshots.sweep()?;
        Ok(snapshots)
    }

    /// Deletes the folders of which there is no record.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let is_known = |name: &str| self.table.get(name).is_some();
            if !entry.file_name().to_str().is_some_and(is_known) {
                remove_when_at_rest(&entry.path())?;
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, id: &str) -> Option<Snapshot> {
        self.table.get(id).map(|kept| kept.snapshot)
    }

    /// All snapshots, the oldest first.
    pub(crate) fn list(&self) -> Vec<Snapshot> {
        let kept = self.table.list().into_iter();
        kept.map(|kept| kept.snapshot).collect()
    }

    /// What a snapshot gives to a new VM, if it is there and `ready`. Its files stay as long as
    /// somebody holds the answer.
    pub(crate) fn source(&self, id: &str) -> Option<Result<Source, SnapshotStatus>> {
        let kept = self.table.get(id)?;
        let tree = self.held().get(id).map(|held| Arc::clone(&held.tree))?;
        Some(match kept.snapshot.status {
            SnapshotStatus::Ready => Ok(Source {
                disk_gib: kept.disk_gib,
                origin: kept.origin,
                snapshot: kept.snapshot,
                tree,
            }),
            other => Err(other),
        })
    }

    /// Takes a snapshot. It is taken to its end even if this future is dropped.
    pub(crate) async fn take(
        self: &Arc<Self>,
        machine: Arc<Machine>,
        name: Option<String>,
    ) -> Result<Snapshot, NotTaken> {
        let snapshots = Arc::clone(self);
        to_its_end(async move { snapshots.take_now(&machine, name.as_deref()).await }).await
    }

    async fn take_now(&self, machine: &Machine, name: Option<&str>) -> Result<Snapshot, NotTaken> {
        let _turn = machine.turn().await;
        let sandbox = machine.alive();
        let vm = machine.view();
        let (VmStatus::Running | VmStatus::Paused, Some(sandbox)) = (&vm.status, sandbox) else {
            return Err(NotTaken::Status(vm.status));
        };
        if let Some(first) = self.of_this_pause(&vm) {
            return Ok(first);
        }
        let kept = capture(&vm, machine, name);
        let id = kept.snapshot.id.clone();
        let share = self.ledger.take(Quota::of_snapshot());
        let tree = self.register(kept, share.map_err(NotTaken::Quota)?)?;
        let copied = copy(&sandbox, tree).await;
        self.settle(&id, copied)
    }

    fn of_this_pause(&self, vm: &Vm) -> Option<Snapshot> {
        let paused_at = vm.paused_at?;
        let is_same = |kept: &Kept| {
            kept.snapshot.vm_id == vm.id
                && kept.paused_at == Some(paused_at)
                && kept.snapshot.status == SnapshotStatus::Ready
        };
        let first = self.table.list().into_iter().find(is_same)?;
        Some(first.snapshot)
    }

    /// Makes a snapshot of an image. `share` is its part of the quota. If it is cancelled, or this
    /// future is dropped, none is left in the end.
    pub(crate) async fn import(
        &self,
        mut snapshot: Snapshot,
        disk_gib: i64,
        image: Image,
        share: Share,
        cancel: &CancellationToken,
    ) -> Result<Snapshot, NotTaken> {
        let id = snapshot.id.clone();
        snapshot.status = SnapshotStatus::Creating;
        let kept = Kept {
            snapshot,
            disk_gib,
            paused_at: None,
            origin: image.origin(),
        };
        let tree = self.register(kept, share)?;
        let copying = spawn_blocking(move || tree.fill_from_tree(&image.tree));
        let copied = select! {
            copied = copying => copied.map_err(io::Error::other).and_then(|copied| copied),
            () = cancel.cancelled() => Err(io::Error::other("cancelled")),
        };
        self.settle(&id, copied)
    }

    fn register(&self, kept: Kept, share: Share) -> Result<Arc<Tree>, NotTaken> {
        let id = kept.snapshot.id.clone();
        let tree = self.hold(&id, share);
        self.table.insert(kept).inspect_err(|_| self.let_go(&id))?;
        Ok(tree)
    }

    /// Ends the taking: it is ready, or it is as if it had never been.
    fn settle(&self, id: &str, copied: io::Result<()>) -> Result<Snapshot, NotTaken> {
        let settled = copied.and_then(|()| {
            self.table.change(id, |kept| {
                kept.snapshot.status = SnapshotStatus::Ready;
                Ok::<_, io::Error>(())
            })
        });
        match settled {
            Ok(Some(kept)) => Ok(kept.snapshot),
            Ok(None) => Err(NotTaken::Deleted),
            Err(error) => {
                self.delete(id)?;
                Err(error.into())
            }
        }
    }

    /// Names a snapshot anew, if it is there.
    pub(crate) fn rename(&self, id: &str, name: Option<&str>) -> io::Result<Option<Snapshot>> {
        let renamed = self.table.change(id, |kept| {
            if let Some(name) = name {
                kept.snapshot.name = rules::snapshot_name(Some(name), &kept.snapshot.vm_id);
            }
            Ok::<_, io::Error>(())
        });
        Ok(renamed?.map(|kept| kept.snapshot))
    }

    /// Deletes a snapshot; its files go when nobody is launched from it any more. Whether it was
    /// there.
    pub(crate) fn delete(&self, id: &str) -> io::Result<bool> {
        let is_removed = self.table.remove(id)?.is_some();
        if is_removed {
            self.let_go(id);
        }
        Ok(is_removed)
    }

    fn hold(&self, id: &str, share: Share) -> Arc<Tree> {
        let tree = Arc::new(Tree::at(self.place_of(id)));
        let held = Held {
            tree: Arc::clone(&tree),
            _share: share,
        };
        self.held().insert(id.to_owned(), held);
        tree
    }

    fn let_go(&self, id: &str) {
        let held = self.held().remove(id);
        if let Some(held) = held {
            held.tree.discard();
        }
    }

    fn place_of(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    /// No code panics while it holds the lock; if some did, the map would still be whole.
    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registers the services that were captured on a VM that has none yet: all, or none.
pub(crate) fn register_services(
    machine: &Machine,
    captured: &[SnapshotService],
) -> Result<(), NotRegistered> {
    let mut registered = Services::default();
    for service in captured {
        let h2c = service.h2c.unwrap_or(false);
        registered.put(Service::new(&service.name, service.port, h2c))?;
    }
    machine.change_services(|services| *services = registered);
    Ok(())
}

/// Copies the files of a VM while nothing in it runs.
async fn copy(sandbox: &Sandbox, tree: Arc<Tree>) -> io::Result<()> {
    sandbox
        .at_rest(move |root: &Path| tree.fill_from(root))
        .await
}

/// What the settings of a VM are now, under a new id.
fn capture(vm: &Vm, machine: &Machine, name: Option<&str>) -> Kept {
    let mut snapshot = Snapshot::new(
        new_id(),
        &vm.org_id,
        rules::snapshot_name(name, &vm.id),
        &vm.id,
        SnapshotStatus::Creating,
        vms::now(),
    );
    snapshot.machine_name = vm.machine_name.clone();
    snapshot.metadata = vm.metadata.clone();
    snapshot.env_vars = vm.env_vars.clone();
    snapshot.firewall = vm.firewall.clone();
    let services = machine.services();
    snapshot.services = services
        .iter()
        .map(|service| SnapshotService::new(&service.name, service.port).h2c(service.h2c))
        .collect();
    let volumes = vm.volumes.iter().map(|volume| {
        let mut captured = SnapshotVolumeAttachment::new(&volume.volume_id, &volume.mount_path);
        captured.read_only = volume.read_only;
        captured
    });
    snapshot.volumes = volumes.collect();
    let bucket_mounts = vm.bucket_mounts.iter().map(|mount| {
        let mut captured = SnapshotBucketMountAttachment::new(&mount.bucket_uri, &mount.mount_path);
        captured.read_only = mount.read_only;
        captured
    });
    snapshot.bucket_mounts = bucket_mounts.collect();
    Kept {
        snapshot,
        disk_gib: vm.disk_gib,
        paused_at: vm.paused_at,
        origin: machine.origin().clone(),
    }
}

pub(crate) fn new_id() -> String {
    format!("snp_{}", Uuid::new_v4().simple())
}
