//! A VM: its launch, its commands, its end.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::select;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use super::identity::Identity;
use super::instance::Instance;
use super::kernel::{self, Create, Image, Join, Launch, Mount, Report, Stage, Task, Wait};
use super::probe::Shared;
use super::process::{Child, Input, Output, Process};
use super::remove::remove_tree;
use super::root::{self, Layout, PATH};
use super::terminal::Terminal;
use super::user::{self, User};
use super::{
    ExecError, ExecSpec, FileError, LaunchError, LaunchSpec, MountError, RootKind, Stdin,
    TerminalSize, procfs,
};

/// How long a process may take to stop when the VM is frozen.
const FREEZE_LIMIT: Duration = Duration::from_secs(5);

/// How long a process that waits in the kernel is awaited by a freeze. A parent that waits for its
/// `vfork` child cannot stop before the child goes on, and runs nothing meanwhile.
const UNINTERRUPTIBLE_LIMIT: Duration = Duration::from_millis(250);

/// What is tried first, and fails where namespaces are not to be had.
pub(super) const MAKE_NAMESPACES: &str = "make namespaces";

/// A running VM.
///
/// Dropping it kills every process in it and deletes its directory, in the background. If this
/// program dies, even by `SIGKILL`, the kernel ends the VM; the next [`Host::probe`] deletes the
/// directory.
///
/// [`Host::probe`]: super::Host::probe
pub struct Sandbox {
    vm: Arc<Vm>,
    /// Process 1 reads the other end. A socket and not a pipe: what is inside cannot open it anew,
    /// through `/proc/1/fd`, and thereby hold it open.
    _life: OwnedFd,
    runtime: Handle,
    removed: AtomicBool,
}

pub(super) struct Vm {
    /// Held until the directory is out of the way.
    claim: Claim,
    root: PathBuf,
    env: BTreeMap<String, String>,
    init: Arc<Child>,
    pid_namespace: u64,
    /// Whether the VM is frozen. Held for reading while a command starts.
    frozen: RwLock<bool>,
    thawed: Notify,
}

/// What runs, laid out for the kernel.
struct Command {
    program: String,
    /// `None` is the user's home, or `/`.
    cwd: Option<String>,
    user: User,
    place: CString,
    image: Image,
}

/// The right to the directory of an id, for one VM at a time.
struct Claim {
    host: Arc<Shared>,
    id: String,
}

impl Claim {
    fn new(host: Arc<Shared>, id: String) -> Result<Self, LaunchError> {
        match host
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone())
        {
            true => {}
            false => {
                return Err(LaunchError::Invalid {
                    what: format!("a VM with the id {id:?} is there already"),
                });
            }
        }
        Ok(Self { host, id })
    }

    fn root(&self) -> PathBuf {
        self.host.instance.root_of(&self.id)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.host
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables may be secrets.
        f.debug_struct("Sandbox")
            .field("id", &self.id())
            .field("host_pid", &self.host_pid())
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Launches a VM on a blocking thread; also says whether it sees the host's `/proc`.
    pub(super) async fn launch(
        host: Arc<Shared>,
        spec: LaunchSpec,
    ) -> Result<(Self, bool), LaunchError> {
        check(&spec)?;
        let launched = spawn_blocking(move || {
            let claim = Claim::new(host, spec.id.clone())?;
            let (host, root) = (Arc::clone(&claim.host), claim.root());
            let launched = prepare(&root, &spec)
                .map_err(|source| files(format!("fill {}", root.display()), source))
                .and_then(|written| launch(&host, &spec, &root, &written));
            match launched {
                Ok(launched) => Ok(launched.into_sandbox(claim, spec.env)),
                Err(error) => {
                    let _ = discard(&host.instance, &root);
                    Err(error)
                }
            }
        });
        launched.await.unwrap_or_else(|error| {
            Err(files(
                "wait for the launch".to_owned(),
                io::Error::other(error),
            ))
        })
    }

    /// The id it was launched with.
    pub fn id(&self) -> &str {
        &self.vm.claim.id
    }

    /// Its root directory on the host. What is inside may have put links anywhere: do not follow
    /// them, use commands in the VM to read and write files of it.
    pub fn root(&self) -> &Path {
        &self.vm.root
    }

    /// Process 1 of the VM, by its number on the host.
    pub fn host_pid(&self) -> i32 {
        self.vm.init.pid
    }

    /// Starts a command. Background processes of earlier commands run beside it.
    ///
    /// Dropping the future before it is done may leave the command running, its output closed.
    ///
    /// # Errors
    ///
    /// [`ExecError::NotFound`] and [`ExecError::NotExecutable`] if the command cannot be run; they
    /// have an [`exit_code`](ExecError::exit_code). [`ExecError::Frozen`] until the VM is thawed,
    /// [`ExecError::Gone`] after its end.
    pub async fn exec(&self, spec: ExecSpec) -> Result<Process, ExecError> {
        let vm = Arc::clone(&self.vm);
        let started = spawn_blocking(move || vm.exec(spec));
        started
            .await
            .unwrap_or_else(|error| Err(exec_fault("wait for its start", io::Error::other(error))))
    }

    /// Mounts a folder of the host in the VM, frozen or not. Both are absolute paths without `.` and
    /// `..` that lead through no symbolic link; missing folders on the way in the VM are made. Devices
    /// and set-id bits do not work in it.
    ///
    /// Dropping the future before it is done may leave the folder mounted.
    ///
    /// # Errors
    ///
    /// [`MountError::InTheWay`] if the path leads through a file or a symbolic link,
    /// [`MountError::Gone`] after the VM's end.
    pub async fn mount(
        &self,
        source: impl Into<PathBuf>,
        target: &str,
        read_only: bool,
    ) -> Result<(), MountError> {
        let (vm, source, target) = (Arc::clone(&self.vm), source.into(), target.to_owned());
        let mounted = spawn_blocking(move || vm.mount(&source, &target, read_only));
        mounted
            .await
            .unwrap_or_else(|error| Err(mount_fault("wait for the mount", io::Error::other(error))))
    }

    /// Undoes a mount.
    ///
    /// # Errors
    ///
    /// [`MountError::Busy`] while a process of the VM has a file or its working directory in it,
    /// [`MountError::Gone`] after the VM's end.
    pub async fn unmount(&self, target: &str) -> Result<(), MountError> {
        let (vm, target) = (Arc::clone(&self.vm), target.to_owned());
        let unmounted = spawn_blocking(move || vm.unmount(&target));
        unmounted
            .await
            .unwrap_or_else(|error| Err(mount_fault("wait for its end", io::Error::other(error))))
    }

    /// Starts a command on a new terminal of the VM, which is its controlling terminal; what
    /// [`ExecSpec::stdin`] says does not count.
    ///
    /// Dropping the future before it is done hangs the terminal up.
    ///
    /// # Errors
    ///
    /// As for [`exec`](Self::exec).
    pub async fn terminal(
        &self,
        spec: ExecSpec,
        size: TerminalSize,
    ) -> Result<Terminal, ExecError> {
        let vm = Arc::clone(&self.vm);
        let started = spawn_blocking(move || vm.terminal(&spec, size));
        started
            .await
            .unwrap_or_else(|error| Err(exec_fault("wait for its start", io::Error::other(error))))
    }

    /// Whether the VM runs (or is frozen), and can take commands.
    pub fn is_alive(&self) -> bool {
        self.vm.init.is_running()
    }

    /// Waits until the VM has ended, whoever ends it.
    pub async fn ended(&self) {
        let _ = self.vm.init.wait().await;
    }

    /// Stops every process, and returns when all have stopped. Commands are refused until
    /// [`thaw`](Self::thaw).
    ///
    /// # Errors
    ///
    /// If a process does not stop within 5 seconds; then all go on.
    pub async fn freeze(&self) -> io::Result<()> {
        let vm = Arc::clone(&self.vm);
        spawn_blocking(move || vm.freeze())
            .await
            .map_err(io::Error::other)?
    }

    /// Lets every process go on.
    pub async fn thaw(&self) -> io::Result<()> {
        let vm = Arc::clone(&self.vm);
        spawn_blocking(move || vm.thaw())
            .await
            .map_err(io::Error::other)?
    }

    /// Opens a file of the VM to be written, as root in it would: through its links and mounts, with
    /// missing folders made, with mode 644 if the file is new. A file that is there becomes empty
    /// and keeps its mode. Waits while the VM is frozen. No program of the VM is needed.
    ///
    /// Dropping the future before it is done may leave the folders and an empty file.
    ///
    /// # Errors
    ///
    /// [`FileError::Gone`] after the VM's end.
    pub(crate) async fn create_file(&self, path: &str) -> Result<NewFile, FileError> {
        let path = path.to_owned();
        let opened = self.vm.while_thawed(move |vm| vm.create_file(&path)).await;
        let file = Arc::new(opened.unwrap_or(Err(FileError::Gone))?);
        let vm = Arc::clone(&self.vm);
        Ok(NewFile { vm, file })
    }

    /// Does something with the root directory while no process runs, on a blocking thread and to its
    /// end even if this future is dropped. Commands, freezes and thaws wait for it, and a VM that is
    /// not frozen already goes on afterwards.
    pub(crate) async fn at_rest<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let vm = Arc::clone(&self.vm);
        spawn_blocking(move || vm.at_rest(work))
            .await
            .map_err(io::Error::other)?
    }

    /// Ends every process of the VM, and returns when none is left. The directory stays until
    /// [`remove`](Self::remove) or drop.
    pub async fn kill(&self) -> io::Result<()> {
        self.vm.kill().await
    }

    /// Kills the VM and removes its directory: it is out of the way on return, and deleted in the
    /// background. Dropping the future does the same later.
    pub async fn remove(self) -> io::Result<()> {
        self.vm.kill().await?;
        let vm = Arc::clone(&self.vm);
        let moved = spawn_blocking(move || vm.claim.host.instance.discard(&vm.root));
        let trash = moved.await.map_err(io::Error::other)??;
        self.removed.store(true, Ordering::Relaxed);
        let host = Arc::clone(&self.vm.claim.host);
        drop(spawn_blocking(move || delete(&host.instance, trash)));
        Ok(())
    }
}

/// A file of a VM that is being written from outside.
pub(crate) struct NewFile {
    vm: Arc<Vm>,
    file: Arc<File>,
}

impl NewFile {
    /// Writes what comes next, once the VM is not frozen.
    ///
    /// # Errors
    ///
    /// [`FileError::Gone`] after the VM's end.
    pub(crate) async fn write(&self, bytes: Bytes) -> Result<(), FileError> {
        let file = Arc::clone(&self.file);
        let write = move |_: &Vm| (&*file).write_all(&bytes);
        match self.vm.while_thawed(write).await {
            Some(written) => written.map_err(|source| file_fault("write the file", source)),
            None => Err(FileError::Gone),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if *self.removed.get_mut() {
            return;
        }
        self.vm.send_kill();
        let vm = Arc::clone(&self.vm);
        // If the runtime is shut down, the directory is left to the next sweep.
        self.runtime.spawn(async move {
            let _ = vm.init.wait().await;
            let _ = spawn_blocking(move || discard(&vm.claim.host.instance, &vm.root)).await;
        });
    }
}

/// Removes a root directory. What cannot be deleted stays in the trash until the next sweep.
fn discard(instance: &Instance, root: &Path) -> io::Result<()> {
    delete(instance, instance.discard(root)?);
    Ok(())
}

fn delete(_alive: &Instance, trash: Option<PathBuf>) {
    if let Some(trash) = trash {
        let _ = remove_tree(&trash);
    }
}

/// Fills the root directory, and says which files are to be written inside the VM.
fn prepare(root: &Path, spec: &LaunchSpec) -> io::Result<Vec<(CString, Vec<u8>)>> {
    if let Some(source) = &spec.source {
        source.copy_to(root)?;
    }
    match spec.root {
        RootKind::Host => {
            root::rename_host(root, &spec.hostname);
            root::fill(root, &spec.hostname)?;
            Ok(Vec::new())
        }
        RootKind::Own => {
            root::make(root)?;
            Ok(root::files_of_own(root, &spec.hostname))
        }
    }
}

fn check(spec: &LaunchSpec) -> Result<(), LaunchError> {
    let invalid = |what: String| Err(LaunchError::Invalid { what });
    let LaunchSpec {
        id, hostname, env, ..
    } = spec;
    if id.is_empty()
        || matches!(id.as_str(), "." | "..")
        || id.contains(['/', '\0'])
        || id.len() > 255
    {
        return invalid(format!("the id {id:?} is not a plain file name"));
    }
    if hostname.is_empty()
        || hostname.len() > 64
        || hostname.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return invalid(format!(
            "the host name {hostname:?} is not 1 to 64 bytes without spaces"
        ));
    }
    match bad_variable(env) {
        Some(name) => invalid(format!(
            "the variable {name:?} cannot be passed to a program"
        )),
        None => Ok(()),
    }
}

fn bad_variable(env: &BTreeMap<String, String>) -> Option<&str> {
    let is_bad = |name: &str, value: &str| {
        name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
    };
    env.iter()
        .find(|(name, value)| is_bad(name, value))
        .map(|(name, _)| name.as_str())
}

fn files(doing: String, source: io::Error) -> LaunchError {
    LaunchError::Files { doing, source }
}

fn launch(
    host: &Shared,
    spec: &LaunchSpec,
    root: &Path,
    files: &[(CString, Vec<u8>)],
) -> Result<Launched, LaunchError> {
    let kernel_fault = |doing: &str| {
        let doing = doing.to_owned();
        move |source| LaunchError::Kernel { doing, source }
    };
    let root_path = c_string(root.as_os_str()).ok_or_else(|| LaunchError::Invalid {
        what: "the state directory's path has a null byte".to_owned(),
    })?;
    let layout = host.layout(spec.root);
    let init = above_standard(
        host.init
            .try_clone()
            .map_err(kernel_fault("open init"))?
            .into(),
    );
    let init = init.map_err(kernel_fault("open init"))?;
    let (life, life_inside) = UnixStream::pair().map_err(kernel_fault("make a socket"))?;
    let life_inside = above_standard(life_inside.into()).map_err(kernel_fault("make a socket"))?;
    let (status, status_inside) = pipe().map_err(kernel_fault("make a pipe"))?;
    let plan = Launch {
        root: &root_path,
        hostname: OsStr::new(&spec.hostname),
        steps: &layout.steps,
        files,
        clear_groups: host.identity.clear_groups,
        init: init.as_fd(),
        life: life_inside.as_fd(),
        status: status_inside.as_fd(),
    };
    let (pid, pidfd) = kernel::launch(&plan)
        .map_err(io::Error::from)
        .map_err(kernel_fault(MAKE_NAMESPACES))?;
    drop((life_inside, status_inside));

    let begun = begin(&host.identity, pid, &life, status)
        .map_err(kernel_fault("write the id maps of the VM"));
    let begun = begun.and_then(|reports| {
        match reports
            .iter()
            .find_map(|report| launch_fault(layout, report))
        {
            None => Ok(reports),
            Some(fault) => Err(fault),
        }
    });
    let reports = begun.inspect_err(|_| {
        let _ = kernel::pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL as i32);
        let _ = kernel::wait(pidfd.as_fd(), Wait::Reap);
    })?;
    let shows_host_processes = reports
        .iter()
        .any(|report| report.stage == Stage::SharedProc);
    Ok(Launched {
        pid,
        pidfd,
        life: life.into(),
        shows_host_processes,
    })
}

/// Process 1 runs.
struct Launched {
    pid: i32,
    pidfd: OwnedFd,
    life: OwnedFd,
    shows_host_processes: bool,
}

impl Launched {
    fn into_sandbox(self, claim: Claim, env: BTreeMap<String, String>) -> (Sandbox, bool) {
        let vm = Vm {
            root: claim.root(),
            claim,
            env,
            // Process 1 was running a moment ago; should it be gone, so is all that is counted by this.
            pid_namespace: procfs::pid_namespace(self.pid).unwrap_or_default(),
            init: Child::watch(self.pid, self.pidfd),
            frozen: RwLock::new(false),
            thawed: Notify::new(),
        };
        let (vm, runtime) = (Arc::new(vm), Handle::current());
        (
            Sandbox {
                vm,
                _life: self.life,
                runtime,
                removed: AtomicBool::new(false),
            },
            self.shows_host_processes,
        )
    }
}

/// Gives process 1 its ids, lets it go on, and hears how it went.
fn begin(
    identity: &Identity,
    pid: i32,
    mut life: &UnixStream,
    status: OwnedFd,
) -> io::Result<Vec<Report>> {
    identity.give_to(pid)?;
    io::Write::write_all(&mut life, b"\n")?;
    read_reports(status)
}

fn launch_fault(layout: &Layout, report: &Report) -> Option<LaunchError> {
    let doing = match report.stage {
        Stage::SharedProc => return None,
        Stage::Source | Stage::Step => layout.describe(report.index),
        Stage::Descriptors => "set up the descriptors of process 1".to_owned(),
        Stage::Identity => "become root in the VM".to_owned(),
        Stage::PrivateMounts => "make the mounts of the VM private".to_owned(),
        Stage::Pivot => "change to the root directory of the VM".to_owned(),
        Stage::Detach => "detach the root directory of the host".to_owned(),
        Stage::Hostname => "set the host name".to_owned(),
        Stage::Restrict => "limit the capabilities of process 1".to_owned(),
        Stage::File => {
            "write the files of /etc that tell the VM its name and its network".to_owned()
        }
        Stage::Exec => "start process 1".to_owned(),
        other => format!("start process 1 ({other:?})"),
    };
    Some(LaunchError::Kernel {
        doing,
        source: io::Error::from_raw_os_error(report.errno),
    })
}

fn read_reports(status: OwnedFd) -> io::Result<Vec<Report>> {
    let mut bytes = Vec::new();
    File::from(status).read_to_end(&mut bytes)?;
    Ok(Report::parse(&bytes).collect())
}

/// Both ends are closed in other children by `execve`, and by ours at once.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    Ok((
        above_standard(reader.into())?,
        above_standard(writer.into())?,
    ))
}

/// The same file with a descriptor above the standard three, which children are given anew.
fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    if fd.as_raw_fd() > 2 {
        Ok(fd)
    } else {
        fd.try_clone()
    }
}

fn c_string(text: impl AsRef<OsStr>) -> Option<CString> {
    CString::new(text.as_ref().as_bytes()).ok()
}

fn exec_fault(doing: &str, source: io::Error) -> ExecError {
    ExecError::Kernel {
        doing: doing.to_owned(),
        source,
    }
}

fn mount_fault(doing: &str, source: io::Error) -> MountError {
    MountError::Kernel {
        doing: doing.to_owned(),
        source,
    }
}

fn file_fault(doing: impl Into<String>, source: io::Error) -> FileError {
    FileError::Failed {
        doing: doing.into(),
        source,
    }
}

/// The paths of the folders above an absolute path, the outermost first.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(end, _)| end);
    ends.filter_map(|end| path.get(..end))
        .filter(|folder| !folder.is_empty())
}

/// The names on the way from the root to a target, and the target's own.
fn names(path: &OsStr) -> Result<(Vec<CString>, CString), MountError> {
    let invalid = || MountError::Invalid {
        what: format!("{path:?} is not an absolute path without . and .."),
    };
    let below = path.as_bytes().strip_prefix(b"/").ok_or_else(invalid)?;
    let names = below.split(|byte| *byte == b'/').map(|name| match name {
        b"" | b"." | b".." => None,
        name => c_string(OsStr::from_bytes(name)),
    });
    let mut names: Vec<CString> = names.collect::<Option<_>>().ok_or_else(invalid)?;
    let name = names.pop().ok_or_else(invalid)?;
    Ok((names, name))
}

impl Vm {
    fn mount(&self, source: &Path, target: &str, read_only: bool) -> Result<(), MountError> {
        let (mut folders, folder) = names(source.as_os_str())?;
        folders.push(folder);
        self.change_mounts(target, |plan| kernel::mount(plan, &folders, read_only))
    }

    fn unmount(&self, target: &str) -> Result<(), MountError> {
        self.change_mounts(target, kernel::unmount)
    }

    fn change_mounts(
        &self,
        target: &str,
        start: impl FnOnce(&Mount<'_>) -> Result<(i32, OwnedFd), Errno>,
    ) -> Result<(), MountError> {
        let (above, name) = names(OsStr::new(target))?;
        if !self.init.is_running() {
            return Err(MountError::Gone);
        }
        let (status, status_inside) =
            pipe().map_err(|source| mount_fault("make a pipe", source))?;
        let plan = Mount {
            vm: self.init.pidfd(),
            above: &above,
            name: &name,
            status: status_inside.as_fd(),
        };
        let (_, process) = start(&plan).map_err(|errno| mount_fault("fork", errno.into()))?;
        drop(status_inside);
        let reports = read_reports(status);
        // Its hold on the mounts ends with it.
        let _ = kernel::wait(process.as_fd(), Wait::Reap);
        let reports = reports.map_err(|source| mount_fault("read how it went", source))?;
        match reports.first() {
            Some(report) if report.errno == 0 => Ok(()),
            Some(report) => Err(self.mount_error(report, target)),
            None => Err(MountError::Gone),
        }
    }

    fn mount_error(&self, report: &Report, target: &str) -> MountError {
        let doing = match (report.stage, Errno::from_raw(report.errno)) {
            (Stage::Unmount, Errno::EBUSY) => return MountError::Busy,
            (Stage::Target, Errno::ENOTDIR | Errno::ELOOP) => {
                let path = target.to_owned();
                return MountError::InTheWay { path };
            }
            (Stage::Join, _) if !self.init.is_running() => return MountError::Gone,
            (Stage::Join, Errno::ESRCH) => return MountError::Gone,
            (Stage::Join, _) => "join the VM".to_owned(),
            (Stage::PrivateMounts, _) => "make mounts of its own".to_owned(),
            (Stage::Source, _) => "open the folder to be mounted".to_owned(),
            (Stage::Target, _) => format!("go to {target} in the VM"),
            (Stage::Mount, _) => format!("mount it at {target} in the VM"),
            (Stage::Unmount, _) => format!("unmount {target} in the VM"),
            (other, _) => format!("change the mounts of the VM ({other:?})"),
        };
        mount_fault(&doing, io::Error::from_raw_os_error(report.errno))
    }

    fn create_file(&self, path: &str) -> Result<File, FileError> {
        if !self.init.is_running() {
            return Err(FileError::Gone);
        }
        let no_null = |text: &str| {
            let no_path = || file_fault("use a path with a null byte", Errno::EINVAL.into());
            c_string(text).ok_or_else(no_path)
        };
        let folders: Vec<CString> = folders_above(path).map(no_null).collect::<Result<_, _>>()?;
        let c_path = no_null(path)?;
        let (status, status_inside) = pipe().map_err(|source| file_fault("make a pipe", source))?;
        let no_socket = |source| file_fault("make a socket", source);
        let (socket, inside) = UnixStream::pair().map_err(no_socket)?;
        let inside = above_standard(inside.into()).map_err(no_socket)?;
        let plan = Create {
            vm: self.init.pidfd(),
            folders: &folders,
            path: &c_path,
            socket: inside.as_fd(),
            status: status_inside.as_fd(),
        };
        let (_, process) =
            kernel::create(&plan).map_err(|errno| file_fault("fork", errno.into()))?;
        drop((inside, status_inside));
        let reports = read_reports(status);
        let _ = kernel::wait(process.as_fd(), Wait::Reap);
        let reports = reports.map_err(|source| file_fault("read how it went", source))?;
        let report = reports.first().ok_or(FileError::Gone)?;
        if report.errno != 0 {
            return Err(self.create_error(report, path));
        }
        let file = kernel::receive_descriptor(socket.as_fd())
            .map_err(|errno| file_fault("receive the file", errno.into()))?
            .ok_or(FileError::Gone)?;
        let file = File::from(file);
        match file.metadata() {
            Ok(found) if found.is_file() => Ok(file),
            _ => Err(FileError::NotAFile {
                path: path.to_owned(),
            }),
        }
    }

    fn create_error(&self, report: &Report, path: &str) -> FileError {
        let doing = match report.stage {
            Stage::Join if report.errno == Errno::ESRCH as i32 || !self.init.is_running() => {
                return FileError::Gone;
            }
            Stage::Join => "join the VM".to_owned(),
            Stage::Folder => {
                let folder = folders_above(path).nth(report.index as usize);
                format!("make the folder {}", folder.unwrap_or(path))
            }
            Stage::Create => format!("open {path}"),
            other => format!("write a file of the VM ({other:?})"),
        };
        file_fault(doing, io::Error::from_raw_os_error(report.errno))
    }

    fn exec(&self, spec: ExecSpec) -> Result<Process, ExecError> {
        let command = self.command(&spec)?;
        let (stdin, stdin_inside) = match spec.stdin {
            Stdin::Null => (None, None),
            Stdin::Bytes(_) | Stdin::Piped => {
                let (reader, writer) =
                    pipe().map_err(|source| exec_fault("make a pipe", source))?;
                (Some(writer), Some(reader))
            }
        };
        let (stdout, stdout_inside) = pipe().map_err(|source| exec_fault("make a pipe", source))?;
        let (stderr, stderr_inside) = pipe().map_err(|source| exec_fault("make a pipe", source))?;

        // Before the process is there: if one of these fails, nothing has to be taken back.
        let watched = |source| exec_fault("watch a pipe", source);
        let mut stdin = stdin.map(Input::new).transpose().map_err(watched)?;
        let stdout = Output::new(stdout).map_err(watched)?;
        let stderr = Output::new(stderr).map_err(watched)?;

        let stdio = [
            stdin_inside.as_ref().map(AsFd::as_fd),
            Some(stdout_inside.as_fd()),
            Some(stderr_inside.as_fd()),
        ];
        let child = self.start(&command, None, stdio)?;
        if let Stdin::Bytes(bytes) = spec.stdin
            && let Some(mut input) = stdin.take()
        {
            // A program that does not read to the end has its reasons: its exit code tells.
            tokio::spawn(async move { input.write_all(&bytes).await });
        }
        Ok(Process {
            stdin,
            stdout: Some(stdout),
            stderr: Some(stderr),
            child,
        })
    }

    fn terminal(
        self: Arc<Self>,
        spec: &ExecSpec,
        size: TerminalSize,
    ) -> Result<Terminal, ExecError> {
        let command = self.command(spec)?;
        let no_socket = |source| exec_fault("make a socket", source);
        let (socket, inside) = UnixStream::pair().map_err(no_socket)?;
        let inside = above_standard(inside.into()).map_err(no_socket)?;
        let stdio = [Some(inside.as_fd()), None, None];
        let child = self.start(&command, Some(size), stdio)?;
        drop(inside);
        let terminal = kernel::receive_descriptor(socket.as_fd())
            .map_err(|errno| exec_fault("receive the terminal", errno.into()))?
            .ok_or(ExecError::Gone)?;
        Terminal::new(self, terminal, child)
            .map_err(|source| exec_fault("watch the terminal", source))
    }

    /// Lays out what runs, as far as it needs no descriptor.
    fn command(&self, spec: &ExecSpec) -> Result<Command, ExecError> {
        let invalid = |what: String| ExecError::Invalid { what };
        let cannot_pass =
            |what: String| move || invalid(format!("{what} cannot be passed to a program"));
        if let Some(name) = bad_variable(&spec.env) {
            return Err(cannot_pass(format!("the variable {name:?}"))());
        }
        let program = spec
            .argv
            .first()
            .cloned()
            .ok_or_else(|| invalid("there is no command".to_owned()))?;
        let argv: Option<Vec<CString>> = spec.argv.iter().map(c_string).collect();
        let argv = argv.ok_or_else(cannot_pass("an argument with a null byte".to_owned()))?;
        let user = user::find(&self.root, spec.user.as_deref().unwrap_or_default())?;
        let place = c_string(spec.cwd.as_ref().unwrap_or(&user.home)).ok_or_else(cannot_pass(
            "a working directory with a null byte".to_owned(),
        ))?;
        let env = self.environment(&user, &spec.env);
        let path = env.get("PATH").map_or(PATH, |path| path);
        let candidates = candidates(&program, path);
        let env = env
            .iter()
            .filter_map(|(name, value)| c_string(format!("{name}={value}")))
            .collect();
        Ok(Command {
            program,
            cwd: spec.cwd.clone(),
            user,
            place,
            image: Image::new(candidates, argv, env),
        })
    }

    /// Starts a command, unless the VM is frozen.
    fn start(
        &self,
        command: &Command,
        terminal: Option<TerminalSize>,
        stdio: [Option<BorrowedFd<'_>>; 3],
    ) -> Result<Arc<Child>, ExecError> {
        let single_id = self.claim.host.identity.single_id;
        let task = Task::Exec {
            image: &command.image,
            cwd: &command.place,
            or_root: command.cwd.is_none(),
            user: match single_id {
                true => kernel::User::ROOT,
                false => command.user.ids(),
            },
            fake_chown: single_id,
            terminal,
        };
        let frozen = self.frozen.read().unwrap_or_else(PoisonError::into_inner);
        if *frozen {
            return Err(ExecError::Frozen);
        }
        let (pid, pidfd, reports) = self.join(task, stdio)?;
        match reports
            .iter()
            .find_map(|report| exec_error(report, command))
        {
            None => Ok(Child::watch(pid, pidfd)),
            Some(error) => {
                let _ = kernel::wait(pidfd.as_fd(), Wait::Reap);
                Err(error)
            }
        }
    }

    fn environment(
        &self,
        user: &User,
        additions: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let base = [
            ("HOME", user.home.as_str()),
            ("LANG", "C.UTF-8"),
            ("LOGNAME", &user.name),
            ("PATH", PATH),
            ("TERM", "xterm-256color"),
            ("USER", &user.name),
        ];
        let base = base.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let more = self.env.iter().chain(additions);
        base.into_iter()
            .chain(more.map(|(name, value)| (name.clone(), value.clone())))
            .collect()
    }

    /// Starts a task in the VM: its process id, a descriptor of it, and what it had to report.
    fn join(
        &self,
        task: Task<'_>,
        stdio: [Option<BorrowedFd<'_>>; 3],
    ) -> Result<(i32, OwnedFd, Vec<Report>), ExecError> {
        if !self.init.is_running() {
            return Err(ExecError::Gone);
        }
        let (status, status_inside) = pipe().map_err(|source| exec_fault("make a pipe", source))?;
        let [stdin, stdout, stderr] = stdio;
        let plan = Join {
            vm: self.init.pidfd(),
            stdin,
            stdout,
            stderr,
            clear_groups: self.claim.host.identity.clear_groups,
            task,
            status: status_inside.as_fd(),
        };
        let (_, go_between) =
            kernel::join(&plan).map_err(|errno| exec_fault("fork", errno.into()))?;
        drop(status_inside);
        let reports = read_reports(status);
        let _ = kernel::wait(go_between.as_fd(), Wait::Reap);
        let reports = reports.map_err(|source| exec_fault("read how it went", source))?;
        let started = reports.iter().find(|report| report.stage == Stage::Started);
        let Some(pid) = started.map(|report| report.index as i32) else {
            return Err(self.join_error(&reports));
        };
        let pidfd =
            kernel::pidfd_open(pid).map_err(|source| exec_fault("follow the process", source))?;
        Ok((pid, pidfd, reports))
    }

    fn join_error(&self, reports: &[Report]) -> ExecError {
        let report = reports.first();
        let errno = report.map_or(0, |report| report.errno);
        // The two that joining, or forking into, a VM whose process 1 has ended gives.
        let is_end = errno == Errno::ESRCH as i32 || errno == Errno::ENOMEM as i32;
        let has_ended = || procfs::Stat::of(self.init.pid).is_none_or(|stat| stat.has_ended());
        if report.is_none() || !self.init.is_running() || (is_end && has_ended()) {
            return ExecError::Gone;
        }
        let doing = match report.map(|report| report.stage) {
            Some(Stage::Join) => "join the VM",
            Some(Stage::Fork) => "fork in the VM",
            _ => "set up the descriptors",
        };
        exec_fault(doing, io::Error::from_raw_os_error(errno))
    }

    fn signal_all(&self, signal: Signal) -> io::Result<()> {
        let (_, pidfd, reports) = match self.join(Task::SignalAll(signal as i32), [None; 3]) {
            Err(ExecError::Gone) => return Ok(()),
            other => other.map_err(io::Error::other)?,
        };
        kernel::wait(pidfd.as_fd(), Wait::Reap)?;
        match reports.iter().find(|report| report.stage == Stage::Signal) {
            Some(report) if report.errno != 0 => Err(io::Error::from_raw_os_error(report.errno)),
            _ => Ok(()),
        }
    }

    fn freeze(&self) -> io::Result<()> {
        let mut frozen = self.frozen.write().unwrap_or_else(PoisonError::into_inner);
        self.stop_all()?;
        *frozen = true;
        Ok(())
    }

    fn at_rest<T>(&self, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let frozen = self.frozen.write().unwrap_or_else(PoisonError::into_inner);
        if *frozen {
            return work(&self.root);
        }
        self.stop_all()?;
        let done = work(&self.root);
        // However the work went, the VM shall go on.
        self.signal_all(Signal::SIGCONT)?;
        done
    }

    /// Stops every process, or none.
    fn stop_all(&self) -> io::Result<()> {
        self.signal_all(Signal::SIGSTOP)?;
        let started = Instant::now();
        while !self.has_stopped(started.elapsed())? {
            if started.elapsed() > FREEZE_LIMIT {
                self.signal_all(Signal::SIGCONT)?;
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "a process of the VM does not stop",
                ));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn has_stopped(&self, elapsed: Duration) -> io::Result<bool> {
        let is_patient = elapsed < UNINTERRUPTIBLE_LIMIT;
        let at_rest = |stat: procfs::Stat| stat.is_stopped() || (stat.state == 'D' && !is_patient);
        let inside =
            |pid: &i32| procfs::pid_namespace(*pid).is_ok_and(|space| space == self.pid_namespace);
        let others = procfs::pids()?.filter(|pid| *pid != self.init.pid);
        Ok(others
            .filter(inside)
            .all(|pid| procfs::Stat::of(pid).is_none_or(at_rest)))
    }

    fn thaw(&self) -> io::Result<()> {
        let mut frozen = self.frozen.write().unwrap_or_else(PoisonError::into_inner);
        self.signal_all(Signal::SIGCONT)?;
        *frozen = false;
        self.thawed.notify_waiters();
        Ok(())
    }

    /// Closes a terminal, once the VM is not frozen: the hang-up wakes up who is stopped.
    pub(super) async fn hang_up(self: Arc<Self>, terminal: impl Send + 'static) {
        // At the VM's end it is dropped as well.
        let _ = self.while_thawed(move |_| drop(terminal)).await;
    }

    /// Does work on a blocking thread once the VM is not frozen, which it does not become meanwhile.
    /// `None` if the VM ends before.
    async fn while_thawed<T: Send + 'static>(
        self: &Arc<Self>,
        mut work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        loop {
            let mut thawed = pin!(self.thawed.notified());
            thawed.as_mut().enable();
            let vm = Arc::clone(self);
            let tried = spawn_blocking(move || {
                let frozen = vm.frozen.read().unwrap_or_else(PoisonError::into_inner);
                if *frozen { Err(work) } else { Ok(work(&vm)) }
            });
            match tried.await.ok()? {
                Ok(done) => return Some(done),
                Err(later) => work = later,
            }
            select! {
                () = thawed => {}
                _ = self.init.wait() => return None,
            }
        }
    }

    async fn kill(&self) -> io::Result<()> {
        self.send_kill();
        // Whoever took the status: it has ended.
        let _ = self.init.wait().await;
        Ok(())
    }

    /// The kernel kills all that is inside with process 1, and only then lets it end.
    fn send_kill(&self) {
        // It fails only if process 1 has ended already.
        let _ = kernel::pidfd_send_signal(self.init.pidfd(), Signal::SIGKILL as i32);
    }
}

fn candidates(program: &str, path: &str) -> Vec<CString> {
    if program.contains('/') {
        return c_string(program).into_iter().collect();
    }
    if program.is_empty() {
        return Vec::new();
    }
    let folders = path
        .split(':')
        .map(|folder| if folder.is_empty() { "." } else { folder });
    folders
        .filter_map(|folder| c_string(format!("{folder}/{program}")))
        .collect()
}

fn exec_error(report: &Report, command: &Command) -> Option<ExecError> {
    let source = io::Error::from_raw_os_error(report.errno);
    let program = || command.program.clone();
    Some(match report.stage {
        Stage::Started => return None,
        Stage::Exec if report.errno == Errno::ENOENT as i32 => {
            ExecError::NotFound { program: program() }
        }
        Stage::Exec => ExecError::NotExecutable {
            program: program(),
            source,
        },
        Stage::WorkingDirectory => ExecError::WorkingDirectory {
            path: command.place.to_string_lossy().into_owned(),
            source,
        },
        Stage::Identity => exec_fault("become the user in the VM", source),
        Stage::Stdin => exec_fault("open /dev/null", source),
        Stage::Terminal => exec_fault("open a terminal in the VM", source),
        Stage::Restrict => exec_fault("limit its capabilities", source),
        other => exec_fault(&format!("start it ({other:?})"), source),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::sandbox::{Host, Tree};

    type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

    async fn write(vm: &Sandbox, path: &str, text: &'static str) -> Result<(), FileError> {
        let file = vm.create_file(path).await?;
        file.write(Bytes::from_static(text.as_bytes())).await
    }

    fn own_root(id: &str) -> LaunchSpec {
        let mut spec = LaunchSpec::new(id, "box");
        spec.root = RootKind::Own;
        spec
    }

    #[tokio::test]
    async fn files_are_written_without_a_program_and_within_the_root() -> Result {
        let state = tempfile::tempdir()?;
        let (outside, volume) = (state.path().join("outside"), state.path().join("volume"));
        std::fs::create_dir(&outside)?;
        std::fs::create_dir(&volume)?;
        let host = Host::probe(state.path()).await?;
        let root = host.root_of("1");
        std::fs::create_dir_all(root.join("srv"))?;
        symlink("srv", root.join("link"))?;
        symlink(&outside, root.join("absolute"))?;
        symlink(
            Path::new("..").join(outside.strip_prefix("/")?),
            root.join("upwards"),
        )?;
        std::fs::write(root.join("program"), "a longer text")?;
        std::fs::set_permissions(root.join("program"), PermissionsExt::from_mode(0o755))?;
        let vm = host.launch(own_root("1")).await?;
        vm.mount(&volume, "/mnt/volume", false).await?;

        write(&vm, "/new/folder/file", "one").await?;
        write(&vm, "/link/file", "two").await?;
        write(&vm, "/mnt/volume/file", "three").await?;
        write(&vm, "/program", "short").await?;
        for (path, text, mode) in [
            (root.join("new/folder/file"), "one", 0o644),
            (root.join("srv/file"), "two", 0o644),
            (volume.join("file"), "three", 0o644),
            (root.join("program"), "short", 0o755),
        ] {
            assert_eq!(std::fs::read_to_string(&path)?, text);
            let found = path.metadata()?.permissions().mode();
            assert_eq!(found & 0o7777, mode, "{}", path.display());
        }
        for path in [
            "/absolute/file",
            "/upwards/file",
            "/program/file",
            "/srv",
            "/srv/",
        ] {
            let refused = write(&vm, path, "x").await;
            assert!(matches!(refused, Err(FileError::Failed { .. })), "{path}");
        }
        assert_eq!(std::fs::read_dir(&outside)?.count(), 0);
        for path in ["/dev/null", "/dev/zero"] {
            let refused = write(&vm, path, "x").await;
            assert!(matches!(refused, Err(FileError::NotAFile { .. })), "{path}");
        }

        vm.freeze().await?;
        let mut late = pin!(write(&vm, "/late", "late"));
        let waited = tokio::time::timeout(Duration::from_millis(50), &mut late).await;
        assert!(waited.is_err() && !root.join("late").exists());
        vm.thaw().await?;
        late.await?;
        assert_eq!(std::fs::read_to_string(root.join("late"))?, "late");
        vm.kill().await?;
        assert!(matches!(write(&vm, "/x", "x").await, Err(FileError::Gone)));
        Ok(())
    }

    #[tokio::test]
    async fn a_tree_of_a_complete_root_makes_vms_like_it() -> Result {
        let state = tempfile::tempdir()?;
        let host = Host::probe(state.path()).await?;
        let vm = host.launch(own_root("1")).await?;
        write(&vm, "/data/file", "kept").await?;
        let set_id = vm.root().join("data/file");
        std::fs::set_permissions(&set_id, PermissionsExt::from_mode(0o4755))?;
        std::fs::hard_link(&set_id, vm.root().join("data/again"))?;
        let tree = Arc::new(Tree::at(state.path().join("tree")));
        let taken = Arc::clone(&tree);
        vm.at_rest(move |root| taken.fill_from(root)).await?;

        let mut spec = own_root("2");
        (spec.source, spec.hostname) = (Some(tree), "other".to_owned());
        let copy = host.launch(spec).await?;
        for name in ["data/file", "data/again"] {
            let path = copy.root().join(name);
            assert_eq!(std::fs::read_to_string(&path)?, "kept");
            assert_eq!(path.metadata()?.permissions().mode() & 0o7777, 0o4755);
        }
        let text = |path: &str| std::fs::read_to_string(copy.root().join(path));
        assert_eq!(text("etc/hostname")?, "other\n");
        assert!(text("etc/hosts")?.contains(" other\n") && !text("etc/hosts")?.contains(" box\n"));
        Ok(())
    }
}
