//! A client with a hostile server, a careless caller and a jumping clock.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::attribute::{
    Algorithm, AlternateServer, ErrorCodeAttribute, Nonce, PasswordAlgorithms, Realm,
    XorMappedAddress,
};
use jackfield_stun::{Class, ErrorCode, Key, Message, MessageWriter, Method, TransactionId};
use jackfield_testing::epoch;

use super::input::Input;
use jackfield_turn::ChannelNumber;
use jackfield_turn::attribute::{Data, Lifetime, XorPeerAddress, XorRelayedAddress, method};
use jackfield_turn::client::{
    Client, ClientConfig, ClientCounters, ClientLimits, Credential, Output,
};

const PEERS: [&str; 5] = [
    "198.41.0.4:9000",
    "198.41.0.4:9001",
    "199.7.91.13:9000",
    "10.0.0.1:0",
    "[2a00:1450::1]:9000",
];
const RELAYED: [&str; 2] = ["198.51.100.1:50000", "[2001:db8::1]:50000"];
const REALM: &str = "r";

pub(super) struct Story {
    client: Client,
    now: Instant,
    /// What the client sent and was not answered yet.
    requests: VecDeque<(TransactionId, Method)>,
    connecting: bool,
    transport: Transport,
}

impl Story {
    pub(super) fn new() -> Self {
        let now = epoch();
        let transport = Transport::Udp;
        Self {
            client: Client::new(config(), now, path(transport), [5; 32]),
            now,
            requests: VecDeque::new(),
            connecting: false,
            transport,
        }
    }

    /// Plays the story to its end, lets the client end, and returns what it counted.
    pub(super) fn run(mut self, mut input: Input<'_>) -> ClientCounters {
        if input.byte().is_some_and(|byte| byte % 2 == 1) {
            self.transport = Transport::Tcp;
            self.client = Client::new(config(), self.now, path(self.transport), [5; 32]);
        }
        self.drain();
        while self.step(&mut input).is_some() {
            self.drain();
            self.client.check();
        }
        self.client.close(self.now);
        self.drain();
        self.pass(Duration::from_secs(60));
        assert!(self.client.has_ended(), "closing takes no more than 39.5 s");
        self.client.check();
        *self.client.counters()
    }

    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.byte()? % 8 {
            0 => {
                let length = usize::from(input.byte()?);
                self.server(input.bytes(length));
            }
            1 | 2 => self.respond(input)?,
            3 => self.data(input)?,
            4 => self.send(input)?,
            5 => self.pass(Duration::from_millis(u64::from(input.short()?) * 16)),
            6 => self.call(input)?,
            _ => self.connection(input)?,
        }
        Some(())
    }

    /// Answers the oldest request that waits, rightly or not.
    fn respond(&mut self, input: &mut Input<'_>) -> Option<()> {
        let request = *self.requests.front()?;
        let flags = input.byte()?;
        // An answer that is not believed may be followed by another one.
        if flags & 16 == 0 {
            self.requests.pop_front();
        }
        let bytes = answer(request, flags, input)?;
        if !bytes.is_empty() {
            self.server(&bytes);
        }
        // Some servers say everything twice.
        if flags & 8 != 0 {
            self.server(&bytes);
        }
        Some(())
    }

    /// Sends data as if from a peer.
    fn data(&mut self, input: &mut Input<'_>) -> Option<()> {
        let mut bytes = Vec::new();
        if input.byte()? % 2 == 0 {
            let number = ChannelNumber::MIN
                .value()
                .wrapping_add(input.byte()?.into());
            let length = input.byte()?;
            bytes.extend_from_slice(&number.to_be_bytes());
            bytes.extend_from_slice(&u16::from(length).to_be_bytes());
            bytes.extend_from_slice(input.bytes(length.into()));
        } else {
            let id = TransactionId::new([1; 12]);
            let mut writer = MessageWriter::new(&mut bytes, Class::Indication, method::DATA, id);
            writer.attribute(&XorPeerAddress(pick_address(input, &PEERS)?));
            writer.attribute(&Data(input.bytes(4)));
            writer.finish().ok()?;
        }
        self.server(&bytes);
        Some(())
    }

    fn server(&mut self, bytes: &[u8]) {
        if let Some(received) = self.client.handle_server(self.now, bytes) {
            let peer = received.peer.ip();
            let is_known = PEERS.iter().any(|known| {
                known
                    .parse::<SocketAddr>()
                    .is_ok_and(|known| known.ip() == peer)
            });
            assert!(is_known, "nobody let {peer} in");
            assert!(received.data.len() <= bytes.len());
        }
    }

    fn send(&mut self, input: &mut Input<'_>) -> Option<()> {
        let peer = pick_address(input, &PEERS)?;
        let payload = vec![7; input.byte()?.into()];
        if let Ok(Some(outgoing)) = self.client.send(self.now, peer, &payload) {
            assert_eq!(outgoing.payload, payload);
            let mut bytes = outgoing.header.as_bytes().to_vec();
            bytes.extend_from_slice(&payload);
            bytes.resize(bytes.len() + usize::from(outgoing.padding), 0);
            self.check_sent(&bytes);
        }
        Some(())
    }

    /// Calls what a caller may call at any time.
    fn call(&mut self, input: &mut Input<'_>) -> Option<()> {
        let peer = pick_address(input, &PEERS)?;
        // What is refused here is the caller's own doing.
        let _refused = match input.byte()? % 16 {
            0..=6 => self.client.permit(self.now, peer.ip()),
            7..=12 => self.client.bind_channel(self.now, peer),
            13 | 14 => {
                self.client.forget(peer.ip());
                Ok(())
            }
            _ => {
                self.client.close(self.now);
                Ok(())
            }
        };
        Some(())
    }

    fn connection(&mut self, input: &mut Input<'_>) -> Option<()> {
        let ends = input.byte()? % 8 == 0;
        if ends {
            self.client.handle_closed(self.now);
        } else if self.connecting {
            self.connecting = false;
            self.client.handle_connected(self.now, path(self.transport));
        }
        Some(())
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps = 0;
        while let Some(due) = self.drain().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
            steps += 1;
            // A thousand seconds, a handful of peers, a lifetime of no less than a second.
            assert!(steps < 20_000, "the client is busy with itself");
        }
        self.now = end;
    }

    fn drain(&mut self) -> Option<Instant> {
        for _ in 0..10_000 {
            match self.client.poll_output() {
                Output::Transmit(transmit) => self.check_sent(&transmit.bytes),
                Output::Connect { .. } => {
                    self.connecting = true;
                    self.requests.clear();
                }
                Output::Event(_) => {}
                Output::Wait(until) => return until,
            }
        }
        panic!("a drain ends");
    }

    /// Checks that what goes to the server is a message, and remembers requests.
    fn check_sent(&mut self, bytes: &[u8]) {
        if bytes.first().is_some_and(|first| *first >= 0x40) {
            return;
        }
        let message = Message::parse(bytes).expect("a client writes messages");
        if message.class() == Class::Request {
            let request = (message.transaction(), message.method());
            if !self.requests.contains(&request) {
                self.requests.push_back(request);
            }
        }
    }
}

/// Returns a server's answer to a request: what it is, which attributes it has, and how it is
/// signed. An empty one stands for what cannot be written.
pub(crate) fn answer(
    (id, method): (TransactionId, Method),
    flags: u8,
    input: &mut Input<'_>,
) -> Option<Vec<u8>> {
    let class = if flags & 1 == 0 {
        Class::Success
    } else {
        Class::Error
    };
    let mut bytes = Vec::new();
    let mut writer = MessageWriter::new(&mut bytes, class, method, id);
    if class == Class::Error {
        let code = input.pick(&[
            300, 400, 401, 401, 403, 420, 437, 438, 440, 441, 442, 443, 486, 500, 508, 699,
        ])?;
        let code = ErrorCode::new(code)?;
        writer.attribute(&ErrorCodeAttribute { code, reason: "no" });
    }
    for _ in 0..input.byte()? % 8 {
        attribute(&mut writer, input)?;
    }
    match flags >> 1 & 3 {
        0 | 1 => writer.integrity_sha256(&Key::long_term(Algorithm::Sha256, "u", REALM, "p")),
        2 => writer.integrity_sha1(&Key::long_term(Algorithm::Md5, "u", REALM, "p")),
        _ => {}
    }
    let is_written = writer.finish().is_ok();
    Some(if is_written { bytes } else { Vec::new() })
}

/// Writes an attribute of an answer.
fn attribute(writer: &mut MessageWriter<'_>, input: &mut Input<'_>) -> Option<()> {
    match input.byte()? % 10 {
        0 => writer.attribute(&Realm(REALM)),
        1 => writer.attribute(&Nonce("nonce")),
        2 => writer.attribute(&Nonce("obMatJos2wAAAnonce")),
        3 => writer.attribute(&PasswordAlgorithms::ALL),
        4 => writer.attribute(&XorRelayedAddress(pick_address(input, &RELAYED)?)),
        5 => writer.attribute(&XorMappedAddress(pick_address(input, &PEERS)?)),
        6 => writer.attribute(&Lifetime(input.short()?.into())),
        7 => writer.attribute(&AlternateServer(pick_address(input, &PEERS)?)),
        8 => writer.attribute(&Realm("other")),
        _ => writer.attribute(&Raw(input.short()?.to_be_bytes())),
    }
    Some(())
}

/// An attribute of a kind that must be understood and is not.
struct Raw([u8; 2]);

impl<'a> jackfield_stun::attribute::Attribute<'a> for Raw {
    const TYPE: jackfield_stun::attribute::AttributeType =
        jackfield_stun::attribute::AttributeType::new(0x7001);

    fn decode(
        _value: &'a [u8],
        _transaction: &TransactionId,
    ) -> Result<Self, jackfield_stun::DecodeError> {
        Err(jackfield_stun::DecodeError::Value(Self::TYPE))
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

fn pick_address(input: &mut Input<'_>, choices: &[&str]) -> Option<SocketAddr> {
    input.pick(choices)?.parse().ok()
}

fn path(transport: Transport) -> FiveTuple {
    FiveTuple {
        transport,
        local: SocketAddr::from(([203, 0, 113, 5], 4_000)),
        remote: SocketAddr::from(([198, 51, 100, 1], 3_478)),
    }
}

fn config() -> ClientConfig {
    ClientConfig {
        limits: ClientLimits {
            peers: 3,
            waiting_packets: 4,
            waiting_bytes: 300,
            reconnects: 2,
        },
        credential: Credential::new("u", "p").ok(),
        ..ClientConfig::default()
    }
}
