//! Volumes that are waited for: until they can be attached, have their new size, are mounted.

use std::ops::Deref;

use fastvm_api::types::{self, AccessMode, MountStatus, VmStatus, VolumeStatus};
use fastvm_api::{Client, Error, ErrorKind, Outcome, Pending, ResponseValue, Result};

use crate::poll::{Step, Wait, wait_setters};
use crate::vm::Vm;

/// The calls on volumes: `client.volumes()`.
///
/// Derefs to the generated [`fastvm_api::volumes::Volumes`] for all that needs no waiting.
#[derive(Clone, Debug)]
pub struct Volumes {
    api: Client,
    tree: fastvm_api::volumes::Volumes,
}

impl crate::Client {
    /// The calls on volumes: `create` and `update`, which can wait, and every operation of the
    /// resource.
    pub fn volumes(&self) -> Volumes {
        Volumes {
            api: self.raw().clone(),
            tree: self.raw().volumes(),
        }
    }
}

impl Volumes {
    /// Creates a volume of this many GiB.
    ///
    /// It can be `creating` in the answer, and cannot be attached then;
    /// [`.wait_until_ready()`](CreateVolume::wait_until_ready) waits. A volume costs money until it
    /// is deleted, also when the wait fails or is dropped. Sends `POST /v1/volumes`, once.
    ///
    /// # Errors
    ///
    /// An error whose [`outcome`](Error::outcome) is `Unknown` if the answer was lost: a volume may
    /// have been made. For those of the wait see [`wait_until_ready`](Self::wait_until_ready).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// use fastvm::types::AccessMode;
    ///
    /// let volumes = client.volumes();
    /// let volume = volumes.create("data", 1, AccessMode::Rw).wait_until_ready().await?;
    /// let volume = volumes.update(&volume.id).size_gib(2).wait_until_ready().await?;
    /// assert_eq!(volume.size_gib, 2);
    ///
    /// let vm = client.vms().launch("c1m2").await?;
    /// vm.attach_volume(&volume.id, "/mnt/data", AccessMode::Rw).await?;
    /// vm.run("echo kept > /mnt/data/note").await?.ensure_success()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(
        &self,
        name: impl Into<String>,
        size_gib: i64,
        access_mode: impl Into<AccessMode>,
    ) -> CreateVolume {
        CreateVolume {
            api: self.api.clone(),
            request: self.tree.create(name, size_gib, access_mode),
            waits: false,
            wait: Wait::default(),
        }
    }

    /// Changes a volume's name, size or access mode.
    ///
    /// A change of size takes a while: [`.wait_until_ready()`](UpdateVolume::wait_until_ready) waits
    /// until the volume has it. Sends `PATCH /v1/volumes/{id}`.
    ///
    /// # Errors
    ///
    /// A 409 if the data does not fit into a smaller size. For those of the wait see
    /// [`wait_until_ready`](Self::wait_until_ready).
    pub fn update(&self, id: impl Into<String>) -> UpdateVolume {
        UpdateVolume {
            api: self.api.clone(),
            request: self.tree.update(id),
            waits: false,
            wait: Wait::default(),
        }
    }

    /// Waits until a volume is `ready` and no change of its size is under way, and answers it.
    ///
    /// Sends `GET /v1/volumes/{id}` until then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`] if time runs out, [`ErrorKind::Gone`] if the volume is being deleted,
    /// a 404 if there is none. Both name the volume, which is left as it is.
    pub fn wait_until_ready(&self, id: impl Into<String>) -> WaitForVolume {
        WaitForVolume {
            api: self.api.clone(),
            id: id.into(),
            wait: Wait::default(),
        }
    }
}

impl Deref for Volumes {
    type Target = fastvm_api::volumes::Volumes;

    fn deref(&self) -> &Self::Target {
        &self.tree
    }
}

/// What is alike in the calls that answer a volume and can wait for it.
macro_rules! answers_a_volume {
    ($name:ident, $body:ty) => {
        impl $name {
            fastvm_api::__call_options!(request);
            wait_setters!();

            /// Waits until the volume is ready and has its size, as
            /// [`Volumes::wait_until_ready`] does, before it is answered.
            pub fn wait_until_ready(mut self) -> Self {
                self.waits = true;
                self
            }

            /// Sets the whole body of the request, in place of all fields set so far.
            pub fn body(mut self, body: $body) -> Self {
                self.request = self.request.body(body);
                self
            }
        }

        impl IntoFuture for $name {
            type Output = Result<types::Volume>;
            type IntoFuture = Pending<types::Volume>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(async move { Ok(self.send().await?.into_inner()) })
            }
        }
    };
}

/// A volume to be created: `client.volumes().create(..)`.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct CreateVolume {
    api: Client,
    request: fastvm_api::volumes::Create,
    waits: bool,
    wait: Wait,
}

impl CreateVolume {
    fastvm_api::__create_volume_setters!(request);

    /// Creates it, waits if told to, and gives the volume with the status and headers of the answer
    /// to its creation.
    pub async fn send(self) -> Result<ResponseValue<types::Volume>> {
        let answer = self.request.send().await.map_err(may_be_made)?;
        match self.waits {
            true => until_ready(&self.api, &self.wait, answer).await,
            false => Ok(answer),
        }
    }
}

answers_a_volume!(CreateVolume, types::CreateVolumeRequest);

/// A change of a volume: `client.volumes().update(id)`.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct UpdateVolume {
    api: Client,
    request: fastvm_api::volumes::Update,
    waits: bool,
    wait: Wait,
}

impl UpdateVolume {
    fastvm_api::__update_volume_setters!(request);

    /// Changes it, waits if told to, and gives the volume with the status and headers of the answer
    /// to the change.
    pub async fn send(self) -> Result<ResponseValue<types::Volume>> {
        let answer = self.request.send().await?;
        match self.waits {
            true => until_ready(&self.api, &self.wait, answer).await,
            false => Ok(answer),
        }
    }
}

answers_a_volume!(UpdateVolume, types::UpdateVolumeRequest);

/// A wait for a volume: `client.volumes().wait_until_ready(id)`.
#[derive(Clone, Debug)]
#[must_use = "it waits only when awaited"]
pub struct WaitForVolume {
    api: Client,
    id: String,
    wait: Wait,
}

impl WaitForVolume {
    wait_setters!();
}

impl IntoFuture for WaitForVolume {
    type Output = Result<types::Volume>;
    type IntoFuture = Pending<types::Volume>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { poll_volume(&self.api, &self.wait, &self.id, None).await })
    }
}

impl Vm {
    /// Mounts a volume in this VM, and waits until it is mounted.
    ///
    /// `mount_path` is an absolute path below `/mnt/` or `/data/`. With [`AccessMode::Ro`] this VM
    /// may only read it; a volume that is read-only itself stays so, and the answer's `read_only`
    /// says it. In a paused VM the answer is `pending`: the volume is mounted on resume. Sends
    /// `POST /v1/vms/{id}/volumes`, once, then `GET /v1/vms/{id}` until it is mounted;
    /// `vm.volumes().attach(..)` does not wait. Detach it with `vm.volumes().detach(id)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`] if the mount fails, with the VM's reason, or time runs out: the
    /// attachment stays then. A 409 with the code `VOL_NOT_READY` if the volume is still being
    /// created. [`ErrorKind::InvalidInput`] if the access mode is neither `rw` nor `ro`.
    pub fn attach_volume(
        &self,
        volume_id: impl Into<String>,
        mount_path: impl Into<String>,
        access: impl Into<AccessMode>,
    ) -> AttachVolume {
        let access = access.into();
        let request = self.volumes().attach(volume_id, mount_path);
        AttachVolume {
            api: self.client().clone(),
            vm_id: self.id.clone(),
            request: request.read_only(access != AccessMode::Rw),
            access,
            wait: Wait::default(),
        }
    }
}

/// A volume to be mounted: `vm.attach_volume(..)`.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct AttachVolume {
    api: Client,
    vm_id: String,
    request: fastvm_api::vms::volumes::Attach,
    access: AccessMode,
    wait: Wait,
}

impl AttachVolume {
    fastvm_api::__attach_volume_setters!(request);
    fastvm_api::__call_options!(request);
    wait_setters!();

    async fn run(self) -> Result<types::VolumeAttachmentItem> {
        if let AccessMode::Unknown(mode) = &self.access {
            let message = format!("the access mode {mode:?} is neither \"rw\" nor \"ro\"");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let item = self.request.await?;
        poll_mount(&self.api, &self.wait, &self.vm_id, item).await
    }
}

impl IntoFuture for AttachVolume {
    type Output = Result<types::VolumeAttachmentItem>;
    type IntoFuture = Pending<types::VolumeAttachmentItem>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

async fn until_ready(
    api: &Client,
    wait: &Wait,
    answer: ResponseValue<types::Volume>,
) -> Result<ResponseValue<types::Volume>> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let volume = answer.into_inner();
    let id = volume.id.clone();
    let volume = poll_volume(api, wait, &id, Some(volume)).await?;
    Ok(ResponseValue::new(volume, status, headers))
}

/// The volume once it is ready; the one that is known if it is.
async fn poll_volume(
    api: &Client,
    wait: &Wait,
    id: &str,
    known: Option<types::Volume>,
) -> Result<types::Volume> {
    let late = || format!("the volume {id} is not ready");
    let ask = || async { Step::of(api.volumes().retrieve(id).await, ready) };
    wait.until(known.map(ready), late, ask).await
}

/// An unknown status counts as in transition.
fn ready(volume: types::Volume) -> Step<types::Volume> {
    let is_resized = volume.pending_size_gib.unwrap_or_default() == 0;
    match volume.status {
        VolumeStatus::Ready if is_resized => Step::Done(volume),
        VolumeStatus::Deleting => {
            let message = format!("the volume {} is being deleted", volume.id);
            Step::Failed(Error::new(ErrorKind::Gone, message))
        }
        _ => Step::Wait(None),
    }
}

async fn poll_mount(
    api: &Client,
    wait: &Wait,
    vm_id: &str,
    item: types::VolumeAttachmentItem,
) -> Result<types::VolumeAttachmentItem> {
    let volume_id = item.volume_id.clone();
    let late = || format!("the volume {volume_id} is not mounted");
    let judge = |vm: types::Vm| {
        let mut items = vm.volumes.into_iter();
        match items.find(|item| item.volume_id == volume_id) {
            Some(item) => mounted(item, Some(vm.status)),
            None => {
                let message = format!("the volume {volume_id} is not attached any more");
                Step::Failed(Error::new(ErrorKind::NotReady, message))
            }
        }
    };
    let ask = || async { Step::of(api.vms().retrieve(vm_id).await, judge) };
    let item = wait.until(Some(mounted(item, None)), late, ask).await;
    item.map_err(|error| error.with_vm_id(vm_id))
}

/// An unknown status counts as in transition. In a VM that does not run, `pending` is the end of it.
fn mounted(
    item: types::VolumeAttachmentItem,
    vm: Option<VmStatus>,
) -> Step<types::VolumeAttachmentItem> {
    match (&item.mount_status, vm) {
        (MountStatus::Mounted, _) => Step::Done(item),
        (MountStatus::Failed, _) => {
            let reason = item.status_message.as_deref().unwrap_or("no reason given");
            let message = format!(
                "the volume {} could not be mounted at {}: {reason}",
                item.volume_id, item.mount_path
            );
            Step::Failed(Error::new(ErrorKind::NotReady, message))
        }
        (_, Some(VmStatus::Paused | VmStatus::Pausing)) => Step::Done(item),
        _ => Step::Wait(None),
    }
}

fn may_be_made(error: Error) -> Error {
    match error.outcome() {
        Outcome::Unknown => error.with_advice(
            "a volume may have been made all the same: look through `volumes().list()` before you \
             create another",
        ),
        _ => error,
    }
}
