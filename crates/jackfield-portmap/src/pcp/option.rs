//! The options of PCP (RFC 6887 §13).

use std::net::IpAddr;

use jackfield_nat::packet::bytes::{u8_at, u16_at};

use super::{ResultCode, address_at, write_address};

/// An option of a request or response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PcpOption {
    /// THIRD_PARTY: the request is for this host
    /// ([RFC 6887 §13.1](https://www.rfc-editor.org/rfc/rfc6887#section-13.1)).
    ThirdParty(IpAddr),
    /// PREFER_FAILURE: the request fails rather than get another outside endpoint
    /// ([RFC 6887 §13.2](https://www.rfc-editor.org/rfc/rfc6887#section-13.2)).
    PreferFailure,
    /// FILTER: the mapping lets in only these remotes
    /// ([RFC 6887 §13.3](https://www.rfc-editor.org/rfc/rfc6887#section-13.3)).
    Filter(Filter),
    /// An unknown option.
    Unknown {
        /// The option code; a server has to understand those below 128.
        code: u8,
        /// The data, without padding.
        data: Vec<u8>,
    },
}

/// Remotes that a mapping lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// The prefix length, of 128 bits; an IPv4 address begins after 96. Zero removes all filters.
    pub prefix_length: u8,
    /// The port of the remotes; zero for all.
    pub remote_port: u16,
    /// The address of the remotes.
    pub remote_address: IpAddr,
}

impl PcpOption {
    /// Reads all options of a message.
    pub(super) fn read_all(mut bytes: &[u8]) -> Result<Vec<Self>, ResultCode> {
        let mut options = Vec::new();
        while !bytes.is_empty() {
            let (option, rest) = Self::read(bytes).ok_or(ResultCode::MalformedOption)?;
            options.push(option);
            bytes = rest;
        }
        Ok(options)
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let code = u8_at(bytes, 0)?;
        let length = usize::from(u16_at(bytes, 2)?);
        let data = bytes.get(4..4 + length)?;
        let rest = bytes.get(4 + length.next_multiple_of(4)..)?;
        let option = match (code, length) {
            (THIRD_PARTY, 16) => Self::ThirdParty(address_at(data, 0)?),
            (PREFER_FAILURE, 0) => Self::PreferFailure,
            (FILTER, 20) => Self::Filter(Filter::read(data)?),
            (THIRD_PARTY | PREFER_FAILURE | FILTER, _) => return None,
            (code, _) => Self::Unknown {
                code,
                data: data.to_vec(),
            },
        };
        Some((option, rest))
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let mut data = Vec::new();
        match self {
            Self::ThirdParty(address) => write_address(&mut data, *address),
            Self::PreferFailure => {}
            Self::Filter(filter) => filter.write(&mut data),
            Self::Unknown { data: raw, .. } => data.extend(raw),
        }
        bytes.extend([self.code(), 0]);
        bytes.extend((data.len() as u16).to_be_bytes());
        data.resize(data.len().next_multiple_of(4), 0);
        bytes.extend(data);
    }

    fn code(&self) -> u8 {
        match self {
            Self::ThirdParty(_) => THIRD_PARTY,
            Self::PreferFailure => PREFER_FAILURE,
            Self::Filter(_) => FILTER,
            Self::Unknown { code, .. } => *code,
        }
    }

    /// Returns whether a server that does not understand the option has to refuse the request.
    #[must_use]
    pub fn is_mandatory(&self) -> bool {
        self.code() < FIRST_OPTIONAL
    }
}

impl Filter {
    fn read(data: &[u8]) -> Option<Self> {
        let prefix_length = u8_at(data, 1)?;
        let remote_address = address_at(data, 4)?;
        let fits = match remote_address {
            IpAddr::V4(_) => prefix_length == 0 || (96..=128).contains(&prefix_length),
            IpAddr::V6(_) => prefix_length <= 128,
        };
        fits.then_some(Self {
            prefix_length,
            remote_port: u16_at(data, 2)?,
            remote_address,
        })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend([0, self.prefix_length]);
        bytes.extend(self.remote_port.to_be_bytes());
        write_address(bytes, self.remote_address);
    }
}

const THIRD_PARTY: u8 = 1;
const PREFER_FAILURE: u8 = 2;
const FILTER: u8 = 3;
const FIRST_OPTIONAL: u8 = 128;
