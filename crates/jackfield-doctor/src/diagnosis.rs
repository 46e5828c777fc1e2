use serde::Serialize;

use super::facts::Facts;
use super::{behaviour, lines, verdict};

/// How well something does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It does what it should.
    Ok,
    /// It says nothing good or bad.
    Note,
    /// It limits what can be done.
    Degraded,
    /// It does not work.
    Broken,
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

impl Line {
    pub(super) fn new(topic: &'static str, health: Health, seen: impl Into<String>) -> Self {
        Self {
            topic,
            health,
            seen: seen.into(),
            tried: String::new(),
            means: String::new(),
        }
    }

    pub(super) fn tried(mut self, tried: impl Into<String>) -> Self {
        self.tried = tried.into();
        self
    }

    pub(super) fn means(mut self, means: impl Into<String>) -> Self {
        self.means = means.into();
        self
    }
}

/// What all lines come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How well connections do.
    pub health: Health,
    /// The same as a sentence.
    pub text: String,
    /// Why it is not better.
    pub why_not: Vec<String>,
    /// What to do about it, the most useful first.
    #[serde(rename = "do")]
    pub advice: Vec<String>,
}

/// The result of an examination.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The server that was asked.
    pub server: String,
    /// What it all comes to.
    pub verdict: Verdict,
    /// What was tried, in order.
    pub lines: Vec<Line>,
    /// What was found out of the NAT, for programs.
    pub nat: Option<serde_json::Value>,
}

impl Diagnosis {
    /// Draws the conclusions from facts.
    pub fn new(facts: &Facts) -> Self {
        Self {
            server: facts.server.clone(),
            verdict: verdict::of(facts),
            lines: lines::of(facts),
            nat: facts.report.as_ref().map(behaviour::as_json),
        }
    }
}
