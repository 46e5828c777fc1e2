//! From a hyper request to a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::UPGRADE;
use http::{Request, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use jackfield_websocket::Role;
use jackfield_websocket::handshake::{self, Established, Refusal};

use crate::{Counters, Error, WebSocket, WsConfig};

/// Returns whether a request wants WebSocket, rightly or not: then [`upgrade`] has the answer.
pub fn is_upgrade<B>(request: &Request<B>) -> bool {
    request
        .headers()
        .get_all(UPGRADE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case("websocket"))
}

/// Answers a request that opens a WebSocket: the response to send, and the future of the
/// connection, which resolves once the response is sent.
///
/// Which origins may connect is the caller's policy, to be judged before this.
///
/// # Errors
/// Why the request opens no WebSocket; [`Refusal::response`] is the answer to send.
pub fn upgrade<B>(
    request: &mut Request<B>,
    config: &Arc<WsConfig>,
) -> Result<(Response<()>, Upgrade), Refusal> {
    let accepted = handshake::accept(
        request.method(),
        request.version(),
        request.headers(),
        &config.options,
    )
    .inspect_err(|_| Counters::add(&config.counters.refused))?;
    let response = accepted.response();
    let upgrade = Upgrade {
        stream: hyper::upgrade::on(request),
        agreed: accepted.established,
        config: Arc::clone(config),
    };
    Ok((response, upgrade))
}

/// The future of a connection whose response is on its way.
#[derive(Debug)]
#[must_use = "the connection exists once this is awaited"]
pub struct Upgrade {
    stream: OnUpgrade,
    agreed: Established,
    config: Arc<WsConfig>,
}

impl Upgrade {
    /// Returns the subprotocol that the response agrees to.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.agreed.subprotocol.as_deref()
    }
}

impl Future for Upgrade {
    type Output = Result<WebSocket<TokioIo<Upgraded>>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stream = ready!(Pin::new(&mut self.stream).poll(cx)).map_err(Error::Upgrade)?;
        let agreed = std::mem::take(&mut self.agreed);
        Poll::Ready(Ok(WebSocket::new(
            TokioIo::new(stream),
            Role::Server,
            agreed,
            Arc::clone(&self.config),
            // hyper's stream itself begins with what it had read behind the request.
            &[],
        )))
    }
}
