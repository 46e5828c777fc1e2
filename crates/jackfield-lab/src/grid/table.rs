//! The grid in a terminal.

use std::fmt::Write;

use super::report::{Cell, Grid};
use super::transport::Transport;

/// Returns the grid as text, with colours or without.
#[must_use]
pub fn table(grid: &Grid, coloured: bool) -> String {
    let paint = Paint(coloured);
    let mut text = String::new();
    let names = grid
        .types
        .iter()
        .map(|network_type| network_type.name.chars().count());
    let width = names.max().unwrap_or(0);
    let indent = width + 6;
    // Writing to a string cannot fail.
    let _ = write!(text, "\n{:indent$}", "");
    for number in 1..=grid.types.len() {
        let _ = write!(text, "{}", paint.dim(&format!("{number:^CELL$} ")));
    }
    text.push('\n');
    for (place, network_type) in grid.types.iter().enumerate() {
        let cells = grid.line(place);
        let number = paint.dim(&format!("{:>3}", place + 1));
        let name = paint.bold(&format!("{:width$}", network_type.name));
        let _ = write!(text, "{number} {name}  ");
        for cell in cells {
            let _ = write!(text, "{} ", paint.cell(cell, &upper(cell)));
        }
        let _ = write!(text, "\n{:indent$}", "");
        for cell in cells {
            let _ = write!(text, "{} ", paint.cell(cell, &lower(cell)));
        }
        text.push_str(if coloured { "\n\n" } else { "\n" });
    }
    legend(&mut text, grid, &paint);
    text
}

/// Returns the first line of a cell: the candidates, and how relays are reached.
fn upper(cell: &Cell) -> String {
    let mark = if cell.agrees { "" } else { "!" };
    match &cell.path {
        None => format!("none{mark}"),
        Some(path) => {
            let way = path.relays.into_iter().flatten().max();
            let way = way.map(|way| format!(" {}", way.name()));
            format!("{}{}{mark}", path.pair, way.unwrap_or_default())
        }
    }
}

fn lower(cell: &Cell) -> String {
    let path = cell.path.as_ref();
    path.map(|path| format!("{:.1} ms", path.ms))
        .unwrap_or_default()
}

fn legend(text: &mut String, grid: &Grid, paint: &Paint) {
    let (counts, none) = grid.counts();
    if !paint.0 {
        text.push('\n');
    }
    for (transport, count) in counts {
        let sample = paint.on(background(transport), "    ");
        let _ = writeln!(text, "  {sample}{count:>4} {}", transport.about());
    }
    if none > 0 {
        let _ = writeln!(text, "  {}{none:>4} not at all", paint.on(NOTHING, "    "));
    }
    text.push('\n');
    for line in [
        "  The letters are the addresses that the path uses, the line's first and then the column's:",
        "  H its own   S as the STUN server sees it   P as the other host alone sees it   R a relay's",
        "  t is for a TCP connection between the two. Behind R, udp, tcp or tls is the way to the relay.",
        "  The time is from when both agents began until data of each had come back.",
    ] {
        let _ = writeln!(text, "{}", paint.dim(line));
    }
    let pairs = grid.cells.len();
    let wrong = grid.disagreements();
    let verdict = match wrong.len() {
        0 => paint.good(&format!("All {pairs} pairs came out as they must")),
        1 => paint.bad("1 pair came out otherwise than it must"),
        n => paint.bad(&format!("{n} pairs came out otherwise than they must")),
    };
    let _ = writeln!(text, "\n  {verdict}, in {} s.", grid.seconds);
    for line in wrong {
        let _ = writeln!(text, "    {line}");
    }
}

/// ANSI colours, or none.
struct Paint(bool);

impl Paint {
    fn cell(&self, cell: &Cell, text: &str) -> String {
        let text = format!("{text:^CELL$}");
        if !cell.agrees {
            return self.on(WRONG, &text);
        }
        match cell.best {
            Some(transport) => self.on(background(transport), &text),
            None => self.on(NOTHING, &text),
        }
    }

    /// Dark letters on a light ground can be read whatever the terminal's own colours are.
    fn on(&self, background: u8, text: &str) -> String {
        self.wrap(&format!("38;5;16;48;5;{background}"), text)
    }

    fn bold(&self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn good(&self, text: &str) -> String {
        self.wrap("1;32", text)
    }

    fn bad(&self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    fn wrap(&self, code: &str, text: &str) -> String {
        match self.0 {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

const fn background(transport: Transport) -> u8 {
    match transport {
        Transport::Direct => 114,
        Transport::DirectTcp => 116,
        Transport::RelayUdp => 222,
        Transport::RelayTcp => 216,
        Transport::RelayTls => 182,
    }
}

const NOTHING: u8 = 250;
const WRONG: u8 = 203;
/// The width of a cell, in characters.
const CELL: usize = 9;

#[cfg(test)]
mod tests {
    use super::super::report::tests::grid;
    use super::*;

    #[test]
    fn a_grid_is_read_without_colours_too() {
        let text = table(&grid(true), false);
        assert!(!text.contains('\x1b'));
        for wanted in [
            "S-S",
            "R-P udp",
            "none",
            "1.2 ms",
            "All 4 pairs came out as they must",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
    }

    #[test]
    fn what_came_out_otherwise_is_told_in_words() {
        let text = table(&grid(false), false);
        assert!(text.contains("S-S!"), "{text}");
        assert!(
            text.contains("open to open: S-S, direct, over UDP; it must be none"),
            "{text}"
        );
    }
}
