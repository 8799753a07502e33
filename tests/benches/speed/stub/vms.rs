//! VMs that take a while to boot, and how often they were asked for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// All that were launched since the counts were last taken.
#[derive(Debug)]
pub(super) struct Vms {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    launched: Vec<Launched>,
    /// When a VM, or the list, was asked for.
    polls: Vec<Duration>,
}

#[derive(Debug)]
struct Launched {
    ready: Duration,
    metadata: Value,
}

impl Vms {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// One of the machine type `boot-250` is ready after 250 ms.
    pub(super) fn launch(&self, body: &[u8]) -> Value {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let kind = request["machineType"].as_str().unwrap_or_default();
        let boot = kind.rsplit('-').next().and_then(|ms| ms.parse().ok());
        let ready = self.start.elapsed() + Duration::from_millis(boot.unwrap_or(0));
        let mut state = self.state();
        state.launched.push(Launched {
            ready,
            metadata: request["metadata"].clone(),
        });
        self.shown(&state, state.launched.len() - 1)
    }

    pub(super) fn one(&self, id: &str) -> Option<Value> {
        let mut state = self.state();
        state.polls.push(self.start.elapsed());
        let index = id.strip_prefix("boot-")?.parse().ok()?;
        (index < state.launched.len()).then(|| self.shown(&state, index))
    }

    pub(super) fn all(&self) -> Value {
        let mut state = self.state();
        state.polls.push(self.start.elapsed());
        (0..state.launched.len())
            .map(|index| self.shown(&state, index))
            .collect()
    }

    /// How often it was asked, and how often within the worst second.
    pub(super) fn take_polls(&self) -> (usize, usize) {
        let state = std::mem::take(&mut *self.state());
        let polls = &state.polls;
        let within = |(index, first): (usize, &Duration)| {
            let second = *first + Duration::from_secs(1);
            polls[index..]
                .iter()
                .take_while(|poll| **poll < second)
                .count()
        };
        let worst = polls.iter().enumerate().map(within).max();
        (polls.len(), worst.unwrap_or(0))
    }

    fn shown(&self, state: &State, index: usize) -> Value {
        let vm = &state.launched[index];
        let status = match vm.ready <= self.start.elapsed() {
            true => "running",
            false => "provisioning",
        };
        let metadata = match vm.metadata.is_object() {
            true => vm.metadata.clone(),
            false => json!({}),
        };
        made(&format!("boot-{index}"), status, &metadata)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A VM as the API shows it.
pub(super) fn made(id: &str, status: &str, metadata: &Value) -> Value {
    json!({
        "id": id, "name": id, "orgId": "org-1", "cpu": 1, "memoryMiB": 2048, "diskGiB": 10240,
        "status": status, "createdAt": "2026-01-01T00:00:00Z", "machineName": "c1m2",
        "metadata": metadata, "publicIpv6": "2001:db8::1",
    })
}
