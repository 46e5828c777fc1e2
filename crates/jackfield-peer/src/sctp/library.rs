//! [`Sctp`] by `sctp-proto`.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationError, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Error,
    Event, Payload, PayloadProtocolIdentifier, ReliabilityType, ServerConfig, StreamEvent,
    TransportConfig, generate_snap_token,
};

use super::heartbeat::{answered, heartbeat, tag_of};
use super::inspect::{Fact, inspect};
use super::{Ppid, Sctp, SctpClosed, SctpConfig, SctpEvent, SctpMessage, StreamError};
use crate::channel::Reliability;

/// One association of `sctp-proto`.
///
/// Either side may send an INIT, and what the stock peers do differs: browsers send one from both
/// sides, some from the DTLS client alone, aiortc from the side that controls ICE. So the DTLS
/// client sends its INIT at once and the server after a while without one. A library that answers
/// an INIT with a second association would have two then; one is dropped by [`Library::collide`].
pub(crate) struct Library {
    config: SctpConfig,
    endpoint: Endpoint,
    association: Option<Association>,
    /// Whether the association that there is came from our INIT.
    ours: bool,
    /// Whether the other side acknowledged our INIT.
    acknowledged: bool,
    /// When the DTLS server sends an INIT after all, or the client answers the server's.
    hesitation: Option<Instant>,
    /// The other side's INIT, which waits for [`Library::hesitation`].
    held_init: Option<Bytes>,
    /// How far the library's clock is ahead of the caller's; see [`Sctp::retransmit`].
    ahead: Duration,
    /// How many acknowledgements had come, and how often data had timed out by the last of them.
    acknowledged_timeouts: (u64, u64),
    /// Packets of one transmission of the library that are left.
    packets: VecDeque<Bytes>,
    events: VecDeque<SctpEvent>,
    /// The other side's verification tag.
    remote_tag: Option<[u8; 4]>,
    /// Streams on which a PPID came that data channels do not know.
    foreign: BTreeSet<u16>,
    /// Whether a shutdown was asked for or seen, and so how an end is called.
    shutting_down: bool,
    aborted: bool,
    closed: bool,
}

impl Library {
    pub(crate) fn new(config: SctpConfig) -> Self {
        let mut endpoint = EndpointConfig::new();
        endpoint.max_payload_size(config.packet_size.saturating_sub(HEADERS) as u32);
        let mut server = ServerConfig::new();
        server.transport = Arc::new(transport(&config));
        Self {
            endpoint: Endpoint::new(Arc::new(endpoint), Some(Arc::new(server))),
            config,
            association: None,
            ours: false,
            acknowledged: false,
            hesitation: None,
            held_init: None,
            ahead: Duration::ZERO,
            acknowledged_timeouts: (0, 0),
            packets: VecDeque::new(),
            events: VecDeque::new(),
            remote_tag: None,
            foreign: BTreeSet::new(),
            shutting_down: false,
            aborted: false,
            closed: false,
        }
    }

    /// Returns an INIT chunk for the signaling, or none where the library refuses to make one.
    pub(crate) fn init_chunk(receive_buffer: usize) -> Option<Bytes> {
        let transport =
            TransportConfig::default().with_max_receive_buffer_size(receive_buffer as u32);
        generate_snap_token(&transport).ok()
    }

    /// Sends an INIT, or begins with both sides' INITs where the signaling carried them.
    fn connect(&mut self) {
        let mut client = ClientConfig::new();
        client.transport = Arc::new(transport(&self.config));
        if let Some(snap) = self.config.snap.take() {
            // The tag comes behind the chunk's header; without INITs no packet of ours shows it.
            let tag = snap.remote.get(4..).and_then(<[u8]>::first_chunk).copied();
            let with_snap = client.clone().with_snap(snap.local, snap.remote);
            match self.endpoint.connect(with_snap, NOWHERE) {
                Ok((_, association)) => {
                    self.remote_tag = tag;
                    self.adopt(association, true);
                    return;
                }
                // The other side does the same with the same chunks, so that both go on with INITs.
                Err(error) => tracing::debug!(%error, "Signaled INIT chunks cannot be used"),
            }
        }
        match self.endpoint.connect(client, NOWHERE) {
            Ok((_, association)) => self.adopt(association, true),
            Err(error) => {
                tracing::debug!(%error, "Could not begin an SCTP association");
                self.close(SctpClosed::Aborted);
            }
        }
    }

    fn adopt(&mut self, mut association: Association, ours: bool) {
        association.set_max_send_message_size(self.config.send_limit as u32);
        self.association = Some(association);
        self.ours = ours;
        self.hesitation = None;
        self.held_init = None;
    }

    /// Takes an INIT that comes while our own is on its way ([RFC 9260 §5.2.1]).
    ///
    /// The DTLS server gives way at once. The client waits a moment for the answer to its own: a
    /// side that handles collisions sends one, and aiortc, which ignores INITs then, does not.
    ///
    /// [RFC 9260 §5.2.1]: https://www.rfc-editor.org/rfc/rfc9260#section-5.2.1
    fn collide(&mut self, now: Instant, init: Bytes) {
        if self.config.dtls_client {
            self.held_init = Some(init);
            self.hesitation.get_or_insert(now + CLIENT_HESITATION);
        } else {
            self.yield_to(now, init);
        }
    }

    /// Drops our own association for the one that the other side asks for.
    fn yield_to(&mut self, now: Instant, init: Bytes) {
        self.association = None;
        self.deliver(now, init);
    }

    fn deliver(&mut self, now: Instant, packet: Bytes) {
        let now = now + self.ahead;
        match self.endpoint.handle(now, NOWHERE, None, None, packet) {
            Some((_, DatagramEvent::NewAssociation(association))) => match self.association {
                // A retransmission of what made the one there is.
                Some(_) => {}
                None => self.adopt(association, false),
            },
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some(association) = &mut self.association {
                    association.handle_event(event);
                    let mut stats = association.stats();
                    let acknowledgements = stats.get_num_sacks();
                    if acknowledgements != self.acknowledged_timeouts.0 {
                        let timeouts = stats.get_num_t3timeouts();
                        self.acknowledged_timeouts = (acknowledgements, timeouts);
                    }
                }
            }
            None => {}
        }
    }

    fn close(&mut self, reason: SctpClosed) {
        if !self.closed {
            self.closed = true;
            self.events.push_back(SctpEvent::Closed(reason));
        }
    }

    fn closed_by(&self, error: &AssociationError) -> SctpClosed {
        match error {
            AssociationError::ReceiveBufferExhausted => SctpClosed::ReceiveBufferFull,
            _ if self.aborted => SctpClosed::Aborted,
            _ if self.shutting_down => SctpClosed::Shutdown,
            _ => SctpClosed::Aborted,
        }
    }

    fn translate(&mut self, event: Event) {
        match event {
            Event::Connected => self.events.push_back(SctpEvent::Connected),
            Event::HandshakeFailed { reason } | Event::AssociationLost { reason } => {
                let reason = self.closed_by(&reason);
                self.close(reason);
            }
            Event::Stream(event) => {
                let event = match event {
                    StreamEvent::Opened { id } | StreamEvent::Readable { id } => {
                        SctpEvent::Readable(id)
                    }
                    StreamEvent::Finished { id } => {
                        self.foreign.remove(&id);
                        SctpEvent::Finished(id)
                    }
                    // An id whose reset failed is refused by `open`, which says so.
                    StreamEvent::ResetComplete { id } | StreamEvent::ResetFailed { id, .. } => {
                        SctpEvent::ResetComplete(id)
                    }
                    StreamEvent::BufferedAmountLow { id } => SctpEvent::BufferedAmountLow(id),
                    _ => return,
                };
                self.events.push_back(event);
            }
            _ => {}
        }
    }

    /// Returns whether our INIT is out and nothing came back.
    fn waits_for_init_ack(&self) -> bool {
        self.ours
            && !self.acknowledged
            && self
                .association
                .as_ref()
                .is_some_and(Association::is_handshaking)
    }
}

impl Sctp for Library {
    fn start(&mut self, now: Instant) {
        if self.association.is_some() {
            return;
        }
        if self.config.dtls_client || self.config.snap.is_some() {
            self.connect();
        } else {
            self.hesitation = Some(now + SERVER_HESITATION);
        }
    }

    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        if let Some(number) = answered(packet) {
            self.events.push_back(SctpEvent::ProbeAnswered(number));
            return;
        }
        let mut is_init = false;
        inspect(packet, |fact| match fact {
            Fact::Init => is_init = true,
            Fact::InitAck => self.acknowledged = true,
            Fact::UnknownPpid(stream) => {
                self.foreign.insert(stream);
            }
            Fact::Shutdown => self.shutting_down = true,
            Fact::Abort => self.aborted = true,
            Fact::Partial(_) => {}
        });
        // One copy: the library keeps slices of the packet as the parts of messages.
        let packet = Bytes::copy_from_slice(packet);
        if is_init && self.waits_for_init_ack() {
            self.collide(now, packet);
        } else {
            self.deliver(now, packet);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.hesitation.is_some_and(|at| at <= now) {
            self.hesitation = None;
            if let Some(init) = self.held_init.take() {
                if self.waits_for_init_ack() {
                    self.yield_to(now, init);
                }
            } else if self.association.is_none() && !self.closed {
                self.connect();
            }
        }
        if let Some(association) = &mut self.association {
            association.handle_timeout(now + self.ahead);
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let timeout = self
            .association
            .as_ref()
            .and_then(Association::poll_timeout)
            .and_then(|at| at.checked_sub(self.ahead));
        [timeout, self.hesitation].into_iter().flatten().min()
    }

    fn poll_packet(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.packets.is_empty() {
            let transmit = self.association.as_mut()?.poll_transmit(now + self.ahead)?;
            if let Payload::RawEncode(packets) = transmit.payload {
                self.packets.extend(packets);
            }
        }
        let packet = self.packets.pop_front()?;
        self.remote_tag = tag_of(&packet).or(self.remote_tag);
        Some(Vec::from(packet))
    }

    fn poll_event(&mut self) -> Option<SctpEvent> {
        while let Some(event) = self.association.as_mut().and_then(Association::poll) {
            self.translate(event);
        }
        self.events.pop_front()
    }

    fn open(&mut self, stream: u16) -> Result<(), StreamError> {
        let association = self.association.as_mut().ok_or(StreamError::Closed)?;
        match association.open_stream(stream, PayloadProtocolIdentifier::Unknown) {
            Ok(_) => Ok(()),
            Err(Error::ErrStreamAlreadyExist) => {
                let stream = association
                    .stream(stream)
                    .map_err(|_| StreamError::Closed)?;
                // A stream that can be neither read nor written is the last use of the same id.
                if stream.is_writable() {
                    Ok(())
                } else {
                    Err(StreamError::Busy)
                }
            }
            Err(Error::ErrStreamResetPending) => Err(StreamError::Busy),
            Err(_) => Err(StreamError::Closed),
        }
    }

    fn configure(&mut self, stream: u16, ordered: bool, reliability: Reliability) {
        let (kind, value) = match reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::MaxRetransmits(count) => (ReliabilityType::Rexmit, u32::from(count)),
            Reliability::MaxLifetime(lifetime) => (
                ReliabilityType::Timed,
                u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX),
            ),
        };
        let association = self.association.as_mut();
        if let Some(mut stream) =
            association.and_then(|association| association.stream(stream).ok())
            && let Err(error) = stream.set_reliability_params(!ordered, kind, value)
        {
            tracing::debug!(%error, "A stream ended before it was configured");
        }
    }

    fn write(&mut self, stream: u16, ppid: Ppid, message: &[u8]) -> Result<(), StreamError> {
        let ppid = match ppid {
            Ppid::Dcep => PayloadProtocolIdentifier::Dcep,
            Ppid::Text => PayloadProtocolIdentifier::String,
            Ppid::Binary => PayloadProtocolIdentifier::Binary,
            Ppid::TextEmpty => PayloadProtocolIdentifier::StringEmpty,
            Ppid::BinaryEmpty => PayloadProtocolIdentifier::BinaryEmpty,
            Ppid::Partial | Ppid::Unknown => return Err(StreamError::Closed),
        };
        let association = self.association.as_mut().ok_or(StreamError::Closed)?;
        let mut stream = association
            .stream(stream)
            .map_err(|_| StreamError::Closed)?;
        stream
            .write_with_ppi(message, ppid)
            .map(|_| ())
            .map_err(|_| StreamError::Closed)
    }

    fn read(&mut self, id: u16) -> Option<SctpMessage> {
        let mut stream = self.association.as_mut()?.stream(id).ok()?;
        let chunks = stream.read_sctp().ok()??;
        let ppid = match chunks.ppi {
            PayloadProtocolIdentifier::Dcep => Ppid::Dcep,
            PayloadProtocolIdentifier::String => Ppid::Text,
            PayloadProtocolIdentifier::Binary => Ppid::Binary,
            PayloadProtocolIdentifier::StringEmpty => Ppid::TextEmpty,
            PayloadProtocolIdentifier::BinaryEmpty => Ppid::BinaryEmpty,
            PayloadProtocolIdentifier::Unknown if !self.foreign.contains(&id) => Ppid::Partial,
            PayloadProtocolIdentifier::Unknown => Ppid::Unknown,
        };
        let mut payload = vec![0; chunks.len()];
        chunks.read(&mut payload).ok()?;
        Some(SctpMessage { ppid, payload })
    }

    fn reset(&mut self, stream: u16) {
        let association = self.association.as_mut();
        if let Some(mut stream) =
            association.and_then(|association| association.stream(stream).ok())
            && let Err(error) = stream.close()
        {
            tracing::debug!(%error, "A stream ended before it was reset");
        }
    }

    fn buffered(&mut self, stream: u16) -> usize {
        let association = self.association.as_mut();
        association
            .and_then(|association| association.stream(stream).ok())
            .and_then(|stream| stream.buffered_amount().ok())
            .unwrap_or(0)
    }

    fn set_low_threshold(&mut self, stream: u16, bytes: usize) {
        let association = self.association.as_mut();
        if let Some(mut stream) =
            association.and_then(|association| association.stream(stream).ok())
            && let Err(error) = stream.set_buffered_amount_low_threshold(bytes)
        {
            tracing::debug!(%error, "A stream ended before its threshold was set");
        }
    }

    /// The library has no call for it. Its clock, which only we tell it, is put forward to the
    /// timer that is next, and stays ahead: its timers are always as far apart as it wants. No
    /// expiry ends an association, as retransmissions have no limit here.
    fn retransmit(&mut self, now: Instant) {
        let Some(association) = &mut self.association else {
            return;
        };
        let has_timed_out = association.stats().get_num_t3timeouts() > self.acknowledged_timeouts.1;
        // Without a timeout the timer may be as far away because a round trip takes as long.
        let soon = match has_timed_out || association.is_handshaking() {
            true => RETRANSMISSION_SOON,
            false => RETRANSMISSION_LATE,
        };
        let ours = now + self.ahead;
        let timeout = association.poll_timeout();
        if let Some(late) = timeout.filter(|at| *at > ours + soon) {
            self.ahead += late - ours;
            association.handle_timeout(late);
        }
    }

    fn probe(&self, number: u32, size: usize) -> Option<Vec<u8>> {
        let ports = [self.config.local_port, self.config.remote_port];
        Some(heartbeat(ports, self.remote_tag?, number, size))
    }

    fn shutdown(&mut self) {
        if self.shutting_down {
            return;
        }
        self.shutting_down = true;
        let shutdown = self.association.as_mut().map(Association::shutdown);
        if !matches!(shutdown, Some(Ok(()))) {
            self.close(SctpClosed::Shutdown);
        }
    }

    fn round_trip(&self) -> Option<Duration> {
        let association = self.association.as_ref()?;
        (!association.is_handshaking()).then(|| association.rtt())
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library")
            .field("ours", &self.ours)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

fn transport(config: &SctpConfig) -> TransportConfig {
    TransportConfig::default()
        .with_local_port(config.local_port)
        .with_remote_port(config.remote_port)
        .with_max_receive_buffer_size(config.receive_buffer as u32)
        .with_max_receive_message_size(config.receive_limit as u32)
        .with_max_send_message_size(config.send_limit as u32)
        // ICE knows whether the other side is there, and `silence_timeout` where there is no ICE.
        .with_max_init_retransmits(None)
        .with_max_data_retransmits(None)
        .with_rto_initial_ms(RTO_INITIAL)
        .with_rto_min_ms(RTO_MIN)
        .with_rto_max_ms(RTO_MAX)
}

/// The library's associations have an address. There is one other side: it gets any.
const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);

/// The common header and the header of a DATA chunk.
const HEADERS: usize = 12 + 16;

/// How long the DTLS server waits for the client's INIT: longer than a slow path's round trip.
const SERVER_HESITATION: Duration = Duration::from_millis(500);
/// How long the DTLS client waits for the answer to its INIT once the server sent one, too.
const CLIENT_HESITATION: Duration = Duration::from_millis(300);

// RFC 9260's values are for paths of decades ago. libwebrtc has 500 and 400 ms; its greatest is
// 60 s, which is too long once a path is back after an outage.
const RTO_INITIAL: u64 = 500;
const RTO_MIN: u64 = 400;
const RTO_MAX: u64 = 10_000;

/// A timer that is no farther away than this needs no help, if it has grown.
const RETRANSMISSION_SOON: Duration = Duration::from_millis(500);

/// The same for one that may not have grown: that of a stream's reset is not counted.
const RETRANSMISSION_LATE: Duration = Duration::from_secs(4);
