//! From the peer's bytes to events.

use bytes::Bytes;

use super::assembly::Assembly;
use super::{Connection, Event, Payload, Stage};
use crate::close::CloseFrame;
use crate::deflate::{reclaim_inflater, take_inflater};
use crate::frame::{Header, OpCode};
use crate::{Kind, Violation, mask};

impl Connection {
    /// Takes bytes off the front of `input` until they make an event; `None` says that all of
    /// `input` is used.
    ///
    /// Call it until it returns `None`. After [`Event::Close`] or [`Event::Failed`] input is
    /// discarded.
    pub fn receive(&mut self, input: &mut &[u8]) -> Option<Event> {
        while self.over.is_none() {
            let step = match self.stage {
                Stage::Header => match self.read_header(input) {
                    Ok(Some(header)) => self.start_frame(&header).map(|()| None),
                    Ok(None) => return None,
                    Err(violation) => Err(violation),
                },
                Stage::Control(payload) => self.read_control(payload, input),
                Stage::Data(payload) => self.read_data(payload, input),
            };
            match step {
                Ok(Some(event)) => return Some(event),
                // No further byte finishes a frame without payload, so it must not wait for one.
                Ok(None) if input.is_empty() && !self.has_empty_payload() => return None,
                Ok(None) => {}
                Err(violation) => return Some(self.fail(violation)),
            }
        }
        // RFC 6455 §1.4 and §7.1.7: what comes behind a Close or a violation is not processed.
        *input = &[];
        None
    }

    /// Returns whether the frame at hand can be finished without further input.
    fn has_empty_payload(&self) -> bool {
        match self.stage {
            Stage::Header => false,
            Stage::Control(payload) | Stage::Data(payload) => payload.seen == payload.len,
        }
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Violation> {
        // Most headers arrive whole and are read where they are; others are gathered byte by byte,
        // since their length is known only once they are there.
        if self.header.len == 0
            && let Some((header, used)) = Header::parse(input)?
        {
            *input = input.get(used..).unwrap_or_default();
            return Ok(Some(header));
        }
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            let at = usize::from(self.header.len);
            if let Some(slot) = self.header.bytes.get_mut(at) {
                *slot = byte;
                self.header.len += 1;
            }
            let so_far = self.header.bytes.get(..=at).unwrap_or_default();
            if let Some((header, _)) = Header::parse(so_far)? {
                self.header.len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Judges a header by the state of the connection and prepares for its payload.
    fn start_frame(&mut self, header: &Header) -> Result<(), Violation> {
        // RFC 6455 §10.3: a proxy that mistakes frames for HTTP could be fed requests of an
        // attacker's choice, were a client's frames not masked. So §5.1 has either side close the
        // connection when a frame is not masked as its sender's role wants it.
        match (self.is_server(), header.mask) {
            (true, None) => return Err(Violation::NotMasked),
            (false, Some(_)) => return Err(Violation::Masked),
            _ => {}
        }
        let starts_message = matches!(header.opcode, OpCode::Text | OpCode::Binary);
        // RFC 7692 §6: RSV1 says on the first frame of a message that it is compressed. It has no
        // other meaning, and none without the extension.
        if header.compressed && !(starts_message && self.deflate.is_some()) {
            return Err(Violation::ReservedBit);
        }
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        // A control frame is within 125 bytes by its format, whatever the limit for data is.
        if len > self.limits.max_frame && !header.opcode.is_control() {
            return Err(Violation::FrameTooLarge);
        }
        let payload = Payload {
            opcode: header.opcode,
            fin: header.fin,
            mask: header.mask,
            seen: 0,
            len,
        };
        self.stage = match header.opcode {
            OpCode::Close | OpCode::Ping | OpCode::Pong => Stage::Control(payload),
            OpCode::Text => self.start_message(Kind::Text, header, payload)?,
            OpCode::Binary => self.start_message(Kind::Binary, header, payload)?,
            OpCode::Continuation => self.continue_message(payload)?,
        };
        Ok(())
    }

    fn start_message(
        &mut self,
        kind: Kind,
        header: &Header,
        payload: Payload,
    ) -> Result<Stage, Violation> {
        // RFC 6455 §5.4: fragments of two messages do not mix.
        if self.assembly.is_some() {
            return Err(Violation::InterruptedMessage);
        }
        self.assembly = Some(Assembly::new(kind, header.compressed));
        self.continue_message(payload)
    }

    fn continue_message(&mut self, payload: Payload) -> Result<Stage, Violation> {
        let Some(assembly) = &mut self.assembly else {
            return Err(Violation::UnexpectedContinuation);
        };
        assembly.frames += 1;
        // Empty fragments never reach the limit of the message's length, and each costs us work.
        if assembly.frames > self.limits.max_fragments {
            return Err(Violation::TooManyFragments);
        }
        let room = self.limits.max_message.saturating_sub(assembly.len());
        // The length of a compressed frame says nothing of the message's; inflating has the limit.
        if !assembly.compressed && payload.len > room {
            return Err(Violation::MessageTooLarge);
        }
        Ok(Stage::Data(payload))
    }

    fn read_data(
        &mut self,
        mut payload: Payload,
        input: &mut &[u8],
    ) -> Result<Option<Event>, Violation> {
        let piece = payload.take(input);
        let offset = payload.seen;
        payload.seen += piece.len();
        let Some(assembly) = &mut self.assembly else {
            return Err(Violation::UnexpectedContinuation);
        };
        if assembly.compressed {
            if let Some(deflate) = &mut self.deflate {
                let inflater = deflate.inflater.get_or_insert_with(take_inflater);
                let limit = self.limits.max_message;
                assembly.push_compressed(piece, payload.mask, offset, inflater, limit)?;
                // The sender cut the four bytes off the message, not off each fragment (RFC 7692
                // §7.2.1).
                if payload.seen == payload.len && payload.fin {
                    assembly.finish_compressed(inflater, limit)?;
                }
            }
        } else {
            let to_come = payload.len - payload.seen;
            assembly.push_plain(piece, payload.mask, offset, to_come)?;
        }
        if payload.seen < payload.len {
            self.stage = Stage::Data(payload);
            return Ok(None);
        }
        self.stage = Stage::Header;
        if payload.fin {
            self.finish_message()
        } else {
            Ok(None)
        }
    }

    fn finish_message(&mut self) -> Result<Option<Event>, Violation> {
        // The next message starts with an empty window, so any connection can use the
        // decompressor.
        if let Some(deflate) = &mut self.deflate
            && !deflate.inbound_takeover
            && let Some(inflater) = deflate.inflater.take()
        {
            reclaim_inflater(inflater);
        }
        let Some(assembly) = self.assembly.take() else {
            return Ok(None);
        };
        assembly
            .finish()
            .map(|message| Some(Event::Message(message)))
    }

    fn read_control(
        &mut self,
        mut payload: Payload,
        input: &mut &[u8],
    ) -> Result<Option<Event>, Violation> {
        let piece = payload.take(input);
        let offset = payload.seen;
        payload.seen += piece.len();
        // Control frames come between the fragments of a message: their bytes have a buffer apart.
        let start = self.control.len();
        self.control.extend_from_slice(piece);
        if let Some(key) = payload.mask {
            let new = self.control.get_mut(start..).unwrap_or_default();
            mask::apply(key, offset, new);
        }
        if payload.seen < payload.len {
            self.stage = Stage::Control(payload);
            return Ok(None);
        }
        self.stage = Stage::Header;
        let body = Bytes::from(std::mem::take(&mut self.control));
        match payload.opcode {
            OpCode::Ping => {
                self.answer_ping(&body);
                Ok(Some(Event::Ping(body)))
            }
            OpCode::Pong => Ok(Some(Event::Pong(body))),
            OpCode::Close | OpCode::Continuation | OpCode::Text | OpCode::Binary => {
                self.read_close(&body).map(Some)
            }
        }
    }

    fn answer_ping(&mut self, body: &Bytes) {
        // Our Close is the last frame that we send, and the peer learns more from it than from a
        // Pong.
        if self.close_sent {
            return;
        }
        if self.outgoing.pongs() < self.limits.max_waiting_pongs {
            self.queue_pong(body);
        } else {
            // RFC 6455 §5.5.3 lets an endpoint answer only the most recent Ping. A peer that sends
            // Pings and reads nothing would else fill our memory with Pongs.
            let unanswered = self.late_pong.replace(body.clone());
            self.skipped_pongs += u64::from(unanswered.is_some());
        }
    }

    fn read_close(&mut self, body: &Bytes) -> Result<Event, Violation> {
        let frame = CloseFrame::decode(body)?;
        self.over = Some(frame.as_ref().map(|frame| frame.code));
        self.release();
        Ok(Event::Close(frame))
    }

    fn fail(&mut self, violation: Violation) -> Event {
        self.over = Some(Some(violation.close_code()));
        self.release();
        Event::Failed(violation)
    }

    /// Gives back what no further input needs.
    fn release(&mut self) {
        self.assembly = None;
        self.control = Vec::new();
        if let Some(deflate) = &mut self.deflate {
            deflate.inflater = None;
        }
    }
}

impl Payload {
    /// Takes what `input` holds of this payload.
    fn take<'a>(&self, input: &mut &'a [u8]) -> &'a [u8] {
        let len = input.len().min(self.len - self.seen);
        let (piece, rest) = input.split_at_checked(len).unwrap_or((input, &[]));
        *input = rest;
        piece
    }
}
