//! The actions of WANIPConnection and WANCommonInterfaceConfig that concern ports, and their
//! results.

use std::net::IpAddr;

use super::UpnpError;
use super::soap::Message;
use super::xml::{Element, escape};
use crate::TransportProtocol;

/// A mapping in a request or a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMapping {
    /// The only remote that it lets in; `None` stands for all.
    pub remote_host: Option<IpAddr>,
    /// The outside port; zero for any.
    pub external_port: u16,
    /// The transport protocol.
    pub protocol: TransportProtocol,
    /// The inside port.
    pub internal_port: u16,
    /// The inside address.
    pub internal_client: IpAddr,
    /// Whether the mapping is active.
    pub enabled: bool,
    /// The description.
    pub description: String,
    /// The lease duration, or what is left of it, in seconds; zero asks for the longest.
    pub lease: u32,
}

/// The key of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappingKey {
    /// The only remote that it lets in.
    pub remote_host: Option<IpAddr>,
    /// The outside port.
    pub external_port: u16,
    /// The transport protocol.
    pub protocol: TransportProtocol,
}

/// A range of mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first outside port.
    pub start: u16,
    /// The last outside port.
    pub end: u16,
    /// The transport protocol.
    pub protocol: TransportProtocol,
    /// Whether mappings of other hosts are included.
    pub manage: bool,
}

/// An action that a client calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Maps this port.
    AddPortMapping(PortMapping),
    /// Maps this port or another one (version 2).
    AddAnyPortMapping(PortMapping),
    /// Ends this mapping.
    DeletePortMapping(MappingKey),
    /// Ends these mappings (version 2).
    DeletePortMappingRange(PortRange),
    /// Returns the outside address.
    GetExternalIpAddress,
    /// Returns this mapping.
    GetSpecificPortMappingEntry(MappingKey),
    /// Returns the mapping with this index, from zero.
    GetGenericPortMappingEntry(u16),
    /// Returns these mappings (version 2), at most this many; zero for all.
    GetListOfPortMappings(PortRange, u16),
    /// Returns whether the gateway is connected, and for how long.
    GetStatusInfo,
    /// Returns whether there is a NAT.
    GetNatRsipStatus,
    /// Returns the type of the connection.
    GetConnectionTypeInfo,
    /// Opens the connection.
    RequestConnection,
    /// Returns the speed of the link (WANCommonInterfaceConfig).
    GetCommonLinkProperties,
    /// Returns how many packets were sent (WANCommonInterfaceConfig).
    GetTotalPacketsSent,
    /// Returns how many packets were received (WANCommonInterfaceConfig).
    GetTotalPacketsReceived,
}

/// The result of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The action succeeded.
    Done,
    /// The action succeeded with this outside port.
    ReservedPort(u16),
    /// The outside address; `None` when the gateway has none.
    ExternalIpAddress(Option<IpAddr>),
    /// A mapping. In answer to a [`MappingKey`], a gateway sends only the rest of the fields.
    Entry(PortMapping),
    /// Some mappings.
    List(Vec<PortMapping>),
    /// Whether there is a connection, and for how many seconds.
    Status {
        /// Whether it is connected.
        connected: bool,
        /// For how many seconds.
        uptime: u32,
    },
    /// There is a NAT, and no RSIP (RFC 3102).
    NatStatus,
    /// The connection is routed IP.
    ConnectionType,
    /// The speed of the link.
    Link {
        /// Bits per second from inside.
        upstream: u32,
        /// Bits per second to inside.
        downstream: u32,
        /// Whether the link is up.
        up: bool,
    },
    /// Packets, modulo 2^32.
    Packets(u32),
}

impl Action {
    /// Reads the call of an action.
    ///
    /// # Errors
    /// Fails with the error to return: the action does not exist, or its arguments are invalid.
    pub fn decode(call: &Message) -> Result<Self, UpnpError> {
        let arguments = Arguments(call);
        Ok(match call.name.as_str() {
            "AddPortMapping" => Self::AddPortMapping(arguments.mapping()?),
            "AddAnyPortMapping" => Self::AddAnyPortMapping(arguments.mapping()?),
            "DeletePortMapping" => Self::DeletePortMapping(arguments.key()?),
            "DeletePortMappingRange" => Self::DeletePortMappingRange(arguments.range()?),
            "GetExternalIPAddress" => Self::GetExternalIpAddress,
            "GetSpecificPortMappingEntry" => Self::GetSpecificPortMappingEntry(arguments.key()?),
            "GetGenericPortMappingEntry" => {
                Self::GetGenericPortMappingEntry(arguments.number("NewPortMappingIndex")?)
            }
            "GetListOfPortMappings" => Self::GetListOfPortMappings(
                arguments.range()?,
                arguments.number("NewNumberOfPorts")?,
            ),
            "GetStatusInfo" => Self::GetStatusInfo,
            "GetNATRSIPStatus" => Self::GetNatRsipStatus,
            "GetConnectionTypeInfo" => Self::GetConnectionTypeInfo,
            "RequestConnection" => Self::RequestConnection,
            "GetCommonLinkProperties" => Self::GetCommonLinkProperties,
            "GetTotalPacketsSent" => Self::GetTotalPacketsSent,
            "GetTotalPacketsReceived" => Self::GetTotalPacketsReceived,
            _ => return Err(UpnpError::INVALID_ACTION),
        })
    }

    /// Returns the action's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddPortMapping(_) => "AddPortMapping",
            Self::AddAnyPortMapping(_) => "AddAnyPortMapping",
            Self::DeletePortMapping(_) => "DeletePortMapping",
            Self::DeletePortMappingRange(_) => "DeletePortMappingRange",
            Self::GetExternalIpAddress => "GetExternalIPAddress",
            Self::GetSpecificPortMappingEntry(_) => "GetSpecificPortMappingEntry",
            Self::GetGenericPortMappingEntry(_) => "GetGenericPortMappingEntry",
            Self::GetListOfPortMappings(..) => "GetListOfPortMappings",
            Self::GetStatusInfo => "GetStatusInfo",
            Self::GetNatRsipStatus => "GetNATRSIPStatus",
            Self::GetConnectionTypeInfo => "GetConnectionTypeInfo",
            Self::RequestConnection => "RequestConnection",
            Self::GetCommonLinkProperties => "GetCommonLinkProperties",
            Self::GetTotalPacketsSent => "GetTotalPacketsSent",
            Self::GetTotalPacketsReceived => "GetTotalPacketsReceived",
        }
    }

    /// Writes the call of the action.
    #[must_use]
    pub fn encode(&self, service: &str) -> Message {
        let arguments = match self {
            Self::AddPortMapping(mapping) | Self::AddAnyPortMapping(mapping) => {
                let mut arguments = key_arguments(&mapping.key());
                arguments.extend(rest_arguments(mapping));
                arguments
            }
            Self::DeletePortMapping(key) | Self::GetSpecificPortMappingEntry(key) => {
                key_arguments(key)
            }
            Self::DeletePortMappingRange(range) => range_arguments(range),
            Self::GetListOfPortMappings(range, most) => {
                let mut arguments = range_arguments(range);
                arguments.push(argument("NewNumberOfPorts", most.to_string()));
                arguments
            }
            Self::GetGenericPortMappingEntry(index) => {
                vec![argument("NewPortMappingIndex", index.to_string())]
            }
            _ => Vec::new(),
        };
        Message {
            service: service.to_owned(),
            name: self.name().to_owned(),
            arguments,
        }
    }

    /// Reads the result of this action.
    ///
    /// # Errors
    /// Fails when the message is not a result of this action.
    pub fn decode_reply(&self, message: &Message) -> Result<Reply, UpnpError> {
        if message.name.strip_suffix("Response") != Some(self.name()) {
            return Err(UpnpError::INVALID_ACTION);
        }
        let arguments = Arguments(message);
        Ok(match self {
            Self::AddPortMapping(_)
            | Self::DeletePortMapping(_)
            | Self::DeletePortMappingRange(_)
            | Self::RequestConnection => Reply::Done,
            Self::AddAnyPortMapping(_) => Reply::ReservedPort(arguments.number("NewReservedPort")?),
            Self::GetExternalIpAddress => {
                let ip: Option<IpAddr> =
                    arguments.text("NewExternalIPAddress")?.trim().parse().ok();
                Reply::ExternalIpAddress(ip.filter(|ip| !ip.is_unspecified()))
            }
            Self::GetSpecificPortMappingEntry(key) => Reply::Entry(arguments.mapping_of(*key)?),
            Self::GetGenericPortMappingEntry(_) => Reply::Entry(arguments.mapping()?),
            Self::GetListOfPortMappings(..) => {
                Reply::List(parse_list(arguments.text("NewPortListing")?)?)
            }
            Self::GetStatusInfo => Reply::Status {
                connected: arguments.text("NewConnectionStatus")?.trim() == "Connected",
                uptime: arguments.number("NewUptime")?,
            },
            Self::GetNatRsipStatus => Reply::NatStatus,
            Self::GetConnectionTypeInfo => Reply::ConnectionType,
            Self::GetCommonLinkProperties => Reply::Link {
                upstream: arguments.number("NewLayer1UpstreamMaxBitRate")?,
                downstream: arguments.number("NewLayer1DownstreamMaxBitRate")?,
                up: arguments.text("NewPhysicalLinkStatus")?.trim() == "Up",
            },
            Self::GetTotalPacketsSent => Reply::Packets(arguments.number("NewTotalPacketsSent")?),
            Self::GetTotalPacketsReceived => {
                Reply::Packets(arguments.number("NewTotalPacketsReceived")?)
            }
        })
    }

    /// Writes the result of this action.
    #[must_use]
    pub fn encode_reply(&self, service: &str, reply: &Reply) -> Message {
        let arguments = match reply {
            Reply::Done => Vec::new(),
            Reply::ReservedPort(port) => vec![argument("NewReservedPort", port.to_string())],
            Reply::ExternalIpAddress(ip) => {
                let text = ip.map_or_else(String::new, |ip| ip.to_string());
                vec![argument("NewExternalIPAddress", text)]
            }
            Reply::Entry(mapping) => {
                let mut arguments = match self {
                    Self::GetSpecificPortMappingEntry(_) => Vec::new(),
                    _ => key_arguments(&mapping.key()),
                };
                arguments.extend(rest_arguments(mapping));
                arguments
            }
            Reply::List(mappings) => vec![argument("NewPortListing", write_list(mappings))],
            Reply::Status { connected, uptime } => vec![
                argument(
                    "NewConnectionStatus",
                    if *connected {
                        "Connected"
                    } else {
                        "Disconnected"
                    },
                ),
                argument("NewLastConnectionError", "ERROR_NONE"),
                argument("NewUptime", uptime.to_string()),
            ],
            Reply::NatStatus => vec![
                argument("NewRSIPAvailable", "0"),
                argument("NewNATEnabled", "1"),
            ],
            Reply::ConnectionType => vec![
                argument("NewConnectionType", "IP_Routed"),
                argument("NewPossibleConnectionTypes", "IP_Routed"),
            ],
            Reply::Link {
                upstream,
                downstream,
                up,
            } => vec![
                argument("NewWANAccessType", "Ethernet"),
                argument("NewLayer1UpstreamMaxBitRate", upstream.to_string()),
                argument("NewLayer1DownstreamMaxBitRate", downstream.to_string()),
                argument("NewPhysicalLinkStatus", if *up { "Up" } else { "Down" }),
            ],
            Reply::Packets(count) => {
                let name = match self {
                    Self::GetTotalPacketsSent => "NewTotalPacketsSent",
                    _ => "NewTotalPacketsReceived",
                };
                vec![argument(name, count.to_string())]
            }
        };
        Message {
            service: service.to_owned(),
            name: format!("{}Response", self.name()),
            arguments,
        }
    }
}

impl PortMapping {
    /// Returns the key of the mapping.
    #[must_use]
    pub fn key(&self) -> MappingKey {
        MappingKey {
            remote_host: self.remote_host,
            external_port: self.external_port,
            protocol: self.protocol,
        }
    }
}

/// The arguments of a call or of its result.
struct Arguments<'a>(&'a Message);

impl Arguments<'_> {
    fn text(&self, name: &str) -> Result<&str, UpnpError> {
        self.0.get(name).ok_or(UpnpError::INVALID_ARGS)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, UpnpError> {
        let text = self.text(name)?.trim();
        text.parse().map_err(|_| UpnpError::INVALID_ARGS)
    }

    fn flag(&self, name: &str) -> Result<bool, UpnpError> {
        parse_flag(self.text(name)?).ok_or(UpnpError::INVALID_ARGS)
    }

    fn protocol(&self) -> Result<TransportProtocol, UpnpError> {
        parse_protocol(self.text("NewProtocol")?).ok_or(UpnpError::INVALID_ARGS)
    }

    fn key(&self) -> Result<MappingKey, UpnpError> {
        Ok(MappingKey {
            remote_host: parse_remote(self.text("NewRemoteHost")?)?,
            external_port: self.number("NewExternalPort")?,
            protocol: self.protocol()?,
        })
    }

    fn range(&self) -> Result<PortRange, UpnpError> {
        Ok(PortRange {
            start: self.number("NewStartPort")?,
            end: self.number("NewEndPort")?,
            protocol: self.protocol()?,
            manage: self.flag("NewManage")?,
        })
    }

    fn mapping(&self) -> Result<PortMapping, UpnpError> {
        self.mapping_of(self.key()?)
    }

    fn mapping_of(&self, key: MappingKey) -> Result<PortMapping, UpnpError> {
        Ok(PortMapping {
            remote_host: key.remote_host,
            external_port: key.external_port,
            protocol: key.protocol,
            internal_port: self.number("NewInternalPort")?,
            internal_client: self.number("NewInternalClient")?,
            enabled: self.flag("NewEnabled")?,
            description: self.text("NewPortMappingDescription")?.to_owned(),
            lease: self.number("NewLeaseDuration")?,
        })
    }
}

fn argument(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn key_arguments(key: &MappingKey) -> Vec<(String, String)> {
    let remote = key
        .remote_host
        .map_or_else(String::new, |ip| ip.to_string());
    vec![
        argument("NewRemoteHost", remote),
        argument("NewExternalPort", key.external_port.to_string()),
        argument("NewProtocol", key.protocol.name()),
    ]
}

fn rest_arguments(mapping: &PortMapping) -> Vec<(String, String)> {
    vec![
        argument("NewInternalPort", mapping.internal_port.to_string()),
        argument("NewInternalClient", mapping.internal_client.to_string()),
        argument("NewEnabled", write_flag(mapping.enabled)),
        argument("NewPortMappingDescription", mapping.description.as_str()),
        argument("NewLeaseDuration", mapping.lease.to_string()),
    ]
}

fn range_arguments(range: &PortRange) -> Vec<(String, String)> {
    vec![
        argument("NewStartPort", range.start.to_string()),
        argument("NewEndPort", range.end.to_string()),
        argument("NewProtocol", range.protocol.name()),
        argument("NewManage", write_flag(range.manage)),
    ]
}

fn write_flag(flag: bool) -> &'static str {
    if flag { "1" } else { "0" }
}

fn parse_flag(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "true" | "True" | "yes" => Some(true),
        "0" | "false" | "False" | "no" => Some(false),
        _ => None,
    }
}

fn parse_protocol(text: &str) -> Option<TransportProtocol> {
    let text = text.trim();
    [TransportProtocol::Udp, TransportProtocol::Tcp]
        .into_iter()
        .find(|protocol| protocol.name().eq_ignore_ascii_case(text))
}

/// Reads a remote host. An empty text stands for all remotes, as do the texts that some clients
/// write in its place; a host name is refused.
fn parse_remote(text: &str) -> Result<Option<IpAddr>, UpnpError> {
    match text.trim() {
        "" | "*" => Ok(None),
        text => match text.parse::<IpAddr>() {
            Ok(ip) => Ok(Some(ip).filter(|ip| !ip.is_unspecified())),
            Err(_) => Err(UpnpError::INVALID_ARGS),
        },
    }
}

/// Writes the list of mappings, which is an XML document within the document.
fn write_list(mappings: &[PortMapping]) -> String {
    let mut text = "<?xml version=\"1.0\"?>\n<p:PortMappingList xmlns:p=\"urn:schemas-upnp-org:gw:WANIPConnection\">"
        .to_owned();
    for mapping in mappings {
        text.push_str("<p:PortMappingEntry>");
        let mut fields = key_arguments(&mapping.key());
        fields.extend(rest_arguments(mapping));
        for (name, value) in fields {
            let name = match name.as_str() {
                "NewPortMappingDescription" => "NewDescription",
                "NewLeaseDuration" => "NewLeaseTime",
                name => name,
            };
            text.push_str(&format!("<p:{name}>{}</p:{name}>", escape(&value)));
        }
        text.push_str("</p:PortMappingEntry>");
    }
    text.push_str("</p:PortMappingList>");
    text
}

fn parse_list(text: &str) -> Result<Vec<PortMapping>, UpnpError> {
    let list = Element::parse(text.as_bytes()).map_err(|_| UpnpError::INVALID_ARGS)?;
    list.children
        .iter()
        .map(|entry| {
            let argument = |child: &Element| {
                let name = match child.name.as_str() {
                    "NewDescription" => "NewPortMappingDescription",
                    "NewLeaseTime" => "NewLeaseDuration",
                    name => name,
                };
                (name.to_owned(), child.text.clone())
            };
            let message = Message {
                service: String::new(),
                name: String::new(),
                arguments: entry.children.iter().map(argument).collect(),
            };
            Arguments(&message).mapping()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_protocol() -> impl Strategy<Value = TransportProtocol> {
        prop_oneof![Just(TransportProtocol::Udp), Just(TransportProtocol::Tcp)]
    }

    fn any_ip() -> impl Strategy<Value = IpAddr> {
        (1..=u32::MAX).prop_map(|bits| IpAddr::V4(std::net::Ipv4Addr::from_bits(bits)))
    }

    prop_compose! {
        fn any_mapping()(
            remote_host in proptest::option::of(any_ip()),
            ports in any::<(u16, u16)>(),
            protocol in any_protocol(),
            internal_client in any_ip(),
            enabled in any::<bool>(),
            description in "\\PC{0,20}",
            lease in any::<u32>(),
        ) -> PortMapping {
            PortMapping {
                remote_host,
                external_port: ports.0,
                protocol,
                internal_port: ports.1,
                internal_client,
                enabled,
                description,
                lease,
            }
        }
    }

    fn there_and_back(message: &Message) -> Message {
        Message::decode(&message.encode()).unwrap().unwrap()
    }

    proptest! {
        #[test]
        fn every_call_and_reply_is_read_as_it_was_written(
            mapping in any_mapping(),
            others in proptest::collection::vec(any_mapping(), 0..4),
            range in (any::<(u16, u16)>(), any_protocol(), any::<bool>()),
            numbers in any::<(u16, u32, u32)>(),
            flag in any::<bool>(),
            ip in proptest::option::of(any_ip()),
        ) {
            let range = PortRange { start: range.0.0, end: range.0.1, protocol: range.1, manage: range.2 };
            let (key, (index, one, two)) = (mapping.key(), numbers);
            let link = Reply::Link { upstream: one, downstream: two, up: flag };
            let status = Reply::Status { connected: flag, uptime: one };
            let all = [
                (Action::AddPortMapping(mapping.clone()), Reply::Done),
                (Action::AddAnyPortMapping(mapping.clone()), Reply::ReservedPort(index)),
                (Action::DeletePortMapping(key), Reply::Done),
                (Action::DeletePortMappingRange(range), Reply::Done),
                (Action::GetExternalIpAddress, Reply::ExternalIpAddress(ip)),
                (Action::GetSpecificPortMappingEntry(key), Reply::Entry(mapping.clone())),
                (Action::GetGenericPortMappingEntry(index), Reply::Entry(mapping)),
                (Action::GetListOfPortMappings(range, index), Reply::List(others)),
                (Action::GetStatusInfo, status),
                (Action::GetNatRsipStatus, Reply::NatStatus),
                (Action::GetConnectionTypeInfo, Reply::ConnectionType),
                (Action::RequestConnection, Reply::Done),
                (Action::GetCommonLinkProperties, link),
                (Action::GetTotalPacketsSent, Reply::Packets(one)),
                (Action::GetTotalPacketsReceived, Reply::Packets(two)),
            ];
            for (action, reply) in all {
                let call = there_and_back(&action.encode("urn:x"));
                prop_assert_eq!(Action::decode(&call), Ok(action.clone()));
                let result = there_and_back(&action.encode_reply("urn:x", &reply));
                prop_assert_eq!(action.decode_reply(&result), Ok(reply));
            }
        }
    }

    #[test]
    fn wrong_calls_have_their_errors() {
        let call = |name: &str, arguments: &[(&str, &str)]| {
            let arguments = arguments.iter().map(|(name, value)| argument(name, *value));
            Action::decode(&Message {
                service: String::new(),
                name: name.to_owned(),
                arguments: arguments.collect(),
            })
        };
        assert_eq!(call("Reboot", &[]), Err(UpnpError::INVALID_ACTION));
        let key = [
            ("NewRemoteHost", ""),
            ("NewExternalPort", "70000"),
            ("NewProtocol", "UDP"),
        ];
        assert_eq!(
            call("DeletePortMapping", &key),
            Err(UpnpError::INVALID_ARGS)
        );
        assert_eq!(
            call("DeletePortMapping", &key[..1]),
            Err(UpnpError::INVALID_ARGS)
        );
        let name = [
            ("NewRemoteHost", "example.org"),
            ("NewExternalPort", "7"),
            ("NewProtocol", "UDP"),
        ];
        assert_eq!(
            call("DeletePortMapping", &name),
            Err(UpnpError::INVALID_ARGS)
        );
        let sctp = [
            ("NewRemoteHost", ""),
            ("NewExternalPort", "7"),
            ("NewProtocol", "SCTP"),
        ];
        assert_eq!(
            call("DeletePortMapping", &sctp),
            Err(UpnpError::INVALID_ARGS)
        );
    }
}
