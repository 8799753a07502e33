//! What a stream tells of a command, and how it is read from the wire.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fastvm_api::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::exec::command_failed;

/// A line longer than this is no event: reading on would only fill memory.
const LONGEST_LINE: usize = 64 * 1024 * 1024;

/// Something that happened to a running command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecEvent {
    /// A piece of standard output. Pieces end anywhere, in the middle of a character too.
    Stdout(Bytes),
    /// A piece of standard error.
    Stderr(Bytes),
    /// The command has ended; the last event.
    Exit(Exit),
}

/// How a streamed command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Its exit code; 128 and the number if a signal ended it.
    pub code: i32,
    /// Whether it was killed because its time was up.
    pub timed_out: bool,
    /// How long it ran.
    pub duration: Duration,
    /// What the service says about it, such as why it could not be started.
    pub message: Option<String>,
}

impl Exit {
    /// Whether it exited with 0 and in time.
    pub fn is_success(&self) -> bool {
        self.code == 0 && !self.timed_out
    }

    /// Itself if the command succeeded, else an error with its exit code and what the service says of
    /// it. What it wrote to its stderr has gone by: [`StreamOutput::ensure_success`] shows the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Command`].
    ///
    /// [`StreamOutput::ensure_success`]: crate::StreamOutput::ensure_success
    pub fn ensure_success(self) -> Result<Self> {
        match self.is_success() {
            true => Ok(self),
            false => Err(self.failure(&[])),
        }
    }

    /// The error of a command that ended like this, with the end of what it said of it.
    pub(crate) fn failure(&self, stderr: &[u8]) -> Error {
        let stderr = String::from_utf8_lossy(stderr);
        let said = self.message.as_deref().unwrap_or_default();
        let reason = [stderr.trim_end(), said].join("\n");
        let killed_after = self.timed_out.then_some(self.duration);
        command_failed(self.code.into(), killed_after, &reason)
    }
}

/// Turns chunks into events, a line each. A line within one chunk is read where it lies.
#[derive(Default)]
pub(super) struct Decoder {
    chunks: VecDeque<Bytes>,
    /// The beginning of a line whose end has not come yet.
    begun: BytesMut,
}

/// An event on the wire: short keys, and absent ones mean zero.
#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow)]
    t: Cow<'a, str>,
    #[serde(borrow, default)]
    d: Option<Cow<'a, str>>,
    #[serde(default)]
    c: Option<i32>,
    #[serde(default)]
    to: Option<bool>,
    #[serde(default)]
    ms: Option<u64>,
}

impl Decoder {
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.chunks.push_back(chunk);
    }

    /// Nothing more will come: what there is of a last line is read as one.
    pub(super) fn close(&mut self) {
        self.push(Bytes::from_static(b"\n"));
    }

    pub(super) fn next(&mut self) -> Result<Option<ExecEvent>> {
        while let Some(chunk) = self.chunks.front_mut() {
            let Some(end) = memchr::memchr(b'\n', chunk) else {
                self.begun.extend_from_slice(chunk);
                self.chunks.pop_front();
                if self.begun.len() > LONGEST_LINE {
                    return Err(Error::new(
                        ErrorKind::Stream,
                        "an event of the stream is longer than 64 MiB",
                    ));
                }
                continue;
            };
            let rest = chunk.split_to(end + 1);
            let event = if self.begun.is_empty() {
                decode(&rest[..end])?
            } else {
                self.begun.extend_from_slice(&rest[..end]);
                let line = self.begun.split();
                decode(&line)?
            };
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }
}

/// A piece of output as services write it. Base64 needs no escapes, so that whatever else is in the line
/// fails to decode, and is left to the parser.
fn decode_usual(line: &[u8]) -> Option<ExecEvent> {
    let (kind, data) = line.strip_prefix(b"{\"t\":\"")?.split_first()?;
    let data = data.strip_prefix(b"\",\"d\":\"")?.strip_suffix(b"\"}")?;
    let event = match kind {
        b'o' => ExecEvent::Stdout,
        b'e' => ExecEvent::Stderr,
        _ => return None,
    };
    let bytes = base64_simd::STANDARD.decode_to_vec(data).ok()?;
    Some(event(bytes.into()))
}

/// One line. An empty one is nothing, as is an event of a kind that this version does not know.
fn decode(line: &[u8]) -> Result<Option<ExecEvent>> {
    if let Some(event) = decode_usual(line) {
        return Ok(Some(event));
    }
    let malformed = |message: &str| Error::new(ErrorKind::Stream, message);
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let no_event = || malformed("a line of the stream is no event: the output is incomplete");
    // serde would take a list for its fields, too.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(no_event());
    }
    let event: WireEvent<'_> =
        serde_json::from_slice(line).map_err(|error| no_event().with_source(error))?;
    let bytes = |data: Option<Cow<'_, str>>| {
        let data = data.unwrap_or_default();
        base64_simd::STANDARD
            .decode_to_vec(data.as_bytes())
            .map(Bytes::from)
            .map_err(|error| {
                malformed("output in the stream is not base64: it is incomplete")
                    .with_source(error.to_string())
            })
    };
    Ok(match &*event.t {
        "o" => Some(ExecEvent::Stdout(bytes(event.d)?)),
        "e" => Some(ExecEvent::Stderr(bytes(event.d)?)),
        "x" => Some(ExecEvent::Exit(Exit {
            code: event.c.unwrap_or(0),
            timed_out: event.to.unwrap_or(false),
            duration: Duration::from_millis(event.ms.unwrap_or(0)),
            message: event.d.map(Cow::into_owned).filter(|text| !text.is_empty()),
        })),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        "{\"t\":\"o\",\"d\":\"aGVsbG8=\"}\n",
        "\n",
        "{\"t\":\"later\",\"z\":1}\n",
        "{\"t\":\"e\",\"d\":\"b29wcw==\"}\n",
        "{\"t\":\"x\",\"c\":7,\"to\":true,\"ms\":1500,\"d\":\"killed\"}\n",
    );

    fn events(chunks: &[&[u8]]) -> Result<Vec<ExecEvent>> {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = decoder.next()? {
                events.push(event);
            }
        }
        Ok(events)
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let whole = events(&[LINES.as_bytes()]).unwrap();
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[0], ExecEvent::Stdout(Bytes::from_static(b"hello")));
        assert_eq!(whole[1], ExecEvent::Stderr(Bytes::from_static(b"oops")));
        let exit = Exit {
            code: 7,
            timed_out: true,
            duration: Duration::from_millis(1500),
            message: Some("killed".to_owned()),
        };
        assert_eq!(whole[2], ExecEvent::Exit(exit.clone()));
        let failed = exit.ensure_success().unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Command);
        assert!(failed.to_string().contains("killed"), "{failed}");
        for size in 1..LINES.len() {
            let chunks: Vec<_> = LINES.as_bytes().chunks(size).collect();
            assert_eq!(events(&chunks).unwrap(), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn events_are_the_same_however_they_are_written() {
        for line in [
            "{\"t\":\"o\",\"d\":\"aGVsbG8=\"}\n",
            "{\"d\":\"aGVsbG8=\",\"t\":\"o\"}\n",
            " { \"t\" : \"o\", \"d\" : \"aGVsb\\u0047\\u0038=\", \"z\": [] } \r\n",
        ] {
            let expected = [ExecEvent::Stdout(Bytes::from_static(b"hello"))];
            assert_eq!(events(&[line.as_bytes()]).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn an_exit_without_keys_is_a_success() {
        let exit = events(&[b"{\"t\":\"x\"}\n"]).unwrap().remove(0);
        assert!(
            matches!(exit, ExecEvent::Exit(exit) if exit.is_success() && exit.message.is_none())
        );
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for line in [
            "{\"t\":\n",
            "[]\n",
            "[\"x\"]\n",
            "{\"t\":\"o\",\"d\":\"!\"}\n",
            "{}\n",
        ] {
            assert_eq!(
                events(&[line.as_bytes()]).unwrap_err().kind(),
                ErrorKind::Stream,
                "{line}"
            );
        }
    }
}
