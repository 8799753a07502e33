//! An image build: from the request to the snapshot that is ready.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use fastvm_api::types::{self, SnapshotImportResponse as Import, SnapshotImportStatus as Status};
use fastvm_api::{
    CallInfo, CallOptions, Client, Error, ErrorKind, Operation, Outcome, Pending, Result,
};
use futures_core::Stream;
use http::{HeaderValue, Method, header};
use tokio::time::Instant;
use tokio_util::io::ReaderStream;
use tracing::Instrument;

use super::context::Context;
use crate::cleanup::{DeleteOnDrop, Leftover};
use crate::connector::storage_request;
use crate::poll::{is_final, poll_pause};

static PUT_CONTEXT: Operation = Operation::storage("upload of the build context", "PUT");

/// The longest pause between two polls, unless the caller says.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// So many polls in a row that fail, each after its own retries, end the wait.
const MOST_FAILED_POLLS: u32 = 10;

/// How often the context is sent, when storage fails in passing.
const PUTS: u32 = 3;

/// How many events an error carries.
const LAST_EVENTS: usize = 20;

/// Both kinds of build are tuned alike.
macro_rules! build_setters {
    () => {
        fastvm_api::__create_snapshot_import_setters!(request);
        fastvm_api::__call_options!(options);

        /// The longest pause between two polls; 2 s by default. The first are shorter.
        pub fn poll_interval(mut self, interval: Duration) -> Self {
            self.poll_interval = interval;
            self
        }
    };
}

/// An import of an image: `client.snapshot_imports().build_image("python:3.13-slim")`. Awaited, it is
/// under way.
#[derive(Clone, Debug)]
#[must_use = "nothing is built until this is awaited"]
pub struct BuildImage {
    api: Client,
    request: types::CreateSnapshotImportRequest,
    options: CallOptions,
    poll_interval: Duration,
}

impl BuildImage {
    pub(super) fn new(api: &Client, source: types::SnapshotImportSourceSpec) -> Self {
        Self {
            api: api.clone(),
            request: types::CreateSnapshotImportRequest::new(source),
            options: CallOptions::default(),
            poll_interval: POLL_INTERVAL,
        }
    }

    build_setters!();

    /// Which platform of the image, as `<os>/<arch>`; `linux/amd64` by default.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.request.source.platform = Some(platform.into());
        self
    }

    /// The login for a private image: a name, and a password or token. It is in no `Debug` output and
    /// no error.
    pub fn registry_login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.request.source.registry_username = Some(user.into());
        self.request.source.registry_password = Some(password.into());
        self
    }
}

impl IntoFuture for BuildImage {
    type Output = Result<ImageBuild>;
    type IntoFuture = Pending<ImageBuild>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(start(
            self.api,
            self.request,
            self.options,
            self.poll_interval,
        ))
    }
}

/// A build of a Dockerfile: `client.snapshot_imports().build_dockerfile("./dir")`. Awaited, it is
/// under way.
#[derive(Clone, Debug)]
#[must_use = "nothing is built until this is awaited"]
pub struct BuildDockerfile {
    api: Client,
    request: types::CreateSnapshotImportRequest,
    context: Context,
    options: CallOptions,
    poll_interval: Duration,
}

impl BuildDockerfile {
    pub(super) fn new(api: &Client, folder: PathBuf) -> Self {
        let kind = types::SnapshotImportSourceKind::Dockerfile;
        let source = types::SnapshotImportSourceSpec::new(kind);
        Self {
            api: api.clone(),
            request: types::CreateSnapshotImportRequest::new(source),
            context: Context {
                folder,
                dockerfile: "Dockerfile".to_owned(),
            },
            options: CallOptions::default(),
            poll_interval: POLL_INTERVAL,
        }
    }

    build_setters!();

    /// The Dockerfile's path within the folder; `Dockerfile` by default.
    pub fn dockerfile(mut self, path: impl Into<String>) -> Self {
        self.context.dockerfile = path.into();
        self.request.source.dockerfile_path = Some(self.context.dockerfile.clone());
        self
    }

    /// The stage to build; the last by default.
    pub fn target(mut self, stage: impl Into<String>) -> Self {
        self.request.source.target = Some(stage.into());
        self
    }

    /// A build argument; at most 64, and 8 KiB altogether. It is no place for secrets: the service
    /// shows it in its answers.
    pub fn build_arg(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let args = self.request.source.build_args.get_or_insert_default();
        args.insert(name.into(), value.into());
        self
    }

    /// The login for private base images: the registry's host, a name, and a password or token. It is
    /// in no `Debug` output and no error.
    pub fn registry_login(
        mut self,
        host: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        self.request.source.registry_host = Some(host.into());
        self.request.source.registry_username = Some(user.into());
        self.request.source.registry_password = Some(password.into());
        self
    }

    async fn run(mut self) -> Result<ImageBuild> {
        let context = self.context;
        let packed = tokio::task::spawn_blocking(move || context.pack()).await;
        let (archive, size) = packed.map_err(|panic| {
            Error::new(ErrorKind::Io, "the context could not be packed").with_source(panic)
        })??;
        let reference = send_context(&self.api, archive, size, &self.options).await?;
        self.request.source.context_ref = Some(reference);
        start(self.api, self.request, self.options, self.poll_interval).await
    }
}

impl IntoFuture for BuildDockerfile {
    type Output = Result<ImageBuild>;
    type IntoFuture = Pending<ImageBuild>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Puts the archive into storage, and gives the name that the service has for it.
async fn send_context(
    api: &Client,
    archive: std::fs::File,
    size: u64,
    options: &CallOptions,
) -> Result<String> {
    let mut archive = tokio::fs::File::from_std(archive);
    let mut attempt = 1;
    loop {
        let presign = api.snapshot_imports().presign_context();
        let presign = presign.size_bytes(i64::try_from(size).unwrap_or(i64::MAX));
        let urls = presign.call_options(options.clone()).await?;
        if u64::try_from(urls.max_upload_bytes).is_ok_and(|most| size > most) {
            let most = urls.max_upload_bytes;
            let message = format!(
                "the context has {size} bytes as an archive, but {most} at most are taken: leave out more by a `.dockerignore`"
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        match put(api, &mut archive, size, &urls.upload_url).await {
            Ok(()) => return Ok(urls.context_ref),
            Err(error) if error.is_transient() && attempt < PUTS => {
                tokio::time::sleep(Duration::from_millis(500 << attempt)).await;
                attempt += 1;
            }
            Err(error) => return Err(error.with_attempts(attempt)),
        }
    }
}

async fn put(api: &Client, archive: &mut tokio::fs::File, size: u64, url: &str) -> Result<()> {
    use tokio::io::AsyncSeekExt;
    let unreadable =
        |error| Error::new(ErrorKind::Io, "the archive cannot be read").with_source(error);
    archive.rewind().await.map_err(unreadable)?;
    let archive = archive.try_clone().await.map_err(unreadable)?;
    let mut request = storage_request(Method::PUT, url)?;
    let headers = request.headers_mut();
    let zip = HeaderValue::from_static("application/zip");
    headers.insert(header::CONTENT_TYPE, zip);
    headers.insert(header::CONTENT_LENGTH, size.into());
    let body = reqwest::Body::wrap_stream(ReaderStream::with_capacity(archive, 256 * 1024));
    *request.body_mut() = Some(body);
    api.send(request, &CallInfo::new(&PUT_CONTEXT))
        .await
        .map(drop)
}

/// Requests the import in a task of its own, so that it is cancelled if this future is dropped.
async fn start(
    api: Client,
    request: types::CreateSnapshotImportRequest,
    options: CallOptions,
    poll_interval: Duration,
) -> Result<ImageBuild> {
    let source = request.source.clone();
    let create = api.snapshot_imports().create(source).body(request);
    let create = create.call_options(options);
    let creation = async move {
        let import = create.await.map_err(|error| match error.outcome() {
            Outcome::Unknown => error.with_advice(
                "an import may be under way all the same: look through `snapshot_imports().list()`",
            ),
            _ => error,
        })?;
        Ok(ImageBuild::new(api, import, poll_interval))
    };
    tokio::spawn(creation.in_current_span())
        .await
        .unwrap_or_else(|cause| {
            let message = "the runtime ended before the answer came";
            Err(Error::new(ErrorKind::Connection, message).with_source(cause))
        })
}

/// An image build under way: a stream of its events, and the snapshot in the end.
///
/// The stream ends after the last event, or with the error of a build that failed;
/// [`snapshot`](Self::snapshot) answers that, too. To be dropped when it is not over means to cancel
/// it, in the background, with what it has made: [`detach`](Self::detach) leaves it. Polls
/// `GET /v1/snapshot-imports/{id}`.
pub struct ImageBuild {
    api: Client,
    id: String,
    poll_interval: Duration,
    start: Instant,
    /// What the stream has still to give.
    events: VecDeque<types::SnapshotImportEvent>,
    /// For the error.
    last: VecDeque<types::SnapshotImportEvent>,
    seen: usize,
    /// Until it is over.
    poll: Option<Asking>,
    end: Option<End>,
    has_told_failure: bool,
    cancellation: Option<DeleteOnDrop>,
}

/// How a build ended.
enum End {
    Snapshot(String),
    Failed(Status, String),
    /// Nobody knows: it could not be asked for.
    Lost(String, Outcome),
}

type Asking = Pin<Box<dyn Future<Output = Result<Import>> + Send>>;

impl ImageBuild {
    fn new(api: Client, import: Import, poll_interval: Duration) -> Self {
        let leftover = Leftover::Import(import.id.clone());
        let mut build = Self {
            cancellation: Some(DeleteOnDrop::of(&api, leftover)),
            api,
            id: import.id.clone(),
            poll_interval,
            start: Instant::now(),
            events: VecDeque::new(),
            last: VecDeque::new(),
            seen: 0,
            poll: None,
            end: None,
            has_told_failure: false,
        };
        build.learn(import);
        build
    }

    /// The id of the import.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits until the build is over, and gives its snapshot, which is ready. Events that the stream
    /// has not given are skipped. Sends `GET /v1/snapshots/{id}` in the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Build`] if it failed or was cancelled: [`Error::build_events`] has the last
    /// events.
    pub async fn snapshot(mut self) -> Result<types::Snapshot> {
        std::future::poll_fn(|context| self.poll_end(context)).await;
        match &self.end {
            Some(End::Snapshot(id)) => self.api.snapshots().retrieve(id).await,
            _ => Err(self.error()),
        }
    }

    /// Ends the build, and answers how the import is then: `cancelled`, or how it had ended before,
    /// its snapshot included. Sends `POST /v1/snapshot-imports/{id}/cancel`.
    ///
    /// # Errors
    ///
    /// Those of the call: the build may go on.
    pub async fn cancel(mut self) -> Result<Import> {
        let import = self.api.snapshot_imports().cancel(&self.id).await?;
        self.leave();
        Ok(import)
    }

    /// Leaves the build under way, and gives the id of its import, for
    /// `client.snapshot_imports().retrieve(id)`.
    pub fn detach(mut self) -> String {
        self.leave();
        self.id.clone()
    }

    fn leave(&mut self) {
        if let Some(cancellation) = self.cancellation.take() {
            cancellation.disarm();
        }
    }

    fn learn(&mut self, import: Import) {
        let total = import.events.len();
        for event in import.events.into_iter().skip(self.seen) {
            self.last.push_back(event.clone());
            if self.last.len() > LAST_EVENTS {
                self.last.pop_front();
            }
            self.events.push_back(event);
        }
        self.seen = self.seen.max(total);
        let end = match (import.status, import.snapshot_id) {
            (Status::Succeeded, Some(snapshot)) => End::Snapshot(snapshot),
            (status @ (Status::Succeeded | Status::Failed | Status::Cancelled), _) => {
                End::Failed(status, import.error.unwrap_or_default())
            }
            // One that this version does not know counts as on its way.
            _ => {
                self.poll = Some(self.next_poll());
                return;
            }
        };
        self.end = Some(end);
        self.leave();
    }

    fn next_poll(&self) -> Asking {
        let (api, id) = (self.api.clone(), self.id.clone());
        let pause = poll_pause(self.start.elapsed(), self.poll_interval);
        Box::pin(async move {
            let mut failed = 0;
            loop {
                tokio::time::sleep(pause).await;
                match api.snapshot_imports().retrieve(&id).await {
                    Err(error) if !is_final(&error) && failed < MOST_FAILED_POLLS => failed += 1,
                    answer => return answer,
                }
            }
        })
    }

    /// Asks until there is something new.
    fn poll_news(&mut self, context: &mut TaskContext<'_>) -> Poll<()> {
        let Some(poll) = &mut self.poll else {
            return Poll::Ready(());
        };
        let answer = ready!(poll.as_mut().poll(context));
        self.poll = None;
        match answer {
            Ok(import) => self.learn(import),
            // What cannot be asked for is cancelled when this goes, if it is still there.
            Err(error) => self.end = Some(End::Lost(error.to_string(), error.outcome())),
        }
        Poll::Ready(())
    }

    fn poll_end(&mut self, context: &mut TaskContext<'_>) -> Poll<()> {
        while self.end.is_none() {
            ready!(self.poll_news(context));
        }
        Poll::Ready(())
    }

    fn error(&self) -> Error {
        let id = &self.id;
        let (message, outcome) = match &self.end {
            Some(End::Failed(status, reason)) => {
                let reason = match (reason.as_str(), self.last.back()) {
                    ("", Some(event)) => event.message.clone().unwrap_or_default(),
                    (reason, _) => reason.to_owned(),
                };
                let message = format!("the import {id} ended as `{status}`: {reason}");
                (message.trim_end_matches(": ").to_owned(), Outcome::Unknown)
            }
            Some(End::Lost(why, outcome)) => (
                format!("the import {id} cannot be followed: {why}"),
                *outcome,
            ),
            _ => (format!("the import {id} has no end"), Outcome::Unknown),
        };
        Error::new(ErrorKind::Build, message)
            .with_outcome(outcome)
            .with_build_events(self.last.iter().cloned().collect())
    }
}

impl Stream for ImageBuild {
    type Item = Result<types::SnapshotImportEvent>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Self::Item>> {
        let build = &mut *self;
        loop {
            if let Some(event) = build.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match build.end {
                Some(End::Snapshot(_)) => return Poll::Ready(None),
                Some(_) if build.has_told_failure => return Poll::Ready(None),
                Some(_) => {
                    build.has_told_failure = true;
                    return Poll::Ready(Some(Err(build.error())));
                }
                None => ready!(build.poll_news(context)),
            }
        }
    }
}

impl fmt::Debug for ImageBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageBuild")
            .field("id", &self.id)
            .field("is_over", &self.end.is_some())
            .finish_non_exhaustive()
    }
}
