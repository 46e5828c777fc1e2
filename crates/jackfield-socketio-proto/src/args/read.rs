//! Reading arguments out of the JSON array that carries them.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

use crate::Binary;

/// JSON text that a seed reads.
pub(super) struct Json<'a>(pub(super) &'a str);

impl<'a> Json<'a> {
    pub(super) fn parse_with<S: DeserializeSeed<'a>>(
        self,
        seed: S,
    ) -> Result<S::Value, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(self.0);
        let value = seed.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }
}

/// Reads an array as `T` after skipping its first elements; what `T` leaves is ignored.
pub(super) struct Skip<T> {
    count: usize,
    target: PhantomData<T>,
}

impl<T> Skip<T> {
    pub(super) const fn new(count: usize) -> Self {
        Self {
            count,
            target: PhantomData,
        }
    }
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Skip<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Skip<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        for _ in 0..self.count {
            seq.next_element::<IgnoredAny>()?;
        }
        let value = T::deserialize(SeqAccessDeserializer::new(&mut seq))?;
        // serde_json takes an array that is left before its end for an error.
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }
}

/// Reads one element of an array.
pub(super) struct Nth<T> {
    index: usize,
    target: PhantomData<T>,
}

impl<T> Nth<T> {
    pub(super) const fn new(index: usize) -> Self {
        Self {
            index,
            target: PhantomData,
        }
    }
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Nth<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Nth<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        for _ in 0..self.index {
            seq.next_element::<IgnoredAny>()?;
        }
        let value = seq.next_element()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }
}

/// Returns whether each placeholder in `json` names one of `attachments` attachments, as far as
/// the JSON can be read.
///
/// The walk ends at a number that no float holds, and at the 128th level of nesting. JavaScript
/// writes both, so they are no reason to refuse a packet. A handler that asks for such an argument
/// gets an error, and a placeholder behind it is checked again when it is asked for.
pub(crate) fn check_placeholders(json: &str, attachments: usize) -> bool {
    let is_bad = Cell::new(false);
    let check = Check {
        attachments,
        is_bad: &is_bad,
    };
    let _end = Json(json).parse_with(check);
    !is_bad.get()
}

/// Walks a value and refuses a placeholder without its attachment.
#[derive(Clone, Copy)]
struct Check<'a> {
    attachments: usize,
    is_bad: &'a Cell<bool>,
}

/// What a walked value is, as far as an object around it must know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    True,
    Index(u64),
    Other,
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Seen, E> {
        Ok(if value { Seen::True } else { Seen::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Seen, E> {
        Ok(Seen::Index(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Seen, A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(Seen::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        let mut placeholder = false;
        let mut num = Seen::Other;
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            // The last of a repeated key counts, as where the value is read.
            match key.as_str() {
                "_placeholder" => placeholder = value == Seen::True,
                "num" => num = value,
                _ => {}
            }
        }
        let known = |index: u64| usize::try_from(index).is_ok_and(|index| index < self.attachments);
        match num {
            Seen::Index(index) if placeholder && known(index) => Ok(Seen::Other),
            _ if placeholder => {
                self.is_bad.set(true);
                Err(A::Error::custom("no such attachment"))
            }
            _ => Ok(Seen::Other),
        }
    }
}

/// A JSON value whose placeholders are resolved, for passing it on in another packet.
#[derive(Debug)]
pub(super) enum WithBinary {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
    Binary(Binary),
}

impl Serialize for WithBinary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::String(value) => serializer.serialize_str(value),
            Self::Array(values) => values.serialize(serializer),
            Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Binary(binary) => binary.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for WithBinary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WithBinaryVisitor)
    }
}

struct WithBinaryVisitor;

impl<'de> Visitor<'de> for WithBinaryVisitor {
    type Value = WithBinary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<WithBinary, E> {
        Ok(WithBinary::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<WithBinary, E> {
        Ok(WithBinary::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<WithBinary, E> {
        Ok(WithBinary::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<WithBinary, E> {
        Ok(Number::from_f64(value).map_or(WithBinary::Null, WithBinary::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<WithBinary, E> {
        Ok(WithBinary::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<WithBinary, E> {
        Ok(WithBinary::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<WithBinary, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(WithBinary::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WithBinary, A::Error> {
        let mut entries: Vec<(String, WithBinary)> = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        let find = |name: &str| {
            entries
                .iter()
                // The last of a repeated key counts, as in JavaScript.
                .rfind(|(key, _)| key == name)
                .map(|(_, value)| value)
        };
        if !matches!(find("_placeholder"), Some(WithBinary::Bool(true))) {
            return Ok(WithBinary::Object(entries));
        }
        match find("num") {
            Some(WithBinary::Number(num)) => num
                .as_u64()
                .and_then(|num| usize::try_from(num).ok())
                .and_then(crate::binary::resolve)
                .map(WithBinary::Binary)
                .ok_or_else(|| A::Error::custom("no such attachment")),
            _ => Err(A::Error::custom("no such attachment")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_needs_its_attachment() {
        assert!(check_placeholders(
            r#"["a",{"_placeholder":true,"num":0}]"#,
            1
        ));
        assert!(check_placeholders(
            r#"["a",{"num":9},{"_placeholder":false,"num":9}]"#,
            1
        ));
        for json in [
            r#"["a",{"_placeholder":true,"num":1}]"#,
            r#"["a",{"_placeholder":true,"num":-1}]"#,
            r#"["a",{"_placeholder":true,"num":"0"}]"#,
            r#"["a",{"_placeholder":true,"num":"splice"}]"#,
            r#"["a",{"_placeholder":true,"num":0.5}]"#,
            r#"["a",{"_placeholder":true}]"#,
            r#"["a",{"x":[{"_placeholder":true,"num":7}]}]"#,
        ] {
            assert!(!check_placeholders(json, 1), "{json}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_bad_placeholder_and_needs_no_deep_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(check_placeholders(&deep, 1));
        assert!(check_placeholders(r#"["a",1e400]"#, 1));
        let before = r#"["a",{"_placeholder":true,"num":1},1e400]"#;
        assert!(!check_placeholders(before, 1));
    }
}
