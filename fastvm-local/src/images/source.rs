//! Where images lie: OCI image layouts, as a folder or packed, and `docker save` archives.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use oci_spec::distribution::Reference;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, Digest, ImageConfiguration, ImageIndex, ImageManifest,
    MediaType,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::{NamedTempFile, TempPath};

use super::layer::{decompress, digest_of};

/// The whole name of an image, as Docker and containerd note it.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// A document is small.
const MOST_DOCUMENT_BYTES: u64 = 4 * 1024 * 1024;

/// How many indexes may lead to a manifest.
const MOST_INDEXES: usize = 4;

/// A folder or a file with images.
#[derive(Debug)]
pub(super) struct Source {
    form: Form,
    pub(super) images: Vec<Found>,
}

#[derive(Debug)]
enum Form {
    Folder(PathBuf),
    /// What is in a tar file: where it begins and how long it is.
    Packed {
        file: PathBuf,
        places: HashMap<String, (u64, u64)>,
        /// The file is a temporary one.
        _unpacked: Option<TempPath>,
    },
}

/// An image as a source lists it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: Reference,
    /// Of its manifest or index; in an old archive that of its configuration.
    pub(super) digest: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Described(Box<Descriptor>),
    Saved { config: String, layers: Vec<String> },
}

/// What is needed to unpack an image.
#[derive(Debug)]
pub(super) struct Parts {
    /// Tells its content from any other.
    pub(super) id: String,
    pub(super) config: ImageConfiguration,
    /// The lowest first.
    pub(super) layers: Vec<Layer>,
}

#[derive(Debug)]
pub(super) struct Layer {
    name: String,
    /// Of it as it is stored, or else as it is when it is plain.
    pub(super) digest: LayerDigest,
}

#[derive(Debug)]
pub(super) enum LayerDigest {
    Stored(String),
    Plain(String),
}

/// An entry of the `manifest.json` of a `docker save` archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Source {
    /// What is at a path; `None` if it is nothing that could have images. `temporary` is where a
    /// compressed file is unpacked.
    pub(super) fn open(path: &Path, temporary: &Path) -> io::Result<Option<Self>> {
        let form = if path.is_dir() {
            if !path.join("oci-layout").is_file() {
                return Ok(None);
            }
            Form::Folder(path.to_owned())
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if ![".tar", ".tar.gz", ".tgz"]
                .iter()
                .any(|end| name.ends_with(end))
            {
                return Ok(None);
            }
            Form::packed(path, temporary)?
        };
        let mut source = Self {
            form,
            images: Vec::new(),
        };
        source.images = source.list(&plain_name(path))?;
        Ok(Some(source))
    }

    fn list(&self, own_name: &str) -> io::Result<Vec<Found>> {
        if self.form.has("index.json") {
            let index: ImageIndex = self.form.document("index.json")?;
            let alone = index.manifests().len() == 1;
            let described = index.manifests().iter();
            return Ok(described
                .filter_map(|found| described_as(found, own_name, alone))
                .collect());
        }
        if !self.form.has("manifest.json") {
            return Err(damaged(
                "it is neither an OCI image layout nor a docker save archive",
            ));
        }
        let mut found = Vec::new();
        for saved in self.form.document::<Vec<Saved>>("manifest.json")? {
            let digest = digest_of(&self.form.read(&saved.config)?);
            let mut names: Vec<Reference> = saved
                .repo_tags
                .iter()
                .flatten()
                .filter_map(|tag| tag.parse().ok())
                .collect();
            if names.is_empty() {
                names.extend(format!("{own_name}:latest").parse().ok());
            }
            found.extend(names.into_iter().map(|name| Found {
                name,
                digest: digest.clone(),
                content: Content::Saved {
                    config: saved.config.clone(),
                    layers: saved.layers.clone(),
                },
            }));
        }
        Ok(found)
    }

    /// What an image consists of, for this platform such as `linux/amd64`.
    pub(super) fn parts(&self, found: &Found, platform: &str) -> io::Result<Parts> {
        let parts = match &found.content {
            Content::Described(descriptor) => self.described(descriptor, platform, MOST_INDEXES)?,
            Content::Saved { config, layers } => self.saved(&found.digest, config, layers)?,
        };
        let (os, arch) = (parts.config.os(), parts.config.architecture());
        let is = format!("{os}/{arch}");
        if is != platform {
            return Err(damaged(&format!("it is for {is}, not for {platform}")));
        }
        Ok(parts)
    }

    fn described(
        &self,
        descriptor: &Descriptor,
        platform: &str,
        depth: usize,
    ) -> io::Result<Parts> {
        let document = self.verified(descriptor)?;
        if is_index(descriptor.media_type()) {
            let index: ImageIndex = parse(&document, "an index")?;
            let Some(depth) = depth.checked_sub(1) else {
                return Err(damaged("its indexes have no end"));
            };
            return self.described(choose(&index, platform)?, platform, depth);
        }
        let manifest: ImageManifest = parse(&document, "its manifest")?;
        let config = parse(&self.verified(manifest.config())?, "its configuration")?;
        let layers = manifest.layers().iter().map(|layer| {
            Ok(Layer {
                name: blob(layer.digest())?,
                digest: LayerDigest::Stored(layer.digest().to_string()),
            })
        });
        Ok(Parts {
            id: descriptor.digest().to_string(),
            config,
            layers: layers.collect::<io::Result<_>>()?,
        })
    }

    fn saved(&self, id: &str, config: &str, layers: &[String]) -> io::Result<Parts> {
        let config: ImageConfiguration = self.form.document(config)?;
        let plain = config.rootfs().diff_ids();
        if plain.len() != layers.len() {
            return Err(damaged(
                "it has not the layers that its configuration names",
            ));
        }
        let layers = layers.iter().zip(plain).map(|(name, digest)| Layer {
            name: name.clone(),
            digest: LayerDigest::Plain(digest.clone()),
        });
        Ok(Parts {
            id: id.to_owned(),
            layers: layers.collect(),
            config,
        })
    }

    /// A document, if it is the one that is described.
    fn verified(&self, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
        let document = self.form.read(&blob(descriptor.digest())?)?;
        if digest_of(&document) != descriptor.digest().as_ref() {
            return Err(damaged(&format!("{} is damaged", descriptor.digest())));
        }
        Ok(document)
    }

    /// A layer as it is stored.
    pub(super) fn layer(&self, layer: &Layer) -> io::Result<Box<dyn Read>> {
        self.form.open(&layer.name)
    }
}

impl Form {
    fn packed(path: &Path, temporary: &Path) -> io::Result<Self> {
        let mut unpacked = None;
        if path.extension().is_none_or(|extension| extension != "tar") {
            let mut plain = NamedTempFile::new_in(temporary)?;
            io::copy(
                &mut decompress(BufReader::new(File::open(path)?))?,
                &mut plain,
            )?;
            unpacked = Some(plain.into_temp_path());
        }
        let file = unpacked.as_deref().unwrap_or(path).to_owned();
        let mut places = HashMap::new();
        let mut links = Vec::new();
        let mut archive = tar::Archive::new(File::open(&file)?);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name = lexical(&entry.path()?);
            if entry.header().entry_type().is_file() {
                places.insert(name, (entry.raw_file_position(), entry.size()));
            } else if let Some(target) = entry.link_name()? {
                // Old archives name a layer that two images share only once.
                let above = Path::new(&name).parent().unwrap_or(Path::new(""));
                links.push((lexical(&above.join(target)), name));
            }
        }
        for (target, name) in links {
            if let Some(place) = places.get(&target).copied() {
                places.insert(name, place);
            }
        }
        Ok(Self::Packed {
            file,
            places,
            _unpacked: unpacked,
        })
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).is_file(),
            Self::Packed { places, .. } => places.contains_key(name),
        }
    }

    /// Opens what has this name. In a folder it must be a name of ours, or a digest.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read>> {
        let missing = || damaged(&format!("{name} is missing in it"));
        match self {
            Self::Folder(folder) => match File::open(folder.join(name)) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                Err(error) => Err(error),
            },
            Self::Packed { file, places, .. } => {
                let (begin, length) = *places.get(name).ok_or_else(missing)?;
                let mut file = File::open(file)?;
                file.seek(SeekFrom::Start(begin))?;
                Ok(Box::new(file.take(length)))
            }
        }
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut document = Vec::new();
        let mut limited = self.open(name)?.take(MOST_DOCUMENT_BYTES + 1);
        limited.read_to_end(&mut document)?;
        if document.len() as u64 > MOST_DOCUMENT_BYTES {
            return Err(damaged(&format!("{name} is too large")));
        }
        Ok(document)
    }

    fn document<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        parse(&self.read(name)?, name)
    }
}

/// How an image is called: by its whole name, or else by a tag, and then as its folder or file is.
fn described_as(descriptor: &Descriptor, own_name: &str, alone: bool) -> Option<Found> {
    let annotations = descriptor.annotations().as_ref();
    let note = |key: &str| {
        annotations
            .and_then(|notes| notes.get(key))
            .map(String::as_str)
    };
    let name = match (note(IMAGE_NAME), note(ANNOTATION_REF_NAME)) {
        (Some(whole), _) => whole.to_owned(),
        (None, Some(named)) if named.contains([':', '/']) => named.to_owned(),
        (None, Some(tag)) => format!("{own_name}:{tag}"),
        (None, None) if alone => own_name.to_owned(),
        // Such as the parts of a build that are no image.
        (None, None) => return None,
    };
    Some(Found {
        name: name.parse().ok()?,
        digest: descriptor.digest().to_string(),
        content: Content::Described(Box::new(descriptor.clone())),
    })
}

fn choose<'a>(index: &'a ImageIndex, platform: &str) -> io::Result<&'a Descriptor> {
    let platform_of = |found: &Descriptor| {
        let platform = found.platform().as_ref()?;
        Some(format!("{}/{}", platform.os(), platform.architecture()))
    };
    let found = index.manifests();
    let fits = |found: &&Descriptor| platform_of(found).is_some_and(|is| is == platform);
    let chosen = found.iter().find(fits);
    // An index of one, without a note for whom it is.
    let only = || {
        found
            .first()
            .filter(|only| found.len() == 1 && only.platform().is_none())
    };
    chosen.or_else(only).ok_or_else(|| {
        let there: Vec<String> = found.iter().filter_map(platform_of).collect();
        damaged(&format!(
            "it is for {}, not for {platform}",
            there.join(", ")
        ))
    })
}

fn is_index(media_type: &MediaType) -> bool {
    let docker = "application/vnd.docker.distribution.manifest.list.v2+json";
    *media_type == MediaType::ImageIndex || media_type.as_ref() == docker
}

/// Where a layout has what a digest names.
fn blob(digest: &Digest) -> io::Result<String> {
    match digest.as_ref().strip_prefix("sha256:") {
        Some(hex) => Ok(format!("blobs/sha256/{hex}")),
        None => Err(damaged(&format!(
            "its digest {digest} is not of the kind sha256"
        ))),
    }
}

fn parse<T: DeserializeOwned>(document: &[u8], name: &str) -> io::Result<T> {
    let parsed = serde_json::from_slice(document);
    parsed.map_err(|error| damaged(&format!("{name} cannot be read: {error}")))
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A path within an archive, without `.` and `..`. It is only ever compared.
fn lexical(path: &Path) -> String {
    let mut names = Vec::new();
    for part in path.iter() {
        match part.to_string_lossy().as_ref() {
            "." | "/" => {}
            ".." => drop(names.pop()),
            name => names.push(name.to_owned()),
        }
    }
    names.join("/")
}

/// The name of a file without its endings, as an image may have it.
fn plain_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = [".tar.gz", ".tgz", ".tar"];
    let plain = ends
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    plain.to_lowercase()
}

/// The folders and files in a directory that can have images, by name; the directory itself may be
/// one.
pub(super) fn candidates(dir: &Path) -> io::Result<Vec<PathBuf>> {
    if dir.join("oci-layout").is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let mut paths = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
