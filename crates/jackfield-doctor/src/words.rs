//! Conclusions in plain English: a pure function of them.

mod host;
mod line;
mod nat;
mod phrase;
mod problem;
mod surroundings;
mod terminal;
mod verdict;

use serde::Serialize;

pub(crate) use problem::describe;
pub use terminal::{Style, render, render_lines, render_verdict};

use crate::conclusions::{Check, Conclusions, Health};

/// Conclusions in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// How well calls do, all in all.
    pub health: Health,
    /// The most important thing, as a sentence or two.
    pub verdict: String,
    /// Each thing that was tried, in order.
    pub lines: Vec<Line>,
    /// Why it is not better, as sentences.
    pub why_not: Vec<String>,
    /// What to do about it, as sentences, the most useful first.
    pub advice: Vec<String>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is about, in a word or two.
    pub topic: &'static str,
    /// How well it does.
    pub health: Health,
    /// What was seen.
    pub seen: String,
    /// What was tried, as a sentence.
    pub tried: String,
    /// What that means, as a sentence; empty where that goes without saying.
    pub means: String,
}

/// A problem in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProblemWords {
    /// What is wrong.
    pub(crate) why: String,
    /// What to do, the most useful first.
    pub(crate) advice: Vec<String>,
}

impl ProblemWords {
    fn new<S: Into<String>>(why: impl Into<String>, advice: impl IntoIterator<Item = S>) -> Self {
        Self {
            why: why.into(),
            advice: advice.into_iter().map(Into::into).collect(),
        }
    }
}

impl Words {
    /// Puts conclusions into words.
    pub fn of(conclusions: &Conclusions) -> Self {
        let mut why_not = Vec::new();
        let mut advice: Vec<String> = Vec::new();
        for problem in &conclusions.problems {
            let words = describe(problem, conclusions);
            why_not.push(words.why);
            for step in words.advice {
                // Two problems may have one remedy.
                if !advice.contains(&step) {
                    advice.push(step);
                }
            }
        }
        Self {
            health: conclusions.health,
            verdict: verdict::sentence(conclusions),
            lines: conclusions.checks.iter().map(Line::of).collect(),
            why_not,
            advice,
        }
    }
}

impl Line {
    /// Puts a check into words.
    #[must_use]
    pub fn of(check: &Check) -> Self {
        line::of(check)
    }
}
