//! Nonces that the server does not have to remember.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jackfield_stun::attribute::SecurityFeatures;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::NonceKey;

/// Makes and checks nonces without remembering any.
///
/// A nonce is the RFC 8489 cookie (where offered), the second it was made in, the client's port,
/// and 96 bits of HMAC-SHA256 over these and the client's IP address. The port makes nonces of
/// different sockets differ, and is not compared: NATs change it, and a client may use one nonce
/// for all its sockets.
#[derive(Debug, Clone)]
pub(crate) struct Nonces {
    key: NonceKey,
    lifetime: Duration,
    /// The cookie and features, or nothing.
    prefix: String,
}

impl Nonces {
    pub(crate) fn new(
        key: NonceKey,
        lifetime: Duration,
        features: Option<SecurityFeatures>,
    ) -> Self {
        Self {
            key,
            lifetime,
            prefix: features.map(SecurityFeatures::prefix).unwrap_or_default(),
        }
    }

    /// Makes a nonce for `client` at `unix`, the time since 1970.
    pub(crate) fn make(&self, client: SocketAddr, unix: Duration) -> String {
        let [s0, s1, s2, s3] = seconds(unix).to_be_bytes();
        //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.4
        //# The server MUST NOT choose the
        //# same NONCE for two requests unless they have the same source IP
        //# address and port.
        let [p0, p1] = client.port().to_be_bytes();
        let stamp = [s0, s1, s2, s3, p0, p1];
        let mut bytes = stamp.to_vec();
        bytes.extend_from_slice(&self.mac(client.ip(), stamp));
        format!("{}{}", self.prefix, STANDARD_NO_PAD.encode(bytes))
    }

    /// Returns whether `nonce` was made for `client` and is not too old.
    pub(crate) fn check(&self, nonce: &str, client: IpAddr, unix: Duration) -> bool {
        let Some(encoded) = nonce.strip_prefix(&self.prefix) else {
            return false;
        };
        // One byte is spare, as the decoder's estimate may be one too high.
        let mut bytes = [0; STAMP + MAC + 1];
        let Ok(length) = STANDARD_NO_PAD.decode_slice(encoded, &mut bytes) else {
            return false;
        };
        let bytes = bytes.get(..length);
        let Some((stamp, mac)) = bytes.and_then(<[u8]>::split_first_chunk::<STAMP>) else {
            return false;
        };
        let &[s0, s1, s2, s3, _, _] = stamp;
        let expected = self.mac(client, *stamp);
        let age = seconds(unix).wrapping_sub(u32::from_be_bytes([s0, s1, s2, s3]));
        bool::from(expected.ct_eq(mac)) && u64::from(age) <= self.lifetime.as_secs()
    }

    fn mac(&self, client: IpAddr, stamp: [u8; STAMP]) -> [u8; MAC] {
        let NonceKey(key) = &self.key;
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(self.prefix.as_bytes());
        mac.update(&stamp);
        match client.to_canonical() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut short = [0; MAC];
        for (to, from) in short.iter_mut().zip(full) {
            *to = from;
        }
        short
    }
}

/// Seconds since 1970, modulo 2^32: ages come out right across the wrap in 2106.
fn seconds(unix: Duration) -> u32 {
    (unix.as_secs() & 0xFFFF_FFFF) as u32
}

/// Bytes of the second and the port.
const STAMP: usize = 6;

/// Bytes of the HMAC: 96 bits cannot be guessed within a nonce's lifetime.
const MAC: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    #[test]
    fn a_nonce_is_good_for_its_client_and_its_time() {
        let nonces = nonces(1);
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let nonce = nonces.make(SocketAddr::new(client, 4000), NOW);
        let hour = Duration::from_secs(3600);
        assert!(nonces.check(&nonce, client, NOW));
        assert!(nonces.check(&nonce, "::ffff:192.0.2.1".parse().unwrap(), NOW));
        assert!(nonces.check(&nonce, client, NOW + hour));
        assert!(!nonces.check(&nonce, client, NOW + hour + Duration::from_secs(1)));
        assert!(
            !nonces.check(&nonce, client, NOW - Duration::from_secs(1)),
            "from the future"
        );
        assert!(!nonces.check(&nonce, "192.0.2.2".parse().unwrap(), NOW));
    }

    #[test]
    fn two_ports_never_get_the_same_nonce_and_may_use_each_others() {
        let nonces = nonces(1);
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let [one, two] = [4000, 4001].map(|port| nonces.make(SocketAddr::new(client, port), NOW));
        assert_ne!(one, two);
        assert!(nonces.check(&one, client, NOW) && nonces.check(&two, client, NOW));
    }

    #[test]
    fn shards_with_one_key_take_each_others_nonces_and_no_others() {
        let client: IpAddr = "2001:db8::1".parse().unwrap();
        let nonce = nonces(1).make(SocketAddr::new(client, 4000), NOW);
        assert!(nonces(1).check(&nonce, client, NOW));
        assert!(!nonces(2).check(&nonce, client, NOW));
    }

    #[test]
    fn a_changed_nonce_is_stale() {
        let nonces = nonces(1);
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let nonce = nonces.make(SocketAddr::new(client, 4000), NOW);
        assert_eq!(nonce.len(), 37);
        for at in 0..nonce.len() {
            let mut bytes = nonce.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(!nonces.check(&changed, client, NOW), "byte {at}");
        }
        for junk in ["", "obMatJos2", "obMatJos2gAAA", "ü", &"A".repeat(700)] {
            assert!(!nonces.check(junk, client, NOW), "{junk}");
        }
    }

    fn nonces(key: u8) -> Nonces {
        let features = SecurityFeatures {
            password_algorithms: true,
            username_anonymity: false,
        };
        Nonces::new(
            NonceKey::new([key; 32]),
            Duration::from_secs(3600),
            Some(features),
        )
    }
}
