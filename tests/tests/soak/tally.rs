//! What was done and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use fastvm::{Error, ErrorKind, Result};

/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct Tally {
    acts: Mutex<BTreeMap<&'static str, Act>>,
    faults: Mutex<BTreeMap<String, u64>>,
    wrongs: Mutex<Vec<String>>,
    told: Mutex<BTreeSet<String>>,
}

#[derive(Default)]
struct Act {
    went_well: u64,
    longest: Duration,
    errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Does something that must end within its limit, well or with an error that faults explain.
    pub(crate) async fn act<T, E: Into<Error>>(
        &self,
        verb: &'static str,
        limit: Duration,
        work: impl IntoFuture<Output = Result<T, E>>,
    ) -> Result<T, Failed> {
        let begin = Instant::now();
        let result = tokio::time::timeout(limit + SLACK, work).await;
        let took = begin.elapsed();
        let mut acts = lock(&self.acts);
        let act = acts.entry(verb).or_default();
        act.longest = act.longest.max(took);
        match result {
            Ok(Ok(value)) => {
                act.went_well += 1;
                Ok(value)
            }
            Ok(Err(error)) => {
                let error = error.into();
                let text = match error.status() {
                    Some(status) => format!("{:?} {}", error.kind(), status.as_u16()),
                    None => format!("{:?}", error.kind()),
                };
                *act.errors.entry(text).or_default() += 1;
                drop(acts);
                if !is_explained(&error) {
                    self.wrong(format!(
                        "{verb} failed with what no fault explains: {error:?}"
                    ));
                }
                Err(Failed::With(error))
            }
            Err(_) => {
                drop(acts);
                self.wrong(format!("{verb} hangs: no end after {took:?}"));
                Err(Failed::Hung)
            }
        }
    }

    /// Notes what must not be.
    pub(crate) fn wrong(&self, what: String) {
        println!("WRONG: {what}");
        lock(&self.wrongs).push(what);
    }

    /// Notes it unless the two are the same.
    pub(crate) fn same<T: PartialEq + std::fmt::Debug>(&self, what: &str, found: &T, expected: &T) {
        if found != expected {
            let short = |value: &T| format!("{value:?}").chars().take(300).collect::<String>();
            let (found, expected) = (short(found), short(expected));
            self.wrong(format!("{what}: it is {found} in place of {expected}"));
        }
    }

    /// An error has said that this may be left, such as `VM name`.
    pub(crate) fn told_of(&self, text: String) {
        lock(&self.told).insert(text);
    }

    pub(crate) fn is_told_of(&self, text: &str) -> bool {
        let told = lock(&self.told);
        // The status of a VM stands behind its name.
        told.contains(text.split(" (").next().unwrap_or(text))
    }

    pub(crate) fn fault(&self, name: String) {
        *lock(&self.faults).entry(name).or_default() += 1;
    }

    /// Begins anew.
    pub(crate) fn forget(&self) {
        assert!(
            lock(&self.wrongs).is_empty(),
            "it is wrong without any fault"
        );
        let failed: Vec<_> = lock(&self.acts)
            .iter()
            .filter(|(_, act)| !act.errors.is_empty())
            .map(|(verb, act)| format!("{verb}: {:?}", act.errors))
            .collect();
        assert!(failed.is_empty(), "failures without any fault: {failed:?}");
        lock(&self.acts).clear();
    }

    pub(crate) fn print(&self) {
        let acts = lock(&self.acts);
        println!(
            "{:<22} {:>8} {:>8} {:>9}  errors",
            "verb", "well", "failed", "longest"
        );
        let (mut well, mut failed) = (0, 0);
        for (verb, act) in acts.iter() {
            let errors: u64 = act.errors.values().sum();
            let longest = act.longest.as_secs_f64();
            let kinds: Vec<_> = act
                .errors
                .iter()
                .map(|(kind, n)| format!("{n} {kind}"))
                .collect();
            let kinds = kinds.join(", ");
            println!(
                "{verb:<22} {:>8} {errors:>8} {longest:>8.1}s  {kinds}",
                act.went_well
            );
            (well, failed) = (well + act.went_well, failed + errors);
        }
        println!("{:<22} {well:>8} {failed:>8}", "all");
        let faults = lock(&self.faults);
        let faults: Vec<_> = faults
            .iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        println!("faults: {}", faults.join(", "));
        let told = lock(&self.told);
        let told = told.iter().filter(|text| text.starts_with("VM")).count();
        println!("errors that said of a VM that it may be left: {told}");
    }

    /// # Panics
    ///
    /// If anything was wrong.
    pub(crate) fn judge(&self, seed: u64) {
        let wrongs = lock(&self.wrongs);
        assert!(
            wrongs.is_empty(),
            "FASTVM_SOAK_SEED={seed}: {}",
            wrongs.join("\n")
        );
    }
}

/// Why there is no value.
pub(crate) enum Failed {
    With(Error),
    Hung,
}

/// Whether the faults of the weather can be behind an error.
fn is_explained(error: &Error) -> bool {
    use ErrorKind::{
        Connect, Connection, Decode, Gone, Launch, NotReady, Stream, Timeout, Transfer,
    };
    match error.kind() {
        Connect | Connection | Decode | Gone | Launch | NotReady | Stream | Timeout | Transfer => {
            true
        }
        // 400 for a request that was damaged; 404 and 409 for a VM that has died, which is looked at.
        ErrorKind::Status => error.status().is_some_and(|status| {
            matches!(
                status.as_u16(),
                400 | 404 | 408 | 409 | 429 | 500 | 502 | 503 | 504
            )
        }),
        _ => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
