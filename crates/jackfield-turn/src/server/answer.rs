//! Answers to requests: success, refusal, and the challenge to strangers.

use std::time::Instant;

use jackfield_sansio::{FiveTuple, Transmit, Transport};
use jackfield_stun::attribute::{AttributeType, ErrorCodeAttribute, Software, UnknownAttributes};
use jackfield_stun::{Class, ErrorCode, Message, MessageWriter, Method, TransactionId};

use super::{Server, plain};
use crate::authenticator::Authenticated;
use crate::{DropReason, Output};

/// What an answer needs to know of its request, which may be gone by then.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: FiveTuple,
    pub(super) method: Method,
    pub(super) transaction: TransactionId,
    /// An answer has a FINGERPRINT if the request had.
    has_fingerprint: bool,
    /// Signs the answer; nobody, for a stranger's.
    user: Option<Authenticated>,
}

impl Asked {
    pub(super) fn new(path: FiveTuple, request: &Message<'_>) -> Self {
        Self {
            path,
            method: request.method(),
            transaction: request.transaction(),
            has_fingerprint: request.has_fingerprint(),
            user: None,
        }
    }

    pub(super) fn by(self, user: Authenticated) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    pub(super) fn user(&self) -> Option<&Authenticated> {
        self.user.as_ref()
    }

    pub(super) fn username(&self) -> &str {
        self.user.as_ref().map_or("", |user| &user.username)
    }
}

impl Server {
    /// Answers with success and what `fill` writes.
    pub(super) fn succeed(
        &mut self,
        asked: &Asked,
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Result<(), DropReason> {
        self.answer(asked, Class::Success, fill)?;
        self.stats.successes += 1;
        Ok(())
    }

    /// Answers with an error code.
    pub(super) fn refuse(&mut self, asked: &Asked, code: ErrorCode) -> Result<(), DropReason> {
        self.answer(asked, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute::from(code));
        })?;
        self.count_refusal(asked, code);
        Ok(())
    }

    /// Answers with 420 and the attributes that are not understood.
    pub(super) fn refuse_unknown(
        &mut self,
        asked: &Asked,
        unknown: Vec<AttributeType>,
    ) -> Result<(), DropReason> {
        self.answer(asked, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute::from(ErrorCode::UNKNOWN_ATTRIBUTE));
            writer.attribute(&UnknownAttributes::new(unknown));
        })?;
        self.count_refusal(asked, ErrorCode::UNKNOWN_ATTRIBUTE);
        Ok(())
    }

    /// Answers a stranger with an error and nothing else.
    pub(super) fn refuse_stranger(
        &mut self,
        now: Instant,
        asked: &Asked,
        code: ErrorCode,
    ) -> Result<(), DropReason> {
        self.limit_strangers(now, asked)?;
        self.answer(asked, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute::without_reason(code));
        })?;
        self.count_refusal(asked, code);
        Ok(())
    }

    /// Answers a stranger with an error and what it takes to authenticate.
    pub(super) fn challenge(
        &mut self,
        now: Instant,
        asked: &Asked,
        code: ErrorCode,
    ) -> Result<(), DropReason> {
        self.limit_strangers(now, asked)?;
        let mut bytes = Vec::with_capacity(160);
        let mut writer =
            MessageWriter::new(&mut bytes, Class::Error, asked.method, asked.transaction);
        writer.attribute(&ErrorCodeAttribute::without_reason(code));
        let client = plain(asked.path.remote).ip();
        self.authenticator
            .challenge(&mut writer, client, self.epoch.unix(now));
        if asked.has_fingerprint {
            writer.fingerprint();
        }
        writer.finish().map_err(|_| DropReason::ResponseTooLong)?;
        self.transmit(asked.path, bytes);
        self.count_refusal(asked, code);
        Ok(())
    }

    /// Sends bytes to a client.
    pub(super) fn transmit(&mut self, path: FiveTuple, bytes: Vec<u8>) {
        self.outputs
            .push_back(Output::Transmit(Transmit { path, bytes }));
    }

    fn answer(
        &mut self,
        asked: &Asked,
        class: Class,
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Result<(), DropReason> {
        let mut bytes = Vec::with_capacity(160);
        let mut writer = MessageWriter::new(&mut bytes, class, asked.method, asked.transaction);
        fill(&mut writer);
        if let Some(user) = &asked.user {
            if let Some(software) = &self.config.software {
                writer.attribute(&Software(software));
            }
            if user.sha256 {
                writer.integrity_sha256(&user.key);
            } else {
                writer.integrity_sha1(&user.key);
            }
        }
        if asked.has_fingerprint {
            writer.fingerprint();
        }
        writer.finish().map_err(|_| DropReason::ResponseTooLong)?;
        self.transmit(asked.path, bytes);
        Ok(())
    }

    fn limit_strangers(&mut self, now: Instant, asked: &Asked) -> Result<(), DropReason> {
        let time = self.own_time(now);
        if may_be_forged(asked.path) && !self.strangers.allows(time, asked.path.remote.ip()) {
            return Err(DropReason::StrangerRate);
        }
        Ok(())
    }

    fn count_refusal(&mut self, asked: &Asked, code: ErrorCode) {
        tracing::debug!(path = %asked.path, %code, "Refused request");
        self.stats.count_error(code);
    }
}

/// Returns whether the remote address could be someone else's: only datagrams come without a handshake.
pub(super) fn may_be_forged(path: FiveTuple) -> bool {
    path.transport == Transport::Udp
}
