//! What is written is read back the same, whatever it is.

use std::net::{IpAddr, SocketAddr};

use jackfield_stun::attribute::{Attribute, ErrorCodeAttribute};
use jackfield_stun::{Class, ErrorCode, Message, MessageWriter, TransactionId};
use jackfield_turn::ChannelNumber;
use jackfield_turn::attribute::{
    AdditionalAddressFamily, AddressErrorCode, AddressFamily, Data, DontFragment, EvenPort,
    Lifetime, RequestedAddressFamily, RequestedTransport, ReservationToken, XorPeerAddress,
    XorRelayedAddress, method,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_attribute(
        id: [u8; 12],
        peer: (IpAddr, u16),
        relayed: (IpAddr, u16),
        seconds: u32,
        protocol: u8,
        token: [u8; 8],
        number in 0x4000u16..0x8000,
        data in proptest::collection::vec(any::<u8>(), 0..50),
        reserve_next: bool,
        is_v4: bool,
        code in 300u16..700,
    ) {
        let family = if is_v4 { AddressFamily::V4 } else { AddressFamily::V6 };
        let error = ErrorCodeAttribute { code: ErrorCode::new(code).unwrap(), reason: "why" };
        let mut bytes = Vec::new();
        let mut writer = MessageWriter::new(&mut bytes, Class::Request, method::ALLOCATE, TransactionId::new(id));
        writer.attribute(&ChannelNumber::new(number).unwrap());
        writer.attribute(&Lifetime(seconds));
        writer.attribute(&XorPeerAddress(peer.into()));
        writer.attribute(&XorRelayedAddress(relayed.into()));
        writer.attribute(&Data(&data));
        writer.attribute(&RequestedAddressFamily(family));
        writer.attribute(&AdditionalAddressFamily(family.other()));
        writer.attribute(&EvenPort { reserve_next });
        writer.attribute(&RequestedTransport(protocol));
        writer.attribute(&DontFragment);
        writer.attribute(&ReservationToken(token));
        writer.attribute(&AddressErrorCode { family, error });
        writer.finish().unwrap();

        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.get(), Ok(ChannelNumber::new(number)));
        prop_assert_eq!(message.get(), Ok(Some(Lifetime(seconds))));
        prop_assert_eq!(message.get(), Ok(Some(XorPeerAddress(SocketAddr::from(peer)))));
        prop_assert_eq!(message.get(), Ok(Some(XorRelayedAddress(SocketAddr::from(relayed)))));
        prop_assert_eq!(message.get(), Ok(Some(Data(&data))));
        prop_assert_eq!(message.get(), Ok(Some(RequestedAddressFamily(family))));
        prop_assert_eq!(message.get(), Ok(Some(AdditionalAddressFamily(family.other()))));
        prop_assert_eq!(message.get(), Ok(Some(EvenPort { reserve_next })));
        prop_assert_eq!(message.get(), Ok(Some(RequestedTransport(protocol))));
        prop_assert_eq!(message.get(), Ok(Some(DontFragment)));
        prop_assert_eq!(message.get(), Ok(Some(ReservationToken(token))));
        prop_assert_eq!(message.get(), Ok(Some(AddressErrorCode { family, error })));
    }

    #[test]
    fn any_value_is_an_attribute_or_an_error(value in proptest::collection::vec(any::<u8>(), 0..24)) {
        decodes::<ChannelNumber>(&value);
        decodes::<Lifetime>(&value);
        decodes::<XorPeerAddress>(&value);
        decodes::<RequestedAddressFamily>(&value);
        decodes::<EvenPort>(&value);
        decodes::<RequestedTransport>(&value);
        decodes::<DontFragment>(&value);
        decodes::<ReservationToken>(&value);
        decodes::<AddressErrorCode<'_>>(&value);
    }
}

/// What decodes is of the length its type has.
fn decodes<'a, A: Attribute<'a>>(value: &'a [u8]) {
    let id = TransactionId::new([0; 12]);
    if let Ok(attribute) = A::decode(value, &id) {
        let mut out = Vec::new();
        attribute.encode(&id, &mut out);
        assert_eq!(out.len(), value.len());
    }
}
