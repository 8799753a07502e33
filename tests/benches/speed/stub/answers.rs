//! What the stub answers, made before it is asked for a second time.
//!
//! The id of a VM says what it does: `run` says hello, `out-4194304` puts out that many bytes,
//! `stream-512-1000` streams a thousand events of 512 bytes, `ticks-200` tells the time so often,
//! `quiet` says one word and then nothing, `sink` swallows uploads, and `disk` has the files of this
//! machine.

use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;

/// Bytes, and how often they are sent.
pub(crate) type Part = (Bytes, u64);

/// How much of a repeated answer is laid out in memory, to be written at once.
const BLOCK: usize = 256 * 1024;

/// How far apart ticks are.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// An answer, ready to be written.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    /// With its head and the framing of HTTP/1.1.
    pub(crate) http1: Vec<Part>,
    /// The body alone.
    pub(crate) body: Vec<Part>,
    pub(crate) then: Then,
}

/// What follows the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    /// So many events that hold the time when they were sent, and the exit.
    Ticks(u64),
    /// Silence, until the client goes.
    Silence,
}

impl Answer {
    pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::sized(status, "application/json", vec![(body.into(), 1)])
    }

    /// An object in storage of which nothing but its length is known.
    pub(crate) fn object(length: u64) -> Self {
        let block = Bytes::from(vec![b'x'; BLOCK]);
        let size = BLOCK as u64;
        let rest = block.slice(..(length % size) as usize);
        Self::stored(vec![(block, length / size), (rest, 1)])
    }

    /// An object in storage.
    pub(crate) fn stored(body: Vec<Part>) -> Self {
        Self::sized(200, "application/octet-stream", body)
    }

    fn sized(status: u16, kind: &'static str, body: Vec<Part>) -> Self {
        let length: u64 = body
            .iter()
            .map(|(part, times)| part.len() as u64 * times)
            .sum();
        let mut head = head(status, kind);
        head += &format!("content-length: {length}\r\n\r\n");
        let mut http1 = body.clone();
        match &mut http1[..] {
            // Small answers leave in one write.
            [(part, 1)] if part.len() < BLOCK => *part = [head.as_bytes(), part].concat().into(),
            _ => http1.insert(0, (head.into(), 1)),
        }
        Self {
            status,
            kind,
            http1,
            body,
            then: Then::Nothing,
        }
    }

    /// A stream of events, an HTTP chunk each.
    fn streamed(line: &Bytes, count: u64, then: Then) -> Self {
        let head = head(200, "application/x-ndjson") + "transfer-encoding: chunked\r\n\r\n";
        let event = chunk(line);
        let per_block = (BLOCK / event.len()).max(1) as u64;
        let (blocks, rest) = (count / per_block, count % per_block);
        let mut http1 = vec![
            (head.into(), 1),
            (event.repeat(per_block as usize).into(), blocks),
            (event.repeat(rest as usize).into(), 1),
        ];
        let mut body = vec![(line.clone(), count)];
        if then == Then::Nothing {
            http1.push((last_chunks(), 1));
            body.push((Bytes::from_static(EXIT), 1));
        }
        Self {
            status: 200,
            kind: "application/x-ndjson",
            http1,
            body,
            then,
        }
    }

    /// What a command in this VM puts out; `None` if it is not known beforehand.
    pub(crate) fn of_command(vm: &str, is_streamed: bool) -> Option<Self> {
        let mut words = vm.split('-');
        let kind = words.next()?;
        let mut number = || words.next().and_then(|word| word.parse().ok());
        Some(match (kind, is_streamed) {
            ("run" | "sink", false) => Self::json(200, output("hello\n")),
            ("out", false) => Self::json(200, output(&text(number()?))),
            ("stream", true) => {
                let (size, count) = (number()?, number()?);
                Self::streamed(&event(text(size).as_bytes()), count as u64, Then::Nothing)
            }
            ("ticks", true) => Self::streamed(&event(b"-"), 0, Then::Ticks(number()? as u64)),
            ("quiet", true) => Self::streamed(&event(b"hello\n"), 1, Then::Silence),
            _ => return None,
        })
    }
}

/// The answer of a command that succeeded.
pub(crate) fn output(stdout: &str) -> String {
    serde_json::json!({
        "exitCode": 0, "stdout": stdout, "stderr": "", "stdoutTruncated": false,
        "stderrTruncated": false, "timedOut": false, "durationMs": 1,
    })
    .to_string()
}

/// Lines of text, so many bytes in all.
fn text(size: usize) -> String {
    let line = "the quick brown fox jumps over the lazy dog, and then does it once more in turn\n";
    let mut text = line.repeat(size / line.len() + 1);
    text.truncate(size);
    text
}

/// A piece of stdout, as a line.
fn event(data: &[u8]) -> Bytes {
    let data = STANDARD.encode_to_string(data);
    format!("{{\"t\":\"o\",\"d\":\"{data}\"}}\n").into()
}

/// The time when it is sent.
pub(crate) fn tick() -> Bytes {
    event(crate::now_ns().to_string().as_bytes())
}

pub(crate) const EXIT: &[u8] = b"{\"t\":\"x\",\"c\":0,\"ms\":1}\n";

pub(crate) fn chunk(line: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", line.len()).as_bytes(), line, b"\r\n"].concat()
}

/// The exit, and the end of the body.
pub(crate) fn last_chunks() -> Bytes {
    [&chunk(EXIT)[..], b"0\r\n\r\n"].concat().into()
}

fn head(status: u16, kind: &str) -> String {
    format!("HTTP/1.1 {status} Stub\r\ncontent-type: {kind}\r\n")
}
