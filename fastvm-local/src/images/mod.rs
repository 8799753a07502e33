//! Images: the root directories that VMs can be made of, and how commands run in them.
//!
//! No registry is ever asked. An image is found in a folder that the user names, as an OCI image
//! layout or a `docker save` archive, or it is [`BASE`].

// The operations that use it come next.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fastvm_api::types::{SnapshotImportEventStatus, SnapshotImportPhase};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::sandbox::{Tree, furnish};

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

/// An entry of the log of an import, which gets its time when it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct ImportEvent {
    pub(crate) phase: SnapshotImportPhase,
    pub(crate) status: SnapshotImportEventStatus,
    /// For users: without secrets and without paths of the server.
    pub(crate) message: Option<String>,
}

/// Where images are found. A build starts from one, and makes its own in a [`place`](Self::place):
///
/// ```text
/// async fn build(context_zip: &Path, spec: &DockerfileSpec, images: &Images, host: &Host,
///                progress: impl Fn(ImportEvent) + Send + Sync, cancel: CancellationToken)
///     -> Result<Image, BuildError>
/// ```
#[derive(Debug)]
pub(crate) struct Images {
    /// Where trees are made. It goes with the server.
    folder: PathBuf,
    /// Where the user has put images.
    dir: Option<PathBuf>,
    base: Image,
}

/// Why there is no such image. Its text is one line for users.
#[derive(Debug)]
pub(crate) enum ImageError {
    /// It is none, or none that is here; says what is and how to put it here.
    NotFound(String),
    Io(io::Error),
    Cancelled,
}

impl Images {
    /// What is made of images lies in `folder`, which is made.
    pub(crate) fn new(folder: PathBuf, dir: Option<PathBuf>) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let base = folder.join("base");
        furnish(&base, "localhost")?;
        Ok(Self {
            base: Image {
                tree: Arc::new(Tree::at(base)),
                config: ImageConfig::default(),
                has_own_root: false,
            },
            folder,
            dir,
        })
    }

    /// The image of this name, such as `local/base` or `python:3.13-slim`, for the platform such as
    /// `linux/amd64`, this machine's unless told.
    pub(crate) async fn find(
        &self,
        reference: &str,
        platform: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Image, ImageError> {
        if reference == BASE {
            return Ok(self.base.clone());
        }
        let _ = (platform, cancel, &self.dir);
        Err(ImageError::NotFound(format!("{reference}: no such image")))
    }

    /// A place for a root directory that is made here: nothing is there yet, and what is put there
    /// is deleted when the last who holds it lets go.
    pub(crate) fn place(&self) -> Tree {
        let tree = Tree::at(self.folder.join(Uuid::new_v4().simple().to_string()));
        tree.discard();
        tree
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
            Self::NotFound(text) => f.write_str(text),
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
