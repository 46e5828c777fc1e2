//! Reads the values of settings. Each refusal names the key, the value and what is accepted.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jackfield_nat::profile::Profile;
use jackfield_nat::{Filtering, Hairpinning, Mapping};
use jackfield_portmap::Dialects;

use super::Firewall;
use super::change::{SettingError, refused};
use super::settings::HostRate;

pub(super) fn profile(name: &str) -> Result<Profile, SettingError> {
    let known = || list(Profile::ALL.iter().map(Profile::name));
    name.parse().map_err(|_| refused("profile", name, known()))
}

pub(super) fn mapping(text: &str) -> Result<Mapping, SettingError> {
    let known = Mapping::ALL.map(|known| format!("{known} ({})", known.abbreviation()));
    text.parse()
        .map_err(|_| refused("mapping", text, known.join(", ")))
}

pub(super) fn filtering(text: &str) -> Result<Filtering, SettingError> {
    let known = Filtering::ALL.map(|known| format!("{known} ({})", known.abbreviation()));
    text.parse()
        .map_err(|_| refused("filtering", text, known.join(", ")))
}

pub(super) fn hairpinning(text: &str) -> Result<Hairpinning, SettingError> {
    let found = HAIRPINNINGS.iter().find(|(name, _)| text == *name);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known = list(HAIRPINNINGS.iter().map(|(name, _)| *name));
        refused("hairpinning", text, known)
    })
}

pub(super) fn firewall(name: &str) -> Result<Firewall, SettingError> {
    Firewall::find(name).ok_or_else(|| {
        let known = list(Firewall::ALL.map(Firewall::name).into_iter());
        refused("firewall", name, known)
    })
}

/// Returns the names of protocols, in the order in which they are always listed.
pub(super) fn protocol_names(protocols: Dialects) -> Vec<String> {
    let all = [
        (protocols.nat_pmp, NAT_PMP),
        (protocols.pcp, PCP),
        (protocols.upnp, UPNP),
    ];
    let on = all.iter().filter(|(on, _)| *on);
    on.map(|(_, name)| (*name).to_owned()).collect()
}

/// Reads protocols, separated by commas.
pub(super) fn protocols(text: &str) -> Result<Dialects, SettingError> {
    let mut protocols = Dialects::NONE;
    for name in text.split(',').map(str::trim) {
        match name {
            NAT_PMP => protocols.nat_pmp = true,
            PCP => protocols.pcp = true,
            UPNP => protocols.upnp = true,
            "all" => protocols = Dialects::ALL,
            "none" => {}
            _ => {
                let accepted = "none, all, or some of nat-pmp, pcp and upnp with commas in between";
                return Err(refused("port-mapping", text, accepted));
            }
        }
    }
    Ok(protocols)
}

/// Reads a time; only zero needs no unit.
pub(crate) fn duration(text: &str, min: Duration, max: Duration) -> Option<Duration> {
    // A number alone would be seconds, and `latency=20` is hardly ever meant as that.
    let has_unit = !text.trim_end().ends_with(|c: char| c.is_ascii_digit());
    let parsed = jackfield_sansio::parse_duration(text, min, max);
    parsed.filter(|time| has_unit || time.is_zero())
}

pub(super) fn time(
    key: &'static str,
    text: &str,
    min: Duration,
    max: Duration,
) -> Result<Duration, SettingError> {
    duration(text, min, max).ok_or_else(|| {
        let accepted =
            format!("a time with its unit, such as 500ms, 30s or 10m, from {min:?} to {max:?}");
        refused(key, text, accepted)
    })
}

/// Reads a percentage as parts of a million.
pub(super) fn percent(key: &'static str, text: &str) -> Result<u32, SettingError> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let percent: Option<f64> = number.parse().ok();
    percent
        .filter(|percent| (0.0..=100.0).contains(percent))
        .map(|percent| (percent * 10_000.0).round() as u32)
        .ok_or_else(|| refused(key, text, "a percentage from 0 to 100, such as 0.5"))
}

pub(super) fn count(
    key: &'static str,
    text: &str,
    range: RangeInclusive<u32>,
) -> Result<u32, SettingError> {
    number(text, &[("", 1)], &range).ok_or_else(|| {
        let accepted = format!("a number from {} to {}", range.start(), range.end());
        refused(key, text, accepted)
    })
}

/// Reads how often a host may do something in a second; `none` is without limit.
pub(super) fn host_rate(key: &'static str, text: &str) -> Result<HostRate, SettingError> {
    if text.trim() == "none" {
        return Ok(HostRate::Unlimited);
    }
    let rate = number(text, &[("", 1)], &(1..=MAX_HOST_RATE));
    rate.map(HostRate::PerSecond).ok_or_else(|| {
        let accepted = format!("none, or a number a second from 1 to {MAX_HOST_RATE}");
        refused(key, text, accepted)
    })
}

/// Reads a number of bytes.
pub(super) fn bytes(
    key: &'static str,
    text: &str,
    range: RangeInclusive<usize>,
) -> Result<usize, SettingError> {
    number(text, BYTE_UNITS, &range).ok_or_else(|| {
        let (min, max) = (range.start(), range.end());
        let accepted = format!("a number of bytes such as 65536 or 64KiB, from {min} to {max}");
        refused(key, text, accepted)
    })
}

/// Reads bits a second, in the units of tc(8); `none` is without limit.
pub(super) fn rate(key: &'static str, text: &str) -> Result<Option<u64>, SettingError> {
    if text.trim() == "none" {
        return Ok(None);
    }
    let rate = number(text, RATE_UNITS, &(MIN_RATE..=MAX_RATE));
    rate.map(Some).ok_or_else(|| {
        let accepted = "none, or bits a second such as 512kbit, 10mbit or 1gbit, up to 100gbit";
        refused(key, text, accepted)
    })
}

/// Returns a rate in the largest unit that it is a whole number of.
pub(super) fn rate_text(rate: u64) -> String {
    let fitting = RATE_UNITS.iter().filter(|(unit, factor)| {
        let factor = u64::from(*factor);
        !unit.is_empty() && rate >= factor && rate.is_multiple_of(factor)
    });
    let (unit, factor) = fitting
        .max_by_key(|(_, factor)| *factor)
        .unwrap_or(&("bit", 1));
    format!("{}{unit}", rate / u64::from(*factor))
}

/// Reads a whole number with a unit behind it, in lower or upper case.
fn number<T: FromStr + PartialOrd + TryFrom<u64>>(
    text: &str,
    units: &[(&str, u32)],
    range: &RangeInclusive<T>,
) -> Option<T> {
    let text = text.trim();
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim_start();
    let (_, factor) = units
        .iter()
        .find(|(known, _)| unit.eq_ignore_ascii_case(known))?;
    let number: u64 = number.parse().ok()?;
    let number = T::try_from(number.checked_mul(u64::from(*factor))?).ok()?;
    range.contains(&number).then_some(number)
}

fn list<T: Display>(names: impl Iterator<Item = T>) -> String {
    let names: Vec<String> = names.map(|name| name.to_string()).collect();
    names.join(", ")
}

const NAT_PMP: &str = "nat-pmp";
const PCP: &str = "pcp";
const UPNP: &str = "upnp";
const HAIRPINNINGS: [(&str, Hairpinning); 3] = [
    ("off", Hairpinning::Off),
    ("internal-source", Hairpinning::InternalSource),
    ("external-source", Hairpinning::ExternalSource),
];
const RATE_UNITS: &[(&str, u32)] = &[
    ("", 1),
    ("bit", 1),
    ("kbit", 1_000),
    ("mbit", 1_000_000),
    ("gbit", 1_000_000_000),
];
const BYTE_UNITS: &[(&str, u32)] = &[("", 1), ("b", 1), ("kib", 1 << 10), ("mib", 1 << 20)];
/// Less carries not even one packet of 1500 bytes in ten seconds.
const MIN_RATE: u64 = 1_000;
const MAX_RATE: u64 = 100_000_000_000;
/// More than a host can ask for through one router.
const MAX_HOST_RATE: u32 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_the_units_of_tc() {
        for (text, bits) in [
            ("9600", 9_600),
            ("9600bit", 9_600),
            ("512kbit", 512_000),
            (" 10 Mbit ", 10_000_000),
            ("100gbit", 100_000_000_000),
        ] {
            assert_eq!(rate("rate", text), Ok(Some(bits)), "{text}");
        }
        assert_eq!(rate("rate", "none"), Ok(None));
        // `mbps` is megabytes a second to tc, and megabits to most people: it is refused.
        for wrong in [
            "",
            "kbit",
            "1.5mbit",
            "10mbps",
            "-1",
            "999",
            "101gbit",
            "0",
            "99999999999999999999",
            "18446744073709551615gbit",
            "10mbit/s",
            "ten",
        ] {
            let error = rate("rate", wrong).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("rate cannot be `{wrong}`")),
                "{error}"
            );
            assert!(error.contains("512kbit"), "{error}");
        }
    }

    #[test]
    fn a_rate_is_written_so_that_it_reads_back() {
        for bits in [
            1_000,
            9_600,
            512_000,
            1_500_000,
            10_000_000,
            3_000_000_000,
            1_000_001,
        ] {
            let text = rate_text(bits);
            assert_eq!(rate("rate", &text), Ok(Some(bits)), "{text}");
        }
        assert_eq!(rate_text(1_500_000), "1500kbit");
        assert_eq!(rate_text(1_000_000_000), "1gbit");
    }

    #[test]
    fn sizes_have_binary_units_and_bounds() {
        let size = |text| bytes("queue", text, 2_048..=1 << 20);
        assert_eq!(size("65536"), Ok(65_536));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1 mib"), Ok(1 << 20));
        for wrong in ["", "64kb", "2047", "2MiB", "-1", "1e6"] {
            let error = size(wrong).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("queue cannot be `{wrong}`")),
                "{error}"
            );
            assert!(error.contains("64KiB, from 2048 to 1048576"), "{error}");
        }
    }

    #[test]
    fn percentages_are_exact_to_one_part_of_a_million() {
        assert_eq!(percent("loss", "0.0001"), Ok(1));
        assert_eq!(percent("loss", " 12.5 %"), Ok(125_000));
        assert_eq!(percent("loss", "100"), Ok(1_000_000));
        for wrong in ["101", "-1", "NaN", "inf", "x", "", "%"] {
            let error = percent("loss", wrong).unwrap_err().to_string();
            assert!(error.contains("a percentage from 0 to 100"), "{error}");
        }
    }

    #[test]
    fn counts_have_bounds() {
        assert_eq!(count("loss-burst", "3", 1..=9), Ok(3));
        for wrong in ["0", "10", "3packets", "", "4294967296"] {
            let error = count("loss-burst", wrong, 1..=9).unwrap_err();
            assert_eq!(error.accepted, "a number from 1 to 9");
        }
    }

    #[test]
    fn every_name_of_a_firewall_and_a_hairpinning_is_read() {
        for known in Firewall::ALL {
            assert_eq!(firewall(known.name()), Ok(known));
        }
        for (name, value) in HAIRPINNINGS {
            assert_eq!(hairpinning(name), Ok(value));
            let error = hairpinning("on").unwrap_err();
            assert!(error.accepted.contains(name), "{error}");
        }
    }
}
