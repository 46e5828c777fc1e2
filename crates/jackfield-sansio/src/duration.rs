//! The text that people write a length of time in.

use std::time::Duration;

/// Reads a time such as `500ms`, `30s`, `10m`, `2h`, `7d`, or a bare number of seconds, between
/// `min` and `max`.
///
/// Returns `None` for a text of another form, an unknown unit, or a time out of range.
#[must_use]
pub fn parse_duration(text: &str, min: Duration, max: Duration) -> Option<Duration> {
    let text = text.trim();
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim() {
        "ms" => number,
        "" | "s" => number.checked_mul(1_000)?,
        "m" | "min" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        "d" => number.checked_mul(86_400_000)?,
        _ => return None,
    };
    let time = Duration::from_millis(millis);
    (min..=max).contains(&time).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_bounds() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(86_400));
        let time = |text| parse_duration(text, min, max);
        assert_eq!(time("30s"), Some(Duration::from_secs(30)));
        assert_eq!(time("90"), Some(Duration::from_secs(90)));
        assert_eq!(time("2 h"), Some(Duration::from_secs(7_200)));
        for wrong in [
            "",
            "s",
            "500ms",
            "2d",
            "1w",
            "-1s",
            "1.5s",
            "99999999999999999999s",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
