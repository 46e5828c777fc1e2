//! The description of a device: its services and their URLs (UPnP Device Architecture §2).

use super::Url;
use super::scpd::{COMMON_INTERFACE, IP_CONNECTION};
use super::xml::{Element, escape};

/// The description of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The name for people.
    pub name: String,
    /// Its unique name, without `uuid:`.
    pub uuid: String,
    /// The version of the standard: 1 or 2.
    pub version: u8,
}

/// A service of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its type, such as `urn:schemas-upnp-org:service:WANIPConnection:1`.
    pub kind: String,
    /// The URL for calls.
    pub control: Url,
}

/// An error: the bytes are not a device description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the description of a device")]
pub struct DescriptionError;

impl Description {
    /// Returns the type of the root device.
    #[must_use]
    pub fn device_type(&self) -> String {
        format!("{DEVICE}InternetGatewayDevice:{}", self.version)
    }

    /// Returns the type of the service that maps ports.
    #[must_use]
    pub fn connection_type(&self) -> String {
        format!("{SERVICE}WANIPConnection:{}", self.version)
    }

    /// Returns every search target of the device, as type and unique name.
    #[must_use]
    pub fn targets(&self) -> Vec<(String, String)> {
        let devices = [
            ("InternetGatewayDevice", 1),
            ("WANDevice", 2),
            ("WANConnectionDevice", 3),
        ];
        let mut targets = vec![("upnp:rootdevice".to_owned(), self.udn(1))];
        for (name, number) in devices {
            let udn = self.udn(number);
            targets.push((udn.clone(), udn.clone()));
            for version in 1..=self.version {
                targets.push((format!("{DEVICE}{name}:{version}"), udn.clone()));
            }
        }
        targets.push((format!("{SERVICE}WANCommonInterfaceConfig:1"), self.udn(2)));
        for version in 1..=self.version {
            targets.push((format!("{SERVICE}WANIPConnection:{version}"), self.udn(3)));
        }
        targets
    }

    /// Returns the unique name of the device, or of an embedded device, numbered from one.
    #[must_use]
    pub fn udn(&self, number: u8) -> String {
        let stem = self.uuid.get(..self.uuid.len().saturating_sub(2));
        format!("uuid:{}{number:02x}", stem.unwrap_or_default())
    }

    /// Writes the description.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let connection = self.service("WANIPConn1", &self.connection_type(), CONTROL_IP, SCPD_IP);
        let connection = self.device("WANConnectionDevice", 3, &connection, "");
        let common = format!("{SERVICE}WANCommonInterfaceConfig:1");
        let common = self.service("WANCommonIFC1", &common, CONTROL_COMMON, SCPD_COMMON);
        let wan = self.device("WANDevice", 2, &common, &connection);
        let root = self.device("InternetGatewayDevice", 1, "", &wan);
        format!(
            "<?xml version=\"1.0\"?>\r\n<root xmlns=\"urn:schemas-upnp-org:device-1-0\"><specVersion><major>1</major>\
             <minor>1</minor></specVersion>{root}</root>\r\n"
        )
        .into_bytes()
    }

    fn device(&self, kind: &str, number: u8, services: &str, devices: &str) -> String {
        let list = |name: &str, inner: &str| match inner {
            "" => String::new(),
            inner => format!("<{name}>{inner}</{name}>"),
        };
        format!(
            "<device><deviceType>{DEVICE}{kind}:{}</deviceType><friendlyName>{}</friendlyName>\
             <manufacturer>Jackfield</manufacturer><modelName>jackfield</modelName><UDN>{}</UDN>{}{}</device>",
            self.version,
            escape(&self.name),
            escape(&self.udn(number)),
            list("serviceList", services),
            list("deviceList", devices),
        )
    }

    fn service(&self, id: &str, kind: &str, control: &str, scpd: &str) -> String {
        format!(
            "<service><serviceType>{kind}</serviceType><serviceId>urn:upnp-org:serviceId:{id}</serviceId>\
             <SCPDURL>{scpd}</SCPDURL><controlURL>{control}</controlURL><eventSubURL>{EVENTS}</eventSubURL></service>"
        )
    }

    /// Returns the document at a path of the device, if there is one.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<Vec<u8>> {
        match path {
            ROOT => Some(self.encode()),
            SCPD_IP => Some(IP_CONNECTION.encode(self.version)),
            SCPD_COMMON => Some(COMMON_INTERFACE.encode(self.version)),
            _ => None,
        }
    }
}

/// Reads the services of a device from the description at `base`.
///
/// # Errors
/// Fails when the bytes are not a description.
pub fn services(bytes: &[u8], base: &Url) -> Result<Vec<Service>, DescriptionError> {
    let root = Element::parse(bytes).map_err(|_| DescriptionError)?;
    if root.name != "root" {
        return Err(DescriptionError);
    }
    let stated = root.text_of("URLBase").and_then(Url::parse);
    let base = stated.as_ref().unwrap_or(base);
    let mut found = Vec::new();
    root.all("service", &mut found);
    let services = found.into_iter().filter_map(|service| {
        Some(Service {
            kind: service.text_of("serviceType")?.to_owned(),
            control: base.join(service.text_of("controlURL")?)?,
        })
    });
    Ok(services.collect())
}

/// The path of the description.
pub const ROOT: &str = "/rootDesc.xml";
/// The control path of WANIPConnection.
pub const CONTROL_IP: &str = "/ctl/IPConn";
/// The control path of WANCommonInterfaceConfig.
pub const CONTROL_COMMON: &str = "/ctl/CmnIfCfg";
const SCPD_IP: &str = "/WANIPCn.xml";
const SCPD_COMMON: &str = "/WANCfg.xml";
const EVENTS: &str = "/evt";
const DEVICE: &str = "urn:schemas-upnp-org:device:";
const SERVICE: &str = "urn:schemas-upnp-org:service:";

#[cfg(test)]
mod tests {
    use super::*;

    fn description(version: u8) -> Description {
        Description {
            name: "Home & garden".into(),
            uuid: "00112233-4455-6677-8899-aabbccddeeff".into(),
            version,
        }
    }

    #[test]
    fn the_services_are_found_where_the_description_says() {
        let base = Url::parse("http://192.168.1.1:49000/rootDesc.xml").unwrap();
        for version in [1, 2] {
            let services = services(&description(version).encode(), &base).unwrap();
            assert_eq!(services.len(), 2);
            assert_eq!(services[1].kind, description(version).connection_type());
            let control = services[1].control.to_string();
            assert_eq!(control, "http://192.168.1.1:49000/ctl/IPConn");
        }
    }

    #[test]
    fn a_stated_base_counts_and_nonsense_does_not() {
        let base = Url::parse("http://192.168.1.1:49000/a/b.xml").unwrap();
        let text = "<root><URLBase>http://192.168.1.1:5000/</URLBase><device><serviceList><service><serviceType>x\
             </serviceType><controlURL>ctl</controlURL></service><service/></serviceList></device></root>";
        let services_of = |text: &str| services(text.as_bytes(), &base);
        let found = services_of(text).unwrap();
        assert_eq!(found[0].control.to_string(), "http://192.168.1.1:5000/ctl");
        assert_eq!(found.len(), 1);
        assert_eq!(services_of("<scpd/>"), Err(DescriptionError));
        assert_eq!(services_of(""), Err(DescriptionError));
    }

    #[test]
    fn each_device_has_a_name_of_its_own_and_answers_to_older_versions() {
        let description = description(2);
        let targets = description.targets();
        assert!(targets.contains(&(
            "urn:schemas-upnp-org:device:InternetGatewayDevice:1".into(),
            "uuid:00112233-4455-6677-8899-aabbccddee01".into(),
        )));
        assert_eq!(targets.len(), 1 + 3 * 3 + 1 + 2);
        assert!(description.document("/WANIPCn.xml").is_some());
        assert_eq!(description.document("/etc/passwd"), None);
    }
}
