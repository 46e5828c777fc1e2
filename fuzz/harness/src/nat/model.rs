//! A NAT that is too simple to be wrong, to hold the real one against.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jackfield_nat::{Behaviour, Endpoint, Filtering, Mapping};

/// Mapping and filtering as RFC 4787 words them, as lists that are searched from end to end.
pub(super) struct Model {
    behaviour: Behaviour,
    mappings: Vec<Modelled>,
    conversations: Vec<Conversation>,
    /// The conversation that an inside endpoint's packets to a remote belong to.
    current: BTreeMap<(Endpoint, Endpoint), usize>,
    next: usize,
}

pub(super) struct Modelled {
    inside: Endpoint,
    external: Endpoint,
    first_remote: Endpoint,
    ends: Instant,
}

struct Conversation {
    id: usize,
    external: Endpoint,
    remote: Endpoint,
    /// The inside has sent.
    sent: bool,
    ends: Instant,
}

impl Model {
    const LIFETIME: Duration = Duration::from_secs(300);

    pub(super) fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            mappings: Vec::new(),
            conversations: Vec::new(),
            current: BTreeMap::new(),
            next: 0,
        }
    }

    pub(super) fn outbound(
        &mut self,
        now: Instant,
        inside: Endpoint,
        remote: Endpoint,
        source: Endpoint,
    ) {
        self.forget(now);
        let current = self.current.get(&(inside, remote)).copied();
        let ends = now + Self::LIFETIME;
        let rule = self.mapped(inside, remote);
        let mut conversations = self.conversations.iter_mut();
        let expected = match conversations.find(|it| Some(it.id) == current) {
            Some(conversation) => {
                conversation.sent = true;
                conversation.ends = ends;
                Some(conversation.external)
            }
            None => {
                self.converse(inside, source, remote, true, ends);
                rule
            }
        };
        match expected {
            Some(external) => assert_eq!(external, source, "{inside} to {remote}"),
            None => {
                let fresh = self.mappings.iter().all(|it| it.external != source);
                assert!(fresh, "{source} is given out twice");
                self.mappings.push(Modelled {
                    inside,
                    external: source,
                    first_remote: remote,
                    ends,
                });
            }
        }
        for mapping in self.mappings.iter_mut().filter(|it| it.external == source) {
            mapping.ends = ends;
        }
    }

    /// Returns what the mapping behaviour says that packets to a remote leave from, if that is
    /// known already.
    fn mapped(&self, inside: Endpoint, remote: Endpoint) -> Option<Endpoint> {
        let fits = |it: &&Modelled| {
            it.inside == inside
                && match self.behaviour.mapping {
                    Mapping::EndpointIndependent => true,
                    Mapping::AddressDependent => it.first_remote.address == remote.address,
                    Mapping::AddressAndPortDependent => it.first_remote == remote,
                }
        };
        self.mappings.iter().find(fits).map(|it| it.external)
    }

    pub(super) fn inbound(
        &mut self,
        now: Instant,
        external: Endpoint,
        remote: Endpoint,
    ) -> Option<Endpoint> {
        self.forget(now);
        let mapping = self.mappings.iter().find(|it| it.external == external)?;
        let inside = mapping.inside;
        let mut here = self
            .conversations
            .iter()
            .filter(|it| it.external == external);
        let lets_in = match self.behaviour.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => {
                here.any(|it| it.sent && it.remote.address == remote.address)
            }
            Filtering::AddressAndPortDependent => here.any(|it| it.sent && it.remote == remote),
        };
        if !lets_in {
            return None;
        }
        let known = |it: &Conversation| it.external == external && it.remote == remote;
        if !self.conversations.iter().any(known) {
            self.converse(inside, external, remote, false, now + Self::LIFETIME);
        }
        Some(inside)
    }

    fn converse(
        &mut self,
        inside: Endpoint,
        external: Endpoint,
        remote: Endpoint,
        sent: bool,
        ends: Instant,
    ) {
        let id = self.next;
        self.next += 1;
        self.current.insert((inside, remote), id);
        self.conversations.push(Conversation {
            id,
            external,
            remote,
            sent,
            ends,
        });
    }

    fn forget(&mut self, now: Instant) {
        self.mappings.retain(|it| it.ends > now);
        let mappings = &self.mappings;
        self.conversations
            .retain(|it| it.ends > now && mappings.iter().any(|on| on.external == it.external));
        let conversations = &self.conversations;
        self.current
            .retain(|_, id| conversations.iter().any(|it| it.id == *id));
    }
}
