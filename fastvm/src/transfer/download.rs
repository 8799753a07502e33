//! From a VM to this machine.

use std::io;
use std::path::PathBuf;

use fastvm_api::types::FilePresignResponse;
use fastvm_api::{Client, Error, ErrorKind, Pending, Result};
use http::Method;
use reqwest::Response;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::unpack::{self, folder_beside, move_into_place, parent_of, temporary};
use super::{
    CHUNK, CHUNKS_IN_FLIGHT, Options, STORAGE_GET, check_remote, exec, local_error, step_failed,
    storage, transfer_setters,
};
use crate::connector::storage_request;

/// Says what `$1` is, and sends it to `$2`: a file as it is, a folder as a gzipped tar. `curl` gets
/// no configuration of the VM's (`-q`) and takes names as they are (`-g`); what
/// says it is empty is read all the same, since files like those in `/proc` say so falsely. A pipe ends with the
/// status of its last command, so tar's own is carried past it on a descriptor.
const SEND: &str = r#"
send() { curl -q -g -f -s -S -o /dev/null -H 'Content-Type: application/octet-stream' -T "$1" "$url"; }
path=$1 url=$2
if [ -d "$path" ]; then
    echo folder
    packed=$( { { cd -- "$path" && tar -czf - . ; echo $? >&4; } | send - >&2 ; } 4>&1 )
    sent=$?
    [ "$packed" = 0 ] || { echo "tar: exit code $packed" >&2; exit 1; }
    exit $sent
elif [ -f "$path" ]; then
    echo file
    if [ -s "$path" ]; then send "$path"; else send - < "$path"; fi
elif [ -e "$path" ]; then
    echo special
else
    echo missing
fi
"#;

/// A download: `client.download(&id, remote, local)`, `vm.download(remote, local)`.
///
/// See [`Client::download`](crate::Client::download). Dropping the future stops it and leaves the
/// target as it was.
#[derive(Clone, Debug)]
#[must_use = "a download does nothing until it is awaited"]
pub struct Download {
    api: Client,
    vm_id: String,
    remote: String,
    local: PathBuf,
    options: Options,
}

impl Download {
    pub(crate) fn new(api: &Client, vm_id: String, remote: String, local: PathBuf) -> Self {
        Self {
            api: api.clone(),
            vm_id,
            remote,
            local,
            options: Options::of(api),
        }
    }

    transfer_setters!();

    async fn run(self) -> Result<()> {
        check_remote(&self.remote)?;
        let urls = self
            .api
            .vms()
            .files()
            .presign(&self.vm_id, &self.remote)
            .await?;
        let is_folder = self.send_from_vm(&urls).await?;
        let request = storage_request(Method::GET, &urls.download_url)?;
        let data = storage(&self.api, &self.vm_id, &STORAGE_GET, request)
            .await
            .map_err(|error| error.with_path(&self.remote))?;
        match is_folder {
            true => self.receive_folder(data).await,
            false => self.receive_file(data).await,
        }
    }

    /// Has the VM put the data into storage; answers whether it is a folder.
    async fn send_from_vm(&self, urls: &FilePresignResponse) -> Result<bool> {
        let command = ["sh", "-c", SEND, "sh", &self.remote, &urls.upload_url];
        let sent = exec(&self.api, &self.vm_id, &self.options, command).await?;
        let refuse = |kind, message: &str| {
            Err(Error::new(kind, message)
                .with_vm_id(&self.vm_id)
                .with_path(&self.remote))
        };
        match (sent.stdout.trim(), sent.is_success()) {
            ("folder", true) => Ok(true),
            ("file", true) => Ok(false),
            ("missing", true) => refuse(
                ErrorKind::NotFound,
                "there is no such file or folder in the VM",
            ),
            ("special", true) => refuse(
                ErrorKind::InvalidInput,
                "only files and folders can be downloaded",
            ),
            _ => Err(step_failed(
                &self.vm_id,
                &self.remote,
                "the VM could not send the data",
                &sent,
                urls,
            )),
        }
    }

    async fn receive_file(self, mut data: Response) -> Result<()> {
        let target = &self.local;
        let cannot_write = |error| local_error(target, "the file cannot be written", error);
        if target.is_dir() {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(local_error(target, "it is a folder: name the file", error));
        }
        let parent = parent_of(target);
        tokio::fs::create_dir_all(parent)
            .await
            .map_err(cannot_write)?;
        let (file, temporary) = temporary(0o666)
            .tempfile_in(parent)
            .map_err(cannot_write)?
            .into_parts();
        let mut file = tokio::io::BufWriter::with_capacity(CHUNK, tokio::fs::File::from_std(file));
        while let Some(chunk) = data.chunk().await.map_err(|error| self.cut(error))? {
            file.write_all(&chunk).await.map_err(cannot_write)?;
        }
        file.flush().await.map_err(cannot_write)?;
        temporary
            .persist(target)
            .map_err(|error| cannot_write(error.error))
    }

    async fn receive_folder(self, mut data: Response) -> Result<()> {
        let folder = folder_beside(&self.local)?;
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let into = folder.path().to_owned();
        let unpacking = tokio::task::spawn_blocking(move || unpack::unpack(receiver, &into));
        let received = loop {
            match data.chunk().await {
                // The unpacking has failed: its own error says why.
                Ok(Some(chunk)) => {
                    if sender.send(chunk).await.is_err() {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(self.cut(error)),
            }
        };
        drop(sender);
        let unpacked = unpacking.await;
        received?;
        let failed = |source| {
            Error::new(ErrorKind::Transfer, "the folder could not be unpacked").with_source(source)
        };
        unpacked
            .map_err(failed)?
            .map_err(|error| error.with_vm_id(&self.vm_id))?;
        let target = self.local.clone();
        let moved = tokio::task::spawn_blocking(move || move_into_place(folder, &target));
        moved.await.map_err(failed)?
    }

    fn cut(&self, error: reqwest::Error) -> Error {
        Error::new(
            ErrorKind::Transfer,
            "the connection broke before the data was whole",
        )
        .with_vm_id(&self.vm_id)
        .with_path(&self.remote)
        .with_source(error.without_url())
    }
}

impl IntoFuture for Download {
    type Output = Result<()>;
    type IntoFuture = Pending<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
