//! A whole peer: ICE, an association and the negotiation that makes them ([RFC 8829]).
//!
//! [RFC 8829]: https://www.rfc-editor.org/rfc/rfc8829

mod config;
mod negotiation;
mod output;

pub use config::PeerConfig;
pub use output::{
    CandidateRefused, ConnectionState, PeerCounters, PeerEvent, PeerOutput, PeerStats,
};

use std::collections::VecDeque;
use std::time::Instant;

use jackfield_ice::sdp::Description;
use jackfield_ice::{Agent, Candidate, Role};
use jackfield_sansio::{FiveTuple, PacketType, Transmit};

use crate::DtlsRole;
use crate::association::{Association, Event, OpenError, Output, State, WriteError};
use crate::channel::{ChannelConfig, ChannelId, Message};
use crate::sdp::{DataForm, DataSection, SdpError, SessionDescription, Setup};
use negotiation::Negotiation;

/// One side of a connection to a browser or another peer: what the web calls `RTCPeerConnection`,
/// for data channels.
///
/// Descriptions and candidates go through the program's signaling as text. Sockets belong to the
/// driver, as for [`Agent`]; DTLS is taken only from addresses that ICE has validated.
#[derive(Debug)]
pub struct Peer {
    agent: Agent,
    association: Association,
    negotiation: Negotiation,
    state: ConnectionState,
    probe_path: bool,
    /// Whether ICE was connected when it last told its state.
    has_path: bool,
    /// The path of the last datagram, and what was put around it.
    last_path: Option<(FiveTuple, usize)>,
    now: Instant,
    /// Our candidates, so that a later description has them.
    candidates: Vec<Candidate>,
    is_gathered: bool,
    agent_deadline: Option<Instant>,
    association_deadline: Option<Instant>,
    outputs: VecDeque<PeerOutput>,
    counters: PeerCounters,
}

impl Peer {
    /// Makes a peer without sockets.
    ///
    /// `seed` is for ICE and the session's number: 32 bytes from a good source of randomness,
    /// different for each peer.
    #[must_use]
    pub fn new(config: PeerConfig, now: Instant, seed: [u8; 32]) -> Self {
        Self {
            agent: Agent::new(config.ice, now, seed),
            negotiation: Negotiation::new(config.polite, &seed),
            association: Association::new(config.association, now),
            state: ConnectionState::New,
            probe_path: config.probe_path,
            has_path: false,
            last_path: None,
            now,
            candidates: Vec::new(),
            is_gathered: false,
            agent_deadline: None,
            association_deadline: None,
            outputs: VecDeque::new(),
            counters: PeerCounters::default(),
        }
    }

    /// Opens a channel; [`Event::ChannelOpened`] comes once it can be used.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says which limit or rule the channel breaks.
    pub fn open_channel(
        &mut self,
        now: Instant,
        config: ChannelConfig,
    ) -> Result<ChannelId, OpenError> {
        self.advance(now);
        self.association.open_channel(now, config)
    }

    /// Queues a message on a channel.
    ///
    /// # Errors
    ///
    /// See [`Association::write`].
    pub fn write(
        &mut self,
        now: Instant,
        id: ChannelId,
        message: Message<'_>,
    ) -> Result<(), WriteError> {
        self.advance(now);
        self.association.write(now, id, message)
    }

    /// Closes a channel; see [`Association::close_channel`].
    pub fn close_channel(&mut self, now: Instant, id: ChannelId) {
        self.advance(now);
        self.association.close_channel(now, id);
    }

    /// Ends the peer once everything written is sent.
    pub fn close(&mut self, now: Instant) {
        self.advance(now);
        self.association.shutdown(now);
    }

    /// Returns an offer with everything that is known by now. Candidates that come later are
    /// [`PeerEvent::LocalCandidate`]s.
    ///
    /// # Errors
    ///
    /// [`SdpError::Closed`] once the peer is closed.
    pub fn create_offer(&mut self, now: Instant) -> Result<String, SdpError> {
        self.advance(now);
        self.check_open()?;
        if !self.negotiation.has_begun() {
            self.agent.set_role(now, Role::Controlling);
        }
        let section = self.local_section(Setup::ActPass);
        Ok(self.negotiation.offer(section))
    }

    /// Takes an offer, and returns the answer.
    ///
    /// # Errors
    ///
    /// [`SdpError`] says what is wrong with the offer, and the peer goes on as before.
    /// [`SdpError::OfferPending`] is what the impolite side says to an offer that crosses its own:
    /// nothing is wrong, the other side gives way.
    pub fn handle_offer(&mut self, now: Instant, offer: &str) -> Result<String, SdpError> {
        self.advance(now);
        self.check_open()?;
        let offer: SessionDescription = offer.parse()?;
        let data = offer.data().ok_or(SdpError::NoData)?.clone();
        let is_first = !self.negotiation.has_begun();
        let setup = data.setup.answer(self.negotiation.role());
        self.negotiation.check_offer(&data, setup)?;
        if is_first {
            self.agent.set_role(now, Role::Controlled);
        }
        self.take_remote(now, &data)?;
        let answer = offer.answer(0, 0, self.local_section(setup))?;
        let role = setup.role().unwrap_or(DtlsRole::Client);
        let text = self.negotiation.answered(answer, &data, role);
        Ok(text)
    }

    /// Takes the answer to [`create_offer`](Self::create_offer).
    ///
    /// # Errors
    ///
    /// [`SdpError`] says what is wrong with the answer; the offer still waits for a good one.
    pub fn handle_answer(&mut self, now: Instant, answer: &str) -> Result<(), SdpError> {
        self.advance(now);
        self.check_open()?;
        let answer: SessionDescription = answer.parse()?;
        let (data, role) = self.negotiation.check_answer(&answer)?;
        self.take_remote(now, &data)?;
        self.negotiation.accepted(&data, role);
        Ok(())
    }

    /// Takes our offer back, if one waits for its answer.
    pub fn rollback(&mut self) {
        self.negotiation.rollback();
    }

    /// Takes a candidate of the other side: `candidate:...`, or nothing at the end of candidates.
    ///
    /// `ufrag` is `RTCIceCandidate.usernameFragment`, where the signaling has it.
    ///
    /// # Errors
    ///
    /// [`CandidateRefused`] says why it is of no use; the peer goes on without it.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        text: &str,
        ufrag: Option<&str>,
    ) -> Result<(), CandidateRefused> {
        self.advance(now);
        if text.is_empty() || text == "a=end-of-candidates" {
            self.agent.end_of_remote_candidates(now);
            return Ok(());
        }
        let text = text.strip_prefix("a=").unwrap_or(text);
        let taken =
            text.parse()
                .map_err(CandidateRefused::from)
                .and_then(|mut candidate: Candidate| {
                    if candidate.ufrag.is_none() {
                        candidate.ufrag = ufrag.map(Into::into);
                    }
                    Ok(self.agent.add_remote_candidate(now, candidate)?)
                });
        if taken.is_err() {
            self.counters.candidates_refused += 1;
        }
        taken
    }

    /// Gives ICE new credentials; the next [`create_offer`](Self::create_offer) tells them. The old
    /// path carries the data until a new one is found.
    pub fn restart(&mut self, now: Instant) {
        self.advance(now);
        self.agent.restart(now);
    }

    /// Takes one datagram, or one frame of a stream.
    pub fn handle_datagram(&mut self, now: Instant, path: FiveTuple, bytes: &[u8]) {
        self.advance(now);
        if let Some(data) = self.agent.handle_datagram(now, path, bytes) {
            self.take_data(data);
        }
    }

    fn take_data(&mut self, data: &[u8]) {
        match PacketType::of(data) {
            PacketType::Dtls => self.association.handle_datagram(self.now, data),
            // The answer refused audio and video, so that nothing else is expected.
            _ => self.counters.packets_dropped += 1,
        }
    }

    /// Lets deadlines pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.agent.handle_timeout(now);
        self.association.handle_timeout(now);
    }

    /// Returns the next thing to do. Drain it after each input until it is [`PeerOutput::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> PeerOutput {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if self.drain_agent() || self.drain_association() || self.follow_state() {
                continue;
            }
            return PeerOutput::Wait(self.deadline());
        }
    }

    /// Returns how far the peer is, in W3C's terms.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.state
    }

    /// Returns the ICE agent.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Returns the ICE agent, for the sockets that a driver gives it. Drain
    /// [`poll_output`](Self::poll_output) afterwards.
    #[must_use]
    pub fn agent_mut(&mut self) -> &mut Agent {
        &mut self.agent
    }

    /// Returns the association.
    #[must_use]
    pub fn association(&self) -> &Association {
        &self.association
    }

    /// Returns the association, for its channels. Drain [`poll_output`](Self::poll_output)
    /// afterwards.
    #[must_use]
    pub fn association_mut(&mut self) -> &mut Association {
        &mut self.association
    }

    /// Returns a picture of the peer.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        PeerStats {
            state: self.state,
            ice: self.agent.stats(),
            dtls_version: self.association.dtls_version(),
            sctp_round_trip: self.association.round_trip(),
            path_mtu: self.path_mtu(),
            association: *self.association.counters(),
            peer: self.counters,
        }
    }

    /// Returns the size of the IP packet that the largest probe travelled in.
    fn path_mtu(&self) -> Option<usize> {
        let (path, header) = self
            .last_path
            .filter(|(path, _)| !path.transport.is_stream())?;
        let ip = if path.remote.is_ipv4() { 20 } else { 40 };
        Some(self.association.largest_datagram()? + header + UDP_HEADER + ip)
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn check_open(&self) -> Result<(), SdpError> {
        match self.association.state() {
            State::Closing | State::Closed => Err(SdpError::Closed),
            State::New | State::Connecting | State::Connected => Ok(()),
        }
    }

    /// Returns what we say of ourselves.
    fn local_section(&mut self, setup: Setup) -> DataSection {
        // A restart's candidates are announced in its wake, and belong into this description.
        while self.drain_agent() {}
        let parameters = self.agent.local_parameters().clone();
        let ufrag = parameters.credentials.ufrag().to_owned();
        let is_ours = |candidate: &&Candidate| candidate.ufrag.as_deref() == Some(&ufrag);
        let config = self.association.config();
        DataSection {
            mid: Some(DEFAULT_MID.to_owned()),
            form: DataForm::Udp,
            setup,
            fingerprints: vec![config.certificate.fingerprint().clone()],
            sctp_port: config.sctp_port,
            max_message_size: config.max_message_size as u64,
            init_chunk: self.association.init_chunk().map(<[u8]>::to_vec),
            ice: Description {
                parameters,
                candidates: self.candidates.iter().filter(is_ours).cloned().collect(),
                end_of_candidates: self.is_gathered,
            },
        }
    }

    /// Gives ICE the other side's parameters and candidates.
    fn take_remote(&mut self, now: Instant, data: &DataSection) -> Result<(), SdpError> {
        self.agent
            .set_remote_parameters(now, data.ice.parameters.clone())?;
        for candidate in &data.ice.candidates {
            if let Err(error) = self.agent.add_remote_candidate(now, candidate.clone()) {
                tracing::debug!(%error, "Refused a candidate of the description");
                self.counters.candidates_refused += 1;
            }
        }
        if data.ice.end_of_candidates {
            self.agent.end_of_remote_candidates(now);
        }
        Ok(())
    }

    /// Begins with DTLS once a pair works: a ClientHello before that would be lost, and sent again
    /// after a quarter of a second.
    fn begin(&mut self) {
        if self.association.state() == State::New
            && self.agent.state().is_connected()
            && let Some((role, remote)) = self.negotiation.remote()
        {
            self.association.start(self.now, role, remote);
        }
    }

    /// Passes on what the agent wants; returns whether that was anything.
    fn drain_agent(&mut self) -> bool {
        let mut any = false;
        loop {
            let output = match self.agent.poll_output() {
                jackfield_ice::Output::Wait(deadline) => {
                    self.agent_deadline = deadline;
                    return any;
                }
                jackfield_ice::Output::Transmit(transmit) => PeerOutput::Transmit(transmit),
                jackfield_ice::Output::Connect {
                    id,
                    transport,
                    local,
                    remote,
                    server,
                    domain,
                } => PeerOutput::Connect {
                    id,
                    transport,
                    local,
                    remote,
                    server,
                    domain,
                },
                jackfield_ice::Output::Close(path) => PeerOutput::Close(path),
                jackfield_ice::Output::Resolve(name) => PeerOutput::Resolve(name),
                jackfield_ice::Output::Event(event) => {
                    any = true;
                    self.handle_ice(event);
                    continue;
                }
            };
            any = true;
            self.outputs.push_back(output);
        }
    }

    fn handle_ice(&mut self, event: jackfield_ice::Event) {
        use jackfield_ice::Event as Ice;
        let event = match event {
            Ice::LocalCandidate(candidate) => {
                let text = candidate.to_string();
                // A restart announces the same candidates anew.
                self.candidates.retain(|known| {
                    known.address != candidate.address
                        || known.transport != candidate.transport
                        || known.kind != candidate.kind
                });
                self.candidates.push(candidate);
                self.is_gathered = false;
                PeerEvent::LocalCandidate(text)
            }
            Ice::LocalCandidateRemoved(candidate) => {
                self.candidates.retain(|known| *known != candidate);
                PeerEvent::LocalCandidateRemoved(candidate.to_string())
            }
            Ice::GatheringComplete => {
                self.is_gathered = true;
                PeerEvent::GatheringComplete
            }
            Ice::StateChanged(state) => {
                self.begin();
                let was_connected = std::mem::replace(&mut self.has_path, state.is_connected());
                if self.has_path && !was_connected {
                    self.association.path_returned(self.now);
                }
                return;
            }
            Ice::SelectedPairRecovered => {
                self.association.path_returned(self.now);
                return;
            }
            Ice::SelectedPairChanged(pair) => {
                self.begin();
                self.association.path_returned(self.now);
                if self.probe_path {
                    self.association.probe_path(self.now);
                }
                PeerEvent::PathChanged(pair)
            }
            Ice::RestartNeeded => PeerEvent::RestartNeeded,
            Ice::EarlyData(data) => {
                self.take_data(&data);
                return;
            }
            _ => return,
        };
        self.outputs.push_back(PeerOutput::Event(event));
    }

    /// Passes on what the association wants; returns whether that was anything.
    fn drain_association(&mut self) -> bool {
        let mut any = false;
        self.begin();
        loop {
            match self.association.poll_output() {
                Output::Wait(deadline) => {
                    self.association_deadline = deadline;
                    return any;
                }
                Output::Transmit(datagram) => self.send(datagram),
                Output::Event(event) => {
                    match event {
                        Event::Closed(_) => self.agent.close(self.now),
                        Event::Connected if self.probe_path => {
                            self.association.probe_path(self.now);
                        }
                        _ => {}
                    }
                    self.outputs
                        .push_back(PeerOutput::Event(PeerEvent::Association(event)));
                }
            }
            any = true;
        }
    }

    fn send(&mut self, datagram: Vec<u8>) {
        let outgoing = match self.agent.send(self.now, &datagram) {
            Ok(outgoing) => outgoing,
            Err(error) => {
                tracing::trace!(%error, "No path for a datagram");
                self.counters.datagrams_unsent += 1;
                return;
            }
        };
        let path = outgoing.path;
        let header = outgoing
            .header
            .as_ref()
            .map_or(0, |header| header.as_bytes().len());
        self.last_path = Some((path, header));
        let bytes = match outgoing.header {
            None if outgoing.padding == 0 => datagram,
            header => {
                let header = header.as_ref().map_or(&[][..], |header| header.as_bytes());
                let padding = [0; 3];
                let padding = padding.get(..outgoing.padding.into()).unwrap_or_default();
                [header, outgoing.payload, padding].concat()
            }
        };
        self.outputs
            .push_back(PeerOutput::Transmit(Transmit { path, bytes }));
    }

    /// Tells the state if it is another one.
    fn follow_state(&mut self) -> bool {
        let state = connection_state(self.agent.state(), self.association.state());
        if state == self.state {
            return false;
        }
        self.state = state;
        self.outputs
            .push_back(PeerOutput::Event(PeerEvent::StateChanged(state)));
        true
    }

    fn deadline(&self) -> Option<Instant> {
        [self.agent_deadline, self.association_deadline]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Returns W3C's state of the two ([RTCPeerConnectionState]).
///
/// [RTCPeerConnectionState]: https://www.w3.org/TR/webrtc/#rtcpeerconnectionstate-enum
fn connection_state(ice: jackfield_ice::State, association: State) -> ConnectionState {
    use jackfield_ice::State as Ice;
    match (association, ice) {
        (State::Closed, _) | (_, Ice::Closed) => ConnectionState::Closed,
        (_, Ice::Failed) => ConnectionState::Failed,
        (_, Ice::Disconnected) => ConnectionState::Disconnected,
        (State::New, Ice::New) => ConnectionState::New,
        (State::Connected | State::Closing, _) => ConnectionState::Connected,
        (State::New | State::Connecting, _) => ConnectionState::Connecting,
    }
}

const UDP_HEADER: usize = 8;

/// The section's name where nothing gives another.
const DEFAULT_MID: &str = "0";
