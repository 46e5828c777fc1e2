//! What always holds inside a gatherer.

use super::Gatherer;

impl Gatherer {
    /// Checks that nothing inside has grown past its limit or is about a base that is gone.
    #[doc(hidden)]
    pub fn check(&self) {
        let limits = &self.config.limits;
        assert!(self.bases.len() <= limits.sockets);
        assert!(self.queries.len() <= limits.sockets * limits.servers);
        assert!(self.relays.len() <= limits.allocations);
        assert!(self.peers.len() <= limits.peers);
        assert!(self.queries.iter().all(|query| {
            self.bases.contains(&query.base) && self.config.servers.get(query.server).is_some()
        }));
        // Those that are given back after the end have no base any more.
        assert!(self.is_closed || self.relays.iter().all(|it| self.bases.contains(&it.base)));
        for relay in &self.relays {
            assert!(relay.is_allocated() || relay.mapped.is_none());
            assert_eq!(relay.is_allocated(), relay.since.is_some());
        }
    }
}
