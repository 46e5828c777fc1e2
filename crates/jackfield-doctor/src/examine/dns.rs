//! Looks up the server's name, and whether the resolver tells the truth.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use jackfield_driver::discovery::resolve;
use tokio::time::timeout;

use crate::facts::{Dns, Lookup, NetworkError};
use crate::target::Target;

/// Looks up a server's name.
pub(super) async fn look_up(target: &Target) -> Dns {
    if let Ok(ip) = target.host.parse::<IpAddr>() {
        return Dns {
            addresses: vec![ip],
            ..Dns::default()
        };
    }
    let host = target.host.as_str();
    let ((v4, found_v4), (v6, found_v6), invented) =
        tokio::join!(ask(host, true), ask(host, false), invented(host));
    Dns {
        name: Some(host.to_owned()),
        addresses: [found_v4, found_v6].concat(),
        v4,
        v6,
        invented,
    }
}

/// Returns what the resolver gives for a name that cannot exist.
async fn invented(host: &str) -> Vec<IpAddr> {
    // This name is looked up on this machine itself (RFC 6761 §6.3).
    if host == "localhost" {
        return Vec::new();
    }
    ask(IMPOSSIBLE, true).await.1
}

async fn ask(name: &str, is_ipv4: bool) -> (Lookup, Vec<IpAddr>) {
    let start = Instant::now();
    let found = match timeout(PATIENCE, resolve(name, is_ipv4)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(NetworkError::of(&error)),
        Err(_) => Err(NetworkError::TimedOut),
    };
    let lookup = Lookup {
        took: start.elapsed(),
        error: found.as_ref().err().copied(),
    };
    (lookup, found.unwrap_or_default())
}

/// A name that no resolver may find ([RFC 6761 §6.4]).
///
/// [RFC 6761 §6.4]: https://www.rfc-editor.org/rfc/rfc6761#section-6.4
const IMPOSSIBLE: &str = "jackfield-doctor.invalid";

/// After how long a look-up is given up; resolvers ask for 5 s, and then once more.
const PATIENCE: Duration = Duration::from_secs(12);
