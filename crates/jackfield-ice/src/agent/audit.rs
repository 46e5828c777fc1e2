//! What always holds inside an agent.

use super::Agent;
use super::session::Session;

impl Agent {
    /// Checks that nothing inside has grown past its limit or refers to what is gone.
    #[doc(hidden)]
    pub fn check(&self) {
        let limits = &self.context.config.limits;
        let (bases, listeners) = (&self.context.bases, &self.context.listeners);
        let sockets = bases.len() + listeners.len() + self.context.addresses.len();
        assert!(sockets <= limits.sockets);
        assert!(self.context.locals.len() <= limits.local_candidates);
        assert!(self.context.connections.len() <= limits.connections);
        let previous = self.previous.iter().map(|previous| &previous.session);
        for session in std::iter::once(&self.session).chain(previous) {
            self.check_session(session);
        }
    }

    fn check_session(&self, session: &Session) {
        let limits = &self.context.config.limits;
        assert!(session.remotes.len() <= limits.remote_candidates);
        assert!(session.held.len() <= limits.remote_candidates);
        assert!(session.names.len() <= limits.names);
        assert!(session.early.len() <= limits.early_checks);
        assert!(session.early.is_empty() || session.early_data.len() <= 4);
        assert!(session.pairs.len() <= limits.pairs);
        assert!(session.selected.is_none_or(|id| session.pair(id).is_some()));
        for pair in &session.pairs {
            assert!(self.context.local(pair.local).is_some());
            assert!(session.remote(pair.remote).is_some());
            assert!(
                pair.mapped
                    .is_none_or(|id| self.context.local(id).is_some())
            );
            assert!(pair.sent.len() <= super::pair::MAX_SENT);
            assert!(!pair.is_revoked || session.selected != Some(pair.id));
        }
    }
}
