//! What a name or a room may be called.

use std::sync::Arc;

use unicode_normalization::UnicodeNormalization as _;

use crate::ErrorCode;
use crate::skeleton::{is_ignored, skeleton};

/// Returns the name as it is shown: the Nickname profile of
/// [RFC 8266 §2.3](https://www.rfc-editor.org/rfc/rfc8266#section-2.3), so spaces around it and
/// double ones are gone, and wide, narrow and composed characters are the usual ones (NFKC).
///
/// Where the profile refuses variation selectors, and joiners in most places, they are left out:
/// keyboards write them into emoji, and they only choose how what is around them is drawn.
pub(crate) fn shown(wanted: &str, max_chars: usize) -> Result<String, ErrorCode> {
    let wanted = wanted.trim();
    // A character can become eighteen: what is too long anyway is not worked on.
    if wanted.chars().nth(max_chars).is_some() {
        return Err(ErrorCode::BadName);
    }
    let drawn = wanted.chars().filter(|c| !is_drawing_hint(*c));
    let composed: String = drawn.nfkc().collect();
    let is_space = |c: char| c.is_whitespace() && !is_hidden(c);
    let words: Vec<&str> = composed
        .split(is_space)
        .filter(|word| !word.is_empty())
        .collect();
    let name = words.join(" ");
    if readable(&name, max_chars) {
        Ok(name)
    } else {
        Err(ErrorCode::BadName)
    }
}

/// Returns the name that a member asks for.
pub(crate) fn name(wanted: &str, max_chars: usize) -> Result<Name, ErrorCode> {
    Ok(Name::of(&shown(wanted, max_chars)?))
}

/// A name, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    shown: Arc<str>,
    looks: Looks,
}

impl Name {
    /// Returns the name that is shown so.
    pub(crate) fn of(shown: &str) -> Self {
        Self {
            shown: shown.into(),
            looks: Looks::of(shown),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.shown
    }

    pub(crate) fn shown(&self) -> Arc<str> {
        self.shown.clone()
    }

    pub(crate) fn looks(&self) -> &Looks {
        &self.looks
    }
}

/// How a name looks: of two names that share one of its forms, one could pass for the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looks {
    /// The skeleton of [UTS 39](https://www.unicode.org/reports/tr39/#Confusable_Detection).
    as_written: Arc<str>,
    /// The skeleton in lower case, in which RFC 8266 §2.4 compares. A capital `I` looks like a
    /// small `l`, so both forms are needed.
    in_lower_case: Arc<str>,
}

impl Looks {
    pub(crate) fn of(name: &str) -> Self {
        Self {
            as_written: skeleton(name).into(),
            in_lower_case: skeleton(&name.to_lowercase()).into(),
        }
    }

    /// Returns the looks of the name with `suffix` after it, which must begin with a character that
    /// does not combine with one before.
    pub(crate) fn and(&self, suffix: &Self) -> Self {
        Self {
            as_written: format!("{}{}", self.as_written, suffix.as_written).into(),
            in_lower_case: format!("{}{}", self.in_lower_case, suffix.in_lower_case).into(),
        }
    }

    /// Returns the keys under which a name with these looks is taken.
    pub(crate) fn keys(&self) -> [(bool, Arc<str>); 2] {
        [
            (false, self.as_written.clone()),
            (true, self.in_lower_case.clone()),
        ]
    }
}

/// Returns whether a room can be called so. Spaces around it are refused, as a link would lose
/// them.
pub(crate) fn room(wanted: &str, max_chars: usize) -> Result<(), ErrorCode> {
    if wanted.trim() == wanted && readable(wanted, max_chars) {
        Ok(())
    } else {
        Err(ErrorCode::BadRoom)
    }
}

fn readable(text: &str, max_chars: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max_chars && !text.chars().any(is_hidden)
}

/// Characters that show nothing, or reorder or hide what is around them: with them one name can be
/// made to look like another.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{2800}' | '\u{fff9}'..='\u{fffb}'
        )
        || is_ignored(c)
}

/// Variation selectors and the two joiners.
fn is_drawing_hint(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_script_are_fine_and_lose_the_spaces_around_them() {
        for wanted in ["ann", "Åsa Öberg", "李小龍", "👩🚀", "a<b>", "  x "] {
            assert_eq!(shown(wanted, 64).as_deref(), Ok(wanted.trim()));
        }
    }

    #[test]
    fn a_name_is_shown_in_one_form() {
        for (wanted, expected) in [
            ("a\u{308}", "ä"),
            ("Ａｎｎ", "Ann"),
            ("ann\u{a0}\u{3000} lee", "ann lee"),
            ("an\u{200d}n\u{200c}", "ann"),
            ("❤\u{fe0f}", "❤"),
            ("👩\u{200d}🚀", "👩🚀"),
        ] {
            assert_eq!(shown(wanted, 64).as_deref(), Ok(expected), "{wanted:?}");
        }
        assert_eq!(
            name("\u{fdfa}", 17),
            Err(ErrorCode::BadName),
            "18 characters"
        );
    }

    #[test]
    fn names_that_look_alike_share_a_form() {
        let alike = |one: &str, other: &str| {
            let keys = |text| name(text, 64).unwrap().looks().keys();
            keys(one).iter().any(|key| keys(other).contains(key))
        };
        for (one, other) in [
            ("ann", "ANN"),
            ("ann", "аnn"),
            ("Iris", "lris"),
            ("Iris", "iris"),
            ("ann1", "annl"),
            ("maria", "rnaria"),
            ("scope", "ѕсоре"),
            ("paypal", "PAYPAL"),
            ("Åsa", "A\u{30a}sa"),
        ] {
            assert!(alike(one, other), "{one} {other}");
        }
        for (one, other) in [("ann", "anna"), ("iris", "lris"), ("李", "孝"), ("a", "ä")] {
            assert!(!alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn looks_are_put_together_as_the_texts_are() {
        for text in ["ann", "Iris", "ä", "李", "x "] {
            for number in ["1", "20"] {
                let whole = Looks::of(&format!("{text}{number}"));
                assert_eq!(Looks::of(text).and(&Looks::of(number)), whole);
            }
        }
    }

    #[test]
    fn unreadable_characters_make_no_name() {
        for wanted in [
            "",
            "  ",
            "a\nb",
            "a\0",
            "\u{202e}nna",
            "a\u{200b}",
            "a\u{feff}b",
            "a\u{ad}nn",
            "a\u{61c}nn",
            "a\u{34f}nn",
            "\u{3164}",
            "\u{ffa0}ann",
            "a\u{2800}",
            "\u{fe0f}",
            "a\u{e0041}",
            "a\u{180e}",
        ] {
            assert_eq!(shown(wanted, 64), Err(ErrorCode::BadName), "{wanted:?}");
        }
        assert!(name(&"x".repeat(64), 64).is_ok());
        assert!(name(&"x".repeat(65), 64).is_err());
        assert!(name(&"ä".repeat(64), 64).is_ok());
    }

    #[test]
    fn a_room_keeps_its_name_as_it_is() {
        assert!(room("demo", 8).is_ok());
        assert!(room("a/b c", 8).is_ok());
        for wanted in [
            "",
            " demo",
            "demo ",
            "toolongname",
            "a\u{2028}",
            "a\u{200d}",
            "a\u{ad}",
        ] {
            assert_eq!(room(wanted, 8), Err(ErrorCode::BadRoom), "{wanted:?}");
        }
    }
}
