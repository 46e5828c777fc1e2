//! What candidates that are likely to share their fate have in common ([RFC 8445 §5.1.1.3]).
//!
//! [RFC 8445 §5.1.1.3]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.3

use std::fmt;
use std::hash::BuildHasher;
use std::net::IpAddr;

use jackfield_sansio::Seed;

use super::{CandidateKind, CandidateTransport};

/// A foundation: at most 32 visible ASCII characters, which are compared and not understood.
///
/// Those that we make are of ice-char (letters, digits, `+` and `/`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Foundation(Box<str>);

impl Foundation {
    /// Reads a foundation; `None` if it is longer than 32 characters or has others than visible
    /// ASCII.
    ///
    /// An empty one is accepted: some agents send it.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = text.len() <= MAX_LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// Returns the foundation of a local candidate: the same for the same arguments.
    ///
    /// `server` is the address that a STUN or TURN server was asked at. It is a hash with the
    /// agent's secret, so that it tells no stranger the base's address, which a candidate with a
    /// `.local` name hides.
    #[must_use]
    pub fn of(
        secret: Seed,
        kind: CandidateKind,
        transport: CandidateTransport,
        base: IpAddr,
        server: Option<IpAddr>,
    ) -> Self {
        let hash = secret.hash_one((kind, transport.is_tcp(), base, server));
        let digit = |shift: u32| {
            let index = (hash >> shift) as usize % ICE_CHARS.len();
            char::from(ICE_CHARS.get(index).copied().unwrap_or(b'0'))
        };
        Self((0..8).map(|index| digit(6 * index)).collect())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const MAX_LENGTH: usize = 32;

/// The characters of an ice-char (RFC 8839 §5.1).
pub(crate) const ICE_CHARS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    //= https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.3
    //= type=test
    //# Similarly, two candidates have different foundations if their types
    //# are different, their bases have different IP addresses, the STUN or
    //# TURN servers used to obtain them have different IP addresses (the IP
    //# addresses used by the agent to contact the STUN or TURN server), or
    //# their transport protocols are different.
    #[test]
    fn foundations_differ_by_type_base_server_and_transport() {
        use CandidateKind::{Host, ServerReflexive};
        use CandidateTransport::{TcpActive, TcpPassive, Udp};
        let secret = Seed::new([1, 2]);
        let base = "192.0.2.1".parse().unwrap();
        let other = "192.0.2.2".parse().unwrap();
        let of =
            |kind, transport, base, server| Foundation::of(secret, kind, transport, base, server);
        let all = [
            of(Host, Udp, base, None),
            of(Host, TcpActive, base, None),
            of(Host, Udp, other, None),
            of(ServerReflexive, Udp, base, Some(base)),
            of(ServerReflexive, Udp, base, Some(other)),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(all[0], of(Host, Udp, base, None));
        assert_eq!(all[1], of(Host, TcpPassive, base, None));
        let stranger = Foundation::of(Seed::new([3, 4]), Host, Udp, base, None);
        assert_ne!(all[0], stranger);
    }
}
