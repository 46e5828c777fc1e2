//! The most important thing, as a sentence or two.

use crate::conclusions::{Certified, Conclusions, Problem, Reach, RelayState, Verdict};
use crate::facts::CertificateError;

/// Says the most important thing.
pub(super) fn sentence(conclusions: &Conclusions) -> String {
    match &conclusions.verdict {
        Verdict::Blocked(problem) => blocked(problem),
        Verdict::RelayOverTcpOnly => {
            "UDP is blocked: calls work through a relay over TCP alone, with more delay.".to_owned()
        }
        Verdict::RelayByProxyOnly => {
            "Nothing gets out but through the proxy: calls work through a \
                                      relay inside TLS alone, with more delay."
                .to_owned()
        }
        Verdict::NoCalls => {
            "UDP is blocked and no relay can be reached: no call gets through.".to_owned()
        }
        Verdict::Direct => direct(conclusions),
    }
}

fn blocked(problem: &Problem) -> String {
    match problem {
        Problem::Offline => {
            "This machine is not connected to the internet, so nothing can be tried.".to_owned()
        }
        Problem::NameNotFound { name } => {
            format!("Nothing can be tried: the name {name} is not found.")
        }
        Problem::ResolverSilent { .. } => {
            "Nothing can be tried: no resolver answers this machine.".to_owned()
        }
        Problem::ResolverLies { name, .. } => format!(
            "The resolver invents an address for {name}, and nothing of Jackfield is there."
        ),
        Problem::NameBlocked { name, .. } => {
            format!("A filter of this network's resolver blocks the name {name}.")
        }
        Problem::CaptivePortal { .. } => {
            "A captive portal answers for the server: log in to this network first.".to_owned()
        }
        Problem::OnlyHttps { right, .. } => {
            format!("The server answers from here by HTTPS alone: take {right}.")
        }
        Problem::NothingListens { server } => format!(
            "Nothing listens on port {} of {}: the server is stopped, or it is on another port.",
            server.port, server.host
        ),
        Problem::NothingAnswers { tcp: Some(_), .. } => {
            "The server cannot be reached from here, neither by UDP nor by TCP.".to_owned()
        }
        Problem::NothingAnswers { tcp: None, .. } => {
            "The server does not answer by UDP, and nothing else was tried.".to_owned()
        }
        Problem::TcpFails { server, .. } => format!(
            "The server answers by UDP, but not on TCP port {}: no page opens and callers do not \
            find each other.",
            server.port
        ),
        Problem::WrongUrl {
            given,
            right,
            is_redirect,
        } => {
            if *is_redirect {
                format!("The server is at another address: it sends clients on to {right}.")
            } else {
                format!("The URL is wrong: {given} should be {right}.")
            }
        }
        Problem::Certificate { of, error } => untrusted(of, error),
        Problem::Tls { .. } => "No secure connection to the server comes about.".to_owned(),
        Problem::ProxyWithoutServer { .. } => {
            "A proxy answers for the server, and the server behind it does not.".to_owned()
        }
        Problem::NotJackfield { server } => {
            format!("What answers at {server} is a web server, but not Jackfield.")
        }
        Problem::NotHttp {
            server,
            is_silent: true,
        } => format!("{server} accepts connections and then says nothing."),
        Problem::NotHttp { server, .. } => {
            format!("What answers at {server} is not a web server.")
        }
        Problem::NoIce => {
            "The server does not say where its relays are: most calls will not get through."
                .to_owned()
        }
        // All else leaves something to try, and is no reason to stop.
        _ => "The server answers, but people cannot find each other on it.".to_owned(),
    }
}

fn untrusted(of: &Certified, error: &CertificateError) -> String {
    let whose = match of {
        Certified::Web(_) => "The server's certificate",
        Certified::Relay(_) => "The relay's certificate",
    };
    match error {
        CertificateError::Expired { .. } => {
            format!("{whose} has expired: browsers refuse to connect.")
        }
        CertificateError::NotYetValid { .. } => {
            format!("{whose} is not valid yet: browsers refuse to connect.")
        }
        CertificateError::WrongName { .. } => {
            format!("{whose} is for another name: browsers refuse to connect.")
        }
        CertificateError::SelfSigned => {
            format!("{whose} is self-signed: browsers warn of it or refuse to connect.")
        }
        CertificateError::UnknownAuthority { .. } => {
            format!("{whose} is from an authority that this machine does not trust.")
        }
        CertificateError::NoAuthorities => {
            "This machine has no list of trusted authorities, so it trusts no certificate."
                .to_owned()
        }
        CertificateError::Revoked => format!("{whose} was revoked: browsers refuse to connect."),
        CertificateError::Unfit => {
            format!("{whose} is broken, or not made for servers: browsers refuse to connect.")
        }
    }
}

fn direct(conclusions: &Conclusions) -> String {
    let rest = match conclusions.relay {
        RelayState::Works => "the others are reached through the relay, which works.",
        RelayState::Broken => "the others are not reached at all, for no relay works.",
        RelayState::NotOffered => "the others are not reached, for the server names no relay.",
        RelayState::NotTried => "the others need a relay, which was not tried.",
    };
    let is_natted = !conclusions.is_without_nat();
    let mut text = match &conclusions.reach {
        Reach::All if is_natted => {
            "Direct connections to all peers: this NAT lets them in.".to_owned()
        }
        Reach::All => "Direct connections to all peers: there is no NAT, and no filter.".to_owned(),
        Reach::Most { .. } => format!(
            "Direct connections to most peers. Those behind symmetric NATs are the exception; \
             {rest}"
        ),
        Reach::Few { .. } => format!(
            "Direct connections to few peers, as this NAT gives each of them another address; \
             {rest}"
        ),
        Reach::Unknown if conclusions.relay == RelayState::Works => {
            "UDP works, and so does the relay; how many peers are reached directly is not known."
                .to_owned()
        }
        Reach::Unknown => "UDP works; how many peers are reached directly is not known.".to_owned(),
    };
    let is_relay = |problem: &Problem| {
        let is_at_relay = |of: &Certified| matches!(of, Certified::Relay(_));
        match problem {
            Problem::Relay(_) => true,
            Problem::Certificate { of, .. } | Problem::Tls { of, .. } => is_at_relay(of),
            _ => false,
        }
    };
    let has_relay_problem = conclusions.problems.iter().any(is_relay);
    match conclusions.relay {
        RelayState::Works if has_relay_problem => {
            text.push_str(" But one way to the relay does not work.");
        }
        RelayState::Broken if conclusions.reach == Reach::All => {
            text.push_str(" But the relay does not work, which stricter networks depend on.");
        }
        RelayState::Broken if conclusions.reach == Reach::Unknown => {
            text.push_str(" But the relay does not work.");
        }
        _ => {}
    }
    text
}
