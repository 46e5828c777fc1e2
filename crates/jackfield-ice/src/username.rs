//! The names in a connectivity check ([RFC 8445 §7.2.2]).
//!
//! [RFC 8445 §7.2.2]: https://www.rfc-editor.org/rfc/rfc8445#section-7.2.2

use jackfield_stun::attribute::Username;
use jackfield_stun::{Class, Message, Method};

/// Returns the username fragments of a connectivity check: that of its receiver, which is ours, and
/// that of its sender.
///
/// A driver of many agents on one port finds with it the agent that a first packet is for. It
/// proves nothing: the agent checks the signature. `None` for all but Binding requests with a
/// USERNAME that has a colon.
///
/// ```
/// assert_eq!(jackfield_ice::username(b"GET / HTTP/1.1\r\n"), None);
/// ```
#[must_use]
pub fn username(packet: &[u8]) -> Option<(&str, &str)> {
    let message = Message::parse(packet).ok()?;
    if (message.class(), message.method()) != (Class::Request, Method::BINDING) {
        return None;
    }
    let Username(name) = message.get().ok()??;
    name.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_stun::{MessageWriter, TransactionId};

    fn check(class: Class, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let id = TransactionId::new(*b"abcdefghijkl");
        let mut writer = MessageWriter::new(&mut bytes, class, Method::BINDING, id);
        writer.attribute(&Username(name));
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn a_check_names_its_receiver_first() {
        let bytes = check(Class::Request, "theirs:ours:more");
        assert_eq!(username(&bytes), Some(("theirs", "ours:more")));
    }

    #[test]
    fn what_is_no_check_names_none() {
        assert_eq!(username(&check(Class::Request, "no colon")), None);
        assert_eq!(username(&check(Class::Indication, "a:b")), None);
        assert_eq!(username(b""), None);
    }
}
