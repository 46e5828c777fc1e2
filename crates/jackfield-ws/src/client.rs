//! The client's side of the opening handshake.

use std::future::poll_fn;
use std::sync::Arc;

use http::Request;
use jackfield_websocket::Role;
use jackfield_websocket::handshake::{ClientHandshake, Established, HandshakeError};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::reading::poll_read_shared;
use crate::{Error, WebSocket, WsConfig};

/// Opens a WebSocket over `stream`, which leads to the server that `request` names.
///
/// The path, host and headers of `request` are sent; the headers of the handshake are added.
///
/// # Errors
/// [`Error::Handshake`] if the server refuses or does not speak WebSocket,
/// [`Error::HandshakeTimeout`], [`Error::Io`].
pub async fn connect<S, B>(
    stream: S,
    request: &Request<B>,
    config: &Arc<WsConfig>,
) -> Result<WebSocket<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut random = [0; 48];
    // Neither the seed of the masking keys nor the handshake's nonce may be foreseen (RFC 6455
    // §4.1, §5.3).
    getrandom::fill(&mut random).map_err(|_| Error::Randomness)?;
    let (seed, nonce) = random.split_first_chunk().ok_or(Error::Randomness)?;
    let nonce = nonce.try_into().map_err(|_| Error::Randomness)?;
    let handshake = ClientHandshake::new(request, &config.options, nonce)?;
    let role = Role::Client { seed: *seed };
    tokio::time::timeout(
        config.handshake_timeout,
        shake_hands(stream, handshake, role, config),
    )
    .await
    .map_err(|_| Error::HandshakeTimeout)?
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    mut handshake: ClientHandshake,
    role: Role,
    config: &Arc<WsConfig>,
) -> Result<WebSocket<S>, Error> {
    stream.write_all(handshake.request()).await?;
    stream.flush().await?;
    let (established, early) = loop {
        let step =
            poll_fn(|cx| poll_read_shared(&mut stream, cx, |input| take(&mut handshake, input)));
        if let Some(answer) = step.await? {
            break answer?;
        }
    };
    Ok(WebSocket::new(
        stream,
        role,
        established,
        Arc::clone(config),
        &early,
    ))
}

/// Returns the server's answer with the bytes behind it, once it is whole.
fn take(
    handshake: &mut ClientHandshake,
    mut input: &[u8],
) -> Option<Result<(Established, Vec<u8>), Error>> {
    // A read of no bytes is the end of the stream.
    if input.is_empty() {
        return Some(Err(Error::Disconnected));
    }
    let answer: Result<Established, HandshakeError> = handshake.receive(&mut input)?;
    Some(
        answer
            .map(|established| (established, input.to_vec()))
            .map_err(Error::Handshake),
    )
}
