//! Fuzz targets: each takes bytes and asserts what must hold for all of them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fuzz target panics on purpose"
)]

use std::collections::VecDeque;
use std::path::{Component, Path};

use bytes::Bytes;
use jackfield_connect::Message;
use jackfield_connect::files::{self, EntryPath};
use jackfield_connect::stream::{self, Stream};

/// A message that is read reads the same when it is written; a path that is taken stays below its
/// folder, and so do those in a message.
pub fn messages(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(control) = files::Control::parse(text) {
        assert_eq!(
            files::Control::parse(&control.to_text()),
            Ok(control.clone())
        );
        if let files::Control::Entries { entries } = control {
            entries.iter().for_each(|entry| path(&entry.path));
        }
    }
    if let Ok(control) = stream::Control::parse(text) {
        assert_eq!(stream::Control::parse(&control.to_text()), Ok(control));
    }
    path(text);
}

fn path(text: &str) {
    let Ok(path) = text.parse::<EntryPath>() else {
        return;
    };
    assert_eq!(path.as_str(), text);
    let system = path.to_path();
    assert!(
        system
            .components()
            .all(|part| matches!(part, Component::Normal(_))),
        "{text}"
    );
    assert_eq!(system.components().count(), path.names().count());
    assert!(Path::new("/folder").join(&system).starts_with("/folder"));
}

/// Bytes are a play of two sides: writes, deliveries, takings, ends and cuts of the channel. What
/// is taken is what was written, in order, and when nothing more is cut, all of it arrives.
pub fn stream(data: &[u8]) {
    let mut play = Play::default();
    for byte in data {
        play.step(*byte);
    }
    play.settle();
}

#[derive(Default)]
struct Play {
    sides: [Side; 2],
}

#[derive(Default)]
struct Side {
    stream: Stream,
    /// Messages on the way to this side.
    coming: VecDeque<Message>,
    written: u8,
    taken: u8,
}

impl Play {
    fn step(&mut self, byte: u8) {
        let (ours, amount) = (usize::from(byte & 1), usize::from(byte >> 4) + 1);
        match byte >> 1 & 7 {
            0 | 1 => self.write(ours, amount),
            2 | 3 => self.send(ours, amount),
            4 => self.deliver(ours, amount),
            5 => self.take(ours, amount * 3000),
            6 => self.end(ours),
            _ => self.cut(),
        }
    }

    fn write(&mut self, ours: usize, amount: usize) {
        let side = &mut self.sides[ours];
        let count = (amount * 3000).min(side.stream.room());
        let bytes: Vec<u8> = (0..count)
            .map(|_| {
                side.written = side.written.wrapping_add(1);
                side.written
            })
            .collect();
        side.stream.write(Bytes::from(bytes));
    }

    fn send(&mut self, ours: usize, amount: usize) {
        for _ in 0..amount {
            let has_message = self.sides[ours].stream.has_message();
            let message = self.sides[ours].stream.poll_message();
            assert_eq!(has_message, message.is_some());
            self.sides[1 - ours].coming.extend(message);
        }
    }

    fn deliver(&mut self, ours: usize, amount: usize) {
        let side = &mut self.sides[ours];
        for message in side.coming.drain(..amount.min(side.coming.len())) {
            match message {
                Message::Binary(bytes) => side.stream.handle_bytes(bytes).unwrap(),
                Message::Text(text) => {
                    let control = stream::Control::parse(&text).unwrap();
                    side.stream.handle_control(&control).unwrap();
                }
            }
        }
    }

    fn take(&mut self, ours: usize, amount: usize) {
        let side = &mut self.sides[ours];
        let arrived = side.stream.arrived();
        let count = amount.min(arrived.len());
        for byte in arrived.slice(..count) {
            side.taken = side.taken.wrapping_add(1);
            assert_eq!(byte, side.taken, "what is taken is what was written");
        }
        side.stream.take(count);
        if side.stream.is_end_due() {
            side.stream.take_end();
        }
    }

    fn end(&mut self, ours: usize) {
        self.sides[ours].stream.end();
    }

    fn cut(&mut self) {
        let places = [self.sides[0].stream.place(), self.sides[1].stream.place()];
        for (side, place) in self.sides.iter_mut().zip([places[1], places[0]]) {
            side.coming.clear();
            side.stream.attach(place).unwrap();
        }
    }

    fn settle(&mut self) {
        self.end(0);
        self.end(1);
        let is_finished = |play: &Self| play.sides.iter().all(|side| side.stream.is_finished());
        for _ in 0..100_000 {
            if is_finished(self) {
                break;
            }
            for ours in [0, 1] {
                self.send(ours, 16);
                self.deliver(ours, 16);
                self.take(ours, usize::MAX);
            }
        }
        assert!(is_finished(self), "everything arrives in the end");
        assert_eq!(self.sides[0].taken, self.sides[1].written);
        assert_eq!(self.sides[1].taken, self.sides[0].written);
    }
}

#[cfg(test)]
mod tests {
    use jackfield_testing::replay;

    use super::*;

    #[test]
    fn the_corpus_of_messages_holds() {
        replay("connect_messages", 20_000, messages);
    }

    #[test]
    fn the_corpus_of_stream_holds() {
        replay("connect_stream", 3_000, stream);
    }
}
