//! Parts of sentences: errors, times, dates and lists.

use std::time::{Duration, SystemTime};

use jackfield_turn::client::Failure;

use crate::conclusions::SECONDS_A_DAY;
use crate::facts::{
    CertificateError, NetworkError, NotTested, ProxyError, RelayError, TlsError, WebError,
};

/// Writes a time as a person would say it.
pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}

/// Writes what names a proxy: an argument, or a variable of the environment.
pub(super) fn naming(variable: &str) -> String {
    match variable.starts_with('-') {
        true => variable.to_owned(),
        false => format!("the variable {variable}"),
    }
}

/// Writes the day of a moment, in UTC.
pub(super) fn day(moment: SystemTime) -> String {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    let days = since.map_or(0, |since| since.as_secs() / SECONDS_A_DAY);
    let (year, month, day) = civil(days);
    format!("{year}-{month:02}-{day:02}")
}

/// Returns the Gregorian date of a day after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years are counted from March, so that a leap day is the last of its year; 400 years are an
    // era, which always has the same number of days.
    let shifted = days + DAYS_FROM_0000_03_01;
    let (era, of_era) = (shifted / DAYS_AN_ERA, shifted % DAYS_AN_ERA);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// Writes a list of names, with an end if there are many.
pub(super) fn list(all: &[String]) -> String {
    match all.get(..MANY) {
        Some(first) if all.len() > MANY => {
            format!("{} and {} more", first.join(", "), all.len() - MANY)
        }
        _ => all.join(", "),
    }
}

/// Says why there is no connection, as the rest of a sentence.
pub(super) fn network(error: NetworkError) -> String {
    match error {
        NetworkError::Refused => "nothing listens there".to_owned(),
        NetworkError::TimedOut => "no answer".to_owned(),
        NetworkError::NoRoute => "no route leads there".to_owned(),
        NetworkError::Reset => "the connection was cut".to_owned(),
        NetworkError::Forbidden => "this machine does not allow it".to_owned(),
        NetworkError::Other(kind) => kind.to_string(),
    }
}

/// Says what is wrong with a certificate, as the rest of a sentence.
pub(super) fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired { since } => format!("its certificate ended on {}", day(*since)),
        CertificateError::NotYetValid { from } => {
            format!("its certificate begins only on {}", day(*from))
        }
        CertificateError::WrongName { names } if names.is_empty() => {
            "its certificate is for no name at all".to_owned()
        }
        CertificateError::WrongName { names } => {
            format!("its certificate is for another name: {}", list(names))
        }
        CertificateError::SelfSigned => "its certificate is self-signed".to_owned(),
        CertificateError::UnknownAuthority { .. } => {
            "its certificate is signed by an authority that is not trusted here".to_owned()
        }
        CertificateError::NoAuthorities => {
            "this machine has no list of trusted authorities".to_owned()
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        CertificateError::Unfit => "its certificate is broken or not made for servers".to_owned(),
    }
}

/// Says why TLS fails, as the rest of a sentence.
pub(super) fn tls(error: &TlsError) -> String {
    match error {
        TlsError::Certificate(error) => certificate(error),
        TlsError::NotTls => "it does not speak TLS".to_owned(),
        TlsError::Refused => "it refuses the TLS handshake".to_owned(),
        TlsError::Closed => "it closes the connection during the TLS handshake".to_owned(),
        TlsError::BadName => "no certificate can be for such a name".to_owned(),
        TlsError::Failed => "the TLS handshake fails".to_owned(),
    }
}

/// Says why a web server did not give what was asked for, as the rest of a sentence.
pub(super) fn web(error: &WebError) -> String {
    match error {
        WebError::Unreachable(error) => network(*error),
        WebError::Tls(error) => tls(error),
        WebError::Silent => "it accepts the connection and says nothing".to_owned(),
        WebError::Closed => "it closes the connection without an answer".to_owned(),
        WebError::NotHttp => "what it answers is not HTTP".to_owned(),
        WebError::Status(status) => format!("it answers with status {status}"),
        WebError::Redirected(target) => format!("it sends clients on to {target}"),
        WebError::Page => "it answers with a page for people".to_owned(),
        WebError::Proxy(error) => proxy(error),
        WebError::Unexpected => "it answers, but not as Jackfield does".to_owned(),
    }
}

/// Says why nothing came through a proxy, as the rest of a sentence.
pub(super) fn proxy(error: &ProxyError) -> String {
    match error {
        ProxyError::BadUrl => "not the URL of a proxy".to_owned(),
        ProxyError::NameNotFound => "its name is not found".to_owned(),
        ProxyError::Unreachable(error) => network(*error),
        ProxyError::Tls(error) => tls(error),
        ProxyError::LoginWanted => "it wants a user name and a password".to_owned(),
        ProxyError::Refused(status) => format!("it refuses to connect there (status {status})"),
        ProxyError::SocksFailed(failure) => format!("it makes no connection there ({failure})"),
        ProxyError::NotProxy => "what answers is no proxy".to_owned(),
        ProxyError::Behind(error) => format!("behind it, {}", web(error)),
    }
}

/// Says how far this machine's clock is from the server's, as the rest of a sentence.
pub(super) fn skew(ahead: i64) -> String {
    let by = ahead.unsigned_abs();
    let amount = match by {
        0..120 => format!("{by} s"),
        120..7_200 => format!("{} min", by / 60),
        7_200..172_800 => format!("{} h", by / 3_600),
        _ => format!("{} days", by / SECONDS_A_DAY),
    };
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    format!("{amount} {way} the server's")
}

/// Says why there is no allocation, as the rest of a sentence.
pub(super) fn relay(error: &RelayError) -> String {
    match error {
        RelayError::NameNotFound => "its name is not found".to_owned(),
        RelayError::Unreachable(error) => network(*error),
        RelayError::Silent => "no answer".to_owned(),
        RelayError::Tls(error) => tls(error),
        RelayError::Refused(failure) => failure_words(*failure),
        RelayError::Unusable => "the credentials that the server gave cannot be used".to_owned(),
    }
}

fn failure_words(failure: Failure) -> String {
    match failure {
        Failure::CredentialRefused => "it does not accept the credentials of /ice".to_owned(),
        failure => failure.to_string(),
    }
}

/// Says why datagrams were not sent, as the rest of a sentence.
pub(super) fn not_tested(why: NotTested) -> &'static str {
    match why {
        NotTested::PrivateAddress => "the relayed address is private",
        NotTested::NoUdp => "this machine has no UDP",
        NotTested::SameMachine => "the server has the same address as this machine",
        NotTested::PeerRefused => "the server does not relay to this machine's address",
        NotTested::NoAllocation => "the relay gave no second allocation",
    }
}

const DAYS_FROM_0000_03_01: u64 = 719_468;
const DAYS_AN_ERA: u64 = 146_097;

/// Names that are listed in full.
const MANY: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_704_067_199, "2023-12-31"),
            (4_102_444_800, "2100-01-01"),
            (4_107_542_400, "2100-03-01"),
        ] {
            let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(day(moment), text);
        }
    }

    #[test]
    fn long_lists_have_an_end() {
        let names: Vec<String> = (0..6).map(|number| format!("n{number}")).collect();
        assert_eq!(list(&names), "n0, n1, n2, n3 and 2 more");
        assert_eq!(list(&names[..2]), "n0, n1");
    }
}
