//! Offers, answers and candidates of one peer connection over signaling that may lose any message:
//! what `web/assets/sdk-negotiation.js` does for browsers.
//!
//! Each end has a random mark; the one with the greater mark gives way when two offers cross.
//! Offers are numbered: one without an answer is sent again, one that was answered is answered
//! again, and the answer to an offer that was withdrawn is dropped.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::connection::{Connection, ConnectionError};

/// One end of a negotiation. It returns what to send as message types with their fields.
#[derive(Debug)]
pub(crate) struct Negotiation {
    /// Our mark of the connection.
    pub(crate) mark: String,
    /// The other end's mark, once it has said something that counts.
    pub(crate) remote: Option<String>,
    /// The part that the server gives us, which counts towards an end without marks.
    pub(crate) is_polite_by_server: bool,
    may_offer: bool,
    /// Whether an answer or an offer of the other end was ever applied.
    is_described: bool,
    /// Our offer that waits for its answer.
    pending: Option<String>,
    offer: u64,
    answered: u64,
    /// The answer to the offer `answered`.
    answer: Option<String>,
    early: VecDeque<Value>,
    /// Our candidates of this ICE session, with its username fragment: what is sent again goes with
    /// them, as they may be lost, too.
    candidates: Vec<String>,
    ufrag: String,
    resend_after: Duration,
    resend_at: Option<Instant>,
    /// When the pending offer was last sent to where the other end is.
    sent_at: Option<Instant>,
    restart_wanted: bool,
}

/// Messages to send: the type, and its fields.
pub(crate) type Outbox = Vec<(&'static str, Map<String, Value>)>;

/// What else a message asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Then {
    Nothing,
    /// The message is for a new connection, which does not offer first.
    Replace,
}

impl Negotiation {
    pub(crate) fn new(mark: String, may_offer: bool, is_polite_by_server: bool) -> Self {
        Self {
            mark,
            remote: None,
            is_polite_by_server,
            may_offer,
            is_described: false,
            pending: None,
            offer: 0,
            answered: 0,
            answer: None,
            early: VecDeque::new(),
            candidates: Vec::new(),
            ufrag: String::new(),
            resend_after: RESEND_FIRST,
            resend_at: None,
            sent_at: None,
            restart_wanted: false,
        }
    }

    /// Returns whether we give way when two offers cross.
    pub(crate) fn is_polite(&self) -> bool {
        self.is_polite_towards(self.remote.as_deref())
    }

    /// Returns when [`Negotiation::handle_timeout`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.resend_at
    }

    /// Offers, unless an offer is pending or the other end is to offer first.
    pub(crate) async fn negotiate<C: Connection>(
        &mut self,
        connection: &mut C,
        outbox: &mut Outbox,
    ) -> Result<(), ConnectionError> {
        if self.pending.is_some() || !self.may_offer {
            return Ok(());
        }
        let restart = std::mem::take(&mut self.restart_wanted) && self.is_described;
        self.pending = Some(connection.offer(restart).await?);
        self.offer += 1;
        self.resend_after = RESEND_FIRST;
        self.send_offer(outbox);
        Ok(())
    }

    /// Offers although the other end was to do it first.
    pub(crate) async fn offer_first<C: Connection>(
        &mut self,
        connection: &mut C,
        outbox: &mut Outbox,
    ) -> Result<(), ConnectionError> {
        if self.is_described {
            return Ok(());
        }
        self.may_offer = true;
        self.negotiate(connection, outbox).await
    }

    /// Begins ICE anew, now or with the next offer.
    pub(crate) async fn restart<C: Connection>(
        &mut self,
        connection: &mut C,
        outbox: &mut Outbox,
    ) -> Result<(), ConnectionError> {
        if !self.is_described {
            return Ok(());
        }
        self.restart_wanted = true;
        self.negotiate(connection, outbox).await
    }

    /// Sends a pending offer again; returns whether there is one.
    pub(crate) fn resend(&mut self, outbox: &mut Outbox) -> bool {
        self.resend_after = RESEND_FIRST;
        self.send_offer_again(outbox)
    }

    fn send_offer_again(&mut self, outbox: &mut Outbox) -> bool {
        let is_pending = self.send_offer(outbox);
        if is_pending {
            self.send_candidates_again(outbox);
        }
        is_pending
    }

    fn send_candidates_again(&self, outbox: &mut Outbox) {
        for candidate in &self.candidates {
            self.push_candidate(candidate, &self.ufrag, outbox);
        }
    }

    /// Notes that the pending offer went to a connection that the other end no longer has.
    pub(crate) fn lose_offer(&mut self) {
        self.sent_at = None;
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        if self.resend_at.is_some_and(|at| at <= now) {
            self.resend_at = None;
            self.resend_after = (self.resend_after * 2).min(RESEND_LAST);
            self.send_offer_again(outbox);
        }
    }

    /// Takes a `video-offer`, `video-answer` or `new-ice-candidate`.
    pub(crate) async fn handle<C: Connection>(
        &mut self,
        message: &Value,
        connection: &mut C,
        outbox: &mut Outbox,
    ) -> Result<Then, ConnectionError> {
        let kind = text(message, "type").unwrap_or_default();
        let from = text(message, "from");
        if let Some(to) = text(message, "to")
            && to != self.mark
        {
            // They talk to a connection that we no longer have.
            if kind == "video-offer" {
                let fields = json!({ "anew": true, "from": self.mark, "to": from });
                push(outbox, "hang-up", fields);
            }
            return Ok(Then::Nothing);
        }
        let is_stranger = self.remote.is_some() && from.is_some() && from != self.remote.as_deref();
        match kind {
            "video-offer" if is_stranger => return Ok(Then::Replace),
            "video-offer" => return self.offered(message, connection, outbox).await,
            _ if is_stranger => {}
            "video-answer" => self.was_answered(message, connection, outbox).await?,
            _ => self.candidate(message, connection).await?,
        }
        Ok(Then::Nothing)
    }

    async fn offered<C: Connection>(
        &mut self,
        message: &Value,
        connection: &mut C,
        outbox: &mut Outbox,
    ) -> Result<Then, ConnectionError> {
        let number = message.get("offer").and_then(Value::as_u64);
        if number.is_some_and(|number| number <= self.answered) {
            if number == Some(self.answered)
                && let Some(answer) = self.answer.clone()
            {
                self.send_answer(&answer, number, outbox);
                self.send_candidates_again(outbox);
            }
            return Ok(Then::Nothing);
        }
        let sdp = message
            .pointer("/sdp/sdp")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !self.is_described && has_media(sdp) {
            // Chromium does not take an answer that refuses the section which carries the bundle,
            // the audio of its first offer. Our offer has data alone, and it gives way to us.
            self.may_offer = true;
            if !self.resend(outbox) {
                self.negotiate(connection, outbox).await?;
            }
            return Ok(Then::Nothing);
        }
        if self.pending.is_some() {
            let answered = message.get("answered").and_then(Value::as_u64);
            if answered == Some(self.offer) {
                // They have applied our offer, and only the answer is lost.
                self.resend(outbox);
                return Ok(Then::Nothing);
            }
            if !self.is_polite_towards(text(message, "from")) {
                // An offer that was sent long ago did not cross theirs: it may be lost.
                if self.sent_at.is_none_or(|at| at.elapsed() > CROSSING) {
                    self.resend(outbox);
                }
                return Ok(Then::Nothing);
            }
            if !self.is_described {
                return Ok(Then::Replace);
            }
        }
        let withdrawn = self.pending.is_some();
        let answer = connection.accept(sdp).await?;
        self.met(text(message, "from"));
        self.answered = number.unwrap_or_default();
        self.answer = Some(answer.clone());
        self.flush(connection).await?;
        self.send_answer(&answer, number, outbox);
        if withdrawn {
            self.restart_wanted = false;
        }
        Ok(Then::Nothing)
    }

    async fn was_answered<C: Connection>(
        &mut self,
        message: &Value,
        connection: &mut C,
        outbox: &mut Outbox,
    ) -> Result<(), ConnectionError> {
        let number = message.get("offer").and_then(Value::as_u64);
        if number.is_some_and(|number| number != self.offer) || self.pending.is_none() {
            return Ok(());
        }
        let sdp = message
            .pointer("/sdp/sdp")
            .and_then(Value::as_str)
            .unwrap_or_default();
        connection.complete(sdp).await?;
        self.met(text(message, "from"));
        self.flush(connection).await?;
        if self.restart_wanted {
            self.negotiate(connection, outbox).await
        } else {
            Ok(())
        }
    }

    fn met(&mut self, from: Option<&str>) {
        if let Some(from) = from {
            self.remote = Some(from.to_owned());
        }
        self.pending = None;
        self.may_offer = true;
        self.is_described = true;
        self.resend_at = None;
    }

    async fn candidate<C: Connection>(
        &mut self,
        message: &Value,
        connection: &mut C,
    ) -> Result<(), ConnectionError> {
        if !self.is_described {
            if self.early.len() < MOST_CANDIDATES_WAITING {
                self.early.push_back(message.clone());
            }
            return Ok(());
        }
        let from = text(message, "from");
        if from.is_some() && self.remote.is_some() && from != self.remote.as_deref() {
            return Ok(());
        }
        let Some(candidate) = message
            .pointer("/candidate/candidate")
            .and_then(Value::as_str)
        else {
            return Ok(());
        };
        let ufrag = message
            .pointer("/candidate/usernameFragment")
            .and_then(Value::as_str);
        if let Err(error) = connection.add_candidate(candidate, ufrag).await {
            // One of an offer that was not applied, or of credentials before a restart.
            tracing::debug!(%error, "A candidate is of no use");
        }
        Ok(())
    }

    async fn flush<C: Connection>(&mut self, connection: &mut C) -> Result<(), ConnectionError> {
        for message in std::mem::take(&mut self.early) {
            self.candidate(&message, connection).await?;
        }
        Ok(())
    }

    fn is_polite_towards(&self, mark: Option<&str>) -> bool {
        mark.map_or(self.is_polite_by_server, |mark| self.mark.as_str() > mark)
    }

    fn send_offer(&mut self, outbox: &mut Outbox) -> bool {
        let Some(sdp) = &self.pending else {
            return false;
        };
        let fields = json!({
            "from": self.mark,
            "to": self.remote,
            "sdp": { "type": "offer", "sdp": sdp },
            "offer": self.offer,
            "answered": self.answered,
        });
        push(outbox, "video-offer", fields);
        let now = Instant::now();
        self.sent_at = Some(now);
        self.resend_at = Some(now + self.resend_after);
        true
    }

    fn send_answer(&self, sdp: &str, number: Option<u64>, outbox: &mut Outbox) {
        let mut fields = json!({
            "from": self.mark,
            "to": self.remote,
            "sdp": { "type": "answer", "sdp": sdp },
        });
        if let (Some(number), Some(fields)) = (number, fields.as_object_mut()) {
            fields.insert("offer".to_owned(), number.into());
        }
        push(outbox, "video-answer", fields);
    }

    /// Passes on a candidate of ours.
    pub(crate) fn send_candidate(&mut self, candidate: &str, ufrag: &str, outbox: &mut Outbox) {
        if self.ufrag != ufrag {
            ufrag.clone_into(&mut self.ufrag);
            self.candidates.clear();
        }
        if self.candidates.len() < MOST_CANDIDATES_KEPT {
            self.candidates.push(candidate.to_owned());
        }
        self.push_candidate(candidate, ufrag, outbox);
    }

    fn push_candidate(&self, candidate: &str, ufrag: &str, outbox: &mut Outbox) {
        let fields = json!({
            "from": self.mark,
            "to": self.remote,
            "candidate": {
                "candidate": candidate,
                "sdpMid": "0",
                "sdpMLineIndex": 0,
                "usernameFragment": ufrag,
            },
        });
        push(outbox, "new-ice-candidate", fields);
    }
}

/// Returns whether a description has sections for audio or video, as a page's first offer has.
fn has_media(sdp: &str) -> bool {
    sdp.lines()
        .any(|line| line.starts_with("m=audio") || line.starts_with("m=video"))
}

fn push(outbox: &mut Outbox, kind: &'static str, fields: Value) {
    if let Value::Object(fields) = fields {
        outbox.push((kind, fields));
    }
}

/// Returns a field that is a text.
pub(crate) fn text<'a>(message: &'a Value, field: &str) -> Option<&'a str> {
    message.get(field).and_then(Value::as_str)
}

/// Offers that cross were sent within this time.
const CROSSING: Duration = Duration::from_secs(1);
const RESEND_FIRST: Duration = Duration::from_secs(3);
const RESEND_LAST: Duration = Duration::from_secs(24);
const MOST_CANDIDATES_WAITING: usize = 200;
/// More than an ICE agent has.
const MOST_CANDIDATES_KEPT: usize = 100;
