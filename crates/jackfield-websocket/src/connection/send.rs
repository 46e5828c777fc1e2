//! From messages to frames that wait to be written.

use bytes::Bytes;

use super::{Connection, Deflate};
use crate::close::CloseFrame;
use crate::deflate::{Compressor, compress_once};
use crate::frame::{self, MAX_CONTROL, OpCode};
use crate::shared::Frame;
use crate::{Kind, Message};

/// Why nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Our Close frame is the last frame we send.
    #[error("the connection is closing")]
    Closing,
    /// A Ping or Pong carries at most 125 bytes.
    #[error("a control frame carries at most 125 bytes")]
    OversizedControl,
}

impl Connection {
    /// Queues `message`, compressed if that was negotiated and it is long enough.
    ///
    /// # Errors
    /// [`SendError::Closing`] after our Close.
    pub fn send(&mut self, message: &Message) -> Result<(), SendError> {
        self.send_parts(message.kind(), &[message.data()])
    }

    /// Queues the message that `parts` make, one after the other; the parts of a text are UTF-8
    /// once joined.
    ///
    /// # Errors
    /// [`SendError::Closing`] after our Close.
    pub fn send_parts(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<(), SendError> {
        self.check_open()?;
        let opcode = kind.opcode();
        let mask = self.mask();
        let compressed = self
            .deflate
            .as_mut()
            .and_then(|deflate| deflate.compress(parts));
        let frame = match &compressed {
            Some(payload) => frame::encode(opcode, true, true, mask, &[payload]),
            None => frame::encode(opcode, true, false, mask, parts),
        };
        self.outgoing.push(frame);
        Ok(())
    }

    /// Queues a frame that many connections share; a server without context takeover copies
    /// nothing.
    ///
    /// # Errors
    /// [`SendError::Closing`] after our Close.
    pub fn send_frame(&mut self, frame: &Frame) -> Result<(), SendError> {
        self.check_open()?;
        // A client masks each frame with a key of its own and has nothing to share.
        if !self.is_server() {
            return self.send_parts(frame.kind(), &[frame.payload()]);
        }
        let bytes = match &self.deflate {
            None => frame.plain(),
            Some(deflate) if frame.payload().len() < deflate.outbound.threshold => frame.plain(),
            // With context takeover the bytes depend on what this connection sent before.
            Some(deflate) if deflate.outbound.takeover => {
                return self.send_parts(frame.kind(), &[frame.payload()]);
            }
            Some(deflate) => frame.compressed(deflate.outbound.coding),
        };
        self.outgoing.push(bytes);
        Ok(())
    }

    /// Queues bytes that are whole frames already, such as [`Frame::plain`] gives; only for a
    /// server, whose frames bear no mask.
    ///
    /// # Errors
    /// [`SendError::Closing`] after our Close.
    pub fn send_encoded(&mut self, frames: Bytes) -> Result<(), SendError> {
        self.check_open()?;
        debug_assert!(self.is_server(), "a client's frames are masked one by one");
        self.outgoing.push(frames);
        Ok(())
    }

    /// Queues a Ping; the peer answers with a Pong that has the same body.
    ///
    /// # Errors
    /// [`SendError::Closing`] after our Close, [`SendError::OversizedControl`] above 125 bytes.
    pub fn ping(&mut self, body: &[u8]) -> Result<(), SendError> {
        self.control_frame(OpCode::Ping, body)
    }

    /// Queues a Pong that answers no Ping.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, body: &[u8]) -> Result<(), SendError> {
        self.control_frame(OpCode::Pong, body)
    }

    /// Queues our Close, once: a second call changes nothing.
    ///
    /// Messages of the peer still arrive until its own Close.
    pub fn close(&mut self, frame: Option<&CloseFrame>) {
        self.queue_close(frame);
    }

    /// Queues the Close that the last event calls for, unless ours is sent; without a last event
    /// nothing happens.
    pub fn finish(&mut self) {
        if let Some(code) = self.over {
            let frame = code.map(|code| CloseFrame {
                code,
                reason: Bytes::new(),
            });
            self.queue_close(frame.as_ref());
        }
    }

    fn queue_close(&mut self, frame: Option<&CloseFrame>) {
        // RFC 6455 §5.5.1: a Close answers the peer's Close only if none was sent before.
        if self.close_sent {
            return;
        }
        let body = frame.map(CloseFrame::encode).unwrap_or_default();
        let mask = self.mask();
        let bytes = frame::encode(OpCode::Close, true, false, mask, &[&body]);
        self.outgoing.push(bytes);
        self.close_sent = true;
        self.late_pong = None;
    }

    pub(super) fn queue_pong(&mut self, body: &[u8]) {
        let mask = self.mask();
        let bytes = frame::encode(OpCode::Pong, true, false, mask, &[body]);
        self.outgoing.push_pong(bytes);
    }

    fn control_frame(&mut self, opcode: OpCode, body: &[u8]) -> Result<(), SendError> {
        self.check_open()?;
        if body.len() > MAX_CONTROL {
            return Err(SendError::OversizedControl);
        }
        let mask = self.mask();
        self.outgoing
            .push(frame::encode(opcode, true, false, mask, &[body]));
        Ok(())
    }

    fn check_open(&self) -> Result<(), SendError> {
        if self.close_sent {
            Err(SendError::Closing)
        } else {
            Ok(())
        }
    }
}

impl Deflate {
    /// Returns the message compressed, if it is long enough to be.
    fn compress(&mut self, parts: &[&[u8]]) -> Option<Vec<u8>> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        // A short message hardly shrinks, and compressing it takes longer than writing it.
        if len < self.outbound.threshold {
            return None;
        }
        let coding = self.outbound.coding;
        if self.outbound.takeover {
            self.compressor
                .get_or_insert_with(|| Compressor::new(coding))
                .compress(parts)
        } else {
            compress_once(coding, parts)
        }
    }
}
