//! Volumes: folders of the server that outlive VMs, and that VMs share.
//!
//! A volume is a record and a folder. Which VMs have it attached is written in the VMs themselves:
//! they do not outlive the server either.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use fastvm_api::types::{
    AccessMode, AttachVolumeRequest, CreateVolumeRequest, FailedVolumeAttachment, MountStatus,
    SkippedVolumeReason, SnapshotVolumeAttachment, UpdateVolumeRequest, Vm, VmStatus, Volume,
    VolumeAttachmentItem, VolumeAttachmentItemWithVm, VolumeStatus,
};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::exec::with_cause;
use crate::mounts::{check_free, plain_path};
use crate::quota::{Ledger, Quota, QuotaExceeded, Share};
use crate::sandbox::{MountError, Sandbox};
use crate::store::{Record, Store, StoreError, Table};
use crate::vms::{self, Machine, NotChanged, Vms, to_its_end};
use crate::{rules, sandbox};

/// Where the folders of volumes are, among the data of the store.
const DATA: &str = "volumes";

const ID_DIGITS: usize = 22;

const BYTES_PER_GIB: u64 = 1 << 30;

/// How long a change of a volume is under way, at least. It takes no time here; clients shall see
/// that it may.
const LEAST_CHANGE_TIME: Duration = Duration::from_millis(50);

/// All volumes of a server.
#[derive(Debug)]
pub(crate) struct Volumes {
    table: Table<Volume>,
    folders: PathBuf,
    ledger: Arc<Ledger>,
    shares: Mutex<HashMap<String, Share>>,
    change_time: Duration,
    /// Held while a volume is attached, detached or given up, so that none goes while it is mounted.
    turn: tokio::sync::Mutex<()>,
}

impl Record for Volume {
    const KIND: &'static str = "volumes";

    fn id(&self) -> &str {
        &self.id
    }

    fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }
}

/// Why a request about a volume is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The request itself is at fault.
    Invalid(String),
    NoSuchVolume,
    NotAttached,
    /// The volume is being created or deleted.
    NotReady,
    /// The request does not go with what is there.
    Conflict(String),
    Quota(QuotaExceeded),
    Vm(NotChanged),
    Mount(MountError),
    Io(io::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) | Self::Conflict(text) => f.write_str(text),
            Self::NoSuchVolume => f.write_str("no such volume"),
            Self::NotAttached => f.write_str("the volume is not attached to the VM"),
            Self::NotReady => f.write_str("VOL_NOT_READY"),
            Self::Quota(error) => error.fmt(f),
            Self::Vm(_) => f.write_str("the VM cannot be changed"),
            Self::Mount(error) => f.write_str(&with_cause(error)),
            Self::Io(error) => f.write_str(&with_cause(error)),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<QuotaExceeded> for Refused {
    fn from(error: QuotaExceeded) -> Self {
        Self::Quota(error)
    }
}

impl From<NotChanged> for Refused {
    fn from(error: NotChanged) -> Self {
        Self::Vm(error)
    }
}

impl From<MountError> for Refused {
    fn from(error: MountError) -> Self {
        Self::Mount(error)
    }
}

impl Volumes {
    /// The volumes that the store has. What a former server was about to do with them is done.
    ///
    /// Must be called within the runtime.
    pub(crate) fn load(
        store: &Arc<Store>,
        ledger: &Arc<Ledger>,
        boot_delay: Duration,
    ) -> Result<Arc<Self>, StoreError> {
        let volumes = Arc::new(Self {
            table: Table::load(store)?,
            folders: store.data_of(DATA)?.canonicalize()?,
            ledger: Arc::clone(ledger),
            shares: Mutex::default(),
            change_time: boot_delay.max(LEAST_CHANGE_TIME),
            turn: tokio::sync::Mutex::default(),
        });
        for volume in volumes.table.list() {
            if volume.status == VolumeStatus::Deleting {
                volumes.remove_soon(volume.id, Duration::ZERO);
                continue;
            }
            volumes.table.change(&volume.id, |volume| {
                settle(volume);
                make_open(&volumes.folder_of(&volume.id))
            })?;
            let size = volume.pending_size_gib.unwrap_or(volume.size_gib);
            let share = volumes.ledger.take_unchecked(Quota::of_volume(size));
            volumes.shares().insert(volume.id, share);
        }
        Ok(volumes)
    }

    /// Makes a volume. It is ready a moment later.
    pub(crate) fn create(
        self: &Arc<Self>,
        request: CreateVolumeRequest,
        org_id: &str,
    ) -> Result<Volume, Refused> {
        let name = volume_name(&request.name)?;
        check_size(request.size_gib)?;
        check_access_mode(&request.access_mode)?;
        let share = self.ledger.take(Quota::of_volume(request.size_gib))?;
        let id = new_id();
        make_open(&self.folder_of(&id))?;
        let volume = Volume::new(
            &id,
            org_id,
            name,
            request.size_gib,
            request.access_mode,
            VolumeStatus::Creating,
            0,
            vms::now(),
        );
        self.table.insert(volume.clone())?;
        self.shares().insert(id.clone(), share);
        self.later(self.change_time, move |volumes| volumes.settle(&id));
        Ok(volume.used_gib(0))
    }

    /// Changes name, access mode and size; the size a moment later.
    pub(crate) async fn update(
        self: &Arc<Self>,
        id: &str,
        request: UpdateVolumeRequest,
    ) -> Result<Volume, Refused> {
        let name = request.name.as_deref().map(volume_name).transpose()?;
        request
            .access_mode
            .as_ref()
            .map_or(Ok(()), check_access_mode)?;
        request.size_gib.map_or(Ok(()), check_size)?;
        let used = self.used_bytes(id).await;
        let volume = self.table.change(id, |volume| {
            if let Some(size) = request.size_gib {
                self.resize(volume, size, used)?;
            }
            if let Some(name) = name {
                volume.name = name;
            }
            if let Some(mode) = request.access_mode {
                volume.access_mode = mode;
            }
            Ok::<_, Refused>(())
        })?;
        let volume = volume.ok_or(Refused::NoSuchVolume)?;
        if volume.pending_size_gib.is_some() {
            let id = volume.id.clone();
            self.later(self.change_time, move |volumes| volumes.settle(&id));
        }
        Ok(volume)
    }

    fn resize(&self, volume: &mut Volume, size: i64, used: Option<u64>) -> Result<(), Refused> {
        if volume.status != VolumeStatus::Ready {
            return Err(Refused::NotReady);
        }
        if size < volume.size_gib {
            let fits = used.is_some_and(|used| used.div_ceil(BYTES_PER_GIB) <= size as u64);
            if !fits {
                return Err(Refused::Conflict(format!(
                    "sizeGiB: the data of the volume does not fit into {size} GiB"
                )));
            }
        }
        if let Some(share) = self.shares().get_mut(&volume.id) {
            share.change(Quota::of_volume(size))?;
        }
        volume.pending_size_gib = Some(size).filter(|size| *size != volume.size_gib);
        Ok(())
    }

    /// Gives a volume up: it is `deleting`, and gone soon.
    pub(crate) async fn delete(self: &Arc<Self>, id: &str, vms: &Vms) -> Result<(), Refused> {
        let _turn = self.turn.lock().await;
        let volume = self.table.get(id).ok_or(Refused::NoSuchVolume)?;
        if volume.status == VolumeStatus::Deleting {
            return Ok(());
        }
        if let Some(vm) = vms.list().iter().find(|vm| holds(vm, id)) {
            return Err(Refused::Conflict(format!(
                "the volume is attached to the VM {}: detach it first",
                vm.id
            )));
        }
        self.table.change(id, |volume| {
            volume.status = VolumeStatus::Deleting;
            volume.pending_size_gib = None;
            Ok::<_, io::Error>(())
        })?;
        self.shares().remove(id);
        self.remove_soon(id.to_owned(), self.change_time);
        Ok(())
    }

    /// Mounts a volume in a running VM; in a paused one it is mounted on resume. It is done even if
    /// this future is dropped.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        request: AttachVolumeRequest,
    ) -> Result<VolumeAttachmentItem, Refused> {
        let item = asked(request).map_err(Refused::Invalid)?;
        let (volumes, machine) = (Arc::clone(self), Arc::clone(machine));
        to_its_end(async move {
            let _life = machine.turn().await;
            let _turn = volumes.turn.lock().await;
            volumes.attach_now(&machine, item).await
        })
        .await
    }

    /// The same, for who has both turns.
    async fn attach_now(
        &self,
        machine: &Arc<Machine>,
        mut item: VolumeAttachmentItem,
    ) -> Result<VolumeAttachmentItem, Refused> {
        let volume = self.ready(&item.volume_id)?;
        let vm = machine.view();
        if !matches!(vm.status, VmStatus::Running | VmStatus::Paused) {
            return Err(Refused::Conflict(format!(
                "the VM is not running: {}",
                vm.status
            )));
        }
        check_fits(&vm, &item).map_err(Refused::Conflict)?;
        item.read_only = Some(is_read_only(&volume, &item));
        show(machine, &item)?;
        let Ok(sandbox) = machine.running() else {
            return Ok(item);
        };
        if let Err(refused) = self.mount(&sandbox, &mut item).await {
            hide(machine, &item.volume_id)?;
            return Err(refused);
        }
        show(machine, &item)?;
        Ok(item)
    }

    /// Takes a volume from a VM, unless the VM uses it. It is done even if this future is dropped.
    pub(crate) async fn detach(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        id: &str,
    ) -> Result<(), Refused> {
        let (volumes, machine, id) = (Arc::clone(self), Arc::clone(machine), id.to_owned());
        to_its_end(async move {
            let _life = machine.turn().await;
            let _turn = volumes.turn.lock().await;
            let vm = machine.view();
            let item = attachment(&vm, &id).ok_or(Refused::NotAttached)?;
            if item.mount_status == MountStatus::Mounted
                && let Some(sandbox) = machine.alive()
            {
                match sandbox.unmount(&item.mount_path).await {
                    // Its mounts have ended with it.
                    Ok(()) | Err(MountError::Gone) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            hide(&machine, &id)
        })
        .await
    }

    /// Mounts all that is pending in a VM. What cannot be mounted is `failed` then.
    pub(crate) async fn mount_in(&self, machine: &Arc<Machine>, sandbox: &Sandbox) {
        let _turn = self.turn.lock().await;
        let mut items = machine.view().volumes;
        items.retain(|item| item.mount_status == MountStatus::Pending);
        for mut item in items {
            if let Err(refused) = self.mount(sandbox, &mut item).await {
                item.mount_status = MountStatus::Failed;
                item.status_message = Some(refused.to_string());
            }
            if show(machine, &item).is_err() {
                // It has been deleted.
                return;
            }
        }
    }

    async fn mount(
        &self,
        sandbox: &Sandbox,
        item: &mut VolumeAttachmentItem,
    ) -> Result<(), Refused> {
        let volume = self.ready(&item.volume_id)?;
        let read_only = is_read_only(&volume, item);
        item.read_only = Some(read_only);
        let folder = self.folder_of(&volume.id);
        sandbox.mount(folder, &item.mount_path, read_only).await?;
        item.mount_status = MountStatus::Mounted;
        Ok(())
    }

    /// Why a restore cannot attach what was captured as it was, if so.
    pub(crate) fn skip_reason(
        &self,
        captured: &SnapshotVolumeAttachment,
    ) -> Option<SkippedVolumeReason> {
        let Some(volume) = self.table.get(&captured.volume_id) else {
            return Some(SkippedVolumeReason::Deleted);
        };
        if volume.status == VolumeStatus::Deleting {
            return Some(SkippedVolumeReason::Deleting);
        }
        let was_writable = captured.read_only != Some(true);
        (was_writable && volume.access_mode != AccessMode::Rw)
            .then_some(SkippedVolumeReason::VolRoCeilingAfterPatch)
    }

    fn ready(&self, id: &str) -> Result<Volume, Refused> {
        let volume = self.table.get(id).ok_or(Refused::NoSuchVolume)?;
        match volume.status {
            VolumeStatus::Ready => Ok(volume),
            _ => Err(Refused::NotReady),
        }
    }

    fn remove_soon(self: &Arc<Self>, id: String, delay: Duration) {
        self.later(delay, move |volumes| {
            sandbox::remove_when_at_rest(&volumes.folder_of(&id))?;
            volumes.table.remove(&id).map(drop)
        });
    }

    /// What is under way with a volume is done.
    fn settle(&self, id: &str) -> io::Result<()> {
        self.table
            .change(id, |volume| {
                settle(volume);
                Ok(())
            })
            .map(drop)
    }

    /// Does something after a while, unless the server stops before.
    fn later(
        self: &Arc<Self>,
        delay: Duration,
        act: impl FnOnce(&Self) -> io::Result<()> + Send + 'static,
    ) {
        // A strong reference would hold the store of a server that has stopped.
        let volumes: Weak<Self> = Arc::downgrade(self);
        Handle::current().spawn(async move {
            tokio::time::sleep(delay).await;
            let acting = tokio::task::spawn_blocking(move || {
                volumes.upgrade().map_or(Ok(()), |volumes| act(&volumes))
            });
            if let Ok(Err(error)) = acting.await {
                tracing::error!(%error, "a change of a volume could not be finished");
            }
        });
    }

    /// A volume as the API shows it.
    pub(crate) async fn view(&self, id: &str, vms: &Vms) -> Result<Volume, Refused> {
        let volume = self.table.get(id).ok_or(Refused::NoSuchVolume)?;
        Ok(self.measured(volume, &vms.list()).await)
    }

    /// All volumes, the oldest first.
    pub(crate) async fn list(&self, vms: &Vms) -> Vec<Volume> {
        let vms = vms.list();
        let mut volumes = self.table.list();
        for volume in &mut volumes {
            *volume = self.measured(volume.clone(), &vms).await;
        }
        volumes
    }

    /// Where a volume is attached.
    pub(crate) fn attachments(
        &self,
        id: &str,
        vms: &Vms,
    ) -> Result<Vec<VolumeAttachmentItemWithVm>, Refused> {
        self.table.get(id).ok_or(Refused::NoSuchVolume)?;
        let with_vm = |vm: &Vm, item: &VolumeAttachmentItem| {
            let (path, status) = (&item.mount_path, item.mount_status.clone());
            let mut shown = VolumeAttachmentItemWithVm::new(id, path, status, &vm.id);
            shown.read_only = item.read_only;
            shown.status_message = item.status_message.clone();
            shown
        };
        let vms = vms.list();
        let items = vms
            .iter()
            .filter_map(|vm| Some(with_vm(vm, attachment(vm, id)?)));
        Ok(items.collect())
    }

    async fn measured(&self, mut volume: Volume, vms: &[Vm]) -> Volume {
        let mounted = vms.iter().filter(|vm| {
            let is_mounted =
                |item: &VolumeAttachmentItem| item.mount_status == MountStatus::Mounted;
            vm.status == VmStatus::Running && attachment(vm, &volume.id).is_some_and(is_mounted)
        });
        volume.mounted_count = mounted.count() as i64;
        let used = self.used_bytes(&volume.id).await;
        volume.used_gib = used.map(|used| (used / BYTES_PER_GIB) as i64);
        volume
    }

    /// `None` if not all of it can be looked at.
    async fn used_bytes(&self, id: &str) -> Option<u64> {
        let folder = self.folder_of(id);
        let measured = tokio::task::spawn_blocking(move || disk_usage(&folder));
        measured.await.ok()?.ok()
    }

    fn folder_of(&self, id: &str) -> PathBuf {
        self.folders.join(id)
    }

    fn shares(&self) -> std::sync::MutexGuard<'_, HashMap<String, Share>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a launch shall attach, to be mounted at the end of the boot.
pub(crate) fn asked_at_launch(
    requests: Vec<AttachVolumeRequest>,
    vm: &mut Vm,
) -> Result<(), String> {
    for (place, request) in requests.into_iter().enumerate() {
        let at_place = |text| format!("volumes[{place}].{text}");
        let item = asked(request).map_err(at_place)?;
        check_fits(vm, &item).map_err(at_place)?;
        vm.volumes.push(item);
    }
    Ok(())
}

/// Takes the attachments that have failed from a VM that was launched.
pub(crate) fn take_failed(
    machine: &Arc<Machine>,
) -> Result<Vec<FailedVolumeAttachment>, NotChanged> {
    let is_failed = |item: &VolumeAttachmentItem| item.mount_status == MountStatus::Failed;
    let failed = machine.view().volumes.into_iter().filter(is_failed);
    let failed = failed.map(|item| {
        let message = item.status_message.unwrap_or_default();
        FailedVolumeAttachment::new(item.volume_id, item.mount_path, message)
    });
    let failed: Vec<_> = failed.collect();
    if !failed.is_empty() {
        machine.change(|vm| vm.volumes.retain(|item| !is_failed(item)))?;
    }
    Ok(failed)
}

fn asked(request: AttachVolumeRequest) -> Result<VolumeAttachmentItem, String> {
    let path = mount_path(&request.mount_path)?;
    let mut item = VolumeAttachmentItem::new(request.volume_id, path, MountStatus::Pending);
    item.read_only = Some(request.read_only.unwrap_or(false));
    Ok(item)
}

/// The path without what changes nothing in it.
fn mount_path(asked: &str) -> Result<String, String> {
    let path = plain_path(asked);
    let is_below = |path: &String| {
        let mut names = path.split('/').skip(1);
        matches!(names.next(), Some("mnt" | "data")) && names.next().is_some()
    };
    path.filter(is_below).ok_or_else(|| {
        format!("mountPath: {asked:?} is not an absolute path below /mnt/ or /data/ without ..")
    })
}

/// Whether an attachment goes with what the VM has mounted.
fn check_fits(vm: &Vm, new: &VolumeAttachmentItem) -> Result<(), String> {
    if holds(vm, &new.volume_id) {
        return Err("volumeId: the volume is attached to the VM already".to_owned());
    }
    check_free(vm, &new.mount_path)
}

fn is_read_only(volume: &Volume, item: &VolumeAttachmentItem) -> bool {
    volume.access_mode != AccessMode::Rw || item.read_only == Some(true)
}

/// Writes an attachment into the VM, in place of an earlier one of the volume.
fn show(machine: &Arc<Machine>, item: &VolumeAttachmentItem) -> Result<(), Refused> {
    let same = |found: &&mut VolumeAttachmentItem| found.volume_id == item.volume_id;
    machine.change(|vm| match vm.volumes.iter_mut().find(same) {
        Some(found) => *found = item.clone(),
        None => vm.volumes.push(item.clone()),
    })?;
    Ok(())
}

fn hide(machine: &Arc<Machine>, id: &str) -> Result<(), Refused> {
    machine.change(|vm| vm.volumes.retain(|item| item.volume_id != id))?;
    Ok(())
}

fn settle(volume: &mut Volume) {
    if volume.status == VolumeStatus::Creating {
        volume.status = VolumeStatus::Ready;
    }
    if let Some(size) = volume.pending_size_gib.take() {
        volume.size_gib = size;
    }
}

fn attachment<'a>(vm: &'a Vm, id: &str) -> Option<&'a VolumeAttachmentItem> {
    vm.volumes.iter().find(|item| item.volume_id == id)
}

/// Whether the volume is mounted in the VM, or will be.
fn holds(vm: &Vm, id: &str) -> bool {
    attachment(vm, id).is_some_and(|item| item.mount_status != MountStatus::Failed)
}

fn new_id() -> String {
    let digits = Uuid::new_v4().simple().to_string();
    format!("vol_{}", digits.chars().take(ID_DIGITS).collect::<String>())
}

fn volume_name(asked: &str) -> Result<String, Refused> {
    rules::name(asked).ok_or_else(|| Refused::Invalid("name: empty".to_owned()))
}

fn check_size(size: i64) -> Result<(), Refused> {
    if size < 1 {
        let text = format!("sizeGiB: {size} is not a positive number");
        return Err(Refused::Invalid(text));
    }
    Ok(())
}

fn check_access_mode(mode: &AccessMode) -> Result<(), Refused> {
    match mode {
        AccessMode::Unknown(mode) => Err(Refused::Invalid(format!(
            "accessMode: {mode:?} is neither \"rw\" nor \"ro\""
        ))),
        _ => Ok(()),
    }
}

/// A folder that every user in a VM may enter. That nobody else does is seen to further up.
fn make_open(folder: &Path) -> io::Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The bytes that are allocated to the files below a folder, a file with several names once.
#[cfg(unix)]
fn disk_usage(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    const BLOCK: u64 = 512;
    let mut used = 0;
    let mut seen = HashSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let found = match entry.metadata() {
                // A VM has removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            if found.is_dir() {
                folders.push(entry.path());
            } else if found.nlink() == 1 || seen.insert((found.dev(), found.ino())) {
                used += found.blocks() * BLOCK;
            }
        }
    }
    Ok(used)
}

#[cfg(not(unix))]
fn disk_usage(_: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_those_of_the_cloud() {
        let id = new_id();
        let digits = id.strip_prefix("vol_").unwrap();
        assert_eq!(digits.len(), 22);
        assert!(digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
    }

    #[test]
    fn mount_paths_are_below_two_folders() {
        assert_eq!(mount_path("/mnt/a").as_deref(), Ok("/mnt/a"));
        assert_eq!(mount_path("//data/./a//b/").as_deref(), Ok("/data/a/b"));
        for refused in [
            "",
            "/",
            "/mnt",
            "/mnt/",
            "/data/.",
            "mnt/a",
            "/etc/a",
            "/mntx/a",
            "/mnt/../etc",
            "/mnt/a/..",
        ] {
            assert!(mount_path(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn one_mount_is_not_put_into_or_over_another() {
        let item = |id: &str, path: &str| VolumeAttachmentItem::new(id, path, MountStatus::Mounted);
        let mut vm = Vm::new("1", "vm", "org", 1, 1, 1, VmStatus::Running, vms::now());
        vm.volumes = vec![item("one", "/mnt/a/b")];
        for (id, path, fits) in [
            ("one", "/mnt/x", false),
            ("two", "/mnt/a/b", false),
            ("two", "/mnt/a/b/c", false),
            ("two", "/mnt/a", false),
            ("two", "/mnt/a/bc", true),
        ] {
            assert_eq!(
                check_fits(&vm, &item(id, path)).is_ok(),
                fits,
                "{id} {path}"
            );
        }
        vm.volumes[0].mount_status = MountStatus::Failed;
        assert_eq!(check_fits(&vm, &item("one", "/mnt/a/b")), Ok(()));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_two_names_takes_its_space_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(folder.path().join("below/one"), vec![1; 100_000]).unwrap();
        let alone = disk_usage(folder.path()).unwrap();
        assert!(alone >= 100_000, "{alone}");
        std::fs::hard_link(folder.path().join("below/one"), folder.path().join("two")).unwrap();
        assert_eq!(disk_usage(folder.path()).unwrap(), alone);
    }
}
