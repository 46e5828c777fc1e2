//! The service descriptions, which list actions and their arguments (UPnP Device Architecture
//! §2.5).

/// The description of a service.
#[derive(Debug)]
pub(super) struct Scpd {
    actions: &'static [ActionLine],
    variables: &'static [Variable],
}

/// An action: its name, the version that introduced it, its input and output arguments, each with
/// its state variable.
#[derive(Debug)]
struct ActionLine {
    name: &'static str,
    since: u8,
    into: &'static [(&'static str, &'static str)],
    out: &'static [(&'static str, &'static str)],
}

/// A state variable: its name, its type, and its allowed values if there are few.
#[derive(Debug)]
struct Variable(&'static str, &'static str, &'static [&'static str]);

impl Scpd {
    /// Writes the description of the service as XML.
    pub(super) fn encode(&self, version: u8) -> Vec<u8> {
        let mut text = "<?xml version=\"1.0\"?>\r\n<scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><specVersion>\
             <major>1</major><minor>0</minor></specVersion><actionList>"
            .to_owned();
        for action in self.actions.iter().filter(|it| it.since <= version) {
            text.push_str(&format!("<action><name>{}</name>", action.name));
            if !action.into.is_empty() || !action.out.is_empty() {
                text.push_str("<argumentList>");
                let into = action.into.iter().map(|argument| (argument, "in"));
                let out = action.out.iter().map(|argument| (argument, "out"));
                for ((name, variable), direction) in into.chain(out) {
                    text.push_str(&format!(
                        "<argument><name>{name}</name><direction>{direction}</direction>\
                         <relatedStateVariable>{variable}</relatedStateVariable></argument>"
                    ));
                }
                text.push_str("</argumentList>");
            }
            text.push_str("</action>");
        }
        text.push_str("</actionList><serviceStateTable>");
        for Variable(name, kind, values) in self.variables {
            text.push_str(&format!(
                "<stateVariable sendEvents=\"no\"><name>{name}</name><dataType>{kind}</dataType>"
            ));
            if !values.is_empty() {
                text.push_str("<allowedValueList>");
                for value in *values {
                    text.push_str(&format!("<allowedValue>{value}</allowedValue>"));
                }
                text.push_str("</allowedValueList>");
            }
            text.push_str("</stateVariable>");
        }
        text.push_str("</serviceStateTable></scpd>\r\n");
        text.into_bytes()
    }
}

const REMOTE: (&str, &str) = ("NewRemoteHost", "RemoteHost");
const EXTERNAL: (&str, &str) = ("NewExternalPort", "ExternalPort");
const PROTOCOL: (&str, &str) = ("NewProtocol", "PortMappingProtocol");
const INTERNAL: (&str, &str) = ("NewInternalPort", "InternalPort");
const CLIENT: (&str, &str) = ("NewInternalClient", "InternalClient");
const ENABLED: (&str, &str) = ("NewEnabled", "PortMappingEnabled");
const CALLED: (&str, &str) = ("NewPortMappingDescription", "PortMappingDescription");
const LEASE: (&str, &str) = ("NewLeaseDuration", "PortMappingLeaseDuration");
const START: (&str, &str) = ("NewStartPort", "ExternalPort");
const END: (&str, &str) = ("NewEndPort", "ExternalPort");
const MANAGE: (&str, &str) = ("NewManage", "A_ARG_TYPE_Manage");

const MAPPING: &[(&str, &str)] = &[
    REMOTE, EXTERNAL, PROTOCOL, INTERNAL, CLIENT, ENABLED, CALLED, LEASE,
];
const REST: &[(&str, &str)] = &[INTERNAL, CLIENT, ENABLED, CALLED, LEASE];
const KEY: &[(&str, &str)] = &[REMOTE, EXTERNAL, PROTOCOL];

const fn action(
    name: &'static str,
    since: u8,
    into: &'static [(&'static str, &'static str)],
    out: &'static [(&'static str, &'static str)],
) -> ActionLine {
    ActionLine {
        name,
        since,
        into,
        out,
    }
}

/// The service that maps ports.
pub(super) const IP_CONNECTION: Scpd = Scpd {
    actions: &[
        action("AddPortMapping", 1, MAPPING, &[]),
        action(
            "AddAnyPortMapping",
            2,
            MAPPING,
            &[("NewReservedPort", "ExternalPort")],
        ),
        action("DeletePortMapping", 1, KEY, &[]),
        action(
            "DeletePortMappingRange",
            2,
            &[START, END, PROTOCOL, MANAGE],
            &[],
        ),
        action(
            "GetExternalIPAddress",
            1,
            &[],
            &[("NewExternalIPAddress", "ExternalIPAddress")],
        ),
        action("GetSpecificPortMappingEntry", 1, KEY, REST),
        action(
            "GetGenericPortMappingEntry",
            1,
            &[("NewPortMappingIndex", "PortMappingNumberOfEntries")],
            MAPPING,
        ),
        action(
            "GetListOfPortMappings",
            2,
            &[
                START,
                END,
                PROTOCOL,
                MANAGE,
                ("NewNumberOfPorts", "PortMappingNumberOfEntries"),
            ],
            &[("NewPortListing", "A_ARG_TYPE_PortListing")],
        ),
        action(
            "GetStatusInfo",
            1,
            &[],
            &[
                ("NewConnectionStatus", "ConnectionStatus"),
                ("NewLastConnectionError", "LastConnectionError"),
                ("NewUptime", "Uptime"),
            ],
        ),
        action(
            "GetNATRSIPStatus",
            1,
            &[],
            &[
                ("NewRSIPAvailable", "RSIPAvailable"),
                ("NewNATEnabled", "NATEnabled"),
            ],
        ),
        action(
            "GetConnectionTypeInfo",
            1,
            &[],
            &[
                ("NewConnectionType", "ConnectionType"),
                ("NewPossibleConnectionTypes", "PossibleConnectionTypes"),
            ],
        ),
        action("RequestConnection", 1, &[], &[]),
    ],
    variables: &[
        Variable("ConnectionType", "string", &[]),
        Variable("PossibleConnectionTypes", "string", &["IP_Routed"]),
        Variable("ConnectionStatus", "string", &["Connected", "Disconnected"]),
        Variable("LastConnectionError", "string", &["ERROR_NONE"]),
        Variable("Uptime", "ui4", &[]),
        Variable("RSIPAvailable", "boolean", &[]),
        Variable("NATEnabled", "boolean", &[]),
        Variable("ExternalIPAddress", "string", &[]),
        Variable("PortMappingNumberOfEntries", "ui2", &[]),
        Variable("RemoteHost", "string", &[]),
        Variable("ExternalPort", "ui2", &[]),
        Variable("PortMappingProtocol", "string", &["TCP", "UDP"]),
        Variable("InternalPort", "ui2", &[]),
        Variable("InternalClient", "string", &[]),
        Variable("PortMappingEnabled", "boolean", &[]),
        Variable("PortMappingDescription", "string", &[]),
        Variable("PortMappingLeaseDuration", "ui4", &[]),
        Variable("A_ARG_TYPE_Manage", "boolean", &[]),
        Variable("A_ARG_TYPE_PortListing", "string", &[]),
    ],
};

/// The service that reports about the link.
pub(super) const COMMON_INTERFACE: Scpd = Scpd {
    actions: &[
        action(
            "GetCommonLinkProperties",
            1,
            &[],
            &[
                ("NewWANAccessType", "WANAccessType"),
                ("NewLayer1UpstreamMaxBitRate", "Layer1UpstreamMaxBitRate"),
                (
                    "NewLayer1DownstreamMaxBitRate",
                    "Layer1DownstreamMaxBitRate",
                ),
                ("NewPhysicalLinkStatus", "PhysicalLinkStatus"),
            ],
        ),
        action(
            "GetTotalPacketsSent",
            1,
            &[],
            &[("NewTotalPacketsSent", "TotalPacketsSent")],
        ),
        action(
            "GetTotalPacketsReceived",
            1,
            &[],
            &[("NewTotalPacketsReceived", "TotalPacketsReceived")],
        ),
    ],
    variables: &[
        Variable("WANAccessType", "string", &["Ethernet"]),
        Variable("Layer1UpstreamMaxBitRate", "ui4", &[]),
        Variable("Layer1DownstreamMaxBitRate", "ui4", &[]),
        Variable("PhysicalLinkStatus", "string", &["Up", "Down"]),
        Variable("TotalPacketsSent", "ui4", &[]),
        Variable("TotalPacketsReceived", "ui4", &[]),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upnp::xml::Element;

    #[test]
    fn every_argument_has_its_variable() {
        for scpd in [&IP_CONNECTION, &COMMON_INTERFACE] {
            let root = Element::parse(&scpd.encode(2)).unwrap();
            let (mut arguments, mut variables) = (Vec::new(), Vec::new());
            root.all("relatedStateVariable", &mut arguments);
            root.all("stateVariable", &mut variables);
            for argument in arguments {
                let named = |it: &&&Element| it.text_of("name") == Some(argument.text.as_str());
                assert!(variables.iter().any(|it| named(&it)), "{}", argument.text);
            }
        }
    }

    #[test]
    fn actions_of_version_two_are_not_in_version_one() {
        let text = |version| String::from_utf8(IP_CONNECTION.encode(version)).unwrap();
        assert!(!text(1).contains("AddAnyPortMapping"));
        assert!(text(2).contains("AddAnyPortMapping"));
    }
}
