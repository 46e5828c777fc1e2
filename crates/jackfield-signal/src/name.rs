//! What a name or a room may be called.

use crate::ErrorCode;

/// Returns the name without the spaces around it, if a person could read it.
pub(crate) fn name(wanted: &str, max_chars: usize) -> Result<&str, ErrorCode> {
    let name = wanted.trim();
    if readable(name, max_chars) {
        Ok(name)
    } else {
        Err(ErrorCode::BadName)
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

/// Control characters, and those that reorder or hide text: with them one name can be made to look
/// like another.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_script_are_fine_and_lose_the_spaces_around_them() {
        for wanted in ["ann", "Åsa Öberg", "李小龍", "👩\u{200d}🚀", "a<b>", "  x "] {
            assert_eq!(name(wanted, 64), Ok(wanted.trim()));
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
        ] {
            assert_eq!(name(wanted, 64), Err(ErrorCode::BadName), "{wanted:?}");
        }
        assert!(name(&"x".repeat(64), 64).is_ok());
        assert!(name(&"x".repeat(65), 64).is_err());
        assert!(name(&"ä".repeat(64), 64).is_ok());
    }

    #[test]
    fn a_room_keeps_its_name_as_it_is() {
        assert!(room("demo", 8).is_ok());
        assert!(room("a/b c", 8).is_ok());
        for wanted in ["", " demo", "demo ", "toolongname", "a\u{2028}"] {
            assert_eq!(room(wanted, 8), Err(ErrorCode::BadRoom), "{wanted:?}");
        }
    }
}
