// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on vms.

pub mod services;
pub mod files;
pub mod volumes;
pub mod bucket_mounts;
use std::marker::PhantomData;
use crate::Client;
use crate::ByteStream;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on vms: `client.vms()`.
///
/// `V` is what a VM that an operation answers is handed out as: plain data, or a handle
/// with verbs of its own.
#[derive(Clone, Debug)]
pub struct Vms<V = types::Vm> {
    client: Client,
    answer: PhantomData<fn() -> V>,
}

impl<V: FromVm> Vms<V> {
    /// The calls on VMs, whose VMs are handed out as `V`.
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            answer: PhantomData,
        }
    }

    /// The calls on services.
    pub fn services(&self) -> crate::vms::services::Services {
        crate::vms::services::Services::new(&self.client)
    }

    /// The calls on files.
    pub fn files(&self) -> crate::vms::files::Files {
        crate::vms::files::Files::new(&self.client)
    }

    /// The calls on volumes.
    pub fn volumes(&self) -> crate::vms::volumes::Volumes {
        crate::vms::volumes::Volumes::new(&self.client)
    }

    /// The calls on bucket mounts.
    pub fn bucket_mounts(&self) -> crate::vms::bucket_mounts::BucketMounts {
        crate::vms::bucket_mounts::BucketMounts::new(&self.client)
    }

    /// List the VMs of the org.
    ///
    /// Returns all VMs of the caller's org except deleted ones.
    ///
    /// Two filters can be combined, and a VM must pass all of them: `status`, and any number
    /// of `metadata` entries, each compared for equality. A `status` that the server does
    /// not know gives an empty list, not an error.
    ///
    /// Sends `GET /v1/vms`.
    pub fn list(&self) -> List {
        List::new(&self.client)
    }

    /// Launch a VM.
    ///
    /// Starts a new VM in one of two ways:
    ///
    /// - **Cold boot**: give a `machineType`. It is required unless `snapshotId` is given.
    /// - **Restore**: give a `snapshotId`. The VM continues from the captured state and takes
    ///   over the machine type, volumes, bucket mounts and services of the snapshot. A
    ///   `volumes` or `bucketMounts` list in the request replaces the captured list in full,
    ///   an empty one included; leaving the field out keeps the captured list.
    ///
    /// The status code tells how far the launch has come. With 201 the VM already runs. With
    /// 202 it is queued: poll `getVm` until `status` is `running`, or `error` or `stopped`,
    /// which mean that the launch failed.
    ///
    /// A launch can succeed in part. Volumes and buckets that could not be attached are
    /// listed in `attachmentWarnings`, services that could not be registered again after a
    /// restore in `snapshotRestoreWarnings`.
    ///
    /// Each request makes a VM of its own, so a request whose answer was lost must not simply
    /// be sent again: it could leave a second VM running.
    ///
    /// Sends `POST /v1/vms`.
    ///
    /// # Errors
    ///
    /// - `400`: The request is not valid: for instance a TTL of more than one year, or neither
    ///   `machineType` nor `snapshotId`. No VM was made.
    pub fn launch(&self) -> Launch {
        Launch::new(&self.client)
    }

    /// Retrieve a VM.
    ///
    /// Returns the VM as it is now, with the volumes and bucket mounts attached to it. This is
    /// the call to poll after a launch or a resume that was queued.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `GET /v1/vms/{id}`.
    pub fn retrieve(&self, id: impl Into<String>) -> Retrieve<V> {
        Retrieve::new(&self.client, id)
    }

    /// Delete a VM.
    ///
    /// Ends the VM for good. A deleted VM no longer appears in `listVms`. Snapshots that were
    /// taken of it and volumes that were attached to it are resources of their own.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `DELETE /v1/vms/{id}`.
    pub fn delete(&self, id: impl Into<String>) -> Delete {
        Delete::new(&self.client, id)
    }

    /// Change a VM's name, metadata or TTL.
    ///
    /// Changes the fields that are present and keeps the others.
    ///
    /// `metadata` is replaced as a whole: to change one label, send all of them; an empty
    /// object removes them all. Setting a `ttl` starts a full new cycle.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `PATCH /v1/vms/{id}`.
    ///
    /// # Errors
    ///
    /// - `400`: The request is not valid, for instance a TTL of more than one year.
    pub fn update(&self, id: impl Into<String>) -> Update<V> {
        Update::new(&self.client, id)
    }

    /// Pause a VM.
    ///
    /// Saves the state of the VM and gives back its worker and its share of the org's quotas.
    /// The VM ends in state `paused`, and a TTL countdown stands still until `resumeVm`.
    ///
    /// The call blocks until the pause is complete, which takes about 3 s. Pausing a paused
    /// VM succeeds and changes nothing.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `POST /v1/vms/{id}/pause`.
    pub fn pause(&self, id: impl Into<String>) -> Pause<V> {
        Pause::new(&self.client, id)
    }

    /// Resume a paused VM.
    ///
    /// Brings the saved state of a paused VM back, so that it ends in state `running`. The VM
    /// takes up quota again, and a TTL countdown goes on with what was left of it.
    ///
    /// With 200 the VM already runs. With 202 it waits for capacity: poll `getVm` until it is
    /// `running`. Resuming a running VM does no harm.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `POST /v1/vms/{id}/resume`.
    pub fn resume(&self, id: impl Into<String>) -> Resume<V> {
        Resume::new(&self.client, id)
    }

    /// Restart a VM's TTL countdown.
    ///
    /// Starts the countdown anew with the full `seconds` of the VM's `ttl`. Call it now and
    /// then to keep a VM alive while it is in use.
    ///
    /// - A running VM expires `seconds` from now, as `expiresAtMs` says.
    /// - A paused VM gets its full time back in `ttlRemainingMs`; it counts down after the
    ///   next resume.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `POST /v1/vms/{id}/ttl/refresh`.
    ///
    /// # Errors
    ///
    /// - `409`: The VM has no TTL. Set one with `updateVm`.
    pub fn refresh_ttl(&self, id: impl Into<String>) -> RefreshTtl<V> {
        RefreshTtl::new(&self.client, id)
    }

    /// Get a token for a VM's serial console.
    ///
    /// Returns a short-lived token and a WebSocket path for the serial console. Connect to
    /// that path on the host of this API, with scheme `wss` and the token in the query key
    /// `session`, as in `wss://api.fastvm.org/path?session=token`. The WebSocket upgrade
    /// carries no API key: whoever has the token has the console.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `POST /v1/vms/{id}/console-token`.
    pub fn console_token(&self, id: impl Into<String>) -> ConsoleToken {
        ConsoleToken::new(&self.client, id)
    }

    /// Run a command in a VM.
    ///
    /// Runs a command and reports its output and its exit code. The request is the same for
    /// both forms of the answer; the `Accept` header chooses between them:
    ///
    /// - **Buffered** (`application/json`, `*/*` or no header): one object when the command
    ///   has ended. At most 4 MiB each of stdout and stderr are kept; `stdoutTruncated` and
    ///   `stderrTruncated` tell whether more was dropped.
    /// - **Streamed** (`application/x-ndjson`): one `ExecEvent` per line while the command
    ///   runs: any number of pieces of output, then exactly one exit event. The output has no
    ///   size limit. A stream that ends without an exit event was cut off.
    ///
    /// A command that ran and failed is a success of this call: look at `exitCode`.
    ///
    /// `timeoutSec` limits the run on the server. A client needs a limit of its own for the
    /// HTTP exchange besides, longer than that.
    ///
    /// The call is not idempotent. After an error the command may have run nevertheless, so
    /// it must not simply be sent again.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `command`: Program and arguments. The first element must not be empty. No shell is involved;
    ///   to run a shell line, send `["sh", "-c", line]`.
    ///
    /// Sends `POST /v1/vms/{id}/exec`.
    ///
    /// # Errors
    ///
    /// - `502`: The host of the VM failed for the moment. The command may or may not have run.
    pub fn run(
        &self,
        id: impl Into<String>,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Run {
        Run::new(&self.client, id, command)
    }

    /// Replace a VM's firewall policy.
    ///
    /// Replaces the whole policy. A block that is left out gets its default: incoming traffic
    /// is denied, outgoing traffic is allowed, and every domain resolves. To change one block
    /// and keep the others, use `patchVmFirewall`.
    ///
    /// A policy with a dead rule is refused: an egress rule of kind `fqdn` whose domain the
    /// `dns` block keeps from resolving.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `PUT /v1/vms/{id}/firewall`.
    pub fn set_firewall(&self, id: impl Into<String>) -> SetFirewall<V> {
        SetFirewall::new(&self.client, id)
    }

    /// Replace single blocks of a VM's firewall policy.
    ///
    /// Replaces each of the blocks `ingress`, `egress` and `dns` that is present, as a whole,
    /// and keeps the others. Single rules cannot be changed: send the block with all its
    /// rules. An empty object changes nothing.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `PATCH /v1/vms/{id}/firewall`.
    pub fn patch_firewall(&self, id: impl Into<String>) -> PatchFirewall<V> {
        PatchFirewall::new(&self.client, id)
    }

    /// Run a command in a VM.
    ///
    /// Runs a command and reports its output and its exit code. The request is the same for
    /// both forms of the answer; the `Accept` header chooses between them:
    ///
    /// - **Buffered** (`application/json`, `*/*` or no header): one object when the command
    ///   has ended. At most 4 MiB each of stdout and stderr are kept; `stdoutTruncated` and
    ///   `stderrTruncated` tell whether more was dropped.
    /// - **Streamed** (`application/x-ndjson`): one `ExecEvent` per line while the command
    ///   runs: any number of pieces of output, then exactly one exit event. The output has no
    ///   size limit. A stream that ends without an exit event was cut off.
    ///
    /// A command that ran and failed is a success of this call: look at `exitCode`.
    ///
    /// `timeoutSec` limits the run on the server. A client needs a limit of its own for the
    /// HTTP exchange besides, longer than that.
    ///
    /// The call is not idempotent. After an error the command may have run nevertheless, so
    /// it must not simply be sent again.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `command`: Program and arguments. The first element must not be empty. No shell is involved;
    ///   to run a shell line, send `["sh", "-c", line]`.
    ///
    /// Sends `POST /v1/vms/{id}/exec`.
    ///
    /// # Errors
    ///
    /// - `502`: The host of the VM failed for the moment. The command may or may not have run.
    pub fn stream(
        &self,
        id: impl Into<String>,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Stream {
        Stream::new(&self.client, id, command)
    }
}

/// What a VM that an operation answers can be handed out as.
pub trait FromVm: Sized + Send + 'static {
    /// Makes one of the client that asked and the VM as answered.
    fn from_vm(client: &Client, vm: types::Vm) -> Self;
}

impl FromVm for types::Vm {
    fn from_vm(_client: &Client, vm: types::Vm) -> Self {
        vm
    }
}

/// A VM to act on: the client, the VM as it was last answered, which the handle derefs to,
/// and every operation below `/v1/vms/{id}`.
#[derive(Clone, Debug)]
pub struct VmHandle<V = types::Vm> {
    client: Client,
    vm: types::Vm,
    answer: PhantomData<fn() -> V>,
}

impl<V> std::ops::Deref for VmHandle<V> {
    type Target = types::Vm;
    fn deref(&self) -> &types::Vm {
        &self.vm
    }
}

impl<V: FromVm> VmHandle<V> {
    /// A handle on a VM that is at hand. Sends nothing.
    pub fn new(client: &Client, vm: types::Vm) -> Self {
        Self {
            client: client.clone(),
            vm,
            answer: PhantomData,
        }
    }

    /// The client this VM is reached by.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The VM as it was last answered.
    pub fn into_data(self) -> types::Vm {
        self.vm
    }

    /// The calls on this VM's services.
    pub fn services(&self) -> crate::vms::services::VmServices {
        crate::vms::services::VmServices::new(&self.client, &self.vm.id)
    }

    /// The calls on this VM's files.
    pub fn files(&self) -> crate::vms::files::VmFiles {
        crate::vms::files::VmFiles::new(&self.client, &self.vm.id)
    }

    /// The calls on this VM's volumes.
    pub fn volumes(&self) -> crate::vms::volumes::VmVolumes {
        crate::vms::volumes::VmVolumes::new(&self.client, &self.vm.id)
    }

    /// The calls on this VM's bucket mounts.
    pub fn bucket_mounts(&self) -> crate::vms::bucket_mounts::VmBucketMounts {
        crate::vms::bucket_mounts::VmBucketMounts::new(&self.client, &self.vm.id)
    }

    /// Retrieve a VM.
    ///
    /// Returns the VM as it is now, with the volumes and bucket mounts attached to it. This is
    /// the call to poll after a launch or a resume that was queued.
    ///
    /// Sends `GET /v1/vms/{id}`.
    pub fn retrieve(&self) -> Retrieve<V> {
        Retrieve::new(&self.client, &self.vm.id)
    }

    /// Delete a VM.
    ///
    /// Ends the VM for good. A deleted VM no longer appears in `listVms`. Snapshots that were
    /// taken of it and volumes that were attached to it are resources of their own.
    ///
    /// Sends `DELETE /v1/vms/{id}`.
    pub fn delete(&self) -> Delete {
        Delete::new(&self.client, &self.vm.id)
    }

    /// Change a VM's name, metadata or TTL.
    ///
    /// Changes the fields that are present and keeps the others.
    ///
    /// `metadata` is replaced as a whole: to change one label, send all of them; an empty
    /// object removes them all. Setting a `ttl` starts a full new cycle.
    ///
    /// Sends `PATCH /v1/vms/{id}`.
    ///
    /// # Errors
    ///
    /// - `400`: The request is not valid, for instance a TTL of more than one year.
    pub fn update(&self) -> Update<V> {
        Update::new(&self.client, &self.vm.id)
    }

    /// Pause a VM.
    ///
    /// Saves the state of the VM and gives back its worker and its share of the org's quotas.
    /// The VM ends in state `paused`, and a TTL countdown stands still until `resumeVm`.
    ///
    /// The call blocks until the pause is complete, which takes about 3 s. Pausing a paused
    /// VM succeeds and changes nothing.
    ///
    /// Sends `POST /v1/vms/{id}/pause`.
    pub fn pause(&self) -> Pause<V> {
        Pause::new(&self.client, &self.vm.id)
    }

    /// Resume a paused VM.
    ///
    /// Brings the saved state of a paused VM back, so that it ends in state `running`. The VM
    /// takes up quota again, and a TTL countdown goes on with what was left of it.
    ///
    /// With 200 the VM already runs. With 202 it waits for capacity: poll `getVm` until it is
    /// `running`. Resuming a running VM does no harm.
    ///
    /// Sends `POST /v1/vms/{id}/resume`.
    pub fn resume(&self) -> Resume<V> {
        Resume::new(&self.client, &self.vm.id)
    }

    /// Restart a VM's TTL countdown.
    ///
    /// Starts the countdown anew with the full `seconds` of the VM's `ttl`. Call it now and
    /// then to keep a VM alive while it is in use.
    ///
    /// - A running VM expires `seconds` from now, as `expiresAtMs` says.
    /// - A paused VM gets its full time back in `ttlRemainingMs`; it counts down after the
    ///   next resume.
    ///
    /// Sends `POST /v1/vms/{id}/ttl/refresh`.
    ///
    /// # Errors
    ///
    /// - `409`: The VM has no TTL. Set one with `updateVm`.
    pub fn refresh_ttl(&self) -> RefreshTtl<V> {
        RefreshTtl::new(&self.client, &self.vm.id)
    }

    /// Get a token for a VM's serial console.
    ///
    /// Returns a short-lived token and a WebSocket path for the serial console. Connect to
    /// that path on the host of this API, with scheme `wss` and the token in the query key
    /// `session`, as in `wss://api.fastvm.org/path?session=token`. The WebSocket upgrade
    /// carries no API key: whoever has the token has the console.
    ///
    /// Sends `POST /v1/vms/{id}/console-token`.
    pub fn console_token(&self) -> ConsoleToken {
        ConsoleToken::new(&self.client, &self.vm.id)
    }

    /// Run a command in a VM.
    ///
    /// Runs a command and reports its output and its exit code. The request is the same for
    /// both forms of the answer; the `Accept` header chooses between them:
    ///
    /// - **Buffered** (`application/json`, `*/*` or no header): one object when the command
    ///   has ended. At most 4 MiB each of stdout and stderr are kept; `stdoutTruncated` and
    ///   `stderrTruncated` tell whether more was dropped.
    /// - **Streamed** (`application/x-ndjson`): one `ExecEvent` per line while the command
    ///   runs: any number of pieces of output, then exactly one exit event. The output has no
    ///   size limit. A stream that ends without an exit event was cut off.
    ///
    /// A command that ran and failed is a success of this call: look at `exitCode`.
    ///
    /// `timeoutSec` limits the run on the server. A client needs a limit of its own for the
    /// HTTP exchange besides, longer than that.
    ///
    /// The call is not idempotent. After an error the command may have run nevertheless, so
    /// it must not simply be sent again.
    ///
    /// - `command`: Program and arguments. The first element must not be empty. No shell is involved;
    ///   to run a shell line, send `["sh", "-c", line]`.
    ///
    /// Sends `POST /v1/vms/{id}/exec`.
    ///
    /// # Errors
    ///
    /// - `502`: The host of the VM failed for the moment. The command may or may not have run.
    pub fn run(&self, command: impl IntoIterator<Item = impl Into<String>>) -> Run {
        Run::new(&self.client, &self.vm.id, command)
    }

    /// Replace a VM's firewall policy.
    ///
    /// Replaces the whole policy. A block that is left out gets its default: incoming traffic
    /// is denied, outgoing traffic is allowed, and every domain resolves. To change one block
    /// and keep the others, use `patchVmFirewall`.
    ///
    /// A policy with a dead rule is refused: an egress rule of kind `fqdn` whose domain the
    /// `dns` block keeps from resolving.
    ///
    /// Sends `PUT /v1/vms/{id}/firewall`.
    pub fn set_firewall(&self) -> SetFirewall<V> {
        SetFirewall::new(&self.client, &self.vm.id)
    }

    /// Replace single blocks of a VM's firewall policy.
    ///
    /// Replaces each of the blocks `ingress`, `egress` and `dns` that is present, as a whole,
    /// and keeps the others. Single rules cannot be changed: send the block with all its
    /// rules. An empty object changes nothing.
    ///
    /// Sends `PATCH /v1/vms/{id}/firewall`.
    pub fn patch_firewall(&self) -> PatchFirewall<V> {
        PatchFirewall::new(&self.client, &self.vm.id)
    }

    /// Run a command in a VM.
    ///
    /// Runs a command and reports its output and its exit code. The request is the same for
    /// both forms of the answer; the `Accept` header chooses between them:
    ///
    /// - **Buffered** (`application/json`, `*/*` or no header): one object when the command
    ///   has ended. At most 4 MiB each of stdout and stderr are kept; `stdoutTruncated` and
    ///   `stderrTruncated` tell whether more was dropped.
    /// - **Streamed** (`application/x-ndjson`): one `ExecEvent` per line while the command
    ///   runs: any number of pieces of output, then exactly one exit event. The output has no
    ///   size limit. A stream that ends without an exit event was cut off.
    ///
    /// A command that ran and failed is a success of this call: look at `exitCode`.
    ///
    /// `timeoutSec` limits the run on the server. A client needs a limit of its own for the
    /// HTTP exchange besides, longer than that.
    ///
    /// The call is not idempotent. After an error the command may have run nevertheless, so
    /// it must not simply be sent again.
    ///
    /// - `command`: Program and arguments. The first element must not be empty. No shell is involved;
    ///   to run a shell line, send `["sh", "-c", line]`.
    ///
    /// Sends `POST /v1/vms/{id}/exec`.
    ///
    /// # Errors
    ///
    /// - `502`: The host of the VM failed for the moment. The command may or may not have run.
    pub fn stream(
        &self,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Stream {
        Stream::new(&self.client, &self.vm.id, command)
    }
}

/// List the VMs of the org.
///
/// Made by `client.vms().list(..)`; sends `GET /v1/vms` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct List {
    call: Call,
    metadata: Option<std::collections::BTreeMap<String, String>>,
    status: Option<types::VmStatus>,
}

impl List {
    pub(crate) fn new(client: &Client) -> Self {
        Self {
            call: Call::new(client),
            metadata: None,
            status: None,
        }
    }

    /// Labels that a result must have, compared for equality. Each entry is sent as a query
    /// pair of its own, `metadata.<key>=<value>`; with several, all of them must match.
    ///
    /// Adds one pair; call it again for more, all of which must hold.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata
            .get_or_insert_default()
            .insert(format!(concat!("metadata.", "{}"), key.into()), value.into());
        self
    }

    /// Only VMs in this state. A state unknown to the server matches no VM.
    pub fn status(mut self, status: impl Into<types::VmStatus>) -> Self {
        self.status = Some(status.into());
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<Vec<types::Vm>>> {
        let exchange = self.call.begin(&operations::LIST_VMS, &[])?;
        let answer = exchange.raw.list_vms(self.metadata.as_ref(), self.status).await;
        exchange.finish(answer)
    }
}

impl IntoFuture for List {
    type Output = Result<Vec<types::Vm>>;
    type IntoFuture = Pending<Vec<types::Vm>>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Launch a VM.
///
/// Made by `client.vms().launch(..)`; sends `POST /v1/vms` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Launch {
    call: Call,
    body: types::LaunchVmRequest,
}

impl Launch {
    pub(crate) fn new(client: &Client) -> Self {
        Self {
            call: Call::new(client),
            body: types::LaunchVmRequest::new(),
        }
    }

    /// Size of the VM, such as `c2m4`. Required unless `snapshotId` is given.
    pub fn machine_type(mut self, machine_type: impl Into<String>) -> Self {
        self.body.machine_type = Some(machine_type.into());
        self
    }

    /// Snapshot to restore. Leave it out for a cold boot. Opaque; it starts with `snp_`.
    pub fn snapshot_id(mut self, snapshot_id: impl Into<String>) -> Self {
        self.body.snapshot_id = Some(snapshot_id.into());
        self
    }

    /// Display name. White space is trimmed and each run of it becomes one space, then
    /// the name is cut to 64 Unicode code points. If it is left out or empty, the name is
    /// `vm-` and the first 8 characters of the VM's id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.body.name = Some(name.into());
        self
    }

    /// Size of the root disk in GiB, instead of what the machine type comes with.
    pub fn disk_gib(mut self, disk_gib: i64) -> Self {
        self.body.disk_gib = Some(disk_gib);
        self
    }

    /// Labels for the VM, by which `listVms` can filter.
    ///
    /// Adds one; `set_metadata` sets them all, and an empty one explicitly.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.body.metadata.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Labels for the VM, by which `listVms` can filter.
    ///
    /// Replaces what was added by `metadata` so far.
    pub fn set_metadata(
        mut self,
        metadata: std::collections::BTreeMap<String, String>,
    ) -> Self {
        self.body.metadata = Some(metadata);
        self
    }

    /// Environment variables to boot the VM with.
    ///
    /// Adds one; `set_env_vars` sets them all, and an empty one explicitly.
    pub fn env_vars(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.body.env_vars.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Environment variables to boot the VM with.
    ///
    /// Replaces what was added by `env_vars` so far.
    pub fn set_env_vars(
        mut self,
        env_vars: std::collections::BTreeMap<String, String>,
    ) -> Self {
        self.body.env_vars = Some(env_vars);
        self
    }

    /// Firewall policy of the VM. Without it, the policy's defaults hold.
    pub fn firewall(mut self, firewall: types::FirewallPolicy) -> Self {
        self.body.firewall = Some(firewall);
        self
    }

    /// Time to live, after which the VM is paused or deleted by itself. Null is not
    /// accepted here, unlike in `updateVm`.
    pub fn ttl(mut self, ttl: types::VmTtl) -> Self {
        self.body.ttl = Some(ttl);
        self
    }

    /// Volumes to attach. On a restore, a list replaces the captured one in full, and an
    /// empty list attaches none; leave the field out to keep the captured list.
    ///
    /// Adds one; `set_volumes` sets them all, and an empty one explicitly.
    pub fn volumes(mut self, item: types::AttachVolumeRequest) -> Self {
        self.body.volumes.get_or_insert_default().push(item);
        self
    }

    /// Volumes to attach. On a restore, a list replaces the captured one in full, and an
    /// empty list attaches none; leave the field out to keep the captured list.
    ///
    /// Replaces what was added by `volumes` so far.
    pub fn set_volumes(mut self, volumes: Vec<types::AttachVolumeRequest>) -> Self {
        self.body.volumes = Some(volumes);
        self
    }

    /// Buckets to mount. On a restore, a list replaces the captured one in full, and an
    /// empty list mounts none; leave the field out to keep the captured list.
    ///
    /// Adds one; `set_bucket_mounts` sets them all, and an empty one explicitly.
    pub fn bucket_mounts(mut self, item: types::AttachBucketMountRequest) -> Self {
        self.body.bucket_mounts.get_or_insert_default().push(item);
        self
    }

    /// Buckets to mount. On a restore, a list replaces the captured one in full, and an
    /// empty list mounts none; leave the field out to keep the captured list.
    ///
    /// Replaces what was added by `bucket_mounts` so far.
    pub fn set_bucket_mounts(
        mut self,
        bucket_mounts: Vec<types::AttachBucketMountRequest>,
    ) -> Self {
        self.body.bucket_mounts = Some(bucket_mounts);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::LaunchVmRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<types::LaunchVmResponse>> {
        let exchange = self.call.begin(&operations::LAUNCH_VM, &[])?;
        let answer = exchange.raw.launch_vm(&self.body).await;
        exchange.finish(answer)
    }
}

impl IntoFuture for Launch {
    type Output = Result<types::LaunchVmResponse>;
    type IntoFuture = Pending<types::LaunchVmResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Retrieve a VM.
///
/// Made by `client.vms().retrieve(..)`; sends `GET /v1/vms/{id}` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Retrieve<V = types::Vm> {
    call: Call,
    id: String,
    answer: PhantomData<fn() -> V>,
}

impl<V: FromVm> Retrieve<V> {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            answer: PhantomData,
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<V>> {
        let exchange = self
            .call
            .begin(&operations::GET_VM, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.get_vm(&self.id).await;
        let client = self.call.client().clone();
        let answer = exchange.finish(answer)?;
        Ok(crate::call::map_answer(answer, |vm| V::from_vm(&client, vm)))
    }
}

impl<V: FromVm> IntoFuture for Retrieve<V> {
    type Output = Result<V>;
    type IntoFuture = Pending<V>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Delete a VM.
///
/// Made by `client.vms().delete(..)`; sends `DELETE /v1/vms/{id}` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Delete {
    call: Call,
    id: String,
}

impl Delete {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<types::DeleteResponse>> {
        let exchange = self
            .call
            .begin(&operations::DELETE_VM, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.delete_vm(&self.id).await;
        exchange.finish(answer)
    }
}

impl IntoFuture for Delete {
    type Output = Result<types::DeleteResponse>;
    type IntoFuture = Pending<types::DeleteResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Change a VM's name, metadata or TTL.
///
/// Made by `client.vms().update(..)`; sends `PATCH /v1/vms/{id}` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Update<V = types::Vm> {
    call: Call,
    id: String,
    body: types::UpdateVmRequest,
    answer: PhantomData<fn() -> V>,
}

impl<V: FromVm> Update<V> {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::UpdateVmRequest::new(),
            answer: PhantomData,
        }
    }

    /// New display name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.body.name = Some(name.into());
        self
    }

    /// New labels, which replace all present ones. An empty object removes them all.
    ///
    /// Adds one; `set_metadata` sets them all, and an empty one explicitly.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.body.metadata.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// New labels, which replace all present ones. An empty object removes them all.
    ///
    /// Replaces what was added by `metadata` so far.
    pub fn set_metadata(
        mut self,
        metadata: std::collections::BTreeMap<String, String>,
    ) -> Self {
        self.body.metadata = Some(metadata);
        self
    }

    /// New time to live, with which a full cycle starts. Null is accepted too: look at
    /// `ttl` in the answer to see what it did.
    ///
    /// `Patch::Clear` (or `None`) sends null; without this call it is kept as it is.
    pub fn ttl(mut self, ttl: impl Into<crate::Patch<types::VmTtl>>) -> Self {
        self.body.ttl = ttl.into();
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::UpdateVmRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<V>> {
        let exchange = self
            .call
            .begin(&operations::UPDATE_VM, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.update_vm(&self.id, &self.body).await;
        let client = self.call.client().clone();
        let answer = exchange.finish(answer)?;
        Ok(crate::call::map_answer(answer, |vm| V::from_vm(&client, vm)))
    }
}

impl<V: FromVm> IntoFuture for Update<V> {
    type Output = Result<V>;
    type IntoFuture = Pending<V>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Pause a VM.
///
/// Made by `client.vms().pause(..)`; sends `POST /v1/vms/{id}/pause` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Pause<V = types::Vm> {
    call: Call,
    id: String,
    answer: PhantomData<fn() -> V>,
}

impl<V: FromVm> Pause<V> {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            answer: PhantomData,
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<V>> {
        let exchange = self
            .call
            .begin(&operations::PAUSE_VM, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.pause_vm(&self.id).await;
        let client = self.call.client().clone();
        let answer = exchange.finish(answer)?;
        Ok(crate::call::map_answer(answer, |vm| V::from_vm(&client, vm)))
    }
}

impl<V: FromVm> IntoFuture for Pause<V> {
    type Output = Result<V>;
    type IntoFuture = Pending<V>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Resume a paused VM.
///
/// Made by `client.vms().resume(..)`; sends `POST /v1/vms/{id}/resume` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Resume<V = types::Vm> {
    call: Call,
    id: String,
    answer: PhantomData<fn() -> V>,
}

impl<V: FromVm> Resume<V> {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            answer: PhantomData,
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<V>> {
        let exchange = self
            .call
            .begin(&operations::RESUME_VM, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.resume_vm(&self.id).await;
        let client = self.call.client().clone();
        let answer = exchange.finish(answer)?;
        Ok(crate::call::map_answer(answer, |vm| V::from_vm(&client, vm)))
    }
}

impl<V: FromVm> IntoFuture for Resume<V> {
    type Output = Result<V>;
    type IntoFuture = Pending<V>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Restart a VM's TTL countdown.
///
/// Made by `client.vms().refresh_ttl(..)`; sends `POST /v1/vms/{id}/ttl/refresh` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct RefreshTtl<V = types::Vm> {
    call: Call,
    id: String,
    answer: PhantomData<fn() -> V>,
}

impl<V: FromVm> RefreshTtl<V> {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            answer: PhantomData,
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<V>> {
        let exchange = self
            .call
            .begin(&operations::REFRESH_VM_TTL, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.refresh_vm_ttl(&self.id).await;
        let client = self.call.client().clone();
        let answer = exchange.finish(answer)?;
        Ok(crate::call::map_answer(answer, |vm| V::from_vm(&client, vm)))
    }
}

impl<V: FromVm> IntoFuture for RefreshTtl<V> {
    type Output = Result<V>;
    type IntoFuture = Pending<V>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Get a token for a VM's serial console.
///
/// Made by `client.vms().console_token(..)`; sends `POST /v1/vms/{id}/console-token` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct ConsoleToken {
    call: Call,
    id: String,
}

impl ConsoleToken {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<types::ConsoleTokenResponse>> {
        let exchange = self
            .call
            .begin(&operations::CREATE_CONSOLE_TOKEN, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.create_console_token(&self.id).await;
        exchange.finish(answer)
    }
}

impl IntoFuture for ConsoleToken {
    type Output = Result<types::ConsoleTokenResponse>;
    type IntoFuture = Pending<types::ConsoleTokenResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Run a command in a VM.
///
/// Made by `client.vms().run(..)`; sends `POST /v1/vms/{id}/exec` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Run {
    call: Call,
    id: String,
    body: types::ExecVmRequest,
}

impl Run {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::ExecVmRequest::new(command),
        }
    }

    /// All of the command's standard input, encoded as base64. It is delivered once, then
    /// the input is closed; input cannot be streamed.
    pub fn stdin(mut self, stdin: impl Into<String>) -> Self {
        self.body.stdin = Some(stdin.into());
        self
    }

    /// How long the command may run, in seconds, at least 1. Without it the server applies
    /// a limit of its own.
    pub fn timeout_sec(mut self, timeout_sec: i64) -> Self {
        self.body.timeout_sec = Some(timeout_sec);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::ExecVmRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<types::ExecVmResponse>> {
        let exchange = self
            .call
            .begin(&operations::EXEC_VM, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.exec_vm(&self.id, &self.body).await;
        exchange.finish(answer)
    }
}

impl IntoFuture for Run {
    type Output = Result<types::ExecVmResponse>;
    type IntoFuture = Pending<types::ExecVmResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Replace a VM's firewall policy.
///
/// Made by `client.vms().set_firewall(..)`; sends `PUT /v1/vms/{id}/firewall` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct SetFirewall<V = types::Vm> {
    call: Call,
    id: String,
    body: types::FirewallPolicy,
    answer: PhantomData<fn() -> V>,
}

impl<V: FromVm> SetFirewall<V> {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::FirewallPolicy::new(),
            answer: PhantomData,
        }
    }

    /// Traffic to the VM. By default all of it is denied.
    pub fn ingress(mut self, ingress: types::IngressPolicy) -> Self {
        self.body.ingress = Some(ingress);
        self
    }

    /// Traffic from the VM. By default all of it is allowed.
    pub fn egress(mut self, egress: types::EgressPolicy) -> Self {
        self.body.egress = Some(egress);
        self
    }

    /// Which domains resolve in the VM. By default mode `deny` with no domains, so that
    /// all of them do.
    pub fn dns(mut self, dns: types::DnsPolicy) -> Self {
        self.body.dns = Some(dns);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::FirewallPolicy) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<V>> {
        let exchange = self
            .call
            .begin(&operations::SET_VM_FIREWALL, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.set_vm_firewall(&self.id, &self.body).await;
        let client = self.call.client().clone();
        let answer = exchange.finish(answer)?;
        Ok(crate::call::map_answer(answer, |vm| V::from_vm(&client, vm)))
    }
}

impl<V: FromVm> IntoFuture for SetFirewall<V> {
    type Output = Result<V>;
    type IntoFuture = Pending<V>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Replace single blocks of a VM's firewall policy.
///
/// Made by `client.vms().patch_firewall(..)`; sends `PATCH /v1/vms/{id}/firewall` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct PatchFirewall<V = types::Vm> {
    call: Call,
    id: String,
    body: types::PatchFirewallRequest,
    answer: PhantomData<fn() -> V>,
}

impl<V: FromVm> PatchFirewall<V> {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::PatchFirewallRequest::new(),
            answer: PhantomData,
        }
    }

    /// New block for traffic to the VM.
    pub fn ingress(mut self, ingress: types::IngressPolicy) -> Self {
        self.body.ingress = Some(ingress);
        self
    }

    /// New block for traffic from the VM.
    pub fn egress(mut self, egress: types::EgressPolicy) -> Self {
        self.body.egress = Some(egress);
        self
    }

    /// New block for the resolving of domains.
    pub fn dns(mut self, dns: types::DnsPolicy) -> Self {
        self.body.dns = Some(dns);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::PatchFirewallRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<V>> {
        let exchange = self
            .call
            .begin(&operations::PATCH_VM_FIREWALL, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.patch_vm_firewall(&self.id, &self.body).await;
        let client = self.call.client().clone();
        let answer = exchange.finish(answer)?;
        Ok(crate::call::map_answer(answer, |vm| V::from_vm(&client, vm)))
    }
}

impl<V: FromVm> IntoFuture for PatchFirewall<V> {
    type Output = Result<V>;
    type IntoFuture = Pending<V>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Run a command in a VM.
///
/// Made by `client.vms().stream(..)`; sends `POST /v1/vms/{id}/exec` when awaited. `.send()` answers status and headers too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Stream {
    call: Call,
    id: String,
    body: types::ExecVmRequest,
}

impl Stream {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::ExecVmRequest::new(command),
        }
    }

    /// All of the command's standard input, encoded as base64. It is delivered once, then
    /// the input is closed; input cannot be streamed.
    pub fn stdin(mut self, stdin: impl Into<String>) -> Self {
        self.body.stdin = Some(stdin.into());
        self
    }

    /// How long the command may run, in seconds, at least 1. Without it the server applies
    /// a limit of its own.
    pub fn timeout_sec(mut self, timeout_sec: i64) -> Self {
        self.body.timeout_sec = Some(timeout_sec);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::ExecVmRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    pub async fn send(self) -> Result<ResponseValue<ByteStream>> {
        let exchange = self
            .call
            .begin(&operations::EXEC_VM_STREAM, &[("id", self.id.as_str())])?;
        let answer = exchange.raw.exec_vm_stream(&self.id, &self.body).await;
        exchange.finish(answer)
    }
}

impl IntoFuture for Stream {
    type Output = Result<ByteStream>;
    type IntoFuture = Pending<ByteStream>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
