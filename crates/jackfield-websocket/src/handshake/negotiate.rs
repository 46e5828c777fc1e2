//! Agreeing on permessage-deflate ([RFC 7692 §7.1]).
//!
//! [RFC 7692 §7.1]: https://www.rfc-editor.org/rfc/rfc7692#section-7.1

use std::fmt::Write as _;

use super::extension::Extension;
use crate::deflate::{DeflateConfig, MAX_WINDOW_BITS, MIN_WINDOW_BITS, Params};

/// The parameters of one offer or answer; `None` values where a parameter is absent.
#[derive(Debug, Default)]
struct Given {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// `Some(None)` is the parameter without a value, which only an offer may have.
    client_max_window_bits: Option<Option<u8>>,
}

impl Given {
    /// Reads the parameters; `None` for unknown, repeated or ill-valued ones.
    fn read(extension: &Extension) -> Option<Self> {
        let mut given = Self::default();
        for (name, value) in &extension.params {
            let value = value.as_deref();
            let repeated = match name.as_str() {
                "server_no_context_takeover" if value.is_none() => {
                    std::mem::replace(&mut given.server_no_context_takeover, true)
                }
                "client_no_context_takeover" if value.is_none() => {
                    std::mem::replace(&mut given.client_no_context_takeover, true)
                }
                "server_max_window_bits" => {
                    let bits = window_bits(value?)?;
                    given.server_max_window_bits.replace(bits).is_some()
                }
                "client_max_window_bits" => {
                    let bits = value.map_or(Some(None), |value| window_bits(value).map(Some))?;
                    given.client_max_window_bits.replace(bits).is_some()
                }
                _ => return None,
            };
            // RFC 7692 §7: an offer that repeats a parameter is declined, an answer that does
            // fails the connection.
            if repeated {
                return None;
            }
        }
        Some(given)
    }
}

/// 8 to 15 in decimal without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    (8..=MAX_WINDOW_BITS).find(|bits| bits.to_string() == value)
}

/// Returns the server's choice: the first offer it can keep, with the header value that says so.
pub(crate) fn answer(offers: &[Extension], config: &DeflateConfig) -> Option<(Params, String)> {
    let config = config.clamped();
    offers
        .iter()
        .filter(|offer| offer.name.eq_ignore_ascii_case(NAME))
        .find_map(|offer| answer_one(offer, &config))
}

fn answer_one(offer: &Extension, config: &DeflateConfig) -> Option<(Params, String)> {
    let offer = Given::read(offer)?;
    // zlib cannot keep to a window of 8 bits, so an offer that demands it is declined.
    if offer
        .server_max_window_bits
        .is_some_and(|bits| bits < MIN_WINDOW_BITS)
    {
        return None;
    }
    let offered_client_bits = offer
        .client_max_window_bits
        .map(|bits| bits.unwrap_or(MAX_WINDOW_BITS));
    let params = Params {
        server_no_context_takeover: offer.server_no_context_takeover
            || config.server_no_context_takeover,
        client_no_context_takeover: offer.client_no_context_takeover
            || config.client_no_context_takeover,
        server_max_window_bits: offer
            .server_max_window_bits
            .map_or(config.server_max_window_bits, |bits| {
                bits.min(config.server_max_window_bits)
            }),
        // RFC 7692 §7.1.2.2: a client that did not offer the parameter must not be limited.
        client_max_window_bits: offered_client_bits.map_or(MAX_WINDOW_BITS, |bits| {
            bits.min(config.client_max_window_bits)
        }),
        level: config.level,
        threshold: config.threshold,
    };
    let mut value = NAME.to_owned();
    if params.server_no_context_takeover {
        value.push_str("; server_no_context_takeover");
    }
    if params.client_no_context_takeover {
        value.push_str("; client_no_context_takeover");
    }
    // RFC 7692 §7.1.2.1: the server accepts the parameter by repeating it.
    if offer.server_max_window_bits.is_some() {
        let _ = write!(
            value,
            "; server_max_window_bits={}",
            params.server_max_window_bits
        );
    }
    if params.client_max_window_bits < MAX_WINDOW_BITS {
        let _ = write!(
            value,
            "; client_max_window_bits={}",
            params.client_max_window_bits
        );
    }
    Some((params, value))
}

/// Returns the client's offer.
pub(super) fn offer(config: &DeflateConfig) -> String {
    let config = config.clamped();
    let mut value = NAME.to_owned();
    if config.server_no_context_takeover {
        value.push_str("; server_no_context_takeover");
    }
    if config.client_no_context_takeover {
        value.push_str("; client_no_context_takeover");
    }
    if config.server_max_window_bits < MAX_WINDOW_BITS {
        let _ = write!(
            value,
            "; server_max_window_bits={}",
            config.server_max_window_bits
        );
    }
    value.push_str("; client_max_window_bits");
    if config.client_max_window_bits < MAX_WINDOW_BITS {
        let _ = write!(value, "={}", config.client_max_window_bits);
    }
    value
}

/// Returns what the server's answer to [`offer`] means; `None` if it is not an answer to it.
pub(super) fn accept_answer(answer: &Extension, config: &DeflateConfig) -> Option<Params> {
    let config = config.clamped();
    if !answer.name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    let answer = Given::read(answer)?;
    let server_bits = answer.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
    let client_bits = answer
        .client_max_window_bits
        .map_or(Some(MAX_WINDOW_BITS), |bits| bits)?; // an answer gives a value (RFC 7692 §7.1.2.2)
    // A server accepts these two parameters by repeating them (RFC 7692 §7.1.1.1, §7.1.2.1); one
    // that does not would send what this side said it cannot read.
    if server_bits > config.server_max_window_bits
        || config.server_no_context_takeover && !answer.server_no_context_takeover
    {
        return None;
    }
    Some(Params {
        server_no_context_takeover: answer.server_no_context_takeover,
        client_no_context_takeover: answer.client_no_context_takeover
            || config.client_no_context_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits.min(config.client_max_window_bits),
        level: config.level,
        // With a window that zlib cannot keep to, messages go uncompressed, which is always
        // allowed.
        threshold: if client_bits < MIN_WINDOW_BITS {
            usize::MAX
        } else {
            config.threshold
        },
    })
}

const NAME: &str = "permessage-deflate";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::extension::parse;

    fn answered(offers: &str, config: &DeflateConfig) -> Option<String> {
        answer(&parse(offers).unwrap(), config).map(|(_, value)| value)
    }

    #[test]
    fn what_a_browser_offers_is_answered_without_state_per_connection() {
        assert_eq!(
            answered(
                "permessage-deflate; client_max_window_bits",
                &DeflateConfig::default()
            )
            .as_deref(),
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
        );
    }

    #[test]
    fn the_first_offer_that_can_be_kept_is_taken() {
        let config = DeflateConfig {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            client_max_window_bits: 12,
            ..DeflateConfig::default()
        };
        assert_eq!(
            answered(
                "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8, \
                 permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
                &config
            )
            .as_deref(),
            Some("permessage-deflate; server_max_window_bits=10; client_max_window_bits=11")
        );
        assert_eq!(
            answered("permessage-deflate; client_max_window_bits", &config).as_deref(),
            Some("permessage-deflate; client_max_window_bits=12")
        );
    }

    #[test]
    fn offers_with_unknown_repeated_or_ill_valued_parameters_are_declined() {
        for offer in [
            "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        ] {
            assert_eq!(answered(offer, &DeflateConfig::default()), None, "{offer}");
        }
    }

    #[test]
    fn each_configuration_of_a_client_agrees_with_each_of_a_server() {
        let configs = || {
            [9, 12, 15].into_iter().flat_map(|bits| {
                [false, true].into_iter().map(move |none| DeflateConfig {
                    server_no_context_takeover: none,
                    client_no_context_takeover: !none,
                    server_max_window_bits: bits,
                    client_max_window_bits: 24 - bits,
                    ..DeflateConfig::default()
                })
            })
        };
        for client in configs() {
            for server in configs() {
                let offers = parse(&offer(&client)).unwrap();
                let (params, value) = answer(&offers, &server).unwrap();
                let answer = parse(&value).unwrap();
                let heard = accept_answer(&answer[0], &client).unwrap();
                assert_eq!(
                    (
                        heard.server_no_context_takeover,
                        heard.client_no_context_takeover,
                        heard.client_max_window_bits
                    ),
                    (
                        params.server_no_context_takeover,
                        params.client_no_context_takeover,
                        params.client_max_window_bits
                    )
                );
                assert!(heard.server_max_window_bits >= params.server_max_window_bits);
            }
        }
    }

    #[test]
    fn an_answer_that_takes_more_than_was_offered_is_refused() {
        let config = DeflateConfig {
            server_max_window_bits: 10,
            ..DeflateConfig::default()
        };
        for answer in [
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits",
            "other; server_no_context_takeover; server_max_window_bits=10",
        ] {
            let answer = parse(answer).unwrap();
            assert_eq!(accept_answer(&answer[0], &config), None, "{answer:?}");
        }
    }
}
