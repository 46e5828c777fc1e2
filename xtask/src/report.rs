//! What ran, how long it took, and how it ended.

use std::time::{Duration, Instant};

use crate::part::Part;

/// The outcomes so far, and whether a skipped part counts as a failure.
#[derive(Debug)]
pub(crate) struct Report {
    lines: Vec<Line>,
    skips_fail: bool,
}

#[derive(Debug)]
struct Line {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

#[derive(Debug)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Report {
    /// An empty report; with `skips_fail`, a part whose needs are not met has failed.
    pub(crate) fn new(skips_fail: bool) -> Self {
        Self {
            lines: Vec::new(),
            skips_fail,
        }
    }

    /// Meets the part's needs, runs it, and notes how that went.
    pub(crate) fn run(&mut self, part: &Part) {
        println!("\n== {}: {}", part.name, part.about);
        let start = Instant::now();
        let outcome = match part.needs.iter().try_for_each(|need| need.meet()) {
            Err(why) if self.skips_fail => Outcome::Failed(format!("cannot run: {why}")),
            Err(why) => Outcome::Skipped(why),
            Ok(()) => match part.run() {
                Ok(()) => Outcome::Passed,
                Err(why) => Outcome::Failed(why),
            },
        };
        match &outcome {
            Outcome::Passed => {}
            Outcome::Failed(why) => eprintln!("\n{} FAILED: {why}", part.name),
            Outcome::Skipped(why) => eprintln!("\n{} SKIPPED: {why}", part.name),
        }
        self.lines.push(Line {
            name: part.name,
            outcome,
            took: start.elapsed(),
        });
    }

    /// Returns whether a part has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_))) > 0
    }

    /// Prints the table, the reasons, and a closing line with the counts.
    pub(crate) fn print(&self) {
        println!("\n== summary");
        for line in &self.lines {
            println!("{line}");
        }
        let passed = self.count(|outcome| matches!(outcome, Outcome::Passed));
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        println!("\nparts: {passed} passed, {failed} failed, {skipped} skipped");
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.lines.iter().filter(|line| is(&line.outcome)).count()
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.took.as_secs_f32();
        match &self.outcome {
            Outcome::Passed => write!(f, "{:<10} {seconds:>7.1} s  passed", self.name),
            Outcome::Failed(why) => write!(f, "{:<10} {seconds:>7.1} s  FAILED: {why}", self.name),
            Outcome::Skipped(why) => write!(f, "{:<10} {:>9}  SKIPPED: {why}", self.name, "-"),
        }
    }
}
