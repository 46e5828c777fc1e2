//! The part of SOAP that UPnP uses: calls of actions and their results (UPnP Device Architecture
//! §3.2).

use std::fmt::Write;

use super::UpnpError;
use super::xml::{Element, escape};

/// The call of an action, or its result, with arguments in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The type of the service; empty in a message that was read, because the HTTP header has it.
    pub service: String,
    /// The name of the action; in a result it ends with `Response`.
    pub name: String,
    /// Names and values.
    pub arguments: Vec<(String, String)>,
}

/// An error: the bytes are not a SOAP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SOAP message")]
pub struct SoapError;

impl Message {
    /// Returns the first argument of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut arguments = self.arguments.iter();
        arguments
            .find(|(argument, _)| argument == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads the body of a call or a result. A fault is the inner result.
    ///
    /// # Errors
    /// Fails when the bytes are neither.
    pub fn decode(bytes: &[u8]) -> Result<Result<Self, UpnpError>, SoapError> {
        let root = Element::parse(bytes).map_err(|_| SoapError)?;
        let body = Some(&root)
            .filter(|root| root.name == "Envelope")
            .and_then(|root| root.child("Body"))
            .ok_or(SoapError)?;
        let element = body.children.first().ok_or(SoapError)?;
        if element.name == "Fault" {
            let error = element
                .child("detail")
                .and_then(|detail| detail.child("UPnPError"))
                .and_then(|error| error.text_of("errorCode")?.parse().ok());
            return Ok(Err(error.map_or(UpnpError::ACTION_FAILED, UpnpError)));
        }
        let argument = |child: &Element| (child.name.clone(), child.text.clone());
        Ok(Ok(Self {
            service: String::new(),
            name: element.name.clone(),
            arguments: element.children.iter().map(argument).collect(),
        }))
    }

    /// Writes the body of a call or a result.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!(
            "{HEAD}<u:{} xmlns:u=\"{}\">",
            self.name,
            escape(&self.service)
        );
        for (name, value) in &self.arguments {
            // Writing to a string cannot fail.
            let _ = write!(text, "<{name}>{}</{name}>", escape(value));
        }
        let _ = write!(text, "</u:{}>{TAIL}", self.name);
        text.into_bytes()
    }
}

/// Writes the body of a fault.
#[must_use]
pub fn fault(error: UpnpError) -> Vec<u8> {
    let (code, name) = (error.0, error.name());
    format!(
        "{HEAD}<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>\
         <UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{code}</errorCode>\
         <errorDescription>{name}</errorDescription></UPnPError></detail></s:Fault>{TAIL}"
    )
    .into_bytes()
}

/// Reads the `SOAPAction` field: the service and the action.
#[must_use]
pub fn parse_action_header(text: &str) -> Option<(&str, &str)> {
    text.trim().trim_matches('"').rsplit_once('#')
}

const HEAD: &str = "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
     s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>";
const TAIL: &str = "</s:Body></s:Envelope>\r\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fault_carries_its_code() {
        let read = Message::decode(&fault(UpnpError::CONFLICT)).unwrap();
        assert_eq!(read, Err(UpnpError::CONFLICT));
        let bare = b"<Envelope><Body><Fault/></Body></Envelope>";
        assert_eq!(
            Message::decode(bare).unwrap(),
            Err(UpnpError::ACTION_FAILED)
        );
        for wrong in [
            &b"<Body/>"[..],
            b"<Envelope><Body/></Envelope>",
            b"",
            b"\xff",
        ] {
            assert_eq!(Message::decode(wrong), Err(SoapError));
        }
    }

    #[test]
    fn the_header_names_service_and_action() {
        assert_eq!(
            parse_action_header("\"urn:x:1#Do\""),
            Some(("urn:x:1", "Do"))
        );
        assert_eq!(parse_action_header(" urn:x:1#Do "), Some(("urn:x:1", "Do")));
        assert_eq!(parse_action_header("Do"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[A-Z][A-Za-z]{0,20}",
            arguments in proptest::collection::vec(("New[A-Za-z]{1,9}", "\\PC{0,30}"), 0..9),
        ) {
            prop_assume!(name != "Fault");
            let message = Message { service: String::new(), name, arguments };
            prop_assert_eq!(Message::decode(&message.encode()), Ok(Ok(message)));
        }
    }
}
