//! Fuzzing on stable Rust: inputs from a corpus that is kept, and what comes of changing them.
//!
//! A target is given bytes, panics if what is promised does not hold, and answers what kind of thing
//! happened. An input with which something happens that happened with no other is interesting: it is
//! changed further, too. This is no measure of coverage, but it needs nothing that is not here.
//!
//! In an ordinary run each target is given its corpus and what a second of changes makes of it, the
//! same each time. `FASTVM_FUZZ=180` fuzzes each for so many seconds with changes of its own, and
//! puts what was interesting into the corpus; an input that fails is put there in any case.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// How many changed inputs an ordinary run makes, and for how long at most.
const ORDINARY: (usize, Duration) = (2000, Duration::from_secs(1));

/// No more inputs than this are found interesting.
const MOST_FOUND: usize = 100;

/// Inputs do not grow beyond this.
const LONGEST: usize = 16 * 1024;

/// Fuzzes a target with the corpus in this folder. `words` are texts that mean something to it.
///
/// # Panics
///
/// If the target does, with the name of the file that holds the input.
pub fn fuzz(corpus: &Path, words: &[&[u8]], mut target: impl FnMut(&[u8]) -> String) {
    let seconds = std::env::var("FASTVM_FUZZ").ok();
    let seconds = seconds.map(|text| text.parse().expect("FASTVM_FUZZ is a number of seconds"));
    let (mut rng, most, length) = match seconds {
        Some(seconds) => (Rng::new(), usize::MAX, Duration::from_secs(seconds)),
        None => (Rng::with_seed(7), ORDINARY.0, ORDINARY.1),
    };
    let mut run = |input: &[u8]| {
        let result = catch_unwind(AssertUnwindSafe(|| target(input)));
        result.unwrap_or_else(|panic| {
            eprintln!("the input is in {}", keep(corpus, "failed", input));
            resume_unwind(panic)
        })
    };
    let mut pool = Vec::new();
    let mut seen = BTreeMap::new();
    for input in files(corpus) {
        *seen.entry(run(&input)).or_insert(0) += 1;
        pool.push(input);
    }
    assert!(!pool.is_empty(), "no corpus in {}", corpus.display());
    let begin = Instant::now();
    let (mut count, mut found) = (0, 0);
    while count < most && begin.elapsed() < length {
        count += 1;
        let input = changed(&pool, words, &mut rng);
        let happened = run(&input);
        if !seen.contains_key(&happened) && found < MOST_FOUND {
            found += 1;
            if seconds.is_some() {
                keep(corpus, "found", &input);
            }
            pool.push(input);
        }
        *seen.entry(happened).or_insert(0) += 1;
    }
    println!(
        "{count} inputs, {} things that happened: {seen:#?}",
        seen.len()
    );
}

/// The inputs of a corpus, in the order of their names.
fn files(corpus: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(corpus).into_iter().flatten();
    let paths: BTreeSet<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    let read = |path| std::fs::read(path).expect("the corpus can be read");
    paths.into_iter().map(read).collect()
}

/// Puts an input into a corpus; answers where.
fn keep(corpus: &Path, why: &str, input: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let path = corpus.join(format!("{why}-{:016x}", hasher.finish()));
    match std::fs::write(&path, input) {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("no file ({error}): {input:?}"),
    }
}

/// One input of the pool with some changes.
fn changed(pool: &[Vec<u8>], words: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let mut input = pool[rng.usize(..pool.len())].clone();
    for _ in 0..rng.usize(1..5) {
        let at = rng.usize(..=input.len());
        let end = (at + rng.usize(..64)).min(input.len());
        match rng.u8(..8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            3 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
            4 if at < input.len() => input[at] = rng.u8(..),
            5 if !words.is_empty() => {
                let word = words[rng.usize(..words.len())].iter().copied();
                let end = if rng.bool() { at } else { end };
                input.splice(at..end, word);
            }
            6 => {
                let other = &pool[rng.usize(..pool.len())];
                let from = rng.usize(..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            _ => drop(input.splice(at..at, [rng.u8(..)])),
        }
    }
    input.truncate(LONGEST);
    input
}
