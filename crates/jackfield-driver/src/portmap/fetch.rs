//! One HTTP exchange with a UPnP gateway.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_portmap::client::is_whole;
use jackfield_portmap::upnp::http::LONGEST;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request to a gateway and returns all that comes back; `None` when that takes too long
/// or fails.
pub(super) async fn fetch(to: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    match tokio::time::timeout(PATIENCE, exchange(to, request)).await {
        Ok(Ok(response)) => Some(response),
        Ok(Err(error)) => {
            tracing::debug!(%error, %to, "UPnP gateway does not answer");
            None
        }
        Err(_) => {
            tracing::debug!(%to, "UPnP gateway takes too long");
            None
        }
    }
}

async fn exchange(to: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(request).await?;
    let mut response = Vec::new();
    while response.len() < LONGEST && !is_whole(&response) {
        if stream.read_buf(&mut response).await? == 0 {
            break;
        }
    }
    Ok(response)
}

/// How long an exchange may take: less than the client waits for it, so that the client learns of
/// the failure.
const PATIENCE: Duration = Duration::from_secs(5);
