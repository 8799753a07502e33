//! Content on its way into a file: with the command if it is small, else by way of storage.

use fastvm_api::Result;

use super::call::TIMEOUT;
use super::path::RemotePath;
use super::{Call, Fs, SMALL};
use crate::transfer::{Staging, Upload, temporary_name};

/// Content for a script, whose last two arguments are where it is staged, empty if it is stdin, and
/// whether nothing shall be done but to look.
#[derive(Debug)]
pub(super) struct Put {
    fs: Fs,
    script: &'static str,
    path: RemotePath,
    args: Vec<String>,
    content: Vec<u8>,
}

impl Put {
    pub(super) fn new(
        fs: &Fs,
        script: &'static str,
        path: impl AsRef<[u8]>,
        args: Vec<String>,
        content: Vec<u8>,
    ) -> Self {
        Self {
            fs: fs.clone(),
            script,
            path: path.as_ref().into(),
            args,
            content,
        }
    }

    pub(super) async fn run(mut self) -> Result<()> {
        let content = std::mem::take(&mut self.content);
        match content.len() <= SMALL {
            true => self.call("", "").stdin(content).done().await,
            false => self.by_storage(content).await,
        }
    }

    fn call(&self, staged: &str, only_look: &str) -> Call {
        let call = self.fs.call(self.script, &self.path);
        let call = self.args.iter().fold(call, |call, arg| call.arg(arg));
        call.arg(staged).arg(only_look)
    }

    async fn by_storage(self, content: Vec<u8>) -> Result<()> {
        self.call("", "look").done().await?;
        let staged = format!("/tmp/{}", temporary_name());
        let Fs { api, vm_id } = &self.fs;
        let upload = Upload::of_bytes(api, vm_id.clone(), content, staged.clone()).mode(0o600);
        upload
            .await
            .map_err(|error| error.with_path(self.path.to_string_lossy()))?;
        let mut staging = Staging::new(api, vm_id, vec![staged.clone()], TIMEOUT);
        let result = staging.step(self.call(&staged, "").done()).await;
        staging.settle(result).await
    }
}
