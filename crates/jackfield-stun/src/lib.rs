//! STUN (RFC 8489) without sockets: messages, attributes, credentials, transactions, stream framing.

pub mod framing;
