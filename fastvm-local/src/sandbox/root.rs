//! The root directory of a VM: what is written into it, and what is mounted over it.

use std::ffi::{CString, OsStr};
use std::fs::{self, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::kernel::Step;

/// Where a VM's programs are searched.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a VM sees of the host's `/etc` and `/var`, where it exists: certificates and the choices
/// that links in `/usr` lead through.
const SHARED: [&str; 10] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/ld.so.cache",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/var/lib/ca-certificates",
];

/// Parts of `/proc` that speak for the whole machine. Real root could write some of them.
const GUARDED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/driver",
    "/proc/fs",
    "/proc/irq",
    "/proc/mtrr",
    "/proc/scsi",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// How the root directories of one kind are furnished on this host.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) steps: Vec<Step>,
    shared: Vec<PathBuf>,
}

impl Layout {
    /// Nothing of the host but the devices that every VM has.
    pub(super) fn complete() -> Self {
        let mut layout = Self::default();
        layout.kernel_file_systems();
        layout
    }

    /// Looks at what this host has.
    pub(super) fn of_this_host() -> io::Result<Self> {
        let mut layout = Self::default();
        layout.share(Path::new("/usr"));
        for name in system_folders()? {
            let path = Path::new("/").join(name);
            match fs::read_link(&path) {
                // `/bin -> usr/bin`, as on most hosts.
                Ok(to) => layout.steps.push(Step::Link {
                    at: c_string(&path),
                    to: c_string(to),
                }),
                Err(_) => layout.share(&path),
            }
        }
        for path in SHARED
            .map(Path::new)
            .into_iter()
            .filter(|path| path.exists())
        {
            layout.share(path);
        }
        layout.kernel_file_systems();
        Ok(layout)
    }

    fn kernel_file_systems(&mut self) {
        let folders = ["/dev", "/proc", "/sys"];
        self.steps
            .extend(folders.map(|path| Step::Folder(c_string(path))));
        self.steps.push(Step::Proc);
        self.steps
            .extend(GUARDED.map(|path| Step::ReadOnly(c_string(path))));
        self.devices();
    }

    fn share(&mut self, path: &Path) {
        let above = path
            .ancestors()
            .skip(1)
            .filter(|above| above.parent().is_some());
        let above: Vec<CString> = above.map(c_string).collect();
        self.steps.extend(above.into_iter().rev().map(Step::Folder));
        let place = c_string(path);
        self.steps.push(if path.is_dir() {
            Step::Folder(place)
        } else {
            Step::File(place)
        });
        self.steps.push(Step::Bind {
            source: c_string(path),
            target: c_string(path),
        });
        self.shared.push(path.to_owned());
    }

    fn devices(&mut self) {
        self.mount("tmpfs", "/dev", "mode=755,size=1m");
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            let path = c_string(format!("/dev/{name}"));
            self.steps.push(Step::File(path.clone()));
            // Read-only is the node: what is written to the device arrives.
            self.steps.push(Step::Bind {
                source: path.clone(),
                target: path,
            });
        }
        for folder in ["/dev/pts", "/dev/shm"] {
            self.steps.push(Step::Folder(c_string(folder)));
        }
        self.mount("devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620");
        self.mount("tmpfs", "/dev/shm", "mode=1777");
        let links = [
            ("/dev/ptmx", "pts/ptmx"),
            ("/dev/fd", "/proc/self/fd"),
            ("/dev/stdin", "/proc/self/fd/0"),
            ("/dev/stdout", "/proc/self/fd/1"),
            ("/dev/stderr", "/proc/self/fd/2"),
        ];
        self.steps.extend(links.map(|(at, to)| Step::Link {
            at: c_string(at),
            to: c_string(to),
        }));
    }

    fn mount(&mut self, kind: &str, target: &str, options: &str) {
        let (kind, target, options) = (c_string(kind), c_string(target), c_string(options));
        self.steps.push(Step::Mount {
            kind,
            target,
            options,
        });
    }

    /// The part of the host that VMs see and that contains `path`, if one does.
    pub(super) fn shows(&self, path: &Path) -> Option<&Path> {
        let shared = self.shared.iter().map(PathBuf::as_path);
        shared.into_iter().find(|shared| path.starts_with(shared))
    }

    /// Whether a launch puts something over `path`.
    pub(super) fn covers(&self, path: &Path) -> bool {
        let is_over = |place: &CString| path.starts_with(OsStr::from_bytes(place.as_bytes()));
        self.shows(path).is_some()
            || self.steps.iter().any(|step| match step {
                Step::Link { at, .. } => is_over(at),
                Step::Mount { target, .. } => is_over(target),
                Step::Proc => path.starts_with("/proc"),
                _ => false,
            })
    }

    /// A step in words, to follow "could not".
    pub(super) fn describe(&self, index: u32) -> String {
        let text = |path: &CString| path.to_string_lossy().into_owned();
        match self.steps.get(index as usize) {
            Some(Step::Folder(path) | Step::File(path)) => format!("make {} in the VM", text(path)),
            Some(Step::Link { at, .. }) => format!("link {} in the VM", text(at)),
            Some(Step::Bind { source, .. }) => format!("share {} with the VM", text(source)),
            Some(Step::Mount { kind, target, .. }) => {
                format!("mount a {} at {} in the VM", text(kind), text(target))
            }
            Some(Step::Proc) => "mount /proc in the VM".to_owned(),
            Some(Step::ReadOnly(path)) => format!("make {} read-only in the VM", text(path)),
            None => "furnish the VM".to_owned(),
        }
    }
}

/// Folders beside `/usr` that programs and libraries are in.
fn system_folders() -> io::Result<Vec<std::ffi::OsString>> {
    let names = fs::read_dir("/")?.map(|entry| Ok(entry?.file_name()));
    let mut names: Vec<_> = names.collect::<io::Result<_>>()?;
    names.retain(|name| {
        let is_library = matches!(name.as_bytes(), b"lib" | b"lib32" | b"lib64" | b"libx32");
        (is_library || matches!(name.as_bytes(), b"bin" | b"sbin"))
            && Path::new("/").join(name).is_dir()
    });
    names.sort();
    Ok(names)
}

/// Makes a root directory, unless it is there.
pub(super) fn make(root: &Path) -> io::Result<()> {
    match fs::create_dir(root) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Fills an empty root directory; one that holds something, a restored one, is left as it is.
pub(crate) fn fill(root: &Path, hostname: &str) -> io::Result<()> {
    make(root)?;
    if fs::read_dir(root)?.next().is_some() {
        return Ok(());
    }
    set_mode(root, 0o755)?;
    for (path, mode) in FOLDERS {
        let path = root.join(path);
        fs::create_dir(&path)?;
        set_mode(&path, mode)?;
    }
    std::os::unix::fs::symlink("/proc/self/mounts", root.join("etc/mtab"))?;
    let host = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let shell = if Path::new("/bin/bash").exists() {
        "/bin/bash"
    } else {
        "/bin/sh"
    };
    let files = [
        ("etc/hostname", format!("{hostname}\n")),
        ("etc/hosts", new_hosts(hostname)),
        ("etc/passwd", PASSWD.replace("SHELL", shell)),
        ("etc/group", GROUP.to_owned()),
        ("etc/nsswitch.conf", NSSWITCH.to_owned()),
        ("etc/resolv.conf", host("/etc/resolv.conf")),
        ("etc/os-release", host("/etc/os-release")),
    ];
    for (path, text) in files {
        let path = root.join(path);
        fs::write(&path, text)?;
        set_mode(&path, 0o644)?;
    }
    Ok(())
}

/// What is written into a complete root directory at a launch: paths in the VM and contents.
pub(super) fn files_of_own(root: &Path, hostname: &str) -> Vec<(CString, Vec<u8>)> {
    // What cannot be read is replaced.
    let found = |path| read(root, path).unwrap_or_default();
    let mut hosts = found("etc/hosts");
    let is_named = hosts.lines().any(is_own);
    if hosts.trim().is_empty() {
        hosts = new_hosts(hostname);
    } else if is_named {
        hosts = renamed_hosts(&hosts, hostname);
    } else {
        hosts = format!("{}\n{OWN_ADDRESS} {hostname}\n", hosts.trim_end());
    }
    let mut files = vec![
        (c"/etc/hostname".to_owned(), format!("{hostname}\n").into()),
        (c"/etc/hosts".to_owned(), hosts.into()),
    ];
    // The network is the host's, so no other file is right.
    if let Ok(resolv) = fs::read("/etc/resolv.conf") {
        files.push((c"/etc/resolv.conf".to_owned(), resolv));
    }
    files
}

fn new_hosts(hostname: &str) -> String {
    format!("127.0.0.1 localhost\n::1 localhost ip6-localhost\n{OWN_ADDRESS} {hostname}\n")
}

fn renamed_hosts(hosts: &str, hostname: &str) -> String {
    let renamed = hosts.lines().map(|line| match is_own(line) {
        true => format!("{OWN_ADDRESS} {hostname}\n"),
        false => format!("{line}\n"),
    });
    renamed.collect()
}

fn is_own(line: &str) -> bool {
    line.split_whitespace().next() == Some(OWN_ADDRESS)
}

/// Reads a small text file of a VM as the VM would find it: no link leads out of its root.
pub(super) fn read(root: &Path, path: &str) -> io::Result<String> {
    let root = fs::File::open(root)?;
    // A pipe would not be waited for.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let file = openat2(&root, path, OpenHow::new().flags(flags).resolve(resolve))?;
    let file = fs::File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut text = String::new();
    file.take(MOST_READ_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Gives a restored root directory the name of its new VM. A VM may have replaced the files by
/// anything: what is not a plain file in the root is left as it is.
pub(super) fn rename_host(root: &Path, hostname: &str) {
    let _ = rewrite(root, "etc/hostname", |_| format!("{hostname}\n"));
    let _ = rewrite(root, "etc/hosts", |hosts| renamed_hosts(hosts, hostname));
}

/// What a VM's own name stands for in it.
const OWN_ADDRESS: &str = "127.0.1.1";

/// A larger file is none that was written here.
const MOST_READ_BYTES: u64 = 1024 * 1024;

fn rewrite(root: &Path, path: &str, change: impl FnOnce(&str) -> String) -> io::Result<()> {
    let root = fs::File::open(root)?;
    // A pipe would not be waited for.
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let file = openat2(&root, path, OpenHow::new().flags(flags).resolve(resolve))?;
    let mut file = fs::File::from(file);
    let found = file.metadata()?;
    if !found.is_file() || found.len() > MOST_READ_BYTES {
        return Ok(());
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let changed = change(&text);
    if changed != text {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(changed.as_bytes())?;
    }
    Ok(())
}

const FOLDERS: [(&str, u32); 16] = [
    ("data", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

const PASSWD: &str = "\
root:x:0:0:root:/root:SHELL
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";

const GROUP: &str = "\
root:x:0:
daemon:x:1:
tty:x:5:
www-data:x:33:
nogroup:x:65534:
";

const NSSWITCH: &str = "\
passwd: files
group: files
shadow: files
hosts: files dns
services: files
protocols: files
";

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Paths come from the system or from this file: they hold no null byte. Should one, it is cut there.
fn c_string(path: impl AsRef<OsStr>) -> CString {
    let bytes = path.as_ref().as_bytes();
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}
