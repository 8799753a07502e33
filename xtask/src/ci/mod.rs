//! `cargo xtask ci`: all checks of the workspace, one after the other, and at the end what became of
//! each. `steps` has what they do.

mod steps;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::PossibleValue;

/// A check, or what others need.
pub struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Path) -> Result<Outcome>,
    /// The step without which this one cannot work.
    needs: Option<&'static str>,
    /// Slow to install or to run: only with `--full`, or by name.
    is_slow: bool,
}

impl Step {
    const fn new(
        name: &'static str,
        about: &'static str,
        run: fn(&Path) -> Result<Outcome>,
    ) -> Self {
        Self {
            name,
            about,
            run,
            needs: None,
            is_slow: false,
        }
    }

    const fn needs(mut self, step: &'static str) -> Self {
        self.needs = Some(step);
        self
    }

    const fn slow(mut self) -> Self {
        self.is_slow = true;
        self
    }
}

/// What became of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// It has no place here, and why.
    LeftOut(String),
    Failed(String),
}

/// The names of all steps, with what they are.
pub fn names() -> Vec<PossibleValue> {
    let value = |step: &Step| PossibleValue::new(step.name).help(step.about);
    steps::ALL.iter().map(value).collect()
}

/// Runs the named steps, or all that are not slow, or all. A step that fails does not stop the others.
pub fn run(root: &Path, names: &[String], full: bool) -> ExitCode {
    let chosen = |step: &&Step| match names.is_empty() {
        true => full || !step.is_slow,
        false => names.iter().any(|name| name == step.name),
    };
    let mut results = Results::default();
    for step in steps::ALL.iter().filter(chosen) {
        println!("\n==> {}: {}", step.name, step.about);
        let begin = Instant::now();
        let outcome = match results.obstacle(step) {
            Some(needed) => Outcome::LeftOut(format!("it needs `{needed}`, which failed")),
            None => (step.run)(root).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}"))),
        };
        if let Outcome::LeftOut(why) | Outcome::Failed(why) = &outcome {
            println!("{why}");
        }
        results.0.push((step.name, begin.elapsed(), outcome));
    }
    println!("\n{}", results.summary());
    match results.have_failed() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

#[derive(Default)]
struct Results(Vec<(&'static str, Duration, Outcome)>);

impl Results {
    /// The step that this one needs, if it has failed.
    fn obstacle(&self, step: &Step) -> Option<&'static str> {
        step.needs.filter(|needed| {
            self.0
                .iter()
                .any(|(name, _, outcome)| name == needed && matches!(outcome, Outcome::Failed(_)))
        })
    }

    fn have_failed(&self) -> bool {
        let mut outcomes = self.0.iter().map(|(.., outcome)| outcome);
        outcomes.any(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    /// A line for each step, and one for all.
    fn summary(&self) -> String {
        let mut text = String::new();
        for (name, time, outcome) in &self.0 {
            let (what, why) = match outcome {
                Outcome::Passed => ("passed", ""),
                Outcome::LeftOut(why) => ("left out: ", first_line(why)),
                Outcome::Failed(why) => ("FAILED: ", first_line(why)),
            };
            text += &format!("{name:14}{:5} s  {what}{why}\n", time.as_secs());
        }
        let total: Duration = self.0.iter().map(|(_, time, _)| *time).sum();
        let failed = self
            .0
            .iter()
            .filter(|(.., outcome)| matches!(outcome, Outcome::Failed(_)))
            .count();
        text += &format!(
            "{:14}{:5} s  {}",
            "all",
            total.as_secs(),
            match failed {
                0 => "passed".to_owned(),
                failed => format!("{failed} FAILED"),
            }
        );
        text
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: Step = Step::new("build", "", |_| Ok(Outcome::Passed));
    const TEST: Step = Step::new("test", "", |_| Ok(Outcome::Passed)).needs("build");

    #[test]
    fn what_needs_a_step_that_failed_is_left_out() {
        assert_eq!(Results::default().obstacle(&TEST), None);
        let with = |outcome| Results(vec![(BUILD.name, Duration::ZERO, outcome)]);
        assert_eq!(with(Outcome::Passed).obstacle(&TEST), None);
        assert_eq!(
            with(Outcome::Failed("x".to_owned())).obstacle(&TEST),
            Some("build")
        );
    }

    #[test]
    fn the_summary_has_a_line_for_each_step_with_its_time_and_its_outcome() {
        let second = Duration::from_secs(1);
        let results = Results(vec![
            ("format", second, Outcome::Passed),
            (
                "build",
                75 * second,
                Outcome::Failed("`cargo test`: exit status: 101\nmore".to_owned()),
            ),
            (
                "test",
                Duration::ZERO,
                Outcome::LeftOut("it needs `build`".to_owned()),
            ),
        ]);
        let expected = "\
format            1 s  passed
build            75 s  FAILED: `cargo test`: exit status: 101
test              0 s  left out: it needs `build`
all              76 s  1 FAILED";
        assert_eq!(results.summary(), expected);
        assert!(results.have_failed());
    }
}
