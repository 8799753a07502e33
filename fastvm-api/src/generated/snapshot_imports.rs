// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on snapshot imports.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on snapshot imports: `client.snapshot_imports()`.
///
/// Turn an OCI image or a Dockerfile build into a snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotImports {
    client: Client,
}

impl SnapshotImports {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// List the snapshot imports of the org.
    ///
    /// Returns all imports of the caller's org in whatever state, newest first by
    /// `created_at`.
    ///
    /// Sends `GET /v1/snapshot-imports`, and gives a list of [`SnapshotImportResponse`](fastvm_api::types::SnapshotImportResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn list(&self) -> List {
        List::new(&self.client)
    }

    /// Import an image or a Dockerfile build as a snapshot.
    ///
    /// Starts an import, which makes a snapshot from one of two sources:
    ///
    /// - **Image**: an OCI image is pulled from its registry; `image` is required.
    /// - **Dockerfile**: an image is built from a context that was uploaded before;
    ///   `context_ref`, from [`client.snapshot_imports().presign_context`](fastvm_api::snapshot_imports::SnapshotImports::presign_context), is required.
    ///
    /// The import is asynchronous. It starts as `pending`: poll [`client.snapshot_imports().retrieve`](fastvm_api::snapshot_imports::SnapshotImports::retrieve) until
    /// `status` is `succeeded`, `failed` or `cancelled`. After a success, `snapshot_id` names a
    /// snapshot that is ready to be launched.
    ///
    /// Each request starts an import of its own, so a request whose answer was lost must not
    /// simply be sent again.
    ///
    /// See also [`SnapshotImports::build_image`](https://docs.rs/fastvm/latest/fastvm/struct.SnapshotImports.html#method.build_image) in the crate `fastvm`, which does more.
    ///
    /// - `source`: The image to pull or the Dockerfile to build.
    ///
    /// Optional, as methods of the builder: [`name`](Create::name), [`machine_type`](Create::machine_type), [`disk_gib`](Create::disk_gib).
    ///
    /// Sends `POST /v1/snapshot-imports`, and gives [`SnapshotImportResponse`](fastvm_api::types::SnapshotImportResponse). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `400`: The request is not valid, for instance because it mixes fields of the two kinds of
    ///   source.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// use fastvm_api::types::SnapshotImportSourceSpec;
    ///
    /// let source = SnapshotImportSourceSpec::new("image").image("python:3.13-slim");
    /// let import = client.snapshot_imports().create(source).machine_type("c1m2").await?;
    /// println!("{} is {}", import.id, import.status);
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(&self, source: types::SnapshotImportSourceSpec) -> Create {
        Create::new(&self.client, source)
    }

    /// Get a signed URL to upload a build context.
    ///
    /// Returns a signed URL for a build context, and the `context_ref` that names the upload.
    /// The steps of a Dockerfile import are:
    ///
    /// 1. Pack the build context as a ZIP archive.
    /// 2. PUT it to `upload_url` with `Content-Type: application/zip`, without an API key.
    /// 3. Call [`client.snapshot_imports().create`](fastvm_api::snapshot_imports::SnapshotImports::create) with a source of kind `dockerfile` and the `context_ref`.
    ///
    /// The body may be left out. With `size_bytes`, an archive that is too large is refused
    /// now and not only by the upload.
    ///
    /// See also [`SnapshotImports::build_dockerfile`](https://docs.rs/fastvm/latest/fastvm/struct.SnapshotImports.html#method.build_dockerfile) in the crate `fastvm`, which does more.
    ///
    /// Optional, as methods of the builder: [`size_bytes`](PresignContext::size_bytes).
    ///
    /// Sends `POST /v1/snapshot-imports/context-presign`, and gives [`ContextPresignResponse`](fastvm_api::types::ContextPresignResponse). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `400`: The request is not valid; in particular, `size_bytes` is beyond the limit of the
    ///   platform.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn presign_context(&self) -> PresignContext {
        PresignContext::new(&self.client)
    }

    /// Retrieve a snapshot import.
    ///
    /// Returns the import with its log of `events`. This is the call to poll until the import
    /// has finished.
    ///
    /// - `id`: Id of the import. Opaque; it looks like a UUID.
    ///
    /// Sends `GET /v1/snapshot-imports/{id}`, and gives [`SnapshotImportResponse`](fastvm_api::types::SnapshotImportResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn retrieve(&self, id: impl Into<String>) -> Retrieve {
        Retrieve::new(&self.client, id)
    }

    /// Delete a finished snapshot import and its snapshot.
    ///
    /// Removes the record of the import and the snapshot that it made. VMs that were launched
    /// from that snapshot live on.
    ///
    /// - `id`: Id of the import. Opaque; it looks like a UUID.
    ///
    /// Sends `DELETE /v1/snapshot-imports/{id}`, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `409`: The import has not finished. Cancel it with [`client.snapshot_imports().cancel`](fastvm_api::snapshot_imports::SnapshotImports::cancel) first, or wait
    ///   for it to end.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn delete(&self, id: impl Into<String>) -> Delete {
        Delete::new(&self.client, id)
    }

    /// Cancel a snapshot import.
    ///
    /// Ends the import in state `cancelled`. Stopping its worker and removing a snapshot that
    /// was made meanwhile are best effort.
    ///
    /// Cancelling an import that has finished changes nothing and returns it as it is.
    ///
    /// - `id`: Id of the import. Opaque; it looks like a UUID.
    ///
    /// Sends `POST /v1/snapshot-imports/{id}/cancel`, and gives [`SnapshotImportResponse`](fastvm_api::types::SnapshotImportResponse). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn cancel(&self, id: impl Into<String>) -> Cancel {
        Cancel::new(&self.client, id)
    }
}

/// List the snapshot imports of the org.
///
/// Made by [`client.snapshot_imports().list`](fastvm_api::snapshot_imports::SnapshotImports::list); sends `GET /v1/snapshot-imports` when awaited, and gives a list of [`SnapshotImportResponse`](fastvm_api::types::SnapshotImportResponse). `.send()` gives status and headers, too.
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
    ) -> impl Future<
        Output = Result<ResponseValue<Vec<types::SnapshotImportResponse>>>,
    > + Send {
        async move {
            let exchange = self.call.begin(&operations::LIST_SNAPSHOT_IMPORTS, &[])?;
            let request = exchange.raw.list_snapshot_imports();
            exchange.json(request).await
        }
    }
}

impl IntoFuture for List {
    type Output = Result<Vec<types::SnapshotImportResponse>>;
    type IntoFuture = Pending<Vec<types::SnapshotImportResponse>>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Import an image or a Dockerfile build as a snapshot.
///
/// Made by [`client.snapshot_imports().create`](fastvm_api::snapshot_imports::SnapshotImports::create); sends `POST /v1/snapshot-imports` when awaited, and gives [`SnapshotImportResponse`](fastvm_api::types::SnapshotImportResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Create {
    call: Call,
    body: types::CreateSnapshotImportRequest,
}

impl Create {
    pub(crate) fn new(client: &Client, source: types::SnapshotImportSourceSpec) -> Self {
        Self {
            call: Call::new(client),
            body: types::CreateSnapshotImportRequest::new(source),
        }
    }

    /// Display name of the import and of its snapshot. If it is left out, the id of the
    /// import.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.body.name = Some(name.into());
        self
    }

    /// Machine type that the snapshot is made for, such as `c1m2`.
    pub fn machine_type(mut self, machine_type: impl Into<String>) -> Self {
        self.body.machine_type = Some(machine_type.into());
        self
    }

    /// Size of the snapshot's disk in GiB. If it is left out, it follows from the machine
    /// type; as a rule it is 10 GiB.
    pub fn disk_gib(mut self, disk_gib: i64) -> Self {
        self.body.disk_gib = Some(disk_gib);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::CreateSnapshotImportRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<
        Output = Result<ResponseValue<types::SnapshotImportResponse>>,
    > + Send {
        async move {
            let exchange = self.call.begin(&operations::CREATE_SNAPSHOT_IMPORT, &[])?;
            let request = exchange.raw.create_snapshot_import(&self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Create {
    type Output = Result<types::SnapshotImportResponse>;
    type IntoFuture = Pending<types::SnapshotImportResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Get a signed URL to upload a build context.
///
/// Made by [`client.snapshot_imports().presign_context`](fastvm_api::snapshot_imports::SnapshotImports::presign_context); sends `POST /v1/snapshot-imports/context-presign` when awaited, and gives [`ContextPresignResponse`](fastvm_api::types::ContextPresignResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct PresignContext {
    call: Call,
    body: types::PresignContextRequest,
}

impl PresignContext {
    pub(crate) fn new(client: &Client) -> Self {
        Self {
            call: Call::new(client),
            body: types::PresignContextRequest::new(),
        }
    }

    /// Size of the archive in bytes. One that is beyond the limit of the platform is
    /// refused with 400; the signed URL enforces the same limit.
    pub fn size_bytes(mut self, size_bytes: i64) -> Self {
        self.body.size_bytes = Some(size_bytes);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::PresignContextRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<
        Output = Result<ResponseValue<types::ContextPresignResponse>>,
    > + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::PRESIGN_SNAPSHOT_IMPORT_CONTEXT, &[])?;
            let request = exchange.raw.presign_snapshot_import_context(&self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for PresignContext {
    type Output = Result<types::ContextPresignResponse>;
    type IntoFuture = Pending<types::ContextPresignResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Retrieve a snapshot import.
///
/// Made by [`client.snapshot_imports().retrieve`](fastvm_api::snapshot_imports::SnapshotImports::retrieve); sends `GET /v1/snapshot-imports/{id}` when awaited, and gives [`SnapshotImportResponse`](fastvm_api::types::SnapshotImportResponse). `.send()` gives status and headers, too.
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
    ) -> impl Future<
        Output = Result<ResponseValue<types::SnapshotImportResponse>>,
    > + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::GET_SNAPSHOT_IMPORT, &[("id", self.id.as_str())])?;
            let request = exchange.raw.get_snapshot_import(&self.id);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Retrieve {
    type Output = Result<types::SnapshotImportResponse>;
    type IntoFuture = Pending<types::SnapshotImportResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Delete a finished snapshot import and its snapshot.
///
/// Made by [`client.snapshot_imports().delete`](fastvm_api::snapshot_imports::SnapshotImports::delete); sends `DELETE /v1/snapshot-imports/{id}` when awaited, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). `.send()` gives status and headers, too.
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
                .begin(
                    &operations::DELETE_SNAPSHOT_IMPORT,
                    &[("id", self.id.as_str())],
                )?;
            let request = exchange.raw.delete_snapshot_import(&self.id);
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

/// Cancel a snapshot import.
///
/// Made by [`client.snapshot_imports().cancel`](fastvm_api::snapshot_imports::SnapshotImports::cancel); sends `POST /v1/snapshot-imports/{id}/cancel` when awaited, and gives [`SnapshotImportResponse`](fastvm_api::types::SnapshotImportResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Cancel {
    call: Call,
    id: String,
}

impl Cancel {
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
        Output = Result<ResponseValue<types::SnapshotImportResponse>>,
    > + Send {
        async move {
            let exchange = self
                .call
                .begin(
                    &operations::CANCEL_SNAPSHOT_IMPORT,
                    &[("id", self.id.as_str())],
                )?;
            let request = exchange.raw.cancel_snapshot_import(&self.id);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Cancel {
    type Output = Result<types::SnapshotImportResponse>;
    type IntoFuture = Pending<types::SnapshotImportResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
