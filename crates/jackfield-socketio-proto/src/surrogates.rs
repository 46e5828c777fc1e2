//! Half characters in JSON.
//!
//! A string of JavaScript may hold one half of a surrogate pair, and `JSON.stringify` writes it as
//! an escape, `\ud83d`. JSON allows that (RFC 8259 section 8.2), and no text of Rust can hold it.

use bytestring::ByteString;

/// Returns the JSON with U+FFFD in place of each half of a surrogate pair that stands alone; JSON
/// without any is given back as it is.
#[must_use]
pub fn replace_lone_surrogates(json: ByteString) -> ByteString {
    // Most texts have no escape at all.
    if !json.contains('\\') {
        return json;
    }
    let halves: Vec<usize> = lone_surrogates(json.as_bytes()).collect();
    if halves.is_empty() {
        return json;
    }
    let mut bytes = json.as_bytes().to_vec();
    for at in halves {
        if let Some(digits) = bytes.get_mut(at + 2..at + 6) {
            digits.copy_from_slice(b"fffd");
        }
    }
    // Hexadecimal digits took the places of hexadecimal digits.
    String::from_utf8(bytes).map_or(json, Into::into)
}

/// Returns where the escapes begin that stand for half a character alone.
fn lone_surrogates(json: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += json.get(at..)?.iter().position(|byte| *byte == b'\\')?;
            let escape = at;
            match surrogate(json, at) {
                None => at += 2,
                Some(Half::High) if surrogate(json, at + 6) == Some(Half::Low) => at += 12,
                Some(_) => {
                    at += 6;
                    return Some(escape);
                }
            }
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    High,
    Low,
}

/// Returns which half of a pair is escaped at this place, if one is.
fn surrogate(json: &[u8], at: usize) -> Option<Half> {
    let [b'\\', b'u', b'd' | b'D', second, third, fourth] = json.get(at..at + 6)? else {
        return None;
    };
    if !third.is_ascii_hexdigit() || !fourth.is_ascii_hexdigit() {
        return None;
    }
    match second.to_ascii_lowercase() {
        b'8' | b'9' | b'a' | b'b' => Some(Half::High),
        b'c'..=b'f' => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replaced(json: &'static str) -> String {
        replace_lone_surrogates(json.into()).to_string()
    }

    #[test]
    fn a_half_alone_becomes_the_replacement_character() {
        for (json, expected) in [
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\uDE00b""#, r#""\ufffdb""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\\ud83d \\\ud83d""#, r#""\\ud83d \\\ufffd""#),
        ] {
            assert_eq!(replaced(json), expected);
            assert!(serde_json::from_str::<String>(&replaced(json)).is_ok());
        }
    }

    #[test]
    fn everything_else_stays() {
        for json in [
            "",
            "\\",
            r"\u",
            r"\ud8",
            r#""\ud83d\ude00""#,
            r#""\uD83D\uDE00""#,
            r#""\ud7ff\ue000\n\\""#,
            r#""\\ud83d""#,
            r#"["a",1]"#,
        ] {
            assert_eq!(replaced(json), json);
        }
    }

    proptest! {
        #[test]
        fn what_javascript_writes_is_read(units in proptest::collection::vec(any::<u16>(), 0..32)) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let json = replace_lone_surrogates(format!("\"{escaped}\"").into());
            let text: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(text, String::from_utf16_lossy(&units));
        }
    }
}
