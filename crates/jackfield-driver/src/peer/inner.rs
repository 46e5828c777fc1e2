//! A peer as an endpoint drives it: its core, and what the handles of it and its channels wait for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use jackfield_ice::{Agent, ConnectionId, MdnsName, SelectedPair};
use jackfield_peer::{
    ChannelConfig, ChannelId, CloseReason, ConnectionState, Event, Message, Peer as PeerCore,
    PeerOutput, ReceivedMessage, WriteError,
};
use jackfield_sansio::FiveTuple;

use super::error::ChannelError;
use crate::ice::{Core, CoreOutput};

/// What happens to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerEvent {
    /// A candidate for the other side, as `RTCIceCandidate.candidate` has it.
    LocalCandidate(String),
    /// A candidate that was signaled and works no longer.
    LocalCandidateRemoved(String),
    /// There are no more candidates for now.
    GatheringComplete,
    /// The state is another one.
    StateChanged(ConnectionState),
    /// Data takes another path.
    PathChanged(Box<SelectedPair>),
    /// The path is lost for good: call [`Peer::restart`](super::Peer::restart) and make an offer.
    RestartNeeded,
    /// The peer is over; no event follows.
    Closed(CloseReason),
}

/// The core that an endpoint drives: a peer, and what its handles wait for.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) core: PeerCore,
    channels: BTreeMap<ChannelId, Channel>,
    /// Channels of the other side that wait to be accepted, closed ones among them: at most as
    /// many as may be open.
    incoming: VecDeque<ChannelId>,
    accepting: Wakers,
    closing: Wakers,
    /// Channels whose writers wait for room, or for an empty buffer.
    blocked: BTreeSet<ChannelId>,
    closed: Option<CloseReason>,
    max_received: usize,
}

/// What the driver knows of a channel.
#[derive(Debug)]
struct Channel {
    config: ChannelConfig,
    is_open: bool,
    is_closed: bool,
    received: VecDeque<ReceivedMessage>,
    received_bytes: usize,
    is_paused: bool,
    readers: Wakers,
    writers: Wakers,
}

impl Inner {
    pub(super) fn new(core: PeerCore, max_received: usize) -> Self {
        Self {
            core,
            channels: BTreeMap::new(),
            incoming: VecDeque::new(),
            accepting: Wakers::default(),
            closing: Wakers::default(),
            blocked: BTreeSet::new(),
            closed: None,
            max_received,
        }
    }

    /// Notes a channel that the core knows.
    pub(super) fn open(&mut self, id: ChannelId, config: ChannelConfig) {
        self.channels.insert(id, Channel::new(config));
    }

    /// Returns why the peer is closed, once it is.
    pub(super) fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Takes what happened in the core; returns what of it the program wants to know.
    fn handle(&mut self, event: jackfield_peer::PeerEvent) -> Option<PeerEvent> {
        use jackfield_peer::PeerEvent as Happened;
        match event {
            Happened::LocalCandidate(text) => Some(PeerEvent::LocalCandidate(text)),
            Happened::LocalCandidateRemoved(text) => Some(PeerEvent::LocalCandidateRemoved(text)),
            Happened::GatheringComplete => Some(PeerEvent::GatheringComplete),
            Happened::StateChanged(state) => Some(PeerEvent::StateChanged(state)),
            Happened::PathChanged(pair) => Some(PeerEvent::PathChanged(pair)),
            Happened::RestartNeeded => Some(PeerEvent::RestartNeeded),
            Happened::Association(event) => {
                self.handle_association(event);
                None
            }
            _ => None,
        }
    }

    fn handle_association(&mut self, event: Event) {
        match event {
            Event::ChannelOpened {
                id,
                config,
                incoming,
            } => {
                // The association counts channels that are open: those that the other side has
                // closed again would pile up here, where nothing accepts them.
                let most = self.core.association().config().max_channels;
                if incoming && self.incoming.len() >= most {
                    tracing::debug!(most, "Too many channels wait to be accepted");
                    self.core.close_channel(Instant::now(), id);
                } else if incoming {
                    self.open(id, config);
                    self.incoming.push_back(id);
                    self.accepting.wake();
                }
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.is_open = true;
                    channel.readers.wake();
                }
            }
            Event::Message(id, message) => self.receive(id, message),
            Event::ChannelClosed(id) => {
                self.blocked.remove(&id);
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.is_closed = true;
                    channel.readers.wake();
                    channel.writers.wake();
                }
            }
            Event::Closed(reason) => {
                self.closed = Some(reason);
                self.accepting.wake();
                self.closing.wake();
            }
            _ => {}
        }
    }

    fn receive(&mut self, id: ChannelId, message: ReceivedMessage) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.received_bytes += message.as_bytes().len() + MESSAGE_OVERHEAD;
        channel.received.push_back(message);
        channel.readers.wake();
        if !channel.is_paused && channel.received_bytes > self.max_received {
            channel.is_paused = true;
            self.core.association_mut().pause_channel(id);
        }
    }

    fn wake_writers(&mut self) {
        if self.blocked.is_empty() {
            return;
        }
        let low = self.core.association().config().max_buffered / 2;
        let association = self.core.association_mut();
        let channels = &mut self.channels;
        self.blocked.retain(|id| {
            let Some(channel) = channels.get_mut(id) else {
                return false;
            };
            let is_low = association.buffered_amount(*id) <= low;
            if is_low {
                channel.writers.wake();
            }
            !is_low
        });
    }

    pub(super) fn poll_accept(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Option<(ChannelId, ChannelConfig)>> {
        while let Some(id) = self.incoming.pop_front() {
            if let Some(channel) = self.channels.get(&id) {
                return Poll::Ready(Some((id, channel.config.clone())));
            }
        }
        if self.closed.is_some() {
            return Poll::Ready(None);
        }
        self.accepting.add(context);
        Poll::Pending
    }

    pub(super) fn poll_closed(&mut self, context: &Context<'_>) -> Poll<CloseReason> {
        match self.closed {
            Some(reason) => Poll::Ready(reason),
            None => {
                self.closing.add(context);
                Poll::Pending
            }
        }
    }

    /// Waits until a channel is open; an error once it is closed.
    pub(super) fn poll_opened(
        &mut self,
        id: ChannelId,
        context: &Context<'_>,
    ) -> Poll<Result<(), ()>> {
        match self.channels.get_mut(&id) {
            Some(channel) if channel.is_closed => Poll::Ready(Err(())),
            Some(channel) if channel.is_open => Poll::Ready(Ok(())),
            Some(channel) => {
                channel.readers.add(context);
                Poll::Pending
            }
            None => Poll::Ready(Err(())),
        }
    }

    /// Takes the next message of a channel; `None` once it is closed. The flag says whether the
    /// core has something to do.
    pub(super) fn poll_receive(
        &mut self,
        id: ChannelId,
        context: &Context<'_>,
    ) -> Poll<Option<(ReceivedMessage, bool)>> {
        let Some(channel) = self.channels.get_mut(&id) else {
            return Poll::Ready(None);
        };
        let Some(message) = channel.received.pop_front() else {
            if channel.is_closed {
                return Poll::Ready(None);
            }
            channel.readers.add(context);
            return Poll::Pending;
        };
        channel.received_bytes -= message.as_bytes().len() + MESSAGE_OVERHEAD;
        let resumes = channel.is_paused && channel.received_bytes <= self.max_received / 2;
        if resumes {
            channel.is_paused = false;
            self.core
                .association_mut()
                .resume_channel(Instant::now(), id);
        }
        Poll::Ready(Some((message, resumes)))
    }

    /// Returns whether everything that was written to a channel is acknowledged.
    pub(super) fn is_idle(&mut self, id: ChannelId) -> bool {
        self.core.association_mut().buffered_amount(id) == 0
    }

    /// Sends a message, or waits for room.
    pub(super) fn poll_send(
        &mut self,
        id: ChannelId,
        message: Message<'_>,
        context: &Context<'_>,
    ) -> Poll<Result<(), ChannelError>> {
        match self.core.write(Instant::now(), id, message) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(WriteError::WouldBlock) => {
                self.wait_to_write(id, context);
                Poll::Pending
            }
            Err(WriteError::TooLarge(limit)) => Poll::Ready(Err(ChannelError::TooLarge(limit))),
            Err(_) => Poll::Ready(Err(ChannelError::Closed)),
        }
    }

    /// Waits until everything that was written is acknowledged.
    pub(super) fn poll_flush(
        &mut self,
        id: ChannelId,
        context: &Context<'_>,
    ) -> Poll<Result<(), ChannelError>> {
        if self.is_idle(id) {
            return Poll::Ready(Ok(()));
        }
        if self
            .channels
            .get(&id)
            .is_none_or(|channel| channel.is_closed)
        {
            return Poll::Ready(Err(ChannelError::Closed));
        }
        self.wait_to_write(id, context);
        Poll::Pending
    }

    fn wait_to_write(&mut self, id: ChannelId, context: &Context<'_>) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.writers.add(context);
            self.blocked.insert(id);
        }
    }

    /// Waits for the end of a channel.
    pub(super) fn poll_channel_closed(&mut self, id: ChannelId, context: &Context<'_>) -> Poll<()> {
        match self.channels.get_mut(&id) {
            Some(channel) if !channel.is_closed => {
                channel.writers.add(context);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Closes a channel whose handle is gone.
    pub(super) fn forget(&mut self, now: Instant, id: ChannelId) {
        self.core.close_channel(now, id);
        self.channels.remove(&id);
        self.blocked.remove(&id);
    }
}

impl Core for Inner {
    type Event = PeerEvent;

    fn agent(&self) -> &Agent {
        self.core.agent()
    }

    fn show_name(&mut self, local: IpAddr, name: &MdnsName) {
        self.core.agent_mut().show_name(local, name.clone());
    }

    fn add_socket(&mut self, now: Instant, local: SocketAddr) {
        self.core.agent_mut().add_socket(now, local);
    }

    fn remove_socket(&mut self, now: Instant, local: SocketAddr) {
        self.core.agent_mut().remove_socket(now, local);
    }

    fn add_listener(&mut self, now: Instant, local: SocketAddr) {
        self.core.agent_mut().add_listener(now, local);
    }

    fn remove_listener(&mut self, now: Instant, local: SocketAddr) {
        self.core.agent_mut().remove_listener(now, local);
    }

    fn add_address(&mut self, now: Instant, local: IpAddr) {
        self.core.agent_mut().add_address(now, local);
    }

    fn remove_address(&mut self, now: Instant, local: IpAddr) {
        self.core.agent_mut().remove_address(now, local);
    }

    fn add_mapped_address(&mut self, now: Instant, local: SocketAddr, outside: SocketAddr) {
        self.core
            .agent_mut()
            .add_mapped_address(now, local, outside);
    }

    fn remove_mapped_address(&mut self, now: Instant, local: SocketAddr) {
        self.core.agent_mut().remove_mapped_address(now, local);
    }

    fn end_of_sockets(&mut self, now: Instant) {
        self.core.agent_mut().end_of_sockets(now);
    }

    /// Takes a packet; messages come out of the channels.
    fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &'b [u8],
    ) -> Option<&'b [u8]> {
        self.core.handle_datagram(now, path, bytes);
        None
    }

    fn handle_connected(&mut self, now: Instant, id: ConnectionId, path: FiveTuple) {
        self.core.agent_mut().handle_connected(now, id, path);
    }

    fn handle_connect_failed(&mut self, now: Instant, id: ConnectionId) {
        self.core.agent_mut().handle_connect_failed(now, id);
    }

    fn handle_accepted(&mut self, now: Instant, path: FiveTuple) {
        self.core.agent_mut().handle_accepted(now, path);
    }

    fn handle_closed(&mut self, now: Instant, path: FiveTuple) {
        self.core.agent_mut().handle_closed(now, path);
    }

    fn handle_resolved(&mut self, now: Instant, name: &str, address: Option<IpAddr>) {
        self.core.agent_mut().handle_resolved(now, name, address);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.core.handle_timeout(now);
    }

    fn close(&mut self, now: Instant) {
        self.core.close(now);
    }

    fn poll_output(&mut self) -> CoreOutput<PeerEvent> {
        loop {
            return match self.core.poll_output() {
                PeerOutput::Transmit(transmit) => CoreOutput::Transmit(transmit),
                PeerOutput::Connect {
                    id,
                    transport,
                    local,
                    remote,
                    server,
                    domain,
                } => CoreOutput::Connect {
                    id,
                    transport,
                    local,
                    remote,
                    server,
                    domain,
                },
                PeerOutput::Close(path) => CoreOutput::Close(path),
                PeerOutput::Resolve(name) => CoreOutput::Resolve(name),
                PeerOutput::Event(event) => match self.handle(event) {
                    Some(event) => CoreOutput::Event(event),
                    None => continue,
                },
                PeerOutput::Wait(deadline) => {
                    self.wake_writers();
                    CoreOutput::Wait(deadline)
                }
            };
        }
    }
}

impl Channel {
    fn new(config: ChannelConfig) -> Self {
        Self {
            config,
            is_open: false,
            is_closed: false,
            received: VecDeque::new(),
            received_bytes: 0,
            is_paused: false,
            readers: Wakers::default(),
            writers: Wakers::default(),
        }
    }
}

/// Tasks that wait for the same thing.
#[derive(Debug, Default)]
struct Wakers(Vec<Waker>);

impl Wakers {
    fn add(&mut self, context: &Context<'_>) {
        let waker = context.waker();
        if !self.0.iter().any(|known| known.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    fn wake(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}

/// What a message costs beside its bytes: small ones must not fill the memory either.
const MESSAGE_OVERHEAD: usize = 32;
