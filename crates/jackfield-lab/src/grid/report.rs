//! What came out of a grid.

use serde::Serialize;

use super::candidate::CandidateType;
use super::checks::SelectedPair;
use super::expect::Expected;
use super::network::NetworkType;
use super::transport::Transport;

/// The outcome of a grid; its JSON is a promise.
#[derive(Debug, Clone, Serialize)]
pub struct Grid {
    /// The networks, which are lines and columns.
    pub types: Vec<NetworkType>,
    /// The pairs, line by line.
    pub cells: Vec<Cell>,
    /// Whether every attempt came out as it must.
    pub agrees: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// The outcome of a pair of hosts.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// The network of the line, whose host controls (RFC 8445 §6.1.1) and so picks the path.
    pub a: String,
    /// The network of the column.
    pub b: String,
    /// The best transport by which they reach each other.
    pub best: Option<Transport>,
    /// Why there is a direct path, or none.
    pub why: String,
    /// Whether every attempt came out as it must.
    pub agrees: bool,
    /// An attempt by each transport.
    pub attempts: Vec<AttemptView>,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptView {
    /// The transport.
    pub transport: Transport,
    /// What must come out: `path`, `none`, or `either` where chance decides.
    pub expected: &'static str,
    /// Whether it did.
    pub agrees: bool,
    /// The path that was found, if one was.
    pub path: Option<PathView>,
}

/// A path.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PathView {
    /// The type of the line's address: `H`, `S`, `P` or `R`.
    pub local: CandidateType,
    /// The type of the column's address.
    pub remote: CandidateType,
    /// How long it took until data had gone both ways, in milliseconds, since both hosts knew the
    /// other's candidates.
    pub ms: f64,
}

impl AttemptView {
    pub(super) fn new(
        transport: Transport,
        expected: Expected,
        found: Option<SelectedPair>,
    ) -> Self {
        Self {
            transport,
            expected: expected.name(),
            agrees: expected.agrees(found.is_some()),
            path: found.map(|path| PathView {
                local: path.local,
                remote: path.remote,
                ms: (path.after.as_secs_f64() * 10_000.0).round() / 10.0,
            }),
        }
    }
}

impl Cell {
    pub(super) fn new(
        a: &NetworkType,
        b: &NetworkType,
        why: String,
        attempts: Vec<AttemptView>,
    ) -> Self {
        let found = attempts.iter().find(|attempt| attempt.path.is_some());
        Self {
            a: a.name.clone(),
            b: b.name.clone(),
            best: found.map(|attempt| attempt.transport),
            why,
            agrees: attempts.iter().all(|attempt| attempt.agrees),
            attempts,
        }
    }

    /// Returns the path of the best transport.
    #[must_use]
    pub fn best_path(&self) -> Option<(Transport, PathView)> {
        let mut attempts = self.attempts.iter();
        attempts.find_map(|attempt| Some((attempt.transport, attempt.path?)))
    }
}

impl Grid {
    /// Returns the cells of a line.
    #[must_use]
    pub fn line(&self, place: usize) -> &[Cell] {
        let width = self.types.len();
        self.cells
            .get(place * width..(place + 1) * width)
            .unwrap_or_default()
    }

    /// Returns of how many pairs each transport is the best, and how many have none.
    pub(super) fn counts(&self) -> ([(Transport, usize); 4], usize) {
        let count = |transport| {
            let cells = self.cells.iter();
            cells.filter(|cell| cell.best == Some(transport)).count()
        };
        let none = self.cells.iter().filter(|cell| cell.best.is_none()).count();
        (
            Transport::ALL.map(|transport| (transport, count(transport))),
            none,
        )
    }

    /// Returns a line for each attempt that came out otherwise than it must.
    #[must_use]
    pub fn disagreements(&self) -> Vec<String> {
        let of_cell = |cell: &Cell| -> Vec<String> {
            let wrong = cell.attempts.iter().filter(|attempt| !attempt.agrees);
            let line = |attempt: &AttemptView| {
                let found = match attempt.path {
                    Some(path) => {
                        format!("a path {}-{}", path.local.letter(), path.remote.letter())
                    }
                    None => "no path".to_owned(),
                };
                let by = attempt.transport.about();
                format!(
                    "{} to {}, {by}: {found}, and it must be {}",
                    cell.a, cell.b, attempt.expected
                )
            };
            wrong.map(line).collect()
        };
        self.cells.iter().flat_map(of_cell).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    /// A grid of two types with a direct, a relayed and an impossible pair; one attempt is wrong
    /// unless it `agrees`.
    pub(in super::super) fn grid(agrees: bool) -> Grid {
        let types = ["open", "symmetric"].map(|name| NetworkType::parse(name).unwrap());
        let found = |local, remote| {
            Some(SelectedPair {
                local,
                remote,
                after: Duration::from_micros(1234),
            })
        };
        let cell = |a: &NetworkType,
                    b: &NetworkType,
                    direct: Option<SelectedPair>,
                    relayed: Option<SelectedPair>| {
            let ways = Transport::ALL.into_iter().map(|transport| {
                let path = if transport == Transport::Direct {
                    direct
                } else {
                    relayed
                };
                let must = if path.is_some() {
                    Expected::Path
                } else {
                    Expected::Nothing
                };
                AttemptView::new(transport, must, path)
            });
            Cell::new(a, b, "There is a reason.".into(), ways.collect())
        };
        let [a, b] = &types;
        let straight = found(
            CandidateType::ServerReflexive,
            CandidateType::ServerReflexive,
        );
        let relayed = found(CandidateType::Relayed, CandidateType::PeerReflexive);
        let mut cells = vec![
            cell(a, a, straight, relayed),
            cell(a, b, None, relayed),
            cell(b, a, straight, None),
            cell(b, b, None, None),
        ];
        if !agrees {
            cells[0].attempts[0] = AttemptView::new(Transport::Direct, Expected::Nothing, straight);
            cells[0].agrees = false;
        }
        Grid {
            agrees,
            types: types.to_vec(),
            cells,
            seconds: 1.5,
        }
    }

    #[test]
    fn the_json_says_what_came_out_of_each_attempt() {
        let json = serde_json::to_value(grid(true)).unwrap();
        assert_eq!(json["types"][1]["name"], "symmetric");
        let cell = &json["cells"][1];
        assert_eq!(cell["best"], "relay-udp");
        assert_eq!(cell["attempts"][0]["path"], serde_json::Value::Null);
        assert_eq!(cell["attempts"][1]["path"]["local"], "R");
        assert_eq!(cell["attempts"][1]["path"]["ms"], 1.2);
    }
}
