// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on volumes.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on volumes: `client.vms().volumes()`.
///
/// Storage that outlives VMs and can be shared between them.
#[derive(Clone, Debug)]
pub struct Volumes {
    client: Client,
}

impl Volumes {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// Attach a volume to a VM.
    ///
    /// Mounts a volume of the org in the VM. Several VMs can have the same volume attached.
    ///
    /// Only a volume in state `ready` can be attached; while it is still `creating` the call
    /// fails with the code `VOL_NOT_READY`. Just after the call `mount_status` can be
    /// `pending` for a moment.
    ///
    /// A request whose answer was lost must not simply be sent again: look at `volumes` of the
    /// VM first.
    ///
    /// See also [`Vm::attach_volume`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.attach_volume) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `volume_id`: Id of the volume. Opaque; it looks like `vol_` and 22 lowercase hex digits.
    /// - `mount_path`: Where to mount the volume in the VM: an absolute path below `/mnt/` or `/data/`.
    ///
    /// Optional, as methods of the builder: [`read_only`](Attach::read_only).
    ///
    /// Sends `POST /v1/vms/{id}/volumes`, and gives [`VolumeAttachmentItem`](fastvm_api::types::VolumeAttachmentItem). It is not safe to send twice: it is sent again only if it provably never left.
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
    /// let (id, volume) = ("0f8fad5b-d9cb-469f-a165-70867728950e", "vol_9a3c5e7f1b2d4c6e8f0a1b");
    /// let attached = client.vms().volumes().attach(id, volume, "/mnt/data").read_only(true).await?;
    /// println!("{}", attached.mount_status);
    /// # Ok(())
    /// # }
    /// ```
    pub fn attach(
        &self,
        id: impl Into<String>,
        volume_id: impl Into<String>,
        mount_path: impl Into<String>,
    ) -> Attach {
        Attach::new(&self.client, id, volume_id, mount_path)
    }

    /// Detach a volume from a VM.
    ///
    /// Unmounts the volume and ends the attachment; the volume and its data remain.
    ///
    /// If the VM does not confirm the unmount in time or does not respond, the detach is
    /// forced: it succeeds, and `warnings` says why.
    ///
    /// If the mount is in use, the call fails with 502 and the code `guest_umount_busy`, and
    /// the volume stays attached. End the processes that use it, then try again; waiting
    /// alone seldom helps.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `volume_id`: Id of the attached volume. Opaque; it looks like `vol_` and 22 lowercase hex
    ///   digits.
    ///
    /// Sends `DELETE /v1/vms/{id}/volumes/{volumeId}`, and gives [`DetachVolumeResponse`](fastvm_api::types::DetachVolumeResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `502`: The mount is in use (`error` is `guest_umount_busy`), and the volume stays
    ///   attached.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn detach(&self, id: impl Into<String>, volume_id: impl Into<String>) -> Detach {
        Detach::new(&self.client, id, volume_id)
    }
}

/// The calls on the volumes of one VM: `vm.volumes()`.
#[derive(Clone, Debug)]
pub struct VmVolumes {
    client: Client,
    id: String,
}

impl VmVolumes {
    pub(crate) fn new(client: &Client, id: &str) -> Self {
        Self {
            client: client.clone(),
            id: id.to_owned(),
        }
    }

    /// Attach a volume to a VM.
    ///
    /// Mounts a volume of the org in the VM. Several VMs can have the same volume attached.
    ///
    /// Only a volume in state `ready` can be attached; while it is still `creating` the call
    /// fails with the code `VOL_NOT_READY`. Just after the call `mount_status` can be
    /// `pending` for a moment.
    ///
    /// A request whose answer was lost must not simply be sent again: look at `volumes` of the
    /// VM first.
    ///
    /// See also [`Vm::attach_volume`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.attach_volume) in the crate `fastvm`, which does more.
    ///
    /// - `volume_id`: Id of the volume. Opaque; it looks like `vol_` and 22 lowercase hex digits.
    /// - `mount_path`: Where to mount the volume in the VM: an absolute path below `/mnt/` or `/data/`.
    ///
    /// Optional, as methods of the builder: [`read_only`](Attach::read_only).
    ///
    /// Sends `POST /v1/vms/{id}/volumes`, and gives [`VolumeAttachmentItem`](fastvm_api::types::VolumeAttachmentItem). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn attach(
        &self,
        volume_id: impl Into<String>,
        mount_path: impl Into<String>,
    ) -> Attach {
        Attach::new(&self.client, &self.id, volume_id, mount_path)
    }

    /// Detach a volume from a VM.
    ///
    /// Unmounts the volume and ends the attachment; the volume and its data remain.
    ///
    /// If the VM does not confirm the unmount in time or does not respond, the detach is
    /// forced: it succeeds, and `warnings` says why.
    ///
    /// If the mount is in use, the call fails with 502 and the code `guest_umount_busy`, and
    /// the volume stays attached. End the processes that use it, then try again; waiting
    /// alone seldom helps.
    ///
    /// - `volume_id`: Id of the attached volume. Opaque; it looks like `vol_` and 22 lowercase hex
    ///   digits.
    ///
    /// Sends `DELETE /v1/vms/{id}/volumes/{volumeId}`, and gives [`DetachVolumeResponse`](fastvm_api::types::DetachVolumeResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `502`: The mount is in use (`error` is `guest_umount_busy`), and the volume stays
    ///   attached.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn detach(&self, volume_id: impl Into<String>) -> Detach {
        Detach::new(&self.client, &self.id, volume_id)
    }
}

/// Attach a volume to a VM.
///
/// Made by [`client.vms().volumes().attach`](fastvm_api::vms::volumes::Volumes::attach); sends `POST /v1/vms/{id}/volumes` when awaited, and gives [`VolumeAttachmentItem`](fastvm_api::types::VolumeAttachmentItem). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Attach {
    call: Call,
    id: String,
    body: types::AttachVolumeRequest,
}

impl Attach {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        volume_id: impl Into<String>,
        mount_path: impl Into<String>,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::AttachVolumeRequest::new(volume_id, mount_path),
        }
    }

    /// Whether this VM may only read the volume.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.body.read_only = Some(read_only);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::AttachVolumeRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<
        Output = Result<ResponseValue<types::VolumeAttachmentItem>>,
    > + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::ATTACH_VOLUME, &[("id", self.id.as_str())])?;
            let request = exchange.raw.attach_volume(&self.id, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Attach {
    type Output = Result<types::VolumeAttachmentItem>;
    type IntoFuture = Pending<types::VolumeAttachmentItem>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Detach a volume from a VM.
///
/// Made by [`client.vms().volumes().detach`](fastvm_api::vms::volumes::Volumes::detach); sends `DELETE /v1/vms/{id}/volumes/{volumeId}` when awaited, and gives [`DetachVolumeResponse`](fastvm_api::types::DetachVolumeResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Detach {
    call: Call,
    id: String,
    volume_id: String,
}

impl Detach {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        volume_id: impl Into<String>,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            volume_id: volume_id.into(),
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<
        Output = Result<ResponseValue<types::DetachVolumeResponse>>,
    > + Send {
        async move {
            let exchange = self
                .call
                .begin(
                    &operations::DETACH_VOLUME,
                    &[("id", self.id.as_str()), ("volume_id", self.volume_id.as_str())],
                )?;
            let request = exchange.raw.detach_volume(&self.id, &self.volume_id);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Detach {
    type Output = Result<types::DetachVolumeResponse>;
    type IntoFuture = Pending<types::DetachVolumeResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
