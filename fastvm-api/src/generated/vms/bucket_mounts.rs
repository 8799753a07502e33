// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on bucket mounts.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on bucket mounts: `client.vms().bucket_mounts()`.
///
/// Mount a GCS or S3 bucket of your own into a VM.
#[derive(Clone, Debug)]
pub struct BucketMounts {
    client: Client,
}

impl BucketMounts {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// List the bucket mounts of a VM.
    ///
    /// Returns the bucket mounts of the VM, without their credentials.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    ///
    /// Sends `GET /v1/vms/{id}/bucket-mounts`, and gives a list of [`BucketMount`](fastvm_api::types::BucketMount). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn list(&self, id: impl Into<String>) -> List {
        List::new(&self.client, id)
    }

    /// Mount a bucket in a VM.
    ///
    /// Mounts a GCS or S3 bucket of your own, or a prefix of it, in the VM. The service keeps
    /// the credentials for the mount and never returns them.
    ///
    /// A request whose answer was lost must not simply be sent again: look at
    /// [`client.vms().bucket_mounts().list`](fastvm_api::vms::bucket_mounts::BucketMounts::list) first.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `bucket_uri`: The bucket, and optionally a prefix in it: `gs://<bucket>[/prefix]` for GCS or
    ///   `s3://<bucket>[/prefix]` for S3.
    /// - `mount_path`: Where to mount the bucket in the VM.
    /// - `credentials`: The login to the bucket.
    ///
    /// Optional, as methods of the builder: [`read_only`](Attach::read_only).
    ///
    /// Sends `POST /v1/vms/{id}/bucket-mounts`, and gives [`BucketMount`](fastvm_api::types::BucketMount). It is not safe to send twice: it is sent again only if it provably never left.
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
    /// use fastvm_api::types::{AwsCredentialsValue, BucketMountCredentials};
    ///
    /// let file = "[default]\naws_access_key_id = …\naws_secret_access_key = …\n";
    /// let login = BucketMountCredentials::AwsCredentials(AwsCredentialsValue::new(file));
    /// let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    /// client.vms().bucket_mounts().attach(id, "s3://models", "/mnt/models", login).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn attach(
        &self,
        id: impl Into<String>,
        bucket_uri: impl Into<String>,
        mount_path: impl Into<String>,
        credentials: types::BucketMountCredentials,
    ) -> Attach {
        Attach::new(&self.client, id, bucket_uri, mount_path, credentials)
    }

    /// Retrieve a bucket mount.
    ///
    /// Returns one bucket mount of the VM, without its credentials.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `bucket_mount_id`: Id of the bucket mount. Opaque; it looks like `bm_` and 22 lowercase hex digits.
    ///
    /// Sends `GET /v1/vms/{id}/bucket-mounts/{bucketMountId}`, and gives [`BucketMount`](fastvm_api::types::BucketMount). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn retrieve(
        &self,
        id: impl Into<String>,
        bucket_mount_id: impl Into<String>,
    ) -> Retrieve {
        Retrieve::new(&self.client, id, bucket_mount_id)
    }

    /// Unmount a bucket from a VM.
    ///
    /// Unmounts the bucket and removes the entry. The bucket itself is left alone. The answer
    /// has no body.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `bucket_mount_id`: Id of the bucket mount. Opaque; it looks like `bm_` and 22 lowercase hex digits.
    ///
    /// Sends `DELETE /v1/vms/{id}/bucket-mounts/{bucketMountId}`. It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn delete(
        &self,
        id: impl Into<String>,
        bucket_mount_id: impl Into<String>,
    ) -> Delete {
        Delete::new(&self.client, id, bucket_mount_id)
    }

    /// Rotate the credentials of a bucket mount.
    ///
    /// Stores new credentials in place of the old ones and logs the live mount in again with
    /// them. The mount stays in place; reads and writes stall for about 50 to 200 ms.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `bucket_mount_id`: Id of the bucket mount. Opaque; it looks like `bm_` and 22 lowercase hex digits.
    /// - `credentials`: The login to the bucket that replaces the present one.
    ///
    /// Sends `PATCH /v1/vms/{id}/bucket-mounts/{bucketMountId}`, and gives [`BucketMount`](fastvm_api::types::BucketMount). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `502`: The rotation did not work and was rolled back. If that failed too, `mount_status` of
    ///   the mount is `failed`.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn rotate(
        &self,
        id: impl Into<String>,
        bucket_mount_id: impl Into<String>,
        credentials: types::BucketMountCredentials,
    ) -> Rotate {
        Rotate::new(&self.client, id, bucket_mount_id, credentials)
    }
}

/// The calls on the bucket mounts of one VM: `vm.bucket_mounts()`.
#[derive(Clone, Debug)]
pub struct VmBucketMounts {
    client: Client,
    id: String,
}

impl VmBucketMounts {
    pub(crate) fn new(client: &Client, id: &str) -> Self {
        Self {
            client: client.clone(),
            id: id.to_owned(),
        }
    }

    /// List the bucket mounts of a VM.
    ///
    /// Returns the bucket mounts of the VM, without their credentials.
    ///
    /// Sends `GET /v1/vms/{id}/bucket-mounts`, and gives a list of [`BucketMount`](fastvm_api::types::BucketMount). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn list(&self) -> List {
        List::new(&self.client, &self.id)
    }

    /// Mount a bucket in a VM.
    ///
    /// Mounts a GCS or S3 bucket of your own, or a prefix of it, in the VM. The service keeps
    /// the credentials for the mount and never returns them.
    ///
    /// A request whose answer was lost must not simply be sent again: look at
    /// [`client.vms().bucket_mounts().list`](fastvm_api::vms::bucket_mounts::BucketMounts::list) first.
    ///
    /// - `bucket_uri`: The bucket, and optionally a prefix in it: `gs://<bucket>[/prefix]` for GCS or
    ///   `s3://<bucket>[/prefix]` for S3.
    /// - `mount_path`: Where to mount the bucket in the VM.
    /// - `credentials`: The login to the bucket.
    ///
    /// Optional, as methods of the builder: [`read_only`](Attach::read_only).
    ///
    /// Sends `POST /v1/vms/{id}/bucket-mounts`, and gives [`BucketMount`](fastvm_api::types::BucketMount). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn attach(
        &self,
        bucket_uri: impl Into<String>,
        mount_path: impl Into<String>,
        credentials: types::BucketMountCredentials,
    ) -> Attach {
        Attach::new(&self.client, &self.id, bucket_uri, mount_path, credentials)
    }

    /// Retrieve a bucket mount.
    ///
    /// Returns one bucket mount of the VM, without its credentials.
    ///
    /// - `bucket_mount_id`: Id of the bucket mount. Opaque; it looks like `bm_` and 22 lowercase hex digits.
    ///
    /// Sends `GET /v1/vms/{id}/bucket-mounts/{bucketMountId}`, and gives [`BucketMount`](fastvm_api::types::BucketMount). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn retrieve(&self, bucket_mount_id: impl Into<String>) -> Retrieve {
        Retrieve::new(&self.client, &self.id, bucket_mount_id)
    }

    /// Unmount a bucket from a VM.
    ///
    /// Unmounts the bucket and removes the entry. The bucket itself is left alone. The answer
    /// has no body.
    ///
    /// - `bucket_mount_id`: Id of the bucket mount. Opaque; it looks like `bm_` and 22 lowercase hex digits.
    ///
    /// Sends `DELETE /v1/vms/{id}/bucket-mounts/{bucketMountId}`. It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn delete(&self, bucket_mount_id: impl Into<String>) -> Delete {
        Delete::new(&self.client, &self.id, bucket_mount_id)
    }

    /// Rotate the credentials of a bucket mount.
    ///
    /// Stores new credentials in place of the old ones and logs the live mount in again with
    /// them. The mount stays in place; reads and writes stall for about 50 to 200 ms.
    ///
    /// - `bucket_mount_id`: Id of the bucket mount. Opaque; it looks like `bm_` and 22 lowercase hex digits.
    /// - `credentials`: The login to the bucket that replaces the present one.
    ///
    /// Sends `PATCH /v1/vms/{id}/bucket-mounts/{bucketMountId}`, and gives [`BucketMount`](fastvm_api::types::BucketMount). It is safe to send again.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    /// - `502`: The rotation did not work and was rolled back. If that failed too, `mount_status` of
    ///   the mount is `failed`.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn rotate(
        &self,
        bucket_mount_id: impl Into<String>,
        credentials: types::BucketMountCredentials,
    ) -> Rotate {
        Rotate::new(&self.client, &self.id, bucket_mount_id, credentials)
    }
}

/// List the bucket mounts of a VM.
///
/// Made by [`client.vms().bucket_mounts().list`](fastvm_api::vms::bucket_mounts::BucketMounts::list); sends `GET /v1/vms/{id}/bucket-mounts` when awaited, and gives a list of [`BucketMount`](fastvm_api::types::BucketMount). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct List {
    call: Call,
    id: String,
}

impl List {
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
    ) -> impl Future<Output = Result<ResponseValue<Vec<types::BucketMount>>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::LIST_BUCKET_MOUNTS, &[("id", self.id.as_str())])?;
            let request = exchange.raw.list_bucket_mounts(&self.id);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for List {
    type Output = Result<Vec<types::BucketMount>>;
    type IntoFuture = Pending<Vec<types::BucketMount>>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Mount a bucket in a VM.
///
/// Made by [`client.vms().bucket_mounts().attach`](fastvm_api::vms::bucket_mounts::BucketMounts::attach); sends `POST /v1/vms/{id}/bucket-mounts` when awaited, and gives [`BucketMount`](fastvm_api::types::BucketMount). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Attach {
    call: Call,
    id: String,
    body: types::AttachBucketMountRequest,
}

impl Attach {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        bucket_uri: impl Into<String>,
        mount_path: impl Into<String>,
        credentials: types::BucketMountCredentials,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::AttachBucketMountRequest::new(
                bucket_uri,
                mount_path,
                credentials,
            ),
        }
    }

    /// Whether the VM may only read the bucket.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.body.read_only = Some(read_only);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::AttachBucketMountRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::BucketMount>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::ATTACH_BUCKET_MOUNT, &[("id", self.id.as_str())])?;
            let request = exchange.raw.attach_bucket_mount(&self.id, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Attach {
    type Output = Result<types::BucketMount>;
    type IntoFuture = Pending<types::BucketMount>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Retrieve a bucket mount.
///
/// Made by [`client.vms().bucket_mounts().retrieve`](fastvm_api::vms::bucket_mounts::BucketMounts::retrieve); sends `GET /v1/vms/{id}/bucket-mounts/{bucketMountId}` when awaited, and gives [`BucketMount`](fastvm_api::types::BucketMount). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Retrieve {
    call: Call,
    id: String,
    bucket_mount_id: String,
}

impl Retrieve {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        bucket_mount_id: impl Into<String>,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            bucket_mount_id: bucket_mount_id.into(),
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::BucketMount>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(
                    &operations::GET_BUCKET_MOUNT,
                    &[
                        ("id", self.id.as_str()),
                        ("bucket_mount_id", self.bucket_mount_id.as_str()),
                    ],
                )?;
            let request = exchange.raw.get_bucket_mount(&self.id, &self.bucket_mount_id);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Retrieve {
    type Output = Result<types::BucketMount>;
    type IntoFuture = Pending<types::BucketMount>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Unmount a bucket from a VM.
///
/// Made by [`client.vms().bucket_mounts().delete`](fastvm_api::vms::bucket_mounts::BucketMounts::delete); sends `DELETE /v1/vms/{id}/bucket-mounts/{bucketMountId}` when awaited. `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Delete {
    call: Call,
    id: String,
    bucket_mount_id: String,
}

impl Delete {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        bucket_mount_id: impl Into<String>,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            bucket_mount_id: bucket_mount_id.into(),
        }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(self) -> impl Future<Output = Result<ResponseValue<()>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(
                    &operations::DELETE_BUCKET_MOUNT,
                    &[
                        ("id", self.id.as_str()),
                        ("bucket_mount_id", self.bucket_mount_id.as_str()),
                    ],
                )?;
            let request = exchange
                .raw
                .delete_bucket_mount(&self.id, &self.bucket_mount_id);
            exchange.empty(request).await
        }
    }
}

impl IntoFuture for Delete {
    type Output = Result<()>;
    type IntoFuture = Pending<()>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Rotate the credentials of a bucket mount.
///
/// Made by [`client.vms().bucket_mounts().rotate`](fastvm_api::vms::bucket_mounts::BucketMounts::rotate); sends `PATCH /v1/vms/{id}/bucket-mounts/{bucketMountId}` when awaited, and gives [`BucketMount`](fastvm_api::types::BucketMount). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Rotate {
    call: Call,
    id: String,
    bucket_mount_id: String,
    body: types::RotateBucketMountRequest,
}

impl Rotate {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        bucket_mount_id: impl Into<String>,
        credentials: types::BucketMountCredentials,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            bucket_mount_id: bucket_mount_id.into(),
            body: types::RotateBucketMountRequest::new(credentials),
        }
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::RotateBucketMountRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::BucketMount>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(
                    &operations::ROTATE_BUCKET_MOUNT,
                    &[
                        ("id", self.id.as_str()),
                        ("bucket_mount_id", self.bucket_mount_id.as_str()),
                    ],
                )?;
            let request = exchange
                .raw
                .rotate_bucket_mount(&self.id, &self.bucket_mount_id, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Rotate {
    type Output = Result<types::BucketMount>;
    type IntoFuture = Pending<types::BucketMount>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
