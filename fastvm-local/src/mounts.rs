//! What volumes and bucket mounts have in common: paths in a VM.

use std::path::Path;

use fastvm_api::types::{MountStatus, Vm};

/// How long the name of a folder may be.
const MOST_NAME_BYTES: usize = 255;

/// An absolute path other than `/`, without what changes nothing in it and without `..`.
pub(crate) fn plain_path(asked: &str) -> Option<String> {
    let below = asked.strip_prefix('/')?.split('/');
    let names: Vec<&str> = below.filter(|name| !matches!(*name, "" | ".")).collect();
    let is_plain =
        |name: &&str| *name != ".." && name.len() <= MOST_NAME_BYTES && !name.contains('\0');
    (!names.is_empty() && names.iter().all(is_plain)).then(|| format!("/{}", names.join("/")))
}

/// Whether nothing is mounted at, above or below this path, or will be.
pub(crate) fn check_free(vm: &Vm, path: &str) -> Result<(), String> {
    let volumes = vm.volumes.iter();
    let volumes = volumes.map(|item| (&item.mount_path, &item.mount_status));
    let buckets = vm.bucket_mounts.iter();
    let buckets = buckets.map(|mount| (&mount.mount_path, &mount.mount_status));
    let mut there = volumes.chain(buckets);
    let in_use = there.find(|(used, status)| {
        let (used, path) = (Path::new(used), Path::new(path));
        **status != MountStatus::Failed && (used.starts_with(path) || path.starts_with(used))
    });
    match in_use {
        Some((used, _)) => Err(format!("mountPath: {used} is in use")),
        None => Ok(()),
    }
}
