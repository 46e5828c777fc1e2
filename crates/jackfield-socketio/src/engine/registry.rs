//! The open sessions by their id.

use std::collections::HashMap;
use std::sync::Mutex;

use super::EngineSocket;
use crate::id::Id;
use crate::sync::lock;

/// The open sessions by their id.
#[derive(Debug, Default)]
pub(super) struct Registry {
    buckets: [Mutex<HashMap<Id, EngineSocket>>; BUCKETS],
}

impl Registry {
    pub(super) fn insert(&self, socket: &EngineSocket) {
        let sid = socket.sid();
        if let Some(bucket) = self.bucket(sid) {
            lock(bucket).insert(sid, socket.clone());
        }
    }

    pub(super) fn get(&self, sid: Id) -> Option<EngineSocket> {
        self.bucket(sid)
            .and_then(|bucket| lock(bucket).get(&sid).cloned())
    }

    pub(super) fn remove(&self, sid: Id) -> bool {
        self.bucket(sid)
            .is_some_and(|bucket| lock(bucket).remove(&sid).is_some())
    }

    pub(super) fn all(&self) -> Vec<EngineSocket> {
        let buckets = self.buckets.iter();
        buckets
            .flat_map(|bucket| lock(bucket).values().cloned().collect::<Vec<_>>())
            .collect()
    }

    fn bucket(&self, sid: Id) -> Option<&Mutex<HashMap<Id, EngineSocket>>> {
        // Ids are the server's own random bytes, so no client can fill one bucket.
        self.buckets.get(sid.bucket(BUCKETS))
    }
}

/// Locks among which the sessions are spread, so that shards rarely wait for each other.
const BUCKETS: usize = 16;
