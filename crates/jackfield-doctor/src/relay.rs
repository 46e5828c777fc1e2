//! Tries to get a relay by every way that the server names.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_driver::turn_client::{ClientTransport, Tls, TurnClient};
use jackfield_stun::uri::{Host, Scheme, Uri, UriTransport};
use jackfield_turn::client::Credential;
use rustls_pki_types::ServerName;

use super::facts::{Ice, Relayed, TurnTry};
use super::trust::Trust;

/// How long an allocation may take.
const PATIENCE: Duration = Duration::from_secs(7);

/// Datagrams that are sent through two relays.
const DATAGRAMS: usize = 10;

/// Tries one URL of the server; nothing if it is not one of a relay.
pub(super) async fn attempt(url: &str, ice: &Ice, trust: &Trust) -> Option<TurnTry> {
    let uri: Uri = url.parse().ok()?;
    let transport = match (uri.scheme, uri.transport) {
        (Scheme::Turn, None | Some(UriTransport::Udp)) => "udp",
        (Scheme::Turn, Some(UriTransport::Tcp)) => "tcp",
        (Scheme::Turns, None | Some(UriTransport::Tcp)) => "tls",
        (Scheme::Turns, Some(UriTransport::Udp)) | (Scheme::Stun | Scheme::Stuns, _) => {
            return None;
        }
    };
    let result = tokio::time::timeout(PATIENCE, allocate(&uri, transport, ice, trust)).await;
    let result = result.unwrap_or_else(|_| Err(format!("no answer in {} s", PATIENCE.as_secs())));
    Some(TurnTry {
        url: url.to_owned(),
        transport,
        result,
    })
}

async fn allocate(uri: &Uri, transport: &str, ice: &Ice, trust: &Trust) -> Result<Relayed, String> {
    let host = match &uri.host {
        Host::Ipv6(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    };
    let found = tokio::net::lookup_host((host.as_str(), uri.port())).await;
    let server = found
        .ok()
        .and_then(|mut all| all.next())
        .ok_or_else(|| format!("{host} is not found"))?;
    let transport = match transport {
        "udp" => ClientTransport::Udp,
        "tcp" => ClientTransport::Tcp,
        _ => ClientTransport::Tls(Tls {
            config: std::sync::Arc::clone(trust.config()),
            name: ServerName::try_from(host).map_err(|error| error.to_string())?,
        }),
    };
    let credential = Credential::new(&ice.username, &ice.credential);
    let credential = credential.map_err(|error| error.to_string())?;
    let connect = || async {
        TurnClient::connect(server, transport.clone(), credential.clone())
            .await
            .map_err(|error| error.to_string())
    };
    let start = Instant::now();
    let one = connect().await?;
    let took = start.elapsed();
    let address = first(&one).ok_or("the server named no relayed address")?;
    let echoed = match connect().await {
        Ok(two) => echo(one, two).await,
        Err(_) => None,
    };
    Ok(Relayed {
        took,
        address,
        echoed,
    })
}

fn first(client: &TurnClient) -> Option<SocketAddr> {
    let relayed = client.relayed();
    relayed.v4.or(relayed.v6)
}

/// Sends datagrams through two relays; returns how many came, of how many. Nothing if the server forbids it.
async fn echo(one: TurnClient, mut two: TurnClient) -> Option<(usize, usize)> {
    let (from, to) = (first(&one)?, first(&two)?);
    let permitted = two.permit(from.ip()).await.is_ok() && one.permit(to.ip()).await.is_ok();
    let mut heard = 0;
    let mut sent = 0;
    // When the first few get lost, so will the others.
    while permitted && sent < DATAGRAMS && (heard > 0 || sent < FEW) {
        if one.send_to(&[0; 100], to).await.is_err() {
            break;
        }
        sent += 1;
        let next = tokio::time::timeout(LOST_AFTER, two.recv_from()).await;
        heard += usize::from(matches!(next, Ok(Ok(_))));
    }
    tokio::join!(one.close(), two.close());
    (sent > 0).then_some((heard, sent))
}

/// Datagrams that have to get lost before no more are sent.
const FEW: usize = 3;

/// After how long a datagram counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(700);
