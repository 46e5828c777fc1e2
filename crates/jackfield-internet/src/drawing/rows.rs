//! The rows of a picture.

use std::time::Duration;

use jackfield_nat::packet::{Headers, Transport, describe};
use jackfield_nat::{HoldReason, Verdict};

use super::Drawing;
use crate::trace::{HopOutcome, TraceEvent, TraceKind};
use crate::world::{InterfaceId, NodeId};

/// A row of the picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    Note(String),
    Hop(Hop),
}

/// A hop of a packet from one machine to the next.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hop {
    pub(super) at: Duration,
    /// The column it leaves from.
    pub(super) from: usize,
    /// The column it goes to, if it is known.
    pub(super) to: Option<usize>,
    pub(super) label: String,
    pub(super) endpoints: Option<Endpoints>,
    pub(super) end: End,
}

/// The source and destination, and whether the machine that sent the packet on has just changed
/// them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Endpoints {
    pub(super) source: String,
    pub(super) source_is_new: bool,
    pub(super) destination: String,
    pub(super) destination_is_new: bool,
}

/// How a hop ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    Arrives,
    /// The NAT at the end drops it.
    Dropped(String),
    /// The NAT at the end holds it.
    Held(String),
    /// It does not arrive.
    Vanishes(String),
}

impl Row {
    /// Returns whether a NAT has changed something that the row shows.
    pub(super) fn is_translated(&self) -> bool {
        let Self::Hop(Hop {
            endpoints: Some(endpoints),
            ..
        }) = self
        else {
            return false;
        };
        endpoints.source_is_new || endpoints.destination_is_new
    }

    pub(super) fn height(&self) -> f64 {
        match self {
            Self::Note(_) => 40.0,
            Self::Hop(_) => 58.0,
        }
    }
}

impl Drawing<'_> {
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut notes = self.notes.clone();
        notes.sort_by_key(|(at, _)| *at);
        let mut notes = notes.into_iter().peekable();
        let mut rows = Vec::new();
        for (index, event) in self.world.trace.events().iter().enumerate() {
            while let Some((_, text)) = notes.next_if(|(at, _)| *at <= event.at) {
                rows.push(Row::Note(text));
            }
            rows.extend(self.hop(index, event).map(Row::Hop));
        }
        rows.extend(notes.map(|(_, text)| Row::Note(text)));
        rows
    }

    fn hop(&self, index: usize, event: &TraceEvent) -> Option<Hop> {
        let TraceKind::Hop {
            from,
            outcome,
            arrives,
        } = event.kind
        else {
            return None;
        };
        let sender = self.node_of(from)?;
        let receiver = match outcome {
            HopOutcome::Arrived(to) => Some(self.node_of(to)?),
            _ => None,
        };
        let to = match receiver {
            Some(node) => Some(self.column_of(node)?),
            None => None,
        };
        let end = match (outcome, receiver) {
            (HopOutcome::Arrived(_), Some(node)) => self.end_at(index, arrives, node, &event.bytes),
            (HopOutcome::Lost, _) => End::Vanishes("lost".to_owned()),
            (HopOutcome::QueueFull, _) => End::Vanishes("queue full".to_owned()),
            (HopOutcome::TooBig, _) => End::Vanishes("too big".to_owned()),
            (HopOutcome::Down, _) => End::Vanishes("interface down".to_owned()),
            (HopOutcome::NoRoute | HopOutcome::Arrived(_), _) => {
                End::Vanishes("no route".to_owned())
            }
        };
        Some(Hop {
            at: event.at,
            from: self.column_of(sender)?,
            to,
            label: label(&event.bytes),
            endpoints: self.endpoints(index, sender, event),
            end,
        })
    }

    /// Returns what a NAT did with a packet that arrived at it.
    fn end_at(&self, index: usize, arrives: Duration, node: NodeId, bytes: &[u8]) -> End {
        let later = self.world.trace.events().iter().skip(index + 1);
        let mut verdicts = later.take_while(|event| event.at <= arrives);
        let verdict = verdicts.find_map(|event| match event.kind {
            TraceKind::Verdict { by, verdict, .. }
                if by == node && event.at == arrives && event.bytes == bytes =>
            {
                Some(verdict)
            }
            _ => None,
        });
        match verdict {
            Some(Verdict::Drop(reason)) => End::Dropped(reason.name().replace('-', " ")),
            Some(Verdict::Hold(HoldReason::UnsolicitedSyn)) => {
                End::Held("held: who asked?".to_owned())
            }
            Some(Verdict::Hold(HoldReason::Fragment)) => {
                End::Held("held: no first fragment".to_owned())
            }
            Some(Verdict::Hold(HoldReason::Fragmented)) => End::Held("cut in pieces".to_owned()),
            Some(Verdict::Forward | Verdict::Hairpin) | None => End::Arrives,
        }
    }

    fn endpoints(&self, index: usize, sender: NodeId, event: &TraceEvent) -> Option<Endpoints> {
        let headers = Headers::parse_quoted(&event.bytes).ok()?;
        let (source, destination) = ends(&headers);
        let before = self.before_translation(index, sender, event);
        let before = before.map(|headers| ends(&headers));
        let is_new = |now: &String, then: Option<&String>| then.is_some_and(|then| then != now);
        Some(Endpoints {
            source_is_new: is_new(&source, before.as_ref().map(|it| &it.0)),
            destination_is_new: is_new(&destination, before.as_ref().map(|it| &it.1)),
            source,
            destination,
        })
    }

    /// Returns the headers of a packet before the NAT that sends it on changed them.
    fn before_translation(&self, index: usize, nat: NodeId, event: &TraceEvent) -> Option<Headers> {
        let earlier = self.world.trace.events().get(..index)?;
        let judged = earlier.iter().rev().take_while(|it| it.at == event.at);
        let last = judged.filter_map(|it| match it.kind {
            TraceKind::Verdict { by, verdict, .. } if by == nat => Some((verdict, it)),
            _ => None,
        });
        match last.into_iter().next()? {
            (Verdict::Forward | Verdict::Hairpin, it) => Headers::parse_quoted(&it.bytes).ok(),
            (Verdict::Drop(_) | Verdict::Hold(_), _) => None,
        }
    }

    fn node_of(&self, interface: InterfaceId) -> Option<NodeId> {
        self.world.interfaces.get(interface.0).map(|it| it.node)
    }

    fn column_of(&self, node: NodeId) -> Option<usize> {
        self.columns.iter().position(|column| *column == node)
    }
}

fn ends(headers: &Headers) -> (String, String) {
    match (headers.source_endpoint(), headers.destination_endpoint()) {
        (Some(source), Some(destination)) => (source.to_string(), destination.to_string()),
        _ => (headers.source.to_string(), headers.destination.to_string()),
    }
}

/// Returns the text of a packet: its data if that is text, else its kind and size.
fn label(bytes: &[u8]) -> String {
    words(bytes).unwrap_or_else(|| describe(bytes))
}

fn words(bytes: &[u8]) -> Option<String> {
    let headers = Headers::parse(bytes).ok()?;
    let data = bytes.get(headers.data_at(bytes)..headers.length)?;
    let Transport::Udp { .. } = headers.transport else {
        return None;
    };
    let text = std::str::from_utf8(data).ok()?;
    let plain =
        (1..=MOST_LETTERS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    plain.then(|| format!("“{text}”"))
}

const MOST_LETTERS: usize = 40;
