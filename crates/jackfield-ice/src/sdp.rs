//! The lines of SDP that belong to ICE ([RFC 8839 §5], [RFC 8838]).
//!
//! [RFC 8838]: https://www.rfc-editor.org/rfc/rfc8838
//! [RFC 8839 §5]: https://www.rfc-editor.org/rfc/rfc8839#section-5

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Candidate, CandidateError, Credentials, CredentialsError, IceOptions, IceParameters};

/// One line of SDP that belongs to ICE.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// `ice-ufrag`, not yet validated: [`Credentials::new`] does that with the password.
    Ufrag(Box<str>),
    /// `ice-pwd`, not yet validated.
    Password(Box<str>),
    /// `ice-options`.
    Options(IceOptions),
    /// `ice-lite`.
    Lite,
    /// `ice-pacing`: how far apart checks are to be, in whole milliseconds.
    Pacing(Duration),
    /// `ice-mismatch`: the other side cannot do ICE on what we sent.
    Mismatch,
    /// `candidate`.
    Candidate(Candidate),
    /// `end-of-candidates`.
    EndOfCandidates,
}

/// Why a line does not belong to ICE, or is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeError {
    /// The line is another one.
    #[error("the line does not belong to ICE")]
    Unknown,
    /// `ice-pacing` has no number.
    #[error("ice-pacing has no number of milliseconds")]
    Pacing,
    /// There are more options than are kept, or one is too long or not visible ASCII.
    #[error("there are more than {MAX_OPTIONS} options, or one is too long or not visible ASCII")]
    Options,
    /// The candidate is not a good one.
    #[error(transparent)]
    Candidate(#[from] CandidateError),
}

/// Reads a line, with or without `a=`.
///
/// ```
/// use jackfield_ice::sdp::Attribute;
///
/// let Ok(Attribute::Options(options)) = "a=ice-options:trickle ice2".parse() else { panic!() };
/// assert!(options.trickle && options.ice2 && !options.renomination);
/// ```
impl FromStr for Attribute {
    type Err = AttributeError;

    fn from_str(line: &str) -> Result<Self, AttributeError> {
        let line = line.trim_end();
        let line = line.strip_prefix("a=").unwrap_or(line);
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name {
            "ice-ufrag" => Ok(Self::Ufrag(value.into())),
            "ice-pwd" => Ok(Self::Password(value.into())),
            "ice-options" => read_options(value).map(Self::Options),
            "ice-lite" => Ok(Self::Lite),
            "ice-pacing" => {
                let millis: u32 = value.parse().map_err(|_| AttributeError::Pacing)?;
                Ok(Self::Pacing(Duration::from_millis(millis.into())))
            }
            "ice-mismatch" => Ok(Self::Mismatch),
            "candidate" => Ok(Self::Candidate(line.parse()?)),
            "end-of-candidates" => Ok(Self::EndOfCandidates),
            _ => Err(AttributeError::Unknown),
        }
    }
}

/// Writes the line, with `a=` and without an end of line.
impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ufrag(ufrag) => write!(f, "a=ice-ufrag:{ufrag}"),
            Self::Password(password) => write!(f, "a=ice-pwd:{password}"),
            Self::Options(options) => write!(f, "a=ice-options:{options}"),
            Self::Lite => f.write_str("a=ice-lite"),
            Self::Pacing(pacing) => write!(f, "a=ice-pacing:{}", pacing.as_millis()),
            Self::Mismatch => f.write_str("a=ice-mismatch"),
            Self::Candidate(candidate) => write!(f, "a={candidate}"),
            Self::EndOfCandidates => f.write_str("a=end-of-candidates"),
        }
    }
}

/// Writes the value of `ice-options`.
impl fmt::Display for IceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [
            (self.trickle, TRICKLE),
            (self.ice2, ICE2),
            (self.renomination, RENOMINATION),
        ];
        let known = known.iter().filter(|(has, _)| *has).map(|(_, name)| *name);
        let mut space = "";
        for name in known.chain(self.others.iter().map(AsRef::as_ref)) {
            write!(f, "{space}{name}")?;
            space = " ";
        }
        Ok(())
    }
}

fn read_options(value: &str) -> Result<IceOptions, AttributeError> {
    let mut options = IceOptions::default();
    for name in value.split_ascii_whitespace() {
        match name {
            TRICKLE => options.trickle = true,
            ICE2 => options.ice2 = true,
            RENOMINATION => options.renomination = true,
            _ => options.others.push(name.into()),
        }
        // Real options have hyphens and commas, which the grammar does not know.
        let is_option = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic());
        if options.others.len() > MAX_OPTIONS || !is_option {
            return Err(AttributeError::Options);
        }
    }
    Ok(options)
}

/// What one side sent: its parameters and the candidates that it knew then.
///
/// ```
/// use jackfield_ice::sdp::Description;
///
/// let lines = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=ice-options:trickle\r\n\
///              a=candidate:1 1 udp 2130706431 192.0.2.3 45664 typ host\r\na=end-of-candidates\r\n";
/// let description: Description = lines.parse().unwrap();
/// assert_eq!(description.parameters.credentials.ufrag(), "8hhY");
/// assert_eq!(description.candidates.len(), 1);
/// assert_eq!(description.to_string(), lines);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Description {
    /// The parameters.
    pub parameters: IceParameters,
    /// The candidates.
    pub candidates: Vec<Candidate>,
    /// Whether no more candidates come.
    pub end_of_candidates: bool,
}

/// Why lines are not what one side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// There is no username fragment, or no password.
    #[error("there is no ice-ufrag or no ice-pwd")]
    CredentialsMissing,
    /// The username fragment and the password are not good ones.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The other side cannot do ICE on what we sent.
    #[error("the other side says ice-mismatch: something on the way changed addresses")]
    Mismatch,
}

/// Reads the session's lines and then those of one media section, each ended by a line feed.
///
/// A later line takes the place of an earlier one of its name. Lines that do not belong to ICE, and
/// candidates that we cannot use, are left out ([RFC 8839 §5.1]); of the rest at most
/// [`MAX_CANDIDATES`] are kept.
///
/// [RFC 8839 §5.1]: https://www.rfc-editor.org/rfc/rfc8839#section-5.1
impl FromStr for Description {
    type Err = DescriptionError;

    fn from_str(lines: &str) -> Result<Self, DescriptionError> {
        let (mut ufrag, mut password) = (None, None);
        let (mut options, mut pacing) = (IceOptions::default(), None);
        let (mut lite, mut end_of_candidates) = (false, false);
        let mut candidates = Vec::new();
        for line in lines.lines().filter(|line| line.starts_with("a=")) {
            match line.parse() {
                Ok(Attribute::Ufrag(text)) => ufrag = Some(text),
                Ok(Attribute::Password(text)) => password = Some(text),
                Ok(Attribute::Options(read)) => options = read,
                Ok(Attribute::Lite) => lite = true,
                Ok(Attribute::Pacing(read)) => pacing = Some(read),
                Ok(Attribute::Mismatch) => return Err(DescriptionError::Mismatch),
                Ok(Attribute::Candidate(candidate)) => {
                    if candidates.len() < MAX_CANDIDATES {
                        candidates.push(candidate);
                    }
                }
                Ok(Attribute::EndOfCandidates) => end_of_candidates = true,
                Err(error) => tracing::trace!(%error, "Ignored line of SDP"),
            }
        }
        let missing = DescriptionError::CredentialsMissing;
        let (ufrag, password) = ufrag.zip(password).ok_or(missing)?;
        Ok(Self {
            parameters: IceParameters {
                credentials: Credentials::new(&ufrag, &password)?,
                options,
                lite,
                pacing,
            },
            candidates,
            end_of_candidates,
        })
    }
}

/// Writes the lines, each ended by CR LF.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for attribute in self.parameters.attributes() {
            write!(f, "{attribute}\r\n")?;
        }
        for candidate in &self.candidates {
            write!(f, "a={candidate}\r\n")?;
        }
        if self.end_of_candidates {
            write!(f, "{}\r\n", Attribute::EndOfCandidates)?;
        }
        Ok(())
    }
}

impl IceParameters {
    /// Returns the lines that tell them: `ice-lite` and `ice-pacing` belong to the session, the
    /// others may stand in each media section.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute> {
        let has_options = self.options != IceOptions::default();
        [
            self.lite.then_some(Attribute::Lite),
            Some(Attribute::Ufrag(self.credentials.ufrag().into())),
            Some(Attribute::Password(self.credentials.password().into())),
            has_options.then(|| Attribute::Options(self.options.clone())),
            self.pacing.map(Attribute::Pacing),
        ]
        .into_iter()
        .flatten()
    }
}

/// The most candidates that are taken from one description; browsers have ten at most.
pub const MAX_CANDIDATES: usize = 100;

const MAX_OPTIONS: usize = 16;
const TRICKLE: &str = "trickle";
const ICE2: &str = "ice2";
const RENOMINATION: &str = "renomination";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfcs_are_read() {
        for line in [
            "a=ice-lite",
            "a=ice-mismatch",
            "a=ice-pwd:asd88fgpdd777uzjYhagZg",
            "a=ice-ufrag:8hhY",
            "a=ice-pacing:50",
            "a=ice-options:ice2 rtp+ecn",
            "a=end-of-candidates",
        ] {
            assert_eq!(line.parse::<Attribute>().unwrap().to_string(), line);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, error) in [
            ("a=mid:0", AttributeError::Unknown),
            ("", AttributeError::Unknown),
            ("a=ice-pacing:", AttributeError::Pacing),
            ("a=ice-pacing:4294967296", AttributeError::Pacing),
            ("a=ice-options:\u{e4}", AttributeError::Options),
            (
                "a=candidate:1 1 sctp 5 192.0.2.1 7 typ host",
                AttributeError::Candidate(CandidateError::Transport),
            ),
        ] {
            assert_eq!(line.parse::<Attribute>(), Err(error), "{line}");
        }
    }

    #[test]
    fn a_media_section_overrides_the_session() {
        let description: Description = "v=0\r\na=ice-ufrag:session\r\na=ice-lite\r\n\
            a=ice-pwd:ppppppppppppppppppppppp\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
            a=ice-ufrag:media\r\na=candidate:1 1 sctp 5 192.0.2.1 7 typ host\r\n"
            .parse()
            .unwrap();
        assert_eq!(description.parameters.credentials.ufrag(), "media");
        assert!(description.parameters.lite);
        assert_eq!(description.candidates, []);
    }

    #[test]
    fn without_good_credentials_there_is_no_description() {
        use DescriptionError::{Credentials, CredentialsMissing, Mismatch};
        for (lines, error) in [
            ("a=ice-ufrag:8hhY", CredentialsMissing),
            (
                "a=ice-ufrag:8hh\na=ice-pwd:asd88fgpdd777uzjYhagZg",
                Credentials(CredentialsError::UfragLength(3)),
            ),
            (
                "a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZ",
                Credentials(CredentialsError::PasswordLength(21)),
            ),
            (
                "a=ice-ufrag:8hh:\na=ice-pwd:asd88fgpdd777uzjYhagZg",
                Credentials(CredentialsError::Character),
            ),
            ("a=ice-mismatch", Mismatch),
        ] {
            assert_eq!(lines.parse::<Description>(), Err(error), "{lines}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_and_read_again(
            text in "(a=)?(ice-ufrag|ice-pwd|ice-options|ice-pacing|ice-lite|candidate|x):[ -~]{0,40}",
        ) {
            if let Ok(attribute) = text.parse::<Attribute>() {
                prop_assert_eq!(attribute.to_string().parse(), Ok(attribute));
            }
        }

        #[test]
        fn descriptions_are_written_and_read_back(
            ufrag in "[A-Za-z0-9+/]{4,40}",
            password in "[A-Za-z0-9+/]{22,60}",
            flags in any::<[bool; 5]>(),
            others in proptest::collection::vec("[a-z+,-]{1,9}", 0..4),
            pacing in proptest::option::of(any::<u32>()),
        ) {
            let [trickle, ice2, renomination, lite, end_of_candidates] = flags;
            let others: Vec<Box<str>> = others.into_iter().map(Into::into).collect();
            let candidate = "candidate:1 1 udp 5 192.0.2.1 7 typ host".parse().unwrap();
            prop_assume!(!others.iter().any(|name| [TRICKLE, ICE2, RENOMINATION].contains(&name.as_ref())));
            let description = Description {
                parameters: IceParameters {
                    credentials: Credentials::new(&ufrag, &password).unwrap(),
                    options: IceOptions { trickle, ice2, renomination, others },
                    lite,
                    pacing: pacing.map(|millis| Duration::from_millis(millis.into())),
                },
                candidates: vec![candidate],
                end_of_candidates,
            };
            prop_assert_eq!(description.to_string().parse(), Ok(description));
        }

        #[test]
        fn no_text_panics(text in "(a=)?[a-z-]{0,12}:?.*") {
            let _ = text.parse::<Attribute>();
            let _ = text.parse::<Description>();
        }
    }
}
