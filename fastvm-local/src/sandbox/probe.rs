//! Whether VMs can be had on this machine: found out by launching one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;

use super::identity::Identity;
use super::instance::Instance;
use super::root::{Layout, PATH};
use super::vm::MAKE_NAMESPACES;
use super::{ExecSpec, LaunchError, LaunchSpec, ProbeError, RootKind, Sandbox, init};

/// Programs of the host that VMs, and transfers to and from them, need.
const TOOLS: [&str; 4] = ["sh", "tar", "gzip", "curl"];

/// A machine on which VMs can be launched. Clones are the same host.
#[derive(Clone, Debug)]
pub struct Host {
    shared: Arc<Shared>,
    shows_host_processes: bool,
}

/// What all VMs of a host share. Each holds it, so that the directory outlives them.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) instance: Instance,
    pub(super) identity: Identity,
    /// The program of process 1.
    pub(super) init: File,
    /// Of roots that show the host's programs.
    layout: Layout,
    /// Of roots that are complete.
    own_layout: Layout,
    /// Ids of the VMs whose directories exist.
    pub(super) ids: Mutex<BTreeSet<String>>,
}

impl Shared {
    pub(super) fn layout(&self, root: RootKind) -> &Layout {
        match root {
            RootKind::Host => &self.layout,
            RootKind::Own => &self.own_layout,
        }
    }
}

impl Host {
    /// Makes sure that VMs can be isolated here, by launching one and running `true` in it, and
    /// deletes what dead servers have left in `state_dir`.
    ///
    /// Every VM has its root directory below `state_dir`, which is made if it is missing. Several
    /// servers can share one. Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// With the reason and, if it is known, the way out.
    pub async fn probe(state_dir: impl Into<PathBuf>) -> Result<Self, ProbeError> {
        let state_dir = state_dir.into();
        let prepared = spawn_blocking(move || prepare(&state_dir));
        let shared = prepared
            .await
            .map_err(|error| ProbeError::new("the probe was cut off").source(error))??;
        let mut host = Self {
            shared: Arc::new(shared),
            shows_host_processes: false,
        };

        let launched =
            Sandbox::launch(Arc::clone(&host.shared), LaunchSpec::new(".probe", "probe")).await;
        let (vm, shows_host_processes) = launched.map_err(explain)?;
        host.shows_host_processes = shows_host_processes;
        run_true(&vm).await?;
        vm.remove().await.map_err(|error| {
            ProbeError::new("the VM of the probe could not be removed").source(error)
        })?;
        Ok(host)
    }

    /// Launches a VM.
    ///
    /// Its root directory is [`root_of`](Self::root_of) the id. If that is there already and holds
    /// something, as after a restore, it is taken as it is.
    ///
    /// # Errors
    ///
    /// If the spec cannot be used, or the system refuses; its directory is gone then. Dropping the
    /// future ends the VM.
    pub async fn launch(&self, spec: LaunchSpec) -> Result<Sandbox, LaunchError> {
        let launched = Sandbox::launch(Arc::clone(&self.shared), spec).await;
        launched.map(|(vm, _)| vm)
    }

    /// Where the root directory of the VM of this id is, or will be.
    pub fn root_of(&self, id: &str) -> PathBuf {
        self.shared.instance.root_of(id)
    }

    /// Whether VMs with the host's programs see a part of the host, or what is made at their launch,
    /// in this place of their root directory.
    pub(crate) fn shows(&self, path: &Path) -> bool {
        self.shared.layout.covers(path)
    }

    /// Whether VMs see a list of the host's processes, because `/proc` is masked here (as in a
    /// container) and a new one is refused. They can read the names, and signal none.
    pub fn shows_host_processes(&self) -> bool {
        self.shows_host_processes
    }
}

fn prepare(state_dir: &Path) -> Result<Shared, ProbeError> {
    let missing: Vec<&str> = TOOLS
        .into_iter()
        .filter(|tool| !is_installed(tool))
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(ProbeError::new(format!(
            "programs that VMs need are missing in {PATH}: {missing}"
        ))
        .way_out("install them with the package manager of this machine"));
    }
    let layout = Layout::of_this_host()
        .map_err(|error| ProbeError::new("/ cannot be read").source(error))?;
    let identity = Identity::of_this_process()
        .map_err(|error| ProbeError::new("/proc/self cannot be read").source(error))?;
    let instance = Instance::create(state_dir).map_err(|error| {
        ProbeError::new(format!(
            "the state directory {} cannot be used: {error}",
            state_dir.display()
        ))
        .way_out("name a state directory that this user can write")
        .source(error)
    })?;
    let place = instance.root_of("");
    if let Some(shown) = layout.shows(&place) {
        return Err(ProbeError::new(format!(
            "the state directory lies in {}, which VMs see",
            shown.display()
        ))
        .way_out("name one elsewhere, as below /var/tmp"));
    }
    let flags = statvfs(&place).map(|found| found.flags());
    if flags.is_ok_and(|flags| flags.contains(FsFlags::ST_NOEXEC)) {
        let place = state_dir.display();
        return Err(ProbeError::new(format!(
            "the state directory {place} is on a file system mounted noexec"
        ))
        .way_out("name one on another file system, as below /var/tmp"));
    }
    let init = init::create().map_err(|error| {
        ProbeError::new("the program of process 1 cannot be made").source(error)
    })?;
    Ok(Shared {
        instance,
        identity,
        init,
        layout,
        own_layout: Layout::complete(),
        ids: Mutex::default(),
    })
}

fn is_installed(tool: &str) -> bool {
    PATH.split(':')
        .any(|folder| Path::new(folder).join(tool).is_file())
}

async fn run_true(vm: &Sandbox) -> Result<(), ProbeError> {
    let failed = || ProbeError::new("a VM was launched, but a command in it failed");
    let mut process = vm
        .exec(ExecSpec::new(["sh", "-c", "true"]))
        .await
        .map_err(|error| failed().source(error))?;
    let mut said = String::new();
    if let Some(stderr) = process.stderr.take() {
        let _ = stderr.take(1000).read_to_string(&mut said).await;
    }
    let exit = process
        .wait()
        .await
        .map_err(|error| failed().source(error))?;
    match exit.code() {
        0 => Ok(()),
        code => Err(ProbeError::new(format!(
            "a VM was launched, but `true` in it ended with {code}: {}",
            said.trim()
        ))),
    }
}

/// What stands in the way, from what the kernel said and how the machine is set.
fn explain(error: LaunchError) -> ProbeError {
    let LaunchError::Kernel { doing, source } = &error else {
        return ProbeError::new(error.to_string()).source(error);
    };
    let setting =
        |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|found| found.trim() == value);
    let is_root = geteuid().is_root();
    let errno = source.raw_os_error().map(Errno::from_raw);
    let is_denied = matches!(errno, Some(Errno::EPERM | Errno::EACCES));
    let (reason, way_out) = if setting("/proc/sys/user/max_user_namespaces", "0")
        || (matches!(errno, Some(Errno::ENOSPC | Errno::EUSERS)) && doing == MAKE_NAMESPACES)
    {
        let reason = "user namespaces are used up or switched off (user.max_user_namespaces)";
        (reason, "sudo sysctl -w user.max_user_namespaces=10000")
    } else if is_denied
        && !is_root
        && setting(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        )
    {
        let way_out =
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root";
        (
            "AppArmor keeps user namespaces from ordinary users",
            way_out,
        )
    } else if is_denied && !is_root && setting("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        let way_out = "sudo sysctl -w kernel.unprivileged_userns_clone=1, or run as root";
        ("user namespaces are closed to ordinary users", way_out)
    } else if errno == Some(Errno::ENOSYS)
        || (errno == Some(Errno::EINVAL) && doing == MAKE_NAMESPACES)
    {
        (
            "the kernel lacks a call that isolation needs",
            "use Linux 5.12 or newer, outside of gVisor and the like",
        )
    } else if is_denied && is_in_container() {
        let way_out = "run the container with --privileged, or the server on the machine itself";
        ("this container does not allow namespaces", way_out)
    } else if is_denied {
        (
            "namespaces are not allowed here",
            "run as root, outside of containers",
        )
    } else {
        return ProbeError::new(with_cause(doing, source)).source(error);
    };
    ProbeError::new(format!("{reason}; {}", with_cause(doing, source)))
        .way_out(way_out)
        .source(error)
}

fn with_cause(doing: &str, source: &io::Error) -> String {
    format!("could not {doing} ({source})")
}

fn is_in_container() -> bool {
    let marks = [
        "/.dockerenv",
        "/run/.containerenv",
        "/var/run/secrets/kubernetes.io",
    ];
    marks.into_iter().any(|mark| Path::new(mark).exists())
        || fs::read_to_string("/proc/1/environ").is_ok_and(|environ| environ.contains("container="))
}
