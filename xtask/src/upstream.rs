//! The service's own document, brought into the form of ours.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::carry::carry;
use crate::load::{load, parse_raw, placed};
use crate::lower::lower;

/// Longest time for a download, in seconds.
const TIME_LIMIT: &str = "60";

/// Our document, and the service's with the extensions of ours.
pub fn beside_ours(root: &Path, source: &str) -> Result<(Value, Value)> {
    let ours = load(&root.join("openapi.yaml"))?;
    let text = read(source)?;
    let theirs = parse_raw(&text, source)?;
    let theirs = lower(theirs).map_err(|error| placed(error, source, &text))?;
    let theirs = carry(&ours, theirs).with_context(|| format!("in {source}"))?;
    Ok((ours, theirs))
}

/// A file or, by `curl`, which is on every machine that has this need, a URL.
fn read(source: &str) -> Result<String> {
    if !source.starts_with("https://") && !source.starts_with("http://") {
        return std::fs::read_to_string(source).with_context(|| format!("cannot read {source}"));
    }
    let answer = Command::new("curl")
        .args(["--fail", "--silent", "--show-error", "--location"])
        .args(["--max-time", TIME_LIMIT, "--", source])
        .output()
        .context("cannot run curl, which downloads the document")?;
    if !answer.status.success() {
        let reason = String::from_utf8_lossy(&answer.stderr);
        bail!("cannot download {source}: {}", reason.trim());
    }
    String::from_utf8(answer.stdout).with_context(|| format!("{source} is not UTF-8"))
}

/// The text of a document that takes the place of another, whose opening comment it keeps.
pub fn written(before: &str, document: &Value) -> Result<String> {
    let comment = before.lines().take_while(|line| line.starts_with('#'));
    let comment: Vec<_> = comment.collect();
    let text = yaml_serde::to_string(document)?;
    match comment.is_empty() {
        true => Ok(text),
        false => Ok(format!("{}\n\n{text}", comment.join("\n"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::diff::{Class, diff};

    fn root() -> &'static Path {
        Path::new("..")
    }

    /// Our document as the service might publish it: JSON, 3.1, without our extensions.
    fn published(change: impl FnOnce(&mut Value)) -> String {
        let mut document = load(&root().join("openapi.yaml")).unwrap();
        document["openapi"] = "3.1.0".into();
        change(&mut document);
        serde_json::to_string(&document).unwrap()
    }

    #[test]
    fn a_document_that_says_the_same_does_not_drift() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openapi.json");
        std::fs::write(&path, published(|_| {})).unwrap();
        let (ours, theirs) = beside_ours(root(), path.to_str().unwrap()).unwrap();
        assert_eq!(diff(&ours, &theirs).unwrap(), []);
    }

    #[test]
    fn drift_is_seen_over_http_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/openapi.json", listener.local_addr().unwrap());
        let body = published(|document| {
            let vm = document
                .pointer_mut("/components/schemas/VM/properties")
                .unwrap();
            vm.as_object_mut().unwrap().remove("name").unwrap();
        });
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 4096]).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            socket.write_all(head.as_bytes()).unwrap();
            socket.write_all(body.as_bytes()).unwrap();
        });
        let (ours, theirs) = beside_ours(root(), &url).unwrap();
        server.join().unwrap();
        let changes = diff(&ours, &theirs).unwrap();
        assert_eq!(changes[0].class, Class::Breaking);
        assert_eq!(changes[0].sentence, "The field `VM.name` is gone.");
    }

    #[test]
    fn what_cannot_be_said_in_the_older_language_is_named_with_line_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openapi.yaml");
        let text = "openapi: 3.1.0\npaths: {}\ncomponents:\n  schemas:\n    A:\n      if: {}\n";
        std::fs::write(&path, text).unwrap();
        let error = beside_ours(root(), path.to_str().unwrap()).unwrap_err();
        let expected = format!(
            "{}:6:7: at #/components/schemas/A/if: 3.0 has no `if`",
            path.display()
        );
        assert_eq!(format!("{error:#}"), expected);
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        let error = beside_ours(root(), "/no/such/file").unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/file"));
        let error = beside_ours(root(), "http://127.0.0.1:1/openapi.yaml").unwrap_err();
        assert!(format!("{error:#}").contains("cannot download http://127.0.0.1:1/"));
    }

    #[test]
    fn the_opening_comment_stays_and_the_document_reads_back() {
        let before = std::fs::read_to_string(root().join("openapi.yaml")).unwrap();
        let document = load(&root().join("openapi.yaml")).unwrap();
        let text = written(&before, &document).unwrap();
        assert!(text.starts_with("# The FastVM REST API"));
        let again: Value = yaml_serde::from_str(&text).unwrap();
        assert_eq!(again, document);
    }
}
