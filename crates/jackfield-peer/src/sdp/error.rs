//! Why a description cannot be used.

use jackfield_ice::sdp::DescriptionError;

use crate::FingerprintError;

/// Why a description cannot be used. The peer that it was given to goes on as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// The text does not begin with `v=0`.
    #[error("the description does not begin with v=0")]
    NoSdp,
    /// The text is longer than any description.
    #[error("the description is longer than {0} bytes")]
    TooLong(usize),
    /// There are more sections than any page has.
    #[error("the description has more than {0} m= sections")]
    TooManySections(usize),
    /// `o=` is missing or has no numbers.
    #[error("line o= has no session number and version")]
    Origin,
    /// An `m=` line has fewer than four fields, or a port that is no number.
    #[error("line m= of section {0} is not \"m=media port protocol formats\"")]
    MediaLine(usize),
    /// A `mid` has characters that SDP does not allow, or stands twice.
    #[error("the mid of section {0} is no token, or another section has it")]
    Mid(usize),
    /// There is no section for data channels.
    #[error("the description has no m=application section for data channels")]
    NoData,
    /// There are two sections for data channels.
    #[error("the description has two m=application sections for data channels")]
    TwoDataSections,
    /// The answer refuses data channels.
    #[error("the other side refused data channels: the port of m=application is 0")]
    Refused,
    /// The answer's sections are not those of the offer.
    #[error("the answer has {answered} m= sections and the offer {offered}, or in another order")]
    OtherSections {
        /// How many the offer has.
        offered: usize,
        /// How many the answer has.
        answered: usize,
    },
    /// ICE's lines are missing or wrong.
    #[error(transparent)]
    Ice(#[from] DescriptionError),
    /// ICE refuses the other side's parameters.
    #[error(transparent)]
    Parameters(#[from] jackfield_ice::ParametersError),
    /// There is no fingerprint.
    #[error("the description has no a=fingerprint")]
    NoFingerprint,
    /// No fingerprint can be used; this is what is wrong with the last.
    #[error("a=fingerprint cannot be used: {0}")]
    Fingerprint(#[from] FingerprintError),
    /// The value of `a=setup` is unknown, or not one for an answer.
    #[error("a=setup is not active, passive or (in an offer) actpass")]
    Setup,
    /// Both sides want the same role of DTLS.
    #[error("a=setup gives both sides the same role of DTLS")]
    SameRole,
    /// The role or the certificate of a connection that is up cannot change.
    #[error("the DTLS connection is up, and its role or certificate cannot change")]
    ConnectionChanged,
    /// `a=sctp-port` or `a=sctpmap` is no port from 1 to 65,535.
    #[error("the SCTP port is not a number from 1 to 65535")]
    SctpPort,
    /// `a=max-message-size` is no number.
    #[error("a=max-message-size is not a number")]
    MaxMessageSize,
    /// `a=sctp-init` is no base64.
    #[error("a=sctp-init is not base64, or longer than an INIT chunk")]
    InitChunk,
    /// The description does not fit the state of the negotiation.
    #[error("there is no offer of ours that this could answer")]
    NoOffer,
    /// Our own offer is out, and we are not the polite side.
    #[error("an offer of ours waits for its answer")]
    OfferPending,
    /// The peer is closed.
    #[error("the peer is closed")]
    Closed,
}
