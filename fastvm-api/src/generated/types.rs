// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! What requests and answers are made of.
//!
//! Structs have their required fields as arguments of `new` and a setter for each other field; sets of values keep those this version does not know.

use std::collections::BTreeMap;

pub use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use crate::patch::Patch;
use crate::values::open_enum;

/// What attachments may do with the volume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AccessMode {
    /// `rw`: Reads and writes are allowed.
    Rw,
    /// `ro`: Only reads are allowed.
    Ro,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(AccessMode { Rw = "rw", Ro = "ro", });

/// A public key to add.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AddSshKeyRequest {
    /// The public key in OpenSSH form, such as the line in `id_ed25519.pub`, without the
    /// line break at its end. A comment is dropped; a line break is refused.
    #[serde(rename = "publicKey")]
    pub public_key: String,
    /// Free label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl AddSshKeyRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(public_key: impl Into<String>) -> Self {
        Self {
            public_key: public_key.into(),
            name: None,
        }
    }

    /// Free label.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// A bucket to mount, the login to it and where to mount it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AttachBucketMountRequest {
    /// The bucket, and optionally a prefix in it: `gs://<bucket>[/prefix]` for GCS or
    /// `s3://<bucket>[/prefix]` for S3.
    #[serde(rename = "bucketUri")]
    pub bucket_uri: String,
    /// Where to mount the bucket in the VM.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// The login to the bucket.
    pub credentials: BucketMountCredentials,
    /// Whether the VM may only read the bucket.
    #[serde(rename = "readOnly", default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

impl AttachBucketMountRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        bucket_uri: impl Into<String>,
        mount_path: impl Into<String>,
        credentials: BucketMountCredentials,
    ) -> Self {
        Self {
            bucket_uri: bucket_uri.into(),
            mount_path: mount_path.into(),
            credentials,
            read_only: None,
        }
    }

    /// Whether the VM may only read the bucket.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }
}

impl std::fmt::Debug for AttachBucketMountRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttachBucketMountRequest")
            .field("bucket_uri", &self.bucket_uri)
            .field("mount_path", &self.mount_path)
            .field("credentials", &format_args!("[redacted]"))
            .field("read_only", &self.read_only)
            .finish()
    }
}

/// A volume to attach and where to mount it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AttachVolumeRequest {
    /// Id of the volume. Opaque; it looks like `vol_` and 22 lowercase hex digits.
    #[serde(rename = "volumeId")]
    pub volume_id: String,
    /// Where to mount the volume in the VM: an absolute path below `/mnt/` or `/data/`.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// Whether this VM may only read the volume.
    #[serde(rename = "readOnly", default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

impl AttachVolumeRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(volume_id: impl Into<String>, mount_path: impl Into<String>) -> Self {
        Self {
            volume_id: volume_id.into(),
            mount_path: mount_path.into(),
            read_only: None,
        }
    }

    /// Whether this VM may only read the volume.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }
}

/// Attachments that a launch went without: those that the request asked for and that
/// failed, and those of the snapshot that were skipped. Lists are absent if there is
/// nothing in them to report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AttachmentWarnings {
    /// Volumes that the request asked for and that could not be attached.
    #[serde(
        rename = "failedVolumeAttachments",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub failed_volume_attachments: Vec<FailedVolumeAttachment>,
    /// Buckets that the request asked for and that could not be mounted.
    #[serde(
        rename = "failedBucketMountAttachments",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub failed_bucket_mount_attachments: Vec<FailedBucketMountAttachment>,
    /// Volumes of the snapshot that the restore left out.
    #[serde(
        rename = "skippedSnapshotVolumes",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub skipped_snapshot_volumes: Vec<SkippedSnapshotVolume>,
    /// Bucket mounts of the snapshot that the restore left out.
    #[serde(
        rename = "skippedSnapshotBucketMounts",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub skipped_snapshot_bucket_mounts: Vec<SkippedSnapshotBucketMount>,
}

impl AttachmentWarnings {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            failed_volume_attachments: Default::default(),
            failed_bucket_mount_attachments: Default::default(),
            skipped_snapshot_volumes: Default::default(),
            skipped_snapshot_bucket_mounts: Default::default(),
        }
    }

    /// Volumes that the request asked for and that could not be attached.
    ///
    /// Adds one; `set_failed_volume_attachments` sets them all, and an empty one explicitly.
    pub fn failed_volume_attachments(mut self, item: FailedVolumeAttachment) -> Self {
        self.failed_volume_attachments.push(item);
        self
    }

    /// Volumes that the request asked for and that could not be attached.
    ///
    /// Replaces what was added by `failed_volume_attachments` so far.
    pub fn set_failed_volume_attachments(
        mut self,
        failed_volume_attachments: Vec<FailedVolumeAttachment>,
    ) -> Self {
        self.failed_volume_attachments = failed_volume_attachments;
        self
    }

    /// Buckets that the request asked for and that could not be mounted.
    ///
    /// Adds one; `set_failed_bucket_mount_attachments` sets them all, and an empty one explicitly.
    pub fn failed_bucket_mount_attachments(
        mut self,
        item: FailedBucketMountAttachment,
    ) -> Self {
        self.failed_bucket_mount_attachments.push(item);
        self
    }

    /// Buckets that the request asked for and that could not be mounted.
    ///
    /// Replaces what was added by `failed_bucket_mount_attachments` so far.
    pub fn set_failed_bucket_mount_attachments(
        mut self,
        failed_bucket_mount_attachments: Vec<FailedBucketMountAttachment>,
    ) -> Self {
        self.failed_bucket_mount_attachments = failed_bucket_mount_attachments;
        self
    }

    /// Volumes of the snapshot that the restore left out.
    ///
    /// Adds one; `set_skipped_snapshot_volumes` sets them all, and an empty one explicitly.
    pub fn skipped_snapshot_volumes(mut self, item: SkippedSnapshotVolume) -> Self {
        self.skipped_snapshot_volumes.push(item);
        self
    }

    /// Volumes of the snapshot that the restore left out.
    ///
    /// Replaces what was added by `skipped_snapshot_volumes` so far.
    pub fn set_skipped_snapshot_volumes(
        mut self,
        skipped_snapshot_volumes: Vec<SkippedSnapshotVolume>,
    ) -> Self {
        self.skipped_snapshot_volumes = skipped_snapshot_volumes;
        self
    }

    /// Bucket mounts of the snapshot that the restore left out.
    ///
    /// Adds one; `set_skipped_snapshot_bucket_mounts` sets them all, and an empty one explicitly.
    pub fn skipped_snapshot_bucket_mounts(
        mut self,
        item: SkippedSnapshotBucketMount,
    ) -> Self {
        self.skipped_snapshot_bucket_mounts.push(item);
        self
    }

    /// Bucket mounts of the snapshot that the restore left out.
    ///
    /// Replaces what was added by `skipped_snapshot_bucket_mounts` so far.
    pub fn set_skipped_snapshot_bucket_mounts(
        mut self,
        skipped_snapshot_bucket_mounts: Vec<SkippedSnapshotBucketMount>,
    ) -> Self {
        self.skipped_snapshot_bucket_mounts = skipped_snapshot_bucket_mounts;
        self
    }
}

/// An AWS access key, in the form of a shared credentials file.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AwsCredentialsValue {
    /// Text of an AWS shared credentials file (INI) with a `[default]` section that sets
    /// `aws_access_key_id` and `aws_secret_access_key`.
    pub data: String,
}

impl AwsCredentialsValue {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: data.into() }
    }
}

impl std::fmt::Debug for AwsCredentialsValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsCredentialsValue")
            .field("data", &format_args!("[redacted]"))
            .finish()
    }
}

/// A bucket that is mounted in a VM. Its credentials are never returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BucketMount {
    /// Id of the bucket mount, unique within its VM. Opaque; it looks like `bm_` and 22
    /// lowercase hex digits.
    pub id: String,
    /// Id of the VM that the bucket is mounted in.
    #[serde(rename = "vmId")]
    pub vm_id: String,
    /// The bucket and the prefix, such as `gs://<bucket>/<prefix>` or
    /// `s3://<bucket>/<prefix>`. Further URI schemes can be added.
    #[serde(rename = "bucketUri")]
    pub bucket_uri: String,
    /// Where the bucket is mounted in the VM.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// State of the mount.
    #[serde(rename = "mountStatus")]
    pub mount_status: MountStatus,
    /// When the bucket mount was created.
    #[serde(rename = "createdAt")]
    pub created_at: DateTime<Utc>,
    /// Whether the VM may only read the bucket.
    #[serde(rename = "readOnly", default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// More about `mount_status`, in words. Absent if there is nothing to say.
    #[serde(rename = "statusMessage", default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
}

impl BucketMount {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        id: impl Into<String>,
        vm_id: impl Into<String>,
        bucket_uri: impl Into<String>,
        mount_path: impl Into<String>,
        mount_status: impl Into<MountStatus>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: id.into(),
            vm_id: vm_id.into(),
            bucket_uri: bucket_uri.into(),
            mount_path: mount_path.into(),
            mount_status: mount_status.into(),
            created_at,
            read_only: None,
            status_message: None,
        }
    }

    /// Whether the VM may only read the bucket.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }

    /// More about `mount_status`, in words. Absent if there is nothing to say.
    pub fn status_message(mut self, status_message: impl Into<String>) -> Self {
        self.status_message = Some(status_message.into());
        self
    }
}

/// The login to a bucket, of a kind that `type_` names. Only ever sent, never returned.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(tag = "type", content = "value")]
#[non_exhaustive]
pub enum BucketMountCredentials {
    #[serde(rename = "gcp-service-account-json")]
    /// `gcp-service-account-json`
    GcpServiceAccountJson(GcpServiceAccountKey),
    #[serde(rename = "aws-credentials")]
    /// `aws-credentials`
    AwsCredentials(AwsCredentialsValue),
}

impl std::fmt::Debug for BucketMountCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(concat!("BucketMountCredentials", "([redacted])"))
    }
}

/// Price of running VMs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ComputePricing {
    /// The tiers of a graduated price. The vCPU-hours accumulated in a month decide which
    /// tier applies; higher tiers are cheaper.
    pub tiers: Vec<PricingTier>,
}

impl ComputePricing {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(tiers: impl IntoIterator<Item = PricingTier>) -> Self {
        Self {
            tiers: tiers.into_iter().collect(),
        }
    }
}

/// Access to the serial console of a VM.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ConsoleTokenResponse {
    /// The token, to be sent in the query key `session` of the WebSocket URL. Whoever has
    /// it has the console.
    pub token: String,
    /// How long the token is valid, in seconds.
    #[serde(rename = "expiresInSec")]
    pub expires_in_sec: i64,
    /// Path of the WebSocket, relative to the host of this API.
    #[serde(rename = "websocketPath")]
    pub websocket_path: String,
}

impl ConsoleTokenResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        token: impl Into<String>,
        expires_in_sec: i64,
        websocket_path: impl Into<String>,
    ) -> Self {
        Self {
            token: token.into(),
            expires_in_sec,
            websocket_path: websocket_path.into(),
        }
    }
}

impl std::fmt::Debug for ConsoleTokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsoleTokenResponse")
            .field("token", &format_args!("[redacted]"))
            .field("expires_in_sec", &self.expires_in_sec)
            .field("websocket_path", &self.websocket_path)
            .finish()
    }
}

/// Where to upload a build context.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ContextPresignResponse {
    /// URL to PUT the ZIP archive to, with `Content-Type: application/zip`.
    #[serde(rename = "uploadUrl")]
    pub upload_url: String,
    /// Names the upload in [`client.snapshot_imports().create`](fastvm_api::snapshot_imports::SnapshotImports::create). Opaque; it can be used once.
    #[serde(rename = "contextRef")]
    pub context_ref: String,
    /// How long `upload_url` is valid, in seconds.
    #[serde(rename = "expiresInSec")]
    pub expires_in_sec: i64,
    /// Largest size of the archive, in bytes.
    #[serde(rename = "maxUploadBytes")]
    pub max_upload_bytes: i64,
}

impl ContextPresignResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        upload_url: impl Into<String>,
        context_ref: impl Into<String>,
        expires_in_sec: i64,
        max_upload_bytes: i64,
    ) -> Self {
        Self {
            upload_url: upload_url.into(),
            context_ref: context_ref.into(),
            expires_in_sec,
            max_upload_bytes,
        }
    }
}

impl std::fmt::Debug for ContextPresignResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContextPresignResponse")
            .field("upload_url", &format_args!("[redacted]"))
            .field("context_ref", &format_args!("[redacted]"))
            .field("expires_in_sec", &self.expires_in_sec)
            .field("max_upload_bytes", &self.max_upload_bytes)
            .finish()
    }
}

/// What to make a snapshot from, and for which machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CreateSnapshotImportRequest {
    /// The image to pull or the Dockerfile to build.
    pub source: SnapshotImportSourceSpec,
    /// Display name of the import and of its snapshot. If it is left out, the id of the
    /// import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Machine type that the snapshot is made for, such as `c1m2`.
    #[serde(rename = "machineType", default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    /// Size of the snapshot's disk in GiB. If it is left out, it follows from the machine
    /// type; as a rule it is 10 GiB.
    #[serde(rename = "diskGiB", default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<i64>,
}

impl CreateSnapshotImportRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(source: SnapshotImportSourceSpec) -> Self {
        Self {
            source,
            name: None,
            machine_type: None,
            disk_gib: None,
        }
    }

    /// Display name of the import and of its snapshot. If it is left out, the id of the
    /// import.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Machine type that the snapshot is made for, such as `c1m2`.
    pub fn machine_type(mut self, machine_type: impl Into<String>) -> Self {
        self.machine_type = Some(machine_type.into());
        self
    }

    /// Size of the snapshot's disk in GiB. If it is left out, it follows from the machine
    /// type; as a rule it is 10 GiB.
    pub fn disk_gib(mut self, disk_gib: i64) -> Self {
        self.disk_gib = Some(disk_gib);
        self
    }
}

/// A VM to capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CreateSnapshotRequest {
    /// Id of the VM, which must be `running` or `paused`.
    #[serde(rename = "vmId")]
    pub vm_id: String,
    /// Display name. White space is trimmed and each run of it becomes one space, then
    /// the name is cut to 64 Unicode code points. If it is left out or empty, the name is
    /// `snapshot-` and the first 8 characters of the VM's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl CreateSnapshotRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(vm_id: impl Into<String>) -> Self {
        Self {
            vm_id: vm_id.into(),
            name: None,
        }
    }

    /// Display name. White space is trimmed and each run of it becomes one space, then
    /// the name is cut to 64 Unicode code points. If it is left out or empty, the name is
    /// `snapshot-` and the first 8 characters of the VM's id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// A volume to create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CreateVolumeRequest {
    /// Display name.
    pub name: String,
    /// Size in GiB.
    #[serde(rename = "sizeGiB")]
    pub size_gib: i64,
    /// What attachments may do with the volume.
    #[serde(rename = "accessMode")]
    pub access_mode: AccessMode,
}

impl CreateVolumeRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        name: impl Into<String>,
        size_gib: i64,
        access_mode: impl Into<AccessMode>,
    ) -> Self {
        Self {
            name: name.into(),
            size_gib,
            access_mode: access_mode.into(),
        }
    }
}

/// Confirmation of a deletion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DeleteResponse {
    /// Id of what was deleted.
    pub id: String,
    /// Whether it is deleted.
    pub deleted: bool,
}

impl DeleteResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(id: impl Into<String>, deleted: bool) -> Self {
        Self { id: id.into(), deleted }
    }
}

/// How a volume was detached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DetachVolumeResponse {
    /// Whether the volume is detached.
    pub detached: bool,
    /// Why the detach had to be forced. Absent if it was not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<DetachWarning>,
}

impl DetachVolumeResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(detached: bool) -> Self {
        Self {
            detached,
            warnings: Default::default(),
        }
    }

    /// Why the detach had to be forced. Absent if it was not.
    ///
    /// Adds one; `set_warnings` sets them all, and an empty one explicitly.
    pub fn warnings(mut self, item: DetachWarning) -> Self {
        self.warnings.push(item);
        self
    }

    /// Why the detach had to be forced. Absent if it was not.
    ///
    /// Replaces what was added by `warnings` so far.
    pub fn set_warnings(mut self, warnings: Vec<DetachWarning>) -> Self {
        self.warnings = warnings;
        self
    }
}

/// A reason why a volume was detached by force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DetachWarning {
    /// Kind of the warning.
    #[serde(rename = "type")]
    pub type_: DetachWarningKind,
    /// The warning in words.
    pub message: String,
}

impl DetachWarning {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(type_: impl Into<DetachWarningKind>, message: impl Into<String>) -> Self {
        Self {
            type_: type_.into(),
            message: message.into(),
        }
    }
}

/// Kind of the warning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DetachWarningKind {
    /// `ack_timeout`: The VM did not confirm the unmount in time.
    AckTimeout,
    /// `guest_unresponsive`: The VM did not respond.
    GuestUnresponsive,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(
    DetachWarningKind { AckTimeout = "ack_timeout", GuestUnresponsive =
    "guest_unresponsive", }
);
/// How the list of domains in a DNS policy is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DnsMode {
    /// `allow`: Only the listed domains resolve, and all others give NXDOMAIN.
    Allow,
    /// `deny`: The listed domains give NXDOMAIN, and all others resolve.
    Deny,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(DnsMode { Allow = "allow", Deny = "deny", });

/// Which domains resolve in a VM. This comes before the egress rules: a domain that is
/// blocked here does not resolve (NXDOMAIN), whatever `egress` says about its addresses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DnsPolicy {
    /// How `domains` is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DnsMode>,
    /// The domains that `mode` is about: the only ones that resolve, or the ones that do
    /// not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<String>>,
    /// Whether to block ways around the built-in resolver: DNS over TLS (TCP port 853) and
    /// the addresses of well-known public servers for DNS over HTTPS. Often combined with
    /// mode `allow`. Off by default, since it cuts ordinary HTTPS traffic (TCP port 443)
    /// to those addresses as well.
    #[serde(rename = "blockBypass", default, skip_serializing_if = "Option::is_none")]
    pub block_bypass: Option<bool>,
}

impl DnsPolicy {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            mode: None,
            domains: None,
            block_bypass: None,
        }
    }

    /// How `domains` is meant.
    pub fn mode(mut self, mode: impl Into<DnsMode>) -> Self {
        self.mode = Some(mode.into());
        self
    }

    /// The domains that `mode` is about: the only ones that resolve, or the ones that do
    /// not.
    ///
    /// Adds one; `set_domains` sets them all, and an empty one explicitly.
    pub fn domains(mut self, item: impl Into<String>) -> Self {
        self.domains.get_or_insert_default().push(item.into());
        self
    }

    /// The domains that `mode` is about: the only ones that resolve, or the ones that do
    /// not.
    ///
    /// Replaces what was added by `domains` so far.
    pub fn set_domains(mut self, domains: Vec<String>) -> Self {
        self.domains = Some(domains);
        self
    }

    /// Whether to block ways around the built-in resolver: DNS over TLS (TCP port 853) and
    /// the addresses of well-known public servers for DNS over HTTPS. Often combined with
    /// mode `allow`. Off by default, since it cuts ordinary HTTPS traffic (TCP port 443)
    /// to those addresses as well.
    pub fn block_bypass(mut self, block_bypass: bool) -> Self {
        self.block_bypass = Some(block_bypass);
        self
    }
}

/// Which traffic may leave a VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EgressPolicy {
    /// What happens to traffic that no rule matches.
    pub default: PolicyAction,
    /// Rules for particular traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<EgressRule>>,
}

impl EgressPolicy {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(default: impl Into<PolicyAction>) -> Self {
        Self {
            default: default.into(),
            rules: None,
        }
    }

    /// Rules for particular traffic.
    ///
    /// Adds one; `set_rules` sets them all, and an empty one explicitly.
    pub fn rules(mut self, item: EgressRule) -> Self {
        self.rules.get_or_insert_default().push(item);
        self
    }

    /// Rules for particular traffic.
    ///
    /// Replaces what was added by `rules` so far.
    pub fn set_rules(mut self, rules: Vec<EgressRule>) -> Self {
        self.rules = Some(rules);
        self
    }
}

/// A rule for traffic from a VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EgressRule {
    /// What happens to traffic that matches.
    pub action: PolicyAction,
    /// What `value` is, addresses or a domain.
    pub kind: EgressRuleKind,
    /// Destination. For `cidr`, a CIDR block, IPv4 or IPv6. For `fqdn`, a domain, which
    /// may start with one `*.`: such a wildcard stands for one or more labels, so that
    /// `*.example.com` matches `api.example.com` but not `example.com`. A lone `*` and a
    /// `*` anywhere else are refused. [`client.vms().set_firewall`](fastvm_api::vms::Vms::set_firewall) also refuses a domain that the `dns`
    /// block keeps from resolving.
    pub value: String,
    /// Transport protocol.
    pub protocol: TransportProtocol,
    /// Destination ports: one port (`80`), a range including both ends (`3000-3010`), or
    /// `any`. Must be `any` if `protocol` is `any`.
    pub ports: String,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl EgressRule {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        action: impl Into<PolicyAction>,
        kind: impl Into<EgressRuleKind>,
        value: impl Into<String>,
        protocol: impl Into<TransportProtocol>,
        ports: impl Into<String>,
    ) -> Self {
        Self {
            action: action.into(),
            kind: kind.into(),
            value: value.into(),
            protocol: protocol.into(),
            ports: ports.into(),
            description: None,
        }
    }

    /// Free text for people.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}

/// What an egress rule matches on, besides protocol and ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EgressRuleKind {
    /// `cidr`: The destination address.
    Cidr,
    /// `fqdn`: The destination domain, as resolved by the built-in resolver.
    Fqdn,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(EgressRuleKind { Cidr = "cidr", Fqdn = "fqdn", });

/// What an error response says. Every field is optional, and there can be others. Look
/// for a code in `error` and `code`, and for text in `message`, `error` and `detail`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Error {
    /// What went wrong: text, a code such as `guest_umount_busy`, or an object with
    /// `message` and `code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<::serde_json::Value>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What went wrong, as a code for programs, such as `VOL_NOT_READY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// More about what went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Error {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            error: None,
            message: None,
            code: None,
            detail: None,
        }
    }

    /// What went wrong: text, a code such as `guest_umount_busy`, or an object with
    /// `message` and `code`.
    pub fn error(mut self, error: ::serde_json::Value) -> Self {
        self.error = Some(error);
        self
    }

    /// What went wrong, in words.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// What went wrong, as a code for programs, such as `VOL_NOT_READY`.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// More about what went wrong, in words.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// One event of a running command, sent as one line of JSON. The keys are short to keep
/// small pieces of output small. Which fields are there depends on `t`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExecEvent {
    /// Kind of the event.
    pub t: ExecEventKind,
    /// For `o` and `e`, a piece of output: raw bytes, encoded as base64. A piece can end
    /// in the middle of a character. For `x`, diagnostic text, such as why the command
    /// could not be started; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d: Option<String>,
    /// Exit code, only with `x`. Absent means 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub c: Option<i32>,
    /// Whether the time limit on the server ended the command, only with `x`. Absent means
    /// false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<bool>,
    /// How long the command ran, in milliseconds, only with `x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<i64>,
}

impl ExecEvent {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(t: impl Into<ExecEventKind>) -> Self {
        Self {
            t: t.into(),
            d: None,
            c: None,
            to: None,
            ms: None,
        }
    }

    /// For `o` and `e`, a piece of output: raw bytes, encoded as base64. A piece can end
    /// in the middle of a character. For `x`, diagnostic text, such as why the command
    /// could not be started; absent if there is none.
    pub fn d(mut self, d: impl Into<String>) -> Self {
        self.d = Some(d.into());
        self
    }

    /// Exit code, only with `x`. Absent means 0.
    pub fn c(mut self, c: i32) -> Self {
        self.c = Some(c);
        self
    }

    /// Whether the time limit on the server ended the command, only with `x`. Absent means
    /// false.
    pub fn to(mut self, to: bool) -> Self {
        self.to = Some(to);
        self
    }

    /// How long the command ran, in milliseconds, only with `x`.
    pub fn ms(mut self, ms: i64) -> Self {
        self.ms = Some(ms);
        self
    }
}

/// Kind of the event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExecEventKind {
    /// `o`: A piece of stdout.
    Stdout,
    /// `e`: A piece of stderr.
    Stderr,
    /// `x`: The end of the command, and the last event of the stream.
    Exit,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(ExecEventKind { Stdout = "o", Stderr = "e", Exit = "x", });

/// A command to run in a VM.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExecVmRequest {
    /// Program and arguments. The first element must not be empty. No shell is involved;
    /// to run a shell line, send `["sh", "-c", line]`.
    pub command: Vec<String>,
    /// All of the command's standard input, encoded as base64. It is delivered once, then
    /// the input is closed; input cannot be streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// How long the command may run, in seconds, at least 1. Without it the server applies
    /// a limit of its own.
    #[serde(rename = "timeoutSec", default, skip_serializing_if = "Option::is_none")]
    pub timeout_sec: Option<i64>,
}

impl ExecVmRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            stdin: None,
            timeout_sec: None,
        }
    }

    /// All of the command's standard input, encoded as base64. It is delivered once, then
    /// the input is closed; input cannot be streamed.
    pub fn stdin(mut self, stdin: impl Into<String>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// How long the command may run, in seconds, at least 1. Without it the server applies
    /// a limit of its own.
    pub fn timeout_sec(mut self, timeout_sec: i64) -> Self {
        self.timeout_sec = Some(timeout_sec);
        self
    }
}

impl std::fmt::Debug for ExecVmRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecVmRequest")
            .field("command", &self.command)
            .field("stdin", &format_args!("[redacted]"))
            .field("timeout_sec", &self.timeout_sec)
            .finish()
    }
}

/// How a command ended and what it printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExecVmResponse {
    /// Exit code of the command; 0 is success.
    #[serde(rename = "exitCode")]
    pub exit_code: i64,
    /// What the command printed to stdout, at most 4 MiB.
    pub stdout: String,
    /// What the command printed to stderr, at most 4 MiB.
    pub stderr: String,
    /// Whether stdout beyond 4 MiB was dropped.
    #[serde(rename = "stdoutTruncated")]
    pub stdout_truncated: bool,
    /// Whether stderr beyond 4 MiB was dropped.
    #[serde(rename = "stderrTruncated")]
    pub stderr_truncated: bool,
    /// Whether the time limit on the server ended the command.
    #[serde(rename = "timedOut")]
    pub timed_out: bool,
    /// How long the command ran, in milliseconds.
    #[serde(rename = "durationMs")]
    pub duration_ms: i64,
}

impl ExecVmResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        exit_code: i64,
        stdout: impl Into<String>,
        stderr: impl Into<String>,
        stdout_truncated: bool,
        stderr_truncated: bool,
        timed_out: bool,
        duration_ms: i64,
    ) -> Self {
        Self {
            exit_code,
            stdout: stdout.into(),
            stderr: stderr.into(),
            stdout_truncated,
            stderr_truncated,
            timed_out,
            duration_ms,
        }
    }
}

/// A bucket that a launch was asked to mount and could not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FailedBucketMountAttachment {
    /// URI of the bucket.
    #[serde(rename = "bucketUri")]
    pub bucket_uri: String,
    /// Where it was to be mounted.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// What went wrong, in words.
    #[serde(rename = "statusMessage")]
    pub status_message: String,
}

impl FailedBucketMountAttachment {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        bucket_uri: impl Into<String>,
        mount_path: impl Into<String>,
        status_message: impl Into<String>,
    ) -> Self {
        Self {
            bucket_uri: bucket_uri.into(),
            mount_path: mount_path.into(),
            status_message: status_message.into(),
        }
    }
}

/// A volume that a launch was asked to attach and could not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FailedVolumeAttachment {
    /// Id of the volume.
    #[serde(rename = "volumeId")]
    pub volume_id: String,
    /// Where it was to be mounted.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// What went wrong, in words.
    #[serde(rename = "statusMessage")]
    pub status_message: String,
}

impl FailedVolumeAttachment {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        volume_id: impl Into<String>,
        mount_path: impl Into<String>,
        status_message: impl Into<String>,
    ) -> Self {
        Self {
            volume_id: volume_id.into(),
            mount_path: mount_path.into(),
            status_message: status_message.into(),
        }
    }
}

/// A staged file for a VM to load.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FetchFileRequest {
    /// A `download_url` from [`client.vms().files().presign`](fastvm_api::vms::files::Files::presign). Other URLs are refused.
    pub url: String,
    /// Where to put the file in the VM; an absolute path.
    pub path: String,
    /// How long this download may take, in seconds.
    #[serde(rename = "timeoutSec", default, skip_serializing_if = "Option::is_none")]
    pub timeout_sec: Option<i64>,
}

impl FetchFileRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(url: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            path: path.into(),
            timeout_sec: None,
        }
    }

    /// How long this download may take, in seconds.
    pub fn timeout_sec(mut self, timeout_sec: i64) -> Self {
        self.timeout_sec = Some(timeout_sec);
        self
    }
}

impl std::fmt::Debug for FetchFileRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchFileRequest")
            .field("url", &format_args!("[redacted]"))
            .field("path", &self.path)
            .field("timeout_sec", &self.timeout_sec)
            .finish()
    }
}

/// Signed URLs of one staging object. It is removed after about a day.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FilePresignResponse {
    /// URL to PUT the bytes to, with `Content-Type: application/octet-stream`: from the
    /// client for an upload, from the VM for a download.
    #[serde(rename = "uploadUrl")]
    pub upload_url: String,
    /// URL to GET the same bytes from: by way of [`client.vms().files().fetch`](fastvm_api::vms::files::Files::fetch) for an upload, from the
    /// client for a download.
    #[serde(rename = "downloadUrl")]
    pub download_url: String,
    /// How long both URLs are valid, in seconds.
    #[serde(rename = "expiresInSec")]
    pub expires_in_sec: i64,
    /// Largest size of the object, in bytes. It equals the size of the VM's disk.
    #[serde(rename = "maxUploadBytes")]
    pub max_upload_bytes: i64,
}

impl FilePresignResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        upload_url: impl Into<String>,
        download_url: impl Into<String>,
        expires_in_sec: i64,
        max_upload_bytes: i64,
    ) -> Self {
        Self {
            upload_url: upload_url.into(),
            download_url: download_url.into(),
            expires_in_sec,
            max_upload_bytes,
        }
    }
}

impl std::fmt::Debug for FilePresignResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilePresignResponse")
            .field("upload_url", &format_args!("[redacted]"))
            .field("download_url", &format_args!("[redacted]"))
            .field("expires_in_sec", &self.expires_in_sec)
            .field("max_upload_bytes", &self.max_upload_bytes)
            .finish()
    }
}

/// Which traffic may enter and leave a VM, in three independent blocks. A block that is
/// missing has its default: `ingress` denies everything, `egress` allows everything, and
/// `dns` lets every domain resolve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FirewallPolicy {
    /// Traffic to the VM. By default all of it is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressPolicy>,
    /// Traffic from the VM. By default all of it is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressPolicy>,
    /// Which domains resolve in the VM. By default mode `deny` with no domains, so that
    /// all of them do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsPolicy>,
}

impl FirewallPolicy {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            ingress: None,
            egress: None,
            dns: None,
        }
    }

    /// Traffic to the VM. By default all of it is denied.
    pub fn ingress(mut self, ingress: IngressPolicy) -> Self {
        self.ingress = Some(ingress);
        self
    }

    /// Traffic from the VM. By default all of it is allowed.
    pub fn egress(mut self, egress: EgressPolicy) -> Self {
        self.egress = Some(egress);
        self
    }

    /// Which domains resolve in the VM. By default mode `deny` with no domains, so that
    /// all of them do.
    pub fn dns(mut self, dns: DnsPolicy) -> Self {
        self.dns = Some(dns);
        self
    }
}

/// Kind of the key, always `service_account`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GcpKeyType {
    /// `service_account`: A key of a service account.
    ServiceAccount,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(GcpKeyType { ServiceAccount = "service_account", });

/// A service account key as Google Cloud hands it out in a JSON file; the fields keep
/// their names from that file.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GcpServiceAccountKey {
    /// Kind of the key, always `service_account`.
    #[serde(rename = "type")]
    pub type_: GcpKeyType,
    /// E-mail address that names the service account.
    pub client_email: String,
    /// Private key of the service account.
    pub private_key: String,
}

impl GcpServiceAccountKey {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        type_: impl Into<GcpKeyType>,
        client_email: impl Into<String>,
        private_key: impl Into<String>,
    ) -> Self {
        Self {
            type_: type_.into(),
            client_email: client_email.into(),
            private_key: private_key.into(),
        }
    }
}

impl std::fmt::Debug for GcpServiceAccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GcpServiceAccountKey")
            .field("type_", &format_args!("[redacted]"))
            .field("client_email", &format_args!("[redacted]"))
            .field("private_key", &format_args!("[redacted]"))
            .finish()
    }
}

/// The answer of a service that is up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct HealthResponse {
    /// Status text. It can be missing; the status code says all there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl HealthResponse {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self { status: None }
    }

    /// Status text. It can be missing; the status code says all there is.
    pub fn status(mut self, status: impl Into<String>) -> Self {
        self.status = Some(status.into());
        self
    }
}

/// Which traffic may enter a VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct IngressPolicy {
    /// What happens to traffic that no rule matches.
    pub default: PolicyAction,
    /// Rules for particular traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<IngressRule>>,
}

impl IngressPolicy {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(default: impl Into<PolicyAction>) -> Self {
        Self {
            default: default.into(),
            rules: None,
        }
    }

    /// Rules for particular traffic.
    ///
    /// Adds one; `set_rules` sets them all, and an empty one explicitly.
    pub fn rules(mut self, item: IngressRule) -> Self {
        self.rules.get_or_insert_default().push(item);
        self
    }

    /// Rules for particular traffic.
    ///
    /// Replaces what was added by `rules` so far.
    pub fn set_rules(mut self, rules: Vec<IngressRule>) -> Self {
        self.rules = Some(rules);
        self
    }
}

/// A rule for traffic to a VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct IngressRule {
    /// What happens to traffic that matches.
    pub action: PolicyAction,
    /// What `value` is. Always `cidr` for incoming traffic.
    pub kind: IngressRuleKind,
    /// Source addresses as a CIDR block, IPv4 or IPv6, such as `203.0.113.0/24` or `::/0`.
    /// Which of the two families is enforced depends on the VM's worker.
    pub value: String,
    /// Transport protocol.
    pub protocol: TransportProtocol,
    /// Destination ports: one port (`80`), a range including both ends (`3000-3010`), or
    /// `any`. Must be `any` if `protocol` is `any`.
    pub ports: String,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl IngressRule {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        action: impl Into<PolicyAction>,
        kind: impl Into<IngressRuleKind>,
        value: impl Into<String>,
        protocol: impl Into<TransportProtocol>,
        ports: impl Into<String>,
    ) -> Self {
        Self {
            action: action.into(),
            kind: kind.into(),
            value: value.into(),
            protocol: protocol.into(),
            ports: ports.into(),
            description: None,
        }
    }

    /// Free text for people.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}

/// What an ingress rule matches on, besides protocol and ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IngressRuleKind {
    /// `cidr`: The source address.
    Cidr,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(IngressRuleKind { Cidr = "cidr", });

/// What to launch. Give a `machine_type` for a cold boot or a `snapshot_id` for a restore.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LaunchVmRequest {
    /// Size of the VM, such as `c2m4`. Required unless `snapshot_id` is given.
    #[serde(rename = "machineType", default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    /// Snapshot to restore. Leave it out for a cold boot. Opaque; it starts with `snp_`.
    #[serde(rename = "snapshotId", default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// Display name. White space is trimmed and each run of it becomes one space, then
    /// the name is cut to 64 Unicode code points. If it is left out or empty, the name is
    /// `vm-` and the first 8 characters of the VM's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Size of the root disk in GiB, instead of what the machine type comes with.
    #[serde(rename = "diskGiB", default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<i64>,
    /// Labels for the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Environment variables to boot the VM with.
    #[serde(rename = "envVars", default, skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<BTreeMap<String, String>>,
    /// Firewall policy of the VM. Without it, the policy's defaults hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallPolicy>,
    /// Time to live, after which the VM is paused or deleted by itself. Null is not
    /// accepted here, unlike in [`client.vms().update`](fastvm_api::vms::Vms::update).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<VmTtl>,
    /// Volumes to attach. On a restore, a list replaces the captured one in full, and an
    /// empty list attaches none; leave the field out to keep the captured list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<AttachVolumeRequest>>,
    /// Buckets to mount. On a restore, a list replaces the captured one in full, and an
    /// empty list mounts none; leave the field out to keep the captured list.
    #[serde(rename = "bucketMounts", default, skip_serializing_if = "Option::is_none")]
    pub bucket_mounts: Option<Vec<AttachBucketMountRequest>>,
}

impl LaunchVmRequest {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            machine_type: None,
            snapshot_id: None,
            name: None,
            disk_gib: None,
            metadata: None,
            env_vars: None,
            firewall: None,
            ttl: None,
            volumes: None,
            bucket_mounts: None,
        }
    }

    /// Size of the VM, such as `c2m4`. Required unless `snapshot_id` is given.
    pub fn machine_type(mut self, machine_type: impl Into<String>) -> Self {
        self.machine_type = Some(machine_type.into());
        self
    }

    /// Snapshot to restore. Leave it out for a cold boot. Opaque; it starts with `snp_`.
    pub fn snapshot_id(mut self, snapshot_id: impl Into<String>) -> Self {
        self.snapshot_id = Some(snapshot_id.into());
        self
    }

    /// Display name. White space is trimmed and each run of it becomes one space, then
    /// the name is cut to 64 Unicode code points. If it is left out or empty, the name is
    /// `vm-` and the first 8 characters of the VM's id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Size of the root disk in GiB, instead of what the machine type comes with.
    pub fn disk_gib(mut self, disk_gib: i64) -> Self {
        self.disk_gib = Some(disk_gib);
        self
    }

    /// Labels for the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    ///
    /// Adds one; `set_metadata` sets them all, and an empty one explicitly.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Labels for the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    ///
    /// Replaces what was added by `metadata` so far.
    pub fn set_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Environment variables to boot the VM with.
    ///
    /// Adds one; `set_env_vars` sets them all, and an empty one explicitly.
    pub fn env_vars(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env_vars.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Environment variables to boot the VM with.
    ///
    /// Replaces what was added by `env_vars` so far.
    pub fn set_env_vars(mut self, env_vars: BTreeMap<String, String>) -> Self {
        self.env_vars = Some(env_vars);
        self
    }

    /// Firewall policy of the VM. Without it, the policy's defaults hold.
    pub fn firewall(mut self, firewall: FirewallPolicy) -> Self {
        self.firewall = Some(firewall);
        self
    }

    /// Time to live, after which the VM is paused or deleted by itself. Null is not
    /// accepted here, unlike in [`client.vms().update`](fastvm_api::vms::Vms::update).
    pub fn ttl(mut self, ttl: VmTtl) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Volumes to attach. On a restore, a list replaces the captured one in full, and an
    /// empty list attaches none; leave the field out to keep the captured list.
    ///
    /// Adds one; `set_volumes` sets them all, and an empty one explicitly.
    pub fn volumes(mut self, item: AttachVolumeRequest) -> Self {
        self.volumes.get_or_insert_default().push(item);
        self
    }

    /// Volumes to attach. On a restore, a list replaces the captured one in full, and an
    /// empty list attaches none; leave the field out to keep the captured list.
    ///
    /// Replaces what was added by `volumes` so far.
    pub fn set_volumes(mut self, volumes: Vec<AttachVolumeRequest>) -> Self {
        self.volumes = Some(volumes);
        self
    }

    /// Buckets to mount. On a restore, a list replaces the captured one in full, and an
    /// empty list mounts none; leave the field out to keep the captured list.
    ///
    /// Adds one; `set_bucket_mounts` sets them all, and an empty one explicitly.
    pub fn bucket_mounts(mut self, item: AttachBucketMountRequest) -> Self {
        self.bucket_mounts.get_or_insert_default().push(item);
        self
    }

    /// Buckets to mount. On a restore, a list replaces the captured one in full, and an
    /// empty list mounts none; leave the field out to keep the captured list.
    ///
    /// Replaces what was added by `bucket_mounts` so far.
    pub fn set_bucket_mounts(
        mut self,
        bucket_mounts: Vec<AttachBucketMountRequest>,
    ) -> Self {
        self.bucket_mounts = Some(bucket_mounts);
        self
    }
}

impl std::fmt::Debug for LaunchVmRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaunchVmRequest")
            .field("machine_type", &self.machine_type)
            .field("snapshot_id", &self.snapshot_id)
            .field("name", &self.name)
            .field("disk_gib", &self.disk_gib)
            .field("metadata", &self.metadata)
            .field("env_vars", &format_args!("[redacted]"))
            .field("firewall", &self.firewall)
            .field("ttl", &self.ttl)
            .field("volumes", &self.volumes)
            .field("bucket_mounts", &self.bucket_mounts)
            .finish()
    }
}

/// The launched VM, with warnings about what did not work on the way.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LaunchVmResponse {
    /// Id of the VM. Opaque; it looks like a UUID. It is also the user name for SSH.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Id of the org that the VM belongs to. Opaque.
    #[serde(rename = "orgId")]
    pub org_id: String,
    /// Number of vCPUs.
    pub cpu: i64,
    /// Memory in MiB.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: i64,
    /// Size of the root disk in GiB.
    #[serde(rename = "diskGiB")]
    pub disk_gib: i64,
    /// State of the VM.
    pub status: VmStatus,
    /// When the VM was made.
    #[serde(rename = "createdAt")]
    pub created_at: DateTime<Utc>,
    /// Machine type of the VM, such as `c2m4`.
    #[serde(rename = "machineName", default, skip_serializing_if = "Option::is_none")]
    pub machine_name: Option<String>,
    /// Name of the snapshot or image that the VM was made from. Empty after a cold boot.
    #[serde(rename = "sourceName", default, skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// The policy as set by the user. See `effective_firewall` for what is enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallPolicy>,
    /// The policy that the VM's worker enforces: `firewall` plus one automatic ingress
    /// rule for each registered service (source `::/0`, description
    /// `auto: proxy service <name>`). It is computed for each answer and not stored;
    /// change `firewall` or the services to influence it.
    #[serde(
        rename = "effectiveFirewall",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub effective_firewall: Option<FirewallPolicy>,
    /// Labels of the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Environment variables that the VM was booted with.
    #[serde(rename = "envVars", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// Public IPv6 address of the VM. Absent if it has none.
    #[serde(rename = "publicIpv6", default, skip_serializing_if = "Option::is_none")]
    pub public_ipv6: Option<String>,
    /// When the VM was deleted. Absent or null while it exists.
    #[serde(rename = "deletedAt", default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Time to live of the VM. Absent or null if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<VmTtl>,
    /// When the TTL runs out, in milliseconds since the Unix epoch. Present only while a
    /// VM with a TTL is `running`.
    #[serde(rename = "expiresAtMs", default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<i64>,
    /// What is left of the TTL, in milliseconds. Present only while a VM with a TTL is
    /// `paused`; a resume turns it back into `expires_at_ms`.
    #[serde(rename = "ttlRemainingMs", default, skip_serializing_if = "Option::is_none")]
    pub ttl_remaining_ms: Option<i64>,
    /// When the VM was paused. Absent or null unless it is paused.
    #[serde(rename = "pausedAt", default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<DateTime<Utc>>,
    /// Volumes attached to the VM now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeAttachmentItem>,
    /// Buckets mounted in the VM now.
    #[serde(rename = "bucketMounts", default, skip_serializing_if = "Vec::is_empty")]
    pub bucket_mounts: Vec<BucketMount>,
    /// Volumes and buckets that were to be attached and are not. Absent if there are
    /// none.
    #[serde(
        rename = "attachmentWarnings",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub attachment_warnings: Option<AttachmentWarnings>,
    /// Services that a restore could not register again. The VM exists and works.
    /// Absent after a cold boot and after a restore without trouble.
    #[serde(
        rename = "snapshotRestoreWarnings",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub snapshot_restore_warnings: Option<SnapshotRestoreWarnings>,
}

impl LaunchVmResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        org_id: impl Into<String>,
        cpu: i64,
        memory_mib: i64,
        disk_gib: i64,
        status: impl Into<VmStatus>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            org_id: org_id.into(),
            cpu,
            memory_mib,
            disk_gib,
            status: status.into(),
            created_at,
            machine_name: None,
            source_name: None,
            firewall: None,
            effective_firewall: None,
            metadata: Default::default(),
            env_vars: Default::default(),
            public_ipv6: None,
            deleted_at: None,
            ttl: None,
            expires_at_ms: None,
            ttl_remaining_ms: None,
            paused_at: None,
            volumes: Default::default(),
            bucket_mounts: Default::default(),
            attachment_warnings: None,
            snapshot_restore_warnings: None,
        }
    }

    /// Machine type of the VM, such as `c2m4`.
    pub fn machine_name(mut self, machine_name: impl Into<String>) -> Self {
        self.machine_name = Some(machine_name.into());
        self
    }

    /// Name of the snapshot or image that the VM was made from. Empty after a cold boot.
    pub fn source_name(mut self, source_name: impl Into<String>) -> Self {
        self.source_name = Some(source_name.into());
        self
    }

    /// The policy as set by the user. See `effective_firewall` for what is enforced.
    pub fn firewall(mut self, firewall: FirewallPolicy) -> Self {
        self.firewall = Some(firewall);
        self
    }

    /// The policy that the VM's worker enforces: `firewall` plus one automatic ingress
    /// rule for each registered service (source `::/0`, description
    /// `auto: proxy service <name>`). It is computed for each answer and not stored;
    /// change `firewall` or the services to influence it.
    pub fn effective_firewall(mut self, effective_firewall: FirewallPolicy) -> Self {
        self.effective_firewall = Some(effective_firewall);
        self
    }

    /// Labels of the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    ///
    /// Adds one; `set_metadata` sets them all, and an empty one explicitly.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Labels of the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    ///
    /// Replaces what was added by `metadata` so far.
    pub fn set_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = metadata;
        self
    }

    /// Environment variables that the VM was booted with.
    ///
    /// Adds one; `set_env_vars` sets them all, and an empty one explicitly.
    pub fn env_vars(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env_vars.insert(key.into(), value.into());
        self
    }

    /// Environment variables that the VM was booted with.
    ///
    /// Replaces what was added by `env_vars` so far.
    pub fn set_env_vars(mut self, env_vars: BTreeMap<String, String>) -> Self {
        self.env_vars = env_vars;
        self
    }

    /// Public IPv6 address of the VM. Absent if it has none.
    pub fn public_ipv6(mut self, public_ipv6: impl Into<String>) -> Self {
        self.public_ipv6 = Some(public_ipv6.into());
        self
    }

    /// When the VM was deleted. Absent or null while it exists.
    pub fn deleted_at(mut self, deleted_at: DateTime<Utc>) -> Self {
        self.deleted_at = Some(deleted_at);
        self
    }

    /// Time to live of the VM. Absent or null if it has none.
    pub fn ttl(mut self, ttl: VmTtl) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// When the TTL runs out, in milliseconds since the Unix epoch. Present only while a
    /// VM with a TTL is `running`.
    pub fn expires_at_ms(mut self, expires_at_ms: i64) -> Self {
        self.expires_at_ms = Some(expires_at_ms);
        self
    }

    /// What is left of the TTL, in milliseconds. Present only while a VM with a TTL is
    /// `paused`; a resume turns it back into `expires_at_ms`.
    pub fn ttl_remaining_ms(mut self, ttl_remaining_ms: i64) -> Self {
        self.ttl_remaining_ms = Some(ttl_remaining_ms);
        self
    }

    /// When the VM was paused. Absent or null unless it is paused.
    pub fn paused_at(mut self, paused_at: DateTime<Utc>) -> Self {
        self.paused_at = Some(paused_at);
        self
    }

    /// Volumes attached to the VM now.
    ///
    /// Adds one; `set_volumes` sets them all, and an empty one explicitly.
    pub fn volumes(mut self, item: VolumeAttachmentItem) -> Self {
        self.volumes.push(item);
        self
    }

    /// Volumes attached to the VM now.
    ///
    /// Replaces what was added by `volumes` so far.
    pub fn set_volumes(mut self, volumes: Vec<VolumeAttachmentItem>) -> Self {
        self.volumes = volumes;
        self
    }

    /// Buckets mounted in the VM now.
    ///
    /// Adds one; `set_bucket_mounts` sets them all, and an empty one explicitly.
    pub fn bucket_mounts(mut self, item: BucketMount) -> Self {
        self.bucket_mounts.push(item);
        self
    }

    /// Buckets mounted in the VM now.
    ///
    /// Replaces what was added by `bucket_mounts` so far.
    pub fn set_bucket_mounts(mut self, bucket_mounts: Vec<BucketMount>) -> Self {
        self.bucket_mounts = bucket_mounts;
        self
    }

    /// Volumes and buckets that were to be attached and are not. Absent if there are
    /// none.
    pub fn attachment_warnings(
        mut self,
        attachment_warnings: AttachmentWarnings,
    ) -> Self {
        self.attachment_warnings = Some(attachment_warnings);
        self
    }

    /// Services that a restore could not register again. The VM exists and works.
    /// Absent after a cold boot and after a restore without trouble.
    pub fn snapshot_restore_warnings(
        mut self,
        snapshot_restore_warnings: SnapshotRestoreWarnings,
    ) -> Self {
        self.snapshot_restore_warnings = Some(snapshot_restore_warnings);
        self
    }
}

impl std::fmt::Debug for LaunchVmResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaunchVmResponse")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("org_id", &self.org_id)
            .field("cpu", &self.cpu)
            .field("memory_mib", &self.memory_mib)
            .field("disk_gib", &self.disk_gib)
            .field("status", &self.status)
            .field("created_at", &self.created_at)
            .field("machine_name", &self.machine_name)
            .field("source_name", &self.source_name)
            .field("firewall", &self.firewall)
            .field("effective_firewall", &self.effective_firewall)
            .field("metadata", &self.metadata)
            .field("env_vars", &format_args!("[redacted]"))
            .field("public_ipv6", &self.public_ipv6)
            .field("deleted_at", &self.deleted_at)
            .field("ttl", &self.ttl)
            .field("expires_at_ms", &self.expires_at_ms)
            .field("ttl_remaining_ms", &self.ttl_remaining_ms)
            .field("paused_at", &self.paused_at)
            .field("volumes", &self.volumes)
            .field("bucket_mounts", &self.bucket_mounts)
            .field("attachment_warnings", &self.attachment_warnings)
            .field("snapshot_restore_warnings", &self.snapshot_restore_warnings)
            .finish()
    }
}

/// State of the mount. It is `pending` in a paused VM, where the mount follows on
/// resume, and for a moment after attaching to a running one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MountStatus {
    /// `mounted`: The mount is in place.
    Mounted,
    /// `failed`: The mount could not be made or was lost.
    Failed,
    /// `pending`: The mount is still to be made.
    Pending,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(MountStatus { Mounted = "mounted", Failed = "failed", Pending = "pending", });

/// What an org may use and what it uses now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OrgQuotaUsage {
    /// Id of the org. Opaque.
    #[serde(rename = "orgId")]
    pub org_id: String,
    /// What the org may use.
    pub limits: OrgQuotaValues,
    /// What the org uses now. A paused VM has given its share back.
    pub usage: OrgQuotaValues,
}

impl OrgQuotaUsage {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        org_id: impl Into<String>,
        limits: OrgQuotaValues,
        usage: OrgQuotaValues,
    ) -> Self {
        Self {
            org_id: org_id.into(),
            limits,
            usage,
        }
    }
}

/// Amounts of what an org can use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OrgQuotaValues {
    /// Number of vCPUs.
    pub vcpu: i64,
    /// Memory in MiB.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: i64,
    /// Disk space in GiB.
    #[serde(rename = "diskGiB")]
    pub disk_gib: i64,
    /// Number of snapshots.
    #[serde(rename = "snapshotCount")]
    pub snapshot_count: i64,
    /// Number of volumes.
    #[serde(rename = "volumeCount")]
    pub volume_count: i64,
    /// Size of all volumes together, in GiB.
    #[serde(rename = "volumeGiB")]
    pub volume_gib: i64,
}

impl OrgQuotaValues {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        vcpu: i64,
        memory_mib: i64,
        disk_gib: i64,
        snapshot_count: i64,
        volume_count: i64,
        volume_gib: i64,
    ) -> Self {
        Self {
            vcpu,
            memory_mib,
            disk_gib,
            snapshot_count,
            volume_count,
            volume_gib,
        }
    }
}

/// Blocks of a firewall policy to replace. A block that is present is replaced as a whole,
/// a block that is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PatchFirewallRequest {
    /// New block for traffic to the VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressPolicy>,
    /// New block for traffic from the VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressPolicy>,
    /// New block for the resolving of domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsPolicy>,
}

impl PatchFirewallRequest {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            ingress: None,
            egress: None,
            dns: None,
        }
    }

    /// New block for traffic to the VM.
    pub fn ingress(mut self, ingress: IngressPolicy) -> Self {
        self.ingress = Some(ingress);
        self
    }

    /// New block for traffic from the VM.
    pub fn egress(mut self, egress: EgressPolicy) -> Self {
        self.egress = Some(egress);
        self
    }

    /// New block for the resolving of domains.
    pub fn dns(mut self, dns: DnsPolicy) -> Self {
        self.dns = Some(dns);
        self
    }
}

/// What happens to traffic: by default in one direction, or where a rule matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyAction {
    /// `allow`: The traffic passes.
    Allow,
    /// `deny`: The traffic is blocked.
    Deny,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(PolicyAction { Allow = "allow", Deny = "deny", });

/// An upload to announce.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PresignContextRequest {
    /// Size of the archive in bytes. One that is beyond the limit of the platform is
    /// refused with 400; the signed URL enforces the same limit.
    #[serde(rename = "sizeBytes", default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
}

impl PresignContextRequest {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self { size_bytes: None }
    }

    /// Size of the archive in bytes. One that is beyond the limit of the platform is
    /// refused with 400; the signed URL enforces the same limit.
    pub fn size_bytes(mut self, size_bytes: i64) -> Self {
        self.size_bytes = Some(size_bytes);
        self
    }
}

/// What a staging object is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PresignFileRequest {
    /// Path of the file that is to be moved. It only scopes the staging object; any text
    /// is accepted.
    pub path: String,
}

impl PresignFileRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into() }
    }
}

/// The list prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PricingResponse {
    /// Price of running VMs.
    pub compute: ComputePricing,
    /// Price of volumes.
    #[serde(rename = "volumeStorage")]
    pub volume_storage: VolumeStoragePricing,
}

impl PricingResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(compute: ComputePricing, volume_storage: VolumeStoragePricing) -> Self {
        Self { compute, volume_storage }
    }
}

/// A tier of the compute price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PricingTier {
    /// Number of the tier, counted from 1.
    pub tier: i32,
    /// Where the tier begins, in vCPU-hours per month, inclusive.
    #[serde(rename = "fromVcpuHours")]
    pub from_vcpu_hours: f64,
    /// Where the tier ends, in vCPU-hours per month, inclusive. Null in the last tier,
    /// which has no end.
    #[serde(rename = "toVcpuHours")]
    pub to_vcpu_hours: Option<f64>,
    /// Price of one vCPU-hour in US dollars, as decimal text such as `0.09`.
    #[serde(rename = "ratePerVcpuHour")]
    pub rate_per_vcpu_hour: String,
}

impl PricingTier {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        tier: i32,
        from_vcpu_hours: f64,
        to_vcpu_hours: Option<f64>,
        rate_per_vcpu_hour: impl Into<String>,
    ) -> Self {
        Self {
            tier,
            from_vcpu_hours,
            to_vcpu_hours,
            rate_per_vcpu_hour: rate_per_vcpu_hour.into(),
        }
    }
}

/// A port of a VM to publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RegisterServiceRequest {
    /// Name of the service, 1 to 29 characters long. It becomes part of the public host
    /// name, so use letters, digits and inner hyphens.
    pub name: String,
    /// TCP port in the VM, 1024 to 65535; lower ports are refused.
    pub port: i32,
    /// How to speak to the VM. True: HTTP/2 without TLS, which gRPC needs. False:
    /// HTTP/1.1, which covers server-sent events and WebSockets too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h2c: Option<bool>,
}

impl RegisterServiceRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(name: impl Into<String>, port: i32) -> Self {
        Self {
            name: name.into(),
            port,
            h2c: None,
        }
    }

    /// How to speak to the VM. True: HTTP/2 without TLS, which gRPC needs. False:
    /// HTTP/1.1, which covers server-sent events and WebSockets too.
    pub fn h2c(mut self, h2c: bool) -> Self {
        self.h2c = Some(h2c);
        self
    }
}

/// New credentials for a bucket mount.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RotateBucketMountRequest {
    /// The login to the bucket that replaces the present one.
    pub credentials: BucketMountCredentials,
}

impl RotateBucketMountRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(credentials: BucketMountCredentials) -> Self {
        Self { credentials }
    }
}

impl std::fmt::Debug for RotateBucketMountRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RotateBucketMountRequest")
            .field("credentials", &format_args!("[redacted]"))
            .finish()
    }
}

/// A port of a VM, published over HTTPS at the host
/// `<name>--<vm id without hyphens>.proxy.<stack domain>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Service {
    /// Name of the service, unique in the VM, 1 to 29 characters long. It is part of the
    /// public host name.
    pub name: String,
    /// TCP port in the VM, 1024 to 65535.
    pub port: i32,
    /// How the VM is spoken to. True: HTTP/2 without TLS, which gRPC needs. False:
    /// HTTP/1.1, which covers server-sent events and WebSockets too.
    pub h2c: bool,
}

impl Service {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(name: impl Into<String>, port: i32, h2c: bool) -> Self {
        Self {
            name: name.into(),
            port,
            h2c,
        }
    }
}

/// Why the bucket was not mounted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkippedBucketMountReason {
    /// `credentials_invalid`: The stored credentials are not valid.
    CredentialsInvalid,
    /// `bucket_unreachable`: The bucket could not be reached.
    BucketUnreachable,
    /// `credentials_unavailable`: The stored credentials are not available.
    CredentialsUnavailable,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(
    SkippedBucketMountReason { CredentialsInvalid = "credentials_invalid",
    BucketUnreachable = "bucket_unreachable", CredentialsUnavailable =
    "credentials_unavailable", }
);
/// A bucket mount of the snapshot that a restore did not make again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SkippedSnapshotBucketMount {
    /// URI of the bucket.
    #[serde(rename = "bucketUri")]
    pub bucket_uri: String,
    /// Where it was mounted when the snapshot was taken.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// Why the bucket was not mounted.
    pub reason: SkippedBucketMountReason,
}

impl SkippedSnapshotBucketMount {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        bucket_uri: impl Into<String>,
        mount_path: impl Into<String>,
        reason: impl Into<SkippedBucketMountReason>,
    ) -> Self {
        Self {
            bucket_uri: bucket_uri.into(),
            mount_path: mount_path.into(),
            reason: reason.into(),
        }
    }
}

/// A volume of the snapshot that a restore did not attach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SkippedSnapshotVolume {
    /// Id of the volume.
    #[serde(rename = "volumeId")]
    pub volume_id: String,
    /// Where it was mounted when the snapshot was taken.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// Why the volume was not attached.
    pub reason: SkippedVolumeReason,
}

impl SkippedSnapshotVolume {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        volume_id: impl Into<String>,
        mount_path: impl Into<String>,
        reason: impl Into<SkippedVolumeReason>,
    ) -> Self {
        Self {
            volume_id: volume_id.into(),
            mount_path: mount_path.into(),
            reason: reason.into(),
        }
    }
}

/// Why the volume was not attached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkippedVolumeReason {
    /// `deleted`: The volume no longer exists.
    Deleted,
    /// `deleting`: The volume is being deleted.
    Deleting,
    /// `cross_org`: The volume belongs to another org.
    CrossOrg,
    /// `vol_ro_ceiling_after_patch`: The volume was made read-only after the snapshot was taken.
    VolRoCeilingAfterPatch,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(
    SkippedVolumeReason { Deleted = "deleted", Deleting = "deleting", CrossOrg =
    "cross_org", VolRoCeilingAfterPatch = "vol_ro_ceiling_after_patch", }
);
/// The captured state of a VM, from which new VMs can be launched.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Snapshot {
    /// Id of the snapshot. Opaque; it starts with `snp_`.
    pub id: String,
    /// Id of the org that the snapshot belongs to. Opaque.
    #[serde(rename = "orgId")]
    pub org_id: String,
    /// Display name.
    pub name: String,
    /// Id of the VM that was captured.
    #[serde(rename = "vmId")]
    pub vm_id: String,
    /// State of the snapshot.
    pub status: SnapshotStatus,
    /// When the snapshot was taken.
    #[serde(rename = "createdAt")]
    pub created_at: DateTime<Utc>,
    /// Machine type of the VM when it was captured; a restore uses the same. Absent in old
    /// snapshots.
    #[serde(rename = "machineName", default, skip_serializing_if = "Option::is_none")]
    pub machine_name: Option<String>,
    /// Firewall policy that belongs to the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallPolicy>,
    /// Labels of the snapshot, by which [`client.snapshots().list`](fastvm_api::snapshots::Snapshots::list) can filter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Environment variables that belong to the snapshot.
    #[serde(rename = "envVars", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// Services that were registered when the VM was captured. A restore registers them on
    /// the new VM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<SnapshotService>,
    /// Volumes that were attached when the VM was captured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<SnapshotVolumeAttachment>,
    /// Buckets that were mounted when the VM was captured, without their credentials.
    #[serde(rename = "bucketMounts", default, skip_serializing_if = "Vec::is_empty")]
    pub bucket_mounts: Vec<SnapshotBucketMountAttachment>,
}

impl Snapshot {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        id: impl Into<String>,
        org_id: impl Into<String>,
        name: impl Into<String>,
        vm_id: impl Into<String>,
        status: impl Into<SnapshotStatus>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: id.into(),
            org_id: org_id.into(),
            name: name.into(),
            vm_id: vm_id.into(),
            status: status.into(),
            created_at,
            machine_name: None,
            firewall: None,
            metadata: Default::default(),
            env_vars: Default::default(),
            services: Default::default(),
            volumes: Default::default(),
            bucket_mounts: Default::default(),
        }
    }

    /// Machine type of the VM when it was captured; a restore uses the same. Absent in old
    /// snapshots.
    pub fn machine_name(mut self, machine_name: impl Into<String>) -> Self {
        self.machine_name = Some(machine_name.into());
        self
    }

    /// Firewall policy that belongs to the snapshot.
    pub fn firewall(mut self, firewall: FirewallPolicy) -> Self {
        self.firewall = Some(firewall);
        self
    }

    /// Labels of the snapshot, by which [`client.snapshots().list`](fastvm_api::snapshots::Snapshots::list) can filter.
    ///
    /// Adds one; `set_metadata` sets them all, and an empty one explicitly.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Labels of the snapshot, by which [`client.snapshots().list`](fastvm_api::snapshots::Snapshots::list) can filter.
    ///
    /// Replaces what was added by `metadata` so far.
    pub fn set_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = metadata;
        self
    }

    /// Environment variables that belong to the snapshot.
    ///
    /// Adds one; `set_env_vars` sets them all, and an empty one explicitly.
    pub fn env_vars(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env_vars.insert(key.into(), value.into());
        self
    }

    /// Environment variables that belong to the snapshot.
    ///
    /// Replaces what was added by `env_vars` so far.
    pub fn set_env_vars(mut self, env_vars: BTreeMap<String, String>) -> Self {
        self.env_vars = env_vars;
        self
    }

    /// Services that were registered when the VM was captured. A restore registers them on
    /// the new VM.
    ///
    /// Adds one; `set_services` sets them all, and an empty one explicitly.
    pub fn services(mut self, item: SnapshotService) -> Self {
        self.services.push(item);
        self
    }

    /// Services that were registered when the VM was captured. A restore registers them on
    /// the new VM.
    ///
    /// Replaces what was added by `services` so far.
    pub fn set_services(mut self, services: Vec<SnapshotService>) -> Self {
        self.services = services;
        self
    }

    /// Volumes that were attached when the VM was captured.
    ///
    /// Adds one; `set_volumes` sets them all, and an empty one explicitly.
    pub fn volumes(mut self, item: SnapshotVolumeAttachment) -> Self {
        self.volumes.push(item);
        self
    }

    /// Volumes that were attached when the VM was captured.
    ///
    /// Replaces what was added by `volumes` so far.
    pub fn set_volumes(mut self, volumes: Vec<SnapshotVolumeAttachment>) -> Self {
        self.volumes = volumes;
        self
    }

    /// Buckets that were mounted when the VM was captured, without their credentials.
    ///
    /// Adds one; `set_bucket_mounts` sets them all, and an empty one explicitly.
    pub fn bucket_mounts(mut self, item: SnapshotBucketMountAttachment) -> Self {
        self.bucket_mounts.push(item);
        self
    }

    /// Buckets that were mounted when the VM was captured, without their credentials.
    ///
    /// Replaces what was added by `bucket_mounts` so far.
    pub fn set_bucket_mounts(
        mut self,
        bucket_mounts: Vec<SnapshotBucketMountAttachment>,
    ) -> Self {
        self.bucket_mounts = bucket_mounts;
        self
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("id", &self.id)
            .field("org_id", &self.org_id)
            .field("name", &self.name)
            .field("vm_id", &self.vm_id)
            .field("status", &self.status)
            .field("created_at", &self.created_at)
            .field("machine_name", &self.machine_name)
            .field("firewall", &self.firewall)
            .field("metadata", &self.metadata)
            .field("env_vars", &format_args!("[redacted]"))
            .field("services", &self.services)
            .field("volumes", &self.volumes)
            .field("bucket_mounts", &self.bucket_mounts)
            .finish()
    }
}

/// A bucket mount as captured in a snapshot, without its credentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SnapshotBucketMountAttachment {
    /// URI of the bucket.
    #[serde(rename = "bucketUri")]
    pub bucket_uri: String,
    /// Where the bucket was mounted in the VM.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// Whether the VM could only read the bucket.
    #[serde(rename = "readOnly", default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

impl SnapshotBucketMountAttachment {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(bucket_uri: impl Into<String>, mount_path: impl Into<String>) -> Self {
        Self {
            bucket_uri: bucket_uri.into(),
            mount_path: mount_path.into(),
            read_only: None,
        }
    }

    /// Whether the VM could only read the bucket.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }
}

/// An entry of an import's log. `phase` and `status` together tell what a running import
/// is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SnapshotImportEvent {
    /// The step that the entry is about. The steps of an image import are, in this order,
    /// `preparing`, `network`, `pull`, `export`, `saving` and `warming`; a Dockerfile
    /// import has `fetch_context` and `build` instead of `pull`. `done` closes the log.
    pub phase: SnapshotImportPhase,
    /// What happened to the step.
    pub status: SnapshotImportEventStatus,
    /// When it happened, in milliseconds since the Unix epoch.
    #[serde(rename = "timestampMs")]
    pub timestamp_ms: i64,
    /// More about it, in words, without credentials and internal paths. Absent if there is
    /// nothing to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl SnapshotImportEvent {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        phase: impl Into<SnapshotImportPhase>,
        status: impl Into<SnapshotImportEventStatus>,
        timestamp_ms: i64,
    ) -> Self {
        Self {
            phase: phase.into(),
            status: status.into(),
            timestamp_ms,
            message: None,
        }
    }

    /// More about it, in words, without credentials and internal paths. Absent if there is
    /// nothing to say.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// What happened to the step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotImportEventStatus {
    /// `started`: The step has begun.
    Started,
    /// `completed`: The step was completed.
    Completed,
    /// `failed`: The step has failed.
    Failed,
    /// `skipped`: The step was not needed.
    Skipped,
    /// `cancelled`: The step was cancelled.
    Cancelled,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(
    SnapshotImportEventStatus { Started = "started", Completed = "completed", Failed =
    "failed", Skipped = "skipped", Cancelled = "cancelled", }
);
/// The step that the entry is about. The steps of an image import are, in this order,
/// `preparing`, `network`, `pull`, `export`, `saving` and `warming`; a Dockerfile
/// import has `fetch_context` and `build` instead of `pull`. `done` closes the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotImportPhase {
    /// `preparing`: The import is being prepared.
    Preparing,
    /// `network`: The network for the import is being set up.
    Network,
    /// `pull`: The image is being pulled; only for kind `image`.
    Pull,
    /// `fetch_context`: The build context is being loaded; only for kind `dockerfile`.
    FetchContext,
    /// `build`: The image is being built; only for kind `dockerfile`.
    Build,
    /// `export`: The image is being exported.
    Export,
    /// `saving`: The snapshot is being saved.
    Saving,
    /// `warming`: The snapshot is being warmed up.
    Warming,
    /// `done`: The import is over, and this is the last entry of the log.
    Done,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(
    SnapshotImportPhase { Preparing = "preparing", Network = "network", Pull = "pull",
    FetchContext = "fetch_context", Build = "build", Export = "export", Saving =
    "saving", Warming = "warming", Done = "done", }
);
/// An import with its source, how far it has come and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SnapshotImportResponse {
    /// Id of the import. Opaque; it looks like a UUID.
    pub id: String,
    /// State of the import. `succeeded`, `failed` and `cancelled` are final.
    pub status: SnapshotImportStatus,
    /// The source, without secrets.
    pub source: SnapshotImportSourceView,
    /// When the import was requested.
    #[serde(rename = "createdAt")]
    pub created_at: DateTime<Utc>,
    /// Display name of the import and of its snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id of the snapshot, which is `ready`. Present only after a success.
    #[serde(rename = "snapshotId", default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// What went wrong, in words that can be shown to users. Present only after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Log of the import; entries are only ever added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<SnapshotImportEvent>,
    /// Machine type that the snapshot is made for.
    #[serde(rename = "machineName", default, skip_serializing_if = "Option::is_none")]
    pub machine_name: Option<String>,
    /// Number of vCPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<i64>,
    /// Memory in MiB.
    #[serde(rename = "memoryMiB", default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<i64>,
    /// Size of the snapshot's disk in GiB.
    #[serde(rename = "diskGiB", default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<i64>,
    /// When work on the import began. Absent before.
    #[serde(rename = "startedAt", default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// When the import last changed.
    #[serde(rename = "updatedAt", default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
    /// When the import succeeded, failed or was cancelled. Absent before.
    #[serde(rename = "finishedAt", default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

impl SnapshotImportResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        id: impl Into<String>,
        status: impl Into<SnapshotImportStatus>,
        source: SnapshotImportSourceView,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: id.into(),
            status: status.into(),
            source,
            created_at,
            name: None,
            snapshot_id: None,
            error: None,
            events: Default::default(),
            machine_name: None,
            cpu: None,
            memory_mib: None,
            disk_gib: None,
            started_at: None,
            updated_at: None,
            finished_at: None,
        }
    }

    /// Display name of the import and of its snapshot.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Id of the snapshot, which is `ready`. Present only after a success.
    pub fn snapshot_id(mut self, snapshot_id: impl Into<String>) -> Self {
        self.snapshot_id = Some(snapshot_id.into());
        self
    }

    /// What went wrong, in words that can be shown to users. Present only after a failure.
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }

    /// Log of the import; entries are only ever added.
    ///
    /// Adds one; `set_events` sets them all, and an empty one explicitly.
    pub fn events(mut self, item: SnapshotImportEvent) -> Self {
        self.events.push(item);
        self
    }

    /// Log of the import; entries are only ever added.
    ///
    /// Replaces what was added by `events` so far.
    pub fn set_events(mut self, events: Vec<SnapshotImportEvent>) -> Self {
        self.events = events;
        self
    }

    /// Machine type that the snapshot is made for.
    pub fn machine_name(mut self, machine_name: impl Into<String>) -> Self {
        self.machine_name = Some(machine_name.into());
        self
    }

    /// Number of vCPUs.
    pub fn cpu(mut self, cpu: i64) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// Memory in MiB.
    pub fn memory_mib(mut self, memory_mib: i64) -> Self {
        self.memory_mib = Some(memory_mib);
        self
    }

    /// Size of the snapshot's disk in GiB.
    pub fn disk_gib(mut self, disk_gib: i64) -> Self {
        self.disk_gib = Some(disk_gib);
        self
    }

    /// When work on the import began. Absent before.
    pub fn started_at(mut self, started_at: DateTime<Utc>) -> Self {
        self.started_at = Some(started_at);
        self
    }

    /// When the import last changed.
    pub fn updated_at(mut self, updated_at: DateTime<Utc>) -> Self {
        self.updated_at = Some(updated_at);
        self
    }

    /// When the import succeeded, failed or was cancelled. Absent before.
    pub fn finished_at(mut self, finished_at: DateTime<Utc>) -> Self {
        self.finished_at = Some(finished_at);
        self
    }
}

/// Kind of the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotImportSourceKind {
    /// `image`: An OCI image is pulled from its registry.
    Image,
    /// `dockerfile`: An image is built from an uploaded build context.
    Dockerfile,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(SnapshotImportSourceKind { Image = "image", Dockerfile = "dockerfile", });

/// The source of an import. `type_` decides which other fields count; a request that mixes
/// fields of both kinds is refused with 400.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SnapshotImportSourceSpec {
    /// Kind of the source.
    #[serde(rename = "type")]
    pub type_: SnapshotImportSourceKind,
    /// The image, as a Docker or OCI reference with a tag or a digest. Required for kind
    /// `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Which platform of the image to pull, as `<os>/<arch>`. Only for kind `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The uploaded build context, as named by [`client.snapshot_imports().presign_context`](fastvm_api::snapshot_imports::SnapshotImports::presign_context) for the same
    /// org. It can be used once. Required for kind `dockerfile`.
    #[serde(rename = "contextRef", default, skip_serializing_if = "Option::is_none")]
    pub context_ref: Option<String>,
    /// Path of the Dockerfile within the build context. Absolute paths and `..` are
    /// refused. Only for kind `dockerfile`.
    #[serde(rename = "dockerfilePath", default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_path: Option<String>,
    /// Stage of the Dockerfile to build. Empty or left out means the last one. Only for
    /// kind `dockerfile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Build arguments, at most 64 of them and 8 KiB altogether. Only for kind
    /// `dockerfile`.
    #[serde(rename = "buildArgs", default, skip_serializing_if = "Option::is_none")]
    pub build_args: Option<BTreeMap<String, String>>,
    /// Host of the registry that the login is for, with a port if need be. Required with a
    /// login for kind `dockerfile`; ignored for kind `image`, where the reference names the
    /// host.
    #[serde(rename = "registryHost", default, skip_serializing_if = "Option::is_none")]
    pub registry_host: Option<String>,
    /// User name for private pulls: of the image, or of the base images of a build.
    #[serde(
        rename = "registryUsername",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub registry_username: Option<String>,
    /// Password or token for private pulls. It is held in memory only, never stored and
    /// never returned.
    #[serde(
        rename = "registryPassword",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub registry_password: Option<String>,
}

impl SnapshotImportSourceSpec {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(type_: impl Into<SnapshotImportSourceKind>) -> Self {
        Self {
            type_: type_.into(),
            image: None,
            platform: None,
            context_ref: None,
            dockerfile_path: None,
            target: None,
            build_args: None,
            registry_host: None,
            registry_username: None,
            registry_password: None,
        }
    }

    /// The image, as a Docker or OCI reference with a tag or a digest. Required for kind
    /// `image`.
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.image = Some(image.into());
        self
    }

    /// Which platform of the image to pull, as `<os>/<arch>`. Only for kind `image`.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// The uploaded build context, as named by [`client.snapshot_imports().presign_context`](fastvm_api::snapshot_imports::SnapshotImports::presign_context) for the same
    /// org. It can be used once. Required for kind `dockerfile`.
    pub fn context_ref(mut self, context_ref: impl Into<String>) -> Self {
        self.context_ref = Some(context_ref.into());
        self
    }

    /// Path of the Dockerfile within the build context. Absolute paths and `..` are
    /// refused. Only for kind `dockerfile`.
    pub fn dockerfile_path(mut self, dockerfile_path: impl Into<String>) -> Self {
        self.dockerfile_path = Some(dockerfile_path.into());
        self
    }

    /// Stage of the Dockerfile to build. Empty or left out means the last one. Only for
    /// kind `dockerfile`.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Build arguments, at most 64 of them and 8 KiB altogether. Only for kind
    /// `dockerfile`.
    ///
    /// Adds one; `set_build_args` sets them all, and an empty one explicitly.
    pub fn build_args(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.build_args.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Build arguments, at most 64 of them and 8 KiB altogether. Only for kind
    /// `dockerfile`.
    ///
    /// Replaces what was added by `build_args` so far.
    pub fn set_build_args(mut self, build_args: BTreeMap<String, String>) -> Self {
        self.build_args = Some(build_args);
        self
    }

    /// Host of the registry that the login is for, with a port if need be. Required with a
    /// login for kind `dockerfile`; ignored for kind `image`, where the reference names the
    /// host.
    pub fn registry_host(mut self, registry_host: impl Into<String>) -> Self {
        self.registry_host = Some(registry_host.into());
        self
    }

    /// User name for private pulls: of the image, or of the base images of a build.
    pub fn registry_username(mut self, registry_username: impl Into<String>) -> Self {
        self.registry_username = Some(registry_username.into());
        self
    }

    /// Password or token for private pulls. It is held in memory only, never stored and
    /// never returned.
    pub fn registry_password(mut self, registry_password: impl Into<String>) -> Self {
        self.registry_password = Some(registry_password.into());
        self
    }
}

impl std::fmt::Debug for SnapshotImportSourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotImportSourceSpec")
            .field("type_", &self.type_)
            .field("image", &self.image)
            .field("platform", &self.platform)
            .field("context_ref", &format_args!("[redacted]"))
            .field("dockerfile_path", &self.dockerfile_path)
            .field("target", &self.target)
            .field("build_args", &format_args!("[redacted]"))
            .field("registry_host", &self.registry_host)
            .field("registry_username", &self.registry_username)
            .field("registry_password", &format_args!("[redacted]"))
            .finish()
    }
}

/// The source of an import as shown in answers, without secrets.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SnapshotImportSourceView {
    /// Kind of the source.
    #[serde(rename = "type")]
    pub type_: SnapshotImportSourceKind,
    /// The image, for kind `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The platform of the image, as `<os>/<arch>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Path of the Dockerfile within the build context.
    #[serde(rename = "dockerfilePath", default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_path: Option<String>,
    /// Size of the uploaded build context, in bytes.
    #[serde(
        rename = "contextSizeBytes",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub context_size_bytes: Option<i64>,
    /// Stage of the Dockerfile that is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Build arguments.
    #[serde(rename = "buildArgs", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub build_args: BTreeMap<String, String>,
    /// Host of the registry that the login is for. Empty for kind `image`.
    #[serde(rename = "registryHost", default, skip_serializing_if = "Option::is_none")]
    pub registry_host: Option<String>,
    /// User name for private pulls.
    #[serde(
        rename = "registryUsername",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub registry_username: Option<String>,
}

impl SnapshotImportSourceView {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(type_: impl Into<SnapshotImportSourceKind>) -> Self {
        Self {
            type_: type_.into(),
            image: None,
            platform: None,
            dockerfile_path: None,
            context_size_bytes: None,
            target: None,
            build_args: Default::default(),
            registry_host: None,
            registry_username: None,
        }
    }

    /// The image, for kind `image`.
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.image = Some(image.into());
        self
    }

    /// The platform of the image, as `<os>/<arch>`.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// Path of the Dockerfile within the build context.
    pub fn dockerfile_path(mut self, dockerfile_path: impl Into<String>) -> Self {
        self.dockerfile_path = Some(dockerfile_path.into());
        self
    }

    /// Size of the uploaded build context, in bytes.
    pub fn context_size_bytes(mut self, context_size_bytes: i64) -> Self {
        self.context_size_bytes = Some(context_size_bytes);
        self
    }

    /// Stage of the Dockerfile that is built.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Build arguments.
    ///
    /// Adds one; `set_build_args` sets them all, and an empty one explicitly.
    pub fn build_args(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.build_args.insert(key.into(), value.into());
        self
    }

    /// Build arguments.
    ///
    /// Replaces what was added by `build_args` so far.
    pub fn set_build_args(mut self, build_args: BTreeMap<String, String>) -> Self {
        self.build_args = build_args;
        self
    }

    /// Host of the registry that the login is for. Empty for kind `image`.
    pub fn registry_host(mut self, registry_host: impl Into<String>) -> Self {
        self.registry_host = Some(registry_host.into());
        self
    }

    /// User name for private pulls.
    pub fn registry_username(mut self, registry_username: impl Into<String>) -> Self {
        self.registry_username = Some(registry_username.into());
        self
    }
}

impl std::fmt::Debug for SnapshotImportSourceView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotImportSourceView")
            .field("type_", &self.type_)
            .field("image", &self.image)
            .field("platform", &self.platform)
            .field("dockerfile_path", &self.dockerfile_path)
            .field("context_size_bytes", &self.context_size_bytes)
            .field("target", &self.target)
            .field("build_args", &format_args!("[redacted]"))
            .field("registry_host", &self.registry_host)
            .field("registry_username", &self.registry_username)
            .finish()
    }
}

/// State of the import. `succeeded`, `failed` and `cancelled` are final.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotImportStatus {
    /// `pending`: The import is queued.
    Pending,
    /// `claimed`: A worker was chosen for the import.
    Claimed,
    /// `running`: The import is being worked on.
    Running,
    /// `succeeded`: The snapshot is made and ready.
    Succeeded,
    /// `failed`: The import has failed, and `error` says why.
    Failed,
    /// `cancelled`: The import was cancelled.
    Cancelled,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(
    SnapshotImportStatus { Pending = "pending", Claimed = "claimed", Running = "running",
    Succeeded = "succeeded", Failed = "failed", Cancelled = "cancelled", }
);
/// Services that a restore could not register again. The VM itself exists and works.
///
/// Services are registered all together or not at all: either each service of the
/// snapshot is there, or none is and all of them are listed here. Register each one with
/// a [`client.vms().services().register`](fastvm_api::vms::services::Services::register) call of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SnapshotRestoreWarnings {
    /// Always true; without a failure the whole object is absent.
    #[serde(rename = "servicesRegistrationFailed")]
    pub services_registration_failed: bool,
    /// What went wrong, as diagnostic text for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The services to register again.
    #[serde(
        rename = "unregisteredServices",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub unregistered_services: Vec<SnapshotService>,
}

impl SnapshotRestoreWarnings {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(services_registration_failed: bool) -> Self {
        Self {
            services_registration_failed,
            reason: None,
            unregistered_services: Default::default(),
        }
    }

    /// What went wrong, as diagnostic text for operators.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The services to register again.
    ///
    /// Adds one; `set_unregistered_services` sets them all, and an empty one explicitly.
    pub fn unregistered_services(mut self, item: SnapshotService) -> Self {
        self.unregistered_services.push(item);
        self
    }

    /// The services to register again.
    ///
    /// Replaces what was added by `unregistered_services` so far.
    pub fn set_unregistered_services(
        mut self,
        unregistered_services: Vec<SnapshotService>,
    ) -> Self {
        self.unregistered_services = unregistered_services;
        self
    }
}

/// A service as captured in a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SnapshotService {
    /// Name of the service.
    pub name: String,
    /// TCP port in the VM.
    pub port: i32,
    /// Whether the VM is spoken to in HTTP/2 without TLS, not in HTTP/1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h2c: Option<bool>,
}

impl SnapshotService {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(name: impl Into<String>, port: i32) -> Self {
        Self {
            name: name.into(),
            port,
            h2c: None,
        }
    }

    /// Whether the VM is spoken to in HTTP/2 without TLS, not in HTTP/1.1.
    pub fn h2c(mut self, h2c: bool) -> Self {
        self.h2c = Some(h2c);
        self
    }
}

/// State of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotStatus {
    /// `creating`: The snapshot is being taken.
    Creating,
    /// `ready`: VMs can be launched from the snapshot.
    Ready,
    /// `error`: The snapshot could not be taken.
    Error,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(SnapshotStatus { Creating = "creating", Ready = "ready", Error = "error", });

/// A volume attachment as captured in a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SnapshotVolumeAttachment {
    /// Id of the volume.
    #[serde(rename = "volumeId")]
    pub volume_id: String,
    /// Where the volume was mounted in the VM.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// Whether the VM could only read the volume.
    #[serde(rename = "readOnly", default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

impl SnapshotVolumeAttachment {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(volume_id: impl Into<String>, mount_path: impl Into<String>) -> Self {
        Self {
            volume_id: volume_id.into(),
            mount_path: mount_path.into(),
            read_only: None,
        }
    }

    /// Whether the VM could only read the volume.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }
}

/// A public key that lets its user log in to VMs over SSH.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SshKey {
    /// Fingerprint in the SHA256 form of OpenSSH: `SHA256:` and base64 text. It identifies
    /// the key, and no two users have the same one.
    pub fingerprint: String,
    /// The key: its type and its base64 text. The types are RSA (`ssh-rsa`), Ed25519
    /// (`ssh-ed25519`), ECDSA on the three NIST curves (`ecdsa-sha2-nistp256` and its like)
    /// and their FIDO2 variants (`sk-…@openssh.com`).
    #[serde(rename = "publicKey")]
    pub public_key: String,
    /// When the key was added.
    #[serde(rename = "createdAt")]
    pub created_at: DateTime<Utc>,
    /// Free label. Absent if none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl SshKey {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        fingerprint: impl Into<String>,
        public_key: impl Into<String>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            fingerprint: fingerprint.into(),
            public_key: public_key.into(),
            created_at,
            name: None,
        }
    }

    /// Free label. Absent if none was given.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// The SSH keys of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SshKeyListResponse {
    /// The keys.
    pub keys: Vec<SshKey>,
}

impl SshKeyListResponse {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(keys: impl IntoIterator<Item = SshKey>) -> Self {
        Self {
            keys: keys.into_iter().collect(),
        }
    }
}

/// Transport protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportProtocol {
    /// `tcp`: Only TCP.
    Tcp,
    /// `udp`: Only UDP.
    Udp,
    /// `any`: Every protocol; `ports` must then be `any` as well.
    Any,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(TransportProtocol { Tcp = "tcp", Udp = "udp", Any = "any", });

/// What happens when the time is up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TtlAction {
    /// `pause`: The VM is paused, and the next resume starts a full new countdown.
    Pause,
    /// `delete`: The VM is deleted for good.
    Delete,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(TtlAction { Pause = "pause", Delete = "delete", });

/// Port and transport of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UpdateServiceRequest {
    /// TCP port in the VM, 1024 to 65535; lower ports are refused.
    pub port: i32,
    /// How to speak to the VM. True: HTTP/2 without TLS, which gRPC needs. False:
    /// HTTP/1.1. Send it with every update of a service that has it set; do not rely on
    /// what leaving it out does to a stored value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h2c: Option<bool>,
}

impl UpdateServiceRequest {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(port: i32) -> Self {
        Self { port, h2c: None }
    }

    /// How to speak to the VM. True: HTTP/2 without TLS, which gRPC needs. False:
    /// HTTP/1.1. Send it with every update of a service that has it set; do not rely on
    /// what leaving it out does to a stored value.
    pub fn h2c(mut self, h2c: bool) -> Self {
        self.h2c = Some(h2c);
        self
    }
}

/// The fields of a snapshot to change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UpdateSnapshotRequest {
    /// New display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl UpdateSnapshotRequest {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self { name: None }
    }

    /// New display name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// The fields of a VM to change. A field that is left out keeps its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UpdateVmRequest {
    /// New display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New labels, which replace all present ones. An empty object removes them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// New time to live, with which a full cycle starts. Null is accepted too: look at
    /// `ttl` in the answer to see what it did.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub ttl: Patch<VmTtl>,
}

impl UpdateVmRequest {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            name: None,
            metadata: None,
            ttl: Patch::Keep,
        }
    }

    /// New display name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// New labels, which replace all present ones. An empty object removes them all.
    ///
    /// Adds one; `set_metadata` sets them all, and an empty one explicitly.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// New labels, which replace all present ones. An empty object removes them all.
    ///
    /// Replaces what was added by `metadata` so far.
    pub fn set_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// New time to live, with which a full cycle starts. Null is accepted too: look at
    /// `ttl` in the answer to see what it did.
    ///
    /// `Patch::Clear` (or `None`) sends null; without this call it is kept as it is.
    pub fn ttl(mut self, ttl: impl Into<Patch<VmTtl>>) -> Self {
        self.ttl = ttl.into();
        self
    }
}

/// The fields of a volume to change. A field that is left out keeps its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UpdateVolumeRequest {
    /// New display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New size in GiB. A smaller one is possible only if the data still fits.
    #[serde(rename = "sizeGiB", default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<i64>,
    /// What attachments may do with the volume from now on.
    #[serde(rename = "accessMode", default, skip_serializing_if = "Option::is_none")]
    pub access_mode: Option<AccessMode>,
}

impl UpdateVolumeRequest {
    /// An empty one, to be filled by its setters.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            name: None,
            size_gib: None,
            access_mode: None,
        }
    }

    /// New display name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// New size in GiB. A smaller one is possible only if the data still fits.
    pub fn size_gib(mut self, size_gib: i64) -> Self {
        self.size_gib = Some(size_gib);
        self
    }

    /// What attachments may do with the volume from now on.
    pub fn access_mode(mut self, access_mode: impl Into<AccessMode>) -> Self {
        self.access_mode = Some(access_mode.into());
        self
    }
}

/// A virtual machine as last seen by the API.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Vm {
    /// Id of the VM. Opaque; it looks like a UUID. It is also the user name for SSH.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Id of the org that the VM belongs to. Opaque.
    #[serde(rename = "orgId")]
    pub org_id: String,
    /// Number of vCPUs.
    pub cpu: i64,
    /// Memory in MiB.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: i64,
    /// Size of the root disk in GiB.
    #[serde(rename = "diskGiB")]
    pub disk_gib: i64,
    /// State of the VM.
    pub status: VmStatus,
    /// When the VM was made.
    #[serde(rename = "createdAt")]
    pub created_at: DateTime<Utc>,
    /// Machine type of the VM, such as `c2m4`.
    #[serde(rename = "machineName", default, skip_serializing_if = "Option::is_none")]
    pub machine_name: Option<String>,
    /// Name of the snapshot or image that the VM was made from. Empty after a cold boot.
    #[serde(rename = "sourceName", default, skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// The policy as set by the user. See `effective_firewall` for what is enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallPolicy>,
    /// The policy that the VM's worker enforces: `firewall` plus one automatic ingress
    /// rule for each registered service (source `::/0`, description
    /// `auto: proxy service <name>`). It is computed for each answer and not stored;
    /// change `firewall` or the services to influence it.
    #[serde(
        rename = "effectiveFirewall",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub effective_firewall: Option<FirewallPolicy>,
    /// Labels of the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Environment variables that the VM was booted with.
    #[serde(rename = "envVars", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// Public IPv6 address of the VM. Absent if it has none.
    #[serde(rename = "publicIpv6", default, skip_serializing_if = "Option::is_none")]
    pub public_ipv6: Option<String>,
    /// When the VM was deleted. Absent or null while it exists.
    #[serde(rename = "deletedAt", default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Time to live of the VM. Absent or null if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<VmTtl>,
    /// When the TTL runs out, in milliseconds since the Unix epoch. Present only while a
    /// VM with a TTL is `running`.
    #[serde(rename = "expiresAtMs", default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<i64>,
    /// What is left of the TTL, in milliseconds. Present only while a VM with a TTL is
    /// `paused`; a resume turns it back into `expires_at_ms`.
    #[serde(rename = "ttlRemainingMs", default, skip_serializing_if = "Option::is_none")]
    pub ttl_remaining_ms: Option<i64>,
    /// When the VM was paused. Absent or null unless it is paused.
    #[serde(rename = "pausedAt", default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<DateTime<Utc>>,
    /// Volumes attached to the VM now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeAttachmentItem>,
    /// Buckets mounted in the VM now.
    #[serde(rename = "bucketMounts", default, skip_serializing_if = "Vec::is_empty")]
    pub bucket_mounts: Vec<BucketMount>,
}

impl Vm {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        org_id: impl Into<String>,
        cpu: i64,
        memory_mib: i64,
        disk_gib: i64,
        status: impl Into<VmStatus>,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            org_id: org_id.into(),
            cpu,
            memory_mib,
            disk_gib,
            status: status.into(),
            created_at,
            machine_name: None,
            source_name: None,
            firewall: None,
            effective_firewall: None,
            metadata: Default::default(),
            env_vars: Default::default(),
            public_ipv6: None,
            deleted_at: None,
            ttl: None,
            expires_at_ms: None,
            ttl_remaining_ms: None,
            paused_at: None,
            volumes: Default::default(),
            bucket_mounts: Default::default(),
        }
    }

    /// Machine type of the VM, such as `c2m4`.
    pub fn machine_name(mut self, machine_name: impl Into<String>) -> Self {
        self.machine_name = Some(machine_name.into());
        self
    }

    /// Name of the snapshot or image that the VM was made from. Empty after a cold boot.
    pub fn source_name(mut self, source_name: impl Into<String>) -> Self {
        self.source_name = Some(source_name.into());
        self
    }

    /// The policy as set by the user. See `effective_firewall` for what is enforced.
    pub fn firewall(mut self, firewall: FirewallPolicy) -> Self {
        self.firewall = Some(firewall);
        self
    }

    /// The policy that the VM's worker enforces: `firewall` plus one automatic ingress
    /// rule for each registered service (source `::/0`, description
    /// `auto: proxy service <name>`). It is computed for each answer and not stored;
    /// change `firewall` or the services to influence it.
    pub fn effective_firewall(mut self, effective_firewall: FirewallPolicy) -> Self {
        self.effective_firewall = Some(effective_firewall);
        self
    }

    /// Labels of the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    ///
    /// Adds one; `set_metadata` sets them all, and an empty one explicitly.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Labels of the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    ///
    /// Replaces what was added by `metadata` so far.
    pub fn set_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = metadata;
        self
    }

    /// Environment variables that the VM was booted with.
    ///
    /// Adds one; `set_env_vars` sets them all, and an empty one explicitly.
    pub fn env_vars(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env_vars.insert(key.into(), value.into());
        self
    }

    /// Environment variables that the VM was booted with.
    ///
    /// Replaces what was added by `env_vars` so far.
    pub fn set_env_vars(mut self, env_vars: BTreeMap<String, String>) -> Self {
        self.env_vars = env_vars;
        self
    }

    /// Public IPv6 address of the VM. Absent if it has none.
    pub fn public_ipv6(mut self, public_ipv6: impl Into<String>) -> Self {
        self.public_ipv6 = Some(public_ipv6.into());
        self
    }

    /// When the VM was deleted. Absent or null while it exists.
    pub fn deleted_at(mut self, deleted_at: DateTime<Utc>) -> Self {
        self.deleted_at = Some(deleted_at);
        self
    }

    /// Time to live of the VM. Absent or null if it has none.
    pub fn ttl(mut self, ttl: VmTtl) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// When the TTL runs out, in milliseconds since the Unix epoch. Present only while a
    /// VM with a TTL is `running`.
    pub fn expires_at_ms(mut self, expires_at_ms: i64) -> Self {
        self.expires_at_ms = Some(expires_at_ms);
        self
    }

    /// What is left of the TTL, in milliseconds. Present only while a VM with a TTL is
    /// `paused`; a resume turns it back into `expires_at_ms`.
    pub fn ttl_remaining_ms(mut self, ttl_remaining_ms: i64) -> Self {
        self.ttl_remaining_ms = Some(ttl_remaining_ms);
        self
    }

    /// When the VM was paused. Absent or null unless it is paused.
    pub fn paused_at(mut self, paused_at: DateTime<Utc>) -> Self {
        self.paused_at = Some(paused_at);
        self
    }

    /// Volumes attached to the VM now.
    ///
    /// Adds one; `set_volumes` sets them all, and an empty one explicitly.
    pub fn volumes(mut self, item: VolumeAttachmentItem) -> Self {
        self.volumes.push(item);
        self
    }

    /// Volumes attached to the VM now.
    ///
    /// Replaces what was added by `volumes` so far.
    pub fn set_volumes(mut self, volumes: Vec<VolumeAttachmentItem>) -> Self {
        self.volumes = volumes;
        self
    }

    /// Buckets mounted in the VM now.
    ///
    /// Adds one; `set_bucket_mounts` sets them all, and an empty one explicitly.
    pub fn bucket_mounts(mut self, item: BucketMount) -> Self {
        self.bucket_mounts.push(item);
        self
    }

    /// Buckets mounted in the VM now.
    ///
    /// Replaces what was added by `bucket_mounts` so far.
    pub fn set_bucket_mounts(mut self, bucket_mounts: Vec<BucketMount>) -> Self {
        self.bucket_mounts = bucket_mounts;
        self
    }
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("org_id", &self.org_id)
            .field("cpu", &self.cpu)
            .field("memory_mib", &self.memory_mib)
            .field("disk_gib", &self.disk_gib)
            .field("status", &self.status)
            .field("created_at", &self.created_at)
            .field("machine_name", &self.machine_name)
            .field("source_name", &self.source_name)
            .field("firewall", &self.firewall)
            .field("effective_firewall", &self.effective_firewall)
            .field("metadata", &self.metadata)
            .field("env_vars", &format_args!("[redacted]"))
            .field("public_ipv6", &self.public_ipv6)
            .field("deleted_at", &self.deleted_at)
            .field("ttl", &self.ttl)
            .field("expires_at_ms", &self.expires_at_ms)
            .field("ttl_remaining_ms", &self.ttl_remaining_ms)
            .field("paused_at", &self.paused_at)
            .field("volumes", &self.volumes)
            .field("bucket_mounts", &self.bucket_mounts)
            .finish()
    }
}

/// State of a VM. `provisioning`, `pausing`, `resuming` and `deleting` are on the way to
/// another state; `error` and `stopped` are the ends of a failure. Take a state that is
/// not known as one on the way, not as a failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VmStatus {
    /// `provisioning`: The VM is queued or being started.
    Provisioning,
    /// `running`: The VM runs and takes commands.
    Running,
    /// `stopped`: The VM has stopped and does not come back by itself.
    Stopped,
    /// `pausing`: The state of the VM is being saved.
    Pausing,
    /// `paused`: The state of the VM is saved, and it uses no worker.
    Paused,
    /// `resuming`: The saved state of the VM is being brought back.
    Resuming,
    /// `deleting`: The VM is being deleted.
    Deleting,
    /// `error`: The VM has failed.
    Error,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(
    VmStatus { Provisioning = "provisioning", Running = "running", Stopped = "stopped",
    Pausing = "pausing", Paused = "paused", Resuming = "resuming", Deleting = "deleting",
    Error = "error", }
);
/// Time to live: how long a VM may run until it is paused or deleted by itself. The
/// countdown runs while the VM is `running` and stands still while it is paused;
/// [`client.vms().refresh_ttl`](fastvm_api::vms::Vms::refresh_ttl) starts it anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VmTtl {
    /// Length of the countdown in seconds, at most 31536000 (one year). A longer one is
    /// refused with 400.
    pub seconds: i64,
    /// What happens when the time is up.
    pub action: TtlAction,
}

impl VmTtl {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(seconds: i64, action: impl Into<TtlAction>) -> Self {
        Self {
            seconds,
            action: action.into(),
        }
    }
}

/// Storage that outlives VMs and can be attached to several of them at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Volume {
    /// Id of the volume. Opaque; it looks like `vol_` and 22 lowercase hex digits.
    pub id: String,
    /// Id of the org that the volume belongs to. Opaque.
    #[serde(rename = "orgId")]
    pub org_id: String,
    /// Display name.
    pub name: String,
    /// Size in GiB. While the size is being changed, the old one; see `pending_size_gib`.
    #[serde(rename = "sizeGiB")]
    pub size_gib: i64,
    /// What attachments may do with the volume.
    #[serde(rename = "accessMode")]
    pub access_mode: AccessMode,
    /// State of the volume.
    pub status: VolumeStatus,
    /// Number of running VMs that have the volume attached. Paused VMs do not count.
    #[serde(rename = "mountedCount")]
    pub mounted_count: i64,
    /// When the volume was created.
    #[serde(rename = "createdAt")]
    pub created_at: DateTime<Utc>,
    /// Size in GiB that the volume is being changed to. Absent or 0 if its size is not
    /// being changed.
    #[serde(rename = "pendingSizeGiB", default, skip_serializing_if = "Option::is_none")]
    pub pending_size_gib: Option<i64>,
    /// Space in use, in whole GiB, rounded down. Absent if it cannot be determined now.
    #[serde(rename = "usedGiB", default, skip_serializing_if = "Option::is_none")]
    pub used_gib: Option<i64>,
}

impl Volume {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        id: impl Into<String>,
        org_id: impl Into<String>,
        name: impl Into<String>,
        size_gib: i64,
        access_mode: impl Into<AccessMode>,
        status: impl Into<VolumeStatus>,
        mounted_count: i64,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: id.into(),
            org_id: org_id.into(),
            name: name.into(),
            size_gib,
            access_mode: access_mode.into(),
            status: status.into(),
            mounted_count,
            created_at,
            pending_size_gib: None,
            used_gib: None,
        }
    }

    /// Size in GiB that the volume is being changed to. Absent or 0 if its size is not
    /// being changed.
    pub fn pending_size_gib(mut self, pending_size_gib: i64) -> Self {
        self.pending_size_gib = Some(pending_size_gib);
        self
    }

    /// Space in use, in whole GiB, rounded down. Absent if it cannot be determined now.
    pub fn used_gib(mut self, used_gib: i64) -> Self {
        self.used_gib = Some(used_gib);
        self
    }
}

/// A volume that is attached to a VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VolumeAttachmentItem {
    /// Id of the volume.
    #[serde(rename = "volumeId")]
    pub volume_id: String,
    /// Where the volume is mounted in the VM.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// State of the mount. It is `pending` in a paused VM, where the mount follows on
    /// resume, and for a moment after attaching to a running one.
    #[serde(rename = "mountStatus")]
    pub mount_status: MountStatus,
    /// Whether this VM may only read the volume.
    #[serde(rename = "readOnly", default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// More about `mount_status`, in words. Absent if there is nothing to say.
    #[serde(rename = "statusMessage", default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
}

impl VolumeAttachmentItem {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        volume_id: impl Into<String>,
        mount_path: impl Into<String>,
        mount_status: impl Into<MountStatus>,
    ) -> Self {
        Self {
            volume_id: volume_id.into(),
            mount_path: mount_path.into(),
            mount_status: mount_status.into(),
            read_only: None,
            status_message: None,
        }
    }

    /// Whether this VM may only read the volume.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }

    /// More about `mount_status`, in words. Absent if there is nothing to say.
    pub fn status_message(mut self, status_message: impl Into<String>) -> Self {
        self.status_message = Some(status_message.into());
        self
    }
}

/// A VM that a volume is attached to, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VolumeAttachmentItemWithVm {
    /// Id of the volume.
    #[serde(rename = "volumeId")]
    pub volume_id: String,
    /// Where the volume is mounted in the VM.
    #[serde(rename = "mountPath")]
    pub mount_path: String,
    /// State of the mount. It is `pending` in a paused VM, where the mount follows on
    /// resume, and for a moment after attaching to a running one.
    #[serde(rename = "mountStatus")]
    pub mount_status: MountStatus,
    /// Id of the VM that has the volume attached.
    #[serde(rename = "vmId")]
    pub vm_id: String,
    /// Whether this VM may only read the volume.
    #[serde(rename = "readOnly", default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// More about `mount_status`, in words. Absent if there is nothing to say.
    #[serde(rename = "statusMessage", default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
}

impl VolumeAttachmentItemWithVm {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(
        volume_id: impl Into<String>,
        mount_path: impl Into<String>,
        mount_status: impl Into<MountStatus>,
        vm_id: impl Into<String>,
    ) -> Self {
        Self {
            volume_id: volume_id.into(),
            mount_path: mount_path.into(),
            mount_status: mount_status.into(),
            vm_id: vm_id.into(),
            read_only: None,
            status_message: None,
        }
    }

    /// Whether this VM may only read the volume.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }

    /// More about `mount_status`, in words. Absent if there is nothing to say.
    pub fn status_message(mut self, status_message: impl Into<String>) -> Self {
        self.status_message = Some(status_message.into());
        self
    }
}

/// State of the volume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VolumeStatus {
    /// `creating`: The storage is being set up, and attaching fails with the code `VOL_NOT_READY`.
    Creating,
    /// `ready`: The volume can be attached.
    Ready,
    /// `deleting`: The volume is being deleted and cannot be attached.
    Deleting,
    /// A value that this version does not know.
    Unknown(String),
}

open_enum!(
    VolumeStatus { Creating = "creating", Ready = "ready", Deleting = "deleting", }
);
/// Price of volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VolumeStoragePricing {
    /// Price of one GiB for one month in US dollars, as decimal text such as `0.10`.
    #[serde(rename = "ratePerGiBMonth")]
    pub rate_per_gib_month: String,
}

impl VolumeStoragePricing {
    /// One with its required fields; the others are set by the methods of their names.
    #[allow(clippy::too_many_arguments, clippy::new_without_default)]
    pub fn new(rate_per_gib_month: impl Into<String>) -> Self {
        Self {
            rate_per_gib_month: rate_per_gib_month.into(),
        }
    }
}

impl From<LaunchVmResponse> for Vm {
    fn from(answer: LaunchVmResponse) -> Self {
        Self {
            id: answer.id,
            name: answer.name,
            org_id: answer.org_id,
            cpu: answer.cpu,
            memory_mib: answer.memory_mib,
            disk_gib: answer.disk_gib,
            status: answer.status,
            created_at: answer.created_at,
            machine_name: answer.machine_name,
            source_name: answer.source_name,
            firewall: answer.firewall,
            effective_firewall: answer.effective_firewall,
            metadata: answer.metadata,
            env_vars: answer.env_vars,
            public_ipv6: answer.public_ipv6,
            deleted_at: answer.deleted_at,
            ttl: answer.ttl,
            expires_at_ms: answer.expires_at_ms,
            ttl_remaining_ms: answer.ttl_remaining_ms,
            paused_at: answer.paused_at,
            volumes: answer.volumes,
            bucket_mounts: answer.bucket_mounts,
        }
    }
}
