//! The same by `fastvm`.

use std::path::Path;

use fastvm::{Client, ExecEvent, ExecStream, Vm, types};
use futures_util::TryStreamExt;

use super::{Caller, Done};
use crate::CERTIFICATE;

#[derive(Clone)]
pub(crate) struct Sdk(Client);

impl Caller for Sdk {
    type Open = ExecStream;
    type Entry = types::Vm;
    type Handle = Vm;

    fn new() -> Done<Self> {
        let mut builder = Client::builder().env();
        if let Some(path) = std::env::var_os(CERTIFICATE) {
            builder = builder.root_certificate(std::fs::read(path)?);
        }
        Ok(Self(builder.build()?))
    }

    async fn run(&self, vm: &str) -> Done<usize> {
        let output = self.0.vms().run(vm, "echo hello").await?;
        Ok(output.stdout.len())
    }

    async fn stream(&self, vm: &str, mut each: impl FnMut(&[u8]) + Send) -> Done<()> {
        let mut events = self.0.vms().stream(vm, "echo hello").await?;
        while let Some(event) = events.try_next().await? {
            if let ExecEvent::Stdout(bytes) = event {
                each(&bytes);
            }
        }
        Ok(())
    }

    async fn open(&self, vm: &str) -> Done<ExecStream> {
        let mut events = self.0.vms().stream(vm, "echo hello").await?;
        events.try_next().await?;
        Ok(events)
    }

    async fn upload(&self, local: &Path) -> Done<()> {
        Ok(self.0.upload("sink", local, "/root/target").await?)
    }

    async fn download(&self, remote: &Path, local: &Path) -> Done<()> {
        let remote = remote.to_str().ok_or("the path is no text")?;
        Ok(self.0.download("disk", remote, local).await?)
    }

    async fn launch(&self, machine_type: &str) -> Done<()> {
        self.0.vms().launch(machine_type).await?;
        Ok(())
    }

    async fn list(&self, count: usize) -> Done<Vec<types::Vm>> {
        let list = self.0.vms().list();
        Ok(list.metadata("count", count.to_string()).await?)
    }

    fn handle(&self, entry: types::Vm) -> Vm {
        self.0.vms().handle(entry)
    }
}
