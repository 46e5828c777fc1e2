//! Blanks secrets, without changing any length.

use jackfield_stun::Message;
use jackfield_stun::attribute::AttributeType;
use jackfield_stun::framing::{MAX_MESSAGE, message_length};

/// Blanks the known secrets in some bytes, and what looks like one in HTTP and JSON.
pub(super) fn text(bytes: &mut [u8], secrets: &[&str]) {
    for secret in secrets {
        // The password's text may stand as it is, or as JSON has it.
        let escaped = serde_json::Value::from(*secret).to_string();
        let escaped = escaped.trim_matches('"');
        for secret in [*secret, escaped] {
            blank_all(bytes, secret.as_bytes());
        }
    }
    for name in FIELDS {
        blank_after(bytes, format!("\"{name}\":\"").as_bytes(), b"\"");
        blank_after(bytes, format!("\\\"{name}\\\":\\\"").as_bytes(), b"\\\"");
    }
    for name in HEADERS {
        blank_after(bytes, format!("\n{name}:").as_bytes(), b"\r\n");
    }
    for name in PARAMETERS {
        blank_after(bytes, format!("{name}=").as_bytes(), b" &;\r\n\"");
    }
}

/// Blanks the credentials in a datagram, if it is a STUN message; returns whether there were any.
pub(super) fn datagram(bytes: &mut [u8]) -> bool {
    let Ok(message) = Message::parse(bytes) else {
        return false;
    };
    if !CREDENTIALS.iter().any(|kind| message.has(*kind)) {
        return false;
    }
    let mut at = HEADER;
    // The message was parsed, so every attribute ends inside it.
    while let Some(&[kind_high, kind_low, high, low]) = bytes.get(at..at + 4) {
        let kind = AttributeType::new(u16::from_be_bytes([kind_high, kind_low]));
        let length = usize::from(u16::from_be_bytes([high, low]));
        if CREDENTIALS.contains(&kind)
            && let Some(value) = bytes.get_mut(at + 4..at + 4 + length)
        {
            value.fill(BLANK);
        }
        at += 4 + length.next_multiple_of(4);
    }
    true
}

/// Blanks the credentials in a stream of STUN messages; returns whether there were any.
pub(super) fn stream(mut bytes: &mut [u8]) -> bool {
    let mut has_any = false;
    while let Ok(Some(length)) = message_length(bytes, MAX_MESSAGE)
        && let Some((first, rest)) = bytes.split_at_mut_checked(length)
    {
        has_any |= datagram(first);
        bytes = rest;
    }
    has_any
}

fn blank_all(bytes: &mut [u8], secret: &[u8]) {
    if secret.is_empty() {
        return;
    }
    let mut from = 0;
    while let Some(at) = find(bytes, secret, from) {
        if let Some(found) = bytes.get_mut(at..at + secret.len()) {
            found.fill(BLANK);
        }
        from = at + secret.len();
    }
}

/// Blanks what stands between a beginning, in upper or lower case, and any byte of an end.
fn blank_after(bytes: &mut [u8], beginning: &[u8], ends: &[u8]) {
    let mut from = 0;
    while let Some(at) = find(bytes, beginning, from) {
        from = at + beginning.len();
        let rest = bytes.get_mut(from..).unwrap_or_default();
        let secret = rest.iter_mut().take_while(|byte| !ends.contains(*byte));
        for byte in secret {
            *byte = BLANK;
            from += 1;
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let mut windows = rest.windows(wanted.len());
    let at = windows.position(|window| window.eq_ignore_ascii_case(wanted))?;
    Some(from + at)
}

/// Members of JSON whose values are secret. A session's name lets others into it.
const FIELDS: [&str; 6] = [
    "credential",
    "username",
    "password",
    "token",
    "secret",
    "sid",
];

/// Fields of HTTP.
const HEADERS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];

/// Parameters in a URL.
const PARAMETERS: [&str; 3] = ["sid", "token", "password"];

/// Attributes that hold credentials, or a password's hash that could be guessed at: USERNAME,
/// MESSAGE-INTEGRITY, ACCESS-TOKEN (RFC 7635), MESSAGE-INTEGRITY-SHA256, USERHASH, MOBILITY-TICKET
/// (RFC 8016).
const CREDENTIALS: [AttributeType; 6] = [
    AttributeType::new(0x0006),
    AttributeType::new(0x0008),
    AttributeType::new(0x001B),
    AttributeType::new(0x001C),
    AttributeType::new(0x001E),
    AttributeType::new(0x8030),
];

const BLANK: u8 = b'*';
const HEADER: usize = 20;

#[cfg(test)]
mod tests {
    use jackfield_stun::attribute::{Realm, Username};
    use jackfield_stun::{Class, MessageWriter, Method, TransactionId};

    use super::*;

    fn blanked(bytes: &str, secrets: &[&str]) -> String {
        let mut bytes = bytes.as_bytes().to_vec();
        let length = bytes.len();
        text(&mut bytes, secrets);
        assert_eq!(bytes.len(), length);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn secrets_are_blanked_wherever_they_stand() {
        assert_eq!(
            blanked("a hunter2 b hunter2", &["hunter2"]),
            "a ******* b *******"
        );
        assert_eq!(blanked(r#"x a\"b y"#, &["a\"b"]), "x **** y");
        assert_eq!(blanked("nothing", &[""]), "nothing");
    }

    #[test]
    fn what_looks_like_a_secret_is_blanked_too() {
        for (before, after) in [
            (
                r#"{"credential":"abc","ttl":1}"#,
                r#"{"credential":"***","ttl":1}"#,
            ),
            (r#"{"credential":"abc"#, r#"{"credential":"***"#),
            (r#"0{"sid":"abc"}"#, r#"0{"sid":"***"}"#),
            ("GET /a?sid=abc&b=1 HTTP/1.1", "GET /a?sid=***&b=1 HTTP/1.1"),
            ("\r\nSet-Cookie: a=b\r\n\r\n", "\r\nSet-Cookie:****\r\n\r\n"),
            (
                "\r\nproxy-authorization: Basic eA==\r\n",
                "\r\nproxy-authorization:***********\r\n",
            ),
        ] {
            assert_eq!(blanked(before, &[]), after);
        }
    }

    #[test]
    fn a_stun_message_keeps_all_but_its_credentials() {
        let mut bytes = Vec::new();
        let mut writer = MessageWriter::new(
            &mut bytes,
            Class::Request,
            Method::BINDING,
            TransactionId::new([7; 12]),
        );
        writer.attribute(&Username("ann"));
        writer.attribute(&Realm("call.example"));
        let key = jackfield_stun::credential::Key::short_term("password");
        writer.integrity_sha1(&key);
        writer.finish().unwrap();
        let mut twice = [bytes.clone(), bytes.clone()].concat();
        assert!(datagram(&mut bytes));
        let contains = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|it| it == part);
        assert!(!contains(&bytes, b"ann") && contains(&bytes, b"call.example"));
        assert!(contains(&bytes, &[BLANK; 20]));
        assert!(Message::parse(&bytes).unwrap().check_sha1(&key).is_err());
        assert!(stream(&mut twice));
        assert!(!contains(&twice, b"ann"));
        assert!(!datagram(&mut [0; 40]));
    }
}
