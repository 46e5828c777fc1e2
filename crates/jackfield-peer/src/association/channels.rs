//! The channels of an association and the streams that carry them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{AssociationConfig, ChannelStats, Counters, Event, OpenError, WriteError};
use crate::channel::{ChannelConfig, ChannelId, Message, ReceivedMessage};
use crate::dcep::Dcep;
use crate::dtls::DtlsRole;
use crate::sctp::{Ppid, Sctp, SctpMessage, StreamError};

#[derive(Debug)]
pub(super) struct Channels {
    max_channels: usize,
    max_buffered: usize,
    receive_limit: usize,
    send_limit: usize,
    role: DtlsRole,
    next_id: u32,
    channels: BTreeMap<ChannelId, Channel>,
    by_stream: BTreeMap<u16, ChannelId>,
    /// Streams whose last channel is over, but not on both sides.
    resetting: BTreeSet<u16>,
    /// Channels that wait for the association or for their stream.
    pending: VecDeque<ChannelId>,
}

#[derive(Debug)]
struct Channel {
    config: ChannelConfig,
    stream: Option<u16>,
    phase: Phase,
    paused: bool,
    low_threshold: usize,
    /// Parts of a message by the deprecated PPIDs.
    partial: Vec<u8>,
    stats: ChannelStats,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It waits for the association.
    Pending,
    /// We sent DATA_CHANNEL_OPEN, and nothing came back: everything is sent in order.
    Unanswered,
    Open,
    /// We reset our half.
    Closing,
}

impl Channels {
    pub(super) fn new(config: &AssociationConfig) -> Self {
        Self {
            max_channels: config.max_channels,
            max_buffered: config.max_buffered,
            receive_limit: config.max_message_size,
            send_limit: 0,
            role: DtlsRole::Client,
            next_id: 0,
            channels: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            resetting: BTreeSet::new(),
            pending: VecDeque::new(),
        }
    }

    /// Learns what decides on stream numbers and the longest message.
    pub(super) fn begin(&mut self, role: DtlsRole, send_limit: usize) {
        self.role = role;
        self.send_limit = send_limit;
    }

    pub(super) fn has_unacknowledged(&self, sctp: &mut impl Sctp) -> bool {
        self.by_stream
            .keys()
            .any(|stream| sctp.buffered(*stream) > 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    pub(super) fn add(&mut self, config: ChannelConfig) -> Result<ChannelId, OpenError> {
        if !config.fits() {
            return Err(OpenError::TooLong);
        }
        if self.channels.len() >= self.max_channels {
            return Err(OpenError::TooMany(self.max_channels));
        }
        match config.negotiated {
            Some(u16::MAX) => return Err(OpenError::StreamNumber),
            Some(stream) if self.by_stream.contains_key(&stream) => {
                return Err(OpenError::StreamInUse(stream));
            }
            _ => {}
        }
        let stream = config.negotiated;
        let id = self.insert(config, stream, Phase::Pending);
        self.pending.push_back(id);
        Ok(id)
    }

    fn insert(&mut self, config: ChannelConfig, stream: Option<u16>, phase: Phase) -> ChannelId {
        let id = ChannelId(self.next_id);
        self.next_id += 1;
        if let Some(stream) = stream {
            self.by_stream.insert(stream, id);
        }
        let channel = Channel {
            config,
            stream,
            phase,
            paused: false,
            low_threshold: 0,
            partial: Vec::new(),
            stats: ChannelStats::default(),
        };
        self.channels.insert(id, channel);
        id
    }

    /// Opens the channels that wait for the association, and those whose stream was not free.
    pub(super) fn open_pending(&mut self, sctp: &mut impl Sctp, events: &mut VecDeque<Event>) {
        for _ in 0..self.pending.len() {
            let Some(id) = self.pending.pop_front() else {
                return;
            };
            let Some(stream) = self.pick_stream(id) else {
                self.pending.push_back(id);
                continue;
            };
            match sctp.open(stream) {
                Ok(()) => self.opened(sctp, id, stream, events),
                Err(StreamError::Busy) => self.pending.push_back(id),
                Err(StreamError::Closed) => {
                    self.remove(id);
                    events.push_back(Event::ChannelClosed(id));
                }
            }
        }
    }

    /// Returns the stream that a channel was given, or the first free one of our parity
    /// ([RFC 8832 §6]).
    ///
    /// [RFC 8832 §6]: https://www.rfc-editor.org/rfc/rfc8832#section-6
    fn pick_stream(&self, id: ChannelId) -> Option<u16> {
        if let Some(stream) = self.channels.get(&id)?.stream {
            return Some(stream).filter(|stream| !self.resetting.contains(stream));
        }
        let first = match self.role {
            DtlsRole::Client => 0,
            DtlsRole::Server => 1,
        };
        (first..u16::MAX)
            .step_by(2)
            .find(|stream| !self.by_stream.contains_key(stream) && !self.resetting.contains(stream))
    }

    fn opened(
        &mut self,
        sctp: &mut impl Sctp,
        id: ChannelId,
        stream: u16,
        events: &mut VecDeque<Event>,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        self.by_stream.insert(stream, id);
        channel.stream = Some(stream);
        sctp.set_low_threshold(stream, channel.low_threshold);
        if channel.config.negotiated.is_some() {
            channel.phase = Phase::Open;
            sctp.configure(stream, channel.config.ordered, channel.config.reliability);
        } else {
            channel.phase = Phase::Unanswered;
            //= https://www.rfc-editor.org/rfc/rfc8832#section-6
            //# before the DATA_CHANNEL_ACK message or any other
            //# message has been received on a data channel, all other messages
            //# containing user data and belonging to this data channel MUST be sent
            //# ordered
            sctp.configure(stream, true, channel.config.reliability);
            let open = Dcep::Open(channel.config.clone()).encode();
            if sctp.write(stream, Ppid::Dcep, &open).is_err() {
                self.remove(id);
                events.push_back(Event::ChannelClosed(id));
                return;
            }
        }
        let config = channel.config.clone();
        events.push_back(Event::ChannelOpened {
            id,
            config,
            incoming: false,
        });
    }

    pub(super) fn write(
        &mut self,
        sctp: &mut impl Sctp,
        id: ChannelId,
        message: Message<'_>,
    ) -> Result<(), WriteError> {
        let channel = self.channels.get_mut(&id).ok_or(WriteError::Closed)?;
        let stream = match (channel.phase, channel.stream) {
            (Phase::Open | Phase::Unanswered, Some(stream)) => stream,
            (Phase::Closing, _) => return Err(WriteError::Closed),
            _ => return Err(WriteError::NotOpen),
        };
        let bytes = message.as_bytes();
        if bytes.len() > self.send_limit {
            return Err(WriteError::TooLarge(self.send_limit));
        }
        let buffered = sctp.buffered(stream);
        if buffered > 0 && buffered.saturating_add(bytes.len()) > self.max_buffered {
            return Err(WriteError::WouldBlock);
        }
        // SCTP has no empty messages: one zero byte stands for them (RFC 8831 §6.6).
        let (ppid, payload) = match (message, bytes) {
            (Message::Text(_), []) => (Ppid::TextEmpty, &[0][..]),
            (Message::Binary(_), []) => (Ppid::BinaryEmpty, &[0][..]),
            (Message::Text(_), bytes) => (Ppid::Text, bytes),
            (Message::Binary(_), bytes) => (Ppid::Binary, bytes),
        };
        sctp.write(stream, ppid, payload)
            .map_err(|_| WriteError::Closed)?;
        channel.stats.messages_sent += 1;
        channel.stats.bytes_sent += bytes.len() as u64;
        Ok(())
    }

    /// Returns why nothing can be written while the association is not connected.
    pub(super) fn not_writable(&self, id: ChannelId) -> WriteError {
        match self.channels.get(&id) {
            Some(channel) if channel.phase == Phase::Pending => WriteError::NotOpen,
            _ => WriteError::Closed,
        }
    }

    /// Reads everything that a stream has, unless its channel is paused.
    pub(super) fn read(
        &mut self,
        sctp: &mut impl Sctp,
        stream: u16,
        counters: &mut Counters,
        events: &mut VecDeque<Event>,
    ) {
        while !self.is_paused(stream) {
            let Some(message) = sctp.read(stream) else {
                return;
            };
            let taken = match self.by_stream.get(&stream).copied() {
                Some(id) => self.take(sctp, id, stream, message, events),
                None => self.accept(sctp, stream, &message, counters, events),
            };
            if taken.is_err() {
                if self.by_stream.contains_key(&stream) {
                    counters.messages_refused += 1;
                } else {
                    counters.channels_refused += 1;
                }
                self.refuse(sctp, stream);
                return;
            }
        }
    }

    fn is_paused(&self, stream: u16) -> bool {
        self.by_stream
            .get(&stream)
            .and_then(|id| self.channels.get(id))
            .is_some_and(|channel| channel.paused)
    }

    /// Takes the first message of a stream that has no channel: it must open one
    /// ([RFC 8832 §6]).
    ///
    /// [RFC 8832 §6]: https://www.rfc-editor.org/rfc/rfc8832#section-6
    fn accept(
        &mut self,
        sctp: &mut impl Sctp,
        stream: u16,
        message: &SctpMessage,
        counters: &mut Counters,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Refused> {
        let Ok(Dcep::Open(config)) = Dcep::decode(&message.payload) else {
            return Err(Refused);
        };
        let theirs = match self.role {
            DtlsRole::Client => 1,
            DtlsRole::Server => 0,
        };
        if message.ppid != Ppid::Dcep || stream % 2 != theirs {
            return Err(Refused);
        }
        if self.channels.len() >= self.max_channels {
            counters.channels_over_limit += 1;
            return Err(Refused);
        }
        if sctp.write(stream, Ppid::Dcep, &Dcep::Ack.encode()).is_err() {
            return Err(Refused);
        }
        sctp.configure(stream, config.ordered, config.reliability);
        let id = self.insert(config.clone(), Some(stream), Phase::Open);
        events.push_back(Event::ChannelOpened {
            id,
            config,
            incoming: true,
        });
        Ok(())
    }

    fn take(
        &mut self,
        sctp: &mut impl Sctp,
        id: ChannelId,
        stream: u16,
        message: SctpMessage,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Refused> {
        let channel = self.channels.get_mut(&id).ok_or(Refused)?;
        if channel.phase == Phase::Closing {
            return Ok(());
        }
        if channel.phase == Phase::Unanswered {
            channel.phase = Phase::Open;
            sctp.configure(stream, channel.config.ordered, channel.config.reliability);
        }
        let received = match message.ppid {
            Ppid::Dcep => {
                return match Dcep::decode(&message.payload) {
                    Ok(Dcep::Ack) => Ok(()),
                    _ => Err(Refused),
                };
            }
            Ppid::Partial => return channel.hold(&message.payload, self.receive_limit),
            Ppid::Unknown => return Err(Refused),
            Ppid::TextEmpty => ReceivedMessage::Text(String::new()),
            Ppid::BinaryEmpty => ReceivedMessage::Binary(Vec::new()),
            Ppid::Text => {
                let bytes = channel.complete(message.payload, self.receive_limit)?;
                ReceivedMessage::Text(String::from_utf8(bytes).map_err(|_| Refused)?)
            }
            Ppid::Binary => {
                ReceivedMessage::Binary(channel.complete(message.payload, self.receive_limit)?)
            }
        };
        channel.stats.messages_received += 1;
        channel.stats.bytes_received += received.as_bytes().len() as u64;
        events.push_back(Event::Message(id, received));
        Ok(())
    }

    /// Closes a stream on which the other side broke a rule.
    fn refuse(&mut self, sctp: &mut impl Sctp, stream: u16) {
        match self.by_stream.get(&stream).copied() {
            Some(id) => {
                self.close(Some(sctp), id);
            }
            None => {
                self.resetting.insert(stream);
                sctp.reset(stream);
            }
        }
    }

    /// Resets a channel's stream; returns whether the channel is over already.
    pub(super) fn close(&mut self, sctp: Option<&mut impl Sctp>, id: ChannelId) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else {
            return false;
        };
        match (channel.phase, channel.stream, sctp) {
            (Phase::Closing, ..) => false,
            (Phase::Open | Phase::Unanswered, Some(stream), Some(sctp)) => {
                channel.phase = Phase::Closing;
                // Nothing may hold back the end of a channel that is not read any more.
                channel.paused = false;
                sctp.reset(stream);
                false
            }
            _ => {
                self.remove(id);
                true
            }
        }
    }

    /// Forgets the channel of a stream that was reset, and returns it.
    pub(super) fn finished(&mut self, stream: u16) -> Option<ChannelId> {
        self.resetting.insert(stream);
        let id = self.by_stream.get(&stream).copied()?;
        self.remove(id);
        Some(id)
    }

    pub(super) fn reset_complete(&mut self, stream: u16) {
        self.resetting.remove(&stream);
    }

    fn remove(&mut self, id: ChannelId) {
        self.pending.retain(|pending| *pending != id);
        if let Some(stream) = self.channels.remove(&id).and_then(|channel| channel.stream) {
            self.by_stream.remove(&stream);
        }
    }

    /// Forgets all channels, and returns them.
    pub(super) fn clear(&mut self) -> Vec<ChannelId> {
        self.by_stream.clear();
        self.resetting.clear();
        self.pending.clear();
        std::mem::take(&mut self.channels).into_keys().collect()
    }

    pub(super) fn set_paused(&mut self, id: ChannelId, paused: bool) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.paused = paused && channel.phase != Phase::Closing;
        }
    }

    pub(super) fn set_low_threshold(
        &mut self,
        sctp: Option<&mut impl Sctp>,
        id: ChannelId,
        bytes: usize,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.low_threshold = bytes;
        if let Some((sctp, stream)) = sctp.zip(channel.stream) {
            sctp.set_low_threshold(stream, bytes);
        }
    }

    pub(super) fn id(&self, stream: u16) -> Option<ChannelId> {
        self.by_stream.get(&stream).copied()
    }

    pub(super) fn stream(&self, id: ChannelId) -> Option<u16> {
        self.channels.get(&id)?.stream
    }

    pub(super) fn config(&self, id: ChannelId) -> Option<&ChannelConfig> {
        self.channels.get(&id).map(|channel| &channel.config)
    }

    pub(super) fn stats(&self, id: ChannelId) -> Option<ChannelStats> {
        self.channels.get(&id).map(|channel| channel.stats)
    }
}

impl Channel {
    /// Keeps a part of a message until the rest comes.
    fn hold(&mut self, part: &[u8], limit: usize) -> Result<(), Refused> {
        if self.partial.len() + part.len() > limit {
            return Err(Refused);
        }
        self.partial.extend_from_slice(part);
        Ok(())
    }

    /// Returns the whole message that a last part ends.
    fn complete(&mut self, last: Vec<u8>, limit: usize) -> Result<Vec<u8>, Refused> {
        if self.partial.is_empty() {
            return Ok(last);
        }
        self.hold(&last, limit)?;
        Ok(std::mem::take(&mut self.partial))
    }
}

/// The other side broke a rule that closes the channel.
#[derive(Debug)]
struct Refused;
