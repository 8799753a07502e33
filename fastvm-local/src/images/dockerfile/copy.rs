//! COPY and ADD: files of a context, an image or an earlier stage put into the root directory of a
//! stage, as Docker does it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::sys::stat::{SFlag, fstat};
use nix::sys::time::TimeSpec;
use tar::{Archive, Entry, EntryType};
use tokio_util::sync::CancellationToken;

use super::pattern::{clean, has_wildcard, matches};
use super::root::{
    Found, Look, Owner, Root, dress, kind, link_target, names, open_inner, put_file, put_folder,
    put_link, stat,
};
use crate::images::layer::decompress;
use crate::sandbox::Host;

/// What is to be copied. Texts are as they are meant: variables are substituted.
#[derive(Debug)]
pub(super) struct Copying {
    pub(super) sources: Vec<String>,
    /// Names and contents of files that the Dockerfile has itself.
    pub(super) files: Vec<(String, String)>,
    /// Absolute; is a folder if it ends with `/`.
    pub(super) dest: String,
    pub(super) owner: Option<Owner>,
    pub(super) mode: Option<u32>,
    /// Whether owners are those of the sources, unless `owner` is given; root otherwise.
    pub(super) keeps_owners: bool,
    /// Whether archives are unpacked.
    pub(super) unpacks: bool,
    /// If VMs see parts of this host in the place of what is copied: those are left out.
    pub(super) host_in_source: Option<Host>,
    /// If they do in the destination: nothing can be put there.
    pub(super) host_in_dest: Option<Host>,
}

/// Why something was not copied. Its text is for users.
type Problem = String;

impl Copying {
    /// Copies. Whatever is said in the answer is worth a warning.
    pub(super) fn run(
        &self,
        from: &Root,
        to: &Root,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, Problem> {
        let mut warnings = Vec::new();
        let mut sources = Vec::new();
        for source in &self.sources {
            let found = resolve(from, source)
                .map_err(|error| format!("{source} could not be looked for: {error}"))?;
            if found.is_empty() {
                if !has_wildcard(source) {
                    return Err(format!("there is no {source}"));
                }
                warnings.push(format!("nothing is called {source}"));
            }
            sources.extend(found);
        }
        let job = Job {
            copying: self,
            from,
            to,
            cancel,
            dest: clean(&self.dest).iter().collect(),
        };
        job.copy_all(&sources)?;
        Ok(warnings)
    }
}

struct Job<'a> {
    copying: &'a Copying,
    from: &'a Root,
    to: &'a Root,
    cancel: &'a CancellationToken,
    /// Below the root.
    dest: PathBuf,
}

impl Job<'_> {
    fn copy_all(&self, sources: &[PathBuf]) -> Result<(), Problem> {
        let is_folder = self.copying.dest.ends_with('/')
            || self.dest.as_os_str().is_empty()
            || matches!(self.to.find(&self.dest), Ok(Some(Found::Folder(_))));
        if sources.len() > 1 && !is_folder {
            return Err("with several sources, the destination must end with /".to_owned());
        }
        for (name, content) in &self.copying.files {
            let look = self.look(Look {
                mode: 0o644,
                owner: (0, 0),
                modified: None,
            });
            self.place(OsStr::new(name), is_folder, &mut content.as_bytes(), look)?;
        }
        for source in sources {
            self.copy(source, is_folder)
                .map_err(|problem| match problem.starts_with('/') {
                    true => problem,
                    false => format!("{}: {problem}", shown(source)),
                })?;
        }
        Ok(())
    }

    fn copy(&self, source: &Path, is_folder: bool) -> Result<(), Problem> {
        match self.from.find(source).map_err(text)? {
            Some(Found::Folder(folder)) => {
                let to = self.dest_folder(&self.dest)?;
                self.copy_folder(&folder, &to, source, &self.dest)
            }
            Some(Found::File(mut file)) => {
                if self.copying.unpacks && is_archive(source, &mut file)? {
                    return self.unpack(file);
                }
                let look = self.look(Look::of(&fstat(&file).map_err(text)?));
                // Of a resolved path: it has a name.
                let name = source.file_name().unwrap_or_default();
                self.place(name, is_folder, &mut file, look)
            }
            Some(Found::Other) => Err("it is neither a file nor a folder".to_owned()),
            None => Err("it is a link to nothing".to_owned()),
        }
    }

    /// Puts a file into the destination, or in its place.
    fn place(
        &self,
        name: &OsStr,
        is_folder: bool,
        content: &mut dyn Read,
        look: Look,
    ) -> Result<(), Problem> {
        let (folder, name) = match self.dest.file_name() {
            Some(own) if !is_folder => (self.dest.parent().unwrap_or(Path::new("")), own),
            _ => (self.dest.as_path(), name),
        };
        self.check_free(&folder.join(name))?;
        let folder = self.dest_folder(folder)?;
        put_file(&folder, name, content, look).map_err(text)
    }

    fn check_free(&self, path: &Path) -> Result<(), Problem> {
        if shows(self.copying.host_in_dest.as_ref(), path) {
            return Err(format!(
                "{} is the host's in what is made of local/base: nothing can be put there",
                shown(path)
            ));
        }
        Ok(())
    }

    /// A folder of the destination, made if it is missing.
    fn dest_folder(&self, path: &Path) -> Result<OwnedFd, Problem> {
        self.check_free(path)?;
        let look = Look::of_folder(self.copying.owner.unwrap_or_default());
        let folder = self.to.folder(path, look);
        folder.map_err(|error| format!("the folder {} cannot be had: {error}", shown(path)))
    }

    fn look(&self, found: Look) -> Look {
        let own = match self.copying.keeps_owners {
            true => found.owner,
            false => (0, 0),
        };
        Look {
            mode: self.copying.mode.unwrap_or(found.mode),
            owner: self.copying.owner.unwrap_or(own),
            modified: found.modified,
        }
    }

    /// Copies what is in a folder. What is there already and is a folder, too, keeps its look. The
    /// paths are those of the folders.
    fn copy_folder(
        &self,
        from: &OwnedFd,
        to: &OwnedFd,
        source: &Path,
        dest: &Path,
    ) -> Result<(), Problem> {
        for name in names(from).map_err(text)? {
            if self.cancel.is_cancelled() {
                return Err("cancelled".to_owned());
            }
            let (source, dest) = (source.join(&name), dest.join(&name));
            if !shows(self.copying.host_in_source.as_ref(), &source) {
                self.check_free(&dest)?;
                self.copy_entry((from, to), &name, &source, &dest)?;
            }
        }
        Ok(())
    }

    fn copy_entry(
        &self,
        (from, to): (&OwnedFd, &OwnedFd),
        name: &OsStr,
        source: &Path,
        dest: &Path,
    ) -> Result<(), Problem> {
        let at = |error: io::Error| format!("{}: {error}", shown(source));
        let Some(found) = stat(from, name).map_err(|errno| at(errno.into()))? else {
            return Ok(());
        };
        let look = self.look(Look::of(&found));
        match kind(&found) {
            SFlag::S_IFDIR => {
                let inner = open_inner(from, name).map_err(|errno| at(errno.into()))?;
                let (made, is_new) = put_folder(to, name).map_err(at)?;
                self.copy_folder(&inner, &made, source, dest)?;
                if is_new {
                    dress(&made, look).map_err(at)?;
                }
                Ok(())
            }
            SFlag::S_IFREG => {
                let file = open_inner(from, name).map_err(|errno| at(errno.into()))?;
                put_file(to, name, &mut File::from(file), look).map_err(at)
            }
            SFlag::S_IFLNK => {
                let target = link_target(from, name).map_err(|errno| at(errno.into()))?;
                put_link(to, name, &target, look).map_err(at)
            }
            // Sockets, pipes and devices are left out.
            _ => Ok(()),
        }
    }

    fn unpack(&self, file: File) -> Result<(), Problem> {
        let mut archive = Archive::new(decompress(BufReader::new(file)).map_err(text)?);
        let mut folders = Vec::new();
        self.dest_folder(&self.dest)?;
        for entry in archive.entries().map_err(text)? {
            if self.cancel.is_cancelled() {
                return Err("cancelled".to_owned());
            }
            let mut entry = entry.map_err(text)?;
            let name = entry.path_bytes().into_owned();
            self.unpack_entry(&mut entry, &name, &mut folders)
                .map_err(|error| format!("{}: {error}", String::from_utf8_lossy(&name)))?;
        }
        // Until now, their owner could write to them.
        for (folder, look) in folders.into_iter().rev() {
            if let Ok(Some(Found::Folder(folder))) = self.to.find(&folder) {
                dress(&folder, look).map_err(text)?;
            }
        }
        Ok(())
    }

    fn unpack_entry<R: Read>(
        &self,
        entry: &mut Entry<'_, R>,
        name: &[u8],
        folders: &mut Vec<(PathBuf, Look)>,
    ) -> io::Result<()> {
        let path = self.dest.join(inner_path(name)?);
        self.check_free(&path).map_err(|what| refused(&what))?;
        let look = self.look_in_archive(entry)?;
        let around = Look::of_folder(self.copying.owner.unwrap_or_default());
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            self.to.folder(&path, around)?;
            folders.push((path, look));
            return Ok(());
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        let folder = self.to.folder(above, around)?;
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                put_file(&folder, name, entry, look)
            }
            EntryType::Symlink => put_link(&folder, name, OsStr::from_bytes(&target(entry)?), look),
            // One file with two names becomes two.
            EntryType::Link => {
                let target = self.dest.join(inner_path(&target(entry)?)?);
                match self.to.find(&target)? {
                    _ if target == path => Ok(()),
                    Some(Found::File(mut file)) => put_file(&folder, name, &mut file, look),
                    _ => Err(refused("a link to a file that is not in the archive")),
                }
            }
            _ => Ok(()),
        }
    }

    fn look_in_archive<R: Read>(&self, entry: &Entry<'_, R>) -> io::Result<Look> {
        let header = entry.header();
        let id = |id: u64| u32::try_from(id).map_err(|_| refused("an owner that cannot be"));
        let seconds = i64::try_from(header.mtime()?).unwrap_or_default();
        let own = Look {
            mode: header.mode()? & 0o7777,
            owner: (id(header.uid()?)?, id(header.gid()?)?),
            modified: Some(TimeSpec::new(seconds, 0)),
        };
        Ok(Look {
            owner: self.copying.owner.unwrap_or(own.owner),
            mode: self.copying.mode.unwrap_or(own.mode),
            ..own
        })
    }
}

/// Whether VMs see a part of the host at this path below their root.
fn shows(host: Option<&Host>, path: &Path) -> bool {
    host.is_some_and(|host| host.shows(&Path::new("/").join(path)))
}

fn text(error: impl std::fmt::Display) -> Problem {
    error.to_string()
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A path below a root as users write it.
fn shown(path: &Path) -> String {
    format!("/{}", path.display())
}

/// The paths below the root that a source stands for, in order. Without a wildcard, it is there or
/// it is not.
fn resolve(from: &Root, source: &str) -> io::Result<Vec<PathBuf>> {
    let parts = clean(source);
    let mut found = vec![PathBuf::new()];
    for part in &parts {
        let mut next = Vec::new();
        for above in found {
            if !has_wildcard(part) {
                next.push(above.join(part));
                continue;
            }
            if let Some(Found::Folder(folder)) = from.find(&above)? {
                let names = names(&folder)?.into_iter();
                let is_meant = |name: &OsString| matches(part, &name.to_string_lossy());
                next.extend(names.filter(is_meant).map(|name| above.join(name)));
            }
        }
        found = next;
    }
    let mut there = Vec::new();
    for path in found {
        if path.as_os_str().is_empty() || from.has(&path)? {
            there.push(path);
        }
    }
    Ok(there)
}

/// Whether a file is a tar archive, plain or compressed in a way that is known here.
fn is_archive(name: &Path, file: &mut File) -> Result<bool, Problem> {
    let mut begin = Vec::new();
    (&mut *file).take(6).read_to_end(&mut begin).map_err(text)?;
    file.rewind().map_err(text)?;
    if let Some(compression) = unknown_compression(&begin, name) {
        return Err(format!(
            "archives that are compressed with {compression} are not unpacked: use gzip or zstd"
        ));
    }
    let is_archive = {
        let content = decompress(BufReader::new(&mut *file)).map_err(text)?;
        let mut archive = Archive::new(content);
        let first = archive.entries().map(|mut entries| entries.next());
        matches!(first, Ok(Some(Ok(_))))
    };
    file.rewind().map_err(text)?;
    Ok(is_archive)
}

/// A file that is compressed in such a way and not called an archive is one like any other.
fn unknown_compression(begin: &[u8], name: &Path) -> Option<&'static str> {
    let name = name.file_name()?.to_string_lossy().into_owned();
    let is_called =
        |ends: &[&str]| name.contains(".tar.") || ends.iter().any(|end| name.ends_with(end));
    if begin.starts_with(b"BZh") && is_called(&[".tbz", ".tbz2", ".tb2"]) {
        return Some("bzip2");
    }
    if begin.starts_with(b"\xfd7zXZ\0") && is_called(&[".txz"]) {
        return Some("xz");
    }
    None
}

/// A name of an archive as a path below the destination.
fn inner_path(name: &[u8]) -> io::Result<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(name)).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => {}
            _ => return Err(refused("a path that leads out of the archive")),
        }
    }
    Ok(path)
}

fn target<R: Read>(entry: &Entry<'_, R>) -> io::Result<Vec<u8>> {
    let target = entry.link_name_bytes();
    let target = target.filter(|target| !target.is_empty());
    target
        .map(|target| target.into_owned())
        .ok_or_else(|| refused("a link to nothing"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    struct Place {
        place: tempfile::TempDir,
    }

    impl Place {
        /// A source of files (folders if they end with `/`, links if the text is `-> x`), and an
        /// empty destination.
        fn new(files: &[(&str, &str)]) -> Self {
            let place = tempfile::tempdir().unwrap();
            fs::create_dir(place.path().join("to")).unwrap();
            let from = place.path().join("from");
            fs::create_dir(&from).unwrap();
            let place = Self { place };
            place.fill("from", files);
            place
        }

        fn fill(&self, tree: &str, files: &[(&str, &str)]) {
            for (path, text) in files {
                let path = self.place.path().join(tree).join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                if path.to_string_lossy().ends_with('/') {
                    fs::create_dir_all(path).unwrap();
                } else if let Some(target) = text.strip_prefix("-> ") {
                    symlink(target, path).unwrap();
                } else {
                    fs::write(path, text).unwrap();
                }
            }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.place.path().join(path)
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.at("to").join(path))
                .unwrap_or_else(|error| panic!("{path}: {error}"))
        }

        fn run(&self, copying: &Copying) -> Result<Vec<String>, String> {
            let roots = ["from", "to"].map(|tree| Root::open(&self.at(tree)).unwrap());
            copying.run(&roots[0], &roots[1], &CancellationToken::new())
        }

        fn copy(&self, sources: &[&str], dest: &str) -> Result<Vec<String>, String> {
            self.run(&copying(sources, dest))
        }
    }

    fn copying(sources: &[&str], dest: &str) -> Copying {
        Copying {
            sources: sources.iter().map(|source| (*source).to_owned()).collect(),
            files: Vec::new(),
            dest: dest.to_owned(),
            owner: None,
            mode: None,
            keeps_owners: false,
            unpacks: false,
            host_in_source: None,
            host_in_dest: None,
        }
    }

    #[test]
    fn a_file_goes_into_a_folder_or_in_the_place_of_a_file() {
        let place = Place::new(&[("a/x", "x"), ("y", "y")]);
        place.copy(&["a/x"], "/new/name").unwrap();
        place.copy(&["a/x"], "/new/folder/").unwrap();
        place.copy(&["y"], "/new/folder").unwrap();
        place.copy(&["y"], "/new/name").unwrap();
        place.copy(&["/a/../a/x", "../y"], "/").unwrap();
        assert_eq!(
            (place.read("new/name"), place.read("new/folder/x")),
            ("y".into(), "x".into())
        );
        assert_eq!(place.read("new/folder/y"), "y");
        assert_eq!((place.read("x"), place.read("y")), ("x".into(), "y".into()));
        let error = place.copy(&["y"], "/new/name/below").unwrap_err();
        assert!(error.starts_with("/y: the folder /new/name"), "{error}");
        assert_eq!(place.copy(&["z"], "/").unwrap_err(), "there is no z");
        let several = place.copy(&["y", "a/x"], "/new/name").unwrap_err();
        assert!(several.contains("end with /"), "{several}");
    }

    #[test]
    fn of_a_folder_its_content_is_copied_into_what_is_there() {
        let place = Place::new(&[("a/b/x", "x"), ("a/link", "-> b/x"), ("a/empty/", "")]);
        place.fill("to", &[("dest/b/old", "old"), ("dest/b/x", "old")]);
        let set_mode = |path: &str, mode: u32| {
            fs::set_permissions(place.at(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode("from/a/empty", 0o555);
        set_mode("from/a/b/x", 0o750);
        set_mode("to/dest/b", 0o700);
        place.copy(&["a"], "/dest").unwrap();
        assert_eq!(
            (place.read("dest/b/x"), place.read("dest/b/old")),
            ("x".into(), "old".into())
        );
        assert_eq!(
            fs::read_link(place.at("to/dest/link")).unwrap(),
            Path::new("b/x")
        );
        let mode = |path: &str| fs::metadata(place.at(path)).unwrap().mode() & 0o7777;
        assert_eq!((mode("to/dest/empty"), mode("to/dest/b")), (0o555, 0o700));
        assert_eq!(mode("to/dest/b/x"), 0o750);
        let times = ["from/a/b/x", "to/dest/b/x"]
            .map(|path| fs::metadata(place.at(path)).unwrap().mtime_nsec());
        assert_eq!(times[0], times[1]);

        place.copy(&["a/b/x"], "/dest/empty/").unwrap();
        assert_eq!(mode("to/dest/empty"), 0o555);

        place.fill("to", &[("other/b", "a file"), ("third/link/", "")]);
        let error = place.copy(&["a"], "/other").unwrap_err();
        assert!(
            error.contains("b: what is there already is no folder"),
            "{error}"
        );
        let error = place.copy(&["a"], "/third").unwrap_err();
        assert!(
            error.contains("link: what is there already is a folder"),
            "{error}"
        );
    }

    #[test]
    fn wildcards_stand_for_names_of_one_folder() {
        let place = Place::new(&[
            ("a/1.txt", "1"),
            ("a/2.txt", "2"),
            ("b/3.txt", "3"),
            ("b/x", ""),
        ]);
        assert!(place.copy(&["*/*.txt"], "/to/").unwrap().is_empty());
        assert_eq!(
            ["1", "2", "3"].map(|name| place.read(&format!("to/{name}.txt"))),
            ["1", "2", "3"]
        );
        assert!(!place.at("to/to/x").exists());
        assert!(
            place
                .copy(&["a/*"], "/one")
                .unwrap_err()
                .contains("end with /")
        );
        let warnings = place.copy(&["b/x", "*.lock"], "/").unwrap();
        assert_eq!(warnings, ["nothing is called *.lock"]);
    }

    #[test]
    fn links_lead_where_they_would_in_a_vm_and_never_out() {
        let place = Place::new(&[
            ("x", "x"),
            ("out", "-> /etc/passwd"),
            ("up", "-> ../../../../../../etc/passwd"),
            ("in", "-> /x"),
            ("dangling", "-> nothing"),
        ]);
        place.fill(
            "to",
            &[
                ("real/", ""),
                ("folder", "-> /real"),
                ("escape", "-> /tmp"),
                ("file", "-> /real/target"),
            ],
        );
        for source in ["out", "up", "dangling"] {
            let error = place.copy(&[source], "/").unwrap_err();
            assert!(error.contains("a link to nothing"), "{error}");
        }
        place.copy(&["in"], "/folder").unwrap();
        assert_eq!(place.read("real/in"), "x");
        place.copy(&["x"], "/folder/below/").unwrap();
        assert_eq!(place.read("real/below/x"), "x");
        // The link dangles: in this root there is no /tmp.
        assert!(place.copy(&["x"], "/escape/").is_err());
        place.copy(&["x"], "/file").unwrap();
        assert_eq!(place.read("file"), "x");
        assert!(
            !place.at("to/real/target").exists(),
            "nothing is written through a link"
        );
    }

    #[test]
    fn owner_and_mode_can_be_chosen_and_files_be_written_here() {
        let place = Place::new(&[("a/x", "x")]);
        let mut copying = copying(&["a"], "/made/");
        copying.files = vec![("note".to_owned(), "text".to_owned())];
        copying.mode = Some(0o711);
        copying.owner = Some((1234, 5678));
        place.run(&copying).unwrap();
        let is_root = nix::unistd::geteuid().is_root();
        for path in ["to/made/x", "to/made/note", "to/made"] {
            let found = fs::metadata(place.at(path)).unwrap();
            assert_eq!(
                found.mode() & 0o777,
                if path.ends_with("made") { 0o755 } else { 0o711 }
            );
            assert!(
                !is_root || (found.uid(), found.gid()) == (1234, 5678),
                "{path}"
            );
        }
        assert_eq!(place.read("made/note"), "text");
    }

    fn tar(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o640);
            header.set_mtime(1_000_000);
            header.set_uid(0);
            header.set_gid(0);
            let name = &mut header.as_old_mut().name;
            name[..path.len()].copy_from_slice(path.as_bytes());
            let mut data = &b""[..];
            if path.ends_with('/') {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o555);
            } else if let Some(target) = text.strip_prefix("-> ") {
                header.set_entry_type(EntryType::Symlink);
                header.set_link_name(target).unwrap();
            } else if let Some(target) = text.strip_prefix("=> ") {
                header.set_entry_type(EntryType::Link);
                header.set_link_name(target).unwrap();
            } else {
                data = text.as_bytes();
            }
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        io::Write::write_all(&mut encoder, data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn add_unpacks_archives_whatever_they_are_called() {
        let place = Place::new(&[("text.tar", "no archive"), ("empty", "")]);
        let data = tar(&[
            ("./a/", ""),
            ("./a/x", "x"),
            ("a/l", "-> x"),
            ("a/h", "=> a/x"),
        ]);
        fs::write(place.at("from/plain"), &data).unwrap();
        fs::write(place.at("from/zipped"), gzip(&data)).unwrap();
        fs::write(place.at("from/text.gz"), gzip(b"text")).unwrap();
        fs::write(place.at("from/x.tar.xz"), b"\xfd7zXZ\0...").unwrap();
        fs::write(place.at("from/x.xz"), b"\xfd7zXZ\0...").unwrap();
        let add = |source: &str, dest: &str| {
            let mut copying = copying(&[source], dest);
            copying.unpacks = true;
            place.run(&copying)
        };
        for source in ["plain", "zipped"] {
            add(source, &format!("/{source}")).unwrap();
            assert_eq!(place.read(&format!("{source}/a/l")), "x");
            assert_eq!(place.read(&format!("{source}/a/h")), "x");
            let found = fs::metadata(place.at("to").join(source).join("a")).unwrap();
            assert_eq!(found.mode() & 0o777, 0o555);
            let found = fs::metadata(place.at("to").join(source).join("a/x")).unwrap();
            assert_eq!((found.mode() & 0o777, found.mtime()), (0o640, 1_000_000));
        }
        for source in ["text.tar", "empty", "text.gz", "x.xz"] {
            add(source, "/files/").unwrap();
            assert!(place.at("to/files").join(source).is_file(), "{source}");
        }
        assert!(
            add("x.tar.xz", "/")
                .unwrap_err()
                .contains("xz are not unpacked")
        );
        place.copy(&["plain"], "/copied").unwrap();
        assert!(place.at("to/copied").is_file());
    }

    #[test]
    fn an_archive_cannot_write_elsewhere() {
        for entries in [
            &[("../x", "x")][..],
            &[("a/../../x", "x")],
            &[("l", "-> /tmp"), ("l/x", "x")],
            &[("h", "=> ../../../etc/passwd")],
            &[("h", "=> /etc/passwd")],
        ] {
            let place = Place::new(&[]);
            fs::write(place.at("from/evil"), tar(entries)).unwrap();
            let mut copying = copying(&["evil"], "/dest");
            copying.unpacks = true;
            let error = place.run(&copying).unwrap_err();
            assert!(error.starts_with("/evil: "), "{error}");
            assert!(!place.at("x").exists() && !place.at("to/x").exists());
        }
    }
}
