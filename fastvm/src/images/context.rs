//! A build context: the folder of a Dockerfile as a ZIP archive.
//!
//! The archive is made in a temporary file, not in memory, since its size is to be told before it is
//! sent. The same folder makes the same archive: entries are sorted and have no times.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use fastvm_api::{Error, ErrorKind, Result};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::ignored::Ignore;

/// What is packed.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) folder: PathBuf,
    /// Below the folder.
    pub(super) dockerfile: String,
}

impl Context {
    /// The archive in a file that has no name, and its length.
    pub(super) fn pack(&self) -> Result<(File, u64)> {
        let dockerfile = self.folder.join(&self.dockerfile);
        if !dockerfile.is_file() {
            let message = "there is no Dockerfile: name it with `.dockerfile(..)`";
            let error = Error::new(ErrorKind::NotFound, message);
            return Err(error.with_path(dockerfile.to_string_lossy()));
        }
        let temporary = |error| local(Path::new("the archive"), "a temporary file failed", error);
        let mut zip = ZipWriter::new(io::BufWriter::new(tempfile::tempfile().map_err(temporary)?));
        let ignore = self.ignore()?;
        self.pack_folder(&self.folder, "", &ignore, &mut zip)?;
        let file = zip.finish().map_err(|error| temporary(error.into()))?;
        let mut file = file
            .into_inner()
            .map_err(|error| temporary(error.into_error()))?;
        let length = file.stream_position().map_err(temporary)?;
        file.rewind().map_err(temporary)?;
        Ok((file, length))
    }

    /// The rules of `<Dockerfile>.dockerignore` if it is there, else of `.dockerignore`.
    fn ignore(&self) -> Result<Ignore> {
        for name in [
            format!("{}.dockerignore", self.dockerfile),
            ".dockerignore".to_owned(),
        ] {
            let path = self.folder.join(name);
            match fs::read_to_string(&path) {
                Ok(text) => return Ok(Ignore::parse(&text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(local(&path, "it cannot be read", error)),
            }
        }
        Ok(Ignore::default())
    }

    /// What the build itself needs is sent whatever the rules say.
    fn is_needed(&self, inner: &str) -> bool {
        inner == self.dockerfile.trim_start_matches("./")
    }

    fn pack_folder<W: Write + Seek>(
        &self,
        folder: &Path,
        above: &str,
        ignore: &Ignore,
        zip: &mut ZipWriter<W>,
    ) -> Result<()> {
        let unreadable = |error| local(folder, "it cannot be read", error);
        let entries = fs::read_dir(folder).map_err(unreadable)?;
        let entries: io::Result<Vec<_>> = entries.collect();
        let mut entries = entries.map_err(unreadable)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                let message = "a name in a build context has to be UTF-8";
                let error = Error::new(ErrorKind::InvalidInput, message);
                return Err(error.with_path(path.to_string_lossy()));
            };
            let inner = format!("{above}{name}");
            let metadata = fs::symlink_metadata(&path);
            let metadata = metadata.map_err(|error| local(&path, "it cannot be read", error))?;
            let is_left_out = ignore.leaves_out(&inner) && !self.is_needed(&inner);
            // An exception may bring back what is inside a folder that is left out.
            if !is_left_out {
                add(&path, &inner, &metadata, zip)?;
            }
            if metadata.is_dir() {
                self.pack_folder(&path, &format!("{inner}/"), ignore, zip)?;
            }
        }
        Ok(())
    }
}

fn add<W: Write + Seek>(
    path: &Path,
    inner: &str,
    metadata: &fs::Metadata,
    zip: &mut ZipWriter<W>,
) -> Result<()> {
    let failed = |error| local(path, "it cannot be packed", error);
    let packed = |added: zip::result::ZipResult<()>| added.map_err(|error| failed(error.into()));
    let options = SimpleFileOptions::default()
        .unix_permissions(mode(metadata))
        .last_modified_time(zip::DateTime::default())
        .large_file(metadata.len() >= u32::MAX.into());
    if metadata.is_dir() {
        return packed(zip.add_directory(inner, options));
    }
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(failed)?;
        return packed(zip.add_symlink(inner, target.to_string_lossy(), options));
    }
    if !metadata.is_file() {
        let message = "it is no file, folder or symbolic link: leave it out by a `.dockerignore`";
        let error = Error::new(ErrorKind::InvalidInput, message);
        return Err(error.with_path(path.to_string_lossy()));
    }
    packed(zip.start_file(inner, options))?;
    let mut file = File::open(path).map_err(failed)?;
    io::copy(&mut file, zip).map(drop).map_err(failed)
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

#[cfg(not(unix))]
fn mode(metadata: &fs::Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}

fn local(path: &Path, what: &str, source: io::Error) -> Error {
    let kind = match source.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    };
    let error = Error::new(kind, what).with_path(path.to_string_lossy());
    error.with_source(source)
}
