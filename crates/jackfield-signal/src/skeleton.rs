//! Skeletons: what a text looks like
//! ([UTS 39 §4](https://www.unicode.org/reports/tr39/#Confusable_Detection)).

use unicode_normalization::UnicodeNormalization as _;

include!(concat!(env!("OUT_DIR"), "/confusables.rs"));

/// Returns the skeleton of a text; two texts look alike if their skeletons are the same.
pub(crate) fn skeleton(text: &str) -> String {
    let mut prototypes = String::with_capacity(text.len());
    for c in text.nfd().filter(|c| !is_ignored(*c)) {
        match prototype(c) {
            Some(prototype) => prototypes.push_str(prototype),
            None => prototypes.push(c),
        }
    }
    prototypes.nfd().collect()
}

/// Returns whether a character shows nothing by itself (`Default_Ignorable_Code_Point`).
pub(crate) fn is_ignored(c: char) -> bool {
    let code = u32::from(c);
    let after = IGNORED.partition_point(|(first, _)| *first <= code);
    let range = after.checked_sub(1).and_then(|at| IGNORED.get(at));
    range.is_some_and(|(_, last)| code <= *last)
}

fn prototype(c: char) -> Option<&'static str> {
    let at = PROTOTYPES
        .binary_search_by_key(&u32::from(c), |(code, _, _)| *code)
        .ok()?;
    let (_, start, length) = PROTOTYPES.get(at)?;
    let start = usize::from(*start);
    TEXT.get(start..start + usize::from(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_the_skeleton_of_the_standard() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            let expected: String = unicode_security::skeleton(&text).collect();
            assert_eq!(skeleton(&text), expected, "{c:?}");
            assert!(!expected.is_empty() || is_ignored(c) || text.nfd().all(is_ignored));
        }
    }
}
