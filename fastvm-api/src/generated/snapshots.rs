// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on snapshots.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on snapshots: `client.snapshots()`.
///
/// Captured VM state, from which new VMs are launched.
#[derive(Clone, Debug)]
pub struct Snapshots {
    client: Client,
}

impl Snapshots {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// List the snapshots of the org.
    ///
    /// Returns the snapshots of the caller's org. With `metadata` entries, only snapshots that
    /// have all of these labels.
    ///
    /// Optional, as methods of the builder: [`metadata`](List::metadata).
    ///
    /// Sends `GET /v1/snapshots`, and gives a list of [`Snapshot`](fastvm_api::types::Snapshot). It is safe to send again.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn list(&self) -> List {
        List::new(&self.client)
    }

    /// Take a snapshot of a VM.
    ///
    /// Captures the state of a VM, so that [`client.vms().launch`](fastvm_api::vms::Vms::launch) can start new VMs from it. The VM must
    /// be `running` or `paused`.
    ///
    /// A paused VM is captured once per pause: a further call during the same pause returns
    /// the first snapshot unchanged. A request for a running VM whose answer was lost must not
    /// simply be sent again: it could take a second snapshot.
    ///
    /// See also [`Vm::snapshot`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.snapshot) in the crate `fastvm`, which does more.
    ///
    /// - `vm_id`: Id of the VM, which must be `running` or `paused`.
    ///
    /// Optional, as methods of the builder: [`name`](Create::name).
    ///
    /// Sends `POST /v1/snapshots`, and gives [`Snapshot`](fastvm_api::types::Snapshot). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let vm_id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    /// let snapshot = client.snapshots().create(vm_id).name("after-setup").await?;
    /// println!("{} is {}", snapshot.id, snapshot.status);
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(&self, vm_id: impl Into<String>) -> Create {
        Create::new(&self.client, vm_id)
    }

    /// Retrieve a snapshot.
    ///
    /// Returns a snapshot of the caller's org.
    ///
    /// - `id`: Id of the snapshot. Opaque; it starts with `snp_`.
    ///
    /// Sends `GET /v1/snapshots/{id}`, and gives [`Snapshot`](fastvm_api::types::Snapshot). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn retrieve(&self, id: impl Into<String>) -> Retrieve {
        Retrieve::new(&self.client, id)
    }

    /// Delete a snapshot.
    ///
    /// Removes the snapshot. No further VM can be launched from it.
    ///
    /// - `id`: Id of the snapshot. Opaque; it starts with `snp_`.
    ///
    /// Sends `DELETE /v1/snapshots/{id}`, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn delete(&self, id: impl Into<String>) -> Delete {
        Delete::new(&self.client, id)
    }

    /// Rename a snapshot.
    ///
    /// Changes the name of the snapshot. Nothing else about it can be changed.
    ///
    /// - `id`: Id of the snapshot. Opaque; it starts with `snp_`.
    ///
    /// Optional, as methods of the builder: [`name`](Update::name).
    ///
    /// Sends `PATCH /v1/snapshots/{id}`, and gives [`Snapshot`](fastvm_api::types::Snapshot). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn update(&self, id: impl Into<String>) -> Update {
        Update::new(&self.client, id)
    }
}

/// List the snapshots of the org.
///
/// Made by [`client.snapshots().list`](fastvm_api::snapshots::Snapshots::list); sends `GET /v1/snapshots` when awaited, and gives a list of [`Snapshot`](fastvm_api::types::Snapshot). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct List {
    call: Call,
    metadata: Option<std::collections::BTreeMap<String, String>>,
}

impl List {
    pub(crate) fn new(client: &Client) -> Self {
        Self {
            call: Call::new(client),
            metadata: None,
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

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<Vec<types::Snapshot>>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::LIST_SNAPSHOTS, &[])?;
            let request = exchange.raw.list_snapshots(self.metadata.as_ref());
            exchange.json(request).await
        }
    }
}

impl IntoFuture for List {
    type Output = Result<Vec<types::Snapshot>>;
    type IntoFuture = Pending<Vec<types::Snapshot>>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Take a snapshot of a VM.
///
/// Made by [`client.snapshots().create`](fastvm_api::snapshots::Snapshots::create); sends `POST /v1/snapshots` when awaited, and gives [`Snapshot`](fastvm_api::types::Snapshot). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Create {
    call: Call,
    body: types::CreateSnapshotRequest,
}

impl Create {
    pub(crate) fn new(client: &Client, vm_id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            body: types::CreateSnapshotRequest::new(vm_id),
        }
    }

    /// Display name. White space is trimmed and each run of it becomes one space, then
    /// the name is cut to 64 Unicode code points. If it is left out or empty, the name is
    /// `snapshot-` and the first 8 characters of the VM's id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.body.name = Some(name.into());
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::CreateSnapshotRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::Snapshot>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::CREATE_SNAPSHOT, &[])?;
            let request = exchange.raw.create_snapshot(&self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Create {
    type Output = Result<types::Snapshot>;
    type IntoFuture = Pending<types::Snapshot>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Retrieve a snapshot.
///
/// Made by [`client.snapshots().retrieve`](fastvm_api::snapshots::Snapshots::retrieve); sends `GET /v1/snapshots/{id}` when awaited, and gives [`Snapshot`](fastvm_api::types::Snapshot). `.send()` gives status and headers, too.
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
    ) -> impl Future<Output = Result<ResponseValue<types::Snapshot>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::GET_SNAPSHOT, &[("id", self.id.as_str())])?;
            let request = exchange.raw.get_snapshot(&self.id);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Retrieve {
    type Output = Result<types::Snapshot>;
    type IntoFuture = Pending<types::Snapshot>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Delete a snapshot.
///
/// Made by [`client.snapshots().delete`](fastvm_api::snapshots::Snapshots::delete); sends `DELETE /v1/snapshots/{id}` when awaited, and gives [`DeleteResponse`](fastvm_api::types::DeleteResponse). `.send()` gives status and headers, too.
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
                .begin(&operations::DELETE_SNAPSHOT, &[("id", self.id.as_str())])?;
            let request = exchange.raw.delete_snapshot(&self.id);
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

/// Rename a snapshot.
///
/// Made by [`client.snapshots().update`](fastvm_api::snapshots::Snapshots::update); sends `PATCH /v1/snapshots/{id}` when awaited, and gives [`Snapshot`](fastvm_api::types::Snapshot). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Update {
    call: Call,
    id: String,
    body: types::UpdateSnapshotRequest,
}

impl Update {
    pub(crate) fn new(client: &Client, id: impl Into<String>) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::UpdateSnapshotRequest::new(),
        }
    }

    /// New display name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.body.name = Some(name.into());
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::UpdateSnapshotRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::Snapshot>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::UPDATE_SNAPSHOT, &[("id", self.id.as_str())])?;
            let request = exchange.raw.update_snapshot(&self.id, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Update {
    type Output = Result<types::Snapshot>;
    type IntoFuture = Pending<types::Snapshot>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
