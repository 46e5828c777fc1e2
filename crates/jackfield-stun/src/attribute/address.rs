//! The two ways a transport address is written: in the clear, and XORed so that NATs don't rewrite
//! it.

use std::net::{IpAddr, SocketAddr};

use crate::attribute::AttributeType;
use crate::{DecodeError, MAGIC_COOKIE, TransactionId};

/// Reads an address in the clear ([RFC 8489 §14.1]).
///
/// [RFC 8489 §14.1]: https://www.rfc-editor.org/rfc/rfc8489#section-14.1
pub fn decode(kind: AttributeType, value: &[u8]) -> Result<SocketAddr, DecodeError> {
    // RFC 8489 §14.1: receivers ignore the first byte.
    let Some((&[_, family, high, low], ip)) = value.split_first_chunk::<4>() else {
        return Err(DecodeError::ValueLength(kind, value.len()));
    };
    let ip: IpAddr = match family {
        IPV4 => <[u8; 4]>::try_from(ip).map(IpAddr::from),
        IPV6 => <[u8; 16]>::try_from(ip).map(IpAddr::from),
        _ => return Err(DecodeError::Value(kind)),
    }
    .map_err(|_| DecodeError::ValueLength(kind, value.len()))?;
    Ok(SocketAddr::new(ip, u16::from_be_bytes([high, low])))
}

/// Writes an address in the clear.
pub fn encode(address: SocketAddr, out: &mut Vec<u8>) {
    let family = if address.is_ipv4() { IPV4 } else { IPV6 };
    out.extend_from_slice(&[0, family]);
    out.extend_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

/// Reads an XORed address ([RFC 8489 §14.2]).
///
/// [RFC 8489 §14.2]: https://www.rfc-editor.org/rfc/rfc8489#section-14.2
pub fn decode_xor(
    kind: AttributeType,
    value: &[u8],
    transaction: &TransactionId,
) -> Result<SocketAddr, DecodeError> {
    Ok(xor(decode(kind, value)?, transaction))
}

/// Writes an XORed address.
pub fn encode_xor(address: SocketAddr, transaction: &TransactionId, out: &mut Vec<u8>) {
    encode(xor(address, transaction), out);
}

/// Turns an address into its XORed form and back.
#[must_use]
pub fn xor(address: SocketAddr, transaction: &TransactionId) -> SocketAddr {
    let [c0, c1, ..] = MAGIC_COOKIE;
    let port = address.port() ^ u16::from_be_bytes([c0, c1]);
    let ip: IpAddr = match address.ip() {
        IpAddr::V4(ip) => (u32::from(ip) ^ u32::from_be_bytes(MAGIC_COOKIE))
            .to_be_bytes()
            .into(),
        IpAddr::V6(ip) => {
            let mut mask = [0; 16];
            let (cookie, id) = mask.split_at_mut(4);
            cookie.copy_from_slice(&MAGIC_COOKIE);
            // IPv6 has 96 bits more than the cookie covers: they are XORed with the transaction's
            // id.
            id.copy_from_slice(transaction.as_bytes());
            (u128::from(ip) ^ u128::from_be_bytes(mask))
                .to_be_bytes()
                .into()
        }
    };
    SocketAddr::new(ip, port)
}

const IPV4: u8 = 0x01;
const IPV6: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIND: AttributeType = AttributeType::XOR_MAPPED_ADDRESS;

    proptest! {
        #[test]
        fn addresses_round_trip(ip: IpAddr, port: u16, id: [u8; 12]) {
            let (address, id) = (SocketAddr::new(ip, port), TransactionId::new(id));
            let (mut plain, mut xored) = (Vec::new(), Vec::new());
            encode(address, &mut plain);
            encode_xor(address, &id, &mut xored);
            prop_assert_eq!(decode(KIND, &plain), Ok(address));
            prop_assert_eq!(decode_xor(KIND, &xored, &id), Ok(address));
        }

        #[test]
        fn any_bytes_are_an_address_or_an_error(value: Vec<u8>) {
            let _ = decode(KIND, &value);
        }
    }

    #[test]
    fn a_family_with_the_other_familys_length_is_refused() {
        let short = [0, IPV6, 0, 1, 1, 2, 3, 4];
        assert_eq!(decode(KIND, &short), Err(DecodeError::ValueLength(KIND, 8)));
        assert_eq!(
            decode(KIND, &[0, 3, 0, 1, 1, 2, 3, 4]),
            Err(DecodeError::Value(KIND))
        );
    }
}
