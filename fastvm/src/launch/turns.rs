//! The polls of all waits of a client, one at a time.
//!
//! A hundred launches that wait on one client would otherwise ask a hundred times as often. Each poll
//! takes a turn; whoever has one while others wait for theirs asks for the list of VMs, which answers
//! them all. A wait alone asks for its own VM, when it likes.
//!
//! No lock is held while something is awaited: a wait that nobody drives any more must not hold up
//! the others for longer than [`SLOW`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastvm_api::{Client, Result, types};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The polls of a second: so many at once, and the others this far apart. Together 20.
const AT_ONCE: u32 = 6;
const APART: Duration = Duration::from_micros(71_500);

/// How long a turn may hold up the others. A poll that takes longer goes on beside theirs.
const SLOW: Duration = Duration::from_secs(1);

/// Who may poll, and what the last list said.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
    /// How many wait for a VM.
    waits: AtomicUsize,
    /// How many of them want news now, those who are asking for it included.
    curious: AtomicUsize,
    /// Changes when a turn has ended.
    ended: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    /// When the turn that is taken begins.
    taken: Option<Instant>,
    pace: Pace,
    listed: Option<Listed>,
}

#[derive(Debug)]
struct Listed {
    asked: Instant,
    vms: HashMap<String, types::Vm>,
}

/// What there is for one who wants news.
enum Next<'a> {
    News(Box<types::Vm>),
    Turn(Turn<'a>),
    /// Somebody else has the turn, until then at most.
    Wait(Instant),
}

impl Turns {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            state: Mutex::new(State {
                taken: None,
                pace: Pace { full: now },
                listed: None,
            }),
            waits: AtomicUsize::new(0),
            curious: AtomicUsize::new(0),
            ended: watch::Sender::default(),
        }
    }

    /// Counts a wait, until what this gives is dropped.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// The VM as it is now, by a poll of one's own or of somebody else's.
    pub(super) async fn look(&self, api: &Client, id: &str) -> Result<types::Vm> {
        let wanted = Instant::now();
        let _curious = Curious::join(self);
        let mut ended = self.ended.subscribe();
        let turn = loop {
            match self.next(wanted, id) {
                Next::News(vm) => return Ok(*vm),
                Next::Turn(turn) => break turn,
                Next::Wait(until) => {
                    let _ = timeout_at(until, ended.changed()).await;
                }
            }
        };
        sleep_until(turn.begins).await;
        if self.curious.load(Ordering::Relaxed) > 1 {
            let asked = Instant::now();
            // A list that cannot be had is no news; one's own VM may still be asked for.
            if let Ok(vms) = api.vms().list().max_retries(0).await {
                let vms = vms.into_iter().map(|vm| (vm.id.clone(), vm)).collect();
                let mut state = self.state();
                state.learn(Listed { asked, vms });
                if let Some(vm) = state.news_since(asked, id) {
                    return Ok(vm);
                }
            }
        }
        api.vms().retrieve(id).await
    }

    fn next(&self, wanted: Instant, id: &str) -> Next<'_> {
        let mut state = self.state();
        if let Some(vm) = state.news_since(wanted, id) {
            return Next::News(Box::new(vm));
        }
        let until = state.taken.map(|begins| begins + SLOW);
        if let Some(until) = until.filter(|until| *until > Instant::now()) {
            return Next::Wait(until);
        }
        let begins = match self.waits.load(Ordering::Relaxed) {
            0 | 1 => state.pace.take_at_once(),
            _ => state.pace.take_turn(),
        };
        state.taken = Some(begins);
        Next::Turn(Turn {
            turns: self,
            begins,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn learn(&mut self, news: Listed) {
        if self
            .listed
            .as_ref()
            .is_none_or(|old| old.asked < news.asked)
        {
            self.listed = Some(news);
        }
    }

    /// The VM in a list that was asked for at this time or later.
    fn news_since(&self, time: Instant, id: &str) -> Option<types::Vm> {
        let listed = self.listed.as_ref().filter(|listed| listed.asked >= time)?;
        listed.vms.get(id).cloned()
    }
}

/// The right to poll, until it is dropped.
struct Turn<'a> {
    turns: &'a Turns,
    begins: Instant,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        // Somebody else has it if this took too long.
        if state.taken == Some(self.begins) {
            state.taken = None;
        }
        drop(state);
        self.turns.ended.send_replace(());
    }
}

/// One that waits for a VM, until it is dropped.
pub(super) struct Waiting<'a>(&'a Turns);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waits.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One that wants news, until it is dropped.
struct Curious<'a>(&'a Turns);

impl<'a> Curious<'a> {
    fn join(turns: &'a Turns) -> Self {
        turns.curious.fetch_add(1, Ordering::Relaxed);
        Self(turns)
    }
}

impl Drop for Curious<'_> {
    fn drop(&mut self) {
        if self.0.curious.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nobody is left to read the list, which may be long.
            self.0.state().listed = None;
        }
    }
}

/// A bucket of turns that fills again by and by, kept as the time at which it will be full.
#[derive(Debug)]
struct Pace {
    full: Instant,
}

impl Pace {
    /// Takes the next turn, and says when it begins.
    fn take_turn(&mut self) -> Instant {
        let now = Instant::now();
        let full = self.full.max(now);
        self.full = full + APART;
        // All but the last of the bucket's turns are there at once.
        let begins = full.checked_sub(APART * (AT_ONCE - 1));
        begins.unwrap_or(now).max(now)
    }

    /// Takes a turn now, from an empty bucket, too; what it lacks is not owed.
    fn take_at_once(&mut self) -> Instant {
        let now = Instant::now();
        self.full = (self.full.max(now) + APART).min(now + APART * AT_ONCE);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_twenty_turns() {
        let mut pace = Pace {
            full: Instant::now(),
        };
        let mut taken = Vec::new();
        for _ in 0..100 {
            let begins = pace.take_turn();
            sleep_until(begins).await;
            taken.push(begins);
        }
        for window in taken.windows(21) {
            assert!(window[20] - window[0] > Duration::from_secs(1));
        }
        assert_eq!(taken[usize::try_from(AT_ONCE).unwrap() - 1], taken[0]);
        assert!(taken[99] - taken[0] < Duration::from_secs(8));
    }

    #[tokio::test(start_paused = true)]
    async fn one_alone_does_not_wait_and_runs_up_no_debt() {
        let now = Instant::now();
        let mut pace = Pace { full: now };
        for _ in 0..1000 {
            assert_eq!(pace.take_at_once(), now);
        }
        assert!(pace.take_turn() - now <= APART * 2);
    }
}
