//! SSDP: searches for devices and their advertisements (UPnP Device Architecture §1).

use super::Url;
use super::http::{HeaderFields, Progress, Request, Response};

/// A search for devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The search target: a device or service type, a device, `upnp:rootdevice` or `ssdp:all`.
    pub target: String,
    /// The longest delay of an answer, in seconds.
    pub max_wait: u8,
}

/// An advertisement of a device: the answer to a search, or a multicast notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertisement {
    /// The target that it advertises.
    pub target: String,
    /// The unique name of the device, followed by the target.
    pub usn: String,
    /// The URL of the description; `None` when the device goes.
    pub location: Option<Url>,
    /// How long the advertisement is valid, in seconds.
    pub max_age: u32,
}

impl Search {
    /// Reads a search.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let Progress::Complete(request) = Request::read(bytes) else {
            return None;
        };
        let discovers = request
            .headers
            .get("man")
            .is_some_and(|man| man.trim_matches('"') == "ssdp:discover");
        let target = request.headers.get("st")?.to_owned();
        // A unicast search has no MX field: it is answered at once.
        let max_wait = request.headers.get("mx").and_then(|mx| mx.parse().ok());
        (request.method == "M-SEARCH" && request.path == "*" && discovers).then(|| Self {
            target,
            max_wait: max_wait.unwrap_or(0),
        })
    }

    /// Writes the search.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Request {
            method: "M-SEARCH".to_owned(),
            path: "*".to_owned(),
            headers: HeaderFields(vec![
                field("host", "239.255.255.250:1900"),
                field("man", "\"ssdp:discover\""),
                field("mx", &self.max_wait.to_string()),
                field("st", &self.target),
            ]),
            body: Vec::new(),
        }
        .write()
    }
}

impl Advertisement {
    /// Reads the answer to a search, or a notification.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if let Progress::Complete(response) = Response::read(bytes, true)
            && response.status == 200
        {
            return Self::read(&response.headers, "st", true);
        }
        match Request::read(bytes) {
            Progress::Complete(request) if request.method == "NOTIFY" => {
                match request.headers.get("nts")? {
                    "ssdp:alive" | "ssdp:update" => Self::read(&request.headers, "nt", true),
                    "ssdp:byebye" => Self::read(&request.headers, "nt", false),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn read(headers: &HeaderFields, target: &str, is_here: bool) -> Option<Self> {
        let location = headers.get("location").and_then(Url::parse);
        if is_here && location.is_none() {
            return None;
        }
        let age = headers.get("cache-control").and_then(|control| {
            let (_, age) = control.split_once('=')?;
            age.trim().parse().ok()
        });
        Some(Self {
            target: headers.get(target)?.to_owned(),
            usn: headers.get("usn").unwrap_or_default().to_owned(),
            location: location.filter(|_| is_here),
            max_age: age.unwrap_or(DEFAULT_AGE),
        })
    }

    /// Writes the answer to a search.
    #[must_use]
    pub fn encode_answer(&self, server: &str) -> Vec<u8> {
        let mut headers = self.fields("st", server);
        headers.push(("ext".to_owned(), String::new()));
        Response {
            status: 200,
            headers: HeaderFields(headers),
            body: Vec::new(),
        }
        .write()
    }

    /// Writes a notification: `ssdp:alive`, or `ssdp:byebye` without a location.
    #[must_use]
    pub fn encode_notify(&self, server: &str) -> Vec<u8> {
        let mut headers = self.fields("nt", server);
        headers.push(("host".to_owned(), "239.255.255.250:1900".to_owned()));
        let kind = match self.location {
            Some(_) => "ssdp:alive",
            None => "ssdp:byebye",
        };
        headers.push(("nts".to_owned(), kind.to_owned()));
        Request {
            method: "NOTIFY".to_owned(),
            path: "*".to_owned(),
            headers: HeaderFields(headers),
            body: Vec::new(),
        }
        .write()
    }

    fn fields(&self, target: &str, server: &str) -> Vec<(String, String)> {
        let mut fields = vec![
            (target.to_owned(), self.target.clone()),
            ("usn".to_owned(), self.usn.clone()),
            ("server".to_owned(), server.to_owned()),
        ];
        if let Some(location) = &self.location {
            let age = format!("max-age={}", self.max_age);
            fields.push(("cache-control".to_owned(), age));
            fields.push(("location".to_owned(), location.to_string()));
        }
        fields
    }
}

const DEFAULT_AGE: u32 = 1800;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_search_of_a_stock_client_is_read() {
        let bytes = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\
            ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\n\r\n";
        let search = Search::decode(bytes).unwrap();
        assert_eq!(search.max_wait, 2);
        assert!(search.target.ends_with("InternetGatewayDevice:1"));
        assert_eq!(Search::decode(b"GET * HTTP/1.1\r\nST: x\r\n\r\n"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            target in "[a-z:]([a-z0-9:-]*[a-z])?",
            max_wait in any::<u8>(),
            address in any::<std::net::SocketAddrV4>(),
            max_age in any::<u32>(),
            is_here in any::<bool>(),
        ) {
            let search = Search { target: target.clone(), max_wait };
            prop_assert_eq!(Search::decode(&search.encode()), Some(search));
            let url = Url { host: address.into(), path: "/x.xml".into() };
            let mut advertisement = Advertisement {
                usn: format!("uuid:1::{target}"),
                target,
                location: Some(url),
                max_age,
            };
            prop_assert_eq!(Advertisement::decode(&advertisement.encode_answer("x")), Some(advertisement.clone()));
            if !is_here {
                advertisement.location = None;
                advertisement.max_age = DEFAULT_AGE;
            }
            prop_assert_eq!(Advertisement::decode(&advertisement.encode_notify("x")), Some(advertisement));
        }
    }
}
