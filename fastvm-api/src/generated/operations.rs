// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! What the client knows of each operation before it is called.

use crate::call::Operation;

/// `GET /v1/vms`
pub static LIST_VMS: Operation = Operation {
    id: "listVms",
    method: "GET",
    path: "/v1/vms",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms`
pub static LAUNCH_VM: Operation = Operation {
    id: "launchVm",
    method: "POST",
    path: "/v1/vms",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/vms/{id}`
pub static GET_VM: Operation = Operation {
    id: "getVm",
    method: "GET",
    path: "/v1/vms/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `DELETE /v1/vms/{id}`
pub static DELETE_VM: Operation = Operation {
    id: "deleteVm",
    method: "DELETE",
    path: "/v1/vms/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `PATCH /v1/vms/{id}`
pub static UPDATE_VM: Operation = Operation {
    id: "updateVm",
    method: "PATCH",
    path: "/v1/vms/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/pause`
pub static PAUSE_VM: Operation = Operation {
    id: "pauseVm",
    method: "POST",
    path: "/v1/vms/{id}/pause",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/resume`
pub static RESUME_VM: Operation = Operation {
    id: "resumeVm",
    method: "POST",
    path: "/v1/vms/{id}/resume",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/ttl/refresh`
pub static REFRESH_VM_TTL: Operation = Operation {
    id: "refreshVmTtl",
    method: "POST",
    path: "/v1/vms/{id}/ttl/refresh",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/console-token`
pub static CREATE_CONSOLE_TOKEN: Operation = Operation {
    id: "createConsoleToken",
    method: "POST",
    path: "/v1/vms/{id}/console-token",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/exec`
pub static EXEC_VM: Operation = Operation {
    id: "execVm",
    method: "POST",
    path: "/v1/vms/{id}/exec",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: false,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/exec`
pub static EXEC_VM_STREAM: Operation = Operation {
    id: "execVm",
    method: "POST",
    path: "/v1/vms/{id}/exec",
    accept: Some("application/x-ndjson"),
    is_repeatable: false,
    is_limited: false,
    is_streamed: true,
    needs_key: true,
};
/// `PUT /v1/vms/{id}/firewall`
pub static SET_VM_FIREWALL: Operation = Operation {
    id: "setVmFirewall",
    method: "PUT",
    path: "/v1/vms/{id}/firewall",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `PATCH /v1/vms/{id}/firewall`
pub static PATCH_VM_FIREWALL: Operation = Operation {
    id: "patchVmFirewall",
    method: "PATCH",
    path: "/v1/vms/{id}/firewall",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/vms/{id}/services`
pub static LIST_SERVICES: Operation = Operation {
    id: "listServices",
    method: "GET",
    path: "/v1/vms/{id}/services",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/services`
pub static REGISTER_SERVICE: Operation = Operation {
    id: "registerService",
    method: "POST",
    path: "/v1/vms/{id}/services",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `PUT /v1/vms/{id}/services/{serviceName}`
pub static UPDATE_SERVICE: Operation = Operation {
    id: "updateService",
    method: "PUT",
    path: "/v1/vms/{id}/services/{serviceName}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `DELETE /v1/vms/{id}/services/{serviceName}`
pub static DELETE_SERVICE: Operation = Operation {
    id: "deleteService",
    method: "DELETE",
    path: "/v1/vms/{id}/services/{serviceName}",
    accept: None,
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/files/presign`
pub static PRESIGN_FILE: Operation = Operation {
    id: "presignFile",
    method: "POST",
    path: "/v1/vms/{id}/files/presign",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/files/fetch`
pub static FETCH_FILE_TO_VM: Operation = Operation {
    id: "fetchFileToVm",
    method: "POST",
    path: "/v1/vms/{id}/files/fetch",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: false,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/volumes`
pub static ATTACH_VOLUME: Operation = Operation {
    id: "attachVolume",
    method: "POST",
    path: "/v1/vms/{id}/volumes",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `DELETE /v1/vms/{id}/volumes/{volumeId}`
pub static DETACH_VOLUME: Operation = Operation {
    id: "detachVolume",
    method: "DELETE",
    path: "/v1/vms/{id}/volumes/{volumeId}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/volumes`
pub static LIST_VOLUMES: Operation = Operation {
    id: "listVolumes",
    method: "GET",
    path: "/v1/volumes",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/volumes`
pub static CREATE_VOLUME: Operation = Operation {
    id: "createVolume",
    method: "POST",
    path: "/v1/volumes",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/volumes/{id}`
pub static GET_VOLUME: Operation = Operation {
    id: "getVolume",
    method: "GET",
    path: "/v1/volumes/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `DELETE /v1/volumes/{id}`
pub static DELETE_VOLUME: Operation = Operation {
    id: "deleteVolume",
    method: "DELETE",
    path: "/v1/volumes/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `PATCH /v1/volumes/{id}`
pub static UPDATE_VOLUME: Operation = Operation {
    id: "updateVolume",
    method: "PATCH",
    path: "/v1/volumes/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/volumes/{id}/attachments`
pub static LIST_VOLUME_ATTACHMENTS: Operation = Operation {
    id: "listVolumeAttachments",
    method: "GET",
    path: "/v1/volumes/{id}/attachments",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/vms/{id}/bucket-mounts`
pub static LIST_BUCKET_MOUNTS: Operation = Operation {
    id: "listBucketMounts",
    method: "GET",
    path: "/v1/vms/{id}/bucket-mounts",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/vms/{id}/bucket-mounts`
pub static ATTACH_BUCKET_MOUNT: Operation = Operation {
    id: "attachBucketMount",
    method: "POST",
    path: "/v1/vms/{id}/bucket-mounts",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/vms/{id}/bucket-mounts/{bucketMountId}`
pub static GET_BUCKET_MOUNT: Operation = Operation {
    id: "getBucketMount",
    method: "GET",
    path: "/v1/vms/{id}/bucket-mounts/{bucketMountId}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `DELETE /v1/vms/{id}/bucket-mounts/{bucketMountId}`
pub static DELETE_BUCKET_MOUNT: Operation = Operation {
    id: "deleteBucketMount",
    method: "DELETE",
    path: "/v1/vms/{id}/bucket-mounts/{bucketMountId}",
    accept: None,
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `PATCH /v1/vms/{id}/bucket-mounts/{bucketMountId}`
pub static ROTATE_BUCKET_MOUNT: Operation = Operation {
    id: "rotateBucketMount",
    method: "PATCH",
    path: "/v1/vms/{id}/bucket-mounts/{bucketMountId}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/me/ssh-keys`
pub static LIST_SSH_KEYS: Operation = Operation {
    id: "listSshKeys",
    method: "GET",
    path: "/v1/me/ssh-keys",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/me/ssh-keys`
pub static ADD_SSH_KEY: Operation = Operation {
    id: "addSshKey",
    method: "POST",
    path: "/v1/me/ssh-keys",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `DELETE /v1/me/ssh-keys/{fingerprint}`
pub static DELETE_SSH_KEY: Operation = Operation {
    id: "deleteSshKey",
    method: "DELETE",
    path: "/v1/me/ssh-keys/{fingerprint}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/snapshots`
pub static LIST_SNAPSHOTS: Operation = Operation {
    id: "listSnapshots",
    method: "GET",
    path: "/v1/snapshots",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/snapshots`
pub static CREATE_SNAPSHOT: Operation = Operation {
    id: "createSnapshot",
    method: "POST",
    path: "/v1/snapshots",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/snapshots/{id}`
pub static GET_SNAPSHOT: Operation = Operation {
    id: "getSnapshot",
    method: "GET",
    path: "/v1/snapshots/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `DELETE /v1/snapshots/{id}`
pub static DELETE_SNAPSHOT: Operation = Operation {
    id: "deleteSnapshot",
    method: "DELETE",
    path: "/v1/snapshots/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `PATCH /v1/snapshots/{id}`
pub static UPDATE_SNAPSHOT: Operation = Operation {
    id: "updateSnapshot",
    method: "PATCH",
    path: "/v1/snapshots/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/snapshot-imports`
pub static LIST_SNAPSHOT_IMPORTS: Operation = Operation {
    id: "listSnapshotImports",
    method: "GET",
    path: "/v1/snapshot-imports",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/snapshot-imports`
pub static CREATE_SNAPSHOT_IMPORT: Operation = Operation {
    id: "createSnapshotImport",
    method: "POST",
    path: "/v1/snapshot-imports",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/snapshot-imports/context-presign`
pub static PRESIGN_SNAPSHOT_IMPORT_CONTEXT: Operation = Operation {
    id: "presignSnapshotImportContext",
    method: "POST",
    path: "/v1/snapshot-imports/context-presign",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/snapshot-imports/{id}`
pub static GET_SNAPSHOT_IMPORT: Operation = Operation {
    id: "getSnapshotImport",
    method: "GET",
    path: "/v1/snapshot-imports/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `DELETE /v1/snapshot-imports/{id}`
pub static DELETE_SNAPSHOT_IMPORT: Operation = Operation {
    id: "deleteSnapshotImport",
    method: "DELETE",
    path: "/v1/snapshot-imports/{id}",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `POST /v1/snapshot-imports/{id}/cancel`
pub static CANCEL_SNAPSHOT_IMPORT: Operation = Operation {
    id: "cancelSnapshotImport",
    method: "POST",
    path: "/v1/snapshot-imports/{id}/cancel",
    accept: Some("application/json"),
    is_repeatable: false,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/org/quotas`
pub static GET_ORG_QUOTAS: Operation = Operation {
    id: "getOrgQuotas",
    method: "GET",
    path: "/v1/org/quotas",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: true,
};
/// `GET /v1/pricing`
pub static GET_PRICING: Operation = Operation {
    id: "getPricing",
    method: "GET",
    path: "/v1/pricing",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: false,
};
/// `GET /healthz`
pub static GET_HEALTH: Operation = Operation {
    id: "getHealth",
    method: "GET",
    path: "/healthz",
    accept: Some("application/json"),
    is_repeatable: true,
    is_limited: true,
    is_streamed: false,
    needs_key: false,
};
/// Every operation, in the order of the document. One with two media types is there twice.
pub static ALL: &[&Operation] = &[
    &LIST_VMS,
    &LAUNCH_VM,
    &GET_VM,
    &DELETE_VM,
    &UPDATE_VM,
    &PAUSE_VM,
    &RESUME_VM,
    &REFRESH_VM_TTL,
    &CREATE_CONSOLE_TOKEN,
    &EXEC_VM,
    &EXEC_VM_STREAM,
    &SET_VM_FIREWALL,
    &PATCH_VM_FIREWALL,
    &LIST_SERVICES,
    &REGISTER_SERVICE,
    &UPDATE_SERVICE,
    &DELETE_SERVICE,
    &PRESIGN_FILE,
    &FETCH_FILE_TO_VM,
    &ATTACH_VOLUME,
    &DETACH_VOLUME,
    &LIST_VOLUMES,
    &CREATE_VOLUME,
    &GET_VOLUME,
    &DELETE_VOLUME,
    &UPDATE_VOLUME,
    &LIST_VOLUME_ATTACHMENTS,
    &LIST_BUCKET_MOUNTS,
    &ATTACH_BUCKET_MOUNT,
    &GET_BUCKET_MOUNT,
    &DELETE_BUCKET_MOUNT,
    &ROTATE_BUCKET_MOUNT,
    &LIST_SSH_KEYS,
    &ADD_SSH_KEY,
    &DELETE_SSH_KEY,
    &LIST_SNAPSHOTS,
    &CREATE_SNAPSHOT,
    &GET_SNAPSHOT,
    &DELETE_SNAPSHOT,
    &UPDATE_SNAPSHOT,
    &LIST_SNAPSHOT_IMPORTS,
    &CREATE_SNAPSHOT_IMPORT,
    &PRESIGN_SNAPSHOT_IMPORT_CONTEXT,
    &GET_SNAPSHOT_IMPORT,
    &DELETE_SNAPSHOT_IMPORT,
    &CANCEL_SNAPSHOT_IMPORT,
    &GET_ORG_QUOTAS,
    &GET_PRICING,
    &GET_HEALTH,
];
/// The names of the fields of requests that hold secrets, with all that lies below them.
pub static SECRET_FIELDS: &[&str] = &[
    "buildArgs",
    "contextRef",
    "credentials",
    "data",
    "envVars",
    "private_key",
    "registryPassword",
    "stdin",
    "url",
];
