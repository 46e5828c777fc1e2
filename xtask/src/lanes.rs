//! Runs the parts: one after the other, or those of two lanes side by side.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use crate::log::Log;
use crate::part::{Lane, Part};
use crate::report::{Outcome, Report};

/// How the parts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    /// Whether the parts of different lanes run at the same time.
    pub(crate) is_side_by_side: bool,
    /// Whether the parts after a failed one run too.
    pub(crate) keeps_going: bool,
    /// Whether a part whose needs are not met has failed.
    pub(crate) skips_fail: bool,
}

/// Runs the parts and returns how they ended.
pub(crate) fn run(parts: &[&Part], order: Order) -> Report {
    let lanes = Lanes {
        parts,
        order,
        report: Mutex::new(Report::default()),
        ended: Condvar::new(),
        installer: Mutex::new(()),
    };
    if order.is_side_by_side {
        thread::scope(|scope| {
            scope.spawn(|| lanes.run(|part| part.lane() == Lane::Programs));
            scope.spawn(|| lanes.run(|part| part.lane() == Lane::Browsers));
        });
    } else {
        lanes.run(|_| true);
    }
    lanes.report.into_inner().expect(NO_PANIC)
}

#[derive(Debug)]
struct Lanes<'a> {
    parts: &'a [&'a Part],
    order: Order,
    report: Mutex<Report>,
    /// Signalled when a part has ended, or will not run.
    ended: Condvar,
    /// Held while a need is met: Debian's installer refuses to run twice at once.
    installer: Mutex<()>,
}

impl Lanes<'_> {
    fn run(&self, is_mine: impl Fn(&Part) -> bool) {
        for part in self.parts.iter().filter(|part| is_mine(part)) {
            if !self.wait_for_foundations(part) {
                return;
            }
            let start = Instant::now();
            let outcome = self.run_part(part);
            let mut report = self.report();
            report.add(part.name, outcome, start.elapsed());
            drop(report);
            self.ended.notify_all();
        }
    }

    /// Waits until the parts that this one builds on have ended; returns whether it may run.
    fn wait_for_foundations(&self, part: &Part) -> bool {
        let is_chosen = |name: &str| self.parts.iter().any(|part| part.name == name);
        let mut report = self.report();
        loop {
            if report.has_failed() && !self.order.keeps_going {
                return false;
            }
            let mut foundations = part.after.iter();
            if foundations.all(|name| report.has(name) || !is_chosen(name)) {
                return true;
            }
            report = self.ended.wait(report).expect(NO_PANIC);
        }
    }

    fn run_part(&self, part: &Part) -> Outcome {
        if let Err(why) = self.meet_needs(part) {
            let outcome = if self.order.skips_fail {
                Outcome::Failed(format!("cannot run: {why}"))
            } else {
                Outcome::Skipped(why)
            };
            outcome.tell(part.name);
            return outcome;
        }
        let log = if self.order.is_side_by_side {
            match Log::in_file(part.name) {
                Ok(log) => log,
                Err(error) => return Outcome::Failed(format!("the file for its output: {error}")),
            }
        } else {
            Log::Terminal
        };
        match log.path() {
            None => println!("\n== {}: {}", part.name, part.about),
            Some(path) => println!(
                "-- {} begins; its output is in {}",
                part.name,
                path.display()
            ),
        }
        let outcome = match part.run(&log) {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        };
        // Held for the whole output, so that the other lane's does not come between.
        let _report = self.report();
        if log.path().is_some() {
            println!("\n== {}: {}", part.name, part.about);
        }
        if let Err(error) = log.show() {
            return Outcome::Failed(format!("its output: {error}"));
        }
        outcome.tell(part.name);
        outcome
    }

    fn meet_needs(&self, part: &Part) -> Result<(), String> {
        let _installer = self.installer.lock().expect(NO_PANIC);
        part.needs.iter().try_for_each(|need| need.meet())
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().expect(NO_PANIC)
    }
}

const NO_PANIC: &str = "no lane panics";
