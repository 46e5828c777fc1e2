//! Reading descriptions.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{
    DEFAULT_MAX_MESSAGE_SIZE, DataForm, DataSection, RefusedSection, SdpError, Section,
    SessionDescription, Setup,
};
use crate::Fingerprint;

impl FromStr for SessionDescription {
    type Err = SdpError;

    /// Reads a description. Lines that data channels have no use for are left out.
    fn from_str(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_LENGTH {
            return Err(SdpError::TooLong(MAX_LENGTH));
        }
        let mut lines = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty());
        if lines.next() != Some("v=0") {
            return Err(SdpError::NoSdp);
        }
        let mut session = Vec::new();
        let mut sections: Vec<Vec<&str>> = Vec::new();
        for line in lines {
            match sections.last_mut() {
                _ if line.starts_with("m=") => sections.push(vec![line]),
                Some(section) => section.push(line),
                None => session.push(line),
            }
        }
        if sections.len() > MAX_SECTIONS {
            return Err(SdpError::TooManySections(MAX_SECTIONS));
        }
        Text { session, sections }.read()
    }
}

/// The lines of a description: those of the session, and those of each section.
struct Text<'a> {
    session: Vec<&'a str>,
    sections: Vec<Vec<&'a str>>,
}

impl Text<'_> {
    fn read(&self) -> Result<SessionDescription, SdpError> {
        let (session_id, session_version) = self.origin().ok_or(SdpError::Origin)?;
        let mut sections = Vec::new();
        for index in 0..self.sections.len() {
            sections.push(self.section(index)?);
        }
        check_mids(&sections)?;
        let data = |section: &&Section| matches!(section, Section::Data(_));
        if sections.iter().filter(data).count() > 1 {
            return Err(SdpError::TwoDataSections);
        }
        Ok(SessionDescription {
            session_id,
            session_version,
            sections,
        })
    }

    /// Returns the numbers of `o=`. JSEP's are below 2^63; drafts had longer ones.
    fn origin(&self) -> Option<(u64, u64)> {
        let origin = self
            .session
            .iter()
            .find_map(|line| line.strip_prefix("o="))?;
        let mut fields = origin.split(' ').skip(1).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    }

    fn section(&self, index: usize) -> Result<Section, SdpError> {
        let lines = self.sections.get(index).map_or(&[][..], Vec::as_slice);
        let first = lines.first().and_then(|line| line.strip_prefix("m="));
        let line = first
            .and_then(MediaLine::read)
            .ok_or(SdpError::MediaLine(index))?;
        let mid = value(lines, "mid").map(str::to_owned);
        let bundle_only = lines.contains(&"a=bundle-only");
        match line.data_form() {
            Some(form) if line.port != 0 || bundle_only => {
                let data = self.data(lines, &line, form, mid)?;
                Ok(Section::Data(Box::new(data)))
            }
            _ => Ok(Section::Refused(RefusedSection {
                mid,
                media: line.media.to_owned(),
                protocol: line.rest.to_owned(),
            })),
        }
    }

    fn data(
        &self,
        own: &[&str],
        line: &MediaLine<'_>,
        form: DataForm,
        mid: Option<String>,
    ) -> Result<DataSection, SdpError> {
        let transport = self.transport(own, mid.as_deref());
        let description: String =
            self.session
                .iter()
                .chain(transport)
                .fold(String::new(), |mut text, line| {
                    text.push_str(line);
                    text.push('\n');
                    text
                });
        let setup = value(transport, "setup").or_else(|| value(&self.session, "setup"));
        Ok(DataSection {
            mid,
            form,
            setup: setup.map_or(Ok(Setup::Active), read_setup)?,
            fingerprints: self.fingerprints(transport)?,
            sctp_port: sctp_port(own, line, form)?,
            max_message_size: match value(own, "max-message-size") {
                Some(size) => size.trim().parse().map_err(|_| SdpError::MaxMessageSize)?,
                None => DEFAULT_MAX_MESSAGE_SIZE,
            },
            init_chunk: value(own, "sctp-init").map(read_init).transpose()?,
            ice: description.parse()?,
        })
    }

    /// Returns the lines that the transport of a section is described by: its own, or those of the
    /// section that its BUNDLE group names first ([RFC 8843 §7.1.3]).
    ///
    /// [RFC 8843 §7.1.3]: https://www.rfc-editor.org/rfc/rfc8843#section-7.1.3
    fn transport<'b>(&'b self, own: &'b [&'b str], mid: Option<&str>) -> &'b [&'b str] {
        if value(own, "ice-ufrag").is_some() {
            return own;
        }
        let group = self.session.iter().find_map(|line| {
            let mids = line
                .strip_prefix("a=group:BUNDLE ")?
                .split_ascii_whitespace();
            mids.clone().any(|other| Some(other) == mid).then_some(mids)
        });
        let tagged = group.and_then(|mut mids| mids.next());
        self.sections
            .iter()
            .find(|section| tagged.is_some() && value(section, "mid") == tagged)
            .map_or(own, Vec::as_slice)
    }

    /// Returns the fingerprints that can be used; those of the section take the session's place.
    fn fingerprints(&self, transport: &[&str]) -> Result<Vec<Fingerprint>, SdpError> {
        let (mut good, mut last_error) = (Vec::new(), SdpError::NoFingerprint);
        for lines in [transport, &self.session] {
            for text in values(lines, "fingerprint").take(MAX_FINGERPRINTS) {
                match text.parse() {
                    Ok(fingerprint) => good.push(fingerprint),
                    Err(error) => last_error = SdpError::Fingerprint(error),
                }
            }
            if !good.is_empty() {
                return Ok(good);
            }
        }
        Err(last_error)
    }
}

/// `m=media port protocol formats`.
struct MediaLine<'a> {
    media: &'a str,
    port: u16,
    protocol: &'a str,
    formats: &'a str,
    /// The protocol and the formats.
    rest: &'a str,
}

impl<'a> MediaLine<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (media, line) = line.split_once(' ')?;
        let (port, rest) = line.split_once(' ')?;
        let (protocol, formats) = rest.split_once(' ')?;
        // `port/count` stands for several ports; the first is enough to know whether there is one.
        let port = port.split('/').next()?.parse().ok()?;
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        (is_token(media) && !formats.trim().is_empty()).then_some(Self {
            media,
            port,
            protocol,
            formats,
            rest,
        })
    }

    fn data_form(&self) -> Option<DataForm> {
        if self.media != "application" {
            return None;
        }
        let datachannel = self
            .formats
            .split(' ')
            .any(|format| format == "webrtc-datachannel");
        match self.protocol {
            "UDP/DTLS/SCTP" if datachannel => Some(DataForm::Udp),
            "TCP/DTLS/SCTP" if datachannel => Some(DataForm::Tcp),
            "DTLS/SCTP" => Some(DataForm::Draft),
            _ => None,
        }
    }
}

fn sctp_port(own: &[&str], line: &MediaLine<'_>, form: DataForm) -> Result<u16, SdpError> {
    let text = match form {
        DataForm::Udp | DataForm::Tcp => value(own, "sctp-port").unwrap_or(DEFAULT_SCTP_PORT),
        // Its number is the format of the `m=` line; some wrote `webrtc-datachannel` there.
        DataForm::Draft => match line.formats {
            "webrtc-datachannel" => value(own, "sctp-port").unwrap_or(DEFAULT_SCTP_PORT),
            port => port,
        },
    };
    match text.trim().parse() {
        Ok(0) | Err(_) => Err(SdpError::SctpPort),
        Ok(port) => Ok(port),
    }
}

fn read_setup(text: &str) -> Result<Setup, SdpError> {
    match text {
        "active" => Ok(Setup::Active),
        "passive" => Ok(Setup::Passive),
        "actpass" => Ok(Setup::ActPass),
        _ => Err(SdpError::Setup),
    }
}

fn read_init(text: &str) -> Result<Vec<u8>, SdpError> {
    let bytes = STANDARD
        .decode(text.trim())
        .map_err(|_| SdpError::InitChunk)?;
    if bytes.len() > MAX_INIT_CHUNK {
        return Err(SdpError::InitChunk);
    }
    Ok(bytes)
}

/// An answer's BUNDLE group is written from mids: none may break the line, or stand twice.
fn check_mids(sections: &[Section]) -> Result<(), SdpError> {
    let mut seen: Vec<&str> = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let mid = match section {
            Section::Data(data) => data.mid.as_deref(),
            Section::Refused(refused) => refused.mid.as_deref(),
        };
        let Some(mid) = mid else {
            continue;
        };
        let is_token = !mid.is_empty() && mid.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token || seen.contains(&mid) {
            return Err(SdpError::Mid(index));
        }
        seen.push(mid);
    }
    Ok(())
}

/// Returns the value of the last `a=NAME:VALUE`.
fn value<'a>(lines: &[&'a str], name: &str) -> Option<&'a str> {
    values(lines, name).last()
}

fn values<'a, 'b>(lines: &'b [&'a str], name: &'b str) -> impl Iterator<Item = &'a str> + 'b {
    lines.iter().filter_map(move |line| {
        line.strip_prefix("a=")?
            .strip_prefix(name)?
            .strip_prefix(':')
    })
}

/// Chromium's longest, with all codecs and many cameras, have some tens of thousands.
const MAX_LENGTH: usize = 256 << 10;
const MAX_SECTIONS: usize = 256;
const MAX_FINGERPRINTS: usize = 16;
/// The same that the SCTP library takes.
const MAX_INIT_CHUNK: usize = 2048;
const DEFAULT_SCTP_PORT: &str = "5000";
