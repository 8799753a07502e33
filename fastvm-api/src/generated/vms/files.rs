// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on files.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on files: `client.vms().files()`.
///
/// Move files into and out of a VM by way of signed storage URLs.
#[derive(Clone, Debug)]
pub struct Files {
    client: Client,
}

impl Files {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// Get signed URLs to move a file into or out of a VM.
    ///
    /// Returns two short-lived URLs for one staging object of this VM, one to PUT it and one
    /// to GET it. They serve both directions:
    ///
    /// - **Upload**: the client PUTs the bytes to `upload_url`, then [`client.vms().files().fetch`](fastvm_api::vms::files::Files::fetch) has the
    ///   VM load them from `download_url`.
    /// - **Download**: a command in the VM PUTs the bytes to `upload_url`, then the client
    ///   GETs `download_url`.
    ///
    /// The URLs carry their own authority: send no API key with them, and keep them secret
    /// as long as they live. A file must not be larger than `max_upload_bytes`.
    ///
    /// See also [`Vm::download`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.download) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `path`: Path of the file that is to be moved. It only scopes the staging object; any text
    ///   is accepted.
    ///
    /// Sends `POST /v1/vms/{id}/files/presign`, and gives [`FilePresignResponse`](fastvm_api::types::FilePresignResponse). It is not safe to send twice: it is sent again only if it provably never left.
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
    /// let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    /// let urls = client.vms().files().presign(id, "/root/data.csv").await?;
    /// println!("{} bytes at most", urls.max_upload_bytes);
    /// # Ok(())
    /// # }
    /// ```
    pub fn presign(&self, id: impl Into<String>, path: impl Into<String>) -> Presign {
        Presign::new(&self.client, id, path)
    }

    /// Load a staged file into a VM.
    ///
    /// Makes the VM download the staging object behind a `download_url` of [`client.vms().files().presign`](fastvm_api::vms::files::Files::presign) to a
    /// path in its file system. This is the second half of an upload.
    ///
    /// The answer has the form of a command's result and describes the download and the
    /// unpacking inside the VM: look at `exit_code`, since a download that failed is a success
    /// of this call.
    ///
    /// The call is not idempotent. After an error the file may have been written.
    ///
    /// See also [`Vm::upload`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.upload) in the crate `fastvm`, which does more.
    ///
    /// - `id`: Id of the VM. Opaque; it looks like a UUID.
    /// - `url`: A `download_url` from [`client.vms().files().presign`](fastvm_api::vms::files::Files::presign). Other URLs are refused.
    /// - `path`: Where to put the file in the VM; an absolute path.
    ///
    /// Optional, as methods of the builder: [`timeout_sec`](Fetch::timeout_sec).
    ///
    /// Sends `POST /v1/vms/{id}/files/fetch`, and gives [`ExecVmResponse`](fastvm_api::types::ExecVmResponse). It is not safe to send twice: it is sent again only if it provably never left. The client's request timeout does not apply.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn fetch(
        &self,
        id: impl Into<String>,
        url: impl Into<String>,
        path: impl Into<String>,
    ) -> Fetch {
        Fetch::new(&self.client, id, url, path)
    }
}

/// The calls on the files of one VM: `vm.files()`.
#[derive(Clone, Debug)]
pub struct VmFiles {
    client: Client,
    id: String,
}

impl VmFiles {
    pub(crate) fn new(client: &Client, id: &str) -> Self {
        Self {
            client: client.clone(),
            id: id.to_owned(),
        }
    }

    /// Get signed URLs to move a file into or out of a VM.
    ///
    /// Returns two short-lived URLs for one staging object of this VM, one to PUT it and one
    /// to GET it. They serve both directions:
    ///
    /// - **Upload**: the client PUTs the bytes to `upload_url`, then [`client.vms().files().fetch`](fastvm_api::vms::files::Files::fetch) has the
    ///   VM load them from `download_url`.
    /// - **Download**: a command in the VM PUTs the bytes to `upload_url`, then the client
    ///   GETs `download_url`.
    ///
    /// The URLs carry their own authority: send no API key with them, and keep them secret
    /// as long as they live. A file must not be larger than `max_upload_bytes`.
    ///
    /// See also [`Vm::download`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.download) in the crate `fastvm`, which does more.
    ///
    /// - `path`: Path of the file that is to be moved. It only scopes the staging object; any text
    ///   is accepted.
    ///
    /// Sends `POST /v1/vms/{id}/files/presign`, and gives [`FilePresignResponse`](fastvm_api::types::FilePresignResponse). It is not safe to send twice: it is sent again only if it provably never left.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn presign(&self, path: impl Into<String>) -> Presign {
        Presign::new(&self.client, &self.id, path)
    }

    /// Load a staged file into a VM.
    ///
    /// Makes the VM download the staging object behind a `download_url` of [`client.vms().files().presign`](fastvm_api::vms::files::Files::presign) to a
    /// path in its file system. This is the second half of an upload.
    ///
    /// The answer has the form of a command's result and describes the download and the
    /// unpacking inside the VM: look at `exit_code`, since a download that failed is a success
    /// of this call.
    ///
    /// The call is not idempotent. After an error the file may have been written.
    ///
    /// See also [`Vm::upload`](https://docs.rs/fastvm/latest/fastvm/struct.Vm.html#method.upload) in the crate `fastvm`, which does more.
    ///
    /// - `url`: A `download_url` from [`client.vms().files().presign`](fastvm_api::vms::files::Files::presign). Other URLs are refused.
    /// - `path`: Where to put the file in the VM; an absolute path.
    ///
    /// Optional, as methods of the builder: [`timeout_sec`](Fetch::timeout_sec).
    ///
    /// Sends `POST /v1/vms/{id}/files/fetch`, and gives [`ExecVmResponse`](fastvm_api::types::ExecVmResponse). It is not safe to send twice: it is sent again only if it provably never left. The client's request timeout does not apply.
    ///
    /// # Errors
    ///
    /// - `404`: There is no such resource, or it belongs to another org.
    ///
    /// What else can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    pub fn fetch(&self, url: impl Into<String>, path: impl Into<String>) -> Fetch {
        Fetch::new(&self.client, &self.id, url, path)
    }
}

/// Get signed URLs to move a file into or out of a VM.
///
/// Made by [`client.vms().files().presign`](fastvm_api::vms::files::Files::presign); sends `POST /v1/vms/{id}/files/presign` when awaited, and gives [`FilePresignResponse`](fastvm_api::types::FilePresignResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Presign {
    call: Call,
    id: String,
    body: types::PresignFileRequest,
}

impl Presign {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        path: impl Into<String>,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::PresignFileRequest::new(path),
        }
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::PresignFileRequest) -> Self {
        self.body = body;
        self
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::FilePresignResponse>>> + Send {
        async move {
            let exchange = self
                .call
                .begin(&operations::PRESIGN_FILE, &[("id", self.id.as_str())])?;
            let request = exchange.raw.presign_file(&self.id, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Presign {
    type Output = Result<types::FilePresignResponse>;
    type IntoFuture = Pending<types::FilePresignResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

/// Load a staged file into a VM.
///
/// Made by [`client.vms().files().fetch`](fastvm_api::vms::files::Files::fetch); sends `POST /v1/vms/{id}/files/fetch` when awaited, and gives [`ExecVmResponse`](fastvm_api::types::ExecVmResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Fetch {
    call: Call,
    id: String,
    body: types::FetchFileRequest,
}

impl Fetch {
    pub(crate) fn new(
        client: &Client,
        id: impl Into<String>,
        url: impl Into<String>,
        path: impl Into<String>,
    ) -> Self {
        Self {
            call: Call::new(client),
            id: id.into(),
            body: types::FetchFileRequest::new(url, path),
        }
    }

    /// How long this download may take, in seconds.
    pub fn timeout_sec(mut self, timeout_sec: i64) -> Self {
        self.body.timeout_sec = Some(timeout_sec);
        self
    }

    /// Sets the whole body of the request, in place of all fields set so far.
    pub fn body(mut self, body: types::FetchFileRequest) -> Self {
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
                .begin(&operations::FETCH_FILE_TO_VM, &[("id", self.id.as_str())])?;
            let request = exchange.raw.fetch_file_to_vm(&self.id, &self.body);
            drop(self.body);
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Fetch {
    type Output = Result<types::ExecVmResponse>;
    type IntoFuture = Pending<types::ExecVmResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
