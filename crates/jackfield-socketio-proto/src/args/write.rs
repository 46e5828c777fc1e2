//! Writing arguments: a tuple is several arguments, `()` is none, anything else is one.

use std::fmt;

use bytes::Bytes;
use serde::ser::{self, Impossible, Serialize, Serializer};

use crate::binary::collect_attachments;

/// What stands in the array before the arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lead<'a> {
    /// Nothing: an acknowledgement.
    Nothing,
    /// The event's name.
    Name(&'a str),
}

/// Appends the JSON array of `lead` and `args` to `out` and returns the attachments that the JSON
/// refers to.
pub(crate) fn write_args<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    lead: Lead<'_>,
    args: &T,
) -> Result<Vec<Bytes>, serde_json::Error> {
    out.push(b'[');
    if let Lead::Name(name) = lead {
        serde_json::to_writer(&mut *out, name)?;
        out.push(b',');
    }
    // The shape is asked for first: a look at a value must not count its attachments.
    let shape = shape(args);
    let (written, attachments) = collect_attachments(|| match shape {
        Shape::None => Ok(()),
        Shape::One => serde_json::to_writer(&mut *out, args),
        Shape::Several => spread(out, args),
    });
    written?;
    // A name without arguments has left its comma.
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b']');
    Ok(attachments)
}

/// Checks that what was written has no placeholder beside those of its attachments.
pub(crate) fn check_written(json: &str, attachments: usize) -> Result<(), serde_json::Error> {
    if placeholders(json) <= attachments {
        return Ok(());
    }
    Err(ser::Error::custom(
        "the arguments hold the placeholder of an attachment that is not there: a value read \
         without its attachments cannot be passed on (read Args or Binary instead)",
    ))
}

fn placeholders(json: &str) -> usize {
    // In a string, the quotes would be escaped.
    json.match_indices(r#""_placeholder""#)
        .filter(|(at, key)| {
            let value = json.get(at + key.len()..).unwrap_or_default().trim_start();
            let value = value.strip_prefix(':').unwrap_or_default();
            value.trim_start().starts_with("true")
        })
        .count()
}

/// Appends the elements of the array that `args` becomes, without the array's brackets.
fn spread<T: Serialize + ?Sized>(out: &mut Vec<u8>, args: &T) -> Result<(), serde_json::Error> {
    let start = out.len();
    serde_json::to_writer(&mut *out, args)?;
    // serde_json has written the tuple as an array: its elements go into the one that is open.
    out.pop();
    out.remove(start);
    Ok(())
}

/// How many arguments a value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    None,
    One,
    Several,
}

fn shape<T: Serialize + ?Sized>(args: &T) -> Shape {
    let shape = args.serialize(Probe).unwrap_or_else(|Answer(shape)| shape);
    // For serde, an array with a fixed length is a tuple.
    if shape == Shape::Several && is_array::<T>() {
        return Shape::One;
    }
    shape
}

/// Returns whether a type is an array, or a reference to one. No trait tells arrays from tuples
/// without naming their lengths; the names of types do.
fn is_array<T: ?Sized>() -> bool {
    let mut name = std::any::type_name::<T>();
    while let Some(target) = name.strip_prefix('&') {
        name = target.strip_prefix("mut ").unwrap_or(target);
    }
    name.starts_with('[')
}

/// A serializer that looks at the outermost type only.
struct Probe;

/// The answer of a [`Probe`] to a compound value, given as an error to end the serialization at
/// once.
#[derive(Debug)]
struct Answer(Shape);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shape is known")
    }
}

impl std::error::Error for Answer {}

impl ser::Error for Answer {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(Shape::One)
    }
}

macro_rules! one {
    ($($method:ident($($type:ty),*);)*) => {
        $(fn $method(self, $(_: $type),*) -> Result<Shape, Answer> { Ok(Shape::One) })*
    };
}

impl Serializer for Probe {
    type Ok = Shape;
    type Error = Answer;
    type SerializeSeq = Impossible<Shape, Answer>;
    type SerializeTuple = Impossible<Shape, Answer>;
    type SerializeTupleStruct = Impossible<Shape, Answer>;
    type SerializeTupleVariant = Impossible<Shape, Answer>;
    type SerializeMap = Impossible<Shape, Answer>;
    type SerializeStruct = Impossible<Shape, Answer>;
    type SerializeStructVariant = Impossible<Shape, Answer>;

    one! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    fn serialize_unit(self) -> Result<Shape, Answer> {
        Ok(Shape::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Shape, Answer> {
        Ok(Shape::One)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<Shape, Answer> {
        Ok(Shape::One)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Shape, Answer> {
        Ok(Shape::One)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Answer> {
        Err(Answer(Shape::Several))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Answer> {
        Err(Answer(Shape::One))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Answer> {
        Err(Answer(Shape::One))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binary;

    fn event<T: Serialize + ?Sized>(args: &T) -> String {
        let mut out = Vec::new();
        write_args(&mut out, Lead::Name("e"), args).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn ack<T: Serialize + ?Sized>(args: &T) -> String {
        let mut out = Vec::new();
        write_args(&mut out, Lead::Nothing, args).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_tuple_is_several_arguments() {
        assert_eq!(event(&("a", 1, [true])), r#"["e","a",1,[true]]"#);
        assert_eq!(ack(&("a", 1)), r#"["a",1]"#);
        assert_eq!(event(&("a",)), r#"["e","a"]"#);
    }

    #[test]
    fn a_placeholder_without_its_attachment_is_refused() {
        let refused = |args: &dyn erased::Args| args.write().is_err();
        for value in [
            serde_json::json!({"_placeholder": true, "num": 0}),
            serde_json::json!([{"a": {"num": 0, "_placeholder": true}}]),
        ] {
            assert!(refused(&value));
            assert!(refused(&(Binary::from(&b"x"[..]), &value)));
        }
        let raw = r#"{"_placeholder" : true}"#.to_owned();
        assert!(refused(
            &serde_json::value::RawValue::from_string(raw).unwrap()
        ));
        for value in [
            serde_json::json!({"_placeholder": false, "num": 0}),
            serde_json::json!(["_placeholder", true, "\"_placeholder\":true"]),
        ] {
            assert!(!refused(&value));
        }
        assert!(!refused(&(Binary::from(&b"x"[..]), [Binary::default()])));
    }

    /// Arguments of several types in one list.
    mod erased {
        use super::Serialize;
        use crate::packet::{EncodeError, EventBody};

        pub(super) trait Args {
            fn write(&self) -> Result<(), EncodeError>;
        }

        impl<T: Serialize> Args for T {
            fn write(&self) -> Result<(), EncodeError> {
                EventBody::new("e", self).map(drop)
            }
        }
    }

    #[test]
    fn unit_is_no_argument() {
        assert_eq!(event(&()), r#"["e"]"#);
        assert_eq!(ack(&()), "[]");
    }

    #[test]
    fn anything_else_is_one_argument() {
        assert_eq!(event("a"), r#"["e","a"]"#);
        assert_eq!(event(&vec![1, 2]), r#"["e",[1,2]]"#);
        assert_eq!(event(&[1.5, 2.5]), r#"["e",[1.5,2.5]]"#);
        assert_eq!(event(&&mut [1, 2]), r#"["e",[1,2]]"#);
        assert_eq!(event(&[1, 2][..]), r#"["e",[1,2]]"#);
        assert_eq!(event::<[u8; 0]>(&[]), r#"["e",[]]"#);
        assert_eq!(event(&([1, 2],)), r#"["e",[1,2]]"#);
        assert_eq!(event(&None::<u8>), r#"["e",null]"#);
        assert_eq!(ack(&serde_json::json!({"a": [1]})), r#"[{"a":[1]}]"#);
    }
}
