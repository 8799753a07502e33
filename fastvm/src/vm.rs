//! The handle on a VM.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use fastvm_api::types::{AttachmentWarnings, SnapshotRestoreWarnings};
use fastvm_api::vms::{FromVm, VmHandle};
use fastvm_api::{Client, types};
use tokio::io::AsyncWrite;

use crate::exec::{CommandLine, Run};
use crate::guard::VmGuard;
use crate::lease::TakeLease;
use crate::stream::Stream;
use crate::transfer::{Download, DownloadBytes, DownloadTo, Upload};

/// A VM to act on.
///
/// Derefs to the generated [`VmHandle`], which has every operation below `/v1/vms/{id}`
/// (`vm.pause()`, `vm.services().list()`, `vm.delete()`), and through it to the VM as last answered:
/// `vm.id`, `vm.status`. Operations that answer a VM give a new handle; this one stays as it is.
/// Dropping a handle leaves the VM: [`into_guard`](Self::into_guard) and [`lease`](Self::lease) are
/// for those that shall not be left.
#[derive(Clone, Debug)]
pub struct Vm {
    handle: VmHandle<Vm>,
    /// Apart: most have none, and a list of handles is long.
    warnings: Option<Box<Warnings>>,
}

/// What went wrong with a launch whose VM runs all the same.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Warnings {
    /// Volumes and bucket mounts that could not be attached.
    pub attachments: Option<AttachmentWarnings>,
    /// Services that could not be registered again after a restore.
    pub snapshot_restore: Option<SnapshotRestoreWarnings>,
}

static NO_WARNINGS: Warnings = Warnings {
    attachments: None,
    snapshot_restore: None,
};

impl Warnings {
    /// Whether all went well.
    pub fn is_empty(&self) -> bool {
        self.attachments.is_none() && self.snapshot_restore.is_none()
    }
}

impl Vm {
    pub(crate) fn new(api: &Client, vm: types::Vm) -> Self {
        Self {
            handle: VmHandle::new(api, vm),
            warnings: None,
        }
    }

    pub(crate) fn with_warnings(mut self, warnings: Warnings) -> Self {
        self.warnings = (!warnings.is_empty()).then(|| Box::new(warnings));
        self
    }

    /// What the launch or restore that made this handle warned of; empty otherwise.
    pub fn warnings(&self) -> &Warnings {
        self.warnings.as_deref().unwrap_or(&NO_WARNINGS)
    }

    /// Ties the VM to a scope: it is deleted when the guard is closed or dropped.
    pub fn into_guard(self) -> VmGuard {
        VmGuard::new(self)
    }

    /// Ties the VM to the life of this client: it is deleted when the lease is closed or dropped, and
    /// when its heartbeat stays out for this long, be it that the client was killed.
    ///
    /// Sets a TTL that deletes the VM, in place of the one it has, of whole seconds (rounded up, from
    /// 1 s to a year). Sends `PATCH /v1/vms/{id}`; then `POST /v1/vms/{id}/ttl/refresh` at every third
    /// of the time, until the [`Lease`](crate::Lease) is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a time that cannot be.
    pub fn lease(&self, length: Duration) -> TakeLease {
        TakeLease::new(self, length)
    }

    /// Runs a command in this VM: see [`Vms::run`](crate::Vms::run).
    pub fn run(&self, command: impl Into<CommandLine>) -> Run {
        Run::new(self.client(), self.id.clone(), command.into())
    }

    /// Runs a command in this VM and streams its output: see [`Vms::stream`](crate::Vms::stream).
    pub fn stream(&self, command: impl Into<CommandLine>) -> Stream {
        Stream::new(self.client(), self.id.clone(), command.into())
    }

    /// Puts a file or folder into this VM: see [`Client::upload`](crate::Client::upload).
    pub fn upload(&self, local: impl AsRef<Path>, remote: impl Into<String>) -> Upload {
        let local = local.as_ref().to_owned();
        Upload::of_path(self.client(), self.id.clone(), local, remote.into())
    }

    /// Makes a file in this VM of bytes in memory: see
    /// [`Client::upload_bytes`](crate::Client::upload_bytes).
    pub fn upload_bytes(&self, data: impl Into<Vec<u8>>, remote: impl Into<String>) -> Upload {
        Upload::of_bytes(self.client(), self.id.clone(), data.into(), remote.into())
    }

    /// Makes a file in this VM of all that a reader gives: see
    /// [`Client::upload_reader`](crate::Client::upload_reader).
    pub fn upload_reader(
        &self,
        reader: impl tokio::io::AsyncRead + Send + 'static,
        remote: impl Into<String>,
    ) -> Upload {
        Upload::of_reader(self.client(), self.id.clone(), reader, remote.into())
    }

    /// Brings a file or folder out of this VM: see [`Client::download`](crate::Client::download).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// # let folder = tempfile::tempdir()?;
    /// # let (notes, back) = (folder.path().join("notes.txt"), folder.path().join("back.txt"));
    /// std::fs::write(&notes, "hello")?;
    /// vm.upload(&notes, "/root/notes.txt").await?;
    /// vm.run("tr a-z A-Z < notes.txt > loud.txt").await?.ensure_success()?;
    /// vm.download("/root/loud.txt", &back).await?;
    /// assert_eq!(std::fs::read_to_string(&back)?, "HELLO");
    /// # Ok(())
    /// # }
    /// ```
    pub fn download(&self, remote: impl Into<String>, local: impl AsRef<Path>) -> Download {
        Download::new(
            self.client(),
            self.id.clone(),
            remote.into(),
            local.as_ref().to_owned(),
        )
    }

    /// Brings a file of this VM into memory: see
    /// [`Client::download_bytes`](crate::Client::download_bytes).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// vm.run("echo hello > greeting").await?.ensure_success()?;
    /// assert_eq!(vm.download_bytes("/root/greeting").await?, "hello\n");
    ///
    /// let mut written = Vec::new();
    /// let length = vm.download_to("/root/greeting", &mut written).await?;
    /// assert_eq!((length, &written[..]), (6, &b"hello\n"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn download_bytes(&self, remote: impl Into<String>) -> DownloadBytes {
        DownloadBytes::new(self.client(), self.id.clone(), remote.into())
    }

    /// Brings a file of this VM into a writer: see
    /// [`Client::download_to`](crate::Client::download_to).
    pub fn download_to<'w>(
        &self,
        remote: impl Into<String>,
        writer: impl AsyncWrite + Send + Unpin + 'w,
    ) -> DownloadTo<'w> {
        DownloadTo::new(self.client(), self.id.clone(), remote.into(), writer)
    }
}

impl Deref for Vm {
    type Target = VmHandle<Vm>;

    fn deref(&self) -> &Self::Target {
        &self.handle
    }
}

impl FromVm for Vm {
    fn from_vm(client: &Client, vm: types::Vm) -> Self {
        Self::new(client, vm)
    }
}
