//! What an association needs of SCTP ([RFC 9260]), so that another library can take its place.
//!
//! [`Library`] is `sctp-proto`. `dcsctp`, which Firefox and Chromium use, is the other candidate:
//! version 0.1.16 cannot move between threads, and writes each packet out for its log.
//!
//! [RFC 9260]: https://www.rfc-editor.org/rfc/rfc9260

mod heartbeat;
mod inspect;
mod library;

pub(crate) use library::Library;

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::channel::Reliability;

/// One SCTP association inside one DTLS connection. The same shape as every core: inputs, then
/// [`poll_packet`](Sctp::poll_packet) and [`poll_event`](Sctp::poll_event) until both are empty.
pub(crate) trait Sctp: fmt::Debug + Send {
    /// Begins: DTLS is connected.
    fn start(&mut self, now: Instant);
    /// Takes a packet of the other side.
    fn handle_packet(&mut self, now: Instant, packet: &[u8]);
    /// Lets timers expire.
    fn handle_timeout(&mut self, now: Instant);
    /// Returns when [`handle_timeout`](Sctp::handle_timeout) is due.
    fn next_timeout(&self) -> Option<Instant>;
    /// Returns a packet to send.
    fn poll_packet(&mut self, now: Instant) -> Option<Vec<u8>>;
    /// Returns what happened.
    fn poll_event(&mut self) -> Option<SctpEvent>;

    /// Opens a stream in both directions, unless the other side did already.
    fn open(&mut self, stream: u16) -> Result<(), StreamError>;
    /// Says how messages of the stream are sent from here on.
    fn configure(&mut self, stream: u16, ordered: bool, reliability: Reliability);
    /// Queues a message.
    fn write(&mut self, stream: u16, ppid: Ppid, message: &[u8]) -> Result<(), StreamError>;
    /// Takes the next whole message of a stream.
    fn read(&mut self, stream: u16) -> Option<SctpMessage>;
    /// Resets the outgoing half once everything queued is sent; the other side resets its own.
    fn reset(&mut self, stream: u16);
    /// Returns how many bytes of a stream are queued or unacknowledged.
    fn buffered(&mut self, stream: u16) -> usize;
    /// Says below which amount [`SctpEvent::BufferedAmountLow`] comes.
    fn set_low_threshold(&mut self, stream: u16, bytes: usize);

    /// Sends again what waits for its timer, if that waits for long: the path is back after an
    /// outage in which the time between retransmissions has grown.
    fn retransmit(&mut self, now: Instant);

    /// Returns a packet of about `size` bytes that the other side answers with one as large, once
    /// the association is up; see [`SctpEvent::ProbeAnswered`].
    fn probe(&self, number: u32, size: usize) -> Option<Vec<u8>>;

    /// Ends the association once everything is sent.
    fn shutdown(&mut self);
    /// Returns a smoothed round-trip time, if there is one.
    fn round_trip(&self) -> Option<Duration>;
}

/// How to begin an association.
#[derive(Debug, Clone)]
pub(crate) struct SctpConfig {
    /// Whether we are the DTLS client, whose INIT wins over the server's.
    pub(crate) dtls_client: bool,
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    /// The largest SCTP packet.
    pub(crate) packet_size: usize,
    /// The longest message to accept.
    pub(crate) receive_limit: usize,
    /// The longest message that the other side accepts.
    pub(crate) send_limit: usize,
    /// The receive window.
    pub(crate) receive_buffer: usize,
    /// Both INIT chunks, where the signaling carried them.
    pub(crate) snap: Option<SnapChunks>,
}

/// The INIT chunks of both sides ([draft-hancke-tsvwg-snap]).
///
/// [draft-hancke-tsvwg-snap]: https://datatracker.ietf.org/doc/draft-hancke-tsvwg-snap/
#[derive(Debug, Clone)]
pub(crate) struct SnapChunks {
    pub(crate) local: Bytes,
    pub(crate) remote: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SctpEvent {
    Connected,
    /// There may be a message on this stream, which may be new.
    Readable(u16),
    /// The other side reset the stream; our half is reset in return.
    Finished(u16),
    /// The stream may be used again.
    ResetComplete(u16),
    BufferedAmountLow(u16),
    /// The answer to the [`probe`](Sctp::probe) of this number came.
    ProbeAnswered(u32),
    /// The association is over.
    Closed(SctpClosed),
}

/// Why an association ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SctpClosed {
    /// Both sides shut it down.
    Shutdown,
    /// The other side aborted it, or broke the protocol.
    Aborted,
    /// Messages that are not whole yet fill the receive window.
    ReceiveBufferFull,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SctpMessage {
    pub(crate) ppid: Ppid,
    pub(crate) payload: Vec<u8>,
}

/// What a message means ([RFC 8831 §8]).
///
/// [RFC 8831 §8]: https://www.rfc-editor.org/rfc/rfc8831#section-8
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ppid {
    Dcep,
    Text,
    Binary,
    TextEmpty,
    BinaryEmpty,
    /// A part of a message whose last part is [`Ppid::Text`] or [`Ppid::Binary`]; deprecated.
    Partial,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamError {
    /// The stream's last use is not over on both sides.
    Busy,
    /// The stream is closed, or the association is.
    Closed,
}
