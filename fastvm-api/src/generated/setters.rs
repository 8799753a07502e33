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
        /// accepted here, unlike in `updateVm`.
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
macro_rules! __exec_vm_stream_setters {
    ($request:ident) => {
    };
}
