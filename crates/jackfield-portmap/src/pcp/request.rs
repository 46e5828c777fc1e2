//! PCP requests (RFC 6887 §7.1).

use std::net::IpAddr;

use jackfield_nat::packet::bytes::{u8_at, u32_at};

use super::{
    Body, HEADER, LONGEST, PcpOption, RESPONSE, ResultCode, VERSION, address_at, write_address,
};

/// A request of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The requested lifetime in seconds; zero ends a mapping.
    pub lifetime: u32,
    /// The address that the client believes it sends from.
    pub client: IpAddr,
    /// The opcode with its data.
    pub body: Body,
    /// The options.
    pub options: Vec<PcpOption>,
}

/// Why a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The bytes are to be ignored: they are too short, or a response.
    #[error("too short to be a request, or a response")]
    Silent,
    /// The request is to be answered with this result; [`super::refusal`] writes the answer.
    #[error("to be answered with {}", .0.name())]
    Refuse(ResultCode),
}

impl Request {
    /// Reads a request ([RFC 6887 §8.2](https://www.rfc-editor.org/rfc/rfc6887#section-8.2)).
    ///
    /// # Errors
    /// Fails with the answer that the bytes get, if any.
    pub fn decode(bytes: &[u8]) -> Result<Self, RequestError> {
        let (Some(version), Some(opcode)) = (u8_at(bytes, 0), u8_at(bytes, 1)) else {
            return Err(RequestError::Silent);
        };
        if opcode & RESPONSE != 0 {
            return Err(RequestError::Silent);
        }
        if version != VERSION {
            return Err(RequestError::Refuse(ResultCode::UnsuppVersion));
        }
        if bytes.len() < HEADER {
            return Err(RequestError::Silent);
        }
        Self::parse(opcode, bytes).map_err(RequestError::Refuse)
    }

    fn parse(opcode: u8, bytes: &[u8]) -> Result<Self, ResultCode> {
        let malformed = || ResultCode::MalformedRequest;
        if bytes.len() > LONGEST || !bytes.len().is_multiple_of(4) {
            return Err(malformed());
        }
        let lifetime = u32_at(bytes, 4).ok_or_else(malformed)?;
        let client = address_at(bytes, 8).ok_or_else(malformed)?;
        let length = Body::length(opcode).ok_or(ResultCode::UnsuppOpcode)?;
        let body = Body::read(opcode, bytes).ok_or_else(malformed)?;
        let options = bytes.get(HEADER + length..).ok_or_else(malformed)?;
        Ok(Self {
            lifetime,
            client,
            body,
            options: PcpOption::read_all(options)?,
        })
    }

    /// Writes the request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.body.opcode(), 0, 0];
        bytes.extend(self.lifetime.to_be_bytes());
        write_address(&mut bytes, self.client);
        self.body.write(&mut bytes);
        for option in &self.options {
            option.write(&mut bytes);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::super::{Filter, Map, Nonce, Peer};
    use super::*;

    fn refused(bytes: &[u8]) -> RequestError {
        Request::decode(bytes).unwrap_err()
    }

    fn announce() -> Vec<u8> {
        Request {
            lifetime: 0,
            client: Ipv4Addr::new(10, 0, 0, 2).into(),
            body: Body::Announce,
            options: Vec::new(),
        }
        .encode()
    }

    #[test]
    fn the_bytes_are_those_of_the_rfc() {
        let mut bytes = vec![2, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([0; 10]);
        bytes.extend([255, 255, 10, 0, 0, 2]);
        assert_eq!(announce(), bytes);
    }

    #[test]
    fn each_fault_has_its_result_code() {
        assert_eq!(refused(&[]), RequestError::Silent);
        assert_eq!(refused(&[2]), RequestError::Silent);
        let mut response = announce();
        response[1] |= 0x80;
        assert_eq!(refused(&response), RequestError::Silent);
        let code = |bytes: &[u8]| match refused(bytes) {
            RequestError::Refuse(code) => code,
            RequestError::Silent => panic!("silent"),
        };
        assert_eq!(code(&[1, 1]), ResultCode::UnsuppVersion);
        assert_eq!(refused(&announce()[..20]), RequestError::Silent);
        assert_eq!(
            code(&[announce(), vec![0; 3]].concat()),
            ResultCode::MalformedRequest
        );
        assert_eq!(
            code(&[announce(), vec![0; 1080]].concat()),
            ResultCode::MalformedRequest
        );
        let mut opcode = announce();
        opcode[1] = 9;
        assert_eq!(code(&opcode), ResultCode::UnsuppOpcode);
        let mut map = announce();
        map[1] = 1;
        assert_eq!(code(&map), ResultCode::MalformedRequest);
        let option = |bytes: [u8; 4]| [announce(), bytes.to_vec()].concat();
        assert_eq!(code(&option([2, 0, 0, 4])), ResultCode::MalformedOption);
        assert_eq!(code(&option([1, 0, 0, 0])), ResultCode::MalformedOption);
        let known = Request::decode(&option([2, 0, 0, 0])).unwrap();
        assert_eq!(known.options, [PcpOption::PreferFailure]);
        let unknown = Request::decode(&option([77, 0, 0, 0])).unwrap();
        assert!(unknown.options[0].is_mandatory());
    }

    pub(super) fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
            any::<u128>()
                .prop_map(Ipv6Addr::from_bits)
                .prop_filter("not an IPv4 address", |v6| v6.to_ipv4_mapped().is_none())
                .prop_map(IpAddr::V6),
        ]
    }

    pub(super) fn any_body() -> impl Strategy<Value = Body> {
        let map = || {
            (
                any::<[u8; 12]>(),
                any::<u8>(),
                any::<[u16; 2]>(),
                any_address(),
            )
                .prop_map(
                    |(nonce, protocol, [internal_port, external_port], external_address)| Map {
                        nonce: Nonce(nonce),
                        protocol,
                        internal_port,
                        external_port,
                        external_address,
                    },
                )
        };
        let peer =
            (map(), any::<u16>(), any_address()).prop_map(|(map, remote_port, remote_address)| {
                Peer {
                    map,
                    remote_port,
                    remote_address,
                }
            });
        prop_oneof![
            Just(Body::Announce),
            map().prop_map(Body::Map),
            peer.prop_map(Body::Peer)
        ]
    }

    pub(super) fn any_options() -> impl Strategy<Value = Vec<PcpOption>> {
        let filter = (96..=128_u8, any::<u16>(), any_address()).prop_map(
            |(prefix_length, remote_port, remote_address)| Filter {
                prefix_length,
                remote_port,
                remote_address,
            },
        );
        let unknown = (4..=255_u8, proptest::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(code, data)| PcpOption::Unknown { code, data });
        let option = prop_oneof![
            any_address().prop_map(PcpOption::ThirdParty),
            Just(PcpOption::PreferFailure),
            filter.prop_map(PcpOption::Filter),
            unknown,
        ];
        proptest::collection::vec(option, 0..5)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            lifetime in any::<u32>(),
            client in any_address(),
            body in any_body(),
            options in any_options(),
        ) {
            let request = Request { lifetime, client, body, options };
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        }

        #[test]
        fn responses_are_read_as_they_are_written(
            numbers in any::<(u8, u32, u32)>(),
            body in any_body(),
            options in any_options(),
        ) {
            let response = super::super::Response {
                result: numbers.0.into(),
                lifetime: numbers.1,
                epoch: numbers.2,
                body,
                options,
            };
            prop_assert_eq!(super::super::Response::decode(&response.encode()), Ok(response));
        }
    }
}
