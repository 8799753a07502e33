//! The calls to the kernel that no safe crate offers: the only module with unsafe code.
//!
//! [`launch`], [`join`], [`mount`], [`unmount`] and [`create`] copy the calling process. The copy has one thread and a snapshot of
//! every lock, so until its `execve` it must not allocate, lock, log or panic: everything it needs
//! is laid out beforehand in [`Image`], [`Launch`], [`Join`], [`Mount`] and [`Create`]. It reports what failed as a
//! [`Report`] on the status pipe, which closes by itself when `execve` succeeds. glibc's set-id
//! functions signal all threads it knows of, and in the copy that list is stale: those calls are
//! made raw.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_long, c_uint, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag};
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::unistd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::TerminalSize;

/// What a copy of this process was doing when it failed, or what it has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Stage {
    Descriptors,
    Identity,
    PrivateMounts,
    /// Opening the source of the step whose index is in the report.
    Source,
    Pivot,
    /// Making the step whose index is in the report.
    Step,
    Detach,
    /// Writing the file whose index is in the report.
    File,
    Hostname,
    Join,
    Fork,
    /// Not a failure: the joined process runs; the index is its process id.
    Started,
    /// Not a failure: `/proc` is masked here, the host's is shown read-only.
    SharedProc,
    Session,
    Stdin,
    WorkingDirectory,
    Restrict,
    Exec,
    Signal,
    /// Going to the target of a mount.
    Target,
    /// Not a failure if the errno is 0.
    Mount,
    /// Not a failure if the errno is 0.
    Unmount,
    Terminal,
    /// Making the folder whose index is in the report.
    Folder,
    /// Opening a file to be written. Not a failure if the errno is 0.
    Create,
}

const STAGES: [Stage; 25] = [
    Stage::Descriptors,
    Stage::Identity,
    Stage::PrivateMounts,
    Stage::Source,
    Stage::Pivot,
    Stage::Step,
    Stage::Detach,
    Stage::File,
    Stage::Hostname,
    Stage::Join,
    Stage::Fork,
    Stage::Started,
    Stage::SharedProc,
    Stage::Session,
    Stage::Stdin,
    Stage::WorkingDirectory,
    Stage::Restrict,
    Stage::Exec,
    Stage::Signal,
    Stage::Target,
    Stage::Mount,
    Stage::Unmount,
    Stage::Terminal,
    Stage::Folder,
    Stage::Create,
];

/// One message on the status pipe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) stage: Stage,
    pub(super) index: u32,
    pub(super) errno: i32,
}

impl Report {
    pub(super) const SIZE: usize = 12;

    fn to_bytes(self) -> [u8; Self::SIZE] {
        let [a, b, c, d] = (self.stage as u32).to_ne_bytes();
        let [e, f, g, h] = self.index.to_ne_bytes();
        let [i, j, k, l] = self.errno.to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// The reports in what was read from a status pipe.
    pub(super) fn parse(bytes: &[u8]) -> impl Iterator<Item = Self> {
        let (chunks, _) = bytes.as_chunks::<{ Self::SIZE }>();
        chunks
            .iter()
            .filter_map(|&[a, b, c, d, e, f, g, h, i, j, k, l]| {
                Some(Self {
                    stage: *STAGES.get(u32::from_ne_bytes([a, b, c, d]) as usize)?,
                    index: u32::from_ne_bytes([e, f, g, h]),
                    errno: i32::from_ne_bytes([i, j, k, l]),
                })
            })
    }
}

/// Why a copy gives up: where, and the kernel's answer.
struct Failure(Stage, u32, Errno);

fn at(stage: Stage) -> impl Fn(Errno) -> Failure {
    move |errno| Failure(stage, 0, errno)
}

/// Strings and the null-terminated array of pointers to them, as `execve` wants it.
struct PointerArray {
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl PointerArray {
    fn new(strings: Vec<CString>) -> Self {
        // The bytes of a `CString` are on the heap: moving the vector does not move them.
        let pointers = strings
            .iter()
            .map(|s| s.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            _strings: strings,
            pointers,
        }
    }
}

/// A program, its arguments and its environment, ready for `execve`.
pub(super) struct Image {
    candidates: Vec<CString>,
    argv: PointerArray,
    envp: PointerArray,
}

impl Image {
    /// `candidates` are tried in order, as a shell tries the folders of `PATH`.
    pub(super) fn new(candidates: Vec<CString>, argv: Vec<CString>, env: Vec<CString>) -> Self {
        Self {
            candidates,
            argv: PointerArray::new(argv),
            envp: PointerArray::new(env),
        }
    }

    /// Returns only if no candidate could be run.
    fn exec(&self) -> Errno {
        let mut failure = Errno::ENOENT;
        for path in &self.candidates {
            // SAFETY: the path and both arrays are null-terminated and live in `self`.
            unsafe {
                libc::execve(
                    path.as_ptr(),
                    self.argv.pointers.as_ptr(),
                    self.envp.pointers.as_ptr(),
                )
            };
            match Errno::last() {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => failure = Errno::EACCES,
                other => return other,
            }
        }
        failure
    }
}

/// One step of furnishing the root of a new VM. Paths of targets are paths inside the VM.
#[derive(Debug)]
pub(super) enum Step {
    /// A folder, unless one is there. Nothing else may be: what lies below it is made then.
    Folder(CString),
    /// An empty file to mount on, unless something is there.
    File(CString),
    /// A symbolic link, unless something is there.
    Link { at: CString, to: CString },
    /// A file or a tree of the host, read-only.
    Bind { source: CString, target: CString },
    /// A new file system of the kernel.
    Mount {
        kind: CString,
        target: CString,
        options: CString,
    },
    /// The VM's processes at `/proc`.
    Proc,
    /// A part of `/proc` that is not to be written, if the kernel has it.
    ReadOnly(CString),
}

/// What a new VM needs, laid out before the copy is made.
pub(super) struct Launch<'a> {
    pub(super) root: &'a CStr,
    pub(super) hostname: &'a OsStr,
    pub(super) steps: &'a [Step],
    /// Paths in the VM, and what is written there.
    pub(super) files: &'a [(CString, Vec<u8>)],
    /// Supplementary groups can be given up, and are.
    pub(super) clear_groups: bool,
    /// The program of process 1: reads its standard input to the end.
    pub(super) init: BorrowedFd<'a>,
    /// Standard input of process 1. One byte says that the id maps are written.
    pub(super) life: BorrowedFd<'a>,
    pub(super) status: BorrowedFd<'a>,
}

/// Starts process 1 of a new VM, a child of this process.
///
/// It waits for the byte on `life`; how it went comes on `status`.
pub(super) fn launch(plan: &Launch<'_>) -> Result<(i32, OwnedFd), Errno> {
    let mut sources: Vec<RawFd> = vec![-1; plan.steps.len()];
    let namespaces = NAMESPACES.bits() as u64;
    // SAFETY: `become_init` only makes system calls on what was laid out before.
    unsafe { copy_process(namespaces, plan.status, || become_init(plan, &mut sources)) }
}

const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWUSER
    .union(CloneFlags::CLONE_NEWNS)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC);

fn become_init(plan: &Launch<'_>, sources: &mut [RawFd]) -> Failure {
    let mut prepare = || -> Result<(), Failure> {
        unistd::dup2_stdin(plan.life).map_err(at(Stage::Descriptors))?;
        close_all_but(plan.status.as_raw_fd(), plan.init.as_raw_fd())
            .map_err(at(Stage::Descriptors))?;
        wait_for_go().map_err(at(Stage::Identity))?;
        become_root(plan.clear_groups).map_err(at(Stage::Identity))?;
        enter_root(plan, sources)?;
        write_files(plan.files)?;
        unistd::sethostname(plan.hostname).map_err(at(Stage::Hostname))?;
        let null = nix::fcntl::open(
            c"/dev/null",
            OFlag::O_RDWR | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .map_err(at(Stage::Descriptors))?;
        unistd::dup2_stdout(&null).map_err(at(Stage::Descriptors))?;
        unistd::dup2_stderr(&null).map_err(at(Stage::Descriptors))?;
        unistd::setsid().map_err(at(Stage::Session))?;
        reset_signals();
        // Orphans end without leaving a zombie: nobody in the VM waits for them.
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        // One capability more than any other process of the VM has: so none can trace, and thereby
        // stop, the one that ends the VM.
        limit_capabilities(KEPT_CAPABILITIES | 1 << CAP_SYS_PTRACE).map_err(at(Stage::Restrict))?;
        Ok(())
    };
    match prepare() {
        Ok(()) => Failure(Stage::Exec, 0, exec_init(plan.init)),
        Err(failure) => failure,
    }
}

/// Returns only if it fails.
fn exec_init(program: BorrowedFd<'_>) -> Errno {
    let argv = [c"init".as_ptr(), ptr::null()];
    let envp = [ptr::null::<c_char>()];
    // SAFETY: the path and both arrays are null-terminated and outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Errno::last()
}

/// Writes files in the VM, all below `/etc`. Links are followed: they lead nowhere but in the VM.
fn write_files(files: &[(CString, Vec<u8>)]) -> Result<(), Failure> {
    if files.is_empty() {
        return Ok(());
    }
    let made = unistd::mkdir(c"/etc", Mode::from_bits_truncate(0o755));
    unless_there(made).map_err(at(Stage::File))?;
    for (index, (path, text)) in files.iter().enumerate() {
        write_file(path, text).map_err(|errno| Failure(Stage::File, index as u32, errno))?;
    }
    Ok(())
}

fn write_file(path: &CStr, mut text: &[u8]) -> Result<(), Errno> {
    // A pipe in its place would not be waited for.
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let flags = flags | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(0o644);
    let file = match nix::fcntl::open(path, flags | OFlag::O_TRUNC, mode) {
        Err(_) => {
            // Most likely a link that leads nowhere.
            match unistd::unlink(path) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
            nix::fcntl::open(path, flags | OFlag::O_EXCL, mode)?
        }
        Ok(file) => file,
    };
    while !text.is_empty() {
        let written = unistd::write(&file, text)?;
        text = text.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Builds the VM's view of the file system and makes it the only one.
///
/// Sources are opened in the host's view, targets are reached in the VM's and through no symbolic
/// link: while the old root lies over the new one, `..` of the new one leads out of it.
fn enter_root(plan: &Launch<'_>, sources: &mut [RawFd]) -> Result<(), Failure> {
    let none = None::<&CStr>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    nix::mount::mount(none, c"/", none, private, none).map_err(at(Stage::PrivateMounts))?;
    for (index, (step, source)) in plan.steps.iter().zip(sources.iter_mut()).enumerate() {
        let path = match step {
            Step::Bind { source, .. } => source,
            Step::Proc => c"/proc",
            _ => continue,
        };
        *source =
            read_only_copy(path).map_err(|errno| Failure(Stage::Source, index as u32, errno))?;
    }
    nix::mount::mount(Some(plan.root), plan.root, none, MsFlags::MS_BIND, none)
        .map_err(at(Stage::Pivot))?;
    unistd::chdir(plan.root).map_err(at(Stage::Pivot))?;
    // The old root now lies over the new one, and `.` leads to it: the next call but the steps
    // takes it away. A new `/proc` is only allowed while the old one is still mounted somewhere.
    unistd::pivot_root(c".", c".").map_err(at(Stage::Pivot))?;
    for (index, (step, source)) in plan.steps.iter().zip(sources.iter()).enumerate() {
        take(step, *source, plan.status)
            .map_err(|errno| Failure(Stage::Step, index as u32, errno))?;
    }
    nix::mount::umount2(c".", MntFlags::MNT_DETACH).map_err(at(Stage::Detach))?;
    unistd::chdir(c"/").map_err(at(Stage::Detach))
}

fn take(step: &Step, source: RawFd, status: BorrowedFd<'_>) -> Result<(), Errno> {
    match step {
        Step::Folder(path) => {
            let mode = Mode::from_bits_truncate(0o755);
            unless_there(unistd::mkdir(path.as_c_str(), mode))?;
            find(path, OFlag::O_DIRECTORY).map(drop)
        }
        Step::File(path) => {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            unless_there(
                nix::fcntl::open(path.as_c_str(), flags, Mode::from_bits_truncate(0o644)).map(drop),
            )
        }
        Step::Link { at, to } => {
            unless_there(unistd::symlinkat(to.as_c_str(), AT_FDCWD, at.as_c_str()))
        }
        Step::Bind { target, .. } => {
            let target = find(target, OFlag::empty())?;
            move_mount_onto(source, target.as_fd())
        }
        Step::Mount {
            kind,
            target,
            options,
        } => {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
            mount_new(kind, target, flags, Some(options))
        }
        Step::Proc => {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
            match mount_new(c"proc", c"/proc", flags, None) {
                Err(Errno::EPERM) => {
                    report(
                        status,
                        Report {
                            stage: Stage::SharedProc,
                            index: 0,
                            errno: 0,
                        },
                    );
                    move_mount(source, c"/proc")
                }
                other => other,
            }
        }
        Step::ReadOnly(path) => match read_only_copy(path) {
            Ok(copy) => move_mount(copy, path),
            Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        },
    }
}

/// What is at a path, if no symbolic link is on the way there.
fn find(path: &CStr, more: OFlag) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(more | OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    nix::fcntl::openat2(AT_FDCWD, path, how)
}

fn unless_there(made: Result<(), Errno>) -> Result<(), Errno> {
    if made == Err(Errno::EEXIST) {
        Ok(())
    } else {
        made
    }
}

fn mount_new(
    kind: &CStr,
    target: &CStr,
    flags: MsFlags,
    options: Option<&CStr>,
) -> Result<(), Errno> {
    nix::mount::mount(Some(kind), target, Some(kind), flags, options)
}

/// `struct mount_attr` of `mount_setattr(2)`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const OPEN_TREE_CLONE: c_uint = 1;
const AT_RECURSIVE: c_uint = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: c_uint = 4;
const MOVE_MOUNT_T_EMPTY_PATH: c_uint = 0x40;
const MOUNT_ATTR_RDONLY: u64 = 1;
const MOUNT_ATTR_NOSUID: u64 = 2;
const MOUNT_ATTR_NODEV: u64 = 4;

/// A detached, read-only copy of the mounts at `path`, submounts included.
fn read_only_copy(path: &CStr) -> Result<RawFd, Errno> {
    detached_copy(libc::AT_FDCWD, path, MOUNT_ATTR_RDONLY)
}

/// A detached copy of the mounts at `path` below the folder `from`, or of those at that folder if the
/// path is empty, submounts included, with these attributes.
///
/// The descriptor is closed by `execve`; until then it is the only hold on the copy.
fn detached_copy(from: RawFd, path: &CStr, attributes: u64) -> Result<RawFd, Errno> {
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC as c_uint;
    let flags = flags | libc::AT_EMPTY_PATH as c_uint;
    // SAFETY: the path is null-terminated; the kernel keeps no pointer.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, from, path.as_ptr(), flags) };
    let tree = Errno::result(tree)? as RawFd;
    let attributes = MountAttributes {
        set: attributes,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    let flags = libc::AT_EMPTY_PATH as c_uint | AT_RECURSIVE;
    // SAFETY: the attributes have the layout and the size that are passed; the kernel keeps no pointer.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree,
            c"".as_ptr(),
            flags,
            ptr::from_ref(&attributes),
            size_of::<MountAttributes>(),
        )
    };
    Errno::result(set)?;
    Ok(tree)
}

fn move_mount(tree: RawFd, target: &CStr) -> Result<(), Errno> {
    // SAFETY: both paths are null-terminated; the kernel keeps no pointer.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree,
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(moved).map(drop)
}

/// The same, onto a file or folder that is open.
fn move_mount_onto(tree: RawFd, target: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: both paths are null-terminated; the kernel keeps no pointer.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree,
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    };
    Errno::result(moved).map(drop)
}

fn wait_for_go() -> Result<(), Errno> {
    let mut byte = [0u8];
    // SAFETY: standard input is open for the whole call; nothing else owns it in this process.
    let stdin = unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) };
    match unistd::read(stdin, &mut byte)? {
        0 => Err(Errno::EPIPE),
        _ => Ok(()),
    }
}

/// What runs inside a VM that is joined.
pub(super) enum Task<'a> {
    /// A program, in a session of its own.
    Exec {
        image: &'a Image,
        cwd: &'a CStr,
        /// Where the working directory cannot be entered, `/` is.
        or_root: bool,
        user: User<'a>,
        /// `chown` answers 0 without doing anything: only one user id exists here.
        fake_chown: bool,
        /// All three standard descriptors are a new terminal of the VM, of this size. The server's
        /// side of it is sent over the socket that is standard input until then.
        terminal: Option<TerminalSize>,
    },
    /// One signal to every process but process 1. The kernel does it in one go: a fork under way
    /// gets it as well.
    SignalAll(c_int),
}

/// Whom a program runs as.
#[derive(Clone, Copy)]
pub(super) struct User<'a> {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Supplementary groups, where they can be set.
    pub(super) groups: &'a [u32],
}

impl User<'_> {
    pub(super) const ROOT: Self = User {
        uid: 0,
        gid: 0,
        groups: &[],
    };
}

/// A process to be put into a VM, laid out before the copies are made.
pub(super) struct Join<'a> {
    /// Process 1 of the VM.
    pub(super) vm: BorrowedFd<'a>,
    /// `None` is `/dev/null`.
    pub(super) stdin: Option<BorrowedFd<'a>>,
    pub(super) stdout: Option<BorrowedFd<'a>>,
    pub(super) stderr: Option<BorrowedFd<'a>>,
    pub(super) clear_groups: bool,
    pub(super) task: Task<'a>,
    pub(super) status: BorrowedFd<'a>,
}

/// Starts a go-between that joins the VM and there starts the task, as a child of *this* process.
///
/// The go-between is returned, to be waited for; the task's process id comes on `status`.
pub(super) fn join(plan: &Join<'_>) -> Result<(i32, OwnedFd), Errno> {
    // SAFETY: `go_between` only makes system calls on what was laid out before.
    unsafe { copy_process(0, plan.status, || go_between(plan)) }
}

fn go_between(plan: &Join<'_>) -> Failure {
    let joined = || -> Result<(), Failure> {
        take_descriptors(plan).map_err(at(Stage::Descriptors))?;
        hide_memory().map_err(at(Stage::Join))?;
        nix::sched::setns(plan.vm, NAMESPACES).map_err(at(Stage::Join))
    };
    if let Err(failure) = joined() {
        return failure;
    }
    // SAFETY: as for this process itself, `run_task` only makes system calls.
    match unsafe { clone3(libc::CLONE_PARENT as u64, 0) } {
        Ok(Side::Copy) => run_task(plan),
        Ok(Side::Original(pid, _)) => Failure(Stage::Started, pid as u32, Errno::from_raw(0)),
        Err(errno) => Failure(Stage::Fork, 0, errno),
    }
}

fn take_descriptors(plan: &Join<'_>) -> Result<(), Errno> {
    if let Some(stdin) = plan.stdin {
        unistd::dup2_stdin(stdin)?;
    }
    if let Some(stdout) = plan.stdout {
        unistd::dup2_stdout(stdout)?;
    }
    if let Some(stderr) = plan.stderr {
        unistd::dup2_stderr(stderr)?;
    }
    close_all_but(plan.status.as_raw_fd(), plan.vm.as_raw_fd())
}

fn run_task(plan: &Join<'_>) -> Failure {
    match plan.task {
        Task::SignalAll(signal) => {
            // SAFETY: plain numbers are passed. Every process but 1 and this one is meant.
            let sent = unsafe { libc::kill(-1, signal) };
            match Errno::result(sent) {
                // No other process runs.
                Ok(_) | Err(Errno::ESRCH) => Failure(Stage::Signal, 0, Errno::from_raw(0)),
                Err(errno) => Failure(Stage::Signal, 0, errno),
            }
        }
        Task::Exec {
            image,
            cwd,
            or_root,
            user,
            fake_chown,
            terminal,
        } => {
            let ready = || -> Result<(), Failure> {
                unistd::setsid().map_err(at(Stage::Session))?;
                become_root(plan.clear_groups).map_err(at(Stage::Identity))?;
                if let Some(size) = terminal {
                    take_terminal(size).map_err(at(Stage::Terminal))?;
                } else if plan.stdin.is_none() {
                    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
                    let null = nix::fcntl::open(c"/dev/null", flags, Mode::empty())
                        .map_err(at(Stage::Stdin))?;
                    unistd::dup2_stdin(&null).map_err(at(Stage::Stdin))?;
                }
                match unistd::chdir(cwd) {
                    Err(_) if or_root => unistd::chdir(c"/"),
                    entered => entered,
                }
                .map_err(at(Stage::WorkingDirectory))?;
                if fake_chown {
                    answer_chown_with_success().map_err(at(Stage::Restrict))?;
                }
                limit_capabilities(KEPT_CAPABILITIES).map_err(at(Stage::Restrict))?;
                become_user(&user, plan.clear_groups).map_err(at(Stage::Identity))?;
                reset_signals();
                Ok(())
            };
            match ready() {
                Ok(()) => Failure(Stage::Exec, 0, image.exec()),
                Err(failure) => failure,
            }
        }
    }
}

/// A mount to be made or undone in a running VM, laid out before the copy is made.
pub(super) struct Mount<'a> {
    /// Process 1 of the VM.
    pub(super) vm: BorrowedFd<'a>,
    /// The names of the folders from the VM's root to the one above the target.
    pub(super) above: &'a [CString],
    /// The name of the target in there.
    pub(super) name: &'a CStr,
    pub(super) status: BorrowedFd<'a>,
}

/// Starts a process that mounts a folder of the host in the VM. Missing folders on the way to the
/// target are made.
///
/// It is outside of the VM's pid namespace: nothing inside can see or stop it. How it went comes on
/// `status`.
pub(super) fn mount(
    plan: &Mount<'_>,
    source: &[CString],
    read_only: bool,
) -> Result<(i32, OwnedFd), Errno> {
    let attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    let attributes = attributes | if read_only { MOUNT_ATTR_RDONLY } else { 0 };
    let mount = || match mount_inside(plan, source, attributes) {
        Ok(()) => Failure(Stage::Mount, 0, Errno::from_raw(0)),
        Err(failure) => failure,
    };
    // SAFETY: `mount_inside` only makes system calls on what was laid out before.
    unsafe { copy_process(0, plan.status, mount) }
}

/// Starts a process that undoes such a mount, if nobody uses it.
pub(super) fn unmount(plan: &Mount<'_>) -> Result<(i32, OwnedFd), Errno> {
    let unmount = || match unmount_inside(plan) {
        Ok(()) => Failure(Stage::Unmount, 0, Errno::from_raw(0)),
        Err(failure) => failure,
    };
    // SAFETY: `unmount_inside` only makes system calls on what was laid out before.
    unsafe { copy_process(0, plan.status, unmount) }
}

fn mount_inside(plan: &Mount<'_>, source: &[CString], attributes: u64) -> Result<(), Failure> {
    join_users(plan.vm, plan.status)?;
    // The source is in the host's view, where an ordinary user may mount nothing. In a copy of it
    // that belongs to the VM's users, which this process now is one of, that is allowed.
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).map_err(at(Stage::PrivateMounts))?;
    let (none, private) = (None::<&CStr>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    nix::mount::mount(none, c"/", none, private, none).map_err(at(Stage::PrivateMounts))?;
    let source = open_folders(source, false).map_err(at(Stage::Source))?;
    let tree = detached_copy(source.as_raw_fd(), c"", attributes).map_err(at(Stage::Source))?;
    nix::sched::setns(plan.vm, CloneFlags::CLONE_NEWNS).map_err(at(Stage::Join))?;
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    let above = open_folders(plan.above, true).map_err(at(Stage::Target))?;
    let target = open_folder(above, plan.name, true).map_err(at(Stage::Target))?;
    move_mount_onto(tree, target.as_fd()).map_err(at(Stage::Mount))
}

fn unmount_inside(plan: &Mount<'_>) -> Result<(), Failure> {
    join_users(plan.vm, plan.status)?;
    nix::sched::setns(plan.vm, CloneFlags::CLONE_NEWNS).map_err(at(Stage::Join))?;
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    let above = open_folders(plan.above, false).map_err(at(Stage::Target))?;
    unistd::fchdir(above).map_err(at(Stage::Target))?;
    nix::mount::umount2(plan.name, MntFlags::UMOUNT_NOFOLLOW).map_err(at(Stage::Unmount))
}

/// From here on this process is root of the VM, in the host's view of the files.
fn join_users(vm: BorrowedFd<'_>, status: BorrowedFd<'_>) -> Result<(), Failure> {
    close_all_but(status.as_raw_fd(), vm.as_raw_fd()).map_err(at(Stage::Descriptors))?;
    hide_memory().map_err(at(Stage::Join))?;
    nix::sched::setns(vm, CloneFlags::CLONE_NEWUSER).map_err(at(Stage::Join))
}

/// This is a copy of the server, memory included: nothing in the VM may look into it.
fn hide_memory() -> Result<(), Errno> {
    // SAFETY: a plain number is passed.
    let hidden = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    Errno::result(hidden).map(drop)
}

/// A file to be written in a running VM, laid out before the copy is made.
pub(super) struct Create<'a> {
    /// Process 1 of the VM.
    pub(super) vm: BorrowedFd<'a>,
    /// The paths of the folders above it, the outermost first.
    pub(super) folders: &'a [CString],
    pub(super) path: &'a CStr,
    /// Where the opened file is sent.
    pub(super) socket: BorrowedFd<'a>,
    pub(super) status: BorrowedFd<'a>,
}

/// Starts a process that opens a file to be written as root of the VM would: links and mounts are
/// the VM's, missing folders are made, a file that is there keeps its mode and becomes empty.
///
/// It is outside of the VM's pid namespace, as that of [`mount`]. How it went comes on `status`.
pub(super) fn create(plan: &Create<'_>) -> Result<(i32, OwnedFd), Errno> {
    let create = || match create_inside(plan) {
        Ok(()) => Failure(Stage::Create, 0, Errno::from_raw(0)),
        Err(failure) => failure,
    };
    // SAFETY: `create_inside` only makes system calls on what was laid out before.
    unsafe { copy_process(0, plan.status, create) }
}

fn create_inside(plan: &Create<'_>) -> Result<(), Failure> {
    unistd::dup2_stdin(plan.socket).map_err(at(Stage::Descriptors))?;
    join_users(plan.vm, plan.status)?;
    nix::sched::setns(plan.vm, CloneFlags::CLONE_NEWNS).map_err(at(Stage::Join))?;
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    for (index, folder) in plan.folders.iter().enumerate() {
        let made = unistd::mkdir(folder.as_c_str(), Mode::from_bits_truncate(0o777));
        unless_there(made).map_err(|errno| Failure(Stage::Folder, index as u32, errno))?;
    }
    // A pipe that nobody reads would not be waited for.
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NONBLOCK;
    let flags = flags | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = nix::fcntl::open(plan.path, flags, Mode::from_bits_truncate(0o666))
        .map_err(at(Stage::Create))?;
    // SAFETY: standard input is open; nothing else owns it in this process.
    let server = unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) };
    send_descriptor(server, file.as_fd()).map_err(at(Stage::Descriptors))
}

/// The folder that these names lead to from the root, through no symbolic link.
fn open_folders(names: &[CString], make: bool) -> Result<OwnedFd, Errno> {
    let root = nix::fcntl::open(c"/", FOLDER, Mode::empty())?;
    names
        .iter()
        .try_fold(root, |above, name| open_folder(above, name, make))
}

const FOLDER: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

fn open_folder(above: OwnedFd, name: &CStr, make: bool) -> Result<OwnedFd, Errno> {
    match nix::fcntl::openat(&above, name, FOLDER, Mode::empty()) {
        Err(Errno::ENOENT) if make => {
            let mode = Mode::from_bits_truncate(0o755);
            unless_there(nix::sys::stat::mkdirat(&above, name, mode))?;
            nix::fcntl::openat(&above, name, FOLDER, Mode::empty())
        }
        opened => opened,
    }
}

/// Makes a new terminal of the VM the controlling one of this session and its standard
/// descriptors, and gives the server its side over the socket that is standard input before.
fn take_terminal(size: TerminalSize) -> Result<(), Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    // The server waits for many terminals at once and must not be held up by one.
    let outside = nix::fcntl::open(c"/dev/pts/ptmx", flags | OFlag::O_NONBLOCK, Mode::empty())?;
    let lock: c_int = 0;
    // SAFETY: the call reads one `int`, which outlives it.
    Errno::result(unsafe {
        libc::ioctl(outside.as_raw_fd(), libc::TIOCSPTLCK, ptr::from_ref(&lock))
    })?;
    // SAFETY: a plain number is passed. No path is looked up, which the VM might have changed.
    let inside = Errno::result(unsafe {
        libc::ioctl(outside.as_raw_fd(), libc::TIOCGPTPEER, flags.bits())
    })?;
    // SAFETY: the kernel has just made this descriptor for us.
    let inside = unsafe { OwnedFd::from_raw_fd(inside) };
    resize(outside.as_fd(), size)?;
    // SAFETY: plain numbers are passed.
    Errno::result(unsafe { libc::ioctl(inside.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
    // SAFETY: standard input is open; nothing else owns it in this process.
    let server = unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) };
    send_descriptor(server, outside.as_fd())?;
    unistd::dup2_stdin(&inside)?;
    unistd::dup2_stdout(&inside)?;
    unistd::dup2_stderr(&inside)
}

/// Tells a terminal its size; the programs in it hear of a change.
pub(super) fn resize(terminal: BorrowedFd<'_>, size: TerminalSize) -> Result<(), Errno> {
    let size = libc::winsize {
        ws_row: size.rows,
        ws_col: size.cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the call reads one `winsize`, which outlives it.
    let resized =
        unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, ptr::from_ref(&size)) };
    Errno::result(resized).map(drop)
}

/// Room for a control message with one descriptor, aligned as its header wants it.
#[repr(C)]
union Ancillary {
    _header: libc::cmsghdr,
    bytes: [u8; 64],
}

/// The length of a control message with one descriptor.
fn ancillary_length() -> usize {
    // SAFETY: it only computes.
    let length = unsafe { libc::CMSG_SPACE(size_of::<RawFd>() as c_uint) } as usize;
    debug_assert!(length <= size_of::<Ancillary>());
    length
}

/// Calls `call` with a message of one byte that has room for one descriptor.
fn with_message<T>(call: impl FnOnce(&mut libc::msghdr) -> T) -> T {
    let mut byte = 0u8;
    let mut data = libc::iovec {
        iov_base: ptr::from_mut(&mut byte).cast(),
        iov_len: 1,
    };
    let mut ancillary = Ancillary { bytes: [0; 64] };
    // SAFETY: all fields may be zero: null pointers with lengths of zero.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &mut data;
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(&mut ancillary).cast();
    message.msg_controllen = ancillary_length() as _;
    call(&mut message)
}

/// Sends a copy of a descriptor, without allocating.
fn send_descriptor(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    with_message(|message| {
        // SAFETY: the message has room for one header with one descriptor behind it, zeroed and
        // aligned; all pointers in it outlive the call.
        let sent = unsafe {
            let header = libc::CMSG_FIRSTHDR(message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as c_uint) as _;
            ptr::write_unaligned(libc::CMSG_DATA(header).cast(), fd.as_raw_fd());
            libc::sendmsg(socket.as_raw_fd(), message, libc::MSG_NOSIGNAL)
        };
        Errno::result(sent).map(drop)
    })
}

/// Receives a descriptor; `None` if the other end was closed without sending one.
pub(super) fn receive_descriptor(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    with_message(|message| {
        loop {
            // SAFETY: all pointers in the message outlive the call.
            let received =
                unsafe { libc::recvmsg(socket.as_raw_fd(), message, libc::MSG_CMSG_CLOEXEC) };
            match Errno::result(received) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
                Ok(_) => break,
            }
        }
        // SAFETY: the kernel has filled the message, and a header it gives is whole. Of rights the
        // room allows just one descriptor, which is new and ours.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(message);
            let is_descriptor = !header.is_null()
                && (*header).cmsg_level == libc::SOL_SOCKET
                && (*header).cmsg_type == libc::SCM_RIGHTS;
            Ok(is_descriptor
                .then(|| OwnedFd::from_raw_fd(ptr::read_unaligned(libc::CMSG_DATA(header).cast()))))
        }
    })
}

enum Side {
    Copy,
    Original(i32, Option<OwnedFd>),
}

/// Copies this process, runs `child` in the copy, and ends the copy with what it reports.
///
/// # Safety
///
/// `child` must not allocate, lock or panic.
unsafe fn copy_process(
    flags: u64,
    status: BorrowedFd<'_>,
    child: impl FnOnce() -> Failure,
) -> Result<(i32, OwnedFd), Errno> {
    // No handler of the program may run in the copy, where it would write into shared pipes.
    let mask = block_signals();
    // SAFETY: the caller vouches for `child`; nothing else runs in the copy.
    let side = unsafe { clone3(flags | libc::CLONE_PIDFD as u64, 0) };
    if let Ok(Side::Copy) = side {
        let Failure(stage, index, errno) = child();
        report(
            status,
            Report {
                stage,
                index,
                errno: errno as i32,
            },
        );
        // SAFETY: ends the copy without running destructors or exit handlers of the program.
        unsafe { libc::_exit(1) };
    }
    restore_signals(&mask);
    match side? {
        Side::Original(pid, Some(pidfd)) => Ok((pid, pidfd)),
        // A descriptor was asked for, and the copy has ended above.
        _ => Err(Errno::EBADF),
    }
}

/// `fork` with flags. An exit signal of 0 keeps the copy from the program's own `wait` calls and
/// its `SIGCHLD` handler, until it calls `execve`.
///
/// # Safety
///
/// In the copy only async-signal-safe functions may be called, and no thread-aware ones.
unsafe fn clone3(flags: u64, exit_signal: u64) -> Result<Side, Errno> {
    #[repr(C)]
    #[derive(Default)]
    struct Arguments {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
    }
    let mut pidfd: RawFd = -1;
    let arguments = Arguments {
        flags,
        pidfd: ptr::from_mut(&mut pidfd) as u64,
        exit_signal,
        ..Arguments::default()
    };
    // SAFETY: without a stack and without CLONE_VM the copy goes on here on a copy of this stack,
    // as after fork. `pidfd` outlives the call. The caller vouches for what follows in the copy.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            ptr::from_ref(&arguments),
            size_of::<Arguments>(),
        )
    };
    match Errno::result(answer)? {
        0 => Ok(Side::Copy),
        pid => {
            // SAFETY: the kernel has just made this descriptor for us, if it was asked for.
            let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
            Ok(Side::Original(pid as i32, pidfd))
        }
    }
}

fn report(status: BorrowedFd<'_>, report: Report) {
    // Shorter than PIPE_BUF, so whole; if the server is gone, nobody is there to be told.
    let _ = unistd::write(status, &report.to_bytes());
}

/// Closes every descriptor but the standard three and these two (-1: none).
fn close_all_but(one: RawFd, other: RawFd) -> Result<(), Errno> {
    let (low, high) = if one < other {
        (one, other)
    } else {
        (other, one)
    };
    let mut from = 3;
    for keep in [low, high] {
        if keep >= from {
            if keep > from {
                close_range(from as c_uint, keep as c_uint - 1)?;
            }
            from = keep + 1;
        }
    }
    close_range(from as c_uint, c_uint::MAX)
}

fn close_range(first: c_uint, last: c_uint) -> Result<(), Errno> {
    // SAFETY: the copy owns none of these descriptors any more: it never returns to their owners.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

fn become_root(set_groups: bool) -> Result<(), Errno> {
    set_ids(&User::ROOT, set_groups)?;
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    Ok(())
}

/// From root: gives the standard descriptors away, too, so that `/dev/stdout` can be opened anew.
fn become_user(user: &User<'_>, set_groups: bool) -> Result<(), Errno> {
    if user.uid == 0 && user.gid == 0 && user.groups.is_empty() {
        return Ok(());
    }
    for standard in 0..=2 {
        // `/dev/null` is on a read-only mount and stays as it is, as does what else cannot be given.
        // SAFETY: plain numbers are passed; the group is left.
        unsafe { libc::fchown(standard, user.uid, libc::gid_t::MAX) };
    }
    set_ids(user, set_groups)
}

fn set_ids(user: &User<'_>, set_groups: bool) -> Result<(), Errno> {
    let User { uid, gid, groups } = *user;
    if set_groups {
        // SAFETY: the list is as long as told; raw, see the module's documentation.
        Errno::result(unsafe {
            libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr())
        })?;
    }
    // SAFETY: plain numbers; raw, see the module's documentation.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: as above.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

fn set_disposition(signal: c_int, disposition: libc::sighandler_t) {
    // SAFETY: the disposition is SIG_DFL or SIG_IGN, not a function. An error means a signal that
    // cannot be set, which is as well.
    unsafe { libc::signal(signal, disposition) };
}

/// No signal is blocked or ignored, whatever the server's program does.
fn reset_signals() {
    for signal in 1..=64 {
        set_disposition(signal, libc::SIG_DFL);
    }
    let mut none = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` fills the set before it is used.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

fn block_signals() -> libc::sigset_t {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::zeroed();
    // SAFETY: `sigfillset` fills the new set; a set of zeroes is valid should the call fail.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

fn restore_signals(mask: &libc::sigset_t) {
    // SAFETY: the set comes from `block_signals`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
}

const CAP_SYS_PTRACE: u32 = 19;

/// What root inside a VM may do, the set that container engines give: own files whatever their
/// mode, change owners and ids, send signals, chroot. Not mount: that would undo the read-only
/// parts.
const KEPT_CAPABILITIES: u64 = 1 // CAP_CHOWN
    | 1 << 1 // CAP_DAC_OVERRIDE
    | 1 << 3 // CAP_FOWNER
    | 1 << 4 // CAP_FSETID
    | 1 << 5 // CAP_KILL
    | 1 << 6 // CAP_SETGID
    | 1 << 7 // CAP_SETUID
    | 1 << 8 // CAP_SETPCAP
    | 1 << 10 // CAP_NET_BIND_SERVICE
    | 1 << 13 // CAP_NET_RAW
    | 1 << 18 // CAP_SYS_CHROOT
    | 1 << 27 // CAP_MKNOD
    | 1 << 29 // CAP_AUDIT_WRITE
    | 1 << 31; // CAP_SETFCAP

/// Takes away what is not kept, from the next `execve` on and for good.
fn limit_capabilities(kept: u64) -> Result<(), Errno> {
    for capability in (0..64).filter(|capability| kept & (1u64 << capability) == 0) {
        // SAFETY: plain numbers are passed.
        let dropped =
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability as libc::c_ulong, 0, 0, 0) };
        match Errno::result(dropped) {
            Ok(_) => {}
            // The kernel has no capability of that number, nor of a higher one.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
const CHOWN: (u32, &[c_long]) = (
    0xC000_003E,
    &[
        libc::SYS_chown,
        libc::SYS_fchown,
        libc::SYS_lchown,
        libc::SYS_fchownat,
    ],
);
#[cfg(target_arch = "aarch64")]
const CHOWN: (u32, &[c_long]) = (0xC000_00B7, &[libc::SYS_fchown, libc::SYS_fchownat]);
#[cfg(target_arch = "riscv64")]
const CHOWN: (u32, &[c_long]) = (0xC000_00F3, &[libc::SYS_fchown, libc::SYS_fchownat]);
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
const CHOWN: (u32, &[c_long]) = (0, &[]);

/// With one user id, every other owner is refused, and `tar` as root gives up: let it believe.
///
/// Needs `CAP_SYS_ADMIN` in the VM, so it comes before [`limit_capabilities`].
fn answer_chown_with_success() -> Result<(), Errno> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    const fn statement(code: u16, k: u32) -> libc::sock_filter {
        libc::sock_filter {
            code,
            jt: 0,
            jf: 0,
            k,
        }
    }

    // Load and check the architecture, load the number; then pairs of "if it is chown: return 0".
    let mut filter = [statement(RETURN, libc::SECCOMP_RET_ALLOW); 13];
    let (architecture, calls) = CHOWN;
    filter[0] = statement(LOAD, ARCHITECTURE);
    filter[1] = libc::sock_filter {
        code: JUMP_IF_EQUAL,
        jt: 1,
        jf: 0,
        k: architecture,
    };
    filter[3] = statement(LOAD, NUMBER);
    for (call, pair) in calls.iter().zip(filter[4..].chunks_exact_mut(2)) {
        pair[0] = libc::sock_filter {
            code: JUMP_IF_EQUAL,
            jt: 0,
            jf: 1,
            k: *call as u32,
        };
        pair[1] = statement(RETURN, libc::SECCOMP_RET_ERRNO);
    }
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program points to `len` instructions; the kernel checks and copies them.
    let set = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER as libc::c_ulong,
            ptr::from_ref(&program).cast::<c_void>(),
        )
    };
    Errno::result(set).map(drop)
}

/// A descriptor of a running or unreaped process.
pub(super) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers are passed.
    let pidfd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us; it is closed on exec by definition.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd as RawFd) })
}

/// Sends a signal to exactly this process, whatever became of its number.
pub(super) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: c_int) -> io::Result<()> {
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: a null info is allowed; the rest are plain numbers.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            no_info,
            0,
        )
    };
    Ok(Errno::result(sent).map(drop)?)
}

/// Waits until a descriptor is readable, as that of a process is from its end on.
///
/// Must be called within the runtime.
pub(super) async fn readable(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the borrow keeps the descriptor open, and the same, longer than `fd` lives.
    let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
    fd.readable().await.map(drop)
}

/// Registers a descriptor that does not block with the runtime.
///
/// Must be called within the runtime.
pub(super) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned, so it stays open; nobody puts another one in its place.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Exited(i32),
    Signaled(i32),
}

/// What becomes of the child that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Wait until it ends and leave it as it is.
    Watch,
    /// Wait until it ends and take its status.
    Reap,
}

/// Blocks until a child of this process has ended.
pub(super) fn wait(pidfd: BorrowedFd<'_>, how: Wait) -> io::Result<Ending> {
    let keep = if how == Wait::Watch { libc::WNOWAIT } else { 0 };
    let flags = libc::WEXITED | libc::__WALL | keep;
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: `info` is a valid place for the answer.
        let waited = unsafe {
            libc::waitid(
                libc::P_PIDFD,
                pidfd.as_raw_fd() as libc::id_t,
                info.as_mut_ptr(),
                flags,
            )
        };
        match Errno::result(waited) {
            Ok(_) => {
                // SAFETY: the call has succeeded, so the kernel has filled `info` for a child.
                let (code, status) = unsafe {
                    (
                        info.assume_init_ref().si_code,
                        info.assume_init_ref().si_status(),
                    )
                };
                return Ok(if code == libc::CLD_EXITED {
                    Ending::Exited(status)
                } else {
                    Ending::Signaled(status)
                });
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
