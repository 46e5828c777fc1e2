//! Answers to requests: success, refusal, and the challenge to unauthenticated clients.

use std::time::Instant;

use jackfield_sansio::{ClientNetwork, FiveTuple, Transmit, Transport};
use jackfield_stun::attribute::{AttributeType, ErrorCodeAttribute, Software, UnknownAttributes};
use jackfield_stun::{Class, ErrorCode, Message, MessageWriter, Method, TransactionId};

use super::{Server, plain};
use crate::authenticator::Authenticated;
use crate::{DropReason, Limit, Output};

/// What an answer needs to know of its request, which may be gone by then.
#[derive(Debug, Clone)]
pub(super) struct ResponseContext {
    pub(super) path: FiveTuple,
    pub(super) method: Method,
    pub(super) transaction: TransactionId,
    /// An answer has a FINGERPRINT if the request had.
    has_fingerprint: bool,
    /// The user whose key signs the answer; `None` for an unauthenticated request.
    user: Option<Authenticated>,
}

impl ResponseContext {
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

    /// Returns whether the user showed a time-limited credential.
    pub(super) fn is_minted(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.is_minted)
    }

    /// Returns the network that the client is counted by.
    pub(super) fn network(&self) -> ClientNetwork {
        ClientNetwork::of(self.path.remote.ip())
    }
}

impl Server {
    /// Answers with success and what `fill` writes.
    pub(super) fn succeed(
        &mut self,
        context: &ResponseContext,
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Result<(), DropReason> {
        self.answer(context, Class::Success, fill)?;
        self.counters.successes += 1;
        Ok(())
    }

    /// Answers with an error code.
    pub(super) fn refuse(
        &mut self,
        context: &ResponseContext,
        code: ErrorCode,
    ) -> Result<(), DropReason> {
        self.answer(context, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute::from(code));
        })?;
        self.count_refusal(context, code);
        Ok(())
    }

    /// Answers a request over a limit with the code that stands for it.
    pub(super) fn refuse_over(
        &mut self,
        context: &ResponseContext,
        limit: Limit,
    ) -> Result<(), DropReason> {
        self.counters.count_over_limit(limit);
        self.refuse(context, limit.code())
    }

    /// Answers with 420 and the attributes that are not understood.
    pub(super) fn refuse_unknown(
        &mut self,
        context: &ResponseContext,
        unknown: Vec<AttributeType>,
    ) -> Result<(), DropReason> {
        self.answer(context, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute::from(ErrorCode::UNKNOWN_ATTRIBUTE));
            writer.attribute(&UnknownAttributes::new(unknown));
        })?;
        self.count_refusal(context, ErrorCode::UNKNOWN_ATTRIBUTE);
        Ok(())
    }

    /// Answers an unauthenticated request with an error and nothing else.
    pub(super) fn refuse_unauthenticated(
        &mut self,
        now: Instant,
        context: &ResponseContext,
        code: ErrorCode,
    ) -> Result<(), DropReason> {
        self.limit_unauthenticated(now, context)?;
        // The address may be forged, so the answer stays small and has no words.
        self.answer(context, Class::Error, |writer| {
            writer.attribute(&ErrorCodeAttribute::without_reason(code));
        })?;
        self.count_refusal(context, code);
        Ok(())
    }

    /// Answers an unauthenticated request with an error and what it takes to authenticate.
    pub(super) fn challenge(
        &mut self,
        now: Instant,
        context: &ResponseContext,
        code: ErrorCode,
    ) -> Result<(), DropReason> {
        self.limit_unauthenticated(now, context)?;
        let mut bytes = Vec::with_capacity(160);
        let mut writer = MessageWriter::new(
            &mut bytes,
            Class::Error,
            context.method,
            context.transaction,
        );
        writer.attribute(&ErrorCodeAttribute::without_reason(code));
        let client = plain(context.path.remote);
        self.authenticator
            .challenge(&mut writer, client, self.epoch.unix(now));
        if context.has_fingerprint {
            writer.fingerprint();
        }
        writer.finish().map_err(|_| DropReason::ResponseTooLong)?;
        self.transmit(context.path, bytes);
        self.count_refusal(context, code);
        Ok(())
    }

    /// Sends bytes to a client.
    pub(super) fn transmit(&mut self, path: FiveTuple, bytes: Vec<u8>) {
        self.outputs
            .push_back(Output::Transmit(Transmit { path, bytes }));
    }

    fn answer(
        &mut self,
        context: &ResponseContext,
        class: Class,
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Result<(), DropReason> {
        let mut bytes = Vec::with_capacity(160);
        let mut writer = MessageWriter::new(&mut bytes, class, context.method, context.transaction);
        fill(&mut writer);
        if let Some(user) = &context.user {
            // Strangers do not learn which version has which holes.
            if let Some(software) = &self.config.software {
                writer.attribute(&Software(software));
            }
            //= https://www.rfc-editor.org/rfc/rfc8489#section-9.2.4
            //# Any response generated by the server MUST include the MESSAGE-
            //# INTEGRITY-SHA256 attribute, computed using the username and password
            //# utilized to authenticate the request, unless the request was
            //# processed as though PASSWORD-ALGORITHM was MD5
            if user.sha256 {
                writer.integrity_sha256(&user.key);
            } else {
                writer.integrity_sha1(&user.key);
            }
        }
        if context.has_fingerprint {
            writer.fingerprint();
        }
        writer.finish().map_err(|_| DropReason::ResponseTooLong)?;
        self.transmit(context.path, bytes);
        Ok(())
    }

    fn limit_unauthenticated(
        &mut self,
        now: Instant,
        context: &ResponseContext,
    ) -> Result<(), DropReason> {
        if may_be_forged(context.path)
            && !self.unauthenticated.allows(now, context.path.remote.ip())
        {
            return Err(DropReason::UnauthenticatedRate);
        }
        Ok(())
    }

    fn count_refusal(&mut self, context: &ResponseContext, code: ErrorCode) {
        tracing::debug!(path = %context.path, %code, "Refused request");
        self.counters.count_error(code);
    }
}

/// Returns whether the remote address could be someone else's: only datagrams come without a
/// handshake.
pub(super) fn may_be_forged(path: FiveTuple) -> bool {
    path.transport == Transport::Udp
}
