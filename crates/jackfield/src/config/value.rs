//! The texts that configuration values are written in.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jackfield_sansio::parse_duration;

use super::resolved::LogFormat;

/// Reads any type from its own text form.
pub(super) fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// Reads a number from 1 up that fits `T`.
pub(super) fn count<T: TryFrom<u32>>(text: &str) -> Option<T> {
    let count: u32 = text.parse().ok().filter(|count| *count > 0)?;
    T::try_from(count).ok()
}

/// Reads a number; zero is none.
pub(super) fn count_or_none(text: &str) -> Option<Option<u32>> {
    let count: u32 = text.parse().ok()?;
    Some((count > 0).then_some(count))
}

/// Reads how many shards there are, up to 256.
pub(super) fn shards(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count <= 256)
}

/// Reads a time from a second to a week.
pub(super) fn time(text: &str) -> Option<Duration> {
    parse_duration(
        text,
        Duration::from_secs(1),
        Duration::from_secs(7 * 86_400),
    )
}

/// Reads a size such as `64KiB`, `1MB`, or a bare number of bytes, from 1 KiB to 1 GiB.
pub(super) fn size(text: &str) -> Option<usize> {
    bytes(text).filter(|size| (1 << 10..=1 << 30).contains(size))
}

/// Reads a size such as `256MiB` from 1 MiB to 1 TiB.
pub(super) fn memory(text: &str) -> Option<usize> {
    bytes(text).filter(|size| (1 << 20..=1 << 40).contains(size))
}

fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = number_and_unit(text)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" | "k" => 1 << 10,
        "mb" => 1_000_000,
        "mib" | "m" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" | "g" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number.checked_mul(factor)?).ok()
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim()))
}

/// Reads a path; an empty text is none.
pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

/// Reads a secret that takes long to guess.
pub(super) fn secret(text: &str) -> Option<String> {
    (text.len() >= 16).then(|| text.to_owned())
}

/// Reads a realm, which RFC 8489 section 14.9 limits to 127 characters.
pub(super) fn realm(text: &str) -> Option<String> {
    (1..=127)
        .contains(&text.chars().count())
        .then(|| text.to_owned())
}

/// Reads a port that can be listened on.
pub(super) fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// Reads the address of one machine.
pub(super) fn specified_ip(text: &str) -> Option<IpAddr> {
    text.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified())
}

/// Reads an origin as browsers send it, or `*`.
pub(super) fn origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    let uri: http::Uri = text.parse().ok()?;
    let bare = uri.path() == "/" && uri.query().is_none() && !text.ends_with('/');
    // The pages of apps and of browser extensions have schemes of their own.
    (bare && uri.scheme().is_some() && uri.host().is_some()).then(|| text.to_owned())
}

/// Reads a DNS name, or `*`.
pub(super) fn host_name(text: &str) -> Option<String> {
    let is_bare = !text.contains([':', '[', ']']);
    (text == "*" || (is_bare && authority(text).is_some())).then(|| text.to_owned())
}

/// Reads a filter of log lines.
pub(super) fn log_filter(text: &str) -> Option<String> {
    tracing_subscriber::EnvFilter::builder()
        .parse(text)
        .ok()
        .map(|_| text.to_owned())
}

/// Reads how log lines are written.
pub(super) fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// Reads `MIN-MAX`, two ports from 1024 up.
pub(super) fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (min, max) = text.split_once('-')?;
    let (min, max) = (min.trim().parse().ok()?, max.trim().parse().ok()?);
    (1_024 <= min && min <= max).then_some(min..=max)
}

/// Reads `NAME:PASSWORD`, both not empty.
pub(super) fn user(text: &str) -> Option<(String, String)> {
    let (name, password) = text.split_once(':')?;
    let fits = |part: &str| !part.is_empty() && part.len() <= 508;
    (fits(name) && fits(password)).then(|| (name.to_owned(), password.to_owned()))
}

/// Reads `PUBLIC` or `PUBLIC/LOCAL`, both of one family.
pub(super) fn external_ip(text: &str) -> Option<(IpAddr, Option<IpAddr>)> {
    let Some((public, local)) = text.split_once('/') else {
        return Some((text.trim().parse().ok()?, None));
    };
    let (public, local): (IpAddr, IpAddr) =
        (public.trim().parse().ok()?, local.trim().parse().ok()?);
    (public.is_ipv4() == local.is_ipv4()).then_some((public, Some(local)))
}

/// Reads a host with an optional port; an IPv6 address with a port is in brackets.
pub(super) fn authority(text: &str) -> Option<String> {
    let host = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            port.parse::<u16>().ok()?;
            host
        }
        _ => text,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let known = bare.parse::<IpAddr>().is_ok() || (!bare.is_empty() && bare.chars().all(name));
    known.then(|| text.to_owned())
}

/// Reads an address and port.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("1MB"), Some(1_000_000));
        for wrong in ["", "0", "2GiB", "1TB", "ten"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ports_users_and_addresses_are_parsed_or_refused() {
        assert_eq!(port_range("49152-65535"), Some(49_152..=65_535));
        for wrong in ["5-3", "80-90", "3000", "3000-70000"] {
            assert_eq!(port_range(wrong), None, "{wrong}");
        }
        assert_eq!(user("ann:a:b"), Some(("ann".into(), "a:b".into())));
        assert_eq!(user("ann"), None);
        assert_eq!(user(":x"), None);
        assert!(external_ip("192.0.2.1/10.0.0.1").is_some());
        assert!(external_ip("192.0.2.1/fd00::1").is_none());
    }

    #[test]
    fn hosts_may_have_ports() {
        for right in [
            "example.org",
            "example.org:443",
            "192.0.2.1:80",
            "[2001:db8::1]:80",
            "2001:db8::1",
        ] {
            assert!(authority(right).is_some(), "{right}");
        }
        for wrong in ["", "a b", "example.org:port", "https://x", "x/y"] {
            assert!(authority(wrong).is_none(), "{wrong}");
        }
    }
}
