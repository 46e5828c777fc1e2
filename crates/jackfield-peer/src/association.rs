//! One association: DTLS, SCTP and data channels over any path for datagrams.

mod channels;
mod config;
mod counters;
mod output;
mod path_probe;

pub use config::{AssociationConfig, RemoteParameters};
pub use counters::{ChannelStats, Counters};
pub use output::{CloseReason, Event, OpenError, Output, State, WriteError};

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::channel::{ChannelConfig, ChannelId, Message};
use crate::dtls::{Dtls, DtlsOutput, DtlsRole};
use crate::sctp::{Library, Sctp, SctpClosed, SctpConfig, SctpEvent, SnapChunks};
use channels::Channels;
use path_probe::PathProbe;

/// DTLS, SCTP and DCEP between two peers ([RFC 8831], [RFC 8832], [RFC 8261]).
///
/// It is made before the other side is known, so that channels can be opened at once;
/// [`start`](Self::start) begins the handshake. Give it datagrams of addresses only that ICE
/// has validated: a stranger's ClientHello would else be answered, and take the place of the other
/// side's.
///
/// [RFC 8831]: https://www.rfc-editor.org/rfc/rfc8831
/// [RFC 8832]: https://www.rfc-editor.org/rfc/rfc8832
/// [RFC 8261]: https://www.rfc-editor.org/rfc/rfc8261
#[derive(Debug)]
pub struct Association {
    config: AssociationConfig,
    state: State,
    now: Instant,
    /// Our INIT chunk, where the signaling is to carry it.
    init_chunk: Option<Bytes>,
    dtls: Option<Dtls>,
    sctp: Option<Library>,
    role: Option<DtlsRole>,
    channels: Channels,
    /// Datagrams that came before [`start`](Self::start): the ClientHello overtakes an answer.
    early: Vec<Vec<u8>>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    /// When the association ends because it has no channel.
    idle_deadline: Option<Instant>,
    /// When a shutdown that the other side does not answer ends.
    shutdown_deadline: Option<Instant>,
    /// When the other side is given up because it acknowledges nothing.
    silence_deadline: Option<Instant>,
    /// When what was not acknowledged is sent again, and how often: the path has come back.
    hurry: Option<(Instant, u8)>,
    path_probe: PathProbe,
    counters: Counters,
}

impl Association {
    /// Makes an association that waits for [`start`](Self::start).
    #[must_use]
    pub fn new(config: AssociationConfig, now: Instant) -> Self {
        Self {
            init_chunk: config
                .snap
                .then(|| Library::init_chunk(config.receive_window()))
                .flatten(),
            channels: Channels::new(&config),
            config,
            state: State::New,
            now,
            dtls: None,
            sctp: None,
            role: None,
            early: Vec::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            idle_deadline: None,
            shutdown_deadline: None,
            silence_deadline: None,
            hurry: None,
            path_probe: PathProbe::default(),
            counters: Counters::default(),
        }
    }

    /// Begins the handshake with the other side. A second call does nothing.
    pub fn start(&mut self, now: Instant, role: DtlsRole, remote: RemoteParameters) {
        self.advance(now);
        if self.state != State::New {
            return;
        }
        self.state = State::Connecting;
        self.role = Some(role);
        self.channels.begin(role, remote.send_limit());
        self.sctp = Some(Library::new(self.sctp_config(role, &remote)));
        let mut dtls = Dtls::new(
            now,
            role,
            &self.config.certificate,
            remote.fingerprints,
            self.config.datagram_size,
            self.config.handshake_timeout,
        );
        let started = dtls.handle_timeout(now);
        self.dtls = Some(dtls);
        self.settle(started);
        for datagram in std::mem::take(&mut self.early) {
            self.handle_datagram(now, &datagram);
        }
    }

    fn sctp_config(&self, role: DtlsRole, remote: &RemoteParameters) -> SctpConfig {
        let local = self.init_chunk.clone();
        let snap = local
            .zip(remote.init_chunk.as_deref().map(Bytes::copy_from_slice))
            .map(|(local, remote)| SnapChunks { local, remote });
        SctpConfig {
            dtls_client: role == DtlsRole::Client,
            local_port: self.config.sctp_port,
            remote_port: remote.sctp_port,
            packet_size: self.config.datagram_size.saturating_sub(DTLS_OVERHEAD) & !3,
            receive_limit: self.config.max_message_size,
            send_limit: remote.send_limit(),
            receive_buffer: self.config.receive_window(),
            snap,
        }
    }

    /// Takes a datagram of the other side.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.advance(now);
        self.counters.datagrams_received += 1;
        match (&mut self.dtls, self.state) {
            (Some(dtls), State::Connecting | State::Connected | State::Closing) => {
                let result = dtls.handle_datagram(now, datagram);
                // The library keeps few records, and gives up when there are more.
                self.drain_dtls();
                self.settle(result);
                self.watch_silence();
                if self.state == State::Closing {
                    self.shutdown_deadline = Some(now + SHUTDOWN_TIMEOUT);
                    self.shut_down_if_sent();
                }
            }
            (None, State::New)
                if self.early.len() < EARLY_DATAGRAMS && datagram.len() <= EARLY_SIZE =>
            {
                self.early.push(datagram.to_vec());
            }
            _ => self.counters.datagrams_dropped += 1,
        }
    }

    /// Lets deadlines pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if passed(self.shutdown_deadline) {
            self.finish(CloseReason::Local);
            return;
        }
        if passed(self.silence_deadline) {
            self.finish(CloseReason::TimedOut);
            return;
        }
        self.path_probe.handle_timeout(now);
        self.hurry_up();
        if passed(self.idle_deadline) {
            self.idle_deadline = None;
            self.shutdown(now);
        }
        if let Some(dtls) = &mut self.dtls
            && dtls.next_timeout().is_some_and(|at| at <= now)
        {
            let result = dtls.handle_timeout(now);
            self.settle(result);
        }
        if let Some(sctp) = &mut self.sctp {
            sctp.handle_timeout(now);
        }
    }

    /// Opens a channel.
    ///
    /// [`Event::ChannelOpened`] comes once messages can be written: with the association's
    /// connection, and without waiting for the other side to agree, which [RFC 8832 §6] allows.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says which limit or rule the channel breaks.
    ///
    /// [RFC 8832 §6]: https://www.rfc-editor.org/rfc/rfc8832#section-6
    pub fn open_channel(
        &mut self,
        now: Instant,
        config: ChannelConfig,
    ) -> Result<ChannelId, OpenError> {
        self.advance(now);
        if matches!(self.state, State::Closing | State::Closed) {
            return Err(OpenError::Closed);
        }
        let id = self.channels.add(config)?;
        self.idle_deadline = None;
        self.open_pending();
        Ok(id)
    }

    /// Queues a message on a channel.
    ///
    /// # Errors
    ///
    /// [`WriteError::WouldBlock`] past [`AssociationConfig::max_buffered`]: nothing was queued,
    /// and [`Event::BufferedAmountLow`] says when to try again.
    pub fn write(
        &mut self,
        now: Instant,
        id: ChannelId,
        message: Message<'_>,
    ) -> Result<(), WriteError> {
        self.advance(now);
        let Some(sctp) = self
            .sctp
            .as_mut()
            .filter(|_| self.state == State::Connected)
        else {
            return Err(self.channels.not_writable(id));
        };
        let written = self.channels.write(sctp, id, message);
        if written == Err(WriteError::WouldBlock) {
            self.counters.writes_refused += 1;
        }
        if self.silence_deadline.is_none() {
            self.watch_silence();
        }
        written
    }

    /// Closes a channel once everything written is sent; [`Event::ChannelClosed`] comes when the
    /// other side has closed it, too.
    pub fn close_channel(&mut self, now: Instant, id: ChannelId) {
        self.advance(now);
        if self.channels.close(self.sctp.as_mut(), id) {
            self.closed_channel(id);
        }
    }

    /// Returns the bytes of a channel that are queued or unacknowledged: W3C's `bufferedAmount`.
    pub fn buffered_amount(&mut self, id: ChannelId) -> usize {
        match self.sctp.as_mut().zip(self.channels.stream(id)) {
            Some((sctp, stream)) => sctp.buffered(stream),
            None => 0,
        }
    }

    /// Sets when [`Event::BufferedAmountLow`] comes: as the amount falls to `bytes` or below.
    pub fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, bytes: usize) {
        self.channels
            .set_low_threshold(self.sctp.as_mut(), id, bytes);
    }

    /// Stops reading a channel: its messages stay in the receive window, and the other side's
    /// sender waits once that is full. The window is shared by all channels.
    pub fn pause_channel(&mut self, id: ChannelId) {
        self.channels.set_paused(id, true);
    }

    /// Reads a channel again.
    pub fn resume_channel(&mut self, now: Instant, id: ChannelId) {
        self.advance(now);
        self.channels.set_paused(id, false);
        if let Some(stream) = self.channels.stream(id) {
            self.read(stream);
        }
    }

    /// Ends the association once everything written is sent.
    pub fn shutdown(&mut self, now: Instant) {
        self.advance(now);
        match self.state {
            State::Connected => {
                self.state = State::Closing;
                self.shutdown_deadline = Some(now + SHUTDOWN_TIMEOUT);
                self.shut_down_if_sent();
            }
            State::New | State::Connecting => self.finish(CloseReason::Local),
            State::Closing | State::Closed => {}
        }
    }

    /// Ends the association at once. What was not sent is lost.
    pub fn abort(&mut self, now: Instant) {
        self.advance(now);
        self.finish(CloseReason::Local);
    }

    /// Returns the next thing to do. Drain it after each input until it is [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        loop {
            if let Some(datagram) = self.transmits.pop_front() {
                self.counters.datagrams_sent += 1;
                return Output::Transmit(datagram);
            }
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            if !self.pump() {
                return Output::Wait(self.deadline());
            }
        }
    }

    /// Returns how far the association is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns which side of DTLS we are, once that is known.
    #[must_use]
    pub fn role(&self) -> Option<DtlsRole> {
        self.role
    }

    /// Returns the DTLS version, once it is agreed: `DTLSv1.2` or `DTLSv1.3`.
    #[must_use]
    pub fn dtls_version(&self) -> Option<&'static str> {
        self.dtls.as_ref().and_then(Dtls::version)
    }

    /// Returns SCTP's idea of the round-trip time.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.sctp.as_ref().and_then(|sctp| sctp.round_trip())
    }

    /// Takes the news that the path works again after an outage, or is another one: what was not
    /// acknowledged is sent again now, where it would have to wait. SCTP doubles the time between
    /// retransmissions for as long as the outage lasts, up to 10 s.
    ///
    /// A message with a lifetime that was sent before may be given up earlier by as much.
    pub fn path_returned(&mut self, now: Instant) {
        self.advance(now);
        self.hurry = Some((now, HURRIES));
        self.hurry_up();
    }

    /// Finds out how large datagrams on the path may be: sends a few of growing size, which the
    /// other side sends back. Does nothing before the association is connected.
    pub fn probe_path(&mut self, now: Instant) {
        self.advance(now);
        if self.state == State::Connected {
            self.path_probe.begin();
        }
    }

    /// Returns the largest datagram that passed in both directions since
    /// [`probe_path`](Self::probe_path), in bytes of the UDP payload.
    #[must_use]
    pub fn largest_datagram(&self) -> Option<usize> {
        self.path_probe.largest()
    }

    /// Returns our INIT chunk for the signaling ([draft-hancke-tsvwg-snap]).
    ///
    /// [draft-hancke-tsvwg-snap]: https://datatracker.ietf.org/doc/draft-hancke-tsvwg-snap/
    #[must_use]
    pub fn init_chunk(&self) -> Option<&[u8]> {
        self.init_chunk.as_deref()
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &AssociationConfig {
        &self.config
    }

    /// Returns the configuration of a channel that is open.
    #[must_use]
    pub fn channel(&self, id: ChannelId) -> Option<&ChannelConfig> {
        self.channels.config(id)
    }

    /// Returns the SCTP stream of a channel, once it has one.
    #[must_use]
    pub fn stream(&self, id: ChannelId) -> Option<u16> {
        self.channels.stream(id)
    }

    /// Returns what a channel carried.
    #[must_use]
    pub fn channel_stats(&self, id: ChannelId) -> Option<ChannelStats> {
        self.channels.stats(id)
    }

    /// Returns what was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sends again what waits, and once more a moment later: the path may still lose packets.
    fn hurry_up(&mut self) {
        let now = self.now;
        if let Some((_, left)) = self.hurry.filter(|(at, _)| *at <= now) {
            self.hurry = left.checked_sub(1).map(|left| (now + HURRY, left));
            if let Some(sctp) = &mut self.sctp {
                sctp.retransmit(now);
            }
        }
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn deadline(&self) -> Option<Instant> {
        let dtls = self.dtls.as_ref().and_then(Dtls::next_timeout);
        let sctp = self.sctp.as_ref().and_then(|sctp| sctp.next_timeout());
        [
            dtls,
            sctp,
            self.idle_deadline,
            self.shutdown_deadline,
            self.silence_deadline,
            self.hurry.map(|(at, _)| at),
            self.path_probe.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Carries packets and events between the layers; returns whether anything moved.
    fn pump(&mut self) -> bool {
        let mut moved = false;
        moved |= self.drain_dtls();
        if self.state == State::Connecting && self.role.is_some() && !self.dtls_connected() {
            return moved;
        }
        while let Some(event) = self.sctp.as_mut().and_then(|sctp| sctp.poll_event()) {
            moved = true;
            self.handle_sctp(event);
        }
        moved |= self.send_probe();
        let now = self.now;
        while let Some(packet) = self.sctp.as_mut().and_then(|sctp| sctp.poll_packet(now)) {
            moved = true;
            self.encrypt(&packet);
        }
        moved
    }

    /// Sends the path's next probe, if one is due.
    fn send_probe(&mut self) -> bool {
        let Some((number, size)) = self
            .path_probe
            .due()
            .filter(|_| self.state == State::Connected)
        else {
            return false;
        };
        let overhead = match self.dtls_version() {
            Some("DTLSv1.3") => DTLS_1_3_OVERHEAD,
            _ => DTLS_OVERHEAD,
        };
        let sctp = self.sctp.as_ref();
        let Some(packet) = sctp.and_then(|sctp| sctp.probe(number, size - overhead)) else {
            return false;
        };
        let waiting = self.transmits.len();
        self.encrypt(&packet);
        let size = self.transmits.get(waiting).map_or(0, Vec::len);
        self.path_probe.sent(self.now, size);
        true
    }

    fn dtls_connected(&self) -> bool {
        self.dtls.as_ref().is_some_and(Dtls::is_connected)
    }

    fn encrypt(&mut self, packet: &[u8]) {
        let Some(dtls) = &mut self.dtls else {
            return;
        };
        let result = dtls.send(packet);
        self.drain_dtls();
        self.settle(result);
    }

    fn drain_dtls(&mut self) -> bool {
        let mut moved = false;
        while let Some(output) = self.dtls.as_mut().and_then(Dtls::poll_output) {
            moved = true;
            self.handle_dtls(output);
        }
        moved
    }

    fn handle_dtls(&mut self, output: DtlsOutput) {
        match output {
            DtlsOutput::Transmit(datagram) => self.transmits.push_back(datagram),
            DtlsOutput::Packet(packet) => {
                if let Some(sctp) = &mut self.sctp {
                    sctp.handle_packet(self.now, &packet);
                }
            }
            DtlsOutput::Connected => {
                if let Some(sctp) = &mut self.sctp {
                    sctp.start(self.now);
                }
            }
            DtlsOutput::Closed => self.finish(CloseReason::Remote),
            DtlsOutput::Failed(error) => self.finish(CloseReason::Dtls(error)),
        }
    }

    fn handle_sctp(&mut self, event: SctpEvent) {
        match event {
            SctpEvent::Connected => {
                if self.state == State::Connecting {
                    self.state = State::Connected;
                    self.events.push_back(Event::Connected);
                    self.open_pending();
                    self.watch_idleness();
                }
            }
            SctpEvent::Readable(stream) => self.read(stream),
            SctpEvent::Finished(stream) => {
                if let Some(id) = self.channels.finished(stream) {
                    self.closed_channel(id);
                }
            }
            SctpEvent::ResetComplete(stream) => {
                self.channels.reset_complete(stream);
                self.open_pending();
            }
            SctpEvent::ProbeAnswered(number) => self.path_probe.answered(number),
            SctpEvent::BufferedAmountLow(stream) => {
                if let Some(id) = self.channels.id(stream) {
                    self.events.push_back(Event::BufferedAmountLow(id));
                }
            }
            SctpEvent::Closed(reason) => self.finish(match reason {
                SctpClosed::Shutdown => CloseReason::Remote,
                SctpClosed::Aborted => CloseReason::Aborted,
                SctpClosed::ReceiveBufferFull => CloseReason::ReceiveBufferFull,
            }),
        }
    }

    fn read(&mut self, stream: u16) {
        if let Some(sctp) = self.sctp.as_mut() {
            self.channels
                .read(sctp, stream, &mut self.counters, &mut self.events);
        }
        if !self.channels.is_empty() {
            self.idle_deadline = None;
        }
    }

    fn open_pending(&mut self) {
        if let Some(sctp) = self
            .sctp
            .as_mut()
            .filter(|_| self.state == State::Connected)
        {
            self.channels.open_pending(sctp, &mut self.events);
        }
    }

    fn closed_channel(&mut self, id: ChannelId) {
        self.events.push_back(Event::ChannelClosed(id));
        self.watch_idleness();
    }

    fn watch_idleness(&mut self) {
        self.idle_deadline = self
            .config
            .idle_timeout
            .filter(|_| self.state == State::Connected && self.channels.is_empty())
            .map(|timeout| self.now + timeout);
    }

    /// Shuts SCTP down once everything is acknowledged: the library drops what it has not sent.
    fn shut_down_if_sent(&mut self) {
        if self.state == State::Closing
            && let Some(sctp) = &mut self.sctp
            && !self.channels.has_unacknowledged(sctp)
        {
            sctp.shutdown();
        }
    }

    /// Begins to wait for an acknowledgement, or again after something came.
    fn watch_silence(&mut self) {
        let (Some(timeout), Some(sctp)) = (self.config.silence_timeout, &mut self.sctp) else {
            return;
        };
        self.silence_deadline = self
            .channels
            .has_unacknowledged(sctp)
            .then(|| self.now + timeout);
    }

    fn settle(&mut self, result: Result<(), crate::DtlsError>) {
        if let Err(error) = result {
            self.finish(CloseReason::Dtls(error));
        }
    }

    /// Ends everything, and says so to the other side and to the program.
    fn finish(&mut self, reason: CloseReason) {
        let reason = match (self.state, reason) {
            (State::Closed, _) => return,
            // The other side's half of what we began.
            (State::Closing, CloseReason::Remote) => CloseReason::Local,
            (_, reason) => reason,
        };
        self.state = State::Closed;
        self.idle_deadline = None;
        self.shutdown_deadline = None;
        self.silence_deadline = None;
        self.hurry = None;
        self.path_probe.end();
        self.sctp = None;
        self.early.clear();
        if let Some(mut dtls) = self.dtls.take()
            && dtls.close().is_ok()
        {
            while let Some(output) = dtls.poll_output() {
                if let DtlsOutput::Transmit(datagram) = output {
                    self.transmits.push_back(datagram);
                }
            }
        }
        for id in self.channels.clear() {
            self.events.push_back(Event::ChannelClosed(id));
        }
        self.events.push_back(Event::Closed(reason));
    }
}

/// A ClientHello of several datagrams, once or twice.
const EARLY_DATAGRAMS: usize = 8;

/// The longest of these, in bytes: handshakes keep to what a path carries.
const EARLY_SIZE: usize = 2_048;

/// Header, explicit nonce and tag of a DTLS 1.2 record; those of DTLS 1.3 are shorter.
const DTLS_OVERHEAD: usize = 13 + 8 + 16;

/// Header, type and tag of a DTLS 1.3 record.
const DTLS_1_3_OVERHEAD: usize = 5 + 1 + 16;

/// How often, after the first time, what waits is sent again on a path that has come back, and
/// after what time.
const HURRIES: u8 = 2;
const HURRY: Duration = Duration::from_secs(1);

/// How long the other side may be silent during a shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
