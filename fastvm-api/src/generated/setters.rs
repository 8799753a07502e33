// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! The setters of each request, for overrides that carry it.

#[doc(hidden)]
#[macro_export]
macro_rules! __list_vms_setters {
    ($request:ident) => {
        /// Labels that a result must have, compared for equality. Each entry is sent as a query
        /// pair of its own, `metadata.<key>=<value>`; with several, all of them must match.
        pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
            self.$request = self.$request.metadata(key, value);
            self
        }

        /// Only VMs in this state. A state unknown to the server matches no VM.
        pub fn status(mut self, status: impl Into<$crate::types::VmStatus>) -> Self {
            self.$request = self.$request.status(status);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __launch_vm_setters {
    ($request:ident) => {
        /// Display name. White space is trimmed and each run of it becomes one space, then
        /// the name is cut to 64 Unicode code points. If it is left out or empty, the name is
        /// `vm-` and the first 8 characters of the VM's id.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.$request = self.$request.name(name);
            self
        }

        /// Size of the root disk in GiB, instead of what the machine type comes with.
        pub fn disk_gib(mut self, disk_gib: i64) -> Self {
            self.$request = self.$request.disk_gib(disk_gib);
            self
        }

        /// Environment variables to boot the VM with.
        ///
        /// Adds one; `set_env_vars` sets them all, and an empty one explicitly.
        pub fn env_vars(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
            self.$request = self.$request.env_vars(key, value);
            self
        }

        /// Environment variables to boot the VM with.
        ///
        /// Replaces what was added by `env_vars` so far.
        pub fn set_env_vars(
            mut self,
            env_vars: std::collections::BTreeMap<String, String>,
        ) -> Self {
            self.$request = self.$request.set_env_vars(env_vars);
            self
        }

        /// Firewall policy of the VM. Without it, the policy's defaults hold.
        pub fn firewall(mut self, firewall: $crate::types::FirewallPolicy) -> Self {
            self.$request = self.$request.firewall(firewall);
            self
        }

        /// Time to live, after which the VM is paused or deleted by itself. Null is not
        /// accepted here, unlike in [`client.vms().update`](fastvm_api::vms::Vms::update).
        pub fn ttl(mut self, ttl: $crate::types::VmTtl) -> Self {
            self.$request = self.$request.ttl(ttl);
            self
        }

        /// Volumes to attach. On a restore, a list replaces the captured one in full, and an
        /// empty list attaches none; leave the field out to keep the captured list.
        ///
        /// Adds one; `set_volumes` sets them all, and an empty one explicitly.
        pub fn volumes(mut self, item: $crate::types::AttachVolumeRequest) -> Self {
            self.$request = self.$request.volumes(item);
            self
        }

        /// Volumes to attach. On a restore, a list replaces the captured one in full, and an
        /// empty list attaches none; leave the field out to keep the captured list.
        ///
        /// Replaces what was added by `volumes` so far.
        pub fn set_volumes(
            mut self,
            volumes: Vec<$crate::types::AttachVolumeRequest>,
        ) -> Self {
            self.$request = self.$request.set_volumes(volumes);
            self
        }

        /// Buckets to mount. On a restore, a list replaces the captured one in full, and an
        /// empty list mounts none; leave the field out to keep the captured list.
        ///
        /// Adds one; `set_bucket_mounts` sets them all, and an empty one explicitly.
        pub fn bucket_mounts(
            mut self,
            item: $crate::types::AttachBucketMountRequest,
        ) -> Self {
            self.$request = self.$request.bucket_mounts(item);
            self
        }

        /// Buckets to mount. On a restore, a list replaces the captured one in full, and an
        /// empty list mounts none; leave the field out to keep the captured list.
        ///
        /// Replaces what was added by `bucket_mounts` so far.
        pub fn set_bucket_mounts(
            mut self,
            bucket_mounts: Vec<$crate::types::AttachBucketMountRequest>,
        ) -> Self {
            self.$request = self.$request.set_bucket_mounts(bucket_mounts);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __update_vm_setters {
    ($request:ident) => {
        /// New display name.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.$request = self.$request.name(name);
            self
        }

        /// New labels, which replace all present ones. An empty object removes them all.
        ///
        /// Adds one; `set_metadata` sets them all, and an empty one explicitly.
        pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
            self.$request = self.$request.metadata(key, value);
            self
        }

        /// New labels, which replace all present ones. An empty object removes them all.
        ///
        /// Replaces what was added by `metadata` so far.
        pub fn set_metadata(
            mut self,
            metadata: std::collections::BTreeMap<String, String>,
        ) -> Self {
            self.$request = self.$request.set_metadata(metadata);
            self
        }

        /// New time to live, with which a full cycle starts. Null is accepted too: look at
        /// `ttl` in the answer to see what it did.
        ///
        /// `Patch::Clear` (or `None`) sends null; without this call it is kept as it is.
        pub fn ttl(mut self, ttl: impl Into<$crate::Patch<$crate::types::VmTtl>>) -> Self {
            self.$request = self.$request.ttl(ttl);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __exec_vm_setters {
    ($request:ident) => {
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __exec_vm_stream_setters {
    ($request:ident) => {
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __set_vm_firewall_setters {
    ($request:ident) => {
        /// Traffic to the VM. By default all of it is denied.
        pub fn ingress(mut self, ingress: $crate::types::IngressPolicy) -> Self {
            self.$request = self.$request.ingress(ingress);
            self
        }

        /// Traffic from the VM. By default all of it is allowed.
        pub fn egress(mut self, egress: $crate::types::EgressPolicy) -> Self {
            self.$request = self.$request.egress(egress);
            self
        }

        /// Which domains resolve in the VM. By default mode `deny` with no domains, so that
        /// all of them do.
        pub fn dns(mut self, dns: $crate::types::DnsPolicy) -> Self {
            self.$request = self.$request.dns(dns);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __patch_vm_firewall_setters {
    ($request:ident) => {
        /// New block for traffic to the VM.
        pub fn ingress(mut self, ingress: $crate::types::IngressPolicy) -> Self {
            self.$request = self.$request.ingress(ingress);
            self
        }

        /// New block for traffic from the VM.
        pub fn egress(mut self, egress: $crate::types::EgressPolicy) -> Self {
            self.$request = self.$request.egress(egress);
            self
        }

        /// New block for the resolving of domains.
        pub fn dns(mut self, dns: $crate::types::DnsPolicy) -> Self {
            self.$request = self.$request.dns(dns);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __register_service_setters {
    ($request:ident) => {
        /// How to speak to the VM. True: HTTP/2 without TLS, which gRPC needs. False:
        /// HTTP/1.1, which covers server-sent events and WebSockets too.
        pub fn h2c(mut self, h2c: bool) -> Self {
            self.$request = self.$request.h2c(h2c);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __update_service_setters {
    ($request:ident) => {
        /// How to speak to the VM. True: HTTP/2 without TLS, which gRPC needs. False:
        /// HTTP/1.1. Send it with every update of a service that has it set; do not rely on
        /// what leaving it out does to a stored value.
        pub fn h2c(mut self, h2c: bool) -> Self {
            self.$request = self.$request.h2c(h2c);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __presign_file_setters {
    ($request:ident) => {
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __fetch_file_to_vm_setters {
    ($request:ident) => {
        /// How long this download may take, in seconds.
        pub fn timeout_sec(mut self, timeout_sec: i64) -> Self {
            self.$request = self.$request.timeout_sec(timeout_sec);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __attach_volume_setters {
    ($request:ident) => {
        /// Whether this VM may only read the volume.
        pub fn read_only(mut self, read_only: bool) -> Self {
            self.$request = self.$request.read_only(read_only);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __create_volume_setters {
    ($request:ident) => {
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __update_volume_setters {
    ($request:ident) => {
        /// New display name.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.$request = self.$request.name(name);
            self
        }

        /// New size in GiB. A smaller one is possible only if the data still fits.
        pub fn size_gib(mut self, size_gib: i64) -> Self {
            self.$request = self.$request.size_gib(size_gib);
            self
        }

        /// What attachments may do with the volume from now on.
        pub fn access_mode(
            mut self,
            access_mode: impl Into<$crate::types::AccessMode>,
        ) -> Self {
            self.$request = self.$request.access_mode(access_mode);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __attach_bucket_mount_setters {
    ($request:ident) => {
        /// Whether the VM may only read the bucket.
        pub fn read_only(mut self, read_only: bool) -> Self {
            self.$request = self.$request.read_only(read_only);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __rotate_bucket_mount_setters {
    ($request:ident) => {
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __add_ssh_key_setters {
    ($request:ident) => {
        /// Free label.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.$request = self.$request.name(name);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __list_snapshots_setters {
    ($request:ident) => {
        /// Labels that a result must have, compared for equality. Each entry is sent as a query
        /// pair of its own, `metadata.<key>=<value>`; with several, all of them must match.
        pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
            self.$request = self.$request.metadata(key, value);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __create_snapshot_setters {
    ($request:ident) => {
        /// Display name. White space is trimmed and each run of it becomes one space, then
        /// the name is cut to 64 Unicode code points. If it is left out or empty, the name is
        /// `snapshot-` and the first 8 characters of the VM's id.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.$request = self.$request.name(name);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __update_snapshot_setters {
    ($request:ident) => {
        /// New display name.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.$request = self.$request.name(name);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __create_snapshot_import_setters {
    ($request:ident) => {
        /// Display name of the import and of its snapshot. If it is left out, the id of the
        /// import.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.$request = self.$request.name(name);
            self
        }

        /// Machine type that the snapshot is made for, such as `c1m2`.
        pub fn machine_type(mut self, machine_type: impl Into<String>) -> Self {
            self.$request = self.$request.machine_type(machine_type);
            self
        }

        /// Size of the snapshot's disk in GiB. If it is left out, it follows from the machine
        /// type; as a rule it is 10 GiB.
        pub fn disk_gib(mut self, disk_gib: i64) -> Self {
            self.$request = self.$request.disk_gib(disk_gib);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __presign_snapshot_import_context_setters {
    ($request:ident) => {
        /// Size of the archive in bytes. One that is beyond the limit of the platform is
        /// refused with 400; the signed URL enforces the same limit.
        pub fn size_bytes(mut self, size_bytes: i64) -> Self {
            self.$request = self.$request.size_bytes(size_bytes);
            self
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __operations_table {
    () => {
        r#"
# `client.vms()`

| what for | call | in this crate | sends |
|---|---|---|---|
| List the VMs of the org | [`client.vms().list`](fastvm_api::vms::Vms::list) | [`Vms::sweep`](crate::Vms::sweep) | `GET /v1/vms` |
| Launch a VM | [`client.vms().launch`](fastvm_api::vms::Vms::launch) | [`Vms::launch`](crate::Vms::launch) | `POST /v1/vms` |
| Retrieve a VM | [`client.vms().retrieve`](fastvm_api::vms::Vms::retrieve) | [`Client::wait_for_vm_ready`](crate::Client::wait_for_vm_ready) | `GET /v1/vms/{id}` |
| Delete a VM | [`client.vms().delete`](fastvm_api::vms::Vms::delete) | [`Vm::into_guard`](crate::Vm::into_guard) | `DELETE /v1/vms/{id}` |
| Change a VM's name, metadata or TTL | [`client.vms().update`](fastvm_api::vms::Vms::update) | – | `PATCH /v1/vms/{id}` |
| Pause a VM | [`client.vms().pause`](fastvm_api::vms::Vms::pause) | – | `POST /v1/vms/{id}/pause` |
| Resume a paused VM | [`client.vms().resume`](fastvm_api::vms::Vms::resume) | – | `POST /v1/vms/{id}/resume` |
| Restart a VM's TTL countdown | [`client.vms().refresh_ttl`](fastvm_api::vms::Vms::refresh_ttl) | [`Vm::lease`](crate::Vm::lease) | `POST /v1/vms/{id}/ttl/refresh` |
| Get a token for a VM's serial console | [`client.vms().console_token`](fastvm_api::vms::Vms::console_token) | [`Vm::console`](crate::Vm::console) | `POST /v1/vms/{id}/console-token` |
| Run a command in a VM | [`client.vms().run`](fastvm_api::vms::Vms::run) | [`Vms::run`](crate::Vms::run) | `POST /v1/vms/{id}/exec` |
| Run a command in a VM, and stream the answer | [`client.vms().stream`](fastvm_api::vms::Vms::stream) | [`Vms::stream`](crate::Vms::stream) | `POST /v1/vms/{id}/exec` |
| Replace a VM's firewall policy | [`client.vms().set_firewall`](fastvm_api::vms::Vms::set_firewall) | [`Firewall::build`](crate::Firewall::build) | `PUT /v1/vms/{id}/firewall` |
| Replace single blocks of a VM's firewall policy | [`client.vms().patch_firewall`](fastvm_api::vms::Vms::patch_firewall) | [`Firewall::build_patch`](crate::Firewall::build_patch) | `PATCH /v1/vms/{id}/firewall` |

# `client.vms().services()`

| what for | call | in this crate | sends |
|---|---|---|---|
| List the services of a VM | [`client.vms().services().list`](fastvm_api::vms::services::Services::list) | [`Vm::wait_for_http`](crate::Vm::wait_for_http) | `GET /v1/vms/{id}/services` |
| Publish a port of a VM as a service | [`client.vms().services().register`](fastvm_api::vms::services::Services::register) | [`Vm::expose`](crate::Vm::expose) | `POST /v1/vms/{id}/services` |
| Change a service or register it | [`client.vms().services().update`](fastvm_api::vms::services::Services::update) | [`Vm::expose`](crate::Vm::expose) | `PUT /v1/vms/{id}/services/{serviceName}` |
| Remove a service from a VM | [`client.vms().services().delete`](fastvm_api::vms::services::Services::delete) | – | `DELETE /v1/vms/{id}/services/{serviceName}` |

# `client.vms().files()`

| what for | call | in this crate | sends |
|---|---|---|---|
| Get signed URLs to move a file into or out of a VM | [`client.vms().files().presign`](fastvm_api::vms::files::Files::presign) | [`Vm::download`](crate::Vm::download) | `POST /v1/vms/{id}/files/presign` |
| Load a staged file into a VM | [`client.vms().files().fetch`](fastvm_api::vms::files::Files::fetch) | [`Vm::upload`](crate::Vm::upload) | `POST /v1/vms/{id}/files/fetch` |

# `client.vms().volumes()`

| what for | call | in this crate | sends |
|---|---|---|---|
| Attach a volume to a VM | [`client.vms().volumes().attach`](fastvm_api::vms::volumes::Volumes::attach) | [`Vm::attach_volume`](crate::Vm::attach_volume) | `POST /v1/vms/{id}/volumes` |
| Detach a volume from a VM | [`client.vms().volumes().detach`](fastvm_api::vms::volumes::Volumes::detach) | – | `DELETE /v1/vms/{id}/volumes/{volumeId}` |

# `client.volumes()`

| what for | call | in this crate | sends |
|---|---|---|---|
| List the volumes of the org | [`client.volumes().list`](fastvm_api::volumes::Volumes::list) | – | `GET /v1/volumes` |
| Create a volume | [`client.volumes().create`](fastvm_api::volumes::Volumes::create) | [`Volumes::create`](crate::Volumes::create) | `POST /v1/volumes` |
| Retrieve a volume | [`client.volumes().retrieve`](fastvm_api::volumes::Volumes::retrieve) | [`Volumes::wait_until_ready`](crate::Volumes::wait_until_ready) | `GET /v1/volumes/{id}` |
| Delete a volume | [`client.volumes().delete`](fastvm_api::volumes::Volumes::delete) | – | `DELETE /v1/volumes/{id}` |
| Change a volume's name, size or access mode | [`client.volumes().update`](fastvm_api::volumes::Volumes::update) | [`Volumes::update`](crate::Volumes::update) | `PATCH /v1/volumes/{id}` |
| List the VMs a volume is attached to | [`client.volumes().list_attachments`](fastvm_api::volumes::Volumes::list_attachments) | – | `GET /v1/volumes/{id}/attachments` |

# `client.vms().bucket_mounts()`

| what for | call | in this crate | sends |
|---|---|---|---|
| List the bucket mounts of a VM | [`client.vms().bucket_mounts().list`](fastvm_api::vms::bucket_mounts::BucketMounts::list) | – | `GET /v1/vms/{id}/bucket-mounts` |
| Mount a bucket in a VM | [`client.vms().bucket_mounts().attach`](fastvm_api::vms::bucket_mounts::BucketMounts::attach) | – | `POST /v1/vms/{id}/bucket-mounts` |
| Retrieve a bucket mount | [`client.vms().bucket_mounts().retrieve`](fastvm_api::vms::bucket_mounts::BucketMounts::retrieve) | – | `GET /v1/vms/{id}/bucket-mounts/{bucketMountId}` |
| Unmount a bucket from a VM | [`client.vms().bucket_mounts().delete`](fastvm_api::vms::bucket_mounts::BucketMounts::delete) | – | `DELETE /v1/vms/{id}/bucket-mounts/{bucketMountId}` |
| Rotate the credentials of a bucket mount | [`client.vms().bucket_mounts().rotate`](fastvm_api::vms::bucket_mounts::BucketMounts::rotate) | – | `PATCH /v1/vms/{id}/bucket-mounts/{bucketMountId}` |

# `client.me().ssh_keys()`

| what for | call | in this crate | sends |
|---|---|---|---|
| List your SSH keys | [`client.me().ssh_keys().list`](fastvm_api::me::ssh_keys::SshKeys::list) | – | `GET /v1/me/ssh-keys` |
| Add an SSH key | [`client.me().ssh_keys().add`](fastvm_api::me::ssh_keys::SshKeys::add) | [`SshKeys::add_file`](crate::SshKeys::add_file) | `POST /v1/me/ssh-keys` |
| Delete an SSH key | [`client.me().ssh_keys().delete`](fastvm_api::me::ssh_keys::SshKeys::delete) | – | `DELETE /v1/me/ssh-keys/{fingerprint}` |

# `client.snapshots()`

| what for | call | in this crate | sends |
|---|---|---|---|
| List the snapshots of the org | [`client.snapshots().list`](fastvm_api::snapshots::Snapshots::list) | – | `GET /v1/snapshots` |
| Take a snapshot of a VM | [`client.snapshots().create`](fastvm_api::snapshots::Snapshots::create) | [`Vm::snapshot`](crate::Vm::snapshot) | `POST /v1/snapshots` |
| Retrieve a snapshot | [`client.snapshots().retrieve`](fastvm_api::snapshots::Snapshots::retrieve) | – | `GET /v1/snapshots/{id}` |
| Delete a snapshot | [`client.snapshots().delete`](fastvm_api::snapshots::Snapshots::delete) | – | `DELETE /v1/snapshots/{id}` |
| Rename a snapshot | [`client.snapshots().update`](fastvm_api::snapshots::Snapshots::update) | – | `PATCH /v1/snapshots/{id}` |

# `client.snapshot_imports()`

| what for | call | in this crate | sends |
|---|---|---|---|
| List the snapshot imports of the org | [`client.snapshot_imports().list`](fastvm_api::snapshot_imports::SnapshotImports::list) | – | `GET /v1/snapshot-imports` |
| Import an image or a Dockerfile build as a snapshot | [`client.snapshot_imports().create`](fastvm_api::snapshot_imports::SnapshotImports::create) | [`SnapshotImports::build_image`](crate::SnapshotImports::build_image) | `POST /v1/snapshot-imports` |
| Get a signed URL to upload a build context | [`client.snapshot_imports().presign_context`](fastvm_api::snapshot_imports::SnapshotImports::presign_context) | [`SnapshotImports::build_dockerfile`](crate::SnapshotImports::build_dockerfile) | `POST /v1/snapshot-imports/context-presign` |
| Retrieve a snapshot import | [`client.snapshot_imports().retrieve`](fastvm_api::snapshot_imports::SnapshotImports::retrieve) | – | `GET /v1/snapshot-imports/{id}` |
| Delete a finished snapshot import and its snapshot | [`client.snapshot_imports().delete`](fastvm_api::snapshot_imports::SnapshotImports::delete) | – | `DELETE /v1/snapshot-imports/{id}` |
| Cancel a snapshot import | [`client.snapshot_imports().cancel`](fastvm_api::snapshot_imports::SnapshotImports::cancel) | – | `POST /v1/snapshot-imports/{id}/cancel` |

# `client.quotas()`

| what for | call | in this crate | sends |
|---|---|---|---|
| Retrieve the quotas of the org | [`client.quotas().retrieve`](fastvm_api::quotas::Quotas::retrieve) | – | `GET /v1/org/quotas` |

# `client.pricing()`

| what for | call | in this crate | sends |
|---|---|---|---|
| Retrieve the list prices | [`client.pricing().retrieve`](fastvm_api::pricing::Pricing::retrieve) | – | `GET /v1/pricing` |

# `client`

| what for | call | in this crate | sends |
|---|---|---|---|
| Check that the service is up | [`client.health`](fastvm_api::Client::health) | – | `GET /healthz` |
"#
    };
}
