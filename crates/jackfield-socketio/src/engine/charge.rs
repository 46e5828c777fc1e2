//! Bytes that are charged to a session for as long as something holds them.

use std::sync::Arc;

use bytes::Bytes;
use jackfield_sansio::{Account, Charge};

/// Has `bytes` charged until the last clone of what is returned is dropped.
pub(super) fn charged(account: &Arc<Account>, bytes: Bytes) -> Bytes {
    let mut charge = Charge::new(account);
    charge.set(bytes.len());
    Bytes::from_owner(Charged {
        bytes,
        _charge: charge,
    })
}

struct Charged {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
