//! What is left out of a folder.

use std::path::Path;

use fastvm_api::{Error, ErrorKind, Result};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Reads patterns, each written as a line of a `.gitignore` in the folder.
pub(super) fn excluded(patterns: &[String]) -> Result<Gitignore> {
    let refuse = |error| {
        let message = "a pattern of what to exclude cannot be read";
        Error::new(ErrorKind::InvalidInput, message).with_source(error)
    };
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(refuse)?;
    }
    builder.build().map_err(refuse)
}

/// Whether a path below the folder, or a folder that it is in, is left out.
pub(super) fn is_excluded(excluded: &Gitignore, path: &Path, is_folder: bool) -> bool {
    let mut above: Vec<_> = path.ancestors().skip(1).collect();
    above.pop();
    above
        .iter()
        .any(|folder| excluded.matched(folder, true).is_ignore())
        || excluded.matched(path, is_folder).is_ignore()
}

/// Patterns by which `tar` leaves out some of it, so that it is not sent in the first place.
///
/// Tars read patterns differently: these get only what all of them read as a `.gitignore` does, a
/// name with a `*` at one of its ends. What is left is for the receiver to leave out.
pub(super) fn patterns_for_tar(patterns: &[String]) -> Vec<String> {
    if patterns.iter().any(|pattern| pattern.starts_with('!')) {
        return Vec::new();
    }
    let plain = |pattern: &String| {
        let (name, below) = match pattern.strip_suffix('/') {
            Some(name) => (name, "/*"),
            None => (pattern.as_str(), ""),
        };
        let literal = match name.strip_prefix('*') {
            Some(rest) => rest,
            None => name.strip_suffix('*').unwrap_or(name),
        };
        let is_plain = literal
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "._-+".contains(letter));
        // `.*` would match the folder itself, which tar calls `.`.
        let is_name = literal.contains(|letter: char| letter.is_ascii_alphanumeric());
        (is_plain && is_name).then(|| format!("{name}{below}"))
    };
    patterns.iter().filter_map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(patterns: &[&str]) -> Vec<String> {
        let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        patterns_for_tar(&patterns)
    }

    #[test]
    fn tar_gets_what_every_tar_reads_alike() {
        assert_eq!(
            told(&["node_modules", "target/", "*.log", "build*/", ".git"]),
            ["node_modules", "target/*", "*.log", "build*/*", ".git"]
        );
        for left in [
            "*", ".*", "*.", "..*", "a*b", "/a", "a/b", "a?", "[a]", "a\\*", "#a", "**/a", "*a*",
            "",
        ] {
            assert!(told(&[left]).is_empty(), "{left}");
        }
        assert!(told(&["*.log", "!kept.log"]).is_empty());
    }

    #[test]
    fn what_is_in_a_folder_that_is_left_out_is_left_out_too() {
        let patterns = ["out", "sub/", "!out/kept"].map(str::to_owned);
        let excluded = excluded(&patterns).unwrap();
        let is_out = |path: &str, is_folder| is_excluded(&excluded, Path::new(path), is_folder);
        assert!(is_out("a/out", false) && is_out("out/kept", false) && is_out("a/sub/b/c", false));
        assert!(is_out("sub", true) && !is_out("sub", false));
        assert!(!is_out("", true) && !is_out("a/outer", false));
    }
}
