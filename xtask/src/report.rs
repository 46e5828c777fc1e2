//! What ran, how long it took, and how it ended.

use std::time::Duration;

/// The outcomes so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// How a part ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Outcome {
    /// Says loudly that a part did not pass, and why.
    pub(crate) fn tell(&self, name: &str) {
        match self {
            Self::Passed => {}
            Self::Failed(why) => eprintln!("\n{name} FAILED: {why}"),
            Self::Skipped(why) => eprintln!("\n{name} SKIPPED: {why}"),
        }
    }
}

impl Report {
    /// Notes how a part ended.
    pub(crate) fn add(&mut self, name: &'static str, outcome: Outcome, took: Duration) {
        self.lines.push(Line {
            name,
            outcome,
            took,
        });
    }

    /// Returns whether the part of that name has ended.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|line| line.name == name)
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
            Outcome::Passed => write!(f, "{:<12} {seconds:>7.1} s  passed", self.name),
            Outcome::Failed(why) => write!(f, "{:<12} {seconds:>7.1} s  FAILED: {why}", self.name),
            Outcome::Skipped(why) => write!(f, "{:<12} {:>9}  SKIPPED: {why}", self.name, "-"),
        }
    }
}
