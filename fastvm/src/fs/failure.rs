//! Why a call failed: by the exit code of its script, or else by what a tool said.

use std::io;

use fastvm_api::{Error, ErrorKind, Outcome};

use super::path::RemotePath;
use crate::exec::{STDERR_TAIL, command_failed, tail};
use crate::stream::StreamOutput;

/// What the scripts' exit codes say, from 100 on of the first path, from 110 on of the second.
const ABOUT_FIRST: i32 = 100;
const ABOUT_SECOND: i32 = 110;

/// The exit code for a file that is not read in one go, since it is too large.
pub(super) const TOO_LARGE: i32 = ABOUT_FIRST + 9;

fn refusal(code: i32) -> Option<(io::ErrorKind, &'static str)> {
    Some(match code {
        1 => (io::ErrorKind::NotFound, "there is no such file or folder"),
        2 => (io::ErrorKind::PermissionDenied, "permission denied"),
        3 => (io::ErrorKind::AlreadyExists, "it is there already"),
        4 => (
            io::ErrorKind::NotADirectory,
            "it is no folder, or is below what is none",
        ),
        5 => (io::ErrorKind::IsADirectory, "it is a folder"),
        6 => (
            io::ErrorKind::FileTooLarge,
            "it is too large to be read into memory",
        ),
        7 => (io::ErrorKind::InvalidInput, "this cannot be done to it"),
        8 => (io::ErrorKind::Unsupported, "the VM lacks a tool"),
        _ => return None,
    })
}

/// The ends of messages in the C locale: of glibc, of musl where it has another, and of shells that
/// have their own.
const MESSAGES: &[(&str, io::ErrorKind)] = &[
    ("Permission denied", io::ErrorKind::PermissionDenied),
    ("Operation not permitted", io::ErrorKind::PermissionDenied),
    ("Read-only file system", io::ErrorKind::ReadOnlyFilesystem),
    ("No such file or directory", io::ErrorKind::NotFound),
    ("Directory nonexistent", io::ErrorKind::NotFound),
    ("nonexistent directory", io::ErrorKind::NotFound),
    ("File exists", io::ErrorKind::AlreadyExists),
    ("Directory not empty", io::ErrorKind::DirectoryNotEmpty),
    ("Not a directory", io::ErrorKind::NotADirectory),
    ("Is a directory", io::ErrorKind::IsADirectory),
    ("No space left on device", io::ErrorKind::StorageFull),
    ("Disk quota exceeded", io::ErrorKind::QuotaExceeded),
    ("Quota exceeded", io::ErrorKind::QuotaExceeded),
    ("File too large", io::ErrorKind::FileTooLarge),
    ("File name too long", io::ErrorKind::InvalidFilename),
    ("Filename too long", io::ErrorKind::InvalidFilename),
    ("Device or resource busy", io::ErrorKind::ResourceBusy),
    ("Resource busy", io::ErrorKind::ResourceBusy),
    ("Text file busy", io::ErrorKind::ExecutableFileBusy),
    ("Invalid argument", io::ErrorKind::InvalidInput),
    ("Cannot allocate memory", io::ErrorKind::OutOfMemory),
    ("Out of memory", io::ErrorKind::OutOfMemory),
];

fn told(stderr: &str) -> Option<io::ErrorKind> {
    let of_line = |line: &str| {
        let known = |(end, _): &&(&str, io::ErrorKind)| line.ends_with(end);
        MESSAGES.iter().find(known).map(|(_, kind)| *kind)
    };
    stderr.lines().rev().find_map(of_line)
}

/// Whether a tool found that files had gone before it could look at them, and nothing else.
pub(super) fn is_only_vanished(output: &StreamOutput) -> bool {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let is_vanished = |line: &str| line.ends_with("No such file or directory");
    output.exit.code == 1 && !stderr.is_empty() && stderr.lines().all(is_vanished)
}

/// The error of a script that did not succeed.
pub(super) fn failed(output: &StreamOutput, first: &RemotePath, second: &RemotePath) -> Error {
    let code = output.exit.code;
    let (path, number) = match code {
        ABOUT_SECOND..120 => (second, code - ABOUT_SECOND),
        _ => (first, code - ABOUT_FIRST),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stderr = tail(stderr.trim(), STDERR_TAIL);
    let error = match refusal(number).filter(|_| !output.exit.timed_out) {
        Some((kind, message)) => {
            let said = if stderr.is_empty() { "" } else { ": " };
            io_error(kind, format!("{message}{said}{stderr}")).with_outcome(Outcome::Rejected)
        }
        None => tool_failed(output, stderr),
    };
    error.with_path(path.to_string_lossy())
}

fn tool_failed(output: &StreamOutput, stderr: &str) -> Error {
    if let Some(kind) = told(stderr).filter(|_| !output.exit.timed_out) {
        return io_error(kind, stderr);
    }
    let killed_after = output.exit.timed_out.then_some(output.exit.duration);
    let said = output.exit.message.as_deref().unwrap_or_default();
    let reason = [stderr, said].join("\n");
    command_failed(output.exit.code.into(), killed_after, &reason)
}

pub(super) fn io_error(kind: io::ErrorKind, message: impl Into<String>) -> Error {
    let own = match kind {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    };
    Error::new(own, message).with_io_kind(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_of_gnu_and_busybox_are_understood() {
        for (stderr, kind) in [
            (
                "mkdir: cannot create directory '/a': Read-only file system",
                io::ErrorKind::ReadOnlyFilesystem,
            ),
            (
                "sh: 3: cannot create /a/b: Directory nonexistent",
                io::ErrorKind::NotFound,
            ),
            (
                "rm: can't remove '/a': Operation not permitted",
                io::ErrorKind::PermissionDenied,
            ),
            (
                "cat: write error: No space left on device\nmv: what?",
                io::ErrorKind::StorageFull,
            ),
        ] {
            assert_eq!(told(stderr), Some(kind), "{stderr}");
        }
        assert_eq!(told("cannot open 'Permission denied'"), None);
    }
}
