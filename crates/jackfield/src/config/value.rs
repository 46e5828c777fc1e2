//! The texts that configuration values are written in.

use std::net::{IpAddr, SocketAddr};

/// Reads a size such as `64KiB`, `1MB`, or a bare number of bytes, between `min` and `max` bytes.
pub(super) fn size(text: &str, min: usize, max: usize) -> Option<usize> {
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
    let size = usize::try_from(number.checked_mul(factor)?).ok()?;
    (min..=max).contains(&size).then_some(size)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim()))
}

/// Reads `MIN-MAX`, two ports from 1024 up.
pub(super) fn port_range(text: &str) -> Option<(u16, u16)> {
    let (min, max) = text.split_once('-')?;
    let (min, max) = (min.trim().parse().ok()?, max.trim().parse().ok()?);
    (1_024 <= min && min <= max).then_some((min, max))
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
        assert_eq!(size("64KiB", 1, 1 << 30), Some(65_536));
        assert_eq!(size("1MB", 1, 1 << 30), Some(1_000_000));
        for wrong in ["", "0", "2GiB", "1TB", "ten"] {
            assert_eq!(size(wrong, 1, 1 << 30), None, "{wrong}");
        }
    }

    #[test]
    fn ports_users_and_addresses_are_parsed_or_refused() {
        assert_eq!(port_range("49152-65535"), Some((49_152, 65_535)));
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
