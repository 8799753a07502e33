//! Paths in a VM.

use std::borrow::Cow;
use std::fmt;

use fastvm_api::{Error, ErrorKind};

/// A path or a name in a VM: any bytes but NUL, most often UTF-8, with `/` between folders whatever
/// this machine does.
///
/// Every call of [`Fs`](crate::Fs) takes it, as it takes text and bytes. `Display` shows what is no
/// UTF-8 as `�`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemotePath(Vec<u8>);

impl RemotePath {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its text, if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Its text, with `�` for what is no UTF-8.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// A name below this path.
    pub fn join(&self, name: impl AsRef<[u8]>) -> Self {
        let mut path = self.0.clone();
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_ref());
        Self(path)
    }

    /// Refuses what is no absolute path, before anything is sent.
    pub(super) fn problem(&self) -> Option<Error> {
        let refuse = |message: &str| {
            let error = Error::new(ErrorKind::InvalidInput, message);
            Some(error.with_path(self.to_string_lossy()))
        };
        match self.0.as_slice() {
            [] => refuse("the path in the VM is empty"),
            path if path.contains(&0) => refuse("the path in the VM holds a NUL byte"),
            [b'/', ..] => None,
            _ => refuse("the path in the VM must be absolute"),
        }
    }

    /// Refuses what no link can lead to.
    pub(super) fn problem_as_target(&self) -> Option<Error> {
        let refuse = |message: &str| Some(Error::new(ErrorKind::InvalidInput, message));
        match self.0.as_slice() {
            [] => refuse("the target of the link is empty"),
            target if target.contains(&0) => refuse("the target of the link holds a NUL byte"),
            _ => None,
        }
    }

    /// As `printf %b` reads it: an argument of a command is UTF-8, and a path need not be.
    pub(super) fn escaped(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            text += &chunk.valid().replace('\\', "\\0134");
            for byte in chunk.invalid() {
                text += &format!("\\0{byte:03o}");
            }
        }
        text
    }
}

impl AsRef<[u8]> for RemotePath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for RemotePath {
    fn from(path: &str) -> Self {
        Self(path.into())
    }
}

impl From<String> for RemotePath {
    fn from(path: String) -> Self {
        Self(path.into())
    }
}

impl From<&[u8]> for RemotePath {
    fn from(path: &[u8]) -> Self {
        Self(path.into())
    }
}

impl From<Vec<u8>> for RemotePath {
    fn from(path: Vec<u8>) -> Self {
        Self(path)
    }
}

impl PartialEq<str> for RemotePath {
    fn eq(&self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }
}

impl PartialEq<&str> for RemotePath {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_string_lossy().fmt(f)
    }
}

impl fmt::Debug for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_escaped() {
        let escaped = |path: &[u8]| RemotePath::from(path).escaped();
        assert_eq!(escaped("/ä b\n%s".as_bytes()), "/ä b\n%s");
        assert_eq!(escaped(b"/a\\0\xff7\xe4"), "/a\\01340\\03777\\0344");
    }

    #[test]
    fn only_absolute_paths_are_taken() {
        for path in ["", "a", "./a", "~", "/a\0b", "-rf"] {
            assert!(RemotePath::from(path).problem().is_some(), "{path:?}");
        }
        assert!(RemotePath::from("/").problem().is_none());
    }

    #[test]
    fn a_name_is_joined_with_one_slash() {
        let path = |path: &str| RemotePath::from(path);
        assert_eq!(path("/a").join("b"), "/a/b");
        assert_eq!(path("/").join(path("b")), "/b");
    }
}
