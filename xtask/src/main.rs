//! The workspace's own commands: `cargo xtask regen` makes the raw crate
//! `fastvm-api` from `openapi.yaml`; `cargo xtask rule` proves that a change of the document needs no
//! edit of hand-written code; `cargo xtask ci` runs all checks.
//!
//! The way of the data, a module each:
//! `load → normalise → generate → refine → tree → write`.

mod api;
mod carry;
mod ci;
mod diff;
#[cfg(test)]
mod fuzz;
mod generate;
mod load;
mod lower;
mod model;
mod names;
mod normalise;
mod position;
mod process;
mod prose;
mod refine;
mod rule;
mod schema;
mod tree;
mod upstream;
mod write;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};

/// Where the generated part of `fastvm-api` lies.
const GENERATED: &str = "fastvm-api/src/generated";

/// Commands of the FastVM workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the generated part of `fastvm-api` from `openapi.yaml`.
    Regen {
        /// Write nothing; exit with 1 and show the first difference if the committed files are not
        /// what the document gives.
        #[arg(long)]
        check: bool,
        /// Read this document in place of `openapi.yaml`.
        #[arg(long, value_name = "FILE")]
        spec: Option<PathBuf>,
        /// Take over this document of the service first: a file or URL, YAML or JSON, OpenAPI 3.0 or
        /// 3.1. It replaces `openapi.yaml`, whose vendor extensions are kept.
        #[arg(long, value_name = "FILE|URL", conflicts_with_all = ["check", "spec", "out"])]
        from: Option<String>,
        /// Write to this folder in place of `fastvm-api/src/generated`.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Tell what differs between two documents, and what that means for those who use them.
    ///
    /// Exits with 1 if something breaks, or cannot be classed.
    Diff {
        /// The document before: a file, or `git:REV` for `openapi.yaml` at a revision.
        old: String,
        /// The document after, written alike; `openapi.yaml` unless told.
        new: Option<String>,
        /// How the differences are written.
        #[arg(long, value_enum, default_value = "text")]
        format: diff::Format,
    },
    /// Tell where the service's own document has moved away from `openapi.yaml`.
    ///
    /// Vendor extensions do not count. Exits with 1 if more than words differ.
    Drift {
        /// The service's document: a file or URL, YAML or JSON, OpenAPI 3.0 or 3.1.
        #[arg(long, value_name = "FILE|URL")]
        upstream: String,
        /// How the differences are written.
        #[arg(long, value_enum, default_value = "text")]
        format: diff::Format,
    },
    /// Prove that additions to the document need no edit of hand-written code: make some in a copy
    /// of the workspace, regenerate, and compile it with a program that calls them.
    Rule {
        /// Run the tests there, too.
        #[arg(long)]
        test: bool,
    },
    /// Write the public API of the published crates to `xtask/api`, a line for each item.
    Api {
        /// Write nothing; exit with 1 and show the differences if the committed listings are not those
        /// of the code.
        #[arg(long)]
        check: bool,
    },
    /// Run the checks, all but the slow ones, and tell at the end what became of each.
    ///
    /// Exits with 1 if one has failed.
    Ci {
        /// Run the slow ones, too.
        #[arg(long)]
        full: bool,
        /// Run these only.
        #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(ci::names()), conflicts_with = "full")]
        steps: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let root = workspace_root()?;
    match cli.command {
        Command::Regen {
            from: Some(from), ..
        } => take_over(&root, &from),
        Command::Regen {
            check, spec, out, ..
        } => {
            let spec = spec.unwrap_or_else(|| root.join("openapi.yaml"));
            let out = out.unwrap_or_else(|| root.join(GENERATED));
            let (files, notices) = regen(&spec)?;
            for notice in notices {
                eprintln!("notice: {notice}");
            }
            if check {
                return Ok(verdict(stale(&out, &files)?));
            }
            let changed = write::write(&out, &files)?;
            println!("{} files, {changed} changed", files.len());
            Ok(ExitCode::SUCCESS)
        }
        Command::Diff { old, new, format } => {
            let old = load::raw(&root, &old)?;
            let new = load::raw(&root, new.as_deref().unwrap_or(&default_spec(&root)))?;
            Ok(report(&diff::diff(&old, &new)?, format))
        }
        Command::Drift { upstream, format } => drift(&root, &upstream, format),
        Command::Rule { test } => rule::prove(&root, test),
        Command::Api { check: true } => Ok(verdict(api::difference(&root)?)),
        Command::Api { check: false } => {
            println!("{} listings changed", api::write(&root)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Ci { full, steps } => Ok(ci::run(&root, &steps, full)),
    }
}

/// Tells a difference, if there is one, which is a failure then.
fn verdict(difference: Option<String>) -> ExitCode {
    match difference {
        None => ExitCode::SUCCESS,
        Some(difference) => {
            eprintln!("{difference}");
            ExitCode::FAILURE
        }
    }
}

/// Where the files differ from those that the document gives.
fn stale(folder: &Path, files: &write::Files) -> Result<Option<String>> {
    let difference = write::first_difference(folder, files)?;
    Ok(difference.map(|difference| {
        format!(
            "{difference}\nthe generated files are not current: run `cargo xtask regen` and commit what it writes"
        )
    }))
}

/// Replaces `openapi.yaml` by the service's document, regenerates, and tells what has changed.
fn take_over(root: &Path, from: &str) -> Result<ExitCode> {
    let spec = root.join("openapi.yaml");
    let before = std::fs::read_to_string(&spec)?;
    let (old, new) = upstream::beside_ours(root, from)?;
    // Nothing is written that cannot be generated from.
    let candidate = root.join("target/openapi-upstream.yaml");
    std::fs::create_dir_all(root.join("target"))?;
    std::fs::write(&candidate, upstream::written(&before, &new)?)?;
    let (files, notices) =
        regen(&candidate).context("the document is left as it was: nothing can be generated")?;
    std::fs::rename(&candidate, &spec)?;
    let changed = write::write(&root.join(GENERATED), &files)?;
    for notice in notices {
        eprintln!("warning: {notice}");
    }
    print!(
        "{}",
        diff::print(&diff::diff(&old, &new)?, diff::Format::Text)
    );
    println!("{} files, {changed} changed", files.len());
    Ok(ExitCode::SUCCESS)
}

/// Anything but words is drift: also what is compatible is there and cannot be called yet.
fn drift(root: &Path, from: &str, format: diff::Format) -> Result<ExitCode> {
    let (ours, theirs) = upstream::beside_ours(root, from)?;
    let changes = diff::diff(&ours, &theirs)?;
    print!("{}", diff::print(&changes, format));
    let differs = |change: &diff::Change| change.class != diff::Class::Documentation;
    match changes.iter().any(differs) {
        true => Ok(ExitCode::FAILURE),
        false => Ok(ExitCode::SUCCESS),
    }
}

/// Prints the differences. What breaks, or may break, is a failure.
fn report(changes: &[diff::Change], format: diff::Format) -> ExitCode {
    print!("{}", diff::print(changes, format));
    let breaks = |change: &diff::Change| change.class <= diff::Class::Unclassified;
    match changes.iter().any(breaks) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn default_spec(root: &Path) -> String {
    root.join("openapi.yaml").to_string_lossy().into_owned()
}

/// The generated files of a document, and what the one who regenerates should know.
fn regen(spec: &Path) -> Result<(write::Files, Vec<String>)> {
    let source = load::load(spec)?;
    let normalised = normalise::normalise(source.clone())?;
    let raw = generate::generate(&normalised.document)?;
    let refined = refine::refine(raw, &normalised.model)?;
    let tree = tree::tree(&refined, &normalised.model)?;
    let files = write::render(&source, refined, tree)?;
    Ok((files, normalised.model.notices))
}

fn workspace_root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .context("xtask lies in no workspace")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_breaks_or_may_break_fails() {
        use diff::Class::{Breaking, Compatible, Documentation, Unclassified};
        let code = |classes: &[diff::Class]| {
            let change = |class: &diff::Class| diff::Change {
                class: *class,
                pointer: String::new(),
                sentence: String::new(),
            };
            let changes: Vec<_> = classes.iter().map(change).collect();
            report(&changes, diff::Format::Text)
        };
        assert_eq!(code(&[]), ExitCode::SUCCESS);
        assert_eq!(code(&[Compatible, Documentation]), ExitCode::SUCCESS);
        assert_eq!(code(&[Breaking, Compatible]), ExitCode::FAILURE);
        assert_eq!(code(&[Unclassified]), ExitCode::FAILURE);
    }

    /// A workspace of nothing but our document, and a document of the service beside it: ours in 3.1
    /// without extensions, after `change`.
    fn beside_a_workspace(change: impl FnOnce(&mut Value)) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let ours = workspace_root().unwrap().join("openapi.yaml");
        fs::copy(&ours, folder.path().join("openapi.yaml")).unwrap();
        let mut document = load::load(&ours).unwrap();
        bare(&mut document);
        document["openapi"] = json!("3.1.0");
        change(&mut document);
        let from = folder.path().join("upstream.json");
        fs::write(&from, document.to_string()).unwrap();
        let from = from.to_str().unwrap().to_owned();
        (folder, from)
    }

    fn bare(node: &mut Value) {
        match node {
            Value::Object(map) => {
                map.retain(|key, _| !key.starts_with("x-fastvm-"));
                map.values_mut().for_each(bare);
            }
            Value::Array(list) => list.iter_mut().for_each(bare),
            _ => {}
        }
    }

    #[test]
    fn a_document_of_the_service_is_taken_over_with_our_extensions() {
        let (folder, from) = beside_a_workspace(|document| {
            document["paths"]["/v1/regions"] = json!({"get": {
                "operationId": "listRegions",
                "responses": {"200": {"description": "The regions."}},
            }});
        });
        let root = folder.path();
        let before = load::load(&root.join("openapi.yaml")).unwrap();
        assert_eq!(take_over(root, &from).unwrap(), ExitCode::SUCCESS);
        let after = load::load(&root.join("openapi.yaml")).unwrap();
        let changes = diff::diff(&before, &after).unwrap();
        let sentences: Vec<_> = changes.iter().map(|change| &*change.sentence).collect();
        assert_eq!(
            sentences,
            ["There is an operation `listRegions` (GET /v1/regions)."]
        );
        let (files, notices) = regen(&root.join("openapi.yaml")).unwrap();
        assert_eq!(stale(&root.join(GENERATED), &files).unwrap(), None);
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].starts_with("listRegions has no `x-fastvm-method`"));
    }

    #[test]
    fn a_document_that_nothing_can_be_generated_from_is_not_taken_over() {
        let (folder, from) = beside_a_workspace(|document| {
            document["paths"]["/v1/vms/{id}"]["get"]["operationId"] = json!("listVms");
        });
        let root = folder.path();
        let before = fs::read(root.join("openapi.yaml")).unwrap();
        let error = take_over(root, &from).unwrap_err();
        assert!(
            format!("{error:#}").contains("`operationId: listVms` stands at"),
            "{error:#}"
        );
        assert_eq!(fs::read(root.join("openapi.yaml")).unwrap(), before);
        assert!(!root.join(GENERATED).exists());
    }
}
