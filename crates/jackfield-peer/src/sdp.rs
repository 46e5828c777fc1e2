//! The part of SDP that data channels need ([RFC 8829], [RFC 8841], [RFC 8839], [RFC 8842]).
//!
//! A [`SessionDescription`] is an offer or an answer with its sections: at most one of them is for
//! data channels, the others are for audio and video and are refused in an answer. It reads what
//! browsers and the common libraries write, also the form of `m=application` before RFC 8841.
//!
//! ```
//! use jackfield_peer::sdp::{SessionDescription, Setup};
//!
//! let offer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
//!     m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n\
//!     a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=setup:actpass\r\n\
//!     a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:\
//!     00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=sctp-port:5000\r\n";
//! let offer: SessionDescription = offer.parse().unwrap();
//! let data = offer.data().unwrap();
//! assert_eq!(data.setup, Setup::ActPass);
//! assert_eq!(data.max_message_size, 65_536); // what RFC 8841 gives to a peer that says nothing
//! ```
//!
//! [RFC 8829]: https://www.rfc-editor.org/rfc/rfc8829
//! [RFC 8839]: https://www.rfc-editor.org/rfc/rfc8839
//! [RFC 8841]: https://www.rfc-editor.org/rfc/rfc8841
//! [RFC 8842]: https://www.rfc-editor.org/rfc/rfc8842

mod error;
mod read;
mod write;

pub use error::SdpError;

use jackfield_ice::sdp::Description;

use crate::{DtlsRole, Fingerprint, RemoteParameters};

/// An offer or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDescription {
    /// The number that stays the same for a session: the second field of `o=`.
    pub session_id: u64,
    /// The number that grows with each description: the third field of `o=`.
    pub session_version: u64,
    /// The `m=` sections in their order, which an answer keeps.
    pub sections: Vec<Section>,
}

/// An `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Section {
    /// Data channels.
    Data(Box<DataSection>),
    /// Anything else, or data channels that were refused: port 0.
    Refused(RefusedSection),
}

/// The section for data channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSection {
    /// Its name in the BUNDLE group; without one there is no group.
    pub mid: Option<String>,
    /// How its first line is written.
    pub form: DataForm,
    /// Who begins with DTLS.
    pub setup: Setup,
    /// The certificate has one of these; at least one.
    pub fingerprints: Vec<Fingerprint>,
    /// The SCTP port.
    pub sctp_port: u16,
    /// The longest message that the side accepts, in bytes; 0 is any.
    pub max_message_size: u64,
    /// The side's INIT chunk, `a=sctp-init`.
    pub init_chunk: Option<Vec<u8>>,
    /// What ICE needs.
    pub ice: Description,
}

/// How the first line of a data section is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DataForm {
    /// `UDP/DTLS/SCTP webrtc-datachannel` ([RFC 8841 §4]).
    ///
    /// [RFC 8841 §4]: https://www.rfc-editor.org/rfc/rfc8841#section-4
    #[default]
    Udp,
    /// `TCP/DTLS/SCTP webrtc-datachannel`: the default candidate is one of TCP.
    Tcp,
    /// `DTLS/SCTP 5000` with `a=sctpmap`, as drafts before RFC 8841 had it.
    Draft,
}

/// A section that an answer refuses, or a description that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSection {
    /// Its name, if it has one.
    pub mid: Option<String>,
    /// `audio`, `video`, `application`, ...
    pub media: String,
    /// The protocol and formats of the first line.
    pub protocol: String,
}

/// Who begins with DTLS: `a=setup` ([RFC 8842 §5.1]).
///
/// [RFC 8842 §5.1]: https://www.rfc-editor.org/rfc/rfc8842#section-5.1
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The side that writes it.
    Active,
    /// The other side.
    Passive,
    /// Whichever the answer says; for offers alone.
    ActPass,
}

impl SessionDescription {
    /// Returns the section for data channels, if there is one that was not refused.
    #[must_use]
    pub fn data(&self) -> Option<&DataSection> {
        self.sections.iter().find_map(|section| match section {
            Section::Data(data) => Some(&**data),
            Section::Refused(_) => None,
        })
    }

    /// Returns the answer to this offer, with `data` in place of its data section; all other
    /// sections are refused ([RFC 8829 §5.3.1]).
    ///
    /// # Errors
    ///
    /// [`SdpError::NoData`] if the offer has none.
    ///
    /// [RFC 8829 §5.3.1]: https://www.rfc-editor.org/rfc/rfc8829#section-5.3.1
    pub fn answer(
        &self,
        session_id: u64,
        session_version: u64,
        mut data: DataSection,
    ) -> Result<Self, SdpError> {
        let offered = self.data().ok_or(SdpError::NoData)?;
        data.mid.clone_from(&offered.mid);
        data.form = offered.form;
        let sections = self
            .sections
            .iter()
            .map(|section| match section {
                Section::Data(_) => Section::Data(Box::new(data.clone())),
                Section::Refused(refused) => Section::Refused(refused.clone()),
            })
            .collect();
        Ok(Self {
            session_id,
            session_version,
            sections,
        })
    }
}

impl DataSection {
    /// Returns what the association needs to know of the side that wrote the section.
    #[must_use]
    pub fn remote_parameters(&self) -> RemoteParameters {
        RemoteParameters {
            fingerprints: self.fingerprints.clone(),
            sctp_port: self.sctp_port,
            max_message_size: self.max_message_size,
            init_chunk: self.init_chunk.clone(),
        }
    }
}

impl Setup {
    /// Returns what an answer says to an offer, given the role that a connection has already
    /// ([RFC 8829 §5.3.2]).
    ///
    /// [RFC 8829 §5.3.2]: https://www.rfc-editor.org/rfc/rfc8829#section-5.3.2
    #[must_use]
    pub fn answer(self, current: Option<DtlsRole>) -> Self {
        match (self, current) {
            (Self::Passive, _) | (Self::ActPass, None | Some(DtlsRole::Client)) => Self::Active,
            (Self::Active, _) | (Self::ActPass, Some(DtlsRole::Server)) => Self::Passive,
        }
    }

    /// Returns the role of the side that wrote this in an answer, or none for `actpass`.
    #[must_use]
    pub fn role(self) -> Option<DtlsRole> {
        match self {
            Self::Active => Some(DtlsRole::Client),
            Self::Passive => Some(DtlsRole::Server),
            Self::ActPass => None,
        }
    }
}

impl DtlsRole {
    /// Returns the other side's role.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What RFC 8841 §6.1 gives to a peer that does not say how long its messages may be.
const DEFAULT_MAX_MESSAGE_SIZE: u64 = 65_536;

#[cfg(test)]
mod tests;
