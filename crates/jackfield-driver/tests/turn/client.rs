//! A small TURN client on blocking sockets, written from the RFC against `jackfield-stun` alone.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use jackfield_stun::attribute::{
    Algorithm, Attribute, AttributeType, ErrorCodeAttribute, Nonce, Realm, Username,
    XorMappedAddress, address,
};
use jackfield_stun::framing::message_length;
use jackfield_stun::{
    Class, DecodeError, Key, Message, MessageWriter, Method, TransactionId, looks_like_stun,
};

/// A client of a TURN server, over UDP or TCP.
pub(crate) struct Client {
    pub(crate) link: Link,
    username: String,
    password: String,
    /// Realm, nonce and key, once the server has asked for them.
    challenge: Option<(String, String, Key)>,
    transactions: u32,
    /// What came while an answer was awaited.
    inbox: VecDeque<Vec<u8>>,
}

/// What a server says no with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub u16);

/// What came from a peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A Data indication.
    Data(SocketAddr, Vec<u8>),
    /// ChannelData.
    Channel(u16, Vec<u8>),
}

impl Client {
    pub(crate) fn new(link: Link, username: &str, password: &str) -> Self {
        Self {
            link,
            username: username.into(),
            password: password.into(),
            challenge: None,
            transactions: 0,
            inbox: VecDeque::new(),
        }
    }

    /// Returns the address the server sees us at.
    pub(crate) fn binding(&mut self) -> SocketAddr {
        let answer = self.exchange(Method::BINDING, |_| {});
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.class(), Class::Success);
        answer.get::<XorMappedAddress>().unwrap().unwrap().0
    }

    /// Returns the relayed address.
    pub(crate) fn allocate(&mut self) -> Result<SocketAddr, Refused> {
        let answer = self.request(ALLOCATE, |writer| writer.attribute(&RequestedTransport))?;
        let relayed: XorRelayedAddress = Message::parse(&answer).unwrap().get().unwrap().unwrap();
        Ok(relayed.0)
    }

    pub(crate) fn delete(&mut self) -> Result<(), Refused> {
        let goodbye = self.goodbye();
        self.link.send(&goodbye);
        loop {
            let answer = self.link.receive();
            match Message::parse(&answer).map(|message| message.class()) {
                Ok(Class::Success) => return Ok(()),
                Ok(Class::Error) => return Err(Refused(0)),
                _ => self.inbox.push_back(answer),
            }
        }
    }

    pub(crate) fn permit(&mut self, peer: SocketAddr) -> Result<(), Refused> {
        self.request(CREATE_PERMISSION, |writer| {
            writer.attribute(&XorPeerAddress(peer));
        })
        .map(drop)
    }

    pub(crate) fn bind_channel(&mut self, number: u16, peer: SocketAddr) -> Result<(), Refused> {
        self.request(CHANNEL_BIND, |writer| {
            writer.attribute(&ChannelNumber(number));
            writer.attribute(&XorPeerAddress(peer));
        })
        .map(drop)
    }

    /// Sends a Send indication.
    pub(crate) fn send_to(&mut self, peer: SocketAddr, payload: &[u8]) {
        let transaction = self.transaction();
        let mut bytes = Vec::new();
        let mut writer = MessageWriter::new(&mut bytes, Class::Indication, SEND, transaction);
        writer.attribute(&XorPeerAddress(peer));
        writer.attribute(&Data(payload));
        writer.finish().unwrap();
        self.link.send(&bytes);
    }

    /// Sends ChannelData.
    pub(crate) fn send_on(&mut self, number: u16, payload: &[u8]) {
        let mut bytes = channel_header(number, payload.len()).to_vec();
        bytes.extend_from_slice(payload);
        if matches!(self.link, Link::Tcp { .. }) {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        self.link.send(&bytes);
    }

    /// Waits for something from a peer.
    pub(crate) fn receive(&mut self) -> Incoming {
        let bytes = self
            .inbox
            .pop_front()
            .unwrap_or_else(|| self.link.receive());
        if !looks_like_stun(&bytes) {
            let &[a, b, c, d] = bytes.first_chunk().unwrap();
            let length = usize::from(u16::from_be_bytes([c, d]));
            let payload = bytes.get(4..4 + length).unwrap().to_vec();
            return Incoming::Channel(u16::from_be_bytes([a, b]), payload);
        }
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(
            (message.class(), message.method()),
            (Class::Indication, DATA)
        );
        let peer: XorPeerAddress = message.get().unwrap().unwrap();
        let data: Data<'_> = message.get().unwrap().unwrap();
        Incoming::Data(peer.0, data.0.to_vec())
    }

    /// Asks as an authenticated user; answers one challenge.
    fn request(
        &mut self,
        method: Method,
        attributes: impl Fn(&mut MessageWriter<'_>),
    ) -> Result<Vec<u8>, Refused> {
        for _ in 0..2 {
            let answer = self.exchange(method, &attributes);
            let message = Message::parse(&answer).unwrap();
            if message.class() == Class::Success {
                let (.., key) = self.challenge.as_ref().unwrap();
                message.check_sha1(key).unwrap();
                return Ok(answer);
            }
            let code = message
                .get::<ErrorCodeAttribute<'_>>()
                .unwrap()
                .unwrap()
                .code
                .value();
            if code != 438 && (code != 401 || self.challenge.is_some()) {
                return Err(Refused(code));
            }
            let realm = message.get::<Realm<'_>>().unwrap().unwrap().0.to_owned();
            let nonce = message.get::<Nonce<'_>>().unwrap().unwrap().0.to_owned();
            let key = Key::long_term(Algorithm::Md5, &self.username, &realm, &self.password);
            self.challenge = Some((realm, nonce, key));
        }
        Err(Refused(401))
    }

    /// Sends a request and returns the answer; what else arrives is kept.
    fn exchange(&mut self, method: Method, attributes: impl Fn(&mut MessageWriter<'_>)) -> Vec<u8> {
        let (transaction, bytes) = self.message(method, attributes);
        self.link.send(&bytes);
        loop {
            let received = self.link.receive();
            let answers =
                Message::parse(&received).is_ok_and(|message| message.transaction() == transaction);
            if answers {
                return received;
            }
            self.inbox.push_back(received);
        }
    }

    /// Returns a request that ends the allocation, for who sends it without this client.
    pub(crate) fn goodbye(&mut self) -> Vec<u8> {
        self.message(REFRESH, |writer| writer.attribute(&Lifetime(0)))
            .1
    }

    /// Makes a request, authenticated once the server has asked for it.
    fn message(
        &mut self,
        method: Method,
        attributes: impl Fn(&mut MessageWriter<'_>),
    ) -> (TransactionId, Vec<u8>) {
        let transaction = self.transaction();
        let mut bytes = Vec::new();
        let mut writer = MessageWriter::new(&mut bytes, Class::Request, method, transaction);
        attributes(&mut writer);
        if method != Method::BINDING
            && let Some((realm, nonce, key)) = &self.challenge
        {
            writer.attribute(&Username(&self.username));
            writer.attribute(&Realm(realm));
            writer.attribute(&Nonce(nonce));
            writer.integrity_sha1(key);
        }
        writer.finish().unwrap();
        (transaction, bytes)
    }

    fn transaction(&mut self) -> TransactionId {
        self.transactions += 1;
        let [a, b, c, d] = self.transactions.to_be_bytes();
        TransactionId::new([b'c', b'l', b'i', b'e', b'n', b't', 0, 0, a, b, c, d])
    }
}

/// How a client reaches its server.
pub(crate) enum Link {
    Udp(UdpSocket),
    Tcp { stream: TcpStream, unread: Vec<u8> },
}

impl Link {
    pub(crate) fn udp(from: SocketAddr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind(from).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::Udp(socket)
    }

    pub(crate) fn tcp(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::Tcp {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Udp(socket) => assert_eq!(socket.send(bytes).unwrap(), bytes.len()),
            Self::Tcp { stream, .. } => stream.write_all(bytes).unwrap(),
        }
    }

    /// Returns one message, padding included where it is part of the stream.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        match self {
            Self::Udp(socket) => {
                let mut room = [0; 65_536];
                let length = socket.recv(&mut room).unwrap();
                room.get(..length).unwrap().to_vec()
            }
            Self::Tcp { stream, unread } => loop {
                if let Some(length) = message_length(unread, usize::MAX).unwrap()
                    && length <= unread.len()
                {
                    let behind = unread.split_off(length);
                    return std::mem::replace(unread, behind);
                }
                let mut room = [0; 4_096];
                let length = stream.read(&mut room).unwrap();
                assert_ne!(length, 0, "the server closed the connection");
                unread.extend_from_slice(room.get(..length).unwrap());
            },
        }
    }
}

pub(crate) fn channel_header(number: u16, length: usize) -> [u8; 4] {
    let [a, b] = number.to_be_bytes();
    let [c, d] = u16::try_from(length).unwrap().to_be_bytes();
    [a, b, c, d]
}

/// How long a client waits; only a broken server makes it.
const PATIENCE: Duration = Duration::from_secs(60);

const ALLOCATE: Method = Method::new(0x003);
const REFRESH: Method = Method::new(0x004);
const SEND: Method = Method::new(0x006);
const DATA: Method = Method::new(0x007);
const CREATE_PERMISSION: Method = Method::new(0x008);
const CHANNEL_BIND: Method = Method::new(0x009);

struct RequestedTransport;
struct Lifetime(u32);
struct ChannelNumber(u16);
struct Data<'a>(&'a [u8]);
struct XorPeerAddress(SocketAddr);
struct XorRelayedAddress(SocketAddr);

impl<'a> Attribute<'a> for RequestedTransport {
    const TYPE: AttributeType = AttributeType::new(0x0019);

    fn decode(_: &'a [u8], _: &TransactionId) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn encode(&self, _: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&[17, 0, 0, 0]);
    }
}

impl<'a> Attribute<'a> for Lifetime {
    const TYPE: AttributeType = AttributeType::new(0x000D);

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, DecodeError> {
        Ok(Self(u32::from_be_bytes(value.try_into().unwrap())))
    }

    fn encode(&self, _: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

impl<'a> Attribute<'a> for ChannelNumber {
    const TYPE: AttributeType = AttributeType::new(0x000C);

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, DecodeError> {
        let &[high, low] = value.first_chunk().unwrap();
        Ok(Self(u16::from_be_bytes([high, low])))
    }

    fn encode(&self, _: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
    }
}

impl<'a> Attribute<'a> for Data<'a> {
    const TYPE: AttributeType = AttributeType::new(0x0013);

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, DecodeError> {
        Ok(Self(value))
    }

    fn encode(&self, _: &TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

impl<'a> Attribute<'a> for XorPeerAddress {
    const TYPE: AttributeType = AttributeType::new(0x0012);

    fn decode(value: &'a [u8], transaction: &TransactionId) -> Result<Self, DecodeError> {
        address::decode_xor(Self::TYPE, value, transaction).map(Self)
    }

    fn encode(&self, transaction: &TransactionId, out: &mut Vec<u8>) {
        address::encode_xor(self.0, transaction, out);
    }
}

impl<'a> Attribute<'a> for XorRelayedAddress {
    const TYPE: AttributeType = AttributeType::new(0x0016);

    fn decode(value: &'a [u8], transaction: &TransactionId) -> Result<Self, DecodeError> {
        address::decode_xor(Self::TYPE, value, transaction).map(Self)
    }

    fn encode(&self, transaction: &TransactionId, out: &mut Vec<u8>) {
        address::encode_xor(self.0, transaction, out);
    }
}
