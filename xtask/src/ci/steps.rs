//! What each check does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{Outcome, Step};
use crate::process::{cargo, cargo_of, output, program, run};
use crate::schema::{strings, text};
use crate::{GENERATED, api, rule};

/// Every step. The cheap ones come first, and what builds with the features of an earlier one builds
/// little: the crate `tests` has all features of the others on, so that those of the workspace are
/// the same with `--all-features` and without.
pub(super) const ALL: &[Step] = &[
    Step::new("format", "rustfmt", |root| {
        run_cargo(root, "fmt --all --check")
    }),
    Step::new(
        "document",
        "the OpenAPI document by an independent validator",
        document,
    ),
    Step::new("lock", "Cargo.lock is current", lock),
    Step::new(
        "rust-version",
        "what is promised to be the oldest Rust suffices for the dependencies",
        rust_version,
    ),
    Step::new("regen", "the generated code is current", regen),
    Step::new(
        "footprint",
        "a user compiles no more crates than before",
        |root| footprint(root, &["--check"]),
    ),
    Step::new(
        "clippy",
        "Clippy with all features, warnings are errors",
        |root| {
            run_cargo(
                root,
                "clippy --workspace --all-targets --all-features -- -D warnings",
            )
        },
    ),
    Step::new(
        "rule",
        "a change of the document needs no edit by hand",
        |root| rule_holds(root, false),
    ),
    Step::new("doc", "rustdoc, warnings are errors", doc),
    Step::new("api", "the public API is the one that is listed", |root| {
        passed_without(api::difference(root)?)
    }),
    Step::new(
        "features",
        "each crate alone with no feature, with each, and with every two",
        features,
    ),
    Step::new(
        "build",
        "the tests, the examples and the local server",
        |root| run_cargo(root, BUILD),
    ),
    Step::new("test", "all tests", |root| {
        run_cargo(root, "test --workspace")
    })
    .needs("build"),
    Step::new(
        "ordinary-user",
        "the local server's tests again, without being root",
        ordinary_user,
    )
    .needs("build"),
    Step::new(
        "python",
        "the published Python SDK against the local server",
        python,
    )
    .needs("build"),
    Step::new(
        "schemathesis",
        "made-up requests against the local server",
        schemathesis,
    )
    .needs("build"),
    Step::new("examples", "the examples that need no account", examples).needs("build"),
    // What is slow to install or to run. Benchmarks and long tests have their place here.
    Step::new(
        "rule-tests",
        "the tests pass with the changed document, too",
        |root| rule_holds(root, true),
    )
    .slow(),
    Step::new(
        "oldest-rust",
        "everything compiles with the oldest Rust",
        oldest_rust,
    )
    .slow(),
    Step::new(
        "size",
        "a program that uses `fastvm` is no larger than before",
        |root| footprint(root, &["--build", "--check"]),
    )
    .slow(),
    Step::new(
        "speed",
        "what the SDK costs over the least code, in instructions",
        speed,
    )
    .slow(),
    Step::new(
        "semver",
        "cargo-semver-checks since the last release",
        semver,
    )
    .slow(),
    Step::new("deny", "licences, sources and banned dependencies", deny).slow(),
    Step::new(
        "advisories",
        "what is known against the dependencies",
        advisories,
    )
    .slow(),
    Step::new(
        "publish",
        "each crate from what would be uploaded",
        |root| run_cargo(root, "publish --workspace --dry-run --locked"),
    )
    .slow(),
];

/// The build of the tests, which has the examples and the local server in it.
const BUILD: &str = "test --workspace --no-run";

/// The local server that it makes.
const SERVER: &str = "target/debug/fastvm-local";

/// The crates whose features users choose.
const FEATURED: [&str; 2] = ["fastvm", "fastvm-api"];

/// What `semver` compares with until there is a release. A change that breaks the API on purpose moves it.
const BEFORE_RELEASES: &str = "fdb586d7efde18516e6af5537934ea9dedb73ee2";

fn run_cargo(root: &Path, arguments: &str) -> Result<Outcome> {
    run(cargo(root).args(arguments.split_whitespace()))?;
    Ok(Outcome::Passed)
}

/// The folder of programs of a Python environment that has these packages.
fn python_with(root: &Path, packages: &[&str]) -> Result<PathBuf> {
    let environment = root.join("target/ci-venv");
    run(program(root, "python3")
        .args(["-m", "venv"])
        .arg(&environment))?;
    let programs = environment.join("bin");
    let mut pip = program(root, programs.join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    run(pip.args(packages))?;
    Ok(programs)
}

fn document(root: &Path) -> Result<Outcome> {
    let programs = python_with(root, &["openapi-spec-validator==0.9.0", "pyyaml==6.0.3"])?;
    run(program(root, programs.join("openapi-spec-validator")).arg("openapi.yaml"))?;
    let contract = root.join("../shared/contract/check_contract.py");
    if contract.exists() {
        run(program(root, programs.join("python"))
            .arg(contract)
            .arg("openapi.yaml"))?;
    }
    Ok(Outcome::Passed)
}

fn lock(root: &Path) -> Result<Outcome> {
    let host = host(root)?;
    run(cargo(root).args(["fetch", "--quiet", "--locked", "--target", &host]))?;
    Ok(Outcome::Passed)
}

fn host(root: &Path) -> Result<String> {
    let host = output(program(root, "rustc").args(["--print", "host-tuple"]))?;
    Ok(host.trim().to_owned())
}

/// The packages of the workspace and their dependencies on this platform.
fn metadata(root: &Path) -> Result<Value> {
    let mut command = cargo(root);
    command.args(["metadata", "--format-version", "1", "--locked"]);
    let text = output(command.args(["--filter-platform", &host(root)?]))?;
    Ok(serde_json::from_str(&text)?)
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn rust_version(root: &Path) -> Result<Outcome> {
    let metadata = metadata(root)?;
    let declared = declared_rust_version(&metadata)?;
    check_rust_version(&metadata, declared)?;
    println!("{declared}, and no dependency needs a later one");
    Ok(Outcome::Passed)
}

fn declared_rust_version(metadata: &Value) -> Result<&str> {
    let fastvm = packages(metadata).find(|package| text(package, "name") == Some("fastvm"));
    fastvm
        .and_then(|package| text(package, "rust_version"))
        .context("`fastvm` has no `rust-version`")
}

fn check_rust_version(metadata: &Value, declared: &str) -> Result<()> {
    for package in packages(metadata) {
        let needed = text(package, "rust_version").unwrap_or_default();
        ensure!(
            numbers(needed) <= numbers(declared),
            "`rust-version` in Cargo.toml is {declared}, but {} {} needs {needed}",
            text(package, "name").unwrap_or_default(),
            text(package, "version").unwrap_or_default(),
        );
    }
    Ok(())
}

/// `1.89` → 1, 89, 0: a version can be written without its last parts.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

fn regen(root: &Path) -> Result<Outcome> {
    let (files, _) = crate::regen(&root.join("openapi.yaml"))?;
    passed_without(crate::stale(&root.join(GENERATED), &files)?)
}

fn passed_without(difference: Option<String>) -> Result<Outcome> {
    match difference {
        None => Ok(Outcome::Passed),
        Some(difference) => bail!("{difference}"),
    }
}

fn doc(root: &Path) -> Result<Outcome> {
    let mut command = cargo(root);
    command.args(["doc", "--workspace", "--no-deps", "--all-features"]);
    run(command.env("RUSTDOCFLAGS", "-Dwarnings"))?;
    Ok(Outcome::Passed)
}

fn rule_holds(root: &Path, with_tests: bool) -> Result<Outcome> {
    match rule::prove(root, with_tests)? == ExitCode::SUCCESS {
        true => Ok(Outcome::Passed),
        false => bail!("the rule is broken"),
    }
}

/// Each crate alone, as it is used: in the workspace the others turn on features of what it depends on.
fn features(root: &Path) -> Result<Outcome> {
    let metadata = metadata(root)?;
    for package in packages(&metadata) {
        let name = text(package, "name").unwrap_or_default();
        if !FEATURED.contains(&name) {
            continue;
        }
        let features = package["features"].as_object().into_iter().flatten();
        let mut features: Vec<_> = features.map(|(feature, _)| feature.clone()).collect();
        let tested = tested_features(&metadata, package);
        if let Some(feature) = features.iter().find(|feature| !tested.contains(feature)) {
            bail!("`cargo test` leaves out `{feature}` of {name}: turn it on in tests/Cargo.toml");
        }
        features.retain(|feature| feature != "default");
        for some in combinations(&features) {
            println!(
                "{name} with {}",
                if some.is_empty() { "none" } else { &some }
            );
            let mut clippy = cargo(root);
            // Of the workspace's other crates no more than is compiled: each has its turn.
            clippy.args(["clippy", "--quiet", "--no-deps", "--package", name]);
            clippy.args(["--no-default-features", "--features", &some]);
            run(clippy.args(["--", "-D", "warnings"]))?;
        }
    }
    Ok(Outcome::Passed)
}

/// The features that a package has in a build of the whole workspace.
fn tested_features(metadata: &Value, package: &Value) -> Vec<String> {
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten();
    let node = nodes.into_iter().find(|node| node["id"] == package["id"]);
    node.map(|node| strings(node, "features"))
        .unwrap_or_default()
}

/// No feature, each, and every two.
fn combinations(features: &[String]) -> Vec<String> {
    let mut all = vec![String::new()];
    for (index, one) in features.iter().enumerate() {
        all.push(one.clone());
        let others = features.iter().skip(index + 1);
        all.extend(others.map(|other| format!("{one},{other}")));
    }
    all
}

/// Root isolates VMs in another way than ordinary users do. These are the test programs that are built
/// already, copied to a folder that such a user owns.
fn ordinary_user(root: &Path) -> Result<Outcome> {
    let as_user = |name: &Path| {
        let mut command = program(root, "setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(name);
        command
    };
    if output(program(root, "id").arg("-u"))?.trim() != "0" {
        return Ok(Outcome::LeftOut(
            "this is an ordinary user already".to_owned(),
        ));
    }
    let mut probe = as_user(Path::new("unshare"));
    probe
        .args(["--map-root-user", "--mount", "test", "-r"])
        .arg(root.join("Cargo.toml"));
    if run(&mut probe).is_err() {
        let why = "ordinary users cannot read this folder or make user namespaces here";
        return Ok(Outcome::LeftOut(why.to_owned()));
    }
    let home = tempfile::tempdir()?;
    let tests = local_server_tests(root)?;
    ensure!(
        !tests.is_empty(),
        "cargo names no test programs of the local server"
    );
    for test in &tests {
        let name = test.file_name().context("a test program has a name")?;
        fs::copy(test, home.path().join(name))?;
    }
    run(program(root, "chown")
        .args(["-R", "65534:65534"])
        .arg(home.path()))?;
    for test in &tests {
        let name = test.file_name().context("a test program has a name")?;
        let mut command = as_user(&home.path().join(name));
        command.current_dir(&home).env("HOME", home.path());
        run(command.env("TMPDIR", home.path()))?;
    }
    Ok(Outcome::Passed)
}

fn local_server_tests(root: &Path) -> Result<Vec<PathBuf>> {
    let mut build = cargo(root);
    build
        .args(BUILD.split_whitespace())
        .arg("--message-format=json");
    let mut tests = Vec::new();
    for line in output(&mut build)?.lines() {
        let artifact: Value = serde_json::from_str(line)?;
        let manifest = text(&artifact, "manifest_path").unwrap_or_default();
        let is_test = artifact["profile"]["test"] == true;
        if is_test && manifest.ends_with("/fastvm-local/Cargo.toml") {
            tests.extend(text(&artifact, "executable").map(PathBuf::from));
        }
    }
    Ok(tests)
}

fn python(root: &Path) -> Result<Outcome> {
    let programs = python_with(root, &["-r", "tests/python/requirements.txt"])?;
    let mut script = program(root, programs.join("python"));
    run(script.args(["tests/python/published_sdk.py", SERVER]))?;
    Ok(Outcome::Passed)
}

/// A bounded number of examples; by hand the script makes up more.
fn schemathesis(root: &Path) -> Result<Outcome> {
    let mut script = program(root, root.join("tests/schemathesis.sh"));
    run(script
        .args(["--max-examples", "20"])
        .env("FASTVM_LOCAL", SERVER))?;
    Ok(Outcome::Passed)
}

fn examples(root: &Path) -> Result<Outcome> {
    run_cargo(root, "run --example quickstart")?;
    run_cargo(root, "run --example blocking --features fastvm/blocking")
}

fn oldest_rust(root: &Path) -> Result<Outcome> {
    let metadata = metadata(root)?;
    let mut command = cargo_of(root, declared_rust_version(&metadata)?)?;
    let check = "check --workspace --all-targets --all-features --locked";
    run(command.args(check.split_whitespace()))?;
    Ok(Outcome::Passed)
}

fn footprint(root: &Path, arguments: &[&str]) -> Result<Outcome> {
    run(program(root, root.join("tests/benches/footprint.sh")).args(arguments))?;
    Ok(Outcome::Passed)
}

/// Counts of instructions, which are the same on a busy machine.
fn speed(root: &Path) -> Result<Outcome> {
    if output(program(root, "valgrind").arg("--version")).is_err() {
        return Ok(Outcome::LeftOut("valgrind is not installed".to_owned()));
    }
    run_cargo(
        root,
        "bench --package fastvm-benches -- --only instructions --check",
    )
}

/// Since the last release, or until there is one since a commit that is named here.
fn semver(root: &Path) -> Result<Outcome> {
    install(root, "semver-checks")?;
    let mut describe = program(root, "git");
    describe.args(["describe", "--tags", "--abbrev=0", "--match", "v*"]);
    let baseline = output(&mut describe).unwrap_or_else(|_| BEFORE_RELEASES.to_owned());
    let mut check = cargo(root);
    check.args([
        "semver-checks",
        "--all-features",
        "--baseline-rev",
        baseline.trim(),
    ]);
    run(check.args(FEATURED.iter().flat_map(|name| ["--package", name])))?;
    Ok(Outcome::Passed)
}

fn deny(root: &Path) -> Result<Outcome> {
    install(root, "deny")?;
    run_cargo(root, "deny check licenses bans sources")
}

fn advisories(root: &Path) -> Result<Outcome> {
    install(root, "deny")?;
    if run_cargo(root, "deny fetch db").is_err() {
        return Ok(Outcome::LeftOut(
            "the database of advisories cannot be reached".to_owned(),
        ));
    }
    run_cargo(root, "deny check advisories")
}

/// Takes a cargo subcommand for granted if it is there: the tools follow the version of Rust.
fn install(root: &Path, subcommand: &str) -> Result<()> {
    if output(cargo(root).args([subcommand, "--version"])).is_ok() {
        return Ok(());
    }
    run(cargo(root).args(["install", "--locked", &format!("cargo-{subcommand}")]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dependency_that_needs_a_later_rust_is_named() {
        let metadata = json!({"packages": [
            {"name": "fastvm", "version": "0.1.0", "rust_version": "1.89"},
            {"name": "zip", "version": "9.8.1", "rust_version": "1.89.0"},
            {"name": "old", "version": "1.0.0", "rust_version": null},
        ]});
        let declared = declared_rust_version(&metadata).unwrap();
        check_rust_version(&metadata, declared).unwrap();
        let error = check_rust_version(&metadata, "1.88.1").unwrap_err();
        let expected = "`rust-version` in Cargo.toml is 1.88.1, but fastvm 0.1.0 needs 1.89";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_feature_that_no_test_has_on_is_found() {
        let metadata = json!({"resolve": {"nodes": [
            {"id": "a", "features": ["x"]},
            {"id": "b", "features": ["y", "z"]},
        ]}});
        assert_eq!(tested_features(&metadata, &json!({"id": "b"})), ["y", "z"]);
    }

    #[test]
    fn features_are_combined_by_none_one_and_two() {
        let features = ["a", "b", "c"].map(str::to_owned);
        let expected = ["", "a", "a,b", "a,c", "b", "b,c", "c"];
        assert_eq!(combinations(&features), expected);
    }

    #[test]
    fn each_step_has_a_name_of_its_own_and_comes_after_what_it_needs() {
        for (index, step) in ALL.iter().enumerate() {
            let before = &ALL[..index];
            assert!(
                before.iter().all(|other| other.name != step.name),
                "{}",
                step.name
            );
            let needed = |name: &str| before.iter().any(|other| other.name == name);
            assert!(step.needs.is_none_or(needed), "{}", step.name);
        }
    }
}
