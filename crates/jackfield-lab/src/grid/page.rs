//! The grid as a page of its own: one file, which needs nothing else.

use std::fmt::Write;

use super::network::NetworkType;
use super::report::{AttemptView, Cell, Grid};
use super::transport::Transport;

/// Returns the page.
pub fn page(grid: &Grid) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Who reaches whom</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    introduction(&mut text, grid);
    matrix(&mut text, grid);
    let _ = write!(
        text,
        "<p class=\"hint\">Point at a cell, or tap it, to see why.</p>\n\
         <section id=\"detail\" aria-live=\"polite\">{}</section>\n",
        featured_cell(grid).map(detail).unwrap_or_default()
    );
    legend(&mut text, grid);
    kinds(&mut text, &grid.types);
    words(&mut text, grid);
    let _ = write!(
        text,
        "<footer>Made by <code>jackfield lab grid</code> {}.</footer>\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    text
}

/// Returns the pair that the page explains first: UDP gets out on both sides, and yet there is no
/// direct path. That is what people ask about.
fn featured_cell(grid: &Grid) -> Option<&Cell> {
    let mut cells = grid.cells.iter();
    let relayed = cells.find(|cell| cell.best == Some(Transport::RelayUdp));
    relayed.or_else(|| grid.cells.first())
}

fn introduction(text: &mut String, grid: &Grid) {
    let attempts: usize = grid.cells.iter().map(|cell| cell.attempts.len()).sum();
    let (verdict, class) = match grid.disagreements().len() {
        0 => (
            "All of them came out as theory says they must.".to_owned(),
            "good",
        ),
        1 => (
            "One of them came out otherwise than it must.".to_owned(),
            "bad",
        ),
        n => (
            format!("{n} of them came out otherwise than they must."),
            "bad",
        ),
    };
    let _ = write!(
        text,
        "<h1>Who reaches whom</h1>\n\
         <p class=\"lead\">Two hosts, each behind a NAT or a firewall of some kind, want to talk. Can their packets go \
         straight from one to the other, or does a relay have to carry them? Here {attempts} attempts were made between \
         {pairs} pairs of hosts, with real sockets through real routers, in {seconds}&nbsp;s. \
         <strong class=\"{class}\">{verdict}</strong></p>\n",
        pairs = grid.cells.len(),
        seconds = grid.seconds,
    );
}

fn matrix(text: &mut String, grid: &Grid) {
    let _ = write!(
        text,
        "<div class=\"frame\">\n<table style=\"--columns:{}\">\n<thead><tr><td></td>",
        grid.types.len()
    );
    for network_type in &grid.types {
        let _ = write!(
            text,
            "<th scope=\"col\" title=\"{}\"><span>{}</span></th>",
            escape(&network_type.about),
            label(&network_type.name)
        );
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for (place, network_type) in grid.types.iter().enumerate() {
        let _ = write!(
            text,
            "<tr><th scope=\"row\" title=\"{}\">{}</th>",
            escape(&network_type.about),
            label(&network_type.name)
        );
        for cell in grid.line(place) {
            matrix_cell(text, cell);
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</div>\n");
}

fn matrix_cell(text: &mut String, cell: &Cell) {
    let class = class(cell.best);
    let wrong = if cell.agrees { "" } else { " wrong" };
    let (letters, ms) = match cell.best_path() {
        Some((_, path)) => (
            format!("{}<i>–</i>{}", path.local.letter(), path.remote.letter()),
            format!("{:.1} ms", path.ms),
        ),
        None => ("none".to_owned(), String::new()),
    };
    let dots: String = cell.attempts.iter().map(dot).collect();
    let detail = detail(cell);
    let _ = write!(
        text,
        "<td class=\"{class}{wrong}\" tabindex=\"0\" data-a=\"{}\" data-b=\"{}\" title=\"{}\">\
         <b>{letters}</b><small>{ms}</small><span class=\"dots\" aria-hidden=\"true\">{dots}</span>\
         <template>{detail}</template></td>",
        escape(&cell.a),
        escape(&cell.b),
        escape(&summary(cell)),
    );
}

fn dot(attempt: &AttemptView) -> String {
    let on = if attempt.path.is_some() { " on" } else { "" };
    format!("<u class=\"{}{on}\"></u>", class(Some(attempt.transport)))
}

/// Returns the tooltip of a cell.
fn summary(cell: &Cell) -> String {
    let best = match cell.best {
        Some(transport) => transport.about(),
        None => "not at all",
    };
    format!("{} to {}: {best}. {}", cell.a, cell.b, &cell.why)
}

fn detail(cell: &Cell) -> String {
    let mut text = format!(
        "<h2><span>A</span> {} <em>to</em> <span>B</span> {}</h2><p>{}</p><ul>",
        escape(&cell.a),
        escape(&cell.b),
        escape(&cell.why)
    );
    for attempt in &cell.attempts {
        let found = match attempt.path {
            Some(path) => format!(
                "<b>{}–{}</b> in {:.1} ms",
                path.local.letter(),
                path.remote.letter(),
                path.ms
            ),
            None => "no path".to_owned(),
        };
        let wrong = match attempt.agrees {
            true => String::new(),
            false => format!(
                " <strong class=\"bad\">must be: {}</strong>",
                attempt.expected
            ),
        };
        let _ = write!(
            text,
            "<li>{} {}: {found}{wrong}</li>",
            dot(attempt),
            attempt.transport.about()
        );
    }
    text.push_str("</ul>");
    text
}

fn legend(text: &mut String, grid: &Grid) {
    let (counts, none) = grid.counts();
    text.push_str(
        "<section class=\"legend\">\n<h2>What the colours say</h2>\n<ul class=\"swatches\">\n",
    );
    for (transport, count) in counts {
        let _ = writeln!(
            text,
            "<li><span class=\"swatch {}\">{count}</span> {}</li>",
            class(Some(transport)),
            colour_in_words(transport)
        );
    }
    if none > 0 {
        let _ = writeln!(
            text,
            "<li><span class=\"swatch nothing\">{none}</span> <b>Not at all.</b> Neither finds a way to the other.</li>"
        );
    }
    text.push_str(
        "</ul>\n<p>The number is how many of the pairs. The four dots in a cell are the four ways, from left to right; a \
         full dot is one that works, and the best of them gives the cell its colour.</p>\n\
         <h2>What the letters say</h2>\n\
         <p>The addresses that the path uses, first that of the line (A), then that of the column (B):</p>\n<dl>\n\
         <dt>H</dt><dd>the host’s own address</dd>\n\
         <dt>S</dt><dd>the address outside its NAT that a STUN server saw and told it</dd>\n\
         <dt>P</dt><dd>an address outside its NAT that the other host alone has seen</dd>\n\
         <dt>R</dt><dd>an address of the relay</dd>\n</dl>\n\
         <p>The time is from when both hosts knew of each other until data had gone both ways; nothing in this network \
         is far away, so it is what the search itself takes.</p>\n</section>\n",
    );
}

const fn colour_in_words(transport: Transport) -> &'static str {
    match transport {
        Transport::Direct => {
            "<b>Direct.</b> Packets go from one to the other and nobody else carries them."
        }
        Transport::RelayUdp => "<b>Relay, over UDP.</b> A TURN server hands every packet on.",
        Transport::RelayTcp => {
            "<b>Relay, over TCP.</b> UDP does not get out of one of the networks, so the way to the relay is a TCP connection."
        }
        Transport::RelayTls => {
            "<b>Relay, over TLS.</b> One of the networks lets nothing out but web traffic, so the way to the relay looks like it."
        }
    }
}

fn kinds(text: &mut String, types: &[NetworkType]) {
    text.push_str("<section>\n<h2>Who is in front of whom</h2>\n<dl class=\"kinds\">\n");
    for network_type in types {
        let _ = writeln!(
            text,
            "<dt>{}</dt><dd>{}</dd>",
            escape(&network_type.name),
            escape(&network_type.about)
        );
    }
    text.push_str("</dl>\n</section>\n");
}

fn words(text: &mut String, grid: &Grid) {
    text.push_str("<details>\n<summary>All pairs in words</summary>\n");
    for cell in &grid.cells {
        let _ = writeln!(text, "<article>{}</article>", detail(cell));
    }
    text.push_str("</details>\n");
}

const fn class(transport: Option<Transport>) -> &'static str {
    match transport {
        Some(transport) => transport.name(),
        None => "nothing",
    }
}

/// Returns a name that a browser may break after its hyphens.
fn label(name: &str) -> String {
    escape(name)
        .replace('-', "-<wbr>")
        .replace('/', "/<wbr>")
        .replace('+', "+<wbr>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

#[cfg(test)]
mod tests {
    use super::super::report::tests::grid;
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let text = page(&grid(true));
        for elsewhere in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!text.contains(elsewhere), "{elsewhere}");
        }
        assert!(text.contains("All of them came out as theory says"));
        assert_eq!(text.matches("<td class=").count(), 4);
    }

    #[test]
    fn what_came_out_otherwise_stands_out() {
        let text = page(&grid(false));
        assert!(text.contains("class=\"direct wrong\""));
        assert!(text.contains("must be: none"));
    }

    #[test]
    fn text_of_others_stays_text() {
        assert_eq!(escape("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
