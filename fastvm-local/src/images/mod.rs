//! Images: the root directories that VMs can be made of, and how commands run in them.
//!
//! No registry is ever asked. An image is found in a folder that the user names, as an OCI image
//! layout or a `docker save` archive, or it is [`BASE`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fastvm_api::types::{SnapshotImportEventStatus, SnapshotImportPhase};
use oci_spec::distribution::Reference;
use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};
use tokio::select;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::sandbox::{ExecSpec, Host, RootKind, Tree, furnish};

pub(crate) mod dockerfile;
mod layer;
mod shelf;
mod source;
#[cfg(target_os = "linux")]
mod unpack;

use layer::{Checked, buffered, decompress};
use shelf::Shelf;
use source::{Layer, LayerDigest, Parts, Source};
use unpack::Root;

/// Nothing is unpacked where no VM can be had.
#[cfg(not(target_os = "linux"))]
mod unpack {
    use std::convert::Infallible;
    use std::io::{self, Read};
    use std::path::Path;

    pub(super) struct Root(Infallible);

    impl Root {
        pub(super) fn create(_: &Path) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn apply(&mut self, _: impl Read) -> io::Result<()> {
            match self.0 {}
        }

        pub(super) fn make_folder(&self, _: &str) -> io::Result<()> {
            match self.0 {}
        }

        pub(super) fn finish(self) -> io::Result<()> {
            match self.0 {}
        }
    }
}

/// The image of a cold launch: folders of its own, and `/usr` of the host. It needs no download.
pub(crate) const BASE: &str = "local/base";

/// A root directory and how commands run in it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) tree: Arc<Tree>,
    pub(crate) config: ImageConfig,
    /// Whether its programs are its own. Otherwise VMs of it have those of the host.
    pub(crate) has_own_root: bool,
}

/// What an image says about the commands that run in it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ImageConfig {
    pub(crate) env: BTreeMap<String, String>,
    /// The working directory, absolute; `/` unless told.
    pub(crate) workdir: Option<String>,
    /// `name`, `uid`, `name:group` or `uid:gid`; root unless told.
    pub(crate) user: Option<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Such as `80/tcp`.
    pub(crate) exposed_ports: BTreeSet<String>,
}

impl fmt::Debug for ImageConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.debug_struct("ImageConfig")
            .field("variables", &self.env.keys())
            .field("workdir", &self.workdir)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What VMs, and snapshots of them, keep of their image beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) config: ImageConfig,
    pub(crate) has_own_root: bool,
}

impl Image {
    pub(crate) fn origin(&self) -> Origin {
        Origin {
            config: self.config.clone(),
            has_own_root: self.has_own_root,
        }
    }
}

impl Origin {
    pub(crate) fn root(&self) -> RootKind {
        if self.has_own_root {
            RootKind::Own
        } else {
            RootKind::Host
        }
    }

    /// A command as the image has it run: its user, in its working directory.
    pub(crate) fn command<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> ExecSpec {
        let mut spec = ExecSpec::new(argv);
        spec.cwd = self.config.workdir.clone();
        spec.user = self.config.user.clone();
        spec
    }
}

/// An entry of the log of an import, which gets its time when it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct ImportEvent {
    pub(crate) phase: SnapshotImportPhase,
    pub(crate) status: SnapshotImportEventStatus,
    /// For users: without secrets and without paths of the server.
    pub(crate) message: Option<String>,
}

/// Where images are found. A build starts from one, and makes its own in a [`place`](Self::place).
#[derive(Debug)]
pub(crate) struct Images {
    /// Where trees are made. It goes with the server.
    folder: PathBuf,
    host: Host,
    shelf: Arc<Shelf>,
    base: Image,
    /// What was unpacked, by its id. One at a time, so that nothing is unpacked twice.
    unpacked: tokio::sync::Mutex<HashMap<String, Image>>,
}

/// Why there is no such image. Its text is one line for users.
#[derive(Debug)]
pub(crate) enum ImageError {
    /// It is none, or none that is here; says what is and how to put it here.
    NotFound(String),
    /// It is damaged, or not for VMs of this machine.
    Unusable(String),
    Io(io::Error),
    Cancelled,
}

impl Images {
    /// `folder` is made, for what is made of images; `dir` is where the user has put some.
    pub(crate) fn new(host: &Host, folder: PathBuf, dir: Option<PathBuf>) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let base = folder.join("base");
        furnish(&base, "localhost")?;
        Ok(Self {
            base: Image {
                tree: Arc::new(Tree::at(base)),
                config: ImageConfig::default(),
                has_own_root: false,
            },
            shelf: Arc::new(Shelf::new(dir, folder.clone())),
            folder,
            host: host.clone(),
            unpacked: tokio::sync::Mutex::default(),
        })
    }

    /// The image of this name, such as `local/base` or `python:3.13-slim`, for a platform such as
    /// `linux/amd64`, this machine's unless told.
    pub(crate) async fn find(
        &self,
        reference: &str,
        platform: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Image, ImageError> {
        let asked = parse(reference).map_err(ImageError::NotFound)?;
        check_platform(platform)?;
        if is_base(&asked) {
            return Ok(self.base.clone());
        }
        select! {
            found = self.unpacked(asked, cancel) => found,
            () = cancel.cancelled() => Err(ImageError::Cancelled),
        }
    }

    async fn unpacked(
        &self,
        asked: Reference,
        cancel: &CancellationToken,
    ) -> Result<Image, ImageError> {
        let mut unpacked = self.unpacked.lock().await;
        let shelf = Arc::clone(&self.shelf);
        let (source, parts) = blocking(move || shelf.find(&asked, &own_platform())).await?;
        if let Some(image) = unpacked.get(&parts.id) {
            return Ok(image.clone());
        }
        let id = parts.id.clone();
        let (tree, cancel) = (self.place(), cancel.clone());
        let image = blocking(move || unpack(&source, &parts, tree, &cancel)).await?;
        unpacked.insert(id, image.clone());
        Ok(image)
    }

    /// A place for a root directory that is made here: nothing is there yet, and what is put there
    /// is deleted when the last who holds it lets go.
    pub(crate) fn place(&self) -> Tree {
        let path = self.folder.join(Uuid::new_v4().simple().to_string());
        Tree::temporary(path, self.host.clone())
    }
}

/// A reference with all that may be left out: the registry and `latest`.
pub(crate) fn parse(reference: &str) -> Result<Reference, String> {
    let parsed = reference.parse();
    parsed.map_err(|error| format!("{reference:?} is no reference to an image: {error}"))
}

fn is_base(reference: &Reference) -> bool {
    reference.registry() == "docker.io" && reference.repository() == BASE
}

/// The platform whose programs run on this machine.
pub(crate) fn own_platform() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        other => other,
    };
    format!("linux/{arch}")
}

/// A variant such as `/v8` may follow: it is not looked at.
fn check_platform(asked: Option<&str>) -> Result<(), ImageError> {
    let own = own_platform();
    match asked {
        Some(asked) if asked != own && !asked.starts_with(&format!("{own}/")) => {
            let text = format!("platform {asked}: VMs of this machine are {own}");
            Err(ImageError::Unusable(text))
        }
        _ => Ok(()),
    }
}

/// A working directory from `/` on.
fn absolute(path: String) -> String {
    if path.starts_with('/') {
        path
    } else {
        format!("/{path}")
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Unpacks an image into a free place.
fn unpack(
    source: &Source,
    parts: &Parts,
    tree: Tree,
    cancel: &CancellationToken,
) -> Result<Image, ImageError> {
    let mut root = Root::create(tree.path())?;
    for (number, layer) in parts.layers.iter().enumerate() {
        put(source, layer, &mut root, cancel).map_err(|error| {
            if cancel.is_cancelled() {
                return ImageError::Cancelled;
            }
            ImageError::Unusable(format!("layer {} of the image: {error}", number + 1))
        })?;
    }
    let config = config_of(&parts.config);
    if let Some(workdir) = &config.workdir {
        root.make_folder(workdir)?;
    }
    root.finish()?;
    Ok(Image {
        tree: Arc::new(tree),
        config,
        has_own_root: true,
    })
}

fn put(
    source: &Source,
    layer: &Layer,
    root: &mut Root,
    cancel: &CancellationToken,
) -> io::Result<()> {
    let stored = source.layer(layer)?;
    match &layer.digest {
        LayerDigest::Stored(digest) => {
            let mut stored = Checked::new(stored, cancel);
            let mut plain = decompress(buffered(&mut stored))?;
            root.apply(&mut plain)?;
            drop(plain);
            stored.verify(digest)
        }
        LayerDigest::Plain(digest) => {
            let mut plain = Checked::new(decompress(buffered(stored))?, cancel);
            root.apply(&mut plain)?;
            plain.verify(digest)
        }
    }
}

/// What of an image's configuration is for VMs.
fn config_of(image: &ImageConfiguration) -> ImageConfig {
    let Some(config) = image.config() else {
        return ImageConfig::default();
    };
    let variables = config.env().iter().flatten();
    let text = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    ImageConfig {
        env: variables
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        workdir: text(config.working_dir()).map(absolute),
        user: text(config.user()),
        entrypoint: config.entrypoint().clone().unwrap_or_default(),
        cmd: config.cmd().clone().unwrap_or_default(),
        labels: config
            .labels()
            .iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        exposed_ports: config.exposed_ports().iter().flatten().cloned().collect(),
    }
}

impl From<io::Error> for ImageError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(text) | Self::Unusable(text) => f.write_str(text),
            Self::Io(_) => f.write_str("the image could not be read or unpacked"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl Error for ImageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
