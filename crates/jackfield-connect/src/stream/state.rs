//! How far a stream is: what to send on a channel, and what the other side may send.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::message::{Control, Place};
use crate::channel::Message;

/// One side of a stream, without any input or output.
#[derive(Debug, Default)]
pub struct Stream {
    outgoing: Outgoing,
    incoming: Incoming,
}

#[derive(Debug, Default)]
struct Outgoing {
    /// What the other side may not have, in order.
    pieces: VecDeque<Bytes>,
    /// The place in the stream of the first piece.
    first: u64,
    /// Which piece is sent next on this channel.
    next: usize,
    written: u64,
    /// Bytes that the other side has taken.
    taken: u64,
    is_ended: bool,
    is_end_sent: bool,
    is_end_acked: bool,
}

#[derive(Debug, Default)]
struct Incoming {
    /// Bytes that have arrived and were not taken.
    queue: VecDeque<Bytes>,
    place: Place,
    /// Taken bytes that the other side knows of.
    acked: u64,
    is_ended: bool,
    is_end_taken: bool,
    is_end_acked: bool,
}

/// How the other side broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It acknowledges bytes that were not sent, or takes an acknowledgement back.
    #[error("it acknowledges what was not sent")]
    Acknowledgement,
    /// It sends more than it may without an acknowledgement.
    #[error("it sends without waiting for acknowledgements")]
    Window,
    /// It sends after its end.
    #[error("it sends after its end")]
    AfterEnd,
    /// It sends a message that has no place here.
    #[error("it sends a message that has no place here")]
    Unexpected,
}

impl Stream {
    /// Returns how far the incoming direction is, for [`Control::Open`] and [`Control::Opened`].
    #[must_use]
    pub fn place(&self) -> Place {
        self.incoming.place
    }

    /// Begins on a new channel; `place` is what the other side says of its incoming direction, and
    /// [`Stream::place`] was sent to it.
    ///
    /// # Errors
    /// [`Violation::Acknowledgement`] if it cannot have got there.
    pub fn attach(&mut self, place: Place) -> Result<(), Violation> {
        // Bytes that were received are not kept. A side that has lost them, as a program that was
        // started again has, would get the stream with a gap.
        if place.received < self.outgoing.first {
            return Err(Violation::Acknowledgement);
        }
        self.outgoing.acknowledge(place)?;
        self.outgoing.next = 0;
        self.outgoing.is_end_sent = false;
        self.incoming.acked = self.incoming.place.taken;
        self.incoming.is_end_acked = false;
        Ok(())
    }

    /// Returns how many bytes may be written now.
    #[must_use]
    pub fn room(&self) -> usize {
        let outgoing = &self.outgoing;
        if outgoing.is_ended {
            return 0;
        }
        let untaken = usize::try_from(outgoing.written - outgoing.taken).unwrap_or(usize::MAX);
        WINDOW.saturating_sub(untaken)
    }

    /// Takes bytes to send, of which there are at most [`Stream::room`].
    pub fn write(&mut self, mut bytes: Bytes) {
        debug_assert!(
            bytes.len() <= self.room(),
            "the caller asks for the room first"
        );
        self.outgoing.written += bytes.len() as u64;
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            self.outgoing.pieces.push_back(piece);
        }
    }

    /// Ends our direction after the bytes that were written.
    pub fn end(&mut self) {
        self.outgoing.is_ended = true;
    }

    /// Returns bytes that have arrived and were not taken; none if there are none.
    #[must_use]
    pub fn arrived(&self) -> Bytes {
        self.incoming.queue.front().cloned().unwrap_or_default()
    }

    /// Says that the first `count` bytes of [`Stream::arrived`] were taken.
    pub fn take(&mut self, count: usize) {
        let incoming = &mut self.incoming;
        if let Some(piece) = incoming.queue.front_mut() {
            let count = count.min(piece.len());
            piece.advance(count);
            incoming.place.taken += count as u64;
            if piece.is_empty() {
                incoming.queue.pop_front();
            }
        }
    }

    /// Returns whether the other side has ended its direction, all bytes of it are taken, and
    /// [`Stream::take_end`] is to be called.
    #[must_use]
    pub fn is_end_due(&self) -> bool {
        let incoming = &self.incoming;
        incoming.is_ended && incoming.queue.is_empty() && !incoming.is_end_taken
    }

    /// Says that the end of the other side's direction was taken.
    pub fn take_end(&mut self) {
        self.incoming.is_end_taken = self.incoming.is_ended && self.incoming.queue.is_empty();
    }

    /// Returns whether both directions have ended, and both sides know it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.outgoing.is_end_acked && self.incoming.is_end_taken && self.incoming.is_end_acked
    }

    /// Returns whether [`Stream::poll_message`] has a message.
    #[must_use]
    pub fn has_message(&self) -> bool {
        let outgoing = &self.outgoing;
        self.due_ack().is_some() || outgoing.next < outgoing.pieces.len() || outgoing.is_end_due()
    }

    /// Returns the next message to send, if there is one.
    pub fn poll_message(&mut self) -> Option<Message> {
        if let Some(end) = self.due_ack() {
            let taken = self.incoming.place.taken;
            self.incoming.acked = taken;
            self.incoming.is_end_acked |= end;
            return Some(Message::Text(Control::Ack { taken, end }.to_text()));
        }
        let outgoing = &mut self.outgoing;
        if let Some(piece) = outgoing.pieces.get(outgoing.next) {
            outgoing.next += 1;
            return Some(Message::Binary(piece.clone()));
        }
        if outgoing.is_end_due() {
            outgoing.is_end_sent = true;
            return Some(Message::Text(Control::End.to_text()));
        }
        None
    }

    /// Takes a control message of the other side.
    ///
    /// # Errors
    /// [`Violation`] says what the other side did wrong.
    pub fn handle_control(&mut self, control: &Control) -> Result<(), Violation> {
        match *control {
            Control::Ack { taken, end } => {
                let outgoing = &mut self.outgoing;
                outgoing.acknowledge(Place {
                    received: taken,
                    taken,
                })?;
                if end && (!outgoing.is_ended || taken != outgoing.written) {
                    return Err(Violation::Acknowledgement);
                }
                outgoing.is_end_acked |= end;
                Ok(())
            }
            Control::End => {
                self.incoming.is_ended = true;
                Ok(())
            }
            Control::Open { .. } | Control::Opened { .. } | Control::Close { .. } => {
                Err(Violation::Unexpected)
            }
        }
    }

    /// Takes bytes of the other side.
    ///
    /// # Errors
    /// [`Violation`] says what the other side did wrong.
    pub fn handle_bytes(&mut self, bytes: Bytes) -> Result<(), Violation> {
        let incoming = &mut self.incoming;
        if incoming.is_ended {
            return Err(Violation::AfterEnd);
        }
        incoming.place.received += bytes.len() as u64;
        if incoming.place.received - incoming.place.taken > WINDOW as u64 {
            return Err(Violation::Window);
        }
        match incoming.queue.back_mut() {
            _ if bytes.is_empty() => {}
            // The window counts bytes: in messages of one byte each, it would take a hundred times
            // its size.
            Some(last) if bytes.len() < SMALL && last.len() < PIECE => {
                let mut joined = BytesMut::from(std::mem::take(last));
                joined.extend_from_slice(&bytes);
                *last = joined.freeze();
            }
            _ => incoming.queue.push_back(bytes),
        }
        Ok(())
    }

    /// Returns whether an acknowledgement is due, and whether it is that of the end.
    fn due_ack(&self) -> Option<bool> {
        let incoming = &self.incoming;
        let end = incoming.is_end_taken && !incoming.is_end_acked;
        (end || incoming.place.taken - incoming.acked >= ACK_EVERY).then_some(end)
    }
}

impl Outgoing {
    fn is_end_due(&self) -> bool {
        self.is_ended && !self.is_end_sent && !self.is_end_acked
    }

    fn acknowledge(&mut self, place: Place) -> Result<(), Violation> {
        let Place { received, taken } = place;
        if taken < self.taken || taken > received || received > self.written {
            return Err(Violation::Acknowledgement);
        }
        self.taken = taken;
        while self.first < received
            && let Some(piece) = self.pieces.front_mut()
        {
            let most = usize::try_from(received - self.first).unwrap_or(usize::MAX);
            let gone = most.min(piece.len());
            piece.advance(gone);
            self.first += gone as u64;
            if piece.is_empty() {
                self.pieces.pop_front();
                self.next = self.next.saturating_sub(1);
            }
        }
        Ok(())
    }
}

/// Bytes that a side may send before the other side has taken the first of them.
const WINDOW: usize = 4 << 20;

/// Bytes are acknowledged when so many were taken.
const ACK_EVERY: u64 = 256 << 10;

/// Bytes of one message; every browser takes it.
pub(super) const PIECE: usize = 16 << 10;

/// Shorter messages are kept together with the one before, if it was not taken yet.
const SMALL: usize = 1 << 10;
