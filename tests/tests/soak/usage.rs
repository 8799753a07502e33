//! What this process has of the machine: the client, the proxy and the server.

use std::fmt;
use std::fs;
use std::path::Path;

use tokio::runtime::Runtime;

use crate::names;

pub(crate) struct Usage {
    tasks: usize,
    descriptors: Vec<String>,
    threads: u64,
    children: usize,
    mounts: usize,
}

impl Usage {
    pub(crate) fn of_this_process(server_side: &Runtime) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        Self {
            tasks: server_side.metrics().num_alive_tasks(),
            descriptors: descriptors(),
            threads: status("Threads:"),
            children: children(),
            mounts: mounts.lines().count(),
        }
    }

    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.tasks <= other.tasks
            && self.descriptors.len() <= other.descriptors.len()
            && self.threads <= other.threads
            && self.children <= other.children
            && self.mounts <= other.mounts
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tasks of the server, {} threads, {} child processes, {} mounts, {} descriptors: {}",
            self.tasks,
            self.threads,
            self.children,
            self.mounts,
            self.descriptors.len(),
            self.descriptors.join(" ")
        )
    }
}

pub(crate) fn memory_kib() -> u64 {
    status("VmRSS:")
}

fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// What each descriptor leads to.
fn descriptors() -> Vec<String> {
    let folder = Path::new("/proc/self/fd");
    let target = |name| fs::read_link(folder.join(name)).ok();
    let targets = names(folder).into_iter().filter_map(target);
    targets.map(|path| path.display().to_string()).collect()
}

/// Those of all threads, also what has ended and is not reaped.
fn children() -> usize {
    let of_thread = |thread: String| {
        let children = fs::read_to_string(format!("/proc/self/task/{thread}/children"));
        children.unwrap_or_default().split_whitespace().count()
    };
    names(Path::new("/proc/self/task"))
        .into_iter()
        .map(of_thread)
        .sum()
}
