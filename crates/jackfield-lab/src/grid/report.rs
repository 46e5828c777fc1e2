//! What came out of a grid.

use jackfield_nat::oracle::Pair;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::network::NetworkType;
use super::transport::{RelayWay, Transport};

/// The outcome of a grid; its JSON is a promise.
#[derive(Debug, Clone, Serialize)]
pub struct Grid {
    /// The networks, which are lines and columns.
    pub types: Vec<NetworkType>,
    /// The pairs, line by line.
    pub cells: Vec<Cell>,
    /// Whether every pair came out as it must.
    pub agrees: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// The outcome of a pair of hosts.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// The network of the line, whose agent controls (RFC 8445 §6.1.1) and so picks the path.
    pub a: String,
    /// The network of the column.
    pub b: String,
    /// By what they reach each other; `None` if they do not.
    pub best: Option<Transport>,
    /// The path that their agents chose.
    pub path: Option<PathView>,
    /// The pairs of candidates that are right, each as [`PathView::pair`] is written, or `none`.
    pub expected: Vec<String>,
    /// Whether the path is one of these, and each relay is reached in the first way that gets out.
    pub agrees: bool,
    /// Why there is a direct path, or none.
    pub why: String,
}

/// A path. As JSON it has the pair as `pair`, such as `S-P` or `Pt-Ht`, and in parts as `local`,
/// `remote` and `tcp`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathView {
    /// The candidates, that of the line first.
    pub pair: Pair,
    /// How each side reaches the relay that its candidate is of.
    pub relays: [Option<RelayWay>; 2],
    /// How long it took from when both agents began until data of each had come back, in
    /// milliseconds.
    pub ms: f64,
}

impl PathView {
    /// Returns by what the packets travel.
    #[must_use]
    pub fn transport(&self) -> Transport {
        Transport::of(self.pair.tcp, self.relays)
    }
}

impl Serialize for PathView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut path = serializer.serialize_struct("PathView", 6)?;
        path.serialize_field("pair", &self.pair.to_string())?;
        path.serialize_field("local", &self.pair.a.letter())?;
        path.serialize_field("remote", &self.pair.b.letter())?;
        path.serialize_field("tcp", &self.pair.tcp)?;
        path.serialize_field("relays", &self.relays)?;
        path.serialize_field("ms", &self.ms)?;
        path.end()
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

    /// Returns of how many pairs each transport is, and how many have none.
    pub(super) fn counts(&self) -> ([(Transport, usize); 5], usize) {
        let count = |best| self.cells.iter().filter(|cell| cell.best == best).count();
        let counts = Transport::ALL.map(|transport| (transport, count(Some(transport))));
        (counts, count(None))
    }

    /// Returns a line for each pair that came out otherwise than it must.
    #[must_use]
    pub fn disagreements(&self) -> Vec<String> {
        let wrong = self.cells.iter().filter(|cell| !cell.agrees);
        let line = |cell: &Cell| {
            let found = match &cell.path {
                Some(path) => format!("{}, {}", path.pair, path.transport().about()),
                None => "no path".to_owned(),
            };
            let expected = cell.expected.join(" or ");
            format!("{} to {}: {found}; it must be {expected}", cell.a, cell.b)
        };
        wrong.map(line).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use jackfield_nat::oracle::CandidateType;

    /// A grid of two types with a direct, a relayed and an impossible pair; one is wrong unless it
    /// `agrees`.
    pub(in super::super) fn grid(agrees: bool) -> Grid {
        let types = ["open", "symmetric"].map(|name| NetworkType::parse(name).unwrap());
        let path = |a, b, relays| PathView {
            pair: Pair { a, b, tcp: false },
            relays,
            ms: 1.2,
        };
        let cell = |a: &NetworkType, b: &NetworkType, path: Option<PathView>| Cell {
            a: a.name.clone(),
            b: b.name.clone(),
            best: path.map(|path| path.transport()),
            path,
            expected: vec![path.map_or_else(|| "none".into(), |path| path.pair.to_string())],
            agrees: true,
            why: "There is a reason.".into(),
        };
        let [a, b] = &types;
        let reflexive = CandidateType::ServerReflexive;
        let straight = path(reflexive, reflexive, [None; 2]);
        let relayed = path(
            CandidateType::Relayed,
            CandidateType::PeerReflexive,
            [Some(RelayWay::Udp), None],
        );
        let mut cells = vec![
            cell(a, a, Some(straight)),
            cell(a, b, Some(relayed)),
            cell(b, a, Some(straight)),
            cell(b, b, None),
        ];
        if !agrees && let Some(first) = cells.first_mut() {
            first.expected = vec!["none".into()];
            first.agrees = false;
        }
        Grid {
            agrees,
            types: types.to_vec(),
            cells,
            seconds: 1.5,
        }
    }

    #[test]
    fn the_json_says_what_came_out_of_each_pair() {
        let json = serde_json::to_value(grid(true)).unwrap();
        assert_eq!(json["types"][1]["name"], "symmetric");
        let cell = &json["cells"][1];
        assert_eq!(cell["best"], "relay-udp");
        assert_eq!(cell["path"]["pair"], "R-P");
        assert_eq!(cell["path"]["local"], "R");
        assert_eq!(cell["path"]["relays"], serde_json::json!(["udp", null]));
        assert_eq!(cell["path"]["ms"], 1.2);
        assert_eq!(json["cells"][3]["path"], serde_json::Value::Null);
    }
}
