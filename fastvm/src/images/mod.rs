//! Snapshots made of an image, or of what a Dockerfile builds.

mod build;
mod context;
mod ignored;

use std::ops::Deref;
use std::path::Path;

use fastvm_api::{Client, types};

pub use build::{BuildDockerfile, BuildImage, ImageBuild};

/// The calls on snapshot imports: `client.snapshot_imports()`.
///
/// Derefs to the generated [`fastvm_api::snapshot_imports::SnapshotImports`].
#[derive(Clone, Debug)]
pub struct SnapshotImports {
    api: Client,
    tree: fastvm_api::snapshot_imports::SnapshotImports,
}

impl crate::Client {
    /// The calls on snapshot imports: `build_image`, `build_dockerfile`, and every operation of the
    /// resource.
    pub fn snapshot_imports(&self) -> SnapshotImports {
        let api: &Client = self;
        SnapshotImports {
            api: api.clone(),
            tree: api.snapshot_imports(),
        }
    }
}

impl SnapshotImports {
    /// Makes a snapshot of a Docker or OCI image, by its reference with a tag or a digest.
    ///
    /// Awaited, it is under way, as an [`ImageBuild`]: a stream of its events, and
    /// [`snapshot`](ImageBuild::snapshot) for what comes of it. Sends `POST /v1/snapshot-imports`,
    /// once.
    ///
    /// # Errors
    ///
    /// A 400 if the request is not valid. If the answer is lost, the
    /// [`outcome`](crate::Error::outcome) is `Unknown`: an import may be under way.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// let build = client.snapshot_imports().build_image("local/base").name("base").await?;
    /// let snapshot = build.snapshot().await?;
    /// let vm = client.vms().restore(&snapshot.id).await?;
    /// assert_eq!(vm.run("echo up").await?.stdout, "up\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_image(&self, image: impl Into<String>) -> BuildImage {
        let source = types::SnapshotImportSourceSpec::new(types::SnapshotImportSourceKind::Image);
        BuildImage::new(&self.api, source.image(image))
    }

    /// Builds the Dockerfile of a folder, and makes a snapshot of what comes of it.
    ///
    /// The folder is the context. What its `.dockerignore` leaves out is not sent (nor what
    /// `<Dockerfile>.dockerignore` does, which comes first); the Dockerfile always is. Modes and
    /// symbolic links are kept, times and owners are not. The archive is made in a temporary file.
    ///
    /// Awaited, the context is sent and the build is under way: see [`build_image`](Self::build_image).
    /// Sends `POST /v1/snapshot-imports/context-presign`, the archive to the signed URL, and
    /// `POST /v1/snapshot-imports`, once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) with the path if there is no Dockerfile,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if a file cannot be read,
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the context is larger than the
    /// service takes: nothing is built then. Else those of [`build_image`](Self::build_image).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use futures_util::TryStreamExt;
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let project = folder.path();
    /// std::fs::write(project.join("Dockerfile"), "FROM local/base\nCOPY hello /root/\n")?;
    /// std::fs::write(project.join("hello"), "hello")?;
    /// let mut build = client.snapshot_imports().build_dockerfile(project).await?;
    /// while let Some(event) = build.try_next().await? {
    ///     println!("{} {}", event.phase, event.status);
    /// }
    /// let vm = client.vms().restore(&build.snapshot().await?.id).await?;
    /// assert_eq!(vm.run("cat /root/hello").await?.stdout, "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_dockerfile(&self, folder: impl AsRef<Path>) -> BuildDockerfile {
        BuildDockerfile::new(&self.api, folder.as_ref().to_owned())
    }
}

impl Deref for SnapshotImports {
    type Target = fastvm_api::snapshot_imports::SnapshotImports;

    fn deref(&self) -> &Self::Target {
        &self.tree
    }
}
