//! The text of a candidate ([RFC 8839 §5.1], [RFC 6544 §4.5]), as agents really write it.
//!
//! [RFC 6544 §4.5]: https://www.rfc-editor.org/rfc/rfc6544#section-4.5
//! [RFC 8839 §5.1]: https://www.rfc-editor.org/rfc/rfc8839#section-5.1

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::address::parse_ip;
use super::{Candidate, CandidateAddress, CandidateKind, CandidateTransport, Foundation};

/// Why a text is not a candidate that we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// The text is longer than any candidate.
    #[error("{0} bytes are more than a candidate has")]
    TooLong(usize),
    /// The text ends before the candidate does.
    #[error("the candidate ends before its {0}")]
    Truncated(&'static str),
    /// The foundation is too long, or has characters that it must not have.
    #[error("the foundation is longer than 32 characters, or not all of them are visible ASCII")]
    Foundation,
    /// The component is not a number from 1 to 256.
    #[error("the component is not a number from 1 to 256")]
    Component,
    /// The transport is unknown.
    #[error("the transport is neither udp nor tcp")]
    Transport,
    /// The priority is not a number of 32 bits.
    #[error("the priority is not a number below 2^32")]
    Priority,
    /// The address is neither an IP address nor a `.local` name.
    #[error("the address is neither an IP address nor a name that ends in .local")]
    Address,
    /// The port is not one that can be sent to.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// The type is unknown.
    #[error("the type is not host, srflx, prflx or relay")]
    Kind,
    /// `tcptype` has an unknown value, or stands with UDP.
    #[error("tcptype is not active, passive or so, or the transport is udp")]
    TcpType,
    /// The text has characters that no candidate has.
    #[error("an extension has characters that are not visible ASCII")]
    Extension,
    /// The text has more extensions than are kept.
    #[error("there are more than {MAX_EXTENSIONS} extensions")]
    TooManyExtensions,
}

/// Reads `candidate:...`, with or without `a=` and `candidate:` before it.
///
/// Where agents differ from the RFCs, what they write is understood: transports in any case and as
/// `tcp-act`, `tcp-pass` and `tcp-so`; TCP without `tcptype`, which is passive; an empty
/// foundation; IPv6 addresses with a zone; related addresses that are no IP address, which are
/// left out.
impl FromStr for Candidate {
    type Err = CandidateError;

    fn from_str(text: &str) -> Result<Self, CandidateError> {
        if text.len() > MAX_LENGTH {
            return Err(CandidateError::TooLong(text.len()));
        }
        let text = text.trim_end();
        let text = text.strip_prefix("a=").unwrap_or(text);
        let text = text.strip_prefix("candidate:").unwrap_or(text);
        let mut words = Words(text.split(' '));
        let foundation = Foundation::new(words.next("foundation")?);
        let foundation = foundation.ok_or(CandidateError::Foundation)?;
        let component = words.next("component")?.parse();
        let component = component.ok().filter(|number| (1..=256).contains(number));
        let component = component.ok_or(CandidateError::Component)?;
        let (is_tcp, named_type) = read_transport(words.next("transport")?)?;
        let priority = words.next("priority")?.parse();
        let priority = priority.map_err(|_| CandidateError::Priority)?;
        let host = words.next("address")?;
        let port = words.next("port")?;
        let port = port.parse().map_err(|_| CandidateError::Port)?;
        if words.next("type")? != "typ" {
            return Err(CandidateError::Kind);
        }
        let kind = read_kind(words.next("type")?)?;
        let mut candidate = Self {
            foundation,
            component,
            transport: CandidateTransport::Udp,
            priority,
            address: read_address(host, port)?,
            kind,
            related: None,
            ufrag: None,
            generation: None,
            network_cost: None,
            extensions: Vec::new(),
        };
        let tcp_type = candidate.read_extensions(words)?;
        candidate.transport = match (is_tcp, tcp_type.or(named_type)) {
            (false, None) => CandidateTransport::Udp,
            (false, Some(_)) => return Err(CandidateError::TcpType),
            (true, Some(transport)) => transport,
            // libwebrtc takes it for passive, which is what its own older versions meant.
            (true, None) => CandidateTransport::TcpPassive,
        };
        // An active candidate is never connected to: port 9 by RFC 6544, 0 from some agents.
        if port == 0 && candidate.transport != CandidateTransport::TcpActive {
            return Err(CandidateError::Port);
        }
        Ok(candidate)
    }
}

impl Candidate {
    /// Reads what follows the type; returns the value of `tcptype`.
    fn read_extensions(
        &mut self,
        mut words: Words<'_>,
    ) -> Result<Option<CandidateTransport>, CandidateError> {
        let mut tcp_type = None;
        let mut related: (Option<&str>, Option<&str>) = (None, None);
        while let Some(name) = words.0.next() {
            // RFC 8839 allows an empty value, and a line may lose the space that ends it.
            let value = words.0.next().unwrap_or_default();
            match name {
                "raddr" if related.0.is_none() => related.0 = Some(value),
                "rport" if related.1.is_none() => related.1 = Some(value),
                "tcptype" if tcp_type.is_none() => tcp_type = Some(read_tcp_type(value)?),
                "ufrag" if self.ufrag.is_none() && is_ufrag(value) => {
                    self.ufrag = Some(value.into());
                }
                "generation" if self.generation.is_none() && is_number(value) => {
                    self.generation = value.parse().ok();
                }
                "network-cost" if self.network_cost.is_none() && is_number(value) => {
                    self.network_cost = value.parse().ok();
                }
                _ => self.keep_extension(name, value)?,
            }
        }
        let (ip, port) = related;
        // A port alone says nothing; an address alone is what some agents have.
        self.related = ip.and_then(parse_ip).map(|ip| {
            let port = port.and_then(|port| port.parse().ok()).unwrap_or_default();
            SocketAddr::new(ip, port)
        });
        Ok(tcp_type)
    }

    fn keep_extension(&mut self, name: &str, value: &str) -> Result<(), CandidateError> {
        let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || !is_visible(name) || !is_visible(value) {
            return Err(CandidateError::Extension);
        }
        // These have fields of their own. A second value of one, or an invalid one, is not kept:
        // written and read again, it would become the value of the field.
        if FIELDS.contains(&name) {
            return Ok(());
        }
        if self.extensions.len() == MAX_EXTENSIONS {
            return Err(CandidateError::TooManyExtensions);
        }
        self.extensions.push((name.into(), value.into()));
        Ok(())
    }
}

/// Writes `candidate:...`, without `a=`.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            foundation,
            component,
            transport,
            priority,
            address,
            kind,
            ..
        } = self;
        write!(
            f,
            "candidate:{foundation} {component} {transport} {priority} "
        )?;
        match address {
            CandidateAddress::Ip(address) => write!(f, "{} {}", address.ip(), address.port())?,
            CandidateAddress::Mdns { name, port } => write!(f, "{name} {port}")?,
        }
        write!(f, " typ {kind}")?;
        if let Some(related) = self.related {
            write!(f, " raddr {} rport {}", related.ip(), related.port())?;
        }
        if let Some(tcp_type) = transport.tcp_type() {
            write!(f, " tcptype {tcp_type}")?;
        }
        if let Some(generation) = self.generation {
            write!(f, " generation {generation}")?;
        }
        if let Some(ufrag) = &self.ufrag {
            write!(f, " ufrag {ufrag}")?;
        }
        if let Some(cost) = self.network_cost {
            write!(f, " network-cost {cost}")?;
        }
        for (name, value) in &self.extensions {
            write!(f, " {name} {value}")?;
        }
        Ok(())
    }
}

/// The words of a candidate, each after one space.
struct Words<'a>(std::str::Split<'a, char>);

impl<'a> Words<'a> {
    fn next(&mut self, what: &'static str) -> Result<&'a str, CandidateError> {
        self.0.next().ok_or(CandidateError::Truncated(what))
    }
}

/// Returns whether it is TCP, and its direction if the transport names it.
fn read_transport(word: &str) -> Result<(bool, Option<CandidateTransport>), CandidateError> {
    match word.to_ascii_lowercase().as_str() {
        "udp" => Ok((false, None)),
        "tcp" => Ok((true, None)),
        "tcp-act" => Ok((true, Some(CandidateTransport::TcpActive))),
        "tcp-pass" => Ok((true, Some(CandidateTransport::TcpPassive))),
        "tcp-so" => Ok((true, Some(CandidateTransport::TcpSimultaneousOpen))),
        _ => Err(CandidateError::Transport),
    }
}

fn read_tcp_type(word: &str) -> Result<CandidateTransport, CandidateError> {
    [
        CandidateTransport::TcpActive,
        CandidateTransport::TcpPassive,
        CandidateTransport::TcpSimultaneousOpen,
    ]
    .into_iter()
    .find(|transport| {
        let tcp_type = transport.tcp_type().unwrap_or_default();
        tcp_type.eq_ignore_ascii_case(word)
    })
    .ok_or(CandidateError::TcpType)
}

fn read_kind(word: &str) -> Result<CandidateKind, CandidateError> {
    [
        CandidateKind::Host,
        CandidateKind::ServerReflexive,
        CandidateKind::PeerReflexive,
        CandidateKind::Relayed,
    ]
    .into_iter()
    .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    .ok_or(CandidateError::Kind)
}

fn read_address(host: &str, port: u16) -> Result<CandidateAddress, CandidateError> {
    if let Some(ip) = parse_ip(host) {
        return Ok(CandidateAddress::Ip(SocketAddr::new(ip, port)));
    }
    let name = host.parse().map_err(|_| CandidateError::Address)?;
    Ok(CandidateAddress::Mdns { name, port })
}

fn is_ufrag(value: &str) -> bool {
    (1..=256).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit())
}

/// More than the longest that has been seen (some 250 bytes), and than any with a username fragment
/// of 256 characters.
const MAX_LENGTH: usize = 1_024;

/// More than four times what libwebrtc writes.
const MAX_EXTENSIONS: usize = 16;

/// The extensions that have a field of their own.
const FIELDS: &[&str] = &[
    "raddr",
    "rport",
    "tcptype",
    "ufrag",
    "generation",
    "network-cost",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn candidates_of_many_agents_are_read_and_written_back() {
        for line in [
            // RFC 8839 §5.1 and RFC 6544 appendix C.
            "candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            "candidate:1 1 tcp 2128609279 192.0.2.1 9 typ host tcptype active",
            "candidate:2 1 tcp 2124414975 192.0.2.1 3478 typ host tcptype passive",
            "candidate:3 1 tcp 2120220671 192.0.2.1 3482 typ host tcptype so",
            // libwebrtc.
            "candidate:842163049 1 udp 1677729535 198.51.100.7 50060 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag kbsC network-cost 999",
            "candidate:1510613869 1 udp 2122063615 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 62093 typ host generation 0 ufrag kbsC network-cost 999",
            // Firefox.
            "candidate:0 1 udp 2122252543 2001:db8::17 51122 typ host",
            "candidate:3 1 tcp 2105524479 192.0.2.1 9 typ host tcptype active",
            // Microsoft's relays.
            "candidate:1 1 udp 54001663 192.0.2.155 3478 typ relay raddr 10.0.2.122 rport 3478 MTURNID 14851909894487247346",
        ] {
            let candidate: Candidate = line
                .parse()
                .unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(candidate.to_string(), line);
        }
    }

    #[test]
    fn the_habits_of_agents_are_understood() {
        for (written, meant) in [
            (
                "a=candidate:1 1 UDP 5 192.0.2.1 7 typ host\r\n",
                "candidate:1 1 udp 5 192.0.2.1 7 typ host",
            ),
            (
                "1 1 udp 5 192.0.2.1 7 typ host",
                "candidate:1 1 udp 5 192.0.2.1 7 typ host",
            ),
            (
                "candidate: 1 udp 5 192.0.2.1 7 typ host",
                "candidate: 1 udp 5 192.0.2.1 7 typ host",
            ),
            (
                "candidate:1 1 TCP 5 192.0.2.1 7 typ host",
                "candidate:1 1 tcp 5 192.0.2.1 7 typ host tcptype passive",
            ),
            (
                "candidate:3 1 tcp-pass 18087935 192.0.2.1 7 typ relay raddr 10.0.2.1 rport 8",
                "candidate:3 1 tcp 18087935 192.0.2.1 7 typ relay raddr 10.0.2.1 rport 8 tcptype passive",
            ),
            (
                "candidate:1 1 tcp 5 192.0.2.1 0 typ host tcptype active",
                "candidate:1 1 tcp 5 192.0.2.1 0 typ host tcptype active",
            ),
            (
                "candidate:1 1 udp 5 fe80::1%eth0 7 typ host",
                "candidate:1 1 udp 5 fe80::1 7 typ host",
            ),
            (
                "candidate:1 1 udp 5 192.0.2.1 7 typ srflx raddr abc.local rport 9",
                "candidate:1 1 udp 5 192.0.2.1 7 typ srflx",
            ),
            (
                "candidate:1 1 udp 5 192.0.2.1 7 typ host generation x network-id 1 lonely",
                "candidate:1 1 udp 5 192.0.2.1 7 typ host network-id 1 lonely ",
            ),
            (
                "candidate:1 1 udp 5 ABC.LOCAL 7 typ host",
                "candidate:1 1 udp 5 abc.local 7 typ host",
            ),
        ] {
            let candidate: Candidate = written
                .parse()
                .unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(candidate.to_string(), meant);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        use CandidateError::*;
        for (text, error) in [
            ("", Truncated("component")),
            ("candidate:", Truncated("component")),
            ("candidate:1 1 udp 5 192.0.2.1", Truncated("port")),
            ("candidate:1 1 udp 5 192.0.2.1 7", Truncated("type")),
            ("candidate:1 1 udp 5 192.0.2.1 7 typ", Truncated("type")),
            (
                "candidate:123456789012345678901234567890123 1 udp 5 192.0.2.1 7 typ host",
                Foundation,
            ),
            ("candidate:ä 1 udp 5 192.0.2.1 7 typ host", Foundation),
            ("candidate:1 0 udp 5 192.0.2.1 7 typ host", Component),
            ("candidate:1 257 udp 5 192.0.2.1 7 typ host", Component),
            ("candidate:1 1 ssltcp 5 192.0.2.1 7 typ host", Transport),
            ("candidate:1 1 udp -5 192.0.2.1 7 typ host", Priority),
            (
                "candidate:1 1 udp 4294967296 192.0.2.1 7 typ host",
                Priority,
            ),
            ("candidate:1 1 udp 5 example.org 7 typ host", Address),
            ("candidate:1 1 udp 5 .local 7 typ host", Address),
            ("candidate:1 1 udp 5 192.0.2.1%eth0 7 typ host", Address),
            ("candidate:1 1 udp 5 192.0.2.1 0 typ host", Port),
            ("candidate:1 1 udp 5 192.0.2.1 65536 typ host", Port),
            ("candidate:1 1 udp 5 192.0.2.1 7 type host", Kind),
            ("candidate:1 1 udp 5 192.0.2.1 7 typ tunnel", Kind),
            (
                "candidate:1 1 udp 5 192.0.2.1 7 typ host tcptype active",
                TcpType,
            ),
            (
                "candidate:1 1 tcp 5 192.0.2.1 7 typ host tcptype both",
                TcpType,
            ),
            (
                "candidate:1 1 udp 5 192.0.2.1 7 typ host x \u{7f}",
                Extension,
            ),
            ("candidate:1 1 udp 5 192.0.2.1 7 typ host  x y", Extension),
        ] {
            assert_eq!(text.parse::<Candidate>(), Err(error), "{text}");
        }
        let long = format!("candidate:{}", "1".repeat(MAX_LENGTH));
        assert_eq!(long.parse::<Candidate>(), Err(TooLong(MAX_LENGTH + 10)));
        let many = "x y ".repeat(MAX_EXTENSIONS + 1);
        assert_eq!(
            format!("candidate:1 1 udp 5 192.0.2.1 7 typ host {many}").parse::<Candidate>(),
            Err(TooManyExtensions)
        );
    }

    fn any_address() -> impl Strategy<Value = CandidateAddress> {
        let port = 1u16..;
        prop_oneof![
            (any::<std::net::IpAddr>(), port.clone())
                .prop_map(|(ip, port)| CandidateAddress::Ip((ip, port).into())),
            ("[a-z0-9-]{1,40}(\\.[a-z0-9]{1,9}){0,2}\\.local", port).prop_map(|(name, port)| {
                let name = name.parse().unwrap();
                CandidateAddress::Mdns { name, port }
            }),
        ]
    }

    fn any_related() -> impl Strategy<Value = Option<SocketAddr>> {
        let address = (any::<std::net::IpAddr>(), any::<u16>());
        proptest::option::of(address.prop_map(SocketAddr::from))
    }

    fn any_candidate() -> impl Strategy<Value = Candidate> {
        let transport = prop_oneof![
            Just(CandidateTransport::Udp),
            Just(CandidateTransport::TcpActive),
            Just(CandidateTransport::TcpPassive),
            Just(CandidateTransport::TcpSimultaneousOpen),
        ];
        let kind = prop_oneof![
            Just(CandidateKind::Host),
            Just(CandidateKind::ServerReflexive),
            Just(CandidateKind::PeerReflexive),
            Just(CandidateKind::Relayed),
        ];
        let identity = ("[A-Za-z0-9+/]{0,32}", 1u16..=256, any::<u32>());
        let fields = (
            proptest::option::of("[A-Za-z0-9+/]{4,32}"),
            proptest::option::of(any::<u32>()),
            proptest::option::of(any::<u16>()),
        );
        let extensions = proptest::collection::vec(("x[!-~]{1,9}", "[!-~]{0,9}"), 0..4);
        (
            (transport, kind),
            identity,
            (any_address(), any_related()),
            fields,
            extensions,
        )
            .prop_map(
                |((transport, kind), identity, (address, related), fields, extensions)| Candidate {
                    foundation: Foundation::new(&identity.0).unwrap(),
                    component: identity.1,
                    transport,
                    priority: identity.2,
                    address,
                    kind,
                    related,
                    ufrag: fields.0.map(Into::into),
                    generation: fields.1,
                    network_cost: fields.2,
                    extensions: extensions
                        .into_iter()
                        .map(|(name, value)| (name.into(), value.into()))
                        .collect(),
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(candidate in any_candidate()) {
            prop_assert_eq!(candidate.to_string().parse(), Ok(candidate));
        }

        #[test]
        fn what_is_read_is_written_and_read_again(
            text in "candidate:[A-Z]{1,3} 1 (udp|TCP|tcp-so) [0-9]{1,9} (::[0-9a-f]{1,4}|a\\.local|192\\.0\\.2\\.[0-9]) [0-9]{1,4} typ (host|srflx)( (raddr|rport|tcptype|ufrag|generation|a|b)( [!-~]{0,6})?){0,5}",
        ) {
            if let Ok(candidate) = text.parse::<Candidate>() {
                prop_assert_eq!(candidate.to_string().parse(), Ok(candidate));
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Candidate>();
        }
    }
}
