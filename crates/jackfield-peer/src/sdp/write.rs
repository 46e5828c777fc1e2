//! Writing descriptions.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jackfield_ice::sdp::Attribute;

use super::{DataForm, DataSection, RefusedSection, Section, SessionDescription, Setup};

impl fmt::Display for SessionDescription {
    /// Writes the description as [RFC 8829 §5.2.1] has it, with CR LF at the end of each line.
    ///
    /// [RFC 8829 §5.2.1]: https://www.rfc-editor.org/rfc/rfc8829#section-5.2.1
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, version) = (self.session_id, self.session_version);
        write!(
            f,
            "v=0\r\no=- {id} {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
        )?;
        if let Some(data) = self.data() {
            if let Some(mid) = &data.mid {
                write!(f, "a=group:BUNDLE {mid}\r\n")?;
            }
            for attribute in data.ice.parameters.attributes().filter(of_session) {
                write!(f, "{attribute}\r\n")?;
            }
        }
        for section in &self.sections {
            match section {
                Section::Data(data) => data.write(f)?,
                Section::Refused(refused) => refused.write(f)?,
            }
        }
        Ok(())
    }
}

impl DataSection {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Port 9 and no address: the candidates tell them.
        match self.form {
            DataForm::Udp => f.write_str("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"),
            DataForm::Tcp => f.write_str("m=application 9 TCP/DTLS/SCTP webrtc-datachannel\r\n"),
            DataForm::Draft => write!(f, "m=application 9 DTLS/SCTP {}\r\n", self.sctp_port),
        }?;
        f.write_str("c=IN IP4 0.0.0.0\r\n")?;
        for attribute in self
            .ice
            .parameters
            .attributes()
            .filter(|one| !of_session(one))
        {
            write!(f, "{attribute}\r\n")?;
        }
        for candidate in &self.ice.candidates {
            write!(f, "a={candidate}\r\n")?;
        }
        if self.ice.end_of_candidates {
            write!(f, "{}\r\n", Attribute::EndOfCandidates)?;
        }
        for fingerprint in &self.fingerprints {
            write!(f, "a=fingerprint:{fingerprint}\r\n")?;
        }
        write!(f, "a=setup:{}\r\n", self.setup)?;
        if let Some(mid) = &self.mid {
            write!(f, "a=mid:{mid}\r\n")?;
        }
        match self.form {
            DataForm::Udp | DataForm::Tcp => write!(f, "a=sctp-port:{}\r\n", self.sctp_port),
            DataForm::Draft => {
                write!(
                    f,
                    "a=sctpmap:{} webrtc-datachannel 65535\r\n",
                    self.sctp_port
                )
            }
        }?;
        write!(f, "a=max-message-size:{}\r\n", self.max_message_size)?;
        if let Some(chunk) = &self.init_chunk {
            write!(f, "a=sctp-init:{}\r\n", STANDARD.encode(chunk))?;
        }
        Ok(())
    }
}

impl RefusedSection {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "m={} 0 {}\r\nc=IN IP4 0.0.0.0\r\n",
            self.media, self.protocol
        )?;
        if let Some(mid) = &self.mid {
            write!(f, "a=mid:{mid}\r\n")?;
        }
        f.write_str("a=inactive\r\n")
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
        })
    }
}

/// Returns whether a line stands above all sections ([RFC 8839 §5.3]).
///
/// [RFC 8839 §5.3]: https://www.rfc-editor.org/rfc/rfc8839#section-5.3
fn of_session(attribute: &Attribute) -> bool {
    matches!(attribute, Attribute::Lite | Attribute::Pacing(_))
}
