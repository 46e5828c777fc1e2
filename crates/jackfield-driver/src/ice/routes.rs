//! Which session a packet is for, where many share a port.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use super::session::SessionId;

/// The sessions by what their packets carry: a connectivity check has the username fragment of its
/// receiver, everything else is known by where it comes from.
///
/// A remote address is learned from what a session sends, never from what comes in: strangers could
/// fill the table. Several sessions may ask one STUN server; its answers go to each of them, and
/// each knows its own.
#[derive(Debug)]
pub(super) struct Routes {
    by_ufrag: HashMap<Arc<str>, SessionId>,
    by_path: HashMap<Path, Vec<SessionId>>,
    of_session: HashMap<SessionId, Known>,
    /// The most paths of a session.
    limit: usize,
}

/// A local and a remote address.
pub(super) type Path = (SocketAddr, SocketAddr);

#[derive(Debug, Default)]
struct Known {
    /// Those of this generation and of the one before.
    ufrags: VecDeque<Arc<str>>,
    paths: VecDeque<Path>,
}

impl Routes {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_ufrag: HashMap::new(),
            by_path: HashMap::new(),
            of_session: HashMap::new(),
            limit: limit.max(1),
        }
    }

    /// Returns the session that has a username fragment.
    pub(super) fn by_ufrag(&self, ufrag: &str) -> Option<SessionId> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// Returns the sessions that have sent along a path.
    pub(super) fn by_path(&self, path: Path) -> &[SessionId] {
        self.by_path.get(&path).map_or(&[], Vec::as_slice)
    }

    pub(super) fn knows(&self, session: SessionId, path: Path) -> bool {
        self.by_path(path).contains(&session)
    }

    /// Adds a session's username fragment; the one before the last is forgotten.
    pub(super) fn add_ufrag(&mut self, session: SessionId, ufrag: &str) {
        let known = self.of_session.entry(session).or_default();
        if known.ufrags.iter().any(|known| &**known == ufrag) {
            return;
        }
        let ufrag: Arc<str> = ufrag.into();
        known.ufrags.push_back(Arc::clone(&ufrag));
        let old = (known.ufrags.len() > 2).then(|| known.ufrags.pop_front());
        if let Some(old) = old.flatten() {
            self.by_ufrag.remove(&old);
        }
        self.by_ufrag.insert(ufrag, session);
    }

    /// Adds a path that a session sends along; the oldest gives way to it if there are too many.
    pub(super) fn add_path(&mut self, session: SessionId, path: Path) {
        if self.knows(session, path) {
            return;
        }
        let known = self.of_session.entry(session).or_default();
        known.paths.push_back(path);
        let old = (known.paths.len() > self.limit).then(|| known.paths.pop_front());
        if let Some(old) = old.flatten() {
            self.forget(session, old);
        }
        self.by_path.entry(path).or_default().push(session);
    }

    /// Forgets a session.
    pub(super) fn remove(&mut self, session: SessionId) {
        let Some(known) = self.of_session.remove(&session) else {
            return;
        };
        for ufrag in known.ufrags {
            self.by_ufrag.remove(&ufrag);
        }
        for path in known.paths {
            self.forget(session, path);
        }
    }

    fn forget(&mut self, session: SessionId, path: Path) {
        if let Some(sessions) = self.by_path.get_mut(&path) {
            sessions.retain(|other| *other != session);
            if sessions.is_empty() {
                self.by_path.remove(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        let local = "192.0.2.1:1".parse().expect("an address");
        (local, ([198, 51, 100, 1], port).into())
    }

    #[test]
    fn a_session_is_known_by_its_fragments_and_paths_until_it_goes() {
        let (first, second) = (SessionId(1), SessionId(2));
        let mut routes = Routes::new(2);
        for ufrag in ["a", "b", "c", "c"] {
            routes.add_ufrag(first, ufrag);
        }
        let found = ["a", "b", "c"].map(|ufrag| routes.by_ufrag(ufrag));
        assert_eq!(found, [None, Some(first), Some(first)]);
        for port in [1, 2, 2, 3] {
            routes.add_path(first, path(port));
        }
        routes.add_path(second, path(3));
        assert_eq!(routes.by_path(path(1)), []);
        assert_eq!(routes.by_path(path(2)), [first]);
        assert_eq!(routes.by_path(path(3)), [first, second]);
        routes.remove(first);
        assert_eq!(routes.by_path(path(3)), [second]);
        assert_eq!(routes.by_ufrag("c"), None);
        routes.remove(second);
        assert!(routes.by_path.is_empty() && routes.by_ufrag.is_empty());
    }
}
