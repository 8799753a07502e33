//! What is known of files, and how `stat` tells it.

use std::time::{Duration, SystemTime};

use super::path::RemotePath;

/// What sort of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device, a pipe or a socket.
    Other,
}

/// What a VM knows of a file: see [`Fs::metadata`](crate::Fs::metadata).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    mode: u32,
    len: u64,
    modified: SystemTime,
    uid: u32,
    gid: u32,
}

impl Metadata {
    /// What sort of file it is.
    pub fn file_type(&self) -> FileType {
        match self.mode & 0o170_000 {
            0o100_000 => FileType::File,
            0o040_000 => FileType::Dir,
            0o120_000 => FileType::Symlink,
            _ => FileType::Other,
        }
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.file_type() == FileType::File
    }

    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        self.file_type() == FileType::Dir
    }

    /// Whether it is a symbolic link, which only
    /// [`symlink_metadata`](crate::Fs::symlink_metadata) and [`read_dir`](crate::Fs::read_dir) tell.
    pub fn is_symlink(&self) -> bool {
        self.file_type() == FileType::Symlink
    }

    /// Its size in bytes.
    #[expect(clippy::len_without_is_empty, reason = "as in std::fs::Metadata")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Its permission bits, such as `0o644`, with set-id and sticky bits.
    pub fn mode(&self) -> u32 {
        self.mode & 0o7777
    }

    /// When its content was last changed; in whole seconds if the VM's `stat` is that of busybox.
    pub fn modified(&self) -> SystemTime {
        self.modified
    }

    /// The user who owns it.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The group that owns it.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Reads `%f %s %Y %u %g %y`: the mode in hex, and the time of the change twice, since only the
    /// second form has a fraction, and the first is easier to read.
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mode = u32::from_str_radix(words.next()?, 16).ok()?;
        let len = words.next()?.parse().ok()?;
        let seconds = words.next()?.parse().ok()?;
        let uid = words.next()?.parse().ok()?;
        let gid = words.next()?.parse().ok()?;
        let clock = words.nth(1).unwrap_or_default();
        let fraction = clock.split_once('.').and_then(|(_, it)| it.parse().ok());
        Some(Self {
            mode,
            len,
            modified: time(seconds, fraction.unwrap_or_default())?,
            uid,
            gid,
        })
    }
}

/// Nanoseconds go up, before 1970, too.
fn time(seconds: i64, nanos: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = match seconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(whole)?,
        false => SystemTime::UNIX_EPOCH.checked_add(whole)?,
    };
    second.checked_add(Duration::from_nanos(nanos.into()))
}

/// What is in a folder: see [`Fs::read_dir`](crate::Fs::read_dir).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    path: RemotePath,
    file_name: RemotePath,
    metadata: Metadata,
}

impl DirEntry {
    /// The path of the folder and the name.
    pub fn path(&self) -> &RemotePath {
        &self.path
    }

    /// The name alone.
    pub fn file_name(&self) -> &RemotePath {
        &self.file_name
    }

    /// What is known of it; of a link, and not of what it leads to.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// What sort of file it is.
    pub fn file_type(&self) -> FileType {
        self.metadata.file_type()
    }

    /// Reads `<metadata>./<name>/\n`, over and over.
    pub(super) fn read_all(folder: &RemotePath, listed: &[u8]) -> Option<Vec<Self>> {
        let mut entries = Vec::new();
        let mut parts = listed.split(|byte| *byte == b'/');
        loop {
            let line = std::str::from_utf8(parts.next()?).ok()?.trim_ascii();
            let Some(name) = parts.next() else {
                // After the last name there is a line end, and nothing else.
                return line.is_empty().then_some(entries);
            };
            entries.push(Self {
                path: folder.join(name),
                file_name: name.into(),
                metadata: Metadata::read(line.strip_suffix('.')?)?,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_stat_are_read() {
        let gnu = Metadata::read("81a4 12 1600000000 1 2 2020-09-13 12:26:40.250000000 +0000\n");
        let gnu = gnu.unwrap();
        assert_eq!(
            (gnu.mode(), gnu.len(), gnu.uid(), gnu.gid()),
            (0o644, 12, 1, 2)
        );
        assert!(gnu.is_file());
        let since = gnu.modified().duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(since.unwrap(), Duration::from_millis(1_600_000_000_250));
        let old = Metadata::read("43ff 4096 -1 0 0 1969-12-31 23:59:59").unwrap();
        assert_eq!((old.file_type(), old.mode()), (FileType::Dir, 0o1777));
        assert!(old.modified() < SystemTime::UNIX_EPOCH);
        assert_eq!(Metadata::read("stat: what?"), None);
    }

    #[test]
    fn names_of_any_kind_are_told_apart() {
        let listed = b"81a4 1 0 0 0 - 0.0 +0./a\nb/\na1ff 2 0 0 0 - 0.0 +0./\xff ./\n";
        let entries = DirEntry::read_all(&"/x".into(), listed).unwrap();
        let names: Vec<_> = entries.iter().map(|it| it.file_name().as_bytes()).collect();
        assert_eq!(names, [&b"a\nb"[..], b"\xff ."]);
        assert_eq!(entries[1].path().as_bytes(), b"/x/\xff .");
        assert_eq!(DirEntry::read_all(&"/x".into(), b""), Some(Vec::new()));
        assert_eq!(
            DirEntry::read_all(&"/x".into(), &listed[..listed.len() - 4]),
            None
        );
    }
}
