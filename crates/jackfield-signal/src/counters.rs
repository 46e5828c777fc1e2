//! What a hub counts.

use crate::ErrorCode;

/// Counters since the hub began. They only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubCounters {
    /// Connections that became members.
    pub connected: u64,
    /// Members that are gone, for whatever reason.
    pub disconnected: u64,
    /// Messages that came in, refused ones included.
    pub received: u64,
    /// Messages that went out, one for each receiver; acknowledgements included.
    pub sent: u64,
    /// Bytes of the messages that went out, counted once for each receiver.
    pub sent_bytes: u64,
    /// Messages passed on from one member to one or more others.
    pub relayed: u64,
    /// Joins of a room.
    pub joined: u64,
    /// Times a member left a room, disconnects included.
    pub left: u64,
    /// Times ICE servers were minted.
    pub minted: u64,
    /// Names that were taken and got a suffix.
    pub renamed: u64,
    /// Changes of the lobby that share a user list with a later change.
    pub lobby_lists_merged: u64,
    /// Changes that a member which read too slowly gets as one list later.
    pub changes_coalesced: u64,
    /// Newcomers that knocked at a room.
    pub knocks: u64,
    /// Newcomers that were let in after they had knocked.
    pub knocks_admitted: u64,
    /// Names that the owners of lost connections took back by a session.
    pub names_taken_back: u64,
    /// Names of lost connections that were free at once, as too many are held.
    pub names_not_held: u64,
    /// Joins refused as there were too many from the member's network.
    pub joins_limited: u64,
    /// Inputs for a member that the hub no longer has: they were on their way when it was closed.
    pub late: u64,
    /// Messages of members that a receiver did not get, one for each receiver, as too much waited
    /// for it.
    pub receiver_busy: u64,
    refused: [u64; ErrorCode::ALL.len()],
}

impl HubCounters {
    /// Returns how often each code was the reason for a refusal.
    pub fn refused(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        ErrorCode::ALL.into_iter().zip(self.refused)
    }

    pub(crate) fn count_refusal(&mut self, code: ErrorCode) {
        if let Some(count) = self.refused.get_mut(code as usize) {
            *count += 1;
        }
    }
}
