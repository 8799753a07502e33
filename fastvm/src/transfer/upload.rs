//! From this machine into a VM.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fastvm_api::types::{ExecVmResponse, FilePresignResponse};
use fastvm_api::{Client, Error, ErrorKind, Pending, Result};
use http::{HeaderValue, Method, header};
use reqwest::Body;
use tokio::io::AsyncRead;

use super::checksum::Checksum;
use super::outgoing::{Outgoing, Sent};
use super::pack::Packing;
use super::progress::Meter;
use super::source::{Content, Source};
use super::staging::Staging;
use super::{
    Options, STEP_TIMEOUT, STORAGE_PUT, check_remote, exec, stalled, step_failed, storage,
    transfer_setters,
};
use crate::connector::storage_request;
use crate::exec::{succeeded, timeout_sec};
use crate::idle::watched;

/// Whether what was staged (`$1`) has its length (`$2`) and, if one is given, its SHA-256 (`$3`); and
/// how it gets its name.
const WHOLE: &str = r#"
staged=$1 size=$2 sum=$3
whole() {
    found=$(wc -c < "$staged") || return
    [ "$found" -eq "$size" ] || { echo "only $found of $size bytes arrived" >&2; return 1; }
    [ -n "$sum" ] || return 0
    command -v sha256sum > /dev/null || { echo "verifying needs sha256sum in the VM" >&2; return 1; }
    found=$(sha256sum < "$staged") || return
    [ "${found%% *}" = "$sum" ] || { echo "the checksum is another: the data was damaged" >&2; return 1; }
}
# `mv` puts it into a folder that somebody has made there just now.
settle() {
    mv -f "$1" "$target" || return
    into=$target/${1##*/}
    [ ! -e "$into" ] || { rm -rf "$into"; echo "a folder has come about there meanwhile" >&2; return 1; }
}
"#;

/// Gives a staged file its mode (`$4`) and its name (`$5`), at once and as a whole.
const RENAME: &str = r#"
mode=$4 target=$5
place() {
    whole || return
    [ ! -d "$target" ] || { echo "it is a folder: name the file" >&2; return 1; }
    chmod "$mode" "$staged" && settle "$staged"
}
place; code=$?
[ "$code" = 0 ] || rm -f "$staged"
exit "$code"
"#;

/// Unpacks a staged archive into a folder (`$5`) with tar's options (`$6`). A new one is made under
/// another name (`$7`), given its mode (`$4`) and renamed. `tar -C` would take a backslash in a name for an escape. The
/// target is looked at again before the renaming: it may be `..` of what was just made.
const UNPACK: &str = r#"
mode=$4 target=$5 how=$6 beside=$7
place() {
    whole || return
    if [ -e "$target" ] || [ -L "$target" ]; then
        cd "$target" && tar "$how" "$staged"
        return
    fi
    mkdir -p "$beside" && (cd "$beside" && tar "$how" "$staged") || return
    [ ! -e "$target" ] || { echo "it has come about meanwhile" >&2; return 1; }
    chmod "$mode" "$beside" && settle "$beside"
}
place; code=$?
rm -rf "$staged" "$beside"
exit "$code"
"#;

/// The exit codes of curl for faults of the network: no name, no connection, a part only, TLS,
/// nothing, sending, receiving, HTTP/2.
const NETWORK_FAULTS: &[i64] = &[6, 7, 18, 35, 52, 55, 56, 92];

/// The exit code of curl for a status that is no success, which stderr names.
const STATUS_FAULT: i64 = 22;

/// An upload: `client.upload(&id, local, remote)`, `vm.upload(local, remote)`.
///
/// See [`Client::upload`](crate::Client::upload). Dropping the future cancels it: nothing more is
/// sent, and what the VM holds under a temporary name is removed by a task of the runtime, as far
/// as that still runs. A step that the VM has begun is not stopped there; if that is the last one,
/// the target can still come about, as a whole.
#[derive(Debug)]
#[must_use = "an upload does nothing until it is awaited"]
pub struct Upload {
    api: Client,
    vm_id: String,
    source: Source,
    remote: String,
    mode: Option<u32>,
    exclude: Vec<String>,
    fetch_timeout: Duration,
    options: Options,
}

impl Upload {
    fn new(api: &Client, vm_id: String, source: Source, remote: String) -> Self {
        Self {
            api: api.clone(),
            vm_id,
            source,
            remote,
            mode: None,
            exclude: Vec::new(),
            fetch_timeout: STEP_TIMEOUT,
            options: Options::of(api),
        }
    }

    pub(crate) fn of_path(api: &Client, vm_id: String, local: PathBuf, remote: String) -> Self {
        Self::new(api, vm_id, Source::Path(local), remote)
    }

    pub(crate) fn of_bytes(api: &Client, vm_id: String, data: Vec<u8>, remote: String) -> Self {
        Self::new(api, vm_id, Source::Bytes(data.into()), remote)
    }

    pub(crate) fn of_reader(
        api: &Client,
        vm_id: String,
        reader: impl AsyncRead + Send + 'static,
        remote: String,
    ) -> Self {
        Self::new(api, vm_id, Source::Reader(Box::pin(reader)), remote)
    }

    transfer_setters!();

    /// Leaves out of a folder what matches this pattern, which is written as a line of a
    /// `.gitignore` in that folder: `target/`, `*.log`, `/only/here`, `!but-not-this`. Can be
    /// repeated; the last one that matches decides. Without effect on a single file.
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    /// The permissions of a single file in the VM, such as `0o755`, in place of those it has here;
    /// bytes and readers have `0o644`. Refused for a folder.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// How long the VM may take to fetch the data; 600 s by default.
    pub fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.fetch_timeout = timeout;
        self
    }

    async fn run(self) -> Result<()> {
        let Self {
            source,
            mode,
            exclude,
            ..
        } = self;
        let job = Job {
            api: self.api,
            vm_id: self.vm_id,
            remote: self.remote,
            fetch_timeout: timeout_sec(self.fetch_timeout)?,
            options: self.options,
        };
        check_remote(&job.remote)?;
        let packing = Packing::new(&exclude, job.options.compression.gzip_level()?)?;
        let mut content = Content::of(source, packing).await?;
        job.check(&content, mode)?;
        let stored = job.store(&mut content).await?;
        match content.is_folder() {
            true => job.unpack(&stored).await,
            false => job.rename(&stored, mode).await,
        }
    }
}

impl IntoFuture for Upload {
    type Output = Result<()>;
    type IntoFuture = Pending<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// An upload under way.
struct Job {
    api: Client,
    vm_id: String,
    remote: String,
    /// In seconds.
    fetch_timeout: i64,
    options: Options,
}

/// Data in storage, for the VM to fetch.
struct Stored {
    urls: FilePresignResponse,
    signed: Instant,
    sent: Sent,
    mode: u32,
}

impl Job {
    /// Refuses what could not be done with this content.
    fn check(&self, content: &Content, mode: Option<u32>) -> Result<()> {
        let refuse = |message: &str| {
            Err(Error::new(ErrorKind::InvalidInput, message).with_path(&self.remote))
        };
        if content.is_folder() {
            return match mode {
                Some(_) => refuse("the mode is for a single file, but this is a folder"),
                None => Ok(()),
            };
        }
        if self.remote.ends_with('/') {
            return refuse("the path in the VM names a folder: name the file");
        }
        match mode {
            Some(mode) if mode > 0o7777 => refuse("the mode has more than permission bits"),
            _ => Ok(()),
        }
    }

    /// Puts the data into storage, from the start each time that storage fails in passing.
    async fn store(&self, content: &mut Content) -> Result<Stored> {
        let mut attempts = self.options.attempts(&self.api);
        loop {
            let error = match self.attempt(content).await? {
                Ok(stored) => return Ok(stored),
                Err(error) => error,
            };
            if content.can_start_over() {
                attempts.after(error).await?;
                continue;
            }
            return Err(match attempts.pause(&error) {
                Some(_) => self.cannot_start_over(error),
                None => error,
            });
        }
    }

    /// The inner error is one of storage, after which another attempt can do better.
    async fn attempt(&self, content: &mut Content) -> Result<Result<Stored>> {
        let mut meter = Meter::new(&self.options.listener, None);
        let files = meter.files();
        let opened = content.open(files.clone()).await?;
        meter.expect(opened.size);
        let path = content.path().unwrap_or_else(|| self.remote.clone());
        let presign = self.api.vms().files().presign(&self.vm_id, &self.remote);
        let urls = presign
            .call_options(self.options.calls.clone())
            .await
            .map_err(|error| error.with_path(&self.remote))?;
        let signed = Instant::now();
        let largest = u64::try_from(urls.max_upload_bytes).unwrap_or_default();
        if let Some(size) = opened.size.filter(|size| *size > largest) {
            let message = format!("it has {size} bytes, but the VM takes {largest} at most");
            return Err(Error::new(ErrorKind::InvalidInput, message).with_path(path));
        }
        let checksum = Checksum::new(self.options.verify);
        let body = Outgoing::new(opened.data, meter, checksum, largest);
        let put = self.put(&urls, body.clone(), opened.size).await;
        body.close();
        let proof = opened.proof.check(put.is_ok()).await;
        body.check(proof, &path)?;
        if let Err(error) = put {
            return Ok(Err(error.with_path(path)));
        }
        if !content.is_folder() {
            files.store(1, Ordering::Relaxed);
        }
        Ok(Ok(Stored {
            urls,
            signed,
            sent: body.finish(),
            mode: opened.mode,
        }))
    }

    async fn put(
        &self,
        urls: &FilePresignResponse,
        body: Outgoing,
        size: Option<u64>,
    ) -> Result<()> {
        let mut request = storage_request(Method::PUT, &urls.upload_url)?;
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        if let Some(size) = size {
            headers.insert(header::CONTENT_LENGTH, size.into());
        }
        *request.body_mut() = Some(Body::wrap_stream(body.clone()));
        let limit = self.options.stall;
        let mut putting = pin!(storage(&self.api, &self.vm_id, &STORAGE_PUT, request));
        loop {
            let left = limit.saturating_sub(body.idle());
            if left.is_zero() {
                return Err(stalled(limit));
            }
            // When it is over, data may have flowed in between.
            if let Ok(answer) = tokio::time::timeout(left, &mut putting).await {
                return answer.map(drop);
            }
        }
    }

    fn cannot_start_over(&self, error: Error) -> Error {
        let message = "storage failed, and a reader cannot be read again: it was not repeated";
        let mut told = Error::new(ErrorKind::Transfer, message)
            .with_vm_id(&self.vm_id)
            .with_path(&self.remote)
            .with_outcome(error.outcome());
        if let Some(status) = error.status() {
            told = told.with_answer(status, error.headers().clone());
        }
        told.with_source(error)
    }

    /// Has the VM fetch a file under a temporary name beside its own, and rename it when it is
    /// whole: a failure leaves what was there.
    async fn rename(&self, stored: &Stored, mode: Option<u32>) -> Result<()> {
        let staged = format!("{}/{}", parent_of(&self.remote), temporary_name());
        let mode = format!("{:o}", mode.unwrap_or(stored.mode));
        let mut staging = self.staging(vec![staged.clone()]);
        let result = self
            .place(
                &mut staging,
                stored,
                RENAME,
                &staged,
                [&mode, &self.remote, "", ""],
            )
            .await;
        staging.settle(result).await
    }

    /// Has the VM fetch the archive of a folder and unpack it.
    async fn unpack(&self, stored: &Stored) -> Result<()> {
        let target = match self.remote.trim_end_matches('/') {
            "" => "/",
            target => target,
        };
        let staged = format!("/tmp/{}", temporary_name());
        let beside = format!("{}/{}", parent_of(target), temporary_name());
        let how = match self.options.compression.gzip_level()? {
            Some(_) => "-xzf",
            None => "-xf",
        };
        let mode = format!("{:o}", stored.mode);
        let mut staging = self.staging(vec![staged.clone(), beside.clone()]);
        let result = self
            .place(
                &mut staging,
                stored,
                UNPACK,
                &staged,
                [&mode, target, how, &beside],
            )
            .await;
        staging.settle(result).await
    }

    fn staging(&self, paths: Vec<String>) -> Staging {
        let longest_step = self.options.exec.max(self.fetch_limit());
        Staging::new(&self.api, &self.vm_id, paths, longest_step)
    }

    fn fetch_limit(&self) -> Duration {
        Duration::from_secs(self.fetch_timeout.unsigned_abs())
    }

    /// Has the VM fetch what is stored, and run the script on it.
    async fn place(
        &self,
        staging: &mut Staging,
        stored: &Stored,
        script: &str,
        staged: &str,
        [a, b, c, d]: [&str; 4],
    ) -> Result<()> {
        self.fetch(staging, stored, staged).await?;
        let script = [WHOLE, script].concat();
        let size = stored.sent.size.to_string();
        let checksum = stored.sent.checksum.as_deref().unwrap_or_default();
        let command = [
            "sh", "-c", &script, "sh", staged, &size, checksum, a, b, c, d,
        ];
        let run = exec(&self.api, &self.vm_id, &self.options, command);
        let placed = staging
            .step(run.into_future())
            .await
            .map_err(|error| error.with_path(&self.remote))?;
        match placed.is_success() {
            true => Ok(()),
            false => Err(self.failed("the VM could not put it in place", &placed, stored)),
        }
    }

    /// Has the VM fetch what is stored, again if the VM's way to storage failed in passing: that is
    /// still there.
    async fn fetch(&self, staging: &mut Staging, stored: &Stored, path: &str) -> Result<()> {
        let mut attempts = self.options.attempts(&self.api);
        loop {
            let fetched = staging
                .step(self.fetch_once(stored, path))
                .await
                .map_err(|error| error.with_path(&self.remote))?;
            if succeeded(&fetched) {
                return Ok(());
            }
            let lifetime = u64::try_from(stored.urls.expires_in_sec).unwrap_or_default();
            let what = match stored.signed.elapsed() >= Duration::from_secs(lifetime) {
                true => "the signed URL expired before the VM had fetched the data",
                false => "the VM could not fetch the data",
            };
            let error = self.failed(what, &fetched, stored);
            // To the retry policy, it is a connection that broke.
            let fault = Error::new(ErrorKind::Connection, "");
            let pause = is_passing(&fetched).then(|| attempts.pause(&fault));
            match pause.flatten() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error.with_attempts(attempts.failed().max(1))),
            }
        }
    }

    fn fetch_once(&self, stored: &Stored, path: &str) -> Pending<ExecVmResponse> {
        let (api, vm_id) = (self.api.clone(), self.vm_id.clone());
        let idle_check = self.options.idle_check;
        let mut fetch = api
            .vms()
            .files()
            .fetch(&vm_id, &stored.urls.download_url, path)
            .timeout_sec(self.fetch_timeout)
            .call_options(self.options.step_calls(self.fetch_limit()))
            .into_future();
        Box::pin(async move { watched(&api, &vm_id, idle_check, fetch.as_mut()).await })
    }

    fn failed(&self, what: &str, answer: &ExecVmResponse, stored: &Stored) -> Error {
        step_failed(&self.vm_id, &self.remote, what, answer, &stored.urls)
    }
}

/// Whether a fetch failed by a fault that may be gone the next time.
fn is_passing(fetched: &ExecVmResponse) -> bool {
    if fetched.timed_out {
        return false;
    }
    let names = |status: &str| fetched.stderr.contains(status);
    NETWORK_FAULTS.contains(&fetched.exit_code)
        || fetched.exit_code == STATUS_FAULT
            && [" 408", " 429", " 500", " 502", " 503", " 504"]
                .into_iter()
                .any(names)
}

/// The folder that holds a path in the VM, which is absolute; empty for the root.
fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

pub(crate) fn temporary_name() -> String {
    format!(".fastvm-upload-{:016x}", fastrand::u64(..))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let name =
            |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
        let mut names: Vec<_> = entries.filter_map(name).collect();
        names.sort();
        names
    }

    /// Runs a script as a VM does; `chmod`, the last step before what was made gets its name, lets
    /// somebody else make a folder there.
    fn place(script: &str, folder: &Path, arguments: [&str; 3]) -> std::process::Output {
        let chmod = folder.join("bin/chmod");
        fs::create_dir_all(folder.join("bin")).expect("a folder");
        fs::write(&chmod, "#!/bin/sh\nmkdir -p target/theirs\n").expect("a script");
        fs::set_permissions(&chmod, fs::Permissions::from_mode(0o755)).expect("a mode");
        let path = std::env::var("PATH").unwrap_or_default();
        let [size, how, beside] = arguments;
        Command::new("sh")
            .args(["-c", &[WHOLE, script].concat(), "sh"])
            .arg(folder.join("staged"))
            .args([size, ""])
            .args(["755", "target", how, beside])
            .current_dir(folder)
            .env("PATH", format!("{}/bin:{path}", folder.display()))
            .output()
            .expect("there is a shell")
    }

    #[test]
    fn a_folder_that_comes_about_in_the_last_moment_is_left_as_it_is() {
        let archive = vec![0; 10240];
        for (script, content, how) in [(RENAME, &b"data"[..], ""), (UNPACK, &archive, "-xf")] {
            let folder = tempfile::tempdir().expect("a folder");
            let folder = folder.path();
            fs::write(folder.join("staged"), content).expect("a file");
            let size = content.len().to_string();
            let placed = place(script, folder, [&size, how, "beside"]);
            let reason = String::from_utf8_lossy(&placed.stderr);
            assert!(
                !placed.status.success() && reason.contains("meanwhile"),
                "{reason}"
            );
            assert_eq!(names(&folder.join("target")), ["theirs"]);
            assert_eq!(
                names(folder),
                ["bin", "target"],
                "nothing temporary is left"
            );
        }
    }
}
