//! Words on a terminal: colours, marks, and lines broken to its width.

use super::{Line, Words};
use crate::conclusions::Health;

/// How to write to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Its width in columns.
    pub width: usize,
    /// Whether there are colours.
    pub colour: bool,
}

impl Style {
    /// Returns the style for standard output: colours if it is a terminal and NO_COLOR does not
    /// forbid them, and as many columns as COLUMNS says, from 60 to 100; 90 if it does not.
    #[must_use]
    pub fn of_stdout() -> Self {
        use std::io::IsTerminal;
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        Self {
            width: columns.unwrap_or(90_usize).clamp(60, 100),
            colour: std::io::stdout().is_terminal() && variable("NO_COLOR").is_none() && !dumb,
        }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// How a health looks.
impl Health {
    /// Returns the mark of a line, four characters wide.
    fn mark(self) -> &'static str {
        match self {
            Self::Ok => " ok ",
            Self::Note => "  - ",
            Self::Degraded => "  ! ",
            Self::Broken => " no ",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok | Self::Note => "OK",
            Self::Degraded => "DEGRADED",
            Self::Broken => "BROKEN",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Note => "36",
            Self::Degraded => "33",
            Self::Broken => "31",
        }
    }
}

/// Returns all words as text.
#[must_use]
pub fn render(words: &Words, style: Style) -> String {
    let mut out = String::new();
    let word = format!("[{}]", words.health.word());
    let text = format!("{} {}", word, words.verdict);
    let painted = style.paint(words.health.colour(), &word);
    let head = style.paint(BOLD, "VERDICT");
    paragraph(&mut out, "VERDICT  ", &head, &text, style.width, |line| {
        line.replacen(&word, &painted, 1)
    });
    out.push('\n');
    out.push_str(&render_lines(&words.lines, style));
    list(&mut out, "WHY NOT", &words.why_not, false, style);
    list(&mut out, "DO", &words.advice, true, style);
    out
}

/// Returns the verdict alone, in one line.
#[must_use]
pub fn render_verdict(words: &Words, style: Style) -> String {
    let word = format!("[{}]", words.health.word());
    let painted = style.paint(words.health.colour(), &word);
    format!("{painted} {}", words.verdict)
}

/// Appends sentences under a head, numbered or not.
fn list(out: &mut String, head: &str, items: &[String], numbered: bool, style: Style) {
    if !items.is_empty() {
        out.push('\n');
    }
    for (index, item) in items.iter().enumerate() {
        let head = if index == 0 { head } else { "" };
        let number = if numbered {
            format!("{}) ", index + 1)
        } else {
            String::new()
        };
        let lead = format!("{head:9}{number}");
        let rest = lead.get(head.len()..).unwrap_or_default().trim_end();
        let painted = format!("{}{rest}", style.paint(BOLD, head));
        paragraph(out, &lead, &painted, item, style.width, str::to_owned);
    }
}

/// Returns lines as text: what was seen, and below it what was tried and what it means.
pub fn render_lines(lines: &[Line], style: Style) -> String {
    let mut out = String::new();
    for line in lines {
        let mark = line.health.mark();
        let head = format!("{mark} {:13}", line.topic);
        let painted = format!(
            "{} {}",
            style.paint(line.health.colour(), mark),
            style.paint(BOLD, line.topic)
        );
        paragraph(
            &mut out,
            &head,
            &painted,
            &line.seen,
            style.width,
            str::to_owned,
        );
        let below = [line.tried.as_str(), line.means.as_str()];
        let below: Vec<&str> = below.into_iter().filter(|text| !text.is_empty()).collect();
        if !below.is_empty() {
            let blank = " ".repeat(head.len());
            let dim = |line: &str| style.paint(DIM, line);
            paragraph(&mut out, &blank, "", &below.join(" "), style.width, dim);
        }
    }
    out
}

/// Appends a text with a head at its left, broken into lines between words. `painted` is the head
/// as it looks, without the blanks at its end; `paint` makes each line of the text look its way.
fn paragraph(
    out: &mut String,
    head: &str,
    painted: &str,
    text: &str,
    width: usize,
    paint: impl Fn(&str) -> String,
) {
    let indent = head.chars().count();
    let blanks = indent - head.trim_end().chars().count();
    let room = width.saturating_sub(indent).max(20);
    for (index, line) in wrap(text, room).into_iter().enumerate() {
        if index == 0 && !painted.is_empty() {
            out.push_str(painted);
            out.push_str(&" ".repeat(blanks));
        } else {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&paint(&line));
        out.push('\n');
    }
}

/// Breaks a text between words into lines of at most `room` characters; a longer word has a line
/// of its own.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Codes of ECMA-48's "select graphic rendition".
const BOLD: &str = "1";
const DIM: &str = "2";

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let long = "a sentence that is longer than a terminal is wide, so that it has to be broken \
                    somewhere between words";
        let line = |topic, health, seen: &str, tried: &str, means: &str| Line {
            topic,
            health,
            seen: seen.to_owned(),
            tried: tried.to_owned(),
            means: means.to_owned(),
        };
        Words {
            health: Health::Degraded,
            verdict: long.to_owned(),
            why_not: vec![long.to_owned(), "short".to_owned()],
            advice: vec![long.to_owned(), "brief".to_owned()],
            lines: vec![
                line("UDP v4", Health::Ok, "answered", long, "It works."),
                line("hairpinning", Health::Broken, long, "", ""),
            ],
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_colours_change_no_letter() {
        for width in [60, 80, 100] {
            let plain = render(
                &words(),
                Style {
                    width,
                    colour: false,
                },
            );
            assert!(!plain.contains('\u{1b}'));
            for line in plain.lines() {
                assert!(line.chars().count() <= width, "{line}");
                assert_eq!(line.trim_end(), line);
            }
            let coloured = render(
                &words(),
                Style {
                    width,
                    colour: true,
                },
            );
            assert!(coloured.contains('\u{1b}'));
            assert_eq!(strip(&coloured), plain);
        }
    }

    #[test]
    fn heads_stand_once_and_advice_is_numbered() {
        let text = render(
            &words(),
            Style {
                width: 100,
                colour: false,
            },
        );
        assert!(text.starts_with("VERDICT  [DEGRADED] a sentence"), "{text}");
        assert_eq!(text.matches("WHY NOT").count(), 1);
        assert!(text.contains("\nDO       1) a sentence"), "{text}");
        assert!(text.contains("\n         2) brief"), "{text}");
        assert!(text.contains("\n ok  UDP v4       answered"), "{text}");
    }

    /// Returns a text without the codes of its colours.
    fn strip(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, code)) = rest.split_once('\u{1b}') {
            out.push_str(before);
            rest = code.split_once('m').map_or("", |(_, after)| after);
        }
        out.push_str(rest);
        out
    }
}
