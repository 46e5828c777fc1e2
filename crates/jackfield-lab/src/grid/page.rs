//! The grid as a page of its own: one file, which needs nothing else.

use std::fmt::Write;

use super::network::NetworkType;
use super::report::{Cell, Grid};
use super::transport::{RelayWay, Transport};

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
         <p class=\"lead\">Two hosts, each behind a NAT, a firewall or a proxy of some kind, want to talk. Can their \
         packets go straight from one to the other, or does a relay have to carry them? Here {pairs} pairs of hosts \
         tried, with Jackfield’s ICE agent on either side and real routers between them, in {seconds}&nbsp;s. \
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
    let (letters, way, ms) = match &cell.path {
        Some(path) => {
            let way = path.relays.into_iter().flatten().max();
            (
                letters(cell),
                way.map_or("", RelayWay::name),
                format!("{:.1} ms", path.ms),
            )
        }
        None => ("none".to_owned(), "", String::new()),
    };
    let detail = detail(cell);
    let _ = write!(
        text,
        "<td class=\"{class}{wrong}\" tabindex=\"0\" data-a=\"{}\" data-b=\"{}\" title=\"{}\">\
         <b>{letters}</b><small>{ms}</small><small>{way}</small><template>{detail}</template></td>",
        escape(&cell.a),
        escape(&cell.b),
        escape(&summary(cell)),
    );
}

/// Returns the letters of a cell's pair, with a dash between them.
fn letters(cell: &Cell) -> String {
    let pair = cell.path.as_ref().map(|path| path.pair.to_string());
    pair.unwrap_or_default().replace('-', "–")
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
    let _ = match &cell.path {
        Some(path) => write!(
            text,
            "<li><b>{}</b>, {}, in {:.1} ms</li>",
            letters(cell),
            path.transport().about(),
            path.ms
        ),
        None => write!(text, "<li><b>no path</b></li>"),
    };
    let relays = cell.path.map(|path| path.relays).unwrap_or_default();
    for (side, way) in ["A", "B"].into_iter().zip(relays) {
        if let Some(way) = way {
            let _ = write!(
                text,
                "<li>{side} reaches its relay over {}</li>",
                way.name()
            );
        }
    }
    if !cell.agrees {
        let expected = cell.expected.join(" or ");
        let _ = write!(
            text,
            "<li><strong class=\"bad\">must be: {}</strong></li>",
            escape(&expected)
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
        "</ul>\n<p>The number is how many of the pairs.</p>\n\
         <h2>What the letters say</h2>\n\
         <p>The addresses that the path uses, first that of the line (A), then that of the column (B):</p>\n<dl>\n\
         <dt>H</dt><dd>the host’s own address</dd>\n\
         <dt>S</dt><dd>the address outside its NAT that a STUN server saw and told it</dd>\n\
         <dt>P</dt><dd>an address outside its NAT that the other host alone has seen</dd>\n\
         <dt>R</dt><dd>an address of the relay</dd>\n\
         <dt>t</dt><dd>behind H or P: a TCP connection between the two</dd>\n\
         <dt>udp, tcp, tls</dt><dd>how the relay is reached by the host that it is for</dd>\n</dl>\n\
         <p>The time is from when both agents began until data of each had come back; nothing in this network is far \
         away, so it is what the search itself takes.</p>\n</section>\n",
    );
}

const fn colour_in_words(transport: Transport) -> &'static str {
    match transport {
        Transport::Direct => {
            "<b>Direct.</b> Packets go from one to the other and nobody else carries them."
        }
        Transport::DirectTcp => {
            "<b>Direct, over TCP.</b> One of the networks lets no UDP out, and the other host has a public address, which takes a TCP connection."
        }
        Transport::RelayUdp => "<b>Relay, over UDP.</b> A TURN server hands every packet on.",
        Transport::RelayTcp => {
            "<b>Relay, over TCP.</b> UDP does not get out of one of the networks, so the way to the relay is a TCP connection."
        }
        Transport::RelayTls => {
            "<b>Relay, over TLS.</b> One of the networks lets nothing out but web traffic, so the way to the relay looks like that."
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
    use std::collections::BTreeMap;

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

    #[test]
    fn every_text_can_be_read_on_its_ground_in_both_modes() {
        let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").unwrap();
        for (mode, text) in [("light", light), ("dark", dark)] {
            let colours = colours(text);
            for (text, ground) in GROUNDS {
                let ratio = contrast(colours[*text], colours[*ground]);
                assert!(ratio >= 4.5, "{mode}: {text} on {ground} has {ratio:.2}");
            }
        }
    }

    #[test]
    fn no_text_has_a_colour_that_is_not_tried() {
        // A colour that shines through would have another contrast than the one that is computed.
        assert!(!STYLE.contains("opacity"));
        for rule in STYLE.split([';', '{', '}']).map(str::trim) {
            let Some(colour) = rule.strip_prefix("color: ") else {
                continue;
            };
            let name = colour
                .strip_prefix("var(--")
                .and_then(|it| it.strip_suffix(')'));
            let name = name.unwrap_or_else(|| panic!("{rule} is no name"));
            assert!(GROUNDS.iter().any(|(text, _)| *text == name), "{name}");
        }
    }

    /// Each text with each ground that it is written on.
    const GROUNDS: &[(&str, &str)] = &[
        ("ink", "paper"),
        ("ink", "card"),
        ("soft", "paper"),
        ("soft", "card"),
        ("good", "paper"),
        ("bad", "paper"),
        ("bad", "card"),
        ("paper", "ink"),
        ("direct-ink", "direct"),
        ("stream-ink", "stream"),
        ("udp-ink", "udp"),
        ("tcp-ink", "tcp"),
        ("tls-ink", "tls"),
        ("none-ink", "none"),
    ];

    /// Returns the colours that a part of the style defines.
    fn colours(text: &str) -> BTreeMap<&str, [u8; 3]> {
        let definitions = text.split([';', '{', '}']);
        let definition = |it| {
            let (name, value) = str::trim(it).strip_prefix("--")?.split_once(": #")?;
            let bits = u32::from_str_radix(value, 16).ok()?.to_be_bytes();
            let [_, red, green, blue] = bits;
            assert_eq!(value.len(), 6, "{name}");
            Some((name, [red, green, blue]))
        };
        definitions.filter_map(definition).collect()
    }

    /// Returns the contrast ratio of WCAG 2.2, from 1 to 21.
    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// Returns the relative luminance of WCAG 2.2.
    fn luminance(colour: [u8; 3]) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            match part <= 0.04045 {
                true => part / 12.92,
                false => ((part + 0.055) / 1.055).powf(2.4),
            }
        };
        let [red, green, blue] = colour.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn black_on_white_has_the_contrast_that_wcag_says() {
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
    }
}
