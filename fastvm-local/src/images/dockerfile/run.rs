//! RUN: a command in a VM, and what it writes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};
use tokio::{join, select};
use tokio_util::sync::CancellationToken;

use crate::exec::with_cause;
use crate::sandbox::{ExecSpec, Output, Sandbox};

/// How long what a command has left in the background is listened to.
const LINGER: Duration = Duration::from_millis(250);

/// How often output is passed on, if there is some: each time costs its keeper a write.
const INTERVAL: Duration = Duration::from_millis(100);

/// What of the output a failure tells.
const MOST_TOLD_LINES: usize = 10;
const MOST_TOLD_CHARS: usize = 1000;

/// What of the output is passed on. A command may write more than anybody wants to keep.
const MOST_OUTPUT: usize = 256 * 1024;

/// A line that does not end is cut here.
const MOST_LINE: usize = 8 * 1024;

/// How a command did not succeed.
pub(super) enum NotRun {
    Cancelled,
    /// For users.
    Failed(String),
}

/// Runs a command to its end.
pub(super) async fn run(
    vm: &Sandbox,
    spec: ExecSpec,
    progress: &(dyn Fn(String) + Send + Sync),
    cancel: &CancellationToken,
) -> Result<(), NotRun> {
    let started = vm.exec(spec).await;
    let mut process = started.map_err(|error| NotRun::Failed(with_cause(&error)))?;
    let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
    let log = Log::new(progress);
    let reading = async { join!(read(stdout, &log), read(stderr, &log)) };
    tokio::pin!(reading);
    let waiting = process.wait();
    tokio::pin!(waiting);
    let passing_on = log.pass_on_regularly();
    tokio::pin!(passing_on);
    let exit = select! {
        () = &mut passing_on => None,
        () = cancel.cancelled() => None,
        exit = &mut waiting => {
            let _ = timeout(LINGER, &mut reading).await;
            Some(exit)
        }
        _ = &mut reading => select! {
            () = &mut passing_on => None,
            () = cancel.cancelled() => None,
            exit = &mut waiting => Some(exit),
        },
    };
    log.pass_on();
    match exit {
        // The VM is killed with all that is in it.
        None => Err(NotRun::Cancelled),
        Some(Ok(exit)) if exit.code() == 0 => Ok(()),
        Some(Ok(exit)) => Err(NotRun::Failed(log.failure(exit.code()))),
        Some(Err(error)) => Err(NotRun::Failed(error.to_string())),
    }
}

async fn read(output: Option<Output>, log: &Log<'_>) {
    let Some(mut output) = output else { return };
    let mut lines = Lines::default();
    let mut block = Vec::with_capacity(MOST_LINE);
    while matches!(output.read_buf(&mut block).await, Ok(1..)) {
        log.add(lines.whole(&block));
        block.clear();
    }
    log.add(lines.rest());
}

/// Cuts output into lines.
#[derive(Default)]
struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    /// The lines that are whole now.
    fn whole(&mut self, block: &[u8]) -> Vec<String> {
        self.unfinished.extend_from_slice(block);
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let end = match self.unfinished.iter().rposition(ends) {
            Some(end) => end + 1,
            None if self.unfinished.len() >= MOST_LINE => self.unfinished.len(),
            None => return Vec::new(),
        };
        let whole: Vec<u8> = self.unfinished.drain(..end).collect();
        texts(&whole)
    }

    fn rest(self) -> Vec<String> {
        texts(&self.unfinished)
    }
}

fn texts(lines: &[u8]) -> Vec<String> {
    let lines = lines.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines
        .map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

struct Log<'a> {
    progress: &'a (dyn Fn(String) + Send + Sync),
    state: Mutex<LogState>,
}

#[derive(Default)]
struct LogState {
    last: VecDeque<String>,
    /// What is to be passed on, and how much has been taken for that.
    waiting: String,
    taken: usize,
}

impl LogState {
    fn queue(&mut self, text: &str) {
        if !self.waiting.is_empty() {
            self.waiting.push('\n');
        }
        self.waiting.push_str(text);
    }
}

impl<'a> Log<'a> {
    fn new(progress: &'a (dyn Fn(String) + Send + Sync)) -> Self {
        Self {
            progress,
            state: Mutex::default(),
        }
    }

    fn add(&self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        let mut state = self.state();
        let text = lines.join("\n");
        state.last.extend(lines);
        let surplus = state.last.len().saturating_sub(MOST_TOLD_LINES);
        state.last.drain(..surplus);
        if state.taken > MOST_OUTPUT {
            return;
        }
        state.taken += text.len();
        state.queue(&text);
        if state.taken > MOST_OUTPUT {
            state.queue("the rest of the output is left out");
        }
    }

    async fn pass_on_regularly(&self) {
        loop {
            sleep(INTERVAL).await;
            self.pass_on();
        }
    }

    fn pass_on(&self) {
        let text = std::mem::take(&mut self.state().waiting);
        if !text.is_empty() {
            (self.progress)(text);
        }
    }

    /// Nothing that holds it panics.
    fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a command ended, and the last that it has written.
    fn failure(&self, code: i32) -> String {
        let state = self.state();
        let last = Vec::from_iter(state.last.iter().map(String::as_str)).join(" | ");
        let surplus = last.chars().count().saturating_sub(MOST_TOLD_CHARS);
        let told: String = last.chars().skip(surplus).collect();
        match told.is_empty() {
            true => format!("the command ended with exit code {code}"),
            false => format!("the command ended with exit code {code}: {told}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_into_lines() {
        let mut lines = Lines::default();
        assert_eq!(lines.whole(b"a\r\nb\nc"), ["a", "b"]);
        assert!(lines.whole(b"d").is_empty());
        assert_eq!(lines.whole(b"\r10%\r20%\n\n"), ["cd", "10%", "20%"]);
        assert_eq!(lines.whole(&[b'x'; MOST_LINE])[0].len(), MOST_LINE);
        lines.whole(b"end");
        assert_eq!(lines.rest(), ["end"]);
    }

    #[test]
    fn a_failure_tells_the_end_of_the_output_and_not_more() {
        let passed_on = Mutex::new(Vec::new());
        let progress = |text: String| passed_on.lock().unwrap().push(text);
        let log = Log::new(&progress);
        assert_eq!(log.failure(3), "the command ended with exit code 3");
        for number in 0..20 {
            log.add(vec![format!("line {number}")]);
        }
        let failure = log.failure(1);
        assert!(failure.ends_with("exit code 1: line 10 | line 11 | line 12 | line 13 | line 14 | line 15 | line 16 | line 17 | line 18 | line 19"));
        log.pass_on();
        log.pass_on();
        log.add(vec!["x".repeat(2 * MOST_OUTPUT)]);
        log.add(vec!["not passed on".to_owned()]);
        assert!(log.failure(1).len() < MOST_TOLD_CHARS + 100);
        log.pass_on();
        let passed_on = passed_on.into_inner().unwrap();
        let [first, second] = &passed_on[..] else {
            panic!("{} times", passed_on.len());
        };
        assert!(first.starts_with("line 0\nline 1\n"));
        assert!(second.ends_with("x\nthe rest of the output is left out"));
    }
}
