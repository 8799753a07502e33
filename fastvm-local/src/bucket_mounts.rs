//! Bucket mounts: folders that stand in for buckets, mounted in VMs.
//!
//! The buckets are below a directory that the user names: `gs://data/runs` is its folder
//! `gs/data/runs`. Credentials are checked for their form, then forgotten: a folder needs none.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastvm_api::types::{
    AttachBucketMountRequest, BucketMount, BucketMountCredentials, FailedBucketMountAttachment,
    GcpKeyType, MountStatus, SkippedBucketMountReason, SkippedSnapshotBucketMount,
    SnapshotBucketMountAttachment, Vm, VmStatus,
};
use uuid::Uuid;

use crate::exec::with_cause;
use crate::mounts::{check_free, plain_path};
use crate::sandbox::{MountError, Sandbox};
use crate::vms::{self, Machine, NotChanged, to_its_end};

const ID_DIGITS: usize = 22;

/// Where a VM's own machinery is: a mount there would break it.
const SYSTEM: [&str; 3] = ["/dev", "/proc", "/sys"];

/// The directory of buckets, if there is one.
#[derive(Debug)]
pub(crate) struct Buckets(Option<PathBuf>);

/// Why a request about a bucket mount is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The request itself is at fault.
    Invalid(String),
    NoSuchMount,
    /// The request does not go with what is there.
    Conflict(String),
    Vm(NotChanged),
    Mount(MountError),
}

impl From<NotChanged> for Refused {
    fn from(error: NotChanged) -> Self {
        Self::Vm(error)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Vm(error.into())
    }
}

impl From<MountError> for Refused {
    fn from(error: MountError) -> Self {
        Self::Mount(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) | Self::Conflict(text) => f.write_str(text),
            Self::NoSuchMount => f.write_str("no such bucket mount"),
            Self::Vm(_) => f.write_str("the VM cannot be changed"),
            Self::Mount(error) => f.write_str(&with_cause(error)),
        }
    }
}

impl Buckets {
    /// The buckets below a directory, which must be there.
    pub(crate) fn new(directory: Option<&Path>) -> io::Result<Self> {
        Ok(Self(directory.map(Path::canonicalize).transpose()?))
    }

    /// Mounts a bucket in a running VM; in a paused one it is mounted on resume. It is done even if
    /// this future is dropped.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        request: AttachBucketMountRequest,
    ) -> Result<BucketMount, Refused> {
        let mut mount = asked(request, &machine.id).map_err(Refused::Invalid)?;
        let (buckets, machine) = (Arc::clone(self), Arc::clone(machine));
        to_its_end(async move {
            let _turn = machine.turn().await;
            let vm = machine.view();
            if !matches!(vm.status, VmStatus::Running | VmStatus::Paused) {
                let text = format!("the VM is not running: {}", vm.status);
                return Err(Refused::Conflict(text));
            }
            buckets
                .folder_of(&mount.bucket_uri)
                .map_err(Refused::Invalid)?;
            check_free(&vm, &mount.mount_path).map_err(Refused::Conflict)?;
            if let Ok(sandbox) = machine.running() {
                buckets.mount(&sandbox, &mut mount).await?;
            }
            show(&machine, &mount)?;
            Ok(mount)
        })
        .await
    }

    /// Takes new credentials. A mount that had failed is tried again with them.
    pub(crate) async fn rotate(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
        id: &str,
        credentials: BucketMountCredentials,
    ) -> Result<BucketMount, Refused> {
        let (buckets, machine, id) = (Arc::clone(self), Arc::clone(machine), id.to_owned());
        to_its_end(async move {
            let _turn = machine.turn().await;
            let mut mount = find(&machine.view(), &id)?;
            let uri = Uri::parse(&mount.bucket_uri).map_err(Refused::Invalid)?;
            check_credentials(&uri, &credentials).map_err(Refused::Invalid)?;
            if mount.mount_status == MountStatus::Failed
                && let Ok(sandbox) = machine.running()
            {
                buckets.mount(&sandbox, &mut mount).await?;
                show(&machine, &mount)?;
            }
            Ok(mount)
        })
        .await
    }

    /// Takes a bucket from a VM, unless the VM uses it.
    pub(crate) async fn detach(machine: &Arc<Machine>, id: &str) -> Result<(), Refused> {
        let (machine, id) = (Arc::clone(machine), id.to_owned());
        to_its_end(async move {
            let _turn = machine.turn().await;
            let mount = find(&machine.view(), &id)?;
            if mount.mount_status == MountStatus::Mounted
                && let Some(sandbox) = machine.alive()
            {
                match sandbox.unmount(&mount.mount_path).await {
                    // Its mounts have ended with it.
                    Ok(()) | Err(MountError::Gone) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            machine.change(|vm| vm.bucket_mounts.retain(|mount| mount.id != id))?;
            Ok(())
        })
        .await
    }

    /// Mounts all that is pending in a VM: at the end of its boot, and when it has been resumed. What
    /// cannot be mounted is `failed` then.
    pub(crate) async fn mount_in(&self, machine: &Arc<Machine>, sandbox: &Sandbox) {
        let mut mounts = machine.view().bucket_mounts;
        mounts.retain(|mount| mount.mount_status == MountStatus::Pending);
        for mut mount in mounts {
            if let Err(refused) = self.mount(sandbox, &mut mount).await {
                mount.mount_status = MountStatus::Failed;
                mount.status_message = Some(refused.to_string());
            }
            if show(machine, &mount).is_err() {
                // It has been deleted.
                return;
            }
        }
    }

    async fn mount(&self, sandbox: &Sandbox, mount: &mut BucketMount) -> Result<(), Refused> {
        let folder = self
            .made_folder_of(&mount.bucket_uri)
            .map_err(Refused::Invalid)?;
        let read_only = mount.read_only == Some(true);
        sandbox.mount(folder, &mount.mount_path, read_only).await?;
        mount.mount_status = MountStatus::Mounted;
        mount.status_message = None;
        Ok(())
    }

    /// The captured mounts as the restored VM gets them, and those that it goes without.
    pub(crate) fn recreate(
        &self,
        captured: &[SnapshotBucketMountAttachment],
        vm_id: &str,
    ) -> (Vec<BucketMount>, Vec<SkippedSnapshotBucketMount>) {
        let (mut mounts, mut skipped) = (Vec::new(), Vec::new());
        for captured in captured {
            let (uri, path) = (&captured.bucket_uri, &captured.mount_path);
            if self.folder_of(uri).is_ok() {
                mounts.push(pending(vm_id, uri, path, captured.read_only));
            } else {
                let reason = SkippedBucketMountReason::BucketUnreachable;
                skipped.push(SkippedSnapshotBucketMount::new(uri, path, reason));
            }
        }
        (mounts, skipped)
    }

    /// Where a bucket and its prefix are, which is made if it is missing.
    fn made_folder_of(&self, uri: &str) -> Result<PathBuf, String> {
        let bucket = self.folder_of(uri)?;
        let prefix = Uri::parse(uri)?.prefix;
        make_below(&bucket, &prefix)
            .map_err(|error| format!("bucketUri: the prefix cannot be made: {error}"))?;
        Ok(prefix.iter().fold(bucket, |at, name| at.join(name)))
    }

    /// Where a bucket is, if it is there.
    fn folder_of(&self, uri: &str) -> Result<PathBuf, String> {
        let uri = Uri::parse(uri)?;
        let Some(directory) = &self.0 else {
            return Err(
                "bucketUri: this server has no buckets: start it with --buckets DIRECTORY"
                    .to_owned(),
            );
        };
        let bucket = Path::new(uri.scheme).join(uri.bucket);
        let folder = directory.join(&bucket).canonicalize();
        match folder {
            Ok(folder) if folder.is_dir() => Ok(folder),
            _ => Err(format!(
                "bucketUri: there is no bucket {}://{}: make the folder {} in the directory of buckets",
                uri.scheme,
                uri.bucket,
                bucket.display()
            )),
        }
    }
}

/// What a launch shall mount, to be done at the end of the boot.
pub(crate) fn asked_at_launch(
    requests: Vec<AttachBucketMountRequest>,
    vm: &mut Vm,
) -> Result<(), String> {
    for (place, request) in requests.into_iter().enumerate() {
        let at_place = |text| format!("bucketMounts[{place}].{text}");
        let mount = asked(request, &vm.id).map_err(at_place)?;
        check_free(vm, &mount.mount_path).map_err(at_place)?;
        vm.bucket_mounts.push(mount);
    }
    Ok(())
}

/// Takes the mounts that have failed from a VM that was launched.
pub(crate) fn take_failed(
    machine: &Arc<Machine>,
) -> Result<Vec<FailedBucketMountAttachment>, NotChanged> {
    let is_failed = |mount: &BucketMount| mount.mount_status == MountStatus::Failed;
    let failed = machine.view().bucket_mounts.into_iter().filter(is_failed);
    let failed = failed.map(|mount| {
        let message = mount.status_message.unwrap_or_default();
        FailedBucketMountAttachment::new(mount.bucket_uri, mount.mount_path, message)
    });
    let failed: Vec<_> = failed.collect();
    if !failed.is_empty() {
        machine.change(|vm| vm.bucket_mounts.retain(|mount| !is_failed(mount)))?;
    }
    Ok(failed)
}

/// A mount of a VM by its id.
pub(crate) fn find(vm: &Vm, id: &str) -> Result<BucketMount, Refused> {
    let found = vm.bucket_mounts.iter().find(|mount| mount.id == id);
    found.cloned().ok_or(Refused::NoSuchMount)
}

fn asked(request: AttachBucketMountRequest, vm_id: &str) -> Result<BucketMount, String> {
    let uri = Uri::parse(&request.bucket_uri)?;
    check_credentials(&uri, &request.credentials)?;
    let path = mount_path(&request.mount_path)?;
    Ok(pending(
        vm_id,
        &request.bucket_uri,
        &path,
        request.read_only,
    ))
}

fn pending(vm_id: &str, uri: &str, path: &str, read_only: Option<bool>) -> BucketMount {
    let status = MountStatus::Pending;
    BucketMount::new(new_id(), vm_id, uri, path, status, vms::now())
        .read_only(read_only.unwrap_or(false))
}

/// Writes a mount into the VM, in place of what was known of it.
fn show(machine: &Arc<Machine>, mount: &BucketMount) -> Result<(), NotChanged> {
    let same = |found: &&mut BucketMount| found.id == mount.id;
    machine.change(|vm| match vm.bucket_mounts.iter_mut().find(same) {
        Some(found) => *found = mount.clone(),
        None => vm.bucket_mounts.push(mount.clone()),
    })?;
    Ok(())
}

/// The path without what changes nothing in it.
fn mount_path(asked: &str) -> Result<String, String> {
    let path = plain_path(asked)
        .ok_or_else(|| format!("mountPath: {asked:?} is not an absolute path without .."))?;
    let mut system = SYSTEM.into_iter();
    match system.find(|system| Path::new(&path).starts_with(system)) {
        Some(system) => Err(format!(
            "mountPath: {path} is in {system}, which is the VM's own"
        )),
        None => Ok(path),
    }
}

/// `gs://bucket/some/prefix`, taken apart.
struct Uri<'a> {
    scheme: &'static str,
    bucket: &'a str,
    prefix: Vec<&'a str>,
}

impl<'a> Uri<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let refuse = |why: &str| {
            format!(
                "bucketUri: {text:?} is not like gs://bucket/prefix or s3://bucket/prefix: {why}"
            )
        };
        let (scheme, rest) = match text.split_once("://") {
            Some(("gs", rest)) => ("gs", rest),
            Some(("s3", rest)) => ("s3", rest),
            _ => return Err(refuse("the scheme is neither gs nor s3")),
        };
        let mut names = rest.split('/').filter(|name| !name.is_empty());
        let bucket = names.next().unwrap_or_default();
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let is_name = !bucket.starts_with('.') && bucket.bytes().all(is_plain);
        if bucket.is_empty() || rest.starts_with('/') || !is_name {
            return Err(refuse("the bucket's name cannot be"));
        }
        let prefix: Vec<_> = names.collect();
        if prefix
            .iter()
            .any(|name| matches!(*name, "." | "..") || name.contains('\0'))
        {
            return Err(refuse("the prefix leads elsewhere"));
        }
        Ok(Self {
            scheme,
            bucket,
            prefix,
        })
    }
}

/// Whether the credentials are of the bucket's cloud and look as they must. Says nothing of what
/// they hold.
fn check_credentials(uri: &Uri<'_>, credentials: &BucketMountCredentials) -> Result<(), String> {
    let refuse = |what: &str| Err(format!("credentials.{what}"));
    match (uri.scheme, credentials) {
        ("gs", BucketMountCredentials::GcpServiceAccountJson(key)) => {
            let private_key = key.private_key.trim();
            if key.type_ != GcpKeyType::ServiceAccount {
                return refuse("value.type: not \"service_account\"");
            }
            if !key.client_email.contains('@') {
                return refuse("value.client_email: not an e-mail address");
            }
            if !private_key.starts_with("-----BEGIN ") || !private_key.ends_with("-----") {
                return refuse("value.private_key: not a key in PEM form");
            }
            Ok(())
        }
        ("s3", BucketMountCredentials::AwsCredentials(file)) => {
            for key in ["aws_access_key_id", "aws_secret_access_key"] {
                if !has_default(&file.data, key) {
                    return refuse(&format!("value.data: no {key} in a section [default]"));
                }
            }
            Ok(())
        }
        (scheme, _) => refuse(&format!("type: not that of credentials for {scheme}://")),
    }
}

/// Whether the section `[default]` of a credentials file gives this key a value.
fn has_default(text: &str, key: &str) -> bool {
    let mut section = "";
    text.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            section = line;
        }
        let value = line.split_once('=').filter(|(name, _)| name.trim() == key);
        section == "[default]" && value.is_some_and(|(_, value)| !value.trim().is_empty())
    })
}

/// Makes folders in one another, through no link that a VM may have put there.
#[cfg(target_os = "linux")]
fn make_below(folder: &Path, names: &[&str]) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::fcntl::{OFlag, open, openat};
    use nix::sys::stat::{Mode, mkdirat};

    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut above = open(folder, flags, Mode::empty())?;
    for name in names {
        match mkdirat(&above, *name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        above = openat(&above, *name, flags, Mode::empty())?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn make_below(_: &Path, _: &[&str]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn new_id() -> String {
    let digits = Uuid::new_v4().simple().to_string();
    format!("bm_{}", digits.chars().take(ID_DIGITS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_bucket_and_a_prefix_below_it() {
        for (text, expected) in [
            ("gs://data", Some(("gs", "data", vec![]))),
            ("s3://my.data-1/", Some(("s3", "my.data-1", vec![]))),
            (
                "s3://data//runs/42/",
                Some(("s3", "data", vec!["runs", "42"])),
            ),
            ("gs://", None),
            ("gs:///data", None),
            ("gs://..", None),
            ("gs://.hidden", None),
            ("gs://a b", None),
            ("gs://data/../other", None),
            ("az://data", None),
            ("data", None),
        ] {
            let uri = Uri::parse(text).ok();
            let found = uri.map(|uri| (uri.scheme, uri.bucket, uri.prefix));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_key_counts_in_the_default_section_only() {
        let text = "[other]\nkey = 1\n[default]\n  key= \n";
        assert!(!has_default(text, "key"));
        assert!(has_default(&text.replace("key= ", "key = x"), "key"));
    }

    #[test]
    fn a_bucket_is_not_mounted_over_the_vms_machinery() {
        assert_eq!(mount_path("/a//b/./").as_deref(), Ok("/a/b"));
        for refused in [
            "",
            "/",
            "a",
            "/a/../b",
            "/proc",
            "/dev/shm/x",
            "/sys/",
            "/a\0",
        ] {
            assert!(mount_path(refused).is_err(), "{refused:?}");
        }
    }
}
