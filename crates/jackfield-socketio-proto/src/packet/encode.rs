//! Packets as text and attachments.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;

use super::EventBody;

/// A packet ready for the engine: its text, then its attachments, adjacent and in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The text message.
    pub text: ByteString,
    /// The binary messages after it.
    pub attachments: Vec<Bytes>,
}

/// Why a packet cannot be encoded: the caller's mistake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The name is one of those that the library itself emits.
    #[error("the event name is reserved")]
    ReservedName,
    /// The arguments cannot be written as JSON.
    #[error("the arguments cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The packet has more attachments than its receiver takes.
    #[error("the packet has {0} attachments, more than its receiver takes")]
    TooManyAttachments(usize),
}

/// Returns whether an event name is reserved: the library emits it itself, on one side or the
/// other.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "connect"
            | "connect_error"
            | "disconnect"
            | "disconnecting"
            | "newListener"
            | "removeListener"
    )
}

/// Encodes an event. A tuple gives several arguments, `()` none, any other value one.
///
/// # Errors
/// When the name is reserved or the arguments cannot be JSON.
pub fn event<T: Serialize + ?Sized>(
    namespace: &str,
    ack_id: Option<u64>,
    name: &str,
    args: &T,
) -> Result<Encoded, EncodeError> {
    Ok(EventBody::new(name, args)?.encode(namespace, ack_id))
}

/// Encodes an acknowledgement. Arguments are as in [`event`].
///
/// # Errors
/// When the arguments cannot be JSON.
pub fn ack<T: Serialize + ?Sized>(
    namespace: &str,
    ack_id: u64,
    args: &T,
) -> Result<Encoded, EncodeError> {
    let body = EventBody::of_ack(args)?;
    let prefix = prefix(
        ['3', '6'],
        namespace,
        Some(ack_id),
        body.attachments().len(),
    );
    Ok(body.behind(prefix))
}

/// Encodes the packet that joins a namespace or confirms that, with its JSON object.
#[must_use]
pub fn connect(namespace: &str, json: Option<&str>) -> ByteString {
    plain('0', namespace, json)
}

/// Encodes the packet that leaves a namespace.
#[must_use]
pub fn disconnect(namespace: &str) -> ByteString {
    plain('1', namespace, None)
}

/// Encodes the refusal to join a namespace, with its JSON.
#[must_use]
pub fn connect_error(namespace: &str, json: &str) -> ByteString {
    plain('4', namespace, Some(json))
}

fn plain(kind: char, namespace: &str, json: Option<&str>) -> ByteString {
    let mut text = kind.to_string();
    push_namespace(&mut text, namespace);
    text.push_str(json.unwrap_or_default());
    text.into()
}

fn push_namespace(text: &mut String, namespace: &str) {
    if namespace != "/" {
        text.push_str(namespace);
        text.push(',');
    }
}

/// Returns what stands before the JSON of an event or an acknowledgement.
pub(super) fn prefix(
    [text_kind, binary_kind]: [char; 2],
    namespace: &str,
    ack_id: Option<u64>,
    attachments: usize,
) -> String {
    let mut text = String::with_capacity(namespace.len() + 16);
    if attachments == 0 {
        text.push(text_kind);
    } else {
        text.push(binary_kind);
        text.push_str(&attachments.to_string());
        text.push('-');
    }
    push_namespace(&mut text, namespace);
    if let Some(id) = ack_id {
        text.push_str(&id.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Binary;
    use crate::engine::Message;
    use crate::packet::{Content, Decoder};

    #[test]
    fn packets_are_written_as_the_protocol_document_shows() {
        let text = |encoded: Result<Encoded, EncodeError>| encoded.unwrap().text;
        assert_eq!(text(event("/", None, "hello", &1)), r#"2["hello",1]"#);
        assert_eq!(
            text(event("/admin", Some(456), "project:delete", &123)),
            r#"2/admin,456["project:delete",123]"#
        );
        assert_eq!(text(ack("/admin", 456, &())), "3/admin,456[]");
        assert_eq!(connect("/", None), "0");
        assert_eq!(connect("/admin", Some("{}")), "0/admin,{}");
        assert_eq!(disconnect("/admin"), "1/admin,");
        assert_eq!(
            connect_error("/", r#"{"message":"x"}"#),
            r#"4{"message":"x"}"#
        );
        let encoded = event("/", None, "hello", &Binary::from(&[1_u8, 2][..])).unwrap();
        assert_eq!(
            encoded.text,
            r#"51-["hello",{"_placeholder":true,"num":0}]"#
        );
        assert_eq!(encoded.attachments, [&[1_u8, 2][..]]);
    }

    #[test]
    fn what_receivers_refuse_is_not_written() {
        assert!(matches!(
            event("/", None, "disconnect", &()),
            Err(EncodeError::ReservedName)
        ));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            namespace in "/[a-z0-9/_-]{0,12}",
            ack_id in proptest::option::of(0..1_u64 << 53),
            name in ".*",
            words in proptest::collection::vec(".*", 0..4),
            files in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..32), 0..10),
        ) {
            prop_assume!(!is_reserved(&name));
            let files: Vec<Binary> = files.into_iter().map(Binary::from).collect();
            let encoded = event(&namespace, ack_id, &name, &(&words, &files)).unwrap();
            let mut decoder = Decoder::default();
            let mut packet = decoder.handle_message(Message::Text(encoded.text)).unwrap();
            for attachment in encoded.attachments {
                prop_assert!(packet.is_none());
                packet = decoder.handle_message(Message::Binary(attachment)).unwrap();
            }
            let packet = packet.unwrap();
            prop_assert_eq!(&*packet.namespace, &*namespace);
            let Content::Event(event) = packet.content else { panic!() };
            prop_assert_eq!(&*event.name, &*name);
            prop_assert_eq!(event.ack_id, ack_id);
            let back: (Vec<String>, Vec<Binary>) = event.args.parse().unwrap();
            prop_assert_eq!(back, (words, files));
        }
    }
}
