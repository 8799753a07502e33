//! `cargo xtask api`: the public API of the published crates as text, a line for each item, so that a
//! review sees what a change does to it. It is made of rustdoc's JSON.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use public_api::Builder;

use crate::process::{cargo_of, run};
use crate::write::{self, Files};

/// Where the listings lie.
const FOLDER: &str = "xtask/api";

const CRATES: [&str; 3] = ["fastvm", "fastvm-api", "fastvm-local"];

/// Everybody's listing is made by this Rust: the format of rustdoc's JSON changes with the version, and
/// so does now and then how an item is spelled. To move on, take the `public-api` that reads the
/// format of a later one, name that here, and commit what `cargo xtask api` writes.
const RUST: &str = "1.95";

const LONGEST_REPORT: usize = 40;

/// Writes the listings. How many have changed.
pub fn write(root: &Path) -> Result<usize> {
    write::write(&root.join(FOLDER), &listings(root)?)
}

/// Tells in which lines the committed listings differ from the API.
pub fn difference(root: &Path) -> Result<Option<String>> {
    let mut lines = Vec::new();
    for (name, new) in listings(root)? {
        let path = Path::new(FOLDER).join(name);
        let old = fs::read_to_string(root.join(&path)).unwrap_or_default();
        if old != new {
            lines.push(path.display().to_string());
            lines.extend(differing_lines(&old, &new));
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    if let Some(more) = lines.len().checked_sub(LONGEST_REPORT).filter(|n| *n > 0) {
        lines.truncate(LONGEST_REPORT);
        lines.push(format!("… and {more} lines more"));
    }
    lines.push(
        "the public API is not the one that is listed: if that is meant, run `cargo xtask api` and commit \
         what it writes"
            .to_owned(),
    );
    Ok(Some(lines.join("\n")))
}

fn listings(root: &Path) -> Result<Files> {
    // With the features of the ordinary documentation, whose dependencies are then compiled already.
    run(cargo_of(root, RUST)?
        .args(["doc", "--quiet", "--workspace", "--lib", "--no-deps"])
        .arg("--all-features")
        .env("RUSTDOC", root.join("xtask/rustdoc-json.sh"))
        .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json")
        .env("CARGO_TARGET_DIR", root.join("target")))?;
    let documentation = root.join("target/doc");
    let listings = CRATES.iter().map(|name| {
        let json = documentation.join(format!("{}.json", name.replace('-', "_")));
        Ok((format!("{name}.txt").into(), listing(name, &json)?))
    });
    listings.collect()
}

fn listing(name: &str, json: &Path) -> Result<String> {
    let api = Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .with_context(|| {
            format!(
                "cannot read {}: does xtask's `public-api` read what rustdoc {RUST} writes?",
                json.display()
            )
        })?;
    let mut text = format!(
        "# The public API of {name} with all features, written by `cargo xtask api`.\n\
         # Left out: implementations that are derived, automatic or for all types.\n\n"
    );
    for item in api.items() {
        text += &format!("{item}\n");
    }
    Ok(text)
}

/// Lines that only one of both has. Where an item stands does not matter.
fn differing_lines(old: &str, new: &str) -> Vec<String> {
    let [before, after]: [BTreeSet<&str>; 2] = [old, new].map(|text| text.lines().collect());
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    let added = after.difference(&before).map(|line| format!("+ {line}"));
    gone.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_are_told_wherever_they_stand() {
        assert_eq!(differing_lines("a\nb\nc\n", "c\nb\na\n"), [""; 0]);
        assert_eq!(
            differing_lines("a\nb\n", "b\nc\nd\n"),
            ["- a", "+ c", "+ d"]
        );
    }
}
