//! Offers and answers: which of them is out, and what was agreed.

use crate::sdp::{DataSection, SdpError, Section, SessionDescription, Setup};
use crate::{DtlsRole, Fingerprint, RemoteParameters};

/// The state of the negotiation ([RFC 8829 §3.2]). An offer of the other side is answered in the
/// same call, so that there is nothing between `stable` and our own offer.
///
/// [RFC 8829 §3.2]: https://www.rfc-editor.org/rfc/rfc8829#section-3.2
#[derive(Debug)]
pub(super) struct Negotiation {
    polite: bool,
    session_id: u64,
    session_version: u64,
    /// Our offer, which waits for its answer.
    pending: Option<SessionDescription>,
    /// The sections of the last description that was agreed on: later ones keep their order.
    agreed: Option<SessionDescription>,
    remote: Option<(DtlsRole, RemoteParameters)>,
}

impl Negotiation {
    pub(super) fn new(polite: bool, seed: &[u8; 32]) -> Self {
        let id = seed
            .first_chunk::<8>()
            .map_or(1, |bytes| u64::from_be_bytes(*bytes));
        Self {
            polite,
            // RFC 8829 §5.2.1: the highest bit is zero. The lowest keeps it from being 0.
            session_id: id >> 1 | 1,
            session_version: 0,
            pending: None,
            agreed: None,
            remote: None,
        }
    }

    /// Returns whether anything was agreed, so that roles stay as they are.
    pub(super) fn has_begun(&self) -> bool {
        self.remote.is_some()
    }

    /// Returns our role in DTLS, once it was agreed.
    pub(super) fn role(&self) -> Option<DtlsRole> {
        self.remote.as_ref().map(|(role, _)| *role)
    }

    /// Returns what was agreed.
    pub(super) fn remote(&self) -> Option<(DtlsRole, RemoteParameters)> {
        self.remote.clone()
    }

    pub(super) fn offer(&mut self, section: DataSection) -> String {
        self.session_version += 1;
        let (id, version) = (self.session_id, self.session_version);
        let offer = self
            .agreed
            .as_ref()
            .and_then(|agreed| agreed.answer(id, version, section.clone()).ok())
            .unwrap_or_else(|| SessionDescription {
                session_id: id,
                session_version: version,
                sections: vec![Section::Data(Box::new(section))],
            });
        let text = offer.to_string();
        self.pending = Some(offer);
        text
    }

    pub(super) fn rollback(&mut self) {
        self.pending = None;
    }

    /// Returns an error if an offer cannot be answered now, or would change what cannot change.
    pub(super) fn check_offer(&self, data: &DataSection, setup: Setup) -> Result<(), SdpError> {
        if self.pending.is_some() && !self.polite {
            return Err(SdpError::OfferPending);
        }
        self.check_unchanged(setup.role(), &data.fingerprints)
    }

    /// Returns the section of an answer and our role, or why the answer does not fit our offer.
    pub(super) fn check_answer(
        &self,
        answer: &SessionDescription,
    ) -> Result<(DataSection, DtlsRole), SdpError> {
        let offer = self.pending.as_ref().ok_or(SdpError::NoOffer)?;
        let is_data = |description: &SessionDescription| -> Vec<bool> {
            let sections = description.sections.iter();
            sections
                .map(|section| matches!(section, Section::Data(_)))
                .collect()
        };
        let missing = if answer.sections.is_empty() {
            SdpError::NoData
        } else {
            SdpError::Refused
        };
        let data = answer.data().cloned().ok_or(missing)?;
        if is_data(offer) != is_data(answer) {
            return Err(SdpError::OtherSections {
                offered: offer.sections.len(),
                answered: answer.sections.len(),
            });
        }
        let theirs = data.setup.role().ok_or(SdpError::Setup)?;
        let ours = theirs.other();
        self.check_unchanged(Some(ours), &data.fingerprints)?;
        Ok((data, ours))
    }

    /// A connection that is up keeps its role and its certificate: we make no second one.
    fn check_unchanged(
        &self,
        role: Option<DtlsRole>,
        fingerprints: &[Fingerprint],
    ) -> Result<(), SdpError> {
        let Some((agreed, remote)) = &self.remote else {
            return Ok(());
        };
        let is_known = fingerprints
            .iter()
            .any(|one| remote.fingerprints.contains(one));
        if role == Some(*agreed) && is_known {
            Ok(())
        } else {
            Err(SdpError::ConnectionChanged)
        }
    }

    /// Notes that an offer of the other side was answered, and returns the answer's text.
    pub(super) fn answered(
        &mut self,
        mut answer: SessionDescription,
        data: &DataSection,
        role: DtlsRole,
    ) -> String {
        self.session_version += 1;
        answer.session_id = self.session_id;
        answer.session_version = self.session_version;
        let text = answer.to_string();
        self.pending = None;
        self.agreed = Some(answer);
        self.remote
            .get_or_insert_with(|| (role, data.remote_parameters()));
        text
    }

    /// Notes that our offer was answered.
    pub(super) fn accepted(&mut self, data: &DataSection, role: DtlsRole) {
        self.agreed = self.pending.take();
        self.remote
            .get_or_insert_with(|| (role, data.remote_parameters()));
    }
}
