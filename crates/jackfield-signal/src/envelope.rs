//! The JSON object that a message is: what the hub reads of it, and how it changes it without
//! touching the rest.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::ErrorCode;
use crate::write::quoted;

/// A message as it came, and where in it the fields are that the hub reads. Everything else is
/// opaque.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    text: &'a str,
    pub(crate) fields: Fields<'a>,
}

/// The fields the hub reads, each still as JSON text. `None` means that the key is not there; a
/// `null` is there.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Fields<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "present")]
    pub(crate) kind: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) target: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) room: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) text: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) token: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) session: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) access: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) user: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) from: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads a JSON object. A field that the hub reads must not be there twice: which of the two
    /// counts differs from parser to parser.
    pub(crate) fn parse(text: &'a str, max_depth: usize) -> Result<Self, ErrorCode> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        // serde takes an array for a struct as well.
        if !text.starts_with('{') {
            return Err(ErrorCode::Malformed);
        }
        // Receivers' parsers may recurse: what nests too deep could crash them.
        if depth(text) > max_depth {
            return Err(ErrorCode::TooDeep);
        }
        let fields = serde_json::from_str(text).map_err(|_| ErrorCode::Malformed)?;
        Ok(Self { text, fields })
    }

    /// Returns the message's length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Begins a copy of the message in which some fields differ.
    pub(crate) fn edit(&self) -> Edit<'a> {
        Edit {
            text: self.text,
            head: String::new(),
            replaced: Vec::new(),
            tail: String::new(),
        }
    }
}

/// Reads a field as a string: `None` where it is missing or `null`.
pub(crate) fn string(field: Option<&RawValue>) -> Result<Option<String>, ErrorCode> {
    match field {
        None => Ok(None),
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| ErrorCode::BadField),
    }
}

/// A message being changed. Bytes that are not named stay as they are.
#[derive(Debug)]
pub(crate) struct Edit<'a> {
    text: &'a str,
    head: String,
    replaced: Vec<(usize, usize, String)>,
    tail: String,
}

impl Edit<'_> {
    /// Gives the message its `type` as the first field, if it has none.
    pub(crate) fn kind_first(mut self, kind: &str, field: Option<&RawValue>) -> Self {
        if field.is_none() {
            self.head = format!("\"type\":{}", quoted(kind));
        }
        self
    }

    /// Replaces the value of a field that is there.
    pub(crate) fn replace(mut self, field: Option<&RawValue>, value: &str) -> Self {
        if let Some(raw) = field {
            // `raw` is a slice of `text`: the envelope was parsed from it.
            let start = raw.get().as_ptr() as usize - self.text.as_ptr() as usize;
            self.replaced
                .push((start, start + raw.get().len(), value.to_owned()));
        }
        self
    }

    /// Replaces the value of a field, or appends the field if it is not there.
    pub(crate) fn set(mut self, key: &'static str, field: Option<&RawValue>, value: &str) -> Self {
        if field.is_some() {
            return self.replace(field, value);
        }
        if !self.tail.is_empty() {
            self.tail.push(',');
        }
        self.tail.push_str(&format!("\"{key}\":{value}"));
        self
    }

    /// Returns the changed message.
    pub(crate) fn finish(mut self) -> String {
        // Fields come in any order; the copy below goes through the text once.
        self.replaced.sort_unstable();
        let inner = self
            .text
            .get(1..self.text.len().saturating_sub(1))
            .unwrap_or("");
        let empty = inner.bytes().all(|byte| byte.is_ascii_whitespace());
        let mut out =
            String::with_capacity(self.text.len() + self.head.len() + self.tail.len() + 2);
        out.push('{');
        out.push_str(&self.head);
        let more = !empty || !self.tail.is_empty();
        if more && !self.head.is_empty() {
            out.push(',');
        }
        let mut from = 1;
        for (start, end, value) in &self.replaced {
            out.push_str(self.text.get(from..*start).unwrap_or(""));
            out.push_str(value);
            from = *end;
        }
        out.push_str(self.text.get(from..self.text.len() - 1).unwrap_or(""));
        if !empty && !self.tail.is_empty() {
            out.push(',');
        }
        out.push_str(&self.tail);
        out.push('}');
        out
    }
}

/// Returns how deep arrays and objects nest, without recursion.
fn depth(text: &str) -> usize {
    let (mut deepest, mut depth) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn parse(text: &str) -> Envelope<'_> {
        Envelope::parse(text, 64).unwrap()
    }

    #[test]
    fn replacing_a_field_leaves_every_other_byte_alone() {
        let text =
            r#"{ "name" : "eve", "target":"bob" ,"sdp":{"type":"offer",  "sdp":"v=0\r\n\u0041"}}"#;
        let envelope = parse(text);
        let stamped = envelope
            .edit()
            .set("name", envelope.fields.name, "\"ann\"")
            .finish();
        assert_eq!(stamped, text.replace("\"eve\"", "\"ann\""));
    }

    #[test]
    fn a_missing_field_is_appended_and_a_missing_type_comes_first() {
        let edit = |text| {
            let envelope = parse(text);
            envelope
                .edit()
                .kind_first("message", envelope.fields.kind)
                .set("name", envelope.fields.name, "\"ann\"")
                .finish()
        };
        assert_eq!(
            edit(r#"{"text":"hi"}"#),
            r#"{"type":"message","text":"hi","name":"ann"}"#
        );
        assert_eq!(edit("{ }"), r#"{"type":"message", "name":"ann"}"#);
        assert_eq!(
            edit(r#"{"type":"message"}"#),
            r#"{"type":"message","name":"ann"}"#
        );
        let envelope = parse("{}");
        assert_eq!(
            envelope.edit().kind_first("x", None).finish(),
            r#"{"type":"x"}"#
        );
    }

    #[test]
    fn a_key_written_with_escapes_is_the_same_key() {
        let envelope = parse(r#"{"n\u0061me":"eve"}"#);
        let stamped = envelope
            .edit()
            .set("name", envelope.fields.name, "\"ann\"")
            .finish();
        assert_eq!(stamped, r#"{"n\u0061me":"ann"}"#);
    }

    #[test]
    fn what_is_not_one_object_with_each_field_once_is_malformed() {
        for text in [
            "",
            " ",
            "null",
            "[]",
            r#"["message"]"#,
            "{",
            "}",
            "{}{}",
            "{} x",
            r#"{"type":"a","type":"b"}"#,
            r#"{"name":1,"n\u0061me":2}"#,
            r#"{"a":}"#,
            r#"{"a":01}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":1,}"#,
            "\u{feff}{}",
        ] {
            assert_eq!(
                Envelope::parse(text, 64).unwrap_err(),
                ErrorCode::Malformed,
                "{text}"
            );
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_anything_recurses() {
        let text = format!(
            "{{\"a\":{}{}}}",
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        assert_eq!(Envelope::parse(&text, 64).unwrap_err(), ErrorCode::TooDeep);
        // A million levels are opaque text to the parser as well, if the limit is lifted.
        assert!(Envelope::parse(&text, usize::MAX).is_ok());
        assert!(Envelope::parse(r#"{"a":"[[[[[[\"[[[["}"#, 1).is_ok());
    }

    #[test]
    fn a_string_is_a_string_or_null_or_missing() {
        let envelope = parse(r#"{"type":null,"name":"\u00e4","target":7,"room":"\ud800"}"#);
        assert_eq!(string(envelope.fields.kind), Ok(None));
        assert_eq!(string(envelope.fields.name), Ok(Some("ä".to_owned())));
        assert_eq!(string(envelope.fields.target), Err(ErrorCode::BadField));
        assert_eq!(string(envelope.fields.room), Err(ErrorCode::BadField));
        assert_eq!(string(envelope.fields.text), Ok(None));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_edit_changes_what_it_names_and_nothing_else(
            fields in prop::collection::vec((prop_oneof!["name|target|room|sdp|data", ".{0,4}"], json()), 0..6),
            pretty in any::<bool>(), name in ".{0,8}",
        ) {
            let object = Value::Object(fields.into_iter().filter(|(key, _)| key != "type").collect());
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let envelope = parse(&text);
            let edited = envelope.edit().kind_first("message", None)
                .set("name", envelope.fields.name, &quoted(&name))
                .set("room", envelope.fields.room, "\"r\"")
                .finish();
            let mut expected = object;
            expected["type"] = "message".into();
            expected["name"] = name.into();
            expected["room"] = "r".into();
            prop_assert_eq!(serde_json::from_str::<Value>(&edited).unwrap(), expected);
        }
    }
}
