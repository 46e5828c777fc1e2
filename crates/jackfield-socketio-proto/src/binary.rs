//! Binary values inside JSON arguments: placeholders on the wire, [`Binary`] in Rust.

use std::cell::RefCell;
use std::fmt;

use bytes::Bytes;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that travel as an attachment of a Socket.IO packet.
///
/// In arguments given to an encoder of this crate, each `Binary` becomes a placeholder in the JSON
/// and a binary message after it; in arguments that are read by [`Args`](crate::Args), the
/// placeholder becomes the bytes again. Anywhere else it can be neither serialized nor
/// deserialized.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Binary(pub Bytes);

impl<T: Into<Bytes>> From<T> for Binary {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

// Serde hands no context down to a value, so the attachments of the packet at hand are lent to the
// thread for as long as its arguments are written or read.
thread_local! {
    /// The attachments of the packet that this thread encodes, if it encodes one.
    static ENCODING: RefCell<Option<Vec<Bytes>>> = const { RefCell::new(None) };
    /// The attachments of the packet that this thread decodes, if it decodes one.
    static DECODING: RefCell<Option<Vec<Bytes>>> = const { RefCell::new(None) };
}

/// Runs `encode` and returns the attachments that it met, in the order of their placeholders.
pub(crate) fn collect_attachments<T>(encode: impl FnOnce() -> T) -> (T, Vec<Bytes>) {
    let scope = Scope::enter(&ENCODING, Vec::new());
    let value = encode();
    (value, scope.leave())
}

/// Runs `decode` with these attachments to resolve placeholders.
pub(crate) fn with_attachments<T>(attachments: &[Bytes], decode: impl FnOnce() -> T) -> T {
    let scope = Scope::enter(&DECODING, attachments.to_vec());
    let value = decode();
    scope.leave();
    value
}

/// Returns an attachment of the packet that is being decoded.
pub(crate) fn resolve(num: usize) -> Option<Binary> {
    DECODING
        .with_borrow(|attachments| attachments.as_ref()?.get(num).cloned())
        .map(Binary)
}

/// Puts a list into a thread-local slot and gives the former one back, also when the code between
/// panics.
struct Scope {
    slot: &'static std::thread::LocalKey<RefCell<Option<Vec<Bytes>>>>,
    outer: Option<Vec<Bytes>>,
}

impl Scope {
    fn enter(
        slot: &'static std::thread::LocalKey<RefCell<Option<Vec<Bytes>>>>,
        list: Vec<Bytes>,
    ) -> Self {
        let outer = slot.replace(Some(list));
        Self { slot, outer }
    }

    fn leave(self) -> Vec<Bytes> {
        self.slot.take().unwrap_or_default()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.slot.set(self.outer.take());
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let num = ENCODING
            .with_borrow_mut(|attachments| {
                let attachments = attachments.as_mut()?;
                attachments.push(self.0.clone());
                Some(attachments.len() - 1)
            })
            .ok_or_else(|| S::Error::custom("binary outside the arguments of a packet"))?;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("_placeholder", &true)?;
        map.serialize_entry("num", &num)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let num = deserializer.deserialize_map(PlaceholderVisitor)?;
        resolve(num).ok_or_else(|| D::Error::custom("no such attachment"))
    }
}

struct PlaceholderVisitor;

impl<'de> Visitor<'de> for PlaceholderVisitor {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("binary data")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        let mut placeholder = false;
        let mut num = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "_placeholder" => placeholder = map.next_value()?,
                "num" => num = Some(map.next_value::<usize>()?),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        match num {
            Some(num) if placeholder => Ok(num),
            _ => Err(A::Error::custom("not binary data")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_becomes_a_placeholder_and_an_attachment() {
        let value = (Binary::from(&b"a"[..]), vec![Binary::from(&b"b"[..])]);
        let (json, attachments) = collect_attachments(|| serde_json::to_string(&value).unwrap());
        assert_eq!(
            json,
            r#"[{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]"#
        );
        assert_eq!(attachments, [&b"a"[..], &b"b"[..]]);
        let back: (Binary, Vec<Binary>) =
            with_attachments(&attachments, || serde_json::from_str(&json).unwrap());
        assert_eq!(back, value);
    }

    #[test]
    fn binary_outside_a_packet_is_an_error() {
        assert!(serde_json::to_string(&Binary::default()).is_err());
        assert!(serde_json::from_str::<Binary>(r#"{"_placeholder":true,"num":0}"#).is_err());
    }

    #[test]
    fn an_index_out_of_range_is_an_error() {
        let decode = |json: &str| {
            with_attachments(&[Bytes::new()], || {
                serde_json::from_str::<Binary>(json).is_ok()
            })
        };
        assert!(decode(r#"{"_placeholder":true,"num":0}"#));
        assert!(!decode(r#"{"_placeholder":true,"num":1}"#));
        assert!(!decode(r#"{"_placeholder":true,"num":-1}"#));
        assert!(!decode(r#"{"_placeholder":false,"num":0}"#));
        assert!(!decode(r#"{"num":0}"#));
    }
}
