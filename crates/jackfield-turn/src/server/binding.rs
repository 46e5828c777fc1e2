//! Binding requests, and behaviour discovery ([RFC 5780]) where it is configured.
//!
//! [RFC 5780]: https://www.rfc-editor.org/rfc/rfc5780

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::Message;
use jackfield_stun::behaviour::answer::{Action, answer, asks_for_more};
use jackfield_stun::behaviour::helper::Question;
use jackfield_stun::binding::{self, ClassicRequest};

use super::{Server, answer::may_be_forged, plain};
use crate::DropReason;

impl Server {
    /// Answers a Binding request.
    pub(super) fn binding(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        if may_be_forged(path) && !self.bindings.allows(now, path.remote.ip()) {
            return Err(DropReason::BindingRate);
        }
        // Over a stream nothing can come from elsewhere.
        if path.transport == Transport::Udp && !self.config.discovery.addresses.is_empty() {
            return self.discovery(now, path, message);
        }
        let mut bytes = Vec::with_capacity(64);
        binding::answer(message, plain(path.remote), &mut bytes)
            .map_err(|_| DropReason::ResponseTooLong)?;
        self.counters.bindings += 1;
        self.transmit(path, bytes);
        Ok(())
    }

    /// Answers a Binding request of RFC 3489. Only over UDP: those clients know no other transport.
    pub(super) fn classic_binding(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &[u8],
    ) -> Result<(), DropReason> {
        let request = ClassicRequest::parse(bytes).filter(|_| path.transport == Transport::Udp);
        let request = request.ok_or(DropReason::Malformed)?;
        if !self.bindings.allows(now, path.remote.ip()) {
            return Err(DropReason::BindingRate);
        }
        let mut bytes = Vec::with_capacity(64);
        request.answer(plain(path.remote), &mut bytes);
        self.counters.bindings += 1;
        self.transmit(path, bytes);
        Ok(())
    }

    /// Answers a Binding request from, and to, where it asks for.
    fn discovery(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let more = asks_for_more(message);
        // These answers come from or go to what the sender chose: they have a rate of their own.
        if more {
            self.limit_discoveries(now, path.remote)?;
        }
        let (at, remote) = (plain(path.local), plain(path.remote));
        let mut bytes = Vec::with_capacity(128);
        let addresses = &self.config.discovery.addresses;
        let action = answer(message, at, remote, addresses, &mut bytes)
            .map_err(|_| DropReason::ResponseTooLong)?;
        let path = match action {
            Action::Respond { from, to } if (from, to) == (at, remote) => path,
            Action::Respond { from, to } => udp(from, to),
            Action::AskHelper {
                from,
                helper,
                question,
            } => {
                let key = self.config.discovery.keys.first();
                let key = key.ok_or(DropReason::HelperDenied)?;
                question
                    .write(key, self.epoch.unix(now), &mut bytes)
                    .map_err(|_| DropReason::ResponseTooLong)?;
                udp(from, helper)
            }
        };
        self.counters.bindings += 1;
        self.counters.discoveries += u64::from(more);
        self.transmit(path, bytes);
        Ok(())
    }

    /// Takes a Binding indication: a keepalive that wants nothing, or another server's question for
    /// our help.
    pub(super) fn binding_indication(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let discovery = &self.config.discovery;
        if !discovery.help || !message.has_sha256() || path.transport != Transport::Udp {
            return Ok(());
        }
        let question = Question::read(message, &discovery.keys, self.epoch.unix(now))
            .map_err(|_| DropReason::HelperDenied)?;
        let client = question.client();
        // The answer has to leave from the socket that was asked, which has one family.
        if client.is_ipv4() != plain(path.local).is_ipv4() {
            return Err(DropReason::HelperDenied);
        }
        self.limit_discoveries(now, client)?;
        let from = plain(path.local);
        let mut bytes = Vec::with_capacity(128);
        question
            .answer(from, &mut bytes)
            .map_err(|_| DropReason::ResponseTooLong)?;
        self.counters.helped += 1;
        self.transmit(udp(path.local, client), bytes);
        Ok(())
    }

    fn limit_discoveries(&mut self, now: Instant, client: SocketAddr) -> Result<(), DropReason> {
        if self.discoveries.allows(now, client.ip()) {
            Ok(())
        } else {
            Err(DropReason::DiscoveryRate)
        }
    }
}

fn udp(local: SocketAddr, remote: SocketAddr) -> FiveTuple {
    FiveTuple {
        transport: Transport::Udp,
        local,
        remote,
    }
}
