//! Sessions: what a connection shows to take the place of an earlier one of the same client.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::MemberId;

/// Makes sessions and knows its own again, without keeping any.
///
/// A session is a member's number and the first 128 bits of its HMAC under a key of this hub: who
/// has not been told one cannot make it.
pub(crate) struct Sessions(Hmac<Sha256>);

impl Sessions {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let mut key = Hmac::new_from_slice(seed).expect("HMAC takes keys of any length");
        // Part of the seed shows in the numbers of members.
        key.update(b"jackfield signaling session");
        Self(key)
    }

    pub(crate) fn of(&self, member: MemberId) -> String {
        let mac = self.mac(member).finalize().into_bytes();
        let mac = mac.first_chunk::<MAC_BYTES>().copied().unwrap_or_default();
        format!("{member}-{:032x}", u128::from_be_bytes(mac))
    }

    /// Returns the member that a session was made for, if it is one of this hub.
    pub(crate) fn member_of(&self, session: &str) -> Option<MemberId> {
        let (number, mac) = session.split_once('-')?;
        let member = MemberId(number.parse().ok()?);
        // `from_str_radix` takes a sign, and fewer digits.
        if mac.len() != 2 * MAC_BYTES || !mac.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mac = u128::from_str_radix(mac, 16).ok()?.to_be_bytes();
        self.mac(member).verify_truncated_left(&mac).ok()?;
        Some(member)
    }

    fn mac(&self, member: MemberId) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&member.number().to_be_bytes());
        mac
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

const MAC_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_names_its_member_and_no_other_hub_takes_it() {
        let (one, other) = (Sessions::new(&[1; 32]), Sessions::new(&[2; 32]));
        let session = one.of(MemberId(7));
        assert_eq!(one.member_of(&session), Some(MemberId(7)));
        assert_eq!(other.member_of(&session), None);
        assert_ne!(one.of(MemberId(8)), session);
    }

    #[test]
    fn what_is_not_quite_a_session_is_none() {
        let sessions = Sessions::new(&[1; 32]);
        let session = sessions.of(MemberId(7));
        let (number, mac) = session.split_once('-').unwrap();
        let flipped = if mac.ends_with('0') { '1' } else { '0' };
        for wrong in [
            String::new(),
            "-".to_owned(),
            number.to_owned(),
            format!("{number}-"),
            format!("8-{mac}"),
            format!("{number}-{}", mac.get(1..).unwrap()),
            format!("{number}-+{}", mac.get(1..).unwrap()),
            format!("{number}-{}{flipped}", mac.get(..31).unwrap()),
            format!("{session}0"),
        ] {
            assert_eq!(sessions.member_of(&wrong), None, "{wrong}");
        }
    }
}
