//! Sequence diagrams in plain text.

use std::fmt::Write;

use jackfield_nat::Verdict;
use jackfield_nat::packet::describe;

use super::trace::{HopOutcome, TraceKind};
use super::world::{NodeId, World};

impl World {
    /// Draws the trace as a sequence diagram in plain text, with a column for each machine and a
    /// line for each hop.
    ///
    /// ```text
    ///        ms   alice               home                server
    ///     0.000     |----UDP 5 B------->|                   |
    ///     0.000     |                   |----UDP 5 B------->|
    ///     9.000     |                   X drop: filtered    |
    /// ```
    #[must_use]
    pub fn diagram(&self) -> String {
        let mut text = format!("{:>10}   ", "ms");
        for node in &self.nodes {
            let _ = write!(text, "{:<COLUMN$}", node.name);
        }
        trim_end(&mut text);
        for event in self.trace.events() {
            let line = match event.kind {
                TraceKind::Hop { from, outcome, .. } => {
                    let from = self.interfaces.get(from.0).map(|it| it.node);
                    let to = match outcome {
                        HopOutcome::Arrived(to) => self.interfaces.get(to.0).map(|it| it.node),
                        _ => None,
                    };
                    from.map(|from| self.arrow(from, to, outcome, &describe(&event.bytes)))
                }
                TraceKind::Verdict { by, verdict, .. } => match verdict {
                    Verdict::Forward | Verdict::Hairpin => None,
                    Verdict::Drop(_) => Some(self.note(by, 'X', &verdict.to_string())),
                    Verdict::Hold(_) => Some(self.note(by, '*', &verdict.to_string())),
                },
            };
            if let Some(line) = line {
                let _ = write!(text, "{:>10.3}     ", event.at.as_secs_f64() * 1000.0);
                text.push_str(&line);
                trim_end(&mut text);
            }
        }
        text
    }

    fn arrow(&self, from: NodeId, to: Option<NodeId>, outcome: HopOutcome, label: &str) -> String {
        let Some(to) = to.filter(|to| *to != from) else {
            return self.note(from, '?', &format!("{label}: {outcome:?}"));
        };
        let mut line = self.lifelines();
        let (left, right) = (from.0.min(to.0) * COLUMN, from.0.max(to.0) * COLUMN);
        let rightwards = to > from;
        for at in left + 1..right {
            put(&mut line, at, '-');
        }
        put(
            &mut line,
            if rightwards { right - 1 } else { left + 1 },
            if rightwards { '>' } else { '<' },
        );
        // The label is at the end that the packet leaves from, so that long arrows stay readable.
        let room = COLUMN.saturating_sub(5);
        let label: String = label.chars().take(room).collect();
        let start = if rightwards {
            left + 3
        } else {
            right.saturating_sub(2 + label.chars().count())
        };
        for (offset, letter) in label.chars().enumerate() {
            put(&mut line, start + offset, letter);
        }
        line.into_iter().collect()
    }

    fn note(&self, at: NodeId, mark: char, text: &str) -> String {
        let mut line = self.lifelines();
        let start = at.0 * COLUMN;
        put(&mut line, start, mark);
        line.resize(line.len().max(start + 2 + text.chars().count()), ' ');
        for (offset, letter) in text.chars().enumerate() {
            put(&mut line, start + 2 + offset, letter);
        }
        line.into_iter().collect()
    }

    fn lifelines(&self) -> Vec<char> {
        let mut line = vec![' '; self.nodes.len() * COLUMN];
        for node in 0..self.nodes.len() {
            put(&mut line, node * COLUMN, '|');
        }
        line
    }
}

fn put(line: &mut [char], at: usize, letter: char) {
    if let Some(place) = line.get_mut(at) {
        *place = letter;
    }
}

fn trim_end(text: &mut String) {
    text.truncate(text.trim_end().len());
    text.push('\n');
}

/// The number of characters from one machine to the next.
const COLUMN: usize = 24;
