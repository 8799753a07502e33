//! Processes as the host's `/proc` shows them.

use std::fs;
use std::io;
use std::os::linux::fs::MetadataExt;

/// What is asked of one process.
pub(super) struct Stat {
    /// A letter of proc(5): `R` running, `S` sleeping, `D` waiting for a device, `T` stopped, `Z`
    /// ended and not reaped.
    pub(super) state: char,
    pub(super) session: i32,
}

impl Stat {
    /// `None` if the process is gone.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses and may contain anything.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let state = fields.next()?.chars().next()?;
        let session = fields.nth(2)?.parse().ok()?;
        Some(Self { state, session })
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.has_ended() || matches!(self.state, 'T' | 't')
    }
}

/// All processes now.
pub(super) fn pids() -> io::Result<impl Iterator<Item = i32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

/// The number of the process namespace, the same for all processes of a VM.
pub(super) fn pid_namespace(pid: i32) -> io::Result<u64> {
    Ok(fs::metadata(format!("/proc/{pid}/ns/pid"))?.st_ino())
}
