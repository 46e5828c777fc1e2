//! PCP responses (RFC 6887 §7.2).

use jackfield_nat::packet::bytes::{u8_at, u32_at};

use super::{Body, HEADER, LONGEST, PcpOption, RESPONSE, ResultCode, VERSION};

/// A response of a server, or an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The result code.
    pub result: ResultCode,
    /// How long the mapping, or the error, lasts, in seconds.
    pub lifetime: u32,
    /// Seconds since the server started or lost its state.
    pub epoch: u32,
    /// The opcode with its data; in an error, that of the request.
    pub body: Body,
    /// The options that were honoured.
    pub options: Vec<PcpOption>,
}

/// Why bytes are not a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The bytes are not a PCP response.
    #[error("not a PCP response")]
    Malformed,
    /// The server supports this version instead; NAT-PMP is version 0
    /// ([RFC 6887 §9](https://www.rfc-editor.org/rfc/rfc6887#section-9)).
    #[error("the server speaks version {0}")]
    Version(u8),
}

impl Response {
    /// Reads a response ([RFC 6887 §8.3](https://www.rfc-editor.org/rfc/rfc6887#section-8.3)).
    ///
    /// # Errors
    /// Fails when the bytes are not a response, or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, ResponseError> {
        let (Some(version), Some(opcode)) = (u8_at(bytes, 0), u8_at(bytes, 1)) else {
            return Err(ResponseError::Malformed);
        };
        if opcode & RESPONSE == 0 {
            return Err(ResponseError::Malformed);
        }
        if version != VERSION {
            return Err(ResponseError::Version(version));
        }
        Self::parse(opcode & !RESPONSE, bytes).ok_or(ResponseError::Malformed)
    }

    fn parse(opcode: u8, bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST || !bytes.len().is_multiple_of(4) {
            return None;
        }
        let options = bytes.get(HEADER + Body::length(opcode)?..)?;
        Some(Self {
            result: u8_at(bytes, 3)?.into(),
            lifetime: u32_at(bytes, 4)?,
            epoch: u32_at(bytes, 8)?,
            body: Body::read(opcode, bytes)?,
            options: PcpOption::read_all(options).ok()?,
        })
    }

    /// Writes the response.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let opcode = self.body.opcode();
        let mut bytes = header(opcode, self.result, self.lifetime, self.epoch);
        self.body.write(&mut bytes);
        for option in &self.options {
            option.write(&mut bytes);
        }
        bytes
    }
}

/// Writes the answer to a request that failed: the request with the result in its header
/// ([RFC 6887 §8.2](https://www.rfc-editor.org/rfc/rfc6887#section-8.2)).
#[must_use]
pub fn refusal(request: &[u8], result: ResultCode, lifetime: u32, epoch: u32) -> Vec<u8> {
    let opcode = u8_at(request, 1).unwrap_or(0) & !RESPONSE;
    let mut bytes = header(opcode, result, lifetime, epoch);
    bytes.extend(request.iter().skip(HEADER).take(LONGEST - HEADER));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn header(opcode: u8, result: ResultCode, lifetime: u32, epoch: u32) -> Vec<u8> {
    let mut bytes = vec![VERSION, opcode | RESPONSE, 0, result.into()];
    bytes.extend(lifetime.to_be_bytes());
    bytes.extend(epoch.to_be_bytes());
    bytes.resize(HEADER, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_request_with_the_result_in_it() {
        let request = [&[2, 1, 0, 0][..], &[9; 20], &[7; 36]].concat();
        let bytes = refusal(&request, ResultCode::UserExQuota, 30, 5);
        let mut expected = vec![2, 0x81, 0, 10, 0, 0, 0, 30, 0, 0, 0, 5];
        expected.extend([0; 12]);
        expected.extend([7; 36]);
        assert_eq!(bytes, expected);
        let response = Response::decode(&bytes).unwrap();
        assert_eq!(response.result, ResultCode::UserExQuota);
        let long = refusal(&[2; 3000], ResultCode::MalformedRequest, 1, 1);
        assert_eq!(long.len(), LONGEST);
        assert_eq!(refusal(&[1, 1], ResultCode::UnsuppVersion, 1, 1).len(), 24);
    }

    #[test]
    fn a_server_of_another_version_is_told_from_nonsense() {
        let nat_pmp = [0, 0x81, 0, 1, 0, 0, 0, 9];
        assert_eq!(Response::decode(&nat_pmp), Err(ResponseError::Version(0)));
        assert_eq!(Response::decode(&[2, 1]), Err(ResponseError::Malformed));
        assert_eq!(
            Response::decode(&[2, 0x80, 0]),
            Err(ResponseError::Malformed)
        );
    }
}
