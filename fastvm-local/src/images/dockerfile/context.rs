//! The build context: what was uploaded as a zip archive, unpacked into a folder.
//!
//! An archive may have come from anywhere. It is refused as a whole if a path or a link of it leads
//! out of the context, or if it is larger unpacked than [`Limits`] allow.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use super::BuildError;
use super::pattern::Ignore;
use super::root::{Look, Root, dress, put_file, put_folder, put_link};

/// How large a context can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of all files together, unpacked.
    pub(super) bytes: u64,
    pub(super) entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 8 << 30,
            entries: 500_000,
        }
    }
}

/// No path on Linux is longer.
const MOST_LINK_BYTES: u64 = 4096;

/// Unpacks an archive into a new folder.
pub(super) fn unpack(
    archive: &Path,
    folder: &Path,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<(), BuildError> {
    let archive = File::open(archive).map_err(server_fault)?;
    let mut archive = ZipArchive::new(BufReader::new(archive)).map_err(|error| match error {
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => server_fault(error),
        error => refused("the context is no zip archive", error),
    })?;
    if archive.len() > limits.entries {
        let most = limits.entries;
        return Err(diagnostic(format!(
            "the context has more than {most} files"
        )));
    }
    fs::create_dir(folder).map_err(server_fault)?;
    let root = Root::without_links(folder).map_err(server_fault)?;
    let mut room = limits.bytes;
    for index in 0..archive.len() {
        if cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        let mut entry = archive
            .by_index(index)
            .map_err(|error| refused("a file of the context cannot be unpacked", error))?;
        let path = path_of(&entry)?;
        unpack_entry(&mut entry, &path, &root, &mut room).map_err(|problem| match problem {
            Problem::Io(error) if is_of_server(&error) => server_fault(error),
            Problem::Io(error) => refused(&format!("{} of the context", path.display()), error),
            Problem::TooLarge => {
                let most = limits.bytes;
                diagnostic(format!("the context is larger than {most} bytes unpacked"))
            }
            Problem::Link => diagnostic(format!(
                "the link {} of the context leads out of it",
                path.display()
            )),
        })?;
    }
    Ok(())
}

enum Problem {
    Io(io::Error),
    TooLarge,
    Link,
}

impl<E: Into<io::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::Io(error.into())
    }
}

/// Whether the archive is not to blame.
fn is_of_server(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// The path of an entry below the context. An empty one is the context itself.
fn path_of<R: Read + ?Sized>(entry: &ZipFile<'_, R>) -> Result<PathBuf, BuildError> {
    let name = entry.name();
    let name = name.map_err(|error| refused("a name in the context cannot be read", error))?;
    let is_hostile = name.starts_with(['/', '\\'])
        || name.contains('\0')
        || name.split(['/', '\\']).any(|part| part == "..");
    if is_hostile {
        return Err(diagnostic(format!(
            "the context has a file {name:?}, which would be outside of it"
        )));
    }
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
    Ok(parts.collect())
}

fn unpack_entry<R: Read + ?Sized>(
    entry: &mut ZipFile<'_, R>,
    path: &Path,
    root: &Root,
    room: &mut u64,
) -> Result<(), Problem> {
    let (Some(name), Some(above)) = (path.file_name(), path.parent()) else {
        return Ok(());
    };
    let folder = root.folder(above, Look::of_folder((0, 0)))?;
    let mode = entry.unix_mode().map(|mode| mode & 0o7777);
    let mode = mode.filter(|mode| mode & 0o777 != 0);
    // Its owner here is the server, which must be able to read it.
    let look = |default: u32, least: u32| Look {
        mode: mode.unwrap_or(default) | least,
        ..Look::of_folder((0, 0))
    };
    if entry.is_dir() {
        let (made, _) = put_folder(&folder, name)?;
        return Ok(dress(&made, look(0o755, 0o700))?);
    }
    if entry.is_symlink() {
        let target = link_target(entry)?;
        if !stays_inside(above, &target) {
            return Err(Problem::Link);
        }
        return Ok(put_link(
            &folder,
            name,
            OsStr::new(&target),
            look(0o777, 0),
        )?);
    }
    // What the archive says about sizes need not be true.
    let mut content = entry.take(*room + 1);
    put_file(&folder, name, &mut content, look(0o644, 0o400))?;
    let left = content.limit();
    *room = left.checked_sub(1).ok_or(Problem::TooLarge)?;
    Ok(())
}

fn link_target<R: Read + ?Sized>(entry: &mut ZipFile<'_, R>) -> io::Result<String> {
    let mut target = String::new();
    entry.take(MOST_LINK_BYTES).read_to_string(&mut target)?;
    if target.is_empty() || target.contains('\0') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a link to nothing",
        ));
    }
    Ok(target)
}

/// Whether a link in this folder leads to a place in the context.
fn stays_inside(folder: &Path, target: &str) -> bool {
    let mut depth = folder.components().count();
    !target.starts_with('/')
        && target.split('/').all(|part| match part {
            "" | "." => true,
            ".." => depth.checked_sub(1).map(|less| depth = less).is_some(),
            _ => {
                depth += 1;
                true
            }
        })
}

/// Deletes what the rules leave out.
pub(super) fn prune(folder: &Path, ignore: &Ignore) -> io::Result<()> {
    prune_folder(folder, "", ignore).map(drop)
}

/// Whether the folder is empty now.
fn prune_folder(folder: &Path, inner: &str, ignore: &Ignore) -> io::Result<bool> {
    let mut is_empty = true;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Names of an archive are text.
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{inner}/{name}");
        let is_left_out = ignore.leaves_out(&path);
        let is_gone = if entry.file_type()?.is_dir() {
            let is_bare = prune_folder(&entry.path(), &path, ignore)?;
            if is_left_out && is_bare {
                fs::remove_dir(entry.path())?;
            }
            is_left_out && is_bare
        } else {
            if is_left_out {
                fs::remove_file(entry.path())?;
            }
            is_left_out
        };
        is_empty &= is_gone;
    }
    Ok(is_empty)
}

fn diagnostic(text: String) -> BuildError {
    BuildError::Diagnostic(super::one_line(&text))
}

fn refused(what: &str, error: impl std::fmt::Display) -> BuildError {
    diagnostic(format!("{what}: {error}"))
}

fn server_fault(source: impl Into<io::Error>) -> BuildError {
    BuildError::server("unpack the context", source.into())
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Cursor, Write};
    use std::os::unix::fs::PermissionsExt;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// An archive of files; a path that ends with `/` is a folder, a text `-> x` a link.
    pub(in super::super) fn archive(files: &[(&str, &str, u32)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, text, mode) in files {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            if path.ends_with('/') {
                zip.add_directory(*path, options).unwrap();
            } else if let Some(target) = text.strip_prefix("-> ") {
                zip.add_symlink(*path, target, options).unwrap();
            } else {
                zip.start_file(*path, options).unwrap();
                zip.write_all(text.as_bytes()).unwrap();
            }
        }
        zip.finish().unwrap().into_inner()
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn of(zip: &[u8]) -> Self {
            let place = tempfile::tempdir().unwrap();
            fs::write(place.path().join("zip"), zip).unwrap();
            Self(place)
        }

        fn folder(&self) -> PathBuf {
            self.0.path().join("context")
        }

        fn unpack(&self, limits: Limits) -> Result<(), String> {
            let zip = self.0.path().join("zip");
            let cancel = CancellationToken::new();
            unpack(&zip, &self.folder(), limits, &cancel).map_err(|error| error.to_string())
        }
    }

    fn unpack_all(files: &[(&str, &str, u32)]) -> Result<Place, String> {
        let place = Place::of(&archive(files));
        place.unpack(Limits::default()).map(|()| place)
    }

    #[test]
    fn files_folders_and_links_keep_their_modes() {
        let place = unpack_all(&[
            ("./run.sh", "#!", 0o750),
            ("a/b/text", "text", 0o644),
            ("closed/", "", 0o700),
            ("a/link", "-> ../run.sh", 0o777),
        ])
        .unwrap_or_else(|error| panic!("{error}"));
        let mode = |path: &str| {
            let found = fs::symlink_metadata(place.folder().join(path)).unwrap();
            found.permissions().mode() & 0o7777
        };
        assert_eq!(
            (mode("run.sh"), mode("closed"), mode("a")),
            (0o750, 0o700, 0o755)
        );
        assert_eq!(
            fs::read_to_string(place.folder().join("a/b/text")).unwrap(),
            "text"
        );
        let target = fs::read_link(place.folder().join("a/link")).unwrap();
        assert_eq!(target, Path::new("../run.sh"));
    }

    #[test]
    fn what_leads_out_of_the_context_is_refused() {
        for (files, expected) in [
            (&[("../x", "", 0o644)][..], "outside"),
            (&[("a/../../x", "", 0o644)], "outside"),
            (&[("..\\x", "", 0o644)], "outside"),
            (&[("/etc/x", "", 0o644)], "outside"),
            (
                &[("a", "-> /etc", 0o777)],
                "link a of the context leads out",
            ),
            (&[("a/b", "-> ../../x", 0o777)], "leads out"),
            (&[("a/b", "-> c/../../../x", 0o777)], "leads out"),
            // Through a link, even one that stays inside.
            (
                &[("a/", "", 0o755), ("l", "-> a", 0o777), ("l/x", "", 0o644)],
                "l/x",
            ),
        ] {
            let error = unpack_all(files)
                .err()
                .unwrap_or_else(|| panic!("{files:?}"));
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_too_large_unpacked_is_refused() {
        let bomb = "0".repeat(1 << 20);
        let zip = archive(&[("a", &bomb, 0o644), ("b", &bomb, 0o644)]);
        assert!(zip.len() < 10_000);
        let limits = |bytes, entries| Limits { bytes, entries };
        let unpack = |limits| Place::of(&zip).unpack(limits);
        assert!(unpack(limits(2 << 20, 2)).is_ok());
        assert!(
            unpack(limits((2 << 20) - 1, 2))
                .unwrap_err()
                .contains("larger than")
        );
        assert!(
            unpack(limits(2 << 20, 1))
                .unwrap_err()
                .contains("more than 1")
        );
    }

    #[test]
    fn what_is_no_archive_or_a_damaged_one_is_refused() {
        let mut zip = archive(&[("a", &"text".repeat(100), 0o644)]);
        for bad in [&b""[..], b"text", &zip[..zip.len() / 2]] {
            let error = Place::of(bad).unpack(Limits::default()).unwrap_err();
            assert!(error.contains("no zip archive"), "{error}");
        }
        zip[40] ^= 0xff;
        let error = Place::of(&zip).unpack(Limits::default()).unwrap_err();
        assert!(error.starts_with("a of the context"), "{error}");
    }

    #[test]
    fn what_is_ignored_is_deleted_and_folders_of_exceptions_stay() {
        let place = unpack_all(&[
            ("a/x.log", "", 0o644),
            ("a/keep/y.log", "", 0o644),
            ("b/z.log", "", 0o644),
            ("c", "", 0o644),
        ])
        .unwrap_or_else(|error| panic!("{error}"));
        prune(&place.folder(), &Ignore::parse("a\nb\n!a/keep\n")).unwrap();
        let has = |path: &str| place.folder().join(path).exists();
        assert!(has("a/keep/y.log") && has("c"));
        assert!(!has("a/x.log") && !has("b"));
    }
}
