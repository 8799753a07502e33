//! `cargo xtask rule` proves the rule that shapes the workspace: a change of the document never
//! touches hand-written code. In a copy of the workspace it adds one of everything to the document
//! (`rule/additions.yaml`), rewords and reorders the rest, regenerates, puts a program beside the
//! examples that calls all of it (`rule/program.rs`), and lets the compiler judge. `diff` must agree
//! that none of it breaks anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::diff::{self, Change, Class};
use crate::process::{cargo, output, program, run};
use crate::{GENERATED, load, regen, write};

const ADDITIONS: &str = include_str!("../rule/additions.yaml");
const PROGRAM: &str = include_str!("../rule/program.rs");

/// With the features of Clippy and of the tests, so that the dependencies are theirs.
const CHECK: &str = "check --workspace --all-targets --all-features";

/// All but the tests of xtask, which know the document as it is.
const TEST: &str = "test --workspace --lib --test * --all-features";

/// Compiles the changed workspace and, if asked, runs its tests, too.
pub fn prove(root: &Path, with_tests: bool) -> Result<ExitCode> {
    let copy = root.join("target/rule/workspace");
    copy_workspace(root, &copy)?;
    let changes = change_document(&copy.join("openapi.yaml"))?;
    if let Some(change) = changes.iter().find(|change| !is_compatible(change)) {
        bail!(
            "`cargo xtask diff` should find these additions compatible, but says of {}: {}",
            change.pointer,
            change.sentence
        );
    }
    let (files, notices) = regen(&copy.join("openapi.yaml"))?;
    for notice in notices {
        println!("notice: {notice}");
    }
    write::write(&copy.join(GENERATED), &files)?;
    put(&copy.join("fastvm/examples/rule.rs"), PROGRAM)?;

    println!("checking {} with the additions", copy.display());
    let mut commands = vec![CHECK];
    commands.extend(with_tests.then_some(TEST));
    for arguments in commands {
        // The dependencies are compiled there already.
        let mut cargo = cargo(&copy);
        cargo.args(arguments.split_whitespace());
        if let Err(error) = run(cargo.env("CARGO_TARGET_DIR", root.join("target"))) {
            eprintln!(
                "the rule is broken: with xtask/rule/additions.yaml in the document, hand-written code would need an \
                 edit (see above; first make sure that the workspace is fine without them): {error:#}"
            );
            return Ok(ExitCode::FAILURE);
        }
    }
    println!(
        "the rule holds: operations with and without extensions, a resource, query parameters, fields at several \
         depths, values of open and closed sets and statuses were added, all else was reworded and reordered ({} \
         differences, none of them breaking); the workspace compiles, and so does a program that calls what is new on \
         `client` and on a handle, through overrides too",
        changes.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// Copies what git tracks or would track, so that the proof is of the work at hand, not of the
/// last commit.
fn copy_workspace(root: &Path, copy: &Path) -> Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy).with_context(|| format!("cannot remove {}", copy.display()))?;
    }
    let mut listing = program(root, "git");
    listing.args(["ls-files", "-z", "-co", "--exclude-standard"]);
    let listing = output(&mut listing).context("git lists the files to copy")?;
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
fn change_document(path: &Path) -> Result<Vec<Change>> {
    let old = load::load(path)?;
    let new = changed(&old)?;
    put(path, serde_json::to_string_pretty(&new)?)?;
    diff::diff(&old, &new)
}

/// The document with every change that must not be noticed by those who do not use it.
fn changed(document: &Value) -> Result<Value> {
    let mut document = document.clone();
    let additions: Value = yaml_serde::from_str(ADDITIONS).context("in rule/additions.yaml")?;
    merge(&mut document, additions, "")?;
    reword(&mut document);
    reorder(&mut document);
    Ok(document)
}

fn is_compatible(change: &Change) -> bool {
    change.class > Class::Unclassified
}

/// A property may be called `description`, too, but then it is no text.
fn reword(node: &mut Value) {
    match node {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "description" => text.push_str(" Reworded."),
                    value => reword(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(reword),
        _ => {}
    }
}

/// The order of lists stays: that of `required` and of parameters means something.
fn reorder(node: &mut Value) {
    match node {
        Value::Object(map) => {
            let entries: Vec<_> = std::mem::take(map).into_iter().rev().collect();
            map.extend(entries);
            map.values_mut().for_each(reorder);
        }
        Value::Array(list) => list.iter_mut().for_each(reorder),
        _ => {}
    }
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

fn put(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::yaml;

    const DOCUMENT: &str = include_str!("../../openapi.yaml");

    #[test]
    fn every_kind_of_addition_is_found_and_none_breaks_anything() {
        let old = yaml(DOCUMENT);
        let changes = diff::diff(&old, &changed(&old).unwrap()).unwrap();
        let breaking: Vec<_> = changes
            .iter()
            .filter(|change| !is_compatible(change))
            .collect();
        assert!(breaking.is_empty(), "{breaking:#?}");
        for part in [
            "There is an operation `rebootVm` (POST /v1/vms/{id}/reboot).",
            "There is an operation `getVmLogs`",
            "There is an operation `createRegion` (POST /v1/regions).",
            "`tags` of the document reads differently.",
            "`listVms` takes the query parameter `region`.",
            "`launchVm` takes the query parameter `dryRun`.",
            "There is a field `LaunchVMRequest.region`.",
            "There is a field `IngressRule.log`.",
            "There is a field `VolumeAttachmentItem.mountedAt`.",
            "`IngressRule.protocol` has a value `sctp`.",
            "`DNSMode` has a value `observe`.",
            "`ExecEvent.t` has a value `h`.",
            "`VMStatus` has a value `hibernating`.",
            "`pauseVm` can answer 202.",
            "`pauseVm` can answer 423.",
            "`description` of `pauseVm` reads differently.",
            "`description` of `VM.cpu` reads differently.",
        ] {
            assert!(
                changes.iter().any(|change| change.sentence.contains(part)),
                "{part:?} is in none of {changes:#?}"
            );
        }
    }

    /// The document with other text in some places, which must be there.
    fn edited(edits: &[(&str, &str)]) -> Value {
        let mut text = DOCUMENT.to_owned();
        for (from, to) in edits {
            assert!(text.contains(from), "{from:?} is in the document");
            text = text.replace(from, to);
        }
        yaml(&text)
    }

    #[test]
    fn what_breaks_programs_is_reported() {
        const CPU: &str =
            "        cpu:\n          description: Number of vCPUs.\n          type: integer\n";
        let cases: Vec<(&[(&str, &str)], &str)> = vec![
            (&[(CPU, "")], "The field `VM.cpu` is gone."),
            (
                &[(CPU, "        cpu:\n          type: string\n")],
                "`VM.cpu` is `string` in place of `integer`.",
            ),
            (
                &[("required: [command]", "required: [command, timeoutSec]")],
                "The field `ExecVMRequest.timeoutSec` is required now.",
            ),
            (
                &[("      required: [command]\n", "")],
                "The field `ExecVMRequest.command` is optional now.",
            ),
            (
                &[(
                    "required: [volumeId, mountPath]",
                    "required: [mountPath, volumeId]",
                )],
                "The required fields of `AttachVolumeRequest` have another order: mountPath, volumeId in place of volumeId, mountPath.",
            ),
            (
                &[(
                    "required: [name, sizeGiB, accessMode]\n      properties:\n",
                    "required: [name, sizeGiB, accessMode, purpose]\n      properties:\n        purpose:\n          type: string\n",
                )],
                "There is a field `CreateVolumeRequest.purpose`, and it is required.",
            ),
            (
                &[("operationId: pauseVm", "operationId: suspendVm")],
                "The operation `pauseVm` is called `suspendVm` now.",
            ),
            (
                &[
                    ("schemas/Volume'", "schemas/Disk'"),
                    ("\n    Volume:\n", "\n    Disk:\n"),
                ],
                "The type `Volume` is called `Disk` now.",
            ),
        ];
        let old = yaml(DOCUMENT);
        for (edits, sentence) in cases {
            let changes = diff::diff(&old, &edited(edits)).unwrap();
            assert!(
                changes.iter().any(|change| change.class == Class::Breaking
                    && change.sentence.starts_with(sentence)),
                "{sentence:?} is not in {changes:#?}"
            );
        }
    }

    /// Of a processor: the time on the clock depends on what else runs.
    #[cfg(target_os = "linux")]
    fn time_of_this_thread() -> std::time::Duration {
        let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let nanoseconds = statistics.split(' ').next().unwrap();
        std::time::Duration::from_nanos(nanoseconds.parse().unwrap())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn regenerating_and_comparing_take_less_than_two_seconds() {
        let begin = time_of_this_thread();
        regen(Path::new("../openapi.yaml")).unwrap();
        let old = yaml(DOCUMENT);
        diff::diff(&old, &changed(&old).unwrap()).unwrap();
        let taken = time_of_this_thread() - begin;
        assert!(!taken.is_zero() && taken.as_secs_f64() < 2.0, "{taken:?}");
    }

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
