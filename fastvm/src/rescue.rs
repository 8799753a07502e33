//! Work that is done even if the runtime ends before it.
//!
//! The task that deletes the VM of a dropped guard has hardly begun when `#[tokio::main]` returns:
//! the runtime drops it then. Its last act is to have the work done on a thread.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fastvm_api::{Client, Pending};

use crate::connector::Connector;

/// How long a rescue holds up the end of its runtime.
const LIMIT: Duration = Duration::from_secs(5);

/// How long all rescues of the process may hold up the ends of runtimes.
const LIMIT_OF_ALL: Duration = Duration::from_secs(10);

static HELD_UP_MS: AtomicU64 = AtomicU64::new(0);

type Work = Box<dyn FnOnce(Client) -> Pending<()> + Send>;

/// Belongs into a task: does the work if the task is dropped before it disarms this.
pub(crate) struct Rescue {
    api: Client,
    work: Option<Work>,
}

impl Rescue {
    pub(crate) fn new<F, W>(api: &Client, work: F) -> Self
    where
        F: FnOnce(Client) -> W + Send + 'static,
        W: Future<Output = fastvm_api::Result<()>> + Send + 'static,
    {
        Self {
            api: api.clone(),
            work: Some(Box::new(|api| Box::pin(work(api)))),
        }
    }

    pub(crate) fn disarm(mut self) {
        self.work = None;
    }
}

impl Drop for Rescue {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else {
            return;
        };
        let api = self.api.clone();
        let (done, is_done) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("fastvm-rescue".to_owned());
        // Nobody is left to be told of a failure.
        let started = thread.spawn(move || {
            run(&api, work);
            drop(done);
        });
        if started.is_err() {
            return;
        }
        let held_up = Duration::from_millis(HELD_UP_MS.load(Ordering::Relaxed));
        let start = Instant::now();
        // The channel says only that its other end is gone.
        let _ = is_done.recv_timeout(LIMIT.min(LIMIT_OF_ALL.saturating_sub(held_up)));
        let waited = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        HELD_UP_MS.fetch_add(waited, Ordering::Relaxed);
    }
}

fn run(api: &Client, work: Work) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        // Nobody drives the old connections any more.
        if let Ok(api) = Connector::on_new_connections(api) {
            let _ = tokio::time::timeout(LIMIT, work(api)).await;
        }
    });
}

impl fmt::Debug for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rescue").finish_non_exhaustive()
    }
}
