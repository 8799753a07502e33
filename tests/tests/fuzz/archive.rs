//! Archives from a VM: nothing is written outside the target, no link leads out of it, and what is
//! refused leaves nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fastvm::Compression;
use fastvm_tests::fuzz;

use crate::{corpus, fake};

const BLOCK: usize = 512;

const WORDS: [&[u8]; 14] = [
    b"../",
    b"/etc/x",
    b"./",
    b"a/b",
    b"..",
    b"link",
    b"ustar\x0000",
    b"ustar  \0",
    b"0000644\0",
    b"00000000005\0",
    b"\x80\0\0\0\0\0\0\x10",
    b"20 path=../../x\n",
    b"18 linkpath=/etc\n",
    b"27 GNU.sparse.major=1\n",
];

/// Makes the checksum right wherever a header may be, or else no change would get beyond it.
fn with_checksums(input: &[u8]) -> Vec<u8> {
    let mut archive = input.to_vec();
    for header in archive.chunks_exact_mut(BLOCK) {
        if !header[257..].starts_with(b"ustar") {
            continue;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    archive
}

/// All paths below a folder, links not followed.
fn paths(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(paths(&path));
        }
        found.insert(path);
    }
    found
}

#[test]
fn an_archive_writes_nothing_outside_its_target_whatever_it_holds() {
    let runtime = fake::runtime();
    let stored = Arc::new(Mutex::new(Vec::new()));
    let storage = Arc::clone(&stored);
    let client = fake::answering(move |request| {
        let path = request.url().path();
        let archive = storage.lock().unwrap();
        if path.ends_with("/presign") {
            let urls = r#"{"uploadUrl":"http://store.test/put","downloadUrl":"http://store.test/get","expiresInSec":60,"maxUploadBytes":1000000}"#;
            return urls.into();
        }
        if path.ends_with("/exec") {
            let told = format!(
                "mode drwxr-xr-x\\nis folder\\nsent 1\\ncurl 0\\ntee 0\\ntar 0\\npiped {}\\n",
                archive.len()
            );
            return format!(r#"{{"exitCode":0,"stdout":"{told}","stderr":"","timedOut":false,"durationMs":1,"stdoutTruncated":false,"stderrTruncated":false}}"#).into();
        }
        fake::in_pieces(&archive)
    });
    let parent = tempfile::tempdir().unwrap();
    let beside = parent.path().join("beside");
    let folder = parent.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(&beside, "as it was").unwrap();
    let around = paths(parent.path());
    let target = folder.join("target");
    fuzz(&corpus("archive"), &WORDS, |input| {
        let mut archive = with_checksums(input);
        if archive.is_empty() {
            archive.push(0);
        }
        *stored.lock().unwrap() = archive;
        let download = client.download("vm-1", "/root/x", &target);
        let result = runtime.block_on(download.compression(Compression::None).into_future());
        let made = paths(&target);
        let mut others = paths(parent.path());
        others.retain(|path| !path.starts_with(&target));
        assert_eq!(others, around, "nothing but the target");
        assert_eq!(fs::read(&beside).unwrap(), b"as it was");
        let mut links = 0;
        for path in &made {
            if path.is_symlink() {
                links += 1;
                // One that leads nowhere is looked at by its folder.
                let led = fs::canonicalize(path).ok();
                let is_inside =
                    led.is_none_or(|led| led.starts_with(fs::canonicalize(&target).unwrap()));
                assert!(is_inside, "{} leads out", path.display());
            }
        }
        let happened = match &result {
            Ok(()) => format!("{} paths, {} links", made.len().min(6), links.min(2)),
            Err(error) => {
                assert!(!target.exists(), "a failure leaves nothing: {made:?}");
                let text = error.message();
                let kind: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
                format!(
                    "{:?}: {}",
                    error.kind(),
                    kind.chars().take(40).collect::<String>()
                )
            }
        };
        if target.exists() {
            // A folder of the archive may be closed.
            for path in paths(&target)
                .iter()
                .filter(|path| path.is_dir() && !path.is_symlink())
            {
                let _ =
                    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755));
            }
            fs::remove_dir_all(&target).unwrap();
        }
        happened
    });
}
