//! The files of a VM, one by one, in the shape of `tokio::fs`.
//!
//! Each call is a script that `sh` runs in the VM. What is large goes by way of storage instead.

mod call;
mod failure;
mod metadata;
mod path;
mod put;
mod script;

use std::io;

use fastvm_api::{Client, Error, ErrorKind, Pending, Result};

use crate::transfer::{DownloadBytes, temporary_name};
use crate::vm::Vm;

use call::{Call, unreadable};
use failure::{TOO_LARGE, io_error, is_only_vanished};
use put::Put;

pub use metadata::{DirEntry, FileType, Metadata};
pub use path::RemotePath;

/// The largest content that goes with the command itself.
const SMALL: usize = 1024 * 1024;

/// The most that is read into memory.
const MOST_IN_MEMORY: u64 = 256 * 1024 * 1024;

/// The files of a VM, in the shape of `tokio::fs`: see [`Vm::fs`].
///
/// Paths are text or bytes, absolute, with `/` between folders. Any name that Linux takes is fine:
/// with spaces, quotes and line ends, and such as are no UTF-8.
///
/// # What it sends
///
/// Each call is one command, `POST /v1/vms/{id}/exec`, and does nothing until it is awaited. Content
/// of up to 1 MiB goes with it. More goes by way of signed storage, like
/// [`upload_bytes`](Vm::upload_bytes) and [`download_bytes`](Vm::download_bytes), after a command that
/// looks whether it can be done. Commands are not repeated after a fault of the network, since they
/// are not safe to repeat; dropping a call does not stop its command, which takes 600 s at most.
///
/// # Errors
///
/// [`Error::io_kind`] gives the [`std::io::ErrorKind`] of what the VM refuses, and [`Error::path`] the
/// path: `NotFound`, `PermissionDenied`, `AlreadyExists`, `NotADirectory`, `IsADirectory`,
/// `DirectoryNotEmpty`, `ReadOnlyFilesystem`, `StorageFull`, … Their own kind is
/// [`ErrorKind::NotFound`] or [`ErrorKind::Io`]. A path that is not absolute or holds a NUL byte is
/// [`ErrorKind::InvalidInput`], and nothing is sent. What fails on the way is as for every command.
///
/// # What it needs in the VM
///
/// A POSIX `sh` (dash, bash, busybox), and tools of GNU or of busybox:
///
/// | call | tools |
/// |---|---|
/// | `read`, `read_to_string` | `stat`, `head`; `curl` beyond 1 MiB |
/// | `write` | `cat`, `wc`, `mv`, `rm`; `stat`, `chmod` and `chown` for a file that is there, `readlink` for a link |
/// | `append` | `cat`, `rm`; `readlink` for a link |
/// | `metadata`, `symlink_metadata` | `stat` |
/// | `read_dir` | `find`, `stat` |
/// | `copy` | `cp`, `stat`, `chmod`, `mv`, `rm`, `wc` |
/// | `rename` | `mv`; `rm` and `rmdir` where it is not that of GNU |
/// | the others | `mkdir`, `rm`, `rmdir`, `ln`, `readlink`, `chmod`, each for its own |
///
/// Without one of them the error is `Unsupported`.
#[derive(Clone, Debug)]
pub struct Fs {
    api: Client,
    vm_id: String,
}

impl Vm {
    /// The files of this VM, one by one, in the shape of `tokio::fs`.
    ///
    /// [`upload`](Self::upload) and [`download`](Self::download) are for whole folders, and for files
    /// that shall not be held in memory.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let vm = client.vms().launch("c1m2").await?;
    /// let fs = vm.fs();
    /// fs.create_dir_all("/root/app/conf").await?;
    /// fs.write("/root/app/conf/port", "8080").await?;
    /// assert_eq!(fs.read_to_string("/root/app/conf/port").await?, "8080");
    ///
    /// for entry in fs.read_dir("/root/app/conf").await? {
    ///     println!("{} {} bytes", entry.file_name(), entry.metadata().len());
    /// }
    ///
    /// let error = fs.read("/root/app/none").await.unwrap_err();
    /// assert_eq!(error.io_kind(), Some(std::io::ErrorKind::NotFound));
    /// assert_eq!(error.path(), Some("/root/app/none"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fs(&self) -> Fs {
        Fs {
            api: self.client().clone(),
            vm_id: self.id.clone(),
        }
    }
}

impl Fs {
    /// All that a file holds; 256 MiB at most.
    ///
    /// A fault on the way is an error, never a part of the content. What is larger is for
    /// [`Vm::download_to`] and [`Vm::download`]. Files of the kernel and devices can be read, too,
    /// until they end.
    pub fn read(&self, path: impl AsRef<[u8]>) -> Pending<Vec<u8>> {
        let (fs, path) = (self.clone(), RemotePath::from(path.as_ref()));
        Box::pin(async move { fs.read_any(&path).await })
    }

    /// All that a file holds, as text: as [`read`](Self::read), but what is no UTF-8 is an error of
    /// the kind `InvalidData`.
    pub fn read_to_string(&self, path: impl AsRef<[u8]>) -> Pending<String> {
        let (fs, path) = (self.clone(), RemotePath::from(path.as_ref()));
        Box::pin(async move {
            let bytes = fs.read_any(&path).await?;
            String::from_utf8(bytes).map_err(|error| {
                io_error(io::ErrorKind::InvalidData, "the file is no UTF-8 text")
                    .with_vm_id(fs.vm_id)
                    .with_path(path.to_string_lossy())
                    .with_source(error.utf8_error())
            })
        })
    }

    /// Makes a file, or replaces all that it holds.
    ///
    /// It is written as a whole or not at all: under a temporary name beside its own, and then
    /// renamed. A file that is there keeps its mode and owner, but loses other names (hard links); a
    /// link is followed. Devices, pipes and what is in `/proc` and `/sys` are written in place.
    pub fn write(&self, path: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) -> Pending<()> {
        let content = content.into();
        let args = vec![temporary_name(), content.len().to_string()];
        let put = Put::new(self, script::WRITE, path, args, content);
        Box::pin(put.run())
    }

    /// Adds to the end of a file, which is made if it is not there.
    ///
    /// A fault of the VM in the middle, such as a full disk, can leave a part of it there.
    pub fn append(&self, path: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) -> Pending<()> {
        let put = Put::new(self, script::APPEND, path, Vec::new(), content.into());
        Box::pin(put.run())
    }

    /// What is known of a file or folder. A link is followed.
    pub fn metadata(&self, path: impl AsRef<[u8]>) -> Pending<Metadata> {
        self.stat(path, "-L")
    }

    /// What is known of a file or folder, or of a link itself.
    pub fn symlink_metadata(&self, path: impl AsRef<[u8]>) -> Pending<Metadata> {
        self.stat(path, "")
    }

    /// Whether there is something at this path. A link that leads nowhere counts as nothing.
    pub fn exists(&self, path: impl AsRef<[u8]>) -> Pending<bool> {
        let call = self.call(script::EXISTS, path);
        Box::pin(async move {
            match call.output().await {
                Ok(_) => Ok(true),
                Err(error) => match error.io_kind() {
                    Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
                    _ => Err(error),
                },
            }
        })
    }

    /// What is in a folder, in the order of the names; without `.` and `..`.
    ///
    /// What goes while the folder is read may be left out.
    pub fn read_dir(&self, path: impl AsRef<[u8]>) -> Pending<Vec<DirEntry>> {
        let folder = RemotePath::from(path.as_ref());
        let call = self.call(script::READ_DIR, path);
        Box::pin(async move {
            let outcome = call.outcome().await?;
            let listed = match is_only_vanished(&outcome.output) {
                true => outcome.output.stdout,
                false => outcome.ensure_success()?,
            };
            let mut entries = DirEntry::read_all(&folder, &listed)
                .ok_or_else(|| unreadable(&folder, "the names and what `stat` says of them"))?;
            entries.sort_by(|a, b| a.file_name().cmp(b.file_name()));
            Ok(entries)
        })
    }

    /// Makes a folder in one that is there.
    pub fn create_dir(&self, path: impl AsRef<[u8]>) -> Pending<()> {
        self.call(script::CREATE_DIR, path).done()
    }

    /// Makes a folder and all above it that are missing. One that is there is fine.
    pub fn create_dir_all(&self, path: impl AsRef<[u8]>) -> Pending<()> {
        self.call(script::CREATE_DIR_ALL, path).done()
    }

    /// Where a link leads, as it was written: absolute or not, there or not.
    ///
    /// What is no link is an error of the kind `InvalidInput`.
    pub fn read_link(&self, path: impl AsRef<[u8]>) -> Pending<RemotePath> {
        let call = self.call(script::READ_LINK, path);
        Box::pin(async move {
            let mut target = call.output().await?;
            // The one that `readlink` ends with.
            target.pop();
            Ok(target.into())
        })
    }

    /// Makes a link at `link` that leads to `original`, which may be relative to the folder of the
    /// link, and need not be there.
    pub fn symlink(&self, original: impl AsRef<[u8]>, link: impl AsRef<[u8]>) -> Pending<()> {
        let original = RemotePath::from(original.as_ref());
        self.call(script::SYMLINK, link)
            .unless(original.problem_as_target())
            .arg(original.escaped())
            .done()
    }

    /// Gives a file or folder another path, and replaces what is there: a file or link, or an empty
    /// folder by a folder.
    ///
    /// In one step, so that nobody sees neither or both; but between file systems it is copied and
    /// removed, and where `mv` is that of busybox, a folder or a link to one is removed first. If `to` is what cannot be, the error is about `to`.
    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Pending<()> {
        self.call(script::RENAME, from).to(to).done()
    }

    /// Copies a file with its permissions within the VM, and gives its length. What is at `to` is
    /// replaced, as a whole or not at all; links are followed on both sides.
    pub fn copy(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Pending<u64> {
        let source = RemotePath::from(from.as_ref());
        let call = self.call(script::COPY, from).to(to).arg(temporary_name());
        Box::pin(async move {
            let told = call.output().await?;
            let length = std::str::from_utf8(&told).ok();
            length
                .and_then(|told| told.trim().parse().ok())
                .ok_or_else(|| unreadable(&source, "its length"))
        })
    }

    /// Removes a file, or a link itself.
    pub fn remove_file(&self, path: impl AsRef<[u8]>) -> Pending<()> {
        self.call(script::REMOVE_FILE, path).done()
    }

    /// Removes a folder that is empty.
    pub fn remove_dir(&self, path: impl AsRef<[u8]>) -> Pending<()> {
        self.call(script::REMOVE_DIR, path).done()
    }

    /// Removes a folder with all that is in it. Links are removed, never followed; the root is
    /// refused.
    ///
    /// After an error a part of it may be gone.
    pub fn remove_dir_all(&self, path: impl AsRef<[u8]>) -> Pending<()> {
        self.call(script::REMOVE_DIR_ALL, path).done()
    }

    /// Sets the permission bits of a file or folder, such as `0o755`. A link is followed.
    ///
    /// More than `0o7777` is refused.
    pub fn set_permissions(&self, path: impl AsRef<[u8]>, mode: u32) -> Pending<()> {
        let message = "the mode has more than permission bits";
        let problem = (mode > 0o7777).then(|| Error::new(ErrorKind::InvalidInput, message));
        // With five digits `chmod` clears the set-id bits of folders, too.
        self.call(script::SET_PERMISSIONS, path)
            .unless(problem)
            .arg(format!("{mode:05o}"))
            .done()
    }

    fn call(&self, script: &'static str, path: impl AsRef<[u8]>) -> Call {
        Call::new(&self.api, &self.vm_id, script, path)
    }

    fn stat(&self, path: impl AsRef<[u8]>, follow: &str) -> Pending<Metadata> {
        let of = RemotePath::from(path.as_ref());
        let call = self.call(script::METADATA, path).arg(follow);
        Box::pin(async move {
            let told = call.output().await?;
            let line = String::from_utf8_lossy(&told);
            Metadata::read(&line).ok_or_else(|| unreadable(&of, &line))
        })
    }

    async fn read_any(&self, path: &RemotePath) -> Result<Vec<u8>> {
        // Transfers take text only: what has no text for a path comes through the command, however
        // large it is.
        let small = path.to_str().map_or(MOST_IN_MEMORY, |_| SMALL as u64);
        let outcome = self
            .call(script::READ, path)
            .arg(small.to_string())
            .arg((MOST_IN_MEMORY + 1).to_string())
            .outcome()
            .await?;
        match path.to_str() {
            Some(text) if outcome.output.exit.code == TOO_LARGE => {
                let download = DownloadBytes::new(&self.api, self.vm_id.clone(), text.to_owned());
                let bytes = download.max_size(MOST_IN_MEMORY).await?;
                Ok(bytes.into())
            }
            _ => {
                let bytes = outcome.ensure_success()?;
                match bytes.len() as u64 > MOST_IN_MEMORY {
                    true => Err(self.endless(path)),
                    false => Ok(bytes),
                }
            }
        }
    }

    /// What is no regular file does not say beforehand how much it holds.
    fn endless(&self, path: &RemotePath) -> Error {
        let message = "it gives more than 256 MiB, which is too much to be read into memory";
        io_error(io::ErrorKind::FileTooLarge, message)
            .with_vm_id(&self.vm_id)
            .with_path(path.to_string_lossy())
    }
}
