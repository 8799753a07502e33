//! Whether a VM that says nothing still lives.
//!
//! A command may be quiet for hours, and is not disturbed. But a VM that was deleted, stopped or
//! paused in between says nothing either, and without a question would be waited for without end.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fastvm_api::types::{self, VmStatus};
use fastvm_api::{Client, Error, ErrorKind, Pending, Result};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long the answer to a question may take. One that does not come says nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long nothing may come before the first question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleCheck {
    pub(crate) streamed: Option<Duration>,
    pub(crate) buffered: Option<Duration>,
}

impl Default for IdleCheck {
    fn default() -> Self {
        Self {
            streamed: Some(Duration::from_secs(15)),
            buffered: Some(Duration::from_secs(30)),
        }
    }
}

/// Asks the API about a VM after some silence, and again at growing intervals.
pub(crate) struct Watch {
    api: Client,
    vm_id: String,
    first: Duration,
    pause: Duration,
    since: Instant,
    state: State,
    /// That of who began to watch: who polls may be in none, or in one that keeps no time.
    runtime: Handle,
}

enum State {
    /// Until a question is due; the timer is made when there is something to wait for.
    Sleeping(Option<Pin<Box<Sleep>>>),
    Asking(Pending<types::Vm>),
}

impl Watch {
    pub(crate) fn new(api: &Client, vm_id: &str, first: Duration) -> Self {
        Self {
            api: api.clone(),
            vm_id: vm_id.to_owned(),
            first,
            pause: first,
            since: Instant::now(),
            state: State::Sleeping(None),
            runtime: Handle::current(),
        }
    }

    /// Something came: the silence begins anew. The timer is left to find out when it fires.
    pub(crate) fn touch(&mut self) {
        self.since = Instant::now();
        self.pause = self.first;
    }

    /// Ready when the VM lives no more.
    pub(crate) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        loop {
            match &mut self.state {
                State::Sleeping(timer) => {
                    let due = self.since + self.pause;
                    let timer = timer.get_or_insert_with(|| {
                        let _runtime = self.runtime.enter();
                        Box::pin(sleep_until(due))
                    });
                    ready!(timer.as_mut().poll(context));
                    if Instant::now() < due {
                        timer.as_mut().reset(due);
                        continue;
                    }
                    let question = question(&self.api, &self.vm_id);
                    self.state = State::Asking(within(&self.runtime, question));
                }
                State::Asking(answer) => {
                    if let Some(gone) = verdict(ready!(answer.as_mut().poll(context))) {
                        return Poll::Ready(gone.with_vm_id(&self.vm_id));
                    }
                    self.since = Instant::now();
                    self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
                    self.state = State::Sleeping(None);
                }
            }
        }
    }

    /// What broke off failed with: see [`explained`].
    pub(crate) fn explained(&self, error: Error) -> Pin<Box<dyn Future<Output = Error> + Send>> {
        let explaining = explained(self.api.clone(), self.vm_id.clone(), error);
        within(&self.runtime, Box::pin(explaining))
    }
}

/// In the runtime, whoever polls.
fn within<T: 'static>(
    runtime: &Handle,
    mut future: Pin<Box<dyn Future<Output = T> + Send>>,
) -> Pin<Box<dyn Future<Output = T> + Send>> {
    let runtime = runtime.clone();
    Box::pin(poll_fn(move |context| {
        let _runtime = runtime.enter();
        future.as_mut().poll(context)
    }))
}

/// Waits for `work`, but not for a VM that lives no more. If the connection breaks, the VM is asked
/// about, too: it may have gone with it.
#[allow(
    clippy::manual_async_fn,
    reason = "the future would hold all of it twice"
)]
pub(crate) fn watched<T>(
    api: &Client,
    vm_id: &str,
    first: Option<Duration>,
    mut work: Pin<&mut (impl Future<Output = Result<T>> + ?Sized)>,
) -> impl Future<Output = Result<T>> {
    async move {
        let Some(first) = first else {
            return work.await;
        };
        // Most work is done before the first question is due: all it costs is a timer.
        let in_time = match timeout(first, &mut work).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let error = match in_time {
            Some(error) => error,
            None => match Box::pin(watched_on(api, vm_id, first, work)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            },
        };
        if error.kind() != ErrorKind::Connection {
            return Err(error);
        }
        let error = Box::pin(explained(api.clone(), vm_id.to_owned(), error)).await;
        Err(error.with_vm_id(vm_id))
    }
}

/// After the first silence.
async fn watched_on<T>(
    api: &Client,
    vm_id: &str,
    first: Duration,
    mut work: Pin<&mut (impl Future<Output = Result<T>> + ?Sized)>,
) -> Result<T> {
    let mut watch = Watch::new(api, vm_id, first);
    watch.state = State::Asking(question(api, vm_id));
    poll_fn(|context| {
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        watch.poll_gone(context).map(Err)
    })
    .await
}

/// What broke off failed with: more than `error` knows, if the VM is gone.
async fn explained(api: Client, vm_id: String, error: Error) -> Error {
    match verdict(question(&api, &vm_id).await) {
        Some(gone) => gone.with_source(error),
        None => error,
    }
}

/// Asks once: a watch asks again later anyway.
fn question(api: &Client, vm_id: &str) -> Pending<types::Vm> {
    let question = api.vms().retrieve(vm_id).max_retries(0);
    question.request_timeout(ANSWER_WITHIN).into_future()
}

/// An error if the answer says that nothing will come any more. An answer that cannot be had says
/// nothing.
fn verdict(answer: Result<types::Vm>) -> Option<Error> {
    match answer {
        Ok(vm) => match vm.status {
            VmStatus::Stopped | VmStatus::Error | VmStatus::Deleting | VmStatus::Paused => {
                let message = "the VM does not run any more, so nothing more will come: nobody knows how far it got";
                Some(Error::new(ErrorKind::Gone, message).with_vm_status(vm.status))
            }
            _ => None,
        },
        Err(error) if error.is_not_found() => {
            let message = "the VM was deleted while this waited for it";
            Some(Error::new(ErrorKind::Gone, message).with_source(error))
        }
        Err(_) => None,
    }
}
