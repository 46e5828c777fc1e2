//! The grammar of `Sec-WebSocket-Extensions` ([RFC 6455 §9.1]).
//!
//! [RFC 6455 §9.1]: https://www.rfc-editor.org/rfc/rfc6455#section-9.1

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

use super::is_token;

/// One extension of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) name: String,
    /// Names and values, in order; repeated names are kept.
    pub(crate) params: Vec<(String, Option<String>)>,
}

/// Reads all `Sec-WebSocket-Extensions` of `headers` as one list; `None` if it is malformed.
pub(super) fn parse_headers(headers: &HeaderMap) -> Option<Vec<Extension>> {
    let mut extensions = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        extensions.extend(parse(value.to_str().ok()?)?);
        if extensions.len() > MAX_ITEMS {
            return None;
        }
    }
    Some(extensions)
}

/// Reads one list; `None` if it is malformed. Empty items are skipped, as RFC 9110 §5.6.1 asks of
/// a recipient.
pub(crate) fn parse(list: &str) -> Option<Vec<Extension>> {
    let mut extensions = Vec::new();
    for item in split_outside_quotes(list, ',')? {
        let item = trim(item);
        if item.is_empty() {
            continue;
        }
        extensions.push(parse_extension(item)?);
        if extensions.len() > MAX_ITEMS {
            return None;
        }
    }
    Some(extensions)
}

fn parse_extension(item: &str) -> Option<Extension> {
    let mut pieces = split_outside_quotes(item, ';')?.into_iter().map(trim);
    let name = pieces.next().filter(|name| is_token(name))?.to_owned();
    let mut params = Vec::new();
    for piece in pieces {
        params.push(parse_param(piece)?);
        if params.len() > MAX_ITEMS {
            return None;
        }
    }
    Some(Extension { name, params })
}

fn parse_param(piece: &str) -> Option<(String, Option<String>)> {
    let Some((name, value)) = piece.split_once('=') else {
        return is_token(piece).then(|| (piece.to_owned(), None));
    };
    let (name, value) = (trim(name), trim(value));
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => value.to_owned(),
    };
    // RFC 6455 §9.1: a quoted value, once unescaped, is a token as well.
    (is_token(name) && is_token(&value)).then(|| (name.to_owned(), Some(value)))
}

/// Returns the text of a quoted string whose opening quote is gone.
fn unquote(quoted: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(text),
            '\\' => text.push(chars.next()?),
            other => text.push(other),
        }
    }
}

/// Splits at each `separator` that is not in a quoted string; `None` if a quote stays open.
fn split_outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped) = (false, false);
    let pieces = text
        .split(|character| {
            if escaped {
                escaped = false;
            } else if quoted && character == '\\' {
                escaped = true;
            } else if character == '"' {
                quoted = !quoted;
            }
            !quoted && character == separator
        })
        .collect();
    (!quoted).then_some(pieces)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Most extensions in a list, and most parameters of one of them; more are refused.
const MAX_ITEMS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(name: &str, params: &[(&str, Option<&str>)]) -> Extension {
        Extension {
            name: name.to_owned(),
            params: params
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
                .collect(),
        }
    }

    #[test]
    fn offers_with_values_and_quotes_are_read_in_order() {
        assert_eq!(
            parse(
                "foo, permessage-deflate; client_max_window_bits; server_max_window_bits=\"10\" ,,bar;a=b"
            ),
            Some(vec![
                extension("foo", &[]),
                extension(
                    "permessage-deflate",
                    &[
                        ("client_max_window_bits", None),
                        ("server_max_window_bits", Some("10"))
                    ]
                ),
                extension("bar", &[("a", Some("b"))]),
            ])
        );
        assert_eq!(parse(""), Some(vec![]));
    }

    #[test]
    fn malformed_lists_are_refused() {
        for list in [
            "a b",
            "a;",
            "a;=1",
            "a;b=",
            "a;b=\"",
            "a;b=\"x",
            "a;b=\"x\"y",
            "a;b=\"x y\"",
            "a;b=c d",
            "é",
            ";a",
            "a;b=\"\\",
        ] {
            assert_eq!(parse(list), None, "{list}");
        }
        assert_eq!(parse(&"a,".repeat(33)), None);
        assert_eq!(parse(&format!("a{}", ";b".repeat(33))), None);
    }
}
