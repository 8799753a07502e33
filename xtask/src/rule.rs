//! `cargo xtask rule` proves the rule that shapes the workspace: a change of the document never
//! touches hand-written code. In a copy of the workspace it adds one of everything to the document
//! (`rule/additions.yaml`), regenerates, puts a program beside the examples that calls all of it
//! (`rule/program.rs`), and lets the compiler judge.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{regen, write};

const ADDITIONS: &str = include_str!("../rule/additions.yaml");
const PROGRAM: &str = include_str!("../rule/program.rs");

pub fn prove(root: &Path) -> Result<ExitCode> {
    let copy = root.join("target/rule/workspace");
    copy_workspace(root, &copy)?;
    extend_document(&copy.join("openapi.yaml"))?;
    let (files, notices) = regen(&copy.join("openapi.yaml"))?;
    for notice in notices {
        println!("notice: {notice}");
    }
    write::write(&copy.join("fastvm-api/src/generated"), &files)?;
    put(&copy.join("fastvm/examples/rule.rs"), PROGRAM)?;

    println!("checking {} with the additions", copy.display());
    // The dependencies are compiled there already.
    if !compiles(&copy, &root.join("target"))? {
        eprintln!(
            "the rule is broken: with xtask/rule/additions.yaml in the document, hand-written code would need an edit \
             (see above; first make sure that the workspace compiles without them)"
        );
        return Ok(ExitCode::FAILURE);
    }
    println!(
        "the rule holds: operations with and without extensions, a resource, a query parameter, fields of the launch, \
         exec and VM schemas and a value of a set were added; the workspace compiles, and so does a program that calls \
         them on `client` and on a handle, through overrides too"
    );
    Ok(ExitCode::SUCCESS)
}

/// Copies what git tracks or would track, so that the proof is of the work at hand, not of the
/// last commit.
fn copy_workspace(root: &Path, copy: &Path) -> Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy).with_context(|| format!("cannot remove {}", copy.display()))?;
    }
    let listing = Command::new("git")
        .args(["ls-files", "-z", "-co", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git, which lists the files to copy")?;
    if !listing.status.success() {
        bail!(
            "git cannot list the workspace's files: {}",
            String::from_utf8_lossy(&listing.stderr).trim()
        );
    }
    let listing = String::from_utf8(listing.stdout).context("a file's name is not UTF-8")?;
    for path in listing.split_terminator('\0') {
        let from = root.join(path);
        // Tracked, but deleted since.
        if from.is_file() {
            let bytes =
                fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
            put(&copy.join(path), &bytes)?;
        }
    }
    Ok(())
}

/// JSON is YAML, so the copy's document keeps its name; its comments are lost.
fn extend_document(path: &Path) -> Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut document: Value = yaml_serde::from_str(&text)?;
    let additions: Value = yaml_serde::from_str(ADDITIONS).context("in rule/additions.yaml")?;
    merge(&mut document, additions, "")?;
    put(path, serde_json::to_string_pretty(&document)?)
}

/// Puts `more` into `node`. What is there already stays as it is: this only adds.
fn merge(node: &mut Value, more: Value, place: &str) -> Result<()> {
    match (node, more) {
        (Value::Object(map), Value::Object(more)) => {
            for (key, value) in more {
                match map.get_mut(&key) {
                    Some(node) => merge(node, value, &format!("{place}/{key}"))?,
                    None => {
                        map.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(list), Value::Array(more)) => list.extend(more),
        _ => bail!(
            "openapi.yaml has {place} now: choose another addition in xtask/rule/additions.yaml"
        ),
    }
    Ok(())
}

fn compiles(copy: &Path, target: &Path) -> Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let status = Command::new(cargo)
        .args(["check", "--workspace", "--all-targets"])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", target)
        .status()
        .context("cannot run cargo")?;
    Ok(status.success())
}

fn put(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::yaml;

    #[test]
    fn additions_make_maps_and_lists_longer() {
        let mut document = yaml("{a: {x: 1}, list: [1]}");
        merge(&mut document, yaml("{a: {y: 2}, list: [2], b: 3}"), "").unwrap();
        assert_eq!(document, yaml("{a: {x: 1, y: 2}, list: [1, 2], b: 3}"));
    }

    #[test]
    fn an_addition_that_the_document_has_already_is_refused() {
        let error = merge(&mut yaml("{a: {x: 1}}"), yaml("{a: {x: 2}}"), "").unwrap_err();
        assert!(error.to_string().contains("openapi.yaml has /a/x now"));
    }
}
