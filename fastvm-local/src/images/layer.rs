//! Reads layers: plain, gzip or zstd, checked against their digest.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// What is compressed becomes plain. Its first bytes say how: the names that tools give to the same
/// thing differ.
pub(super) fn decompress<'a>(mut data: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let begin = data.fill_buf()?;
    if begin.starts_with(GZIP) {
        return Ok(Box::new(MultiGzDecoder::new(data)));
    }
    if begin.starts_with(ZSTD) {
        return Ok(Box::new(Zstd {
            source: data,
            frame: FrameDecoder::new(),
            is_in_frame: false,
        }));
    }
    Ok(Box::new(data))
}

/// All frames, one after the other; the decoder knows single ones.
struct Zstd<R> {
    source: R,
    frame: FrameDecoder,
    is_in_frame: bool,
}

impl<R: BufRead> Zstd<R> {
    /// Goes on to the next frame, if there is one.
    fn begin_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.frame.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = (&mut self.source).take(length.into());
                    io::copy(&mut skipped, &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_in_frame {
                self.is_in_frame = self.begin_frame()?;
                if !self.is_in_frame {
                    return Ok(0);
                }
            }
            while self.frame.can_collect() == 0 && !self.frame.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.frame.decode_blocks(&mut self.source, one);
                decoded.map_err(io::Error::other)?;
            }
            match self.frame.read(buffer)? {
                0 => self.is_in_frame = false,
                read => return Ok(read),
            }
        }
    }
}

/// Computes the digest of what is read through it, and ends when it is cancelled.
pub(super) struct Checked<'a, R> {
    source: R,
    digest: Sha256,
    cancel: &'a CancellationToken,
}

impl<'a, R: Read> Checked<'a, R> {
    pub(super) fn new(source: R, cancel: &'a CancellationToken) -> Self {
        Self {
            source,
            digest: Sha256::new(),
            cancel,
        }
    }

    /// Reads to the end, and says whether all of it was what this digest stands for.
    pub(super) fn verify(mut self, expected: &str) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink())?;
        if digest_text(self.digest) == expected {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is damaged: its digest is not {expected}"),
        ))
    }
}

impl<R: Read> Read for Checked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let read = self.source.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

/// The digest of a document.
pub(super) fn digest_of(document: &[u8]) -> String {
    digest_text(Sha256::new_with_prefix(document))
}

fn digest_text(digest: Sha256) -> String {
    let bytes = digest.finalize();
    bytes.iter().fold("sha256:".to_owned(), |text, byte| {
        format!("{text}{byte:02x}")
    })
}

/// A reader with a buffer that is right for layers.
pub(super) fn buffered<R: Read>(source: R) -> BufReader<R> {
    BufReader::with_capacity(256 * 1024, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(compressed: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        decompress(compressed)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn every_compression_gives_the_same() -> io::Result<()> {
        use std::io::Write;
        let mut gzip = Vec::new();
        for part in ["one ", "two"] {
            let mut member = flate2::write::GzEncoder::new(&mut gzip, flate2::Compression::fast());
            member.write_all(part.as_bytes())?;
            member.finish()?;
        }
        let fastest = ruzstd::encoding::CompressionLevel::Fastest;
        let mut zstd = ruzstd::encoding::compress_to_vec(&b"one "[..], fastest);
        // A frame to be skipped, as tools put between the others.
        zstd.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        zstd.extend(ruzstd::encoding::compress_to_vec(&b"two"[..], fastest));
        for compressed in [&gzip[..], &zstd, b"one two"] {
            assert_eq!(plain(compressed)?, "one two");
        }
        assert!(plain(&gzip[..gzip.len() - 3]).is_err());
        assert!(plain(&zstd[..zstd.len() - 1]).is_err());
        Ok(())
    }

    #[test]
    fn what_has_another_digest_is_damaged() -> io::Result<()> {
        let cancel = CancellationToken::new();
        let digest = digest_of(b"abc");
        assert_eq!(
            digest,
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let read = |text: &'static str| Checked::new(text.as_bytes(), &cancel);
        read("abc").verify(&digest)?;
        assert!(read("abd").verify(&digest).is_err());
        cancel.cancel();
        assert!(read("abc").verify(&digest).is_err());
        Ok(())
    }
}
