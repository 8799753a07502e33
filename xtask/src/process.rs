//! Other programs: cargo, rustup and what the checks call.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A program in the folder of the workspace, without input, and without the account of the caller: what
/// is checked talks to servers of its own.
pub fn program(root: &Path, name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command
        .current_dir(root)
        .stdin(Stdio::null())
        .env_remove("FASTVM_API_KEY")
        .env_remove("FASTVM_BASE_URL");
    command
}

/// The cargo that runs this program.
pub fn cargo(root: &Path) -> Command {
    program(
        root,
        env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")),
    )
}

/// The cargo of one version of Rust, which rustup installs if it is not there.
pub fn cargo_of(root: &Path, version: &str) -> Result<Command> {
    let ours = output(program(root, "rustc").arg("--version"))?;
    if ours.starts_with(&format!("rustc {version}.")) {
        return Ok(cargo(root));
    }
    run(program(root, "rustup")
        .args(["toolchain", "install", version])
        .args(["--profile", "minimal", "--no-self-update"]))
    .with_context(|| format!("this takes Rust {version}"))?;
    let mut command = program(root, "rustup");
    command.args(["run", version, "cargo"]);
    Ok(command)
}

/// Runs a program to its end, which has to be a good one.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}`: {status}", shown(command));
    }
    Ok(())
}

/// What a program prints.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !output.status.success() {
        bail!("`{}`: {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout).context("the output is not UTF-8")
}

/// As one would type it: without the folder that the program lies in.
fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name();
    let words = name.into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_named_with_its_arguments() {
        let error = run(program(Path::new("."), "false").arg("x")).unwrap_err();
        assert_eq!(error.to_string(), "`false x`: exit status: 1");
        let error = output(&mut program(Path::new("."), "/no/such/program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `program`");
    }
}
