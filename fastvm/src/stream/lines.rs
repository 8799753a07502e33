//! The output of a stream as lines of text.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use fastvm_api::{Error, Result};

use super::{ExecEvent, ExecStream, Exit};

/// A line longer than this comes in pieces: output without line ends must not fill memory.
const LONGEST_LINE: usize = 1024 * 1024;

/// A line of a command's output.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Where the command wrote it.
    pub source: LineSource,
    /// What it wrote, without `\n` or `\r\n` at the end. What is not UTF-8 is replaced by U+FFFD.
    pub text: String,
    /// Whether a line end followed: not so for a last line without one, and for the pieces of a
    /// line of more than 1 MiB but the last.
    pub is_terminated: bool,
}

/// Which of its two outputs a command wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The lines of both outputs of a command, as they come: a [`futures_core::Stream`]. Made by
/// [`ExecStream::lines`].
///
/// They come in the order of their ends. The stream is over when the command has exited, and
/// [`exit`](Self::exit) then says how; or it ends with the error of the stream below, after what
/// came before it. At most about 1 MiB of an unfinished line is kept.
pub struct Lines {
    events: ExecStream,
    stdout: Partial,
    stderr: Partial,
    ready: VecDeque<Line>,
    end: End,
}

/// What follows the lines that are ready.
enum End {
    Unknown,
    Failed(Error),
    Over(Option<Exit>),
}

impl Lines {
    pub(super) fn new(events: ExecStream) -> Self {
        Self {
            events,
            stdout: Partial::new(LineSource::Stdout),
            stderr: Partial::new(LineSource::Stderr),
            ready: VecDeque::new(),
            end: End::Unknown,
        }
    }

    /// How the command ended: there once the last line has been given.
    pub fn exit(&self) -> Option<&Exit> {
        match &self.end {
            End::Over(exit) if self.ready.is_empty() => exit.as_ref(),
            _ => None,
        }
    }

    fn take(&mut self, event: Option<Result<ExecEvent>>) {
        self.end = match event {
            Some(Ok(ExecEvent::Stdout(bytes))) => {
                return self.stdout.push(&bytes, &mut self.ready);
            }
            Some(Ok(ExecEvent::Stderr(bytes))) => {
                return self.stderr.push(&bytes, &mut self.ready);
            }
            Some(Ok(ExecEvent::Exit(exit))) => End::Over(Some(exit)),
            Some(Err(error)) => End::Failed(error),
            None => End::Over(None),
        };
        self.stdout.finish(&mut self.ready);
        self.stderr.finish(&mut self.ready);
    }
}

impl futures_core::Stream for Lines {
    type Item = Result<Line>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(line)));
            }
            match std::mem::replace(&mut self.end, End::Over(None)) {
                End::Unknown => self.end = End::Unknown,
                End::Failed(error) => return Poll::Ready(Some(Err(error))),
                over @ End::Over(_) => {
                    self.end = over;
                    return Poll::Ready(None);
                }
            }
            let event = ready!(Pin::new(&mut self.events).poll_next(context));
            self.take(event);
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("events", &self.events)
            .field("exit", &self.exit())
            .finish_non_exhaustive()
    }
}

/// A line whose end has not come yet.
struct Partial {
    source: LineSource,
    begun: BytesMut,
}

impl Partial {
    fn new(source: LineSource) -> Self {
        Self {
            source,
            begun: BytesMut::new(),
        }
    }

    fn push(&mut self, mut bytes: &[u8], ready: &mut VecDeque<Line>) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            self.add(line, ready);
            let line = self.begun.split();
            ready.push_back(self.line(line.strip_suffix(b"\r").unwrap_or(&line), true));
            bytes = &rest[1..];
        }
        self.add(bytes, ready);
    }

    fn add(&mut self, bytes: &[u8], ready: &mut VecDeque<Line>) {
        self.begun.extend_from_slice(bytes);
        while self.begun.len() > LONGEST_LINE {
            let piece = self
                .begun
                .split_to(last_boundary(&self.begun, LONGEST_LINE));
            ready.push_back(self.line(&piece, false));
        }
    }

    fn finish(&mut self, ready: &mut VecDeque<Line>) {
        if !self.begun.is_empty() {
            let rest = self.begun.split();
            ready.push_back(self.line(&rest, false));
        }
    }

    fn line(&self, bytes: &[u8], is_terminated: bool) -> Line {
        Line {
            source: self.source,
            text: String::from_utf8_lossy(bytes).into_owned(),
            is_terminated,
        }
    }
}

/// The last place up to `end` where no character is cut. A character has at most four bytes, so
/// what has no beginning within that is none.
fn last_boundary(bytes: &[u8], end: usize) -> usize {
    let is_inside = |at: &usize| {
        bytes
            .get(*at)
            .is_some_and(|byte| (0x80..0xC0).contains(byte))
    };
    let mut places = (end.saturating_sub(3)..=end).rev();
    places.find(|at| !is_inside(at)).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<(String, bool)> {
        let (mut partial, mut ready) = (Partial::new(LineSource::Stdout), VecDeque::new());
        for piece in pieces {
            partial.push(piece, &mut ready);
        }
        partial.finish(&mut ready);
        let lines = ready.into_iter();
        lines.map(|line| (line.text, line.is_terminated)).collect()
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_are_cut() {
        let text = "eins\n\r\nzwölf ✓ 🦀\r\n\nno end: ü";
        let whole = lines(&[text.as_bytes()]);
        let expected = [
            ("eins", true),
            ("", true),
            ("zwölf ✓ 🦀", true),
            ("", true),
            ("no end: ü", false),
        ];
        assert_eq!(whole, expected.map(|(text, end)| (text.to_owned(), end)));
        for size in 1..text.len() {
            let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
            assert_eq!(lines(&pieces), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn only_what_is_no_text_is_replaced() {
        let whole = lines(&[b"a\xffb \xc3", b"\xbc \xf0\x9f", b"\n"]);
        assert_eq!(whole, [("a\u{fffd}b ü \u{fffd}".to_owned(), true)]);
    }

    #[test]
    fn a_line_without_end_comes_in_pieces_that_cut_no_character() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "🦀".repeat(LONGEST_LINE / 4 * 3));
            let pieces = lines(&[text.as_bytes(), b"\n"]);
            let (last, cut) = pieces.split_last().unwrap();
            assert!(last.1 && cut.len() >= 2);
            for (piece, is_terminated) in cut {
                assert!(!is_terminated && piece.len() <= LONGEST_LINE);
            }
            let joined: String = pieces.into_iter().map(|(text, _)| text).collect();
            assert!(joined == text);
        }
        let noise = vec![0x80; LONGEST_LINE + 1];
        assert_eq!(lines(&[&noise]).len(), 2);
    }
}
