//! Staging objects behind signed URLs: what uploads and downloads pass through.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use sha2::Sha256;
use tempfile::{NamedTempFile, TempPath};
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// The path below which objects lie.
pub(crate) const PREFIX: &str = "/_storage";

/// The objects of a server, a folder for each VM.
#[derive(Debug)]
pub(crate) struct Storage {
    base_url: String,
    folder: PathBuf,
    /// Keyed with a secret of this server, which no one else has.
    mac: Hmac<Sha256>,
    lifetime: Duration,
}

/// The name of an object: the VM it belongs to, and a random part.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) vm_id: String,
    pub(crate) key: String,
}

impl Object {
    pub(crate) fn new(vm_id: &str) -> Self {
        Self {
            vm_id: vm_id.to_owned(),
            key: Uuid::new_v4().simple().to_string(),
        }
    }

    fn path(&self) -> String {
        format!("{PREFIX}/{}/{}", self.vm_id, self.key)
    }
}

/// The query of a signed URL.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    expires_ms: u64,
    method: String,
    signature: String,
}

impl Signed {
    pub(crate) fn parse(query: &str) -> Self {
        let mut signed = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "expires" => signed.expires_ms = value.parse().unwrap_or_default(),
                "method" => signed.method = value.into_owned(),
                "sig" => signed.signature = value.into_owned(),
                _ => {}
            }
        }
        signed
    }
}

/// A signed URL is not good for what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Forged,
    Expired,
}

impl Storage {
    pub(crate) fn new(base_url: String, folder: PathBuf, lifetime: Duration) -> Self {
        let mut secret = Key::<Hmac<Sha256>>::default();
        for part in secret.chunks_exact_mut(16) {
            part.copy_from_slice(Uuid::new_v4().as_bytes());
        }
        Self {
            base_url,
            folder,
            mac: Hmac::new(&secret),
            lifetime,
        }
    }

    /// How long a signed URL lives.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// When URLs signed now expire.
    pub(crate) fn expiry(&self) -> u64 {
        let lifetime = u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX);
        now_ms().saturating_add(lifetime)
    }

    /// A URL that allows this method on this object until then. It has no character that a shell
    /// treats specially within single quotes.
    pub(crate) fn sign(&self, method: &Method, object: &Object, expires_ms: u64) -> String {
        let signature = self.mac(method.as_str(), object, expires_ms).finalize();
        let signature = base64_simd::URL_SAFE_NO_PAD.encode_to_string(signature.into_bytes());
        let (base, path) = (&self.base_url, object.path());
        format!("{base}{path}?expires={expires_ms}&method={method}&sig={signature}")
    }

    /// Whether a URL allows this method on this object.
    pub(crate) fn check(
        &self,
        method: &Method,
        object: &Object,
        signed: &Signed,
    ) -> Result<(), Denied> {
        let signature = base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(&signed.signature)
            .map_err(|_| Denied::Forged)?;
        self.mac(method.as_str(), object, signed.expires_ms)
            .verify_slice(&signature)
            .map_err(|_| Denied::Forged)?;
        if signed.method != method.as_str() {
            return Err(Denied::Forged);
        }
        if now_ms() >= signed.expires_ms {
            return Err(Denied::Expired);
        }
        Ok(())
    }

    /// The path and query of a URL of ours to read an object from, if it is still good.
    pub(crate) fn check_download_url<'a>(&self, url: &'a str) -> Result<&'a str, Denied> {
        let target = url.strip_prefix(&self.base_url).ok_or(Denied::Forged)?;
        let (path, query) = target
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('/')?.split_once('?'))
            .ok_or(Denied::Forged)?;
        let (vm_id, key) = path.split_once('/').ok_or(Denied::Forged)?;
        let object = Object {
            vm_id: vm_id.to_owned(),
            key: key.to_owned(),
        };
        self.check(&Method::GET, &object, &Signed::parse(query))?;
        Ok(target)
    }

    fn mac(&self, method: &str, object: &Object, expires_ms: u64) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(format!("{method}\n{}\n{expires_ms}", object.path()).as_bytes());
        mac
    }

    fn folder_of(&self, vm_id: &str) -> PathBuf {
        self.folder.join(vm_id)
    }

    /// Where the object is. Only for an object whose signature was checked: its name is ours then.
    pub(crate) fn path_of(&self, object: &Object) -> PathBuf {
        self.folder_of(&object.vm_id).join(&object.key)
    }

    /// A file to be written and then [`Upload::finish`]ed.
    pub(crate) async fn upload(&self, object: &Object) -> io::Result<Upload> {
        let folder = self.folder_of(&object.vm_id);
        let destination = self.path_of(object);
        let made = spawn_blocking(move || temporary_file(&folder));
        let (file, path) = made.await.map_err(io::Error::other)??;
        Ok(Upload {
            file: tokio::fs::File::from_std(file),
            path,
            destination,
        })
    }

    /// Removes all objects of a VM, in the background.
    pub(crate) fn remove_all(&self, vm_id: &str) {
        let folder = self.folder_of(vm_id);
        drop(spawn_blocking(move || std::fs::remove_dir_all(folder)));
    }
}

/// An object on its way in. Dropping it leaves nothing.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) file: tokio::fs::File,
    path: TempPath,
    destination: PathBuf,
}

impl Upload {
    /// Puts the object in its place, as a whole.
    pub(crate) async fn finish(mut self) -> io::Result<String> {
        use tokio::io::AsyncWriteExt;
        self.file.flush().await?;
        let tag = entity_tag(&self.file.metadata().await?)?;
        let Self {
            path, destination, ..
        } = self;
        let moved = spawn_blocking(move || path.persist(destination));
        moved.await.map_err(io::Error::other)??;
        Ok(tag)
    }
}

fn temporary_file(folder: &Path) -> io::Result<(std::fs::File, TempPath)> {
    std::fs::create_dir_all(folder)?;
    Ok(NamedTempFile::new_in(folder)?.into_parts())
}

/// The ETag of an object: each PUT makes a new file.
pub(crate) fn entity_tag(file: &std::fs::Metadata) -> io::Result<String> {
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(file);
    #[cfg(not(unix))]
    let number = 0;
    let modified = file.modified()?.duration_since(UNIX_EPOCH);
    let age = modified.unwrap_or_default().as_nanos();
    Ok(format!("\"{number:x}-{age:x}-{:x}\"", file.len()))
}

/// Opens an object for reading; `None` if nothing was put there.
pub(crate) async fn open(path: &Path) -> io::Result<Option<(tokio::fs::File, std::fs::Metadata)>> {
    match tokio::fs::File::open(path).await {
        Ok(file) => {
            let metadata = file.metadata().await?;
            Ok(Some((file, metadata)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
