//! The folder that the user has put images into.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use oci_spec::distribution::Reference;

use super::source::{Parts, Source, candidates};
use super::{BASE, ImageError};

#[derive(Debug)]
pub(super) struct Shelf {
    dir: Option<PathBuf>,
    /// Where compressed files are unpacked.
    temporary: PathBuf,
    /// Files that were looked through, for as long as they stay as they were: some have to be
    /// decompressed for it.
    files: Mutex<HashMap<PathBuf, (Stamp, Arc<Source>)>>,
}

/// What tells that a file was changed.
type Stamp = (u64, Option<SystemTime>);

/// Everything in the folder, and what of it could not be read.
#[derive(Default)]
struct Stock {
    sources: Vec<Arc<Source>>,
    unusable: Vec<String>,
}

impl Shelf {
    pub(super) fn new(dir: Option<PathBuf>, temporary: PathBuf) -> Self {
        Self {
            dir,
            temporary,
            files: Mutex::default(),
        }
    }

    /// Looks for an image. Blocks.
    pub(super) fn find(
        &self,
        asked: &Reference,
        platform: &str,
    ) -> Result<(Arc<Source>, Parts), ImageError> {
        let Some(dir) = &self.dir else {
            return Err(ImageError::NotFound(format!(
                "{asked} is not here: no registry is asked, and the server was started without a \
                 folder of images; start it with --images DIR and put the image there with \
                 `docker save {} -o DIR/{}`",
                short(asked),
                file_name(asked)
            )));
        };
        let stock = self.stock(dir).map_err(|error| {
            ImageError::Unusable(format!(
                "the folder of images {} cannot be read: {error}",
                dir.display()
            ))
        })?;
        for source in &stock.sources {
            if let Some(found) = source
                .images
                .iter()
                .find(|found| is_asked(found.digest.as_str(), &found.name, asked))
            {
                let parts = source.parts(found, platform);
                let parts =
                    parts.map_err(|error| ImageError::Unusable(format!("{asked}: {error}")))?;
                return Ok((Arc::clone(source), parts));
            }
        }
        Err(ImageError::NotFound(stock.without(asked, dir)))
    }

    fn stock(&self, dir: &Path) -> io::Result<Stock> {
        let mut stock = Stock::default();
        for path in candidates(dir)? {
            match self.open(&path) {
                Ok(source) => stock.sources.extend(source),
                Err(error) => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    stock.unusable.push(format!("{name} ({error})"));
                }
            }
        }
        Ok(stock)
    }

    fn open(&self, path: &Path) -> io::Result<Option<Arc<Source>>> {
        let found = fs::metadata(path)?;
        if found.is_dir() {
            return Ok(Source::open(path, &self.temporary)?.map(Arc::new));
        }
        let stamp = (found.len(), found.modified().ok());
        // A map is whole after a panic.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, source)) = files.get(path)
            && *then == stamp
        {
            return Ok(Some(Arc::clone(source)));
        }
        let source = Source::open(path, &self.temporary)?.map(Arc::new);
        if let Some(source) = &source {
            files.insert(path.to_owned(), (stamp, Arc::clone(source)));
        }
        Ok(source)
    }
}

impl Stock {
    /// What to say when an image is not there: what is, and how to change it.
    fn without(&self, asked: &Reference, dir: &Path) -> String {
        let names: BTreeSet<String> = (self.sources.iter())
            .flat_map(|source| &source.images)
            .map(|found| short(&found.name))
            .chain([BASE.to_owned()])
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let unusable = match self.unusable.as_slice() {
            [] => String::new(),
            unusable => format!("; not readable: {}", unusable.join(", ")),
        };
        let place = dir.join(file_name(asked));
        format!(
            "{asked} is not here: no registry is asked, and the folder of images {} has {}{unusable}; \
             put it there with `docker save {} -o {}`",
            dir.display(),
            names.join(", "),
            short(asked),
            place.display()
        )
    }
}

/// A digest says it all, a name needs its tag.
fn is_asked(digest: &str, name: &Reference, asked: &Reference) -> bool {
    match asked.digest() {
        Some(wanted) => wanted == digest,
        None => {
            (name.registry(), name.repository(), name.tag())
                == (asked.registry(), asked.repository(), asked.tag())
        }
    }
}

/// A reference as people write it.
fn short(reference: &Reference) -> String {
    let whole = reference.whole();
    let short = whole.strip_prefix("docker.io/").unwrap_or(&whole);
    short.strip_prefix("library/").unwrap_or(short).to_owned()
}

/// A name for the archive of an image.
fn file_name(reference: &Reference) -> String {
    let last = reference.repository().rsplit('/').next();
    format!("{}.tar", last.unwrap_or("image"))
}
