//! A VM that ends with a scope.

use std::ops::Deref;

use fastvm_api::Result;

use crate::cleanup::DeleteOnDrop;
use crate::vm::Vm;

/// A VM that is deleted when this guard goes: made by [`Vm::into_guard`].
///
/// Derefs to the [`Vm`]. Clones of that handle do not keep the VM alive.
///
/// # What is left behind
///
/// - After [`close`](Self::close), nothing, or its error says so.
/// - After a drop, early returns and panics included, the VM is deleted by a task in the background,
///   which tries for up to 30 s. If the runtime ends before that, be it that `#[tokio::main]` returns,
///   its end is held up for the deletion: for up to 5 s, and 10 s for all of a process. `close` is the
///   sure way, and the only one that tells of a failure.
/// - In a program without a runtime, with the feature `blocking`, the drop itself deletes the VM: it
///   returns when that is done, after up to 30 s.
/// - A client that is killed, or that calls [`std::process::exit`], deletes nothing. Against that there is
///   [`Vm::lease`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = fastvm_local::Server::start().await?;
/// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
/// let vm = client.vms().launch("c1m2").await?.into_guard();
/// assert_eq!(vm.run("echo hello").await?.stdout, "hello\n");
/// vm.close().await?;
/// assert!(client.vms().list().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the VM is deleted when this is dropped"]
pub struct VmGuard {
    vm: Vm,
    deletion: DeleteOnDrop,
}

impl VmGuard {
    pub(crate) fn new(vm: Vm) -> Self {
        let deletion = DeleteOnDrop::new(vm.client(), &vm.id);
        Self { vm, deletion }
    }

    /// Deletes the VM, and answers how that went. One that is gone already is a success.
    ///
    /// Passing faults are tried again for up to 30 s. Dropping the future does not stop the
    /// deletion. Sends `DELETE /v1/vms/{id}`.
    ///
    /// # Errors
    ///
    /// What the last attempt failed with: the VM may be left.
    pub async fn close(self) -> Result<()> {
        self.deletion.delete().await
    }

    /// Leaves the VM, and gives its handle back.
    pub fn keep(self) -> Vm {
        self.deletion.disarm();
        self.vm
    }
}

impl Deref for VmGuard {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        &self.vm
    }
}
