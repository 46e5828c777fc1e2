//! Sequence diagrams as SVG pictures.

mod canvas;
mod rows;
mod style;

use std::time::Duration;

use super::world::{NodeId, NodeKind, World};
use canvas::Canvas;
use jackfield_nat::Address;
use rows::{End, Endpoints, Hop, Row};

/// A sequence diagram of the trace of a world, to be drawn as SVG.
///
/// The picture has a background of its own, follows the light or dark scheme of the reader, and is
/// legible at a width of 900 pixels.
///
/// ```
/// use jackfield_internet::{Echo, Link, World};
///
/// let mut world = World::new(std::time::Instant::now(), 7);
/// let lan = world.network("lan", Link::default());
/// let alice = world.host("alice", lan, "192.0.2.1".parse()?, Echo::default());
/// let bob = world.host("bob", lan, "192.0.2.2".parse()?, Echo::default());
/// world.send(alice, 5000, "192.0.2.2:7".parse()?, b"hello");
/// world.run_for(std::time::Duration::from_secs(1));
/// let svg = world.drawing().title("An echo").columns([alice, bob]).svg();
/// assert!(svg.starts_with("<svg") && svg.contains("“hello”"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Drawing<'a> {
    world: &'a World,
    title: String,
    columns: Vec<NodeId>,
    abouts: Vec<(NodeId, String)>,
    notes: Vec<(Duration, String)>,
}

impl World {
    /// Begins a picture of the trace, with a column for each machine.
    pub fn drawing(&self) -> Drawing<'_> {
        Drawing {
            world: self,
            title: String::new(),
            columns: (0..self.nodes.len()).map(NodeId).collect(),
            abouts: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Draws the trace as SVG; see [`World::drawing`] for options.
    #[must_use]
    pub fn diagram_svg(&self) -> String {
        self.drawing().svg()
    }
}

impl Drawing<'_> {
    /// Sets the title.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.title = title.to_owned();
        self
    }

    /// Sets the columns, from left to right; other machines are not shown.
    pub fn columns<T: Into<NodeId>>(mut self, nodes: impl IntoIterator<Item = T>) -> Self {
        self.columns = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the text below the name of a machine.
    pub fn about(mut self, node: impl Into<NodeId>, about: &str) -> Self {
        self.abouts.push((node.into(), about.to_owned()));
        self
    }

    /// Adds a line of text before the events from `at` on, a time since the world began.
    #[must_use]
    pub fn note(mut self, at: Duration, text: &str) -> Self {
        self.notes.push((at, text.to_owned()));
        self
    }

    /// Draws the picture.
    pub fn svg(&self) -> String {
        let rows = self.rows();
        let header = if self.title.is_empty() { 14.0 } else { 46.0 };
        let top = header + HEAD_HEIGHT;
        let height = top + 16.0 + rows.iter().map(Row::height).sum::<f64>() + 14.0;
        let mut canvas = Canvas::new(WIDTH, height, &self.title);
        if !self.title.is_empty() {
            canvas.text("title", 20.0, 30.0, "start", &self.title);
        }
        if header > 40.0 && rows.iter().any(Row::is_translated) {
            let x = WIDTH - MARGIN - 4.0;
            canvas.spans_to(x, 30.0, &[("new", "changed by the NAT")]);
        }
        self.draw_networks(&mut canvas, header, height);
        for column in 0..self.columns.len() {
            let x = self.x(column);
            canvas.line("life", (x, top), (x, height - 12.0));
        }
        for (column, node) in self.columns.iter().enumerate() {
            self.draw_head(&mut canvas, header, column, *node);
        }
        let mut y = top + 16.0;
        let mut last_time = None;
        for row in &rows {
            match row {
                Row::Note(text) => draw_note(&mut canvas, y, text),
                Row::Hop(hop) => {
                    let time = time(hop.at);
                    if last_time.as_ref() != Some(&time) {
                        canvas.text("time", GUTTER - 8.0, y + LINE_AT + 4.0, "end", &time);
                    }
                    last_time = Some(time);
                    self.draw_hop(&mut canvas, y, hop);
                }
            }
            y += row.height();
        }
        canvas.finish()
    }

    /// Shades the columns behind each NAT.
    fn draw_networks(&self, canvas: &mut Canvas, header: f64, height: f64) {
        for (column, node) in self.columns.iter().enumerate() {
            let Some(NodeKind::Nat { inside, .. }) =
                self.world.nodes.get(node.0).map(|it| &it.kind)
            else {
                continue;
            };
            let network = self.world.interfaces.get(inside.0).map(|it| it.network);
            let is_inside = |node: &NodeId| {
                let mut interfaces = self.world.interfaces.iter();
                interfaces.any(|it| it.node == *node && Some(it.network) == network && it.is_up)
            };
            let members = self.columns.iter().enumerate();
            let members = members.filter(|(_, other)| *other != node && is_inside(other));
            let members: Vec<usize> = members.map(|(column, _)| column).collect();
            let (Some(first), Some(last)) = (members.first(), members.last()) else {
                continue;
            };
            let half = self.spacing() / 2.0 - 3.0;
            let (mut left, mut right) = (self.x(*first) - half, self.x(*last) + half);
            if column < *first {
                left = self.x(column);
            } else {
                right = self.x(column);
            }
            canvas.rect(
                "inside",
                (left, header - 6.0),
                (right - left, height - header - 2.0),
                10.0,
            );
        }
    }

    fn draw_head(&self, canvas: &mut Canvas, top: f64, column: usize, node: NodeId) {
        let Some(machine) = self.world.nodes.get(node.0) else {
            return;
        };
        let (class, addresses) = match &machine.kind {
            NodeKind::Host(_) => ("host", self.addresses(node)),
            NodeKind::Nat { nat, .. } => {
                let externals = nat.config().externals.iter();
                ("nat", externals.map(ToString::to_string).collect())
            }
            NodeKind::Router { .. } => ("host", Vec::new()),
        };
        let about = self.abouts.iter().find(|(of, _)| *of == node);
        let x = self.x(column);
        let width = (self.spacing() - 12.0).min(168.0);
        canvas.rect(class, (x - width / 2.0, top), (width, HEAD_HEIGHT), 9.0);
        let mut lines = vec![("name", machine.name.clone())];
        lines.extend(about.map(|(_, about)| ("about", about.clone())));
        lines.extend(addresses.into_iter().take(1).map(|it| ("address", it)));
        let mut y = top + HEAD_HEIGHT / 2.0 + 4.5 - 8.0 * (lines.len() - 1) as f64;
        for (class, text) in lines {
            canvas.text(class, x, y, "middle", &text);
            y += 16.0;
        }
    }

    fn addresses(&self, node: NodeId) -> Vec<String> {
        let mine = self.world.interfaces.iter();
        let mine = mine.filter(|it| it.node == node && it.is_up);
        mine.flat_map(|it| it.addresses.iter().map(Address::to_string))
            .collect()
    }

    fn draw_hop(&self, canvas: &mut Canvas, top: f64, hop: &Hop) {
        let (from, to) = (self.x(hop.from), self.x(hop.to.unwrap_or(hop.from)));
        let rightwards = if hop.to.is_some() {
            to > from
        } else {
            hop.from + 1 < self.columns.len()
        };
        let sign = if rightwards { 1.0 } else { -1.0 };
        let (class, reason) = match &hop.end {
            End::Arrives => ("hop", None),
            End::Held(why) => ("held", Some(why)),
            End::Dropped(why) | End::Vanishes(why) => ("drop", Some(why)),
        };
        let y = top + LINE_AT;
        let start = from + sign * 3.0;
        let end = match hop.end {
            End::Arrives => to - sign * 2.0,
            End::Held(_) | End::Dropped(_) => to - sign * 8.0,
            // The packet ended somewhere on the link.
            End::Vanishes(_) if hop.to.is_some() => from + (to - from) * 0.6,
            End::Vanishes(_) => from + sign * self.spacing() * 0.5,
        };
        canvas.arrow(class, (start, y), (end, y), hop.end == End::Arrives);
        canvas.dot(class, (from, y));
        let middle = f64::midpoint(from, if hop.to.is_some() { to } else { end });
        canvas.text("label", middle, y - 6.0, "middle", &hop.label);
        if let Some(endpoints) = &hop.endpoints {
            let room = (to - from).abs().max(self.spacing()) - 14.0;
            draw_endpoints(canvas, middle, y + 13.0, room, endpoints);
        }
        if let Some(reason) = reason {
            if class == "drop" {
                canvas.cross((end + sign * 4.0, y));
            } else {
                canvas.dot(class, (end + sign * 4.0, y));
            }
            self.draw_reason(canvas, class, end + sign * 4.0, y, sign, reason);
        }
    }

    /// Writes why a packet ended, beyond the machine that ended it or, at the margin, above it.
    fn draw_reason(&self, canvas: &mut Canvas, class: &str, x: f64, y: f64, sign: f64, why: &str) {
        let width = Canvas::width_of(why, 11.5) + 16.0;
        let beyond = x + sign * (12.0 + width / 2.0);
        let fits = (GUTTER + width / 2.0..WIDTH - width / 2.0 - 4.0).contains(&beyond);
        let (x, y) = if fits { (beyond, y) } else { (x, y - 19.0) };
        let class = format!("{class}-pill");
        canvas.pill(&class, (x, y), width, why);
    }

    fn spacing(&self) -> f64 {
        (WIDTH - GUTTER - MARGIN) / self.columns.len().max(1) as f64
    }

    fn x(&self, column: usize) -> f64 {
        GUTTER + self.spacing() * (column as f64 + 0.5)
    }
}

fn draw_note(canvas: &mut Canvas, top: f64, text: &str) {
    let left = GUTTER - 44.0;
    canvas.rect(
        "note",
        (left, top + 6.0),
        (WIDTH - left - MARGIN, 25.0),
        6.0,
    );
    canvas.text("note-text", left + 12.0, top + 23.0, "start", text);
}

/// Writes source and destination below an arrow, on one line if there is room. What a NAT has just
/// changed stands out.
fn draw_endpoints(canvas: &mut Canvas, x: f64, y: f64, room: f64, endpoints: &Endpoints) {
    let class = |changed| if changed { "new" } else { "end" };
    let source = (class(endpoints.source_is_new), endpoints.source.as_str());
    let arrow = ("end", " → ");
    let destination = (
        class(endpoints.destination_is_new),
        endpoints.destination.as_str(),
    );
    let letters = endpoints.source.len() + endpoints.destination.len() + 3;
    if letters as f64 * 6.1 <= room {
        canvas.spans(x, y, &[source, arrow, destination]);
    } else {
        canvas.spans(x, y, &[source]);
        canvas.spans(x, y + 12.5, &[("end", "→ "), destination]);
    }
}

fn time(at: Duration) -> String {
    let millis = at.as_secs_f64() * 1000.0;
    if millis < 1000.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.2} s", at.as_secs_f64())
    }
}

const WIDTH: f64 = 900.0;
/// The width of the times on the left.
const GUTTER: f64 = 60.0;
const MARGIN: f64 = 16.0;
const HEAD_HEIGHT: f64 = 62.0;
/// The distance of a row's arrow from the top of the row.
const LINE_AT: f64 = 22.0;

#[cfg(test)]
mod tests;
