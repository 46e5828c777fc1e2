//! Memory that is charged to a session for as long as something holds it.

use std::sync::Arc;

use bytes::Bytes;
use jackfield_sansio::Account;

/// Bytes that are charged until this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl Charge {
    pub(super) fn new(account: &Arc<Account>) -> Self {
        Self {
            account: Arc::clone(account),
            bytes: 0,
        }
    }

    /// Charges what this stands for now in place of what it stood for before.
    pub(super) fn set(&mut self, bytes: usize) {
        self.account.add(bytes.saturating_sub(self.bytes));
        self.account.remove(self.bytes.saturating_sub(bytes));
        self.bytes = bytes;
        self.account.settle();
    }

    /// Has `bytes` charged until the last clone of what is returned is dropped.
    pub(super) fn attach(mut self, bytes: Bytes) -> Bytes {
        self.set(bytes.len());
        Bytes::from_owner(Charged {
            bytes,
            _charge: self,
        })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
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
