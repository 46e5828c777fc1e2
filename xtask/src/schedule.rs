//! Runs the parts: one after the other, or two side by side.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use crate::log::Log;
use crate::part::Part;
use crate::report::{Outcome, Report};

/// How the parts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    /// Whether two parts run at the same time.
    pub(crate) is_side_by_side: bool,
    /// Whether the parts after a failed one run too.
    pub(crate) keeps_going: bool,
    /// Whether a part whose needs are not met has failed.
    pub(crate) skips_fail: bool,
}

/// Runs the parts and returns how they ended.
pub(crate) fn run(parts: &[&'static Part], order: Order) -> Report {
    let schedule = Schedule {
        parts,
        order,
        state: Mutex::new(State {
            waiting: parts.to_vec(),
            ..State::default()
        }),
        changed: Condvar::new(),
        installer: Mutex::new(()),
    };
    if order.is_side_by_side {
        thread::scope(|scope| {
            scope.spawn(|| schedule.work());
            scope.spawn(|| schedule.work());
        });
    } else {
        schedule.work();
    }
    schedule.state.into_inner().expect(NO_PANIC).report
}

#[derive(Debug)]
struct Schedule<'a> {
    parts: &'a [&'static Part],
    order: Order,
    state: Mutex<State>,
    /// Signalled when a part has ended.
    changed: Condvar,
    /// Held while a need is met: Debian's installer refuses to run twice at once.
    installer: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<&'static Part>,
    running: Vec<&'static Part>,
    report: Report,
}

impl Schedule<'_> {
    /// Runs one part after the other until none is left.
    fn work(&self) {
        while let Some(part) = self.next() {
            let start = Instant::now();
            let outcome = self.run_part(part);
            let mut state = self.state();
            state.running.retain(|running| running.name != part.name);
            state.report.add(part.name, outcome, start.elapsed());
            self.changed.notify_all();
        }
    }

    /// Waits until a part may run, and returns it.
    fn next(&self) -> Option<&'static Part> {
        let mut state = self.state();
        loop {
            if state.report.has_failed() && !self.order.keeps_going {
                return None;
            }
            if let Some(part) = self.choose(&state) {
                state.waiting.retain(|waiting| waiting.name != part.name);
                state.running.push(part);
                return Some(part);
            }
            if state.waiting.is_empty() {
                return None;
            }
            state = self.changed.wait(state).expect(NO_PANIC);
        }
    }

    /// Returns the part to run next, of those whose foundations have ended.
    ///
    /// Two browser suites at once would starve each other on a small machine. They are the longest
    /// row of parts that cannot be shared out, so they begin first.
    fn choose(&self, state: &State) -> Option<&'static Part> {
        let is_ready = |part: &&&'static Part| {
            let mut foundations = part.after.iter();
            foundations.all(|name| state.report.has(name) || !self.is_chosen(name))
        };
        let ready = || state.waiting.iter().filter(is_ready);
        if !self.order.is_side_by_side {
            return ready().next().copied();
        }
        let is_browsing = state.running.iter().any(|part| part.has_browser());
        let browsers = ready().find(|part| part.has_browser() && !is_browsing);
        let others = || ready().find(|part| !part.has_browser());
        browsers.or_else(others).copied()
    }

    fn is_chosen(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.name == name)
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
        // Held for the whole output, so that another part's does not come between.
        let _state = self.state();
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NO_PANIC)
    }
}

const NO_PANIC: &str = "no part panics";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::PARTS;

    fn schedule<'a>(parts: &'a [&'static Part], is_side_by_side: bool) -> Schedule<'a> {
        Schedule {
            parts,
            order: Order {
                is_side_by_side,
                keeps_going: true,
                skips_fail: true,
            },
            state: Mutex::new(State {
                waiting: parts.to_vec(),
                ..State::default()
            }),
            changed: Condvar::new(),
            installer: Mutex::new(()),
        }
    }

    /// Returns the names of parts in the order in which they begin, two at once where allowed.
    fn order(is_side_by_side: bool) -> Vec<&'static str> {
        let parts: Vec<&'static Part> = PARTS.iter().collect();
        let schedule = schedule(&parts, is_side_by_side);
        let mut names = Vec::new();
        let slots = if is_side_by_side { 2 } else { 1 };
        loop {
            let mut state = schedule.state();
            while state.running.len() < slots
                && let Some(part) = schedule.choose(&state)
            {
                state.waiting.retain(|waiting| waiting.name != part.name);
                state.running.push(part);
                names.push(part.name);
                let browsers = state.running.iter().filter(|part| part.has_browser());
                assert!(browsers.count() <= 1, "{names:?}");
            }
            let Some(ended) = state.running.first().copied() else {
                return names;
            };
            state.running.remove(0);
            state
                .report
                .add(ended.name, Outcome::Passed, Default::default());
        }
    }

    #[test]
    fn every_part_runs_once_and_after_its_foundations() {
        for is_side_by_side in [false, true] {
            let names = order(is_side_by_side);
            assert_eq!(names.len(), PARTS.len());
            for part in PARTS {
                let place = |name: &str| names.iter().position(|it| *it == name).unwrap();
                assert!(part.after.iter().all(|name| place(name) < place(part.name)));
            }
        }
    }

    #[test]
    fn one_by_one_is_the_order_of_the_list() {
        let list: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        assert_eq!(order(false), list);
    }
}
