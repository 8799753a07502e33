//! The files that are sent, made when they are first needed.
//!
//! A work names them in braces: `{file-1024}` is a file of that size, `{folder}` one of 5,000 files
//! and 256 MiB, half of it text and half of it noise, `{small-50000}` one of so many files of 1 KiB,
//! `{target}` a path where nothing is yet, `{hex-..}` one of them as the stub writes it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::{Failure, hex};

const FOLDER_FILES: usize = 5_000;
const FOLDER_BYTES: usize = 256 * 1024 * 1024;
const FILES_PER_FOLDER: usize = 100;

/// What the largest works take.
const ROOM: u64 = 12 << 30;

pub(crate) struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    /// In memory if there is room: a disk would be what is measured.
    pub(crate) fn new() -> Result<Self, Failure> {
        let memory = Path::new("/dev/shm");
        let has_room = nix::sys::statvfs::statvfs(memory)
            .is_ok_and(|found| found.blocks_available() * found.fragment_size() > ROOM);
        Ok(Self {
            folder: match has_room {
                true => tempfile::tempdir_in(memory)?,
                false => tempfile::tempdir()?,
            },
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text with all names in braces replaced by what they stand for.
    pub(crate) fn fill_in(&self, text: &str, url: &str) -> Result<String, Failure> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a brace is open")?;
            filled += before;
            filled += &match name.strip_prefix("hex-") {
                _ if name == "url" => url.to_owned(),
                Some(name) => hex(&self.shown(name)?),
                None => self.shown(name)?,
            };
            rest = after;
        }
        Ok(filled + rest)
    }

    fn shown(&self, name: &str) -> Result<String, Failure> {
        let path = self.made(name)?;
        Ok(path
            .into_os_string()
            .into_string()
            .map_err(|_| "the path is no text")?)
    }

    fn made(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path(name);
        if name == "target" {
            remove(&path)?;
        } else if !path.exists() {
            match name.split_once('-') {
                Some(("file", size)) => file(&path, size.parse()?)?,
                Some(("small", count)) => small_files(&path, count.parse()?)?,
                _ if name == "folder" => mixed_files(&path)?,
                _ => return Err(format!("there is no file `{name}`").into()),
            }
        }
        Ok(path)
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

/// Larger ones have holes, which take no room.
fn file(path: &Path, size: u64) -> Result<(), Failure> {
    let file = File::create(path)?;
    if size > 1 << 30 {
        return Ok(file.set_len(size)?);
    }
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(b'x'), size),
        &mut &file,
    )?;
    Ok(())
}

fn small_files(path: &Path, count: usize) -> Result<(), Failure> {
    let mut rng = Rng::with_seed(1);
    for index in 0..count {
        let text = text(&mut rng, 1024);
        write(path, index, &text)?;
    }
    Ok(())
}

fn mixed_files(path: &Path) -> Result<(), Failure> {
    let mut rng = Rng::with_seed(2);
    for index in 0..FOLDER_FILES {
        let size = FOLDER_BYTES / FOLDER_FILES;
        let data = match index % 2 {
            0 => text(&mut rng, size),
            _ => {
                let mut noise = vec![0; size];
                rng.fill(&mut noise);
                noise
            }
        };
        write(path, index, &data)?;
    }
    Ok(())
}

fn write(folder: &Path, index: usize, data: &[u8]) -> std::io::Result<()> {
    let folder = folder.join(format!("folder-{}", index / FILES_PER_FOLDER));
    if index.is_multiple_of(FILES_PER_FOLDER) {
        fs::create_dir_all(&folder)?;
    }
    File::create(folder.join(format!("file-{index}")))?.write_all(data)
}

/// Words at random, which gzip makes a third of.
fn text(rng: &mut Rng, size: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(size + 16);
    while text.len() < size {
        let length = rng.usize(2..9);
        let word = rng.u32(..2_000);
        let mut letters = Rng::with_seed(word.into());
        text.extend((0..length).map(|_| letters.u8(b'a'..=b'z')));
        text.push(if rng.u8(..12) == 0 { b'\n' } else { b' ' });
    }
    text.truncate(size);
    text
}
