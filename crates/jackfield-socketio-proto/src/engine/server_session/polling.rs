//! Long-polling: one GET that waits, one POST that sends.

use std::time::Instant;

use bytes::Bytes;

use super::{PostBody, PostFailure, RequestId, Response, ServerSession, State};
use crate::engine::server_session::Output;
use crate::engine::{CloseReason, Outgoing, Packet, PacketError, RequestError, Version, payload};

/// The requests of a polling session.
#[derive(Debug, Default)]
pub(super) struct Polling {
    /// The GET that waits for packets.
    get: Option<RequestId>,
    /// The POST whose body is being read, or is not handled to its end.
    post: Option<RequestId>,
    /// The rest of its body.
    body: Option<Body>,
    /// Whether answers may be binary bodies (revision 3 without `b64`).
    pub(super) binary: bool,
}

/// A body, packet by packet.
#[derive(Debug)]
enum Body {
    V4(payload::V4Decoder),
    Text(payload::TextDecoder),
    Binary(payload::BinaryDecoder),
}

impl Iterator for Body {
    type Item = Result<Packet, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::V4(decoder) => decoder.next(),
            Self::Text(decoder) => decoder.next(),
            Self::Binary(decoder) => decoder.next(),
        }
    }
}

impl Polling {
    pub(super) const fn is_waiting(&self) -> bool {
        self.get.is_some()
    }
}

impl ServerSession {
    /// Takes a GET: answers it with what is buffered, or lets it wait.
    ///
    /// A second GET beside a waiting one is refused and ends the session.
    pub fn handle_poll(&mut self, now: Instant, request: RequestId) {
        self.handle_timeout(now);
        if let Some(error) = self.unfit_for_polling() {
            self.refuse(request, error);
            return;
        }
        // Two GETs would split the buffer, and their answers could overtake each other.
        if self.polling.get.is_some() {
            self.abort(CloseReason::TransportError);
            self.refuse(request, RequestError::BadRequest);
            return;
        }
        self.polling.get = Some(request);
        self.flush_to_poll();
        self.hurry_poll(now);
    }

    /// Takes the news that the client gave up a GET before its answer: the session ends.
    pub fn handle_poll_aborted(&mut self, request: RequestId) {
        if self.polling.get == Some(request) {
            self.polling.get = None;
            self.abort(CloseReason::TransportError);
        }
    }

    /// Takes the head of a POST and tells whether its body shall be read; if not, the answer is
    /// already out.
    ///
    /// A second POST beside an unfinished one, and `application/octet-stream` in revision 4, are
    /// refused and end the session.
    #[must_use]
    pub fn handle_post_head(
        &mut self,
        now: Instant,
        request: RequestId,
        octet_stream: bool,
    ) -> bool {
        self.handle_timeout(now);
        if let Some(error) = self.unfit_for_polling() {
            self.refuse(request, error);
            return false;
        }
        // Bodies that are read side by side could finish in the wrong order. Revision 4 writes
        // binary messages in base64 and has no binary bodies.
        if self.polling.post.is_some() || (octet_stream && self.version == Version::V4) {
            self.abort(CloseReason::TransportError);
            self.refuse(request, RequestError::BadRequest);
            return false;
        }
        self.polling.post = Some(request);
        true
    }

    /// Takes the body of a POST whose head was accepted. [`Self::handle_body`] handles what is in
    /// it.
    pub fn handle_post(&mut self, request: RequestId, body: PostBody) {
        if !self.is_post(request) {
            return;
        }
        let body = match (self.version, body) {
            (Version::V4, PostBody::Text(text)) => Body::V4(payload::V4Decoder::new(text)),
            (Version::V3, PostBody::Text(text)) if text.is_empty() => {
                self.abort(CloseReason::ParseError);
                self.answer_post();
                return;
            }
            (Version::V3, PostBody::Text(text)) => Body::Text(payload::TextDecoder::new(text)),
            (Version::V3, PostBody::Binary(bytes)) => {
                Body::Binary(payload::BinaryDecoder::new(bytes))
            }
            (Version::V4, PostBody::Binary(_)) => {
                self.abort(CloseReason::TransportError);
                self.answer_post();
                return;
            }
        };
        self.polling.body = Some(body);
    }

    /// Handles up to `packets` packets of the body that [`Self::handle_post`] took; returns whether
    /// there may be more. The POST is answered at the end of its body.
    ///
    /// A body may hold half a million packets: a driver takes the outputs after some of them, and
    /// waits where they come faster than they are handled.
    pub fn handle_body(&mut self, now: Instant, packets: usize) -> bool {
        for _ in 0..packets {
            // It is gone once the session has ended: what stands behind a close packet or an error
            // is not delivered.
            let Some(body) = &mut self.polling.body else {
                return false;
            };
            match body.next() {
                Some(packet) => self.handle_packet(now, packet),
                None => {
                    self.drop_body();
                    return false;
                }
            }
        }
        self.polling.body.is_some()
    }

    /// Drops what is left of a body and answers its POST.
    pub(super) fn drop_body(&mut self) {
        if self.polling.body.take().is_some() {
            self.answer_post();
        }
    }

    fn answer_post(&mut self) {
        let Some(request) = self.polling.post.take() else {
            return;
        };
        // Only a body that the client could not have meant is refused; a close packet was
        // understood.
        let refused = matches!(
            self.state,
            State::Closed(CloseReason::ParseError | CloseReason::TransportError)
        );
        if refused {
            self.refuse(request, RequestError::BadRequest);
        } else {
            let response = Response::ok();
            self.outputs
                .push_back(Output::Respond { request, response });
        }
    }

    /// Takes the news that the body of an accepted POST could not be read.
    ///
    /// That ends the session, as with Node.js: what the client sent is lost, and it cannot tell
    /// what. A body that is too large is answered with 413, one that takes too long with 408.
    pub fn handle_post_failed(&mut self, request: RequestId, failure: PostFailure) {
        if !self.is_post(request) {
            return;
        }
        self.polling.body = None;
        self.polling.post = None;
        match failure {
            PostFailure::TooLarge | PostFailure::TooSlow => {
                self.abort(CloseReason::TransportError);
                let status = if failure == PostFailure::TooLarge {
                    413
                } else {
                    408
                };
                let response = Response::bare(status);
                self.outputs
                    .push_back(Output::Respond { request, response });
            }
            PostFailure::NotUtf8 => {
                self.abort(CloseReason::ParseError);
                self.refuse(request, RequestError::BadRequest);
            }
            PostFailure::Aborted => {
                self.abort(CloseReason::TransportError);
                self.refuse(request, RequestError::BadRequest);
            }
        }
    }

    /// Returns whether this POST is in progress; if it is not the session's any more, its answer is
    /// out.
    fn is_post(&mut self, request: RequestId) -> bool {
        // The session may have ended, or moved to a WebSocket, while the body was on its way.
        if self.polling.post != Some(request) {
            self.refuse(request, RequestError::BadRequest);
            return false;
        }
        if self.is_closed() {
            self.polling.post = None;
            self.refuse(request, RequestError::BadRequest);
            return false;
        }
        true
    }

    /// Why the session takes no polling request, if so.
    const fn unfit_for_polling(&self) -> Option<RequestError> {
        match (self.state, self.link) {
            // A late request finds its session here only because it was already looked up.
            (State::Closed(_), _) => Some(RequestError::UnknownSid),
            (_, Some(_)) => Some(RequestError::BadRequest),
            (_, None) => None,
        }
    }

    pub(super) fn refuse(&mut self, request: RequestId, error: RequestError) {
        let response = Response::error(error);
        self.outputs
            .push_back(Output::Respond { request, response });
    }

    /// Answers the waiting GET with the buffer; if that is empty and the session is closing, with
    /// its end.
    pub(super) fn flush_to_poll(&mut self) {
        if self.buffer.is_empty() {
            // Clients drop what stands in one body with a close packet, so the end has a body of
            // its own.
            if matches!(self.state, State::Closing(_)) && self.polling.is_waiting() {
                self.end(CloseReason::ForcedClose);
            }
            return;
        }
        let Some(request) = self.polling.get.take() else {
            return;
        };
        let response = self.encode_buffer();
        self.clear_buffer();
        self.outputs
            .push_back(Output::Respond { request, response });
    }

    fn encode_buffer(&self) -> Response {
        let packets = &self.buffer;
        match self.version {
            Version::V4 => Response::payload(payload::encode_v4(packets), false),
            Version::V3 if self.polling.binary && packets.iter().any(Outgoing::is_binary) => {
                Response::payload(payload::encode_v3_binary(packets), true)
            }
            Version::V3 => Response::payload(payload::encode_v3_text(packets), false),
        }
    }

    /// Answers the waiting GET with nothing, so that the client can go on.
    pub(super) fn answer_poll_with_noop(&mut self) {
        self.answer_poll(b"6", b"1:6");
    }

    /// Answers the waiting GET with the end of the session.
    pub(super) fn answer_poll_with_close(&mut self) {
        self.answer_poll(b"1", b"1:1");
    }

    fn answer_poll(&mut self, v4: &'static [u8], v3: &'static [u8]) {
        if let Some(request) = self.polling.get.take() {
            let body = match self.version {
                Version::V4 => v4,
                Version::V3 => v3,
            };
            let response = Response::payload(Bytes::from_static(body), false);
            self.outputs
                .push_back(Output::Respond { request, response });
        }
    }
}
