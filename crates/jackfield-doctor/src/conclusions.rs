//! What follows from the facts: a pure function of them, without a word of prose.
//!
//! Each [`Problem`] says on whose side it lies and how much it costs; [`crate::words`] says it to
//! people, and [`crate::json`] to programs.

mod check;
mod problem;
mod reach;
mod relay;
mod search;
mod verdict;

pub(crate) use check::SECONDS_A_DAY;
pub use check::{Check, Family, checks_of};
pub use problem::{Certified, Problem, RelayProblem, Side};
pub use reach::Reach;
pub use relay::{RelayFinding, RelayState};
pub use verdict::Verdict;

use jackfield_stun::behaviour::{Finding, Report};
use serde::Serialize;

use crate::facts::Facts;
use crate::target::Target;

/// The conclusions from an examination.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusions {
    /// The server that was asked.
    pub server: Target,
    /// How well calls do, all in all.
    pub health: Health,
    /// The most important thing to say.
    pub verdict: Verdict,
    /// The peers that are reached without a relay.
    pub reach: Reach,
    /// Whether the others are reached by a relay.
    pub relay: RelayState,
    /// What is wrong or limits what can be done, the most important first.
    pub problems: Vec<Problem>,
    /// Each thing that was tried, in order.
    pub checks: Vec<Check>,
    /// What was found of the NAT.
    pub nat: Option<Report>,
}

/// How well something does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It does what it should.
    Ok,
    /// It is neither good nor bad.
    Note,
    /// It limits what can be done.
    Degraded,
    /// It does not work.
    Broken,
}

impl Conclusions {
    /// Draws the conclusions from facts.
    pub fn of(facts: &Facts) -> Self {
        let reach = Reach::of(facts.report.as_ref());
        let relay = RelayState::of(facts);
        let problems = search::problems(facts, &reach, relay);
        let verdict = Verdict::of(facts, &problems);
        let worst = problems.iter().map(Problem::severity);
        // What is only worth a note does not spoil a verdict.
        let worst = worst.filter(|health| *health > Health::Note).max();
        Self {
            server: facts.server.clone(),
            health: worst.unwrap_or(Health::Ok).max(verdict.health()),
            verdict,
            reach,
            relay,
            problems,
            checks: check::all(facts),
            nat: facts.report.clone(),
        }
    }

    /// Returns whether it is known that no NAT is on the way.
    #[must_use]
    pub fn is_without_nat(&self) -> bool {
        self.nat
            .as_ref()
            .is_some_and(|report| report.nat == Finding::Known(false))
    }

    /// Returns whether anything was found that people should do something about: then a command
    /// ends with the exit code 1.
    #[must_use]
    pub fn is_problem_found(&self) -> bool {
        self.health >= Health::Degraded
    }
}
