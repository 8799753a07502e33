//! A checksum made while data flows, to be compared with what `sha256sum` finds in the VM.

use sha2::{Digest, Sha256};

/// A SHA-256 in the making, if one was asked for.
#[derive(Clone, Debug)]
pub(super) struct Checksum(Option<Sha256>);

impl Checksum {
    pub(super) fn new(is_asked_for: bool) -> Self {
        Self(is_asked_for.then(Sha256::new))
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        if let Some(hasher) = &mut self.0 {
            hasher.update(data);
        }
    }

    /// In hexadecimal digits of lower case, as `sha256sum` prints it.
    pub(super) fn finish(self) -> Option<String> {
        let digest = self.0?.finalize();
        Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_sha256sum_prints_it() {
        let mut checksum = Checksum::new(true);
        checksum.update(b"a");
        checksum.update(b"bc");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(checksum.finish().as_deref(), Some(known));
        assert_eq!(Checksum::new(false).finish(), None);
    }
}
