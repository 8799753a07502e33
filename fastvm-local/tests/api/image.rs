//! Images to import: layers, and the forms in which they come.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) struct Layer(Builder<Vec<u8>>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(crate) fn file(mut self, path: &str, mode: u32, data: impl AsRef<[u8]>) -> Self {
        self.add(EntryType::Regular, path, mode, data.as_ref());
        self
    }

    pub(crate) fn folder(mut self, path: &str, mode: u32) -> Self {
        self.add(EntryType::Directory, path, mode, b"");
        self
    }

    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        self.0.append_link(&mut header, path, target).unwrap();
        self
    }

    /// Programs of this machine, with what they are linked to.
    pub(crate) fn programs(mut self, names: &[&str]) -> Self {
        self = self.link("bin", "usr/bin");
        let mut added = HashSet::new();
        for name in names {
            let found = Command::new("sh")
                .args(["-c", "command -v -- \"$1\"", "sh", name])
                .output();
            let path = String::from_utf8(found.unwrap().stdout)
                .unwrap()
                .trim()
                .to_owned();
            let linked = Command::new("ldd").arg(&path).output().unwrap();
            let linked = String::from_utf8(linked.stdout).unwrap();
            let libraries = linked
                .split_whitespace()
                .filter(|word| word.starts_with('/'));
            for library in libraries.filter(|library| added.insert(library.to_string())) {
                self = self.file(&library[1..], 0o755, std::fs::read(library).unwrap());
            }
            self = self.file(
                &format!("usr/bin/{name}"),
                0o755,
                std::fs::read(path).unwrap(),
            );
        }
        self
    }

    fn add(&mut self, kind: EntryType, path: &str, mode: u32, data: &[u8]) {
        let mut header = header(kind, mode, data.len());
        self.0.append_data(&mut header, path, data).unwrap();
    }

    pub(crate) fn plain(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000);
    header.set_size(size as u64);
    header
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(data).unwrap();
    packed.finish().unwrap()
}

pub(crate) fn digest(data: &[u8]) -> String {
    let bytes = Sha256::digest(data);
    let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", hex.collect::<String>())
}

/// An image of plain layers.
pub(crate) struct TestImage {
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) config: Value,
}

impl TestImage {
    pub(crate) fn new(layers: impl IntoIterator<Item = Layer>, config: Value) -> Self {
        let layers = layers.into_iter().map(Layer::plain).collect();
        Self { layers, config }
    }

    fn configuration(&self) -> Vec<u8> {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let diff_ids: Vec<_> = self.layers.iter().map(|layer| digest(layer)).collect();
        let configuration = json!({
            "os": "linux", "architecture": architecture, "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        configuration.to_string().into_bytes()
    }

    /// Writes an OCI image layout with these annotations; gives the digest of the manifest.
    pub(crate) fn layout(&self, folder: &Path, annotations: Value) -> String {
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let put = |media_type: &str, data: &[u8]| {
            let digest = digest(data);
            std::fs::write(blobs.join(&digest[7..]), data).unwrap();
            json!({"mediaType": media_type, "digest": digest, "size": data.len()})
        };
        let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        let layers: Vec<_> = (self.layers.iter())
            .map(|layer| put(layer_type, &gzip(layer)))
            .collect();
        let config = put(
            "application/vnd.oci.image.config.v1+json",
            &self.configuration(),
        );
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let mut described = put(MANIFEST, manifest.to_string().as_bytes());
        described["annotations"] = annotations;
        let index = json!({"schemaVersion": 2, "manifests": [described]});
        std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
        let version = json!({"imageLayoutVersion": "1.0.0"});
        std::fs::write(folder.join("oci-layout"), version.to_string()).unwrap();
        described["digest"].as_str().unwrap().to_owned()
    }

    /// A `docker save` archive of the form that has no index.
    pub(crate) fn saved(&self, tags: &[&str]) -> Vec<u8> {
        let mut archive = Layer::new();
        let mut names = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let name = format!("{number}/layer.tar");
            archive = archive.file(&name, 0o644, layer);
            names.push(name);
        }
        let manifest = json!([{"Config": "config.json", "RepoTags": tags, "Layers": names}]);
        let archive = archive.file("config.json", 0o644, self.configuration());
        archive
            .file("manifest.json", 0o644, manifest.to_string())
            .plain()
    }
}
