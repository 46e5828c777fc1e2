//! What is written is read back the same, whatever it is.

use jackfield_stun::attribute::{
    AlternateDomain, AlternateServer, ChangeRequest, ErrorCodeAttribute, MappedAddress, Nonce,
    OtherAddress, Padding, Realm, ResponseOrigin, ResponsePort, Software, Userhash, Username,
    XorMappedAddress,
};
use jackfield_stun::framing::{MAX_MESSAGE, message_length};
use jackfield_stun::{Class, ErrorCode, Key, Message, MessageWriter, Method, TransactionId};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_message_with_every_attribute(
        class in prop_oneof![Just(Class::Request), Just(Class::Indication), Just(Class::Success), Just(Class::Error)],
        method in 0u16..0x1000,
        id: [u8; 12],
        texts in ("\\PC{0,60}", "\\PC{0,60}", "\\PC{0,60}", "\\PC{0,60}", "\\PC{0,20}"),
        addresses: [(std::net::IpAddr, u16); 3],
        code in 300u16..700,
        hash: [u8; 32],
        password in ".{0,80}",
        (changes, port, padding) in (any::<(bool, bool)>(), any::<u16>(), 0u16..3000),
        before in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let (method, id) = (Method::new(method), TransactionId::new(id));
        let (username, realm, nonce, software, domain) = &texts;
        let [mapped, xored, alternate] = addresses.map(std::net::SocketAddr::from);
        let key = Key::short_term(&password);
        let mut bytes = before.clone();
        let mut writer = MessageWriter::new(&mut bytes, class, method, id);
        writer.attribute(&Username(username));
        writer.attribute(&Realm(realm));
        writer.attribute(&Nonce(nonce));
        writer.attribute(&Software(software));
        writer.attribute(&AlternateDomain(domain));
        writer.attribute(&MappedAddress(mapped));
        writer.attribute(&XorMappedAddress(xored));
        writer.attribute(&AlternateServer(alternate));
        let error = ErrorCodeAttribute { code: ErrorCode::new(code).unwrap(), reason: software };
        writer.attribute(&error);
        writer.attribute(&Userhash(hash));
        let change = ChangeRequest { address: changes.0, port: changes.1 };
        writer.attribute(&change);
        writer.attribute(&ResponsePort(port));
        writer.attribute(&ResponseOrigin(mapped));
        writer.attribute(&OtherAddress(alternate));
        writer.attribute(&Padding::new(padding));
        writer.integrity_sha1(&key);
        writer.integrity_sha256(&key);
        writer.fingerprint();
        let length = writer.finish().unwrap();

        let (untouched, bytes) = bytes.split_at(before.len());
        prop_assert_eq!(untouched, before);
        prop_assert_eq!(bytes.len(), length);
        if bytes.first() < Some(&4) {
            prop_assert_eq!(message_length(bytes, MAX_MESSAGE), Ok(Some(length)));
        }
        let message = Message::parse(bytes).unwrap();
        prop_assert_eq!((message.class(), message.method(), message.transaction()), (class, method, id));
        prop_assert_eq!(message.get(), Ok(Some(Username(username))));
        prop_assert_eq!(message.get(), Ok(Some(Realm(realm))));
        prop_assert_eq!(message.get(), Ok(Some(Nonce(nonce))));
        prop_assert_eq!(message.get(), Ok(Some(Software(software))));
        prop_assert_eq!(message.get(), Ok(Some(AlternateDomain(domain))));
        prop_assert_eq!(message.get(), Ok(Some(MappedAddress(mapped))));
        prop_assert_eq!(message.get(), Ok(Some(XorMappedAddress(xored))));
        prop_assert_eq!(message.get(), Ok(Some(AlternateServer(alternate))));
        prop_assert_eq!(message.get(), Ok(Some(error)));
        prop_assert_eq!(message.get(), Ok(Some(Userhash(hash))));
        prop_assert_eq!(message.get(), Ok(Some(change)));
        prop_assert_eq!(message.get(), Ok(Some(ResponsePort(port))));
        prop_assert_eq!(message.get(), Ok(Some(ResponseOrigin(mapped))));
        prop_assert_eq!(message.get(), Ok(Some(OtherAddress(alternate))));
        prop_assert_eq!(message.get(), Ok(Some(Padding::new(padding))));
        prop_assert_eq!(message.check_sha1(&key), Ok(()));
        prop_assert_eq!(message.check_sha256(&key), Ok(()));
        prop_assert!(message.has_fingerprint());
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_right_header_are_a_message_or_an_error(
        mut body in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        body.truncate(body.len() / 4 * 4);
        let mut bytes = vec![0, 1];
        bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(b"\x21\x12\xa4\x42abcdefghijkl");
        bytes.extend_from_slice(&body);
        if let Ok(message) = Message::parse(&bytes) {
            for (_, value) in message.attributes() {
                prop_assert!(value.len() <= body.len());
            }
        }
    }
}
