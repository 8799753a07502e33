// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on VMs.

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

/// The calls on VMs: `client.vms()`.
///
/// Launch, watch, pause, resume, change and delete VMs; run commands in them, open their
/// serial console and guard them with a firewall.
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
    /// See also [`Vms::sweep`](https://docs.rs/fastvm/latest/fastvm/struct.Vms.html#method.sweep) in the crate `fastvm`, which does more.
    ///
    /// Optional, as methods of the builder: [`metadata`](List::metadata), [`status`](List::status).
    ///
    /// Sends `GET /v1/vms`, and gives a list of [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let running = client.vms().list().status("running").metadata("env", "prod").await?;
    /// for vm in running {
    ///     println!("{} {}", vm.id, vm.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self) -> List {
        List::new(&self.client)
    }

    /// Launch a VM.
    ///
    /// Starts a new VM in one of two ways:
    ///
    /// - **Cold boot**: give a `machine_type`. It is required unless `snapshot_id` is given.
    /// - **Restore**: give a `snapshot_id`. The VM continues from the captured state and takes
    ///   over the machine type, volumes, bucket mounts and services of the snapshot. A
    ///   `volumes` or `bucket_mounts` list in the request replaces the captured list in full,
    ///   an empty one included; leaving the field out keeps the captured list.
    ///
    /// The status code tells how far the launch has come. With 201 the VM already runs. With
    /// 202 it is queued: poll [`client.vms().retrieve`](fastvm_api::vms::Vms::retrieve) until `status` is `running`, or `error` or `stopped`,
    /// which mean that the launch failed.
    ///
    /// A launch can succeed in part. Volumes and buckets that could not be attached are
    /// listed in `attachment_warnings`, services that could not be registered again after a
    /// restore in `snapshot_restore_warnings`.
    ///
    /// Each request makes a VM of its own, so a request whose answer was lost must not simply
    /// be sent again: it could leave a second VM running.
    ///
    /// See also [`Vms::launch`](https://docs.rs/fastvm/latest/fastvm/struct.Vms.html#method.launch) in the crate `fastvm`, which does more.
    ///
    /// Optional, as methods of the builder: [`machine_type`](Launch::machine_type), [`snapshot_id`](Launch::snapshot_id), [`name`](Launch::name), [`disk_gib`](Launch::disk_gib), [`metadata`](Launch::metadata), [`env_vars`](Launch::env_vars), [`firewall`](Launch::firewall), [`ttl`](Launch::ttl), [`volumes`](Launch::volumes), [`bucket_mounts`](Launch::bucket_mounts).
    ///
    /// Sends `POST /v1/vms`, and gives [`LaunchVmResponse`](fastvm_api::types::LaunchVmResponse). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `400`: The request is not valid: for instance a TTL of more than one year, or neither
    ///   `machine_type` nor `snapshot_id`. No VM was made.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let vm = client.vms().launch().machine_type("c1m2").name("dev").await?;
    /// println!("{} is {}", vm.id, vm.status); // it may still be on its way
    /// # Ok(())
    /// # }
    /// ```
    pub fn launch(&self) -> Launch {
        Launch::new(&self.client)
    }

    /// Retrieve a VM.
    ///
    /// Returns the VM as it is now, with the volumes and bucket mounts attached to it. This is
    /// the call to poll after a launch or a resume that was queued.
    ///
    /// See also [`Client::wait_for_vm_ready`](https://docs.rs/fastvm/latest/fastvm/struct.Client.html#method.wait_for_vm_ready) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `GET /v1/vms/{id}`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let vm = client.vms().retrieve("0f8fad5b-d9cb-469f-a165-70867728950e").await?;
    /// println!("{} vCPU, {} MiB, {}", vm.cpu, vm.memory_mib, vm.status);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retrieve(&self, id: impl Into<String>) -> Retrieve<V> {
        Retrieve::new(&self.client, id)
    }

    /// Delete a VM.
    ///
    /// Ends the VM for good. A deleted VM no longer appears in [`client.vms().list`](fastvm_api::vms::Vms::list). Snapshots that were
    /// taken of it and volumes that were attached to it are resources of their own.
    ///
    /// See also [`Vm::into_guard`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.into_guard) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `DELETE /v1/vms/{id}`, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let gone = client.vms().delete("0f8fad5b-d9cb-469f-a165-70867728950e").await?;
    /// assert!(gone.deleted);
    /// # Ok(())
    /// # }
    /// ```
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
    /// Optional, as methods of the builder: [`name`](Update::name), [`metadata`](Update::metadata), [`ttl`](Update::ttl).
    ///
    /// Sends `PATCH /v1/vms/{id}`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `400`: The request is not valid, for instance a TTL of more than one year.
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// use fastvm_api::types::{TtlAction, VmTtl};
    ///
    /// let ttl = VmTtl::new(3600, TtlAction::Pause);
    /// client.vms().update("0f8fad5b-d9cb-469f-a165-70867728950e").name("dev").ttl(ttl).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update(&self, id: impl Into<String>) -> Update<V> {
        Update::new(&self.client, id)
    }

    /// Pause a VM.
    ///
    /// Saves the state of the VM and gives back its worker and its share of the org's quotas.
    /// The VM ends in state `paused`, and a TTL countdown stands still until [`client.vms().resume`](fastvm_api::vms::Vms::resume).
    ///
    /// The call blocks until the pause is complete, which takes about 3 s. Pausing a paused
    /// VM succeeds and changes nothing.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `POST /v1/vms/{id}/pause`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let vm = client.vms().pause("0f8fad5b-d9cb-469f-a165-70867728950e").await?;
    /// assert_eq!(vm.status, "paused");
    /// # Ok(())
    /// # }
    /// ```
    pub fn pause(&self, id: impl Into<String>) -> Pause<V> {
        Pause::new(&self.client, id)
    }

    /// Resume a paused VM.
    ///
    /// Brings the saved state of a paused VM back, so that it ends in state `running`. The VM
    /// takes up quota again, and a TTL countdown goes on with what was left of it.
    ///
    /// With 200 the VM already runs. With 202 it waits for capacity: poll [`client.vms().retrieve`](fastvm_api::vms::Vms::retrieve) until it is
    /// `running`. Resuming a running VM does no harm.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `POST /v1/vms/{id}/resume`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn resume(&self, id: impl Into<String>) -> Resume<V> {
        Resume::new(&self.client, id)
    }

    /// Restart a VM's TTL countdown.
    ///
    /// Starts the countdown anew with the full `seconds` of the VM's `ttl`. Call it now and
    /// then to keep a VM alive while it is in use.
    ///
    /// - A running VM expires `seconds` from now, as `expires_at_ms` says.
    /// - A paused VM gets its full time back in `ttl_remaining_ms`; it counts down after the
    ///   next resume.
    ///
    /// See also [`Vm::lease`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.lease) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `POST /v1/vms/{id}/ttl/refresh`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `409`: The VM has no TTL. Set one with [`client.vms().update`](fastvm_api::vms::Vms::update).
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
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
    /// See also [`Vm::console`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.console) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `POST /v1/vms/{id}/console-token`, and gives [`ConsoleTokenResponse`](fastvm_api::types::ConsoleTokenResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn console_token(&self, id: impl Into<String>) -> ConsoleToken {
        ConsoleToken::new(&self.client, id)
    }

    /// Run a command in a VM.
    ///
    /// Runs a command and reports its output and its exit code. The request is the same for
    /// both forms of the answer; the `Accept` header chooses between them:
    ///
    /// - **Buffered** (`application/json`, `*/*` or no header): one object when the command
    ///   has ended. At most 4 MiB each of stdout and stderr are kept; `stdout_truncated` and
    ///   `stderr_truncated` tell whether more was dropped.
    /// - **Streamed** (`application/x-ndjson`): one [`ExecEvent`](fastvm_api::types::ExecEvent) per line while the command
    ///   runs: any number of pieces of output, then exactly one exit event. The output has no
    ///   size limit. A stream that ends without an exit event was cut off.
    ///
    /// A command that ran and failed is a success of this call: look at `exit_code`.
    ///
    /// `timeout_sec` limits the run on the server. A client needs a limit of its own for the
    /// HTTP exchange besides, longer than that.
    ///
    /// The call is not idempotent. After an error the command may have run nevertheless, so
    /// it must not simply be sent again.
    ///
    /// See also [`Vms::run`](https://docs.rs/fastvm/latest/fastvm/struct.Vms.html#method.run) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `command`: Program and arguments. The first element must not be empty. No shell is involved;
    ///   to run a shell line, send `["sh", "-c", line]`.
    ///
    /// Optional, as methods of the builder: [`stdin`](Run::stdin), [`timeout_sec`](Run::timeout_sec).
    ///
    /// Sends `POST /v1/vms/{id}/exec`, and gives [`ExecVmResponse`](fastvm_api::types::ExecVmResponse). It is not safe to send twice: it is sent again only if it provably never left. The client's request timeout does not apply.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `502`: The host of the VM failed for the moment. The command may or may not have run.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let line = ["sh", "-c", "ls /etc | wc -l"];
    /// let out = client.vms().run("0f8fad5b-d9cb-469f-a165-70867728950e", line).timeout_sec(30).await?;
    /// println!("exit {}: {}", out.exit_code, out.stdout);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run(
        &self,
        id: impl Into<String>,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Run {
        Run::new(&self.client, id, command)
    }

    /// Run a command in a VM, and stream the answer.
    ///
    /// Runs a command and reports its output and its exit code. The request is the same for
    /// both forms of the answer; the `Accept` header chooses between them:
    ///
    /// - **Buffered** (`application/json`, `*/*` or no header): one object when the command
    ///   has ended. At most 4 MiB each of stdout and stderr are kept; `stdout_truncated` and
    ///   `stderr_truncated` tell whether more was dropped.
    /// - **Streamed** (`application/x-ndjson`): one [`ExecEvent`](fastvm_api::types::ExecEvent) per line while the command
    ///   runs: any number of pieces of output, then exactly one exit event. The output has no
    ///   size limit. A stream that ends without an exit event was cut off.
    ///
    /// A command that ran and failed is a success of this call: look at `exit_code`.
    ///
    /// `timeout_sec` limits the run on the server. A client needs a limit of its own for the
    /// HTTP exchange besides, longer than that.
    ///
    /// The call is not idempotent. After an error the command may have run nevertheless, so
    /// it must not simply be sent again.
    ///
    /// See also [`Vms::stream`](https://docs.rs/fastvm/latest/fastvm/struct.Vms.html#method.stream) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `command`: Program and arguments. The first element must not be empty. No shell is involved;
    ///   to run a shell line, send `["sh", "-c", line]`.
    ///
    /// Optional, as methods of the builder: [`stdin`](Stream::stdin), [`timeout_sec`](Stream::timeout_sec).
    ///
    /// Sends `POST /v1/vms/{id}/exec`, and gives the bytes of the answer as they come. It is not safe to send twice: it is sent again only if it provably never left. The client's request timeout does not apply.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `502`: The host of the VM failed for the moment. The command may or may not have run.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn stream(
        &self,
        id: impl Into<String>,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Stream {
        Stream::new(&self.client, id, command)
    }

    /// Replace a VM's firewall policy.
    ///
    /// Replaces the whole policy. A block that is left out gets its default: incoming traffic
    /// is denied, outgoing traffic is allowed, and every domain resolves. To change one block
    /// and keep the others, use [`client.vms().patch_firewall`](fastvm_api::vms::Vms::patch_firewall).
    ///
    /// A policy with a dead rule is refused: an egress rule of kind `fqdn` whose domain the
    /// `dns` block keeps from resolving.
    ///
    /// See also [`Firewall::build`](https://docs.rs/fastvm/latest/fastvm/struct.Firewall.html#method.build) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Optional, as methods of the builder: [`ingress`](SetFirewall::ingress), [`egress`](SetFirewall::egress), [`dns`](SetFirewall::dns).
    ///
    /// Sends `PUT /v1/vms/{id}/firewall`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// use fastvm_api::types::{FirewallPolicy, IngressPolicy, PolicyAction};
    ///
    /// let policy = FirewallPolicy::new().ingress(IngressPolicy::new(PolicyAction::Deny));
    /// client.vms().set_firewall("0f8fad5b-d9cb-469f-a165-70867728950e").body(policy).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_firewall(&self, id: impl Into<String>) -> SetFirewall<V> {
        SetFirewall::new(&self.client, id)
    }

    /// Replace single blocks of a VM's firewall policy.
    ///
    /// Replaces each of the blocks `ingress`, `egress` and `dns` that is present, as a whole,
    /// and keeps the others. Single rules cannot be changed: send the block with all its
    /// rules. An empty object changes nothing.
    ///
    /// See also [`Firewall::build_patch`](https://docs.rs/fastvm/latest/fastvm/struct.Firewall.html#method.build_patch) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Optional, as methods of the builder: [`ingress`](PatchFirewall::ingress), [`egress`](PatchFirewall::egress), [`dns`](PatchFirewall::dns).
    ///
    /// Sends `PATCH /v1/vms/{id}/firewall`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn patch_firewall(&self, id: impl Into<String>) -> PatchFirewall<V> {
        PatchFirewall::new(&self.client, id)
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
    /// See also [`Client::wait_for_vm_ready`](https://docs.rs/fastvm/latest/fastvm/struct.Client.html#method.wait_for_vm_ready) in the crate `fastvm`, which does more.
    ///
    /// Sends `GET /v1/vms/{id}`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn retrieve(&self) -> Retrieve<V> {
        Retrieve::new(&self.client, &self.vm.id)
    }

    /// Delete a VM.
    ///
    /// Ends the VM for good. A deleted VM no longer appears in [`client.vms().list`](fastvm_api::vms::Vms::list). Snapshots that were
    /// taken of it and volumes that were attached to it are resources of their own.
    ///
    /// See also [`Vm::into_guard`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.into_guard) in the crate `fastvm`, which does more.
    ///
    /// Sends `DELETE /v1/vms/{id}`, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
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
    /// Optional, as methods of the builder: [`name`](Update::name), [`metadata`](Update::metadata), [`ttl`](Update::ttl).
    ///
    /// Sends `PATCH /v1/vms/{id}`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `400`: The request is not valid, for instance a TTL of more than one year.
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn update(&self) -> Update<V> {
        Update::new(&self.client, &self.vm.id)
    }

    /// Pause a VM.
    ///
    /// Saves the state of the VM and gives back its worker and its share of the org's quotas.
    /// The VM ends in state `paused`, and a TTL countdown stands still until [`client.vms().resume`](fastvm_api::vms::Vms::resume).
    ///
    /// The call blocks until the pause is complete, which takes about 3 s. Pausing a paused
    /// VM succeeds and changes nothing.
    ///
    /// Sends `POST /v1/vms/{id}/pause`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn pause(&self) -> Pause<V> {
        Pause::new(&self.client, &self.vm.id)
    }

    /// Resume a paused VM.
    ///
    /// Brings the saved state of a paused VM back, so that it ends in state `running`. The VM
    /// takes up quota again, and a TTL countdown goes on with what was left of it.
    ///
    /// With 200 the VM already runs. With 202 it waits for capacity: poll [`client.vms().retrieve`](fastvm_api::vms::Vms::retrieve) until it is
    /// `running`. Resuming a running VM does no harm.
    ///
    /// Sends `POST /v1/vms/{id}/resume`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn resume(&self) -> Resume<V> {
        Resume::new(&self.client, &self.vm.id)
    }

    /// Restart a VM's TTL countdown.
    ///
    /// Starts the countdown anew with the full `seconds` of the VM's `ttl`. Call it now and
    /// then to keep a VM alive while it is in use.
    ///
    /// - A running VM expires `seconds` from now, as `expires_at_ms` says.
    /// - A paused VM gets its full time back in `ttl_remaining_ms`; it counts down after the
    ///   next resume.
    ///
    /// See also [`Vm::lease`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.lease) in the crate `fastvm`, which does more.
    ///
    /// Sends `POST /v1/vms/{id}/ttl/refresh`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `409`: The VM has no TTL. Set one with [`client.vms().update`](fastvm_api::vms::Vms::update).
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
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
    /// See also [`Vm::console`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.console) in the crate `fastvm`, which does more.
    ///
    /// Sends `POST /v1/vms/{id}/console-token`, and gives [`ConsoleTokenResponse`](fastvm_api::types::ConsoleTokenResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn console_token(&self) -> ConsoleToken {
        ConsoleToken::new(&self.client, &self.vm.id)
    }

    /// Run a command in a VM.
    ///
    /// Runs a command and reports its output and its exit code. The request is the same for
    /// both forms of the answer; the `Accept` header chooses between them:
    ///
    /// - **Buffered** (`application/json`, `*/*` or no header): one object when the command
    ///   has ended. At most 4 MiB each of stdout and stderr are kept; `stdout_truncated` and
    ///   `stderr_truncated` tell whether more was dropped.
    /// - **Streamed** (`application/x-ndjson`): one [`ExecEvent`](fastvm_api::types::ExecEvent) per line while the command
    ///   runs: any number of pieces of output, then exactly one exit event. The output has no
    ///   size limit. A stream that ends without an exit event was cut off.
    ///
    /// A command that ran and failed is a success of this call: look at `exit_code`.
    ///
    /// `timeout_sec` limits the run on the server. A client needs a limit of its own for the
    /// HTTP exchange besides, longer than that.
    ///
    /// The call is not idempotent. After an error the command may have run nevertheless, so
    /// it must not simply be sent again.
    ///
    /// See also [`Vms::run`](https://docs.rs/fastvm/latest/fastvm/struct.Vms.html#method.run) in the crate `fastvm`, which does more.
    ///
    /// - `command`: Program and arguments. The first element must not be empty. No shell is involved;
    ///   to run a shell line, send `["sh", "-c", line]`.
    ///
    /// Optional, as methods of the builder: [`stdin`](Run::stdin), [`timeout_sec`](Run::timeout_sec).
    ///
    /// Sends `POST /v1/vms/{id}/exec`, and gives [`ExecVmResponse`](fastvm_api::types::ExecVmResponse). It is not safe to send twice: it is sent again only if it provably never left. The client's request timeout does not apply.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `502`: The host of the VM failed for the moment. The command may or may not have run.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn run(&self, command: impl IntoIterator<Item = impl Into<String>>) -> Run {
        Run::new(&self.client, &self.vm.id, command)
    }

    /// Run a command in a VM, and stream the answer.
    ///
    /// Runs a command and reports its output and its exit code. The request is the same for
    /// both forms of the answer; the `Accept` header chooses between them:
    ///
    /// - **Buffered** (`application/json`, `*/*` or no header): one object when the command
    ///   has ended. At most 4 MiB each of stdout and stderr are kept; `stdout_truncated` and
    ///   `stderr_truncated` tell whether more was dropped.
    /// - **Streamed** (`application/x-ndjson`): one [`ExecEvent`](fastvm_api::types::ExecEvent) per line while the command
    ///   runs: any number of pieces of output, then exactly one exit event. The output has no
    ///   size limit. A stream that ends without an exit event was cut off.
    ///
    /// A command that ran and failed is a success of this call: look at `exit_code`.
    ///
    /// `timeout_sec` limits the run on the server. A client needs a limit of its own for the
    /// HTTP exchange besides, longer than that.
    ///
    /// The call is not idempotent. After an error the command may have run nevertheless, so
    /// it must not simply be sent again.
    ///
    /// See also [`Vms::stream`](https://docs.rs/fastvm/latest/fastvm/struct.Vms.html#method.stream) in the crate `fastvm`, which does more.
    ///
    /// - `command`: Program and arguments. The first element must not be empty. No shell is involved;
    ///   to run a shell line, send `["sh", "-c", line]`.
    ///
    /// Optional, as methods of the builder: [`stdin`](Stream::stdin), [`timeout_sec`](Stream::timeout_sec).
    ///
    /// Sends `POST /v1/vms/{id}/exec`, and gives the bytes of the answer as they come. It is not safe to send twice: it is sent again only if it provably never left. The client's request timeout does not apply.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `502`: The host of the VM failed for the moment. The command may or may not have run.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn stream(
        &self,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Stream {
        Stream::new(&self.client, &self.vm.id, command)
    }

    /// Replace a VM's firewall policy.
    ///
    /// Replaces the whole policy. A block that is left out gets its default: incoming traffic
    /// is denied, outgoing traffic is allowed, and every domain resolves. To change one block
    /// and keep the others, use [`client.vms().patch_firewall`](fastvm_api::vms::Vms::patch_firewall).
    ///
    /// A policy with a dead rule is refused: an egress rule of kind `fqdn` whose domain the
    /// `dns` block keeps from resolving.
    ///
    /// See also [`Firewall::build`](https://docs.rs/fastvm/latest/fastvm/struct.Firewall.html#method.build) in the crate `fastvm`, which does more.
    ///
    /// Optional, as methods of the builder: [`ingress`](SetFirewall::ingress), [`egress`](SetFirewall::egress), [`dns`](SetFirewall::dns).
    ///
    /// Sends `PUT /v1/vms/{id}/firewall`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn set_firewall(&self) -> SetFirewall<V> {
        SetFirewall::new(&self.client, &self.vm.id)
    }

    /// Replace single blocks of a VM's firewall policy.
    ///
    /// Replaces each of the blocks `ingress`, `egress` and `dns` that is present, as a whole,
    /// and keeps the others. Single rules cannot be changed: send the block with all its
    /// rules. An empty object changes nothing.
    ///
    /// See also [`Firewall::build_patch`](https://docs.rs/fastvm/latest/fastvm/struct.Firewall.html#method.build_patch) in the crate `fastvm`, which does more.
    ///
    /// Optional, as methods of the builder: [`ingress`](PatchFirewall::ingress), [`egress`](PatchFirewall::egress), [`dns`](PatchFirewall::dns).
    ///
    /// Sends `PATCH /v1/vms/{id}/firewall`, and gives [`Vm`](fastvm_api::types::Vm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn patch_firewall(&self) -> PatchFirewall<V> {
        PatchFirewall::new(&self.client, &self.vm.id)
    }
}

/// List the VMs of the org.
///
/// Made by [`client.vms().list`](fastvm_api::vms::Vms::list); sends `GET /v1/vms` when awaited, and gives a list of [`Vm`](fastvm_api::types::Vm). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<Vec<types::Vm>>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::LIST_VMS, &[])?;
            let request = exchange.raw.list_vms(self.metadata.as_ref(), self.status);
            exchange.json(request).await
        }
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
/// Made by [`client.vms().launch`](fastvm_api::vms::Vms::launch); sends `POST /v1/vms` when awaited, and gives [`LaunchVmResponse`](fastvm_api::types::LaunchVmResponse). `.send()` gives status and headers, too.
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

    /// Size of the VM, such as `c2m4`. Required unless `snapshot_id` is given.
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

    /// Labels for the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
    ///
    /// Adds one; `set_metadata` sets them all, and an empty one explicitly.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.body.metadata.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Labels for the VM, by which [`client.vms().list`](fastvm_api::vms::Vms::list) can filter.
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
    /// accepted here, unlike in [`client.vms().update`](fastvm_api::vms::Vms::update).
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::LaunchVmResponse>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::LAUNCH_VM, &[])?;
            let request = exchange.raw.launch_vm(&self.body);
            drop(self.body);
            exchange.json(request).await
        }
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
/// Made by [`client.vms().retrieve`](fastvm_api::vms::Vms::retrieve); sends `GET /v1/vms/{id}` when awaited, and gives [`Vm`](fastvm_api::types::Vm). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<V>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::GET_VM, &[("id", self.id.as_str())])?;
            let request = exchange.raw.get_vm(&self.id);
            let answer = exchange.json(request).await?;
            Ok(crate::call::map_answer(answer, |vm| V::from_vm(exchange.client, vm)))
        }
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
/// Made by [`client.vms().delete`](fastvm_api::vms::Vms::delete); sends `DELETE /v1/vms/{id}` when awaited, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::DeleteResponse>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::DELETE_VM, &[("id", self.id.as_str())])?;
            let request = exchange.raw.delete_vm(&self.id);
            exchange.json(request).await
        }
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
/// Made by [`client.vms().update`](fastvm_api::vms::Vms::update); sends `PATCH /v1/vms/{id}` when awaited, and gives [`Vm`](fastvm_api::types::Vm). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<V>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::UPDATE_VM, &[("id", self.id.as_str())])?;
            let request = exchange.raw.update_vm(&self.id, &self.body);
            drop(self.body);
            let answer = exchange.json(request).await?;
            Ok(crate::call::map_answer(answer, |vm| V::from_vm(exchange.client, vm)))
        }
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
/// Made by [`client.vms().pause`](fastvm_api::vms::Vms::pause); sends `POST /v1/vms/{id}/pause` when awaited, and gives [`Vm`](fastvm_api::types::Vm). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<V>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::PAUSE_VM, &[("id", self.id.as_str())])?;
            let request = exchange.raw.pause_vm(&self.id);
            let answer = exchange.json(request).await?;
            Ok(crate::call::map_answer(answer, |vm| V::from_vm(exchange.client, vm)))
        }
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
/// Made by [`client.vms().resume`](fastvm_api::vms::Vms::resume); sends `POST /v1/vms/{id}/resume` when awaited, and gives [`Vm`](fastvm_api::types::Vm). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<V>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::RESUME_VM, &[("id", self.id.as_str())])?;
            let request = exchange.raw.resume_vm(&self.id);
            let answer = exchange.json(request).await?;
            Ok(crate::call::map_answer(answer, |vm| V::from_vm(exchange.client, vm)))
        }
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
/// Made by [`client.vms().refresh_ttl`](fastvm_api::vms::Vms::refresh_ttl); sends `POST /v1/vms/{id}/ttl/refresh` when awaited, and gives [`Vm`](fastvm_api::types::Vm). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<V>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::REFRESH_VM_TTL, &[("id", self.id.as_str())])?;
            let request = exchange.raw.refresh_vm_ttl(&self.id);
            let answer = exchange.json(request).await?;
            Ok(crate::call::map_answer(answer, |vm| V::from_vm(exchange.client, vm)))
        }
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
/// Made by [`client.vms().console_token`](fastvm_api::vms::Vms::console_token); sends `POST /v1/vms/{id}/console-token` when awaited, and gives [`ConsoleTokenResponse`](fastvm_api::types::ConsoleTokenResponse). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<
        Output = Result<ResponseValue<types::ConsoleTokenResponse>>,
    > + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::CREATE_CONSOLE_TOKEN, &[("id", self.id.as_str())])?;
            let request = exchange.raw.create_console_token(&self.id);
            exchange.json(request).await
        }
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
/// Made by [`client.vms().run`](fastvm_api::vms::Vms::run); sends `POST /v1/vms/{id}/exec` when awaited, and gives [`ExecVmResponse`](fastvm_api::types::ExecVmResponse). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::ExecVmResponse>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::EXEC_VM, &[("id", self.id.as_str())])?;
            let request = exchange.raw.exec_vm(&self.id, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Run {
    type Output = Result<types::ExecVmResponse>;
    type IntoFuture = Pending<types::ExecVmResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Run a command in a VM, and stream the answer.
///
/// Made by [`client.vms().stream`](fastvm_api::vms::Vms::stream); sends `POST /v1/vms/{id}/exec` when awaited, and gives the bytes of the answer as they come. `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<ByteStream>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::EXEC_VM_STREAM, &[("id", self.id.as_str())])?;
            let request = exchange.raw.exec_vm_stream(&self.id, &self.body);
            drop(self.body);
            exchange.stream(request).await
        }
    }
}

impl IntoFuture for Stream {
    type Output = Result<ByteStream>;
    type IntoFuture = Pending<ByteStream>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Replace a VM's firewall policy.
///
/// Made by [`client.vms().set_firewall`](fastvm_api::vms::Vms::set_firewall); sends `PUT /v1/vms/{id}/firewall` when awaited, and gives [`Vm`](fastvm_api::types::Vm). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<V>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::SET_VM_FIREWALL, &[("id", self.id.as_str())])?;
            let request = exchange.raw.set_vm_firewall(&self.id, &self.body);
            drop(self.body);
            let answer = exchange.json(request).await?;
            Ok(crate::call::map_answer(answer, |vm| V::from_vm(exchange.client, vm)))
        }
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
/// Made by [`client.vms().patch_firewall`](fastvm_api::vms::Vms::patch_firewall); sends `PATCH /v1/vms/{id}/firewall` when awaited, and gives [`Vm`](fastvm_api::types::Vm). `.send()` gives status and headers, too.
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
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<V>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::PATCH_VM_FIREWALL, &[("id", self.id.as_str())])?;
            let request = exchange.raw.patch_vm_firewall(&self.id, &self.body);
            drop(self.body);
            let answer = exchange.json(request).await?;
            Ok(crate::call::map_answer(answer, |vm| V::from_vm(exchange.client, vm)))
        }
    }
}

impl<V: FromVm> IntoFuture for PatchFirewall<V> {
    type Output = Result<V>;
    type IntoFuture = Pending<V>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
