//! SSH keys from files.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use fastvm_api::{CallOptions, Client, Error, ErrorKind, Pending, ResponseValue, Result, types};
use tokio::io::AsyncReadExt;

/// The longest keys in use have some 3 KiB.
const MOST_BYTES: u64 = 16 * 1024;

/// How the types of keys in OpenSSH form begin.
const KEY_TYPES: [&str; 3] = ["ssh-", "ecdsa-sha2-", "sk-"];

/// The calls on the calling user: `client.me()`. Derefs to the generated [`fastvm_api::me::Me`].
#[derive(Clone, Debug)]
pub struct Me {
    api: Client,
    tree: fastvm_api::me::Me,
}

impl crate::Client {
    /// The calls on the calling user.
    pub fn me(&self) -> Me {
        Me {
            api: self.raw().clone(),
            tree: self.raw().me(),
        }
    }
}

impl Me {
    /// The calls on the user's SSH keys: `add_file`, and every operation of the resource.
    pub fn ssh_keys(&self) -> SshKeys {
        SshKeys {
            api: self.api.clone(),
            tree: self.tree.ssh_keys(),
        }
    }
}

impl Deref for Me {
    type Target = fastvm_api::me::Me;

    fn deref(&self) -> &Self::Target {
        &self.tree
    }
}

/// The calls on SSH keys: `client.me().ssh_keys()`.
///
/// Derefs to the generated [`fastvm_api::me::ssh_keys::SshKeys`]: `list`, `add`, `delete`.
#[derive(Clone, Debug)]
pub struct SshKeys {
    api: Client,
    tree: fastvm_api::me::ssh_keys::SshKeys,
}

impl SshKeys {
    /// Adds the public key in a file such as `~/.ssh/id_ed25519.pub`.
    ///
    /// The file has one key in OpenSSH form, and at most 16 KiB; empty lines and comments are
    /// skipped. Sends `POST /v1/me/ssh-keys`, once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] with the path if the file holds a private key, several keys or
    /// none: nothing is sent then. [`ErrorKind::NotFound`] or [`ErrorKind::Io`] with the path if it
    /// cannot be read. A 409 if the key is there already, be it with another user.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("id_ed25519.pub");
    /// # std::fs::write(&path, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOhU10UZtne1B66/XR8exFNXZloQcOZTaMRsXITKMG+Y me@home\n")?;
    /// let key = client.me().ssh_keys().add_file(&path).name("laptop").await?;
    /// assert!(key.fingerprint.starts_with("SHA256:"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_file(&self, path: impl AsRef<Path>) -> AddFile {
        AddFile {
            api: self.api.clone(),
            path: path.as_ref().to_owned(),
            request: types::AddSshKeyRequest::new(""),
            options: CallOptions::default(),
        }
    }
}

impl Deref for SshKeys {
    type Target = fastvm_api::me::ssh_keys::SshKeys;

    fn deref(&self) -> &Self::Target {
        &self.tree
    }
}

/// A key file to be added: `client.me().ssh_keys().add_file(path)`.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct AddFile {
    api: Client,
    path: PathBuf,
    request: types::AddSshKeyRequest,
    options: CallOptions,
}

impl AddFile {
    fastvm_api::__add_ssh_key_setters!(request);
    fastvm_api::__call_options!(options);

    /// Sends the key and answers the body with status and headers.
    pub async fn send(mut self) -> Result<ResponseValue<types::SshKey>> {
        self.request.public_key = read_public_key(&self.path).await?;
        let add = self.api.me().ssh_keys().add("").body(self.request);
        add.call_options(self.options).send().await
    }
}

impl IntoFuture for AddFile {
    type Output = Result<types::SshKey>;
    type IntoFuture = Pending<types::SshKey>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}

async fn read_public_key(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = async {
        let file = tokio::fs::File::open(path).await?;
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).await
    };
    if let Err(error) = read.await {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let error = Error::new(kind, "the key cannot be read").with_source(error);
        return Err(error.with_path(path.to_string_lossy()));
    }
    public_key(&bytes)
        .map(str::to_owned)
        .map_err(|why| Error::new(ErrorKind::InvalidInput, why).with_path(path.to_string_lossy()))
}

/// The one public key of a file. A refusal never quotes the file, which may be a secret.
fn public_key(bytes: &[u8]) -> Result<&str, &'static str> {
    if is_private(bytes) {
        return Err(
            "this is a private key, which is not for sending: name the public one, mostly the file beside it that ends in `.pub`",
        );
    }
    if bytes.len() as u64 > MOST_BYTES {
        return Err("more than 16 KiB: this is no public key");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "this is no public key in OpenSSH form")?;
    let lines = text.lines().map(str::trim);
    let mut keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let key = keys.next().ok_or("there is no key in the file")?;
    if !KEY_TYPES.iter().any(|kind| key.starts_with(kind)) {
        return Err("this is no public key in OpenSSH form, such as \"ssh-ed25519 AAAA…\"");
    }
    match keys.next() {
        None => Ok(key),
        Some(_) => Err(
            "there is more than one line in the file: a key has one, and keys are added one by one",
        ),
    }
}

/// Keys in any PEM form, whatever stands before them, and those of PuTTY.
fn is_private(bytes: &[u8]) -> bool {
    let finds = |mark: &[u8]| memchr::memmem::find(bytes, mark).is_some();
    finds(b"PRIVATE KEY") || finds(b"PuTTY-User-Key-File")
}
