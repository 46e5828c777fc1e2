//! An SVG document under construction.

use std::fmt::Write;

use super::style::STYLE;

pub(super) struct Canvas {
    text: String,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut canvas = Self {
            text: String::new(),
        };
        let _ = writeln!(
            canvas.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">"
        );
        if !title.is_empty() {
            let _ = writeln!(canvas.text, "<title>{}</title>", escape(title));
        }
        let _ = writeln!(canvas.text, "<style>\n{STYLE}</style>");
        canvas.rect("bg", (0.5, 0.5), (width - 1.0, height - 1.0), 12.0);
        canvas
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    pub(super) fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64), radius: f64) {
        let ((x, y), (width, height)) = (at, size);
        let _ = writeln!(
            self.text,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius:.1}\"/>"
        );
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = writeln!(
            self.text,
            "<path class=\"{class}\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// Draws a line, with an arrowhead if the packet arrives.
    pub(super) fn arrow(&mut self, class: &str, from: (f64, f64), to: (f64, f64), head: bool) {
        let sign = if to.0 > from.0 { 1.0 } else { -1.0 };
        let neck = if head { to.0 - sign * 8.0 } else { to.0 };
        self.line(class, from, (neck, to.1));
        if head {
            let _ = writeln!(
                self.text,
                "<polygon class=\"{class}\" stroke=\"none\" points=\"{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\"/>",
                to.0,
                to.1,
                to.0 - sign * 10.0,
                to.1 - 4.5,
                to.0 - sign * 10.0,
                to.1 + 4.5
            );
        }
    }

    pub(super) fn dot(&mut self, class: &str, at: (f64, f64)) {
        let _ = writeln!(
            self.text,
            "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.6\"/>",
            at.0, at.1
        );
    }

    pub(super) fn cross(&mut self, (x, y): (f64, f64)) {
        let _ = writeln!(
            self.text,
            "<path class=\"cross\" d=\"M{:.1} {:.1}L{:.1} {:.1}M{:.1} {:.1}L{:.1} {:.1}\"/>",
            x - 5.0,
            y - 5.0,
            x + 5.0,
            y + 5.0,
            x - 5.0,
            y + 5.0,
            x + 5.0,
            y - 5.0
        );
    }

    pub(super) fn pill(&mut self, class: &str, (x, y): (f64, f64), width: f64, text: &str) {
        self.rect(class, (x - width / 2.0, y - 10.0), (width, 20.0), 10.0);
        self.text("pill-text", x, y + 4.0, "middle", text);
    }

    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.text,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// Writes consecutive pieces of text, each with a class, centred.
    pub(super) fn spans(&mut self, x: f64, y: f64, spans: &[(&str, &str)]) {
        self.anchored_spans(x, y, "middle", spans);
    }

    /// Writes consecutive pieces of text, each with a class, that end at `x`.
    pub(super) fn spans_to(&mut self, x: f64, y: f64, spans: &[(&str, &str)]) {
        self.anchored_spans(x, y, "end", spans);
    }

    fn anchored_spans(&mut self, x: f64, y: f64, anchor: &str, spans: &[(&str, &str)]) {
        let _ = write!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" xml:space=\"preserve\">"
        );
        for (class, text) in spans {
            let text = escape(text);
            let _ = write!(self.text, "<tspan class=\"{class}\">{text}</tspan>");
        }
        self.text.push_str("</text>\n");
    }

    /// Returns the approximate width of a text.
    pub(super) fn width_of(text: &str, size: f64) -> f64 {
        text.chars().count() as f64 * size * 0.56
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}
