//! The other side's candidates.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::context::Context;
use super::session::Session;
use super::{AddressError, Output};
use crate::candidate::{
    Candidate, CandidateAddress, CandidateKind, CandidateTransport, Foundation, MdnsName,
};

/// A remote candidate's number, never used again in its ICE generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RemoteId(pub(super) u32);

/// A remote candidate.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) id: RemoteId,
    /// As it was signaled; of a peer-reflexive one, what its check said.
    pub(super) candidate: Candidate,
    /// Where checks go; `None` until its name is looked up.
    pub(super) address: Option<SocketAddr>,
}

/// Why a remote candidate is not accepted; nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteCandidateError {
    /// The agent was closed.
    #[error("the agent was closed")]
    Closed,
    /// Checks to this address are not allowed ([`RemotePolicy`](crate::RemotePolicy)).
    #[error("its address is not accepted: {0}")]
    Address(#[from] AddressError),
    /// It is of another component than 1, and one is all there is with rtcp-mux.
    #[error("it is of component {0}, and there is only component 1")]
    Component(u16),
    /// It is of an ICE generation that is over.
    #[error("it is of an ICE generation that is over")]
    Outdated,
    /// There are as many as [`Limits::remote_candidates`](crate::Limits::remote_candidates) allows.
    #[error("there are too many remote candidates")]
    TooMany,
    /// As many mDNS names as [`Limits::names`](crate::Limits::names) allows were looked up.
    #[error("there are too many mDNS names")]
    TooManyNames,
}

impl Remote {
    /// Returns whether the other side has signaled it.
    pub(super) fn is_signaled(&self) -> bool {
        self.candidate.kind != CandidateKind::PeerReflexive
    }

    pub(super) fn is_mdns(&self) -> bool {
        matches!(self.candidate.address, CandidateAddress::Mdns { .. })
    }
}

impl Session {
    /// Adds a candidate that the other side has signaled.
    pub(super) fn add_remote(
        &mut self,
        context: &mut Context,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), RemoteCandidateError> {
        if candidate.component != 1 {
            return Err(RemoteCandidateError::Component(candidate.component));
        }
        self.check_address(context, &candidate)?;
        if self.replaces_reflexive(context, &candidate) || self.is_known(&candidate) {
            return Ok(());
        }
        if self.remotes.len() >= context.config.limits.remote_candidates {
            context.counters.dropped_candidates += 1;
            return Err(RemoteCandidateError::TooMany);
        }
        let address = candidate.address.ip();
        if let CandidateAddress::Mdns { name, .. } = &candidate.address {
            self.look_up(context, &name.clone())?;
        }
        let id = self.next_remote();
        self.remotes.push(Remote {
            id,
            candidate,
            address,
        });
        self.pair_remote(context, now, id);
        Ok(())
    }

    /// Checks that the candidate's address may be sent to. An active TCP candidate is never sent
    /// to, so its port means nothing.
    fn check_address(
        &self,
        context: &Context,
        candidate: &Candidate,
    ) -> Result<(), RemoteCandidateError> {
        let policy = &context.config.remote;
        match &candidate.address {
            CandidateAddress::Ip(address)
                if candidate.transport == CandidateTransport::TcpActive =>
            {
                policy.check_ip(address.ip())?;
            }
            CandidateAddress::Ip(address) => policy.check(*address)?,
            CandidateAddress::Mdns { port: 0, .. } => return Err(AddressError::Port.into()),
            CandidateAddress::Mdns { .. } => {}
        }
        Ok(())
    }

    fn is_known(&self, candidate: &Candidate) -> bool {
        self.remotes.iter().any(|remote| {
            remote.is_signaled()
                && remote.candidate.address == candidate.address
                && remote.candidate.transport == candidate.transport
        })
    }

    /// Asks for the address of a name, unless it was asked for.
    fn look_up(
        &mut self,
        context: &mut Context,
        name: &MdnsName,
    ) -> Result<(), RemoteCandidateError> {
        if self.names.contains(name) {
            return Ok(());
        }
        if self.names.len() >= context.config.limits.names {
            context.counters.dropped_candidates += 1;
            return Err(RemoteCandidateError::TooManyNames);
        }
        self.names.push(name.clone());
        let output = Output::Resolve(name.as_str().to_owned());
        context.outputs.push_back(output);
        Ok(())
    }

    /// Takes the address of an mDNS name.
    pub(super) fn resolved(
        &mut self,
        context: &mut Context,
        now: Instant,
        name: &str,
        ip: Option<IpAddr>,
    ) {
        // A name may hide an address of the local network; it may not lead to ourselves.
        let ip = ip.filter(|ip| context.config.remote.check_ip(*ip).is_ok());
        let mut found: Vec<(RemoteId, SocketAddr)> = Vec::new();
        for remote in &self.remotes {
            let CandidateAddress::Mdns { name: known, port } = &remote.candidate.address else {
                continue;
            };
            if let Some(ip) = ip.filter(|_| known.as_str() == name && remote.address.is_none()) {
                found.push((remote.id, SocketAddr::new(ip, *port)));
            }
        }
        for (id, address) in found {
            self.set_address(context, now, id, address);
        }
    }

    /// Gives a named candidate its address, or its name to the peer-reflexive candidate that has
    /// come from there already.
    fn set_address(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: RemoteId,
        address: SocketAddr,
    ) {
        let Some(at) = self.remotes.iter().position(|remote| remote.id == id) else {
            return;
        };
        let candidate = self.remotes.get(at).map(|remote| remote.candidate.clone());
        let Some(candidate) = candidate else { return };
        let transport = candidate.transport;
        match self.remote_at(address, transport) {
            Some(reflexive) => {
                self.remotes.remove(at);
                self.rename(context, reflexive, candidate);
            }
            None => {
                if let Some(remote) = self.remotes.get_mut(at) {
                    remote.address = Some(address);
                }
                self.pair_remote(context, now, id);
            }
        }
    }

    /// Replaces a peer-reflexive candidate at the signaled one's address ([RFC 8838 §11], item 4).
    ///
    /// [RFC 8838 §11]: https://www.rfc-editor.org/rfc/rfc8838#section-11
    fn replaces_reflexive(&mut self, context: &mut Context, candidate: &Candidate) -> bool {
        let Some(address) = candidate.address.ip() else {
            return false;
        };
        let reflexive = self.remotes.iter().find(|remote| {
            !remote.is_signaled()
                && remote.address == Some(address)
                && remote.candidate.transport == candidate.transport
        });
        let Some(id) = reflexive.map(|remote| remote.id) else {
            return false;
        };
        self.rename(context, id, candidate.clone());
        true
    }

    /// Gives a remote candidate what was signaled about it; its pairs and their checks stay.
    fn rename(&mut self, context: &mut Context, id: RemoteId, candidate: Candidate) {
        if let Some(remote) = self.remotes.iter_mut().find(|remote| remote.id == id) {
            remote.candidate = candidate;
        }
        self.weigh_pairs(context);
        self.pair_remote_quietly(context, id);
        if self.selected().is_some_and(|pair| pair.remote == id) {
            self.announce_selected(context);
        }
    }

    /// Returns the candidate that a check from `source` comes from; adds it as a peer-reflexive one
    /// if there is none ([RFC 8445 §7.3.1.3]).
    ///
    /// [RFC 8445 §7.3.1.3]: https://www.rfc-editor.org/rfc/rfc8445#section-7.3.1.3
    pub(super) fn reflexive_remote(
        &mut self,
        context: &mut Context,
        source: SocketAddr,
        transport: CandidateTransport,
        priority: u32,
    ) -> Option<RemoteId> {
        if let Some(id) = self.remote_at(source, transport) {
            return Some(id);
        }
        let limit = context.config.limits.remote_candidates;
        if self.remotes.len() >= limit && !self.forget_reflexive(context) {
            context.counters.dropped_candidates += 1;
            return None;
        }
        let id = self.next_remote();
        let foundation = Foundation::new(&format!("prflx{}", id.0))?;
        self.remotes.push(Remote {
            id,
            candidate: Candidate {
                foundation,
                component: 1,
                transport,
                priority,
                address: CandidateAddress::Ip(source),
                kind: CandidateKind::PeerReflexive,
                related: None,
                ufrag: None,
                generation: None,
                network_cost: None,
                extensions: Vec::new(),
            },
            address: Some(source),
        });
        Some(id)
    }

    /// Forgets a peer-reflexive candidate whose pairs have all failed; returns whether there was
    /// one.
    fn forget_reflexive(&mut self, context: &mut Context) -> bool {
        let is_useless = |remote: &&Remote| {
            let mut pairs = self.pairs.iter().filter(|pair| pair.remote == remote.id);
            !remote.is_signaled() && pairs.all(|pair| !pair.is_alive())
        };
        let Some(id) = self.remotes.iter().find(is_useless).map(|remote| remote.id) else {
            return false;
        };
        self.remotes.retain(|remote| remote.id != id);
        self.remove_pairs(context, |pair| pair.remote == id);
        true
    }

    /// Takes back a candidate that was signaled, with its pairs.
    pub(super) fn remove_remote(&mut self, context: &mut Context, candidate: &Candidate) {
        let is_gone = |remote: &Remote| {
            remote.candidate.address == candidate.address
                && remote.candidate.transport == candidate.transport
        };
        let gone: Vec<RemoteId> = self
            .remotes
            .iter()
            .filter(|remote| is_gone(remote))
            .map(|remote| remote.id)
            .collect();
        self.remotes.retain(|remote| !gone.contains(&remote.id));
        self.remove_pairs(context, |pair| gone.contains(&pair.remote));
    }

    pub(super) fn remote(&self, id: RemoteId) -> Option<&Remote> {
        self.remotes.iter().find(|remote| remote.id == id)
    }

    fn remote_at(&self, address: SocketAddr, transport: CandidateTransport) -> Option<RemoteId> {
        let found = self.remotes.iter().find(|remote| {
            remote.address == Some(address) && remote.candidate.transport == transport
        });
        found.map(|remote| remote.id)
    }

    fn next_remote(&mut self) -> RemoteId {
        self.remotes_made += 1;
        RemoteId(self.remotes_made)
    }
}
