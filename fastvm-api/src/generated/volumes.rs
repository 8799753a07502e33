// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on volumes.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on volumes: `client.volumes()`.
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

    /// List the volumes of the org.
    ///
    /// Returns all volumes of the caller's org.
    ///
    /// Sends `GET /v1/volumes`, and gives a list of [`Volume`](fastvm_api::types::Volume). It is safe to send again.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn list(&self) -> List {
        List::new(&self.client)
    }

    /// Create a volume.
    ///
    /// Creates a volume in the caller's org. It can still be `creating` in the answer; poll
    /// [`client.volumes().retrieve`](fastvm_api::volumes::Volumes::retrieve) until it is `ready` before attaching it.
    ///
    /// Each request makes a volume of its own, so a request whose answer was lost must not
    /// simply be sent again.
    ///
    /// See also [`Volumes::create`](https://docs.rs/fastvm/latest/fastvm/struct.Volumes.html#method.create) in the crate `fastvm`, which does more.
    ///
    /// - `name`: Display name.
    /// - `size_gib`: Size in GiB.
    /// - `access_mode`: What attachments may do with the volume.
    ///
    /// Sends `POST /v1/volumes`, and gives [`Volume`](fastvm_api::types::Volume). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// use fastvm_api::types::AccessMode;
    ///
    /// let volume = client.volumes().create("data", 10, AccessMode::Rw).await?;
    /// println!("{} is {}", volume.id, volume.status);
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(
        &self,
        name: impl Into<String>,
        size_gib: i64,
        access_mode: impl Into<types::AccessMode>,
    ) -> Create {
        Create::new(&self.client, name, size_gib, access_mode)
    }

    /// Retrieve a volume.
    ///
    /// Returns the volume as it is now. This is the call to poll after [`client.volumes().create`](fastvm_api::volumes::Volumes::create), and
    /// after a change of size.
    ///
    /// See also [`Volumes::wait_until_ready`](https://docs.rs/fastvm/latest/fastvm/struct.Volumes.html#method.wait_until_ready) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the volume. Opaque; it looks like `vol_` and 22 lowercase hex digits.
    ///
    /// Sends `GET /v1/volumes/{id}`, and gives [`Volume`](fastvm_api::types::Volume). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn retrieve(&self, id: impl Into<String>) -> Retrieve {
        Retrieve::new(&self.client, id)
    }

    /// Delete a volume.
    ///
    /// Marks the volume as `deleting` and answers. Its data is cleaned up afterwards, within
    /// seconds to minutes; then the volume can no longer be retrieved.
    ///
    /// - `id`: Id of the volume. Opaque; it looks like `vol_` and 22 lowercase hex digits.
    ///
    /// Sends `DELETE /v1/volumes/{id}`, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn delete(&self, id: impl Into<String>) -> Delete {
        Delete::new(&self.client, id)
    }

    /// Change a volume's name, size or access mode.
    ///
    /// Changes the fields that are present and keeps the others.
    ///
    /// A volume can always grow. It can shrink only to a size that its data still fits in.
    /// While a change of size is under way, `pending_size_gib` holds the new size and `size_gib`
    /// the old one.
    ///
    /// See also [`Volumes::update`](https://docs.rs/fastvm/latest/fastvm/struct.Volumes.html#method.update) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the volume. Opaque; it looks like `vol_` and 22 lowercase hex digits.
    ///
    /// Optional, as methods of the builder: [`name`](Update::name), [`size_gib`](Update::size_gib), [`access_mode`](Update::access_mode).
    ///
    /// Sends `PATCH /v1/volumes/{id}`, and gives [`Volume`](fastvm_api::types::Volume). It is safe to send again.
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
    /// let volume = client.volumes().update("vol_9a3c5e7f1b2d4c6e8f0a1b").size_gib(20).await?;
    /// println!("{} GiB, to be {:?}", volume.size_gib, volume.pending_size_gib);
    /// # Ok(())
    /// # }
    /// ```
    pub fn update(&self, id: impl Into<String>) -> Update {
        Update::new(&self.client, id)
    }

    /// List the VMs a volume is attached to.
    ///
    /// Returns the present attachments of the volume, each with the id of its VM.
    ///
    /// - `id`: Id of the volume. Opaque; it looks like `vol_` and 22 lowercase hex digits.
    ///
    /// Sends `GET /v1/volumes/{id}/attachments`, and gives a list of [`VolumeAttachmentItemWithVm`](fastvm_api::types::VolumeAttachmentItemWithVm). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn list_attachments(&self, id: impl Into<String>) -> ListAttachments {
        ListAttachments::new(&self.client, id)
    }
}

/// List the volumes of the org.
///
/// Made by [`client.volumes().list`](fastvm_api::volumes::Volumes::list); sends `GET /v1/volumes` when awaited, and gives a list of [`Volume`](fastvm_api::types::Volume). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct List {
    call: Call,
}

impl List {
    pub(crate) fn new(client: &Client) -> Self {
        Self { call: Call::new(client) }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<Vec<types::Volume>>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::LIST_VOLUMES, &[])?;
            let request = exchange.raw.list_volumes();
            exchange.json(request).await
        }
    }
}

impl IntoFuture for List {
    type Output = Result<Vec<types::Volume>>;
    type IntoFuture = Pending<Vec<types::Volume>>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Create a volume.
///
/// Made by [`client.volumes().create`](fastvm_api::volumes::Volumes::create); sends `POST /v1/volumes` when awaited, and gives [`Volume`](fastvm_api::types::Volume). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Create {
    call: Call,
    body: types::CreateVolumeRequest,
}

impl Create {
    pub(crate) fn new(
        client: &Client,
        name: impl Into<String>,
        size_gib: i64,
        access_mode: impl Into<types::AccessMode>,
    ) -> Self {
        Self {
            call: Call::new(client),
            body: types::CreateVolumeRequest::new(name, size_gib, access_mode),
        }
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::CreateVolumeRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::Volume>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::CREATE_VOLUME, &[])?;
            let request = exchange.raw.create_volume(&self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Create {
    type Output = Result<types::Volume>;
    type IntoFuture = Pending<types::Volume>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Retrieve a volume.
///
/// Made by [`client.volumes().retrieve`](fastvm_api::volumes::Volumes::retrieve); sends `GET /v1/volumes/{id}` when awaited, and gives [`Volume`](fastvm_api::types::Volume). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Retrieve {
    call: Call,
    id: String,
}

impl Retrieve {
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
    ) -> impl Future<Output = Result<ResponseValue<types::Volume>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::GET_VOLUME, &[("id", self.id.as_str())])?;
            let request = exchange.raw.get_volume(&self.id);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Retrieve {
    type Output = Result<types::Volume>;
    type IntoFuture = Pending<types::Volume>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Delete a volume.
///
/// Made by [`client.volumes().delete`](fastvm_api::volumes::Volumes::delete); sends `DELETE /v1/volumes/{id}` when awaited, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). `.send()` gives status and headers, too.
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
                .begin(&operations::DELETE_VOLUME, &[("id", self.id.as_str())])?;
            let request = exchange.raw.delete_volume(&self.id);
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

/// Change a volume's name, size or access mode.
///
/// Made by [`client.volumes().update`](fastvm_api::volumes::Volumes::update); sends `PATCH /v1/volumes/{id}` when awaited, and gives [`Volume`](fastvm_api::types::Volume). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Update {
    call: Call,
    id: String,
    body: types::UpdateVolumeRequest,
}

impl Update {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::UpdateVolumeRequest::new(),
        }
    }

    /// New display name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.body.name = Some(name.into());
        self
    }

    /// New size in GiB. A smaller one is possible only if the data still fits.
    pub fn size_gib(mut self, size_gib: i64) -> Self {
        self.body.size_gib = Some(size_gib);
        self
    }

    /// What attachments may do with the volume from now on.
    pub fn access_mode(mut self, access_mode: impl Into<types::AccessMode>) -> Self {
        self.body.access_mode = Some(access_mode.into());
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::UpdateVolumeRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::Volume>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::UPDATE_VOLUME, &[("id", self.id.as_str())])?;
            let request = exchange.raw.update_volume(&self.id, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Update {
    type Output = Result<types::Volume>;
    type IntoFuture = Pending<types::Volume>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// List the VMs a volume is attached to.
///
/// Made by [`client.volumes().list_attachments`](fastvm_api::volumes::Volumes::list_attachments); sends `GET /v1/volumes/{id}/attachments` when awaited, and gives a list of [`VolumeAttachmentItemWithVm`](fastvm_api::types::VolumeAttachmentItemWithVm). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct ListAttachments {
    call: Call,
    id: String,
}

impl ListAttachments {
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
        Output = Result<ResponseValue<Vec<types::VolumeAttachmentItemWithVm>>>,
    > + Send {
        async move {
            let exchange = self
                .call
                .begin(
                    &operations::LIST_VOLUME_ATTACHMENTS,
                    &[("id", self.id.as_str())],
                )?;
            let request = exchange.raw.list_volume_attachments(&self.id);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for ListAttachments {
    type Output = Result<Vec<types::VolumeAttachmentItemWithVm>>;
    type IntoFuture = Pending<Vec<types::VolumeAttachmentItemWithVm>>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
