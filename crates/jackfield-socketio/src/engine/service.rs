//! HTTP requests to sessions: what is refused, what opens one, what belongs to one.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body::Body;
use http_body_util::Full;
use jackfield_socketio_proto::engine::{Query, RequestError, Response, Transport, Version};
use jackfield_ws as ws;

use super::charge::charged;
use super::cors::{self, Access};
use super::server::{Inner, OpenBy, Opened, Seat, Server};
use super::{ConnectionInfo, EngineSocket, link, polling};
use crate::config::Cookie;
use crate::id::Id;

type HttpResponse = http::Response<Full<Bytes>>;

/// A [`tower_service::Service`] for hyper 1 and axum 0.8 that answers the requests of a server's
/// sessions.
///
/// With hyper, serve connections with upgrades enabled. It never fails; a request for another path
/// gets a 404.
#[derive(Debug, Clone)]
pub struct Service {
    server: Server,
}

impl Service {
    pub(super) const fn new(server: Server) -> Self {
        Self { server }
    }

    /// Returns whether a path is the server's.
    #[must_use]
    pub fn serves(&self, path: &str) -> bool {
        let own = &self.server.0.config.path;
        path == own || own.strip_suffix('/') == Some(path)
    }

    /// Answers a request.
    pub async fn handle<B>(&self, request: Request<B>) -> HttpResponse
    where
        B: Body,
    {
        if !self.serves(request.uri().path()) {
            return plain(StatusCode::NOT_FOUND, Bytes::new());
        }
        let inner = &self.server.0;
        let Some(cors) = &inner.config.cors else {
            return inner.answer(request).await;
        };
        if request.method() == Method::OPTIONS {
            let mut response = plain(StatusCode::NO_CONTENT, Bytes::new());
            cors::preflight(cors, request.headers(), response.headers_mut());
            return response;
        }
        // The headers are read first: the answer takes the request apart.
        let access = Access::judge(cors, request.headers());
        let mut response = inner.answer(request).await;
        access.allow(response.headers_mut());
        response
    }
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.handle(request).await) })
    }
}

impl Inner {
    async fn answer<B: Body>(self: &Arc<Self>, mut request: Request<B>) -> HttpResponse {
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let Some(transport) = query.transport.filter(|transport| self.offers(*transport)) else {
            return self.refuse(RequestError::UnknownTransport);
        };
        let upgrade = ws::is_upgrade(&request);
        let session = match query.sid.as_deref() {
            None => None,
            Some(sid) => match Id::parse(sid).and_then(|sid| self.registry.get(sid)) {
                Some(socket) => Some(socket),
                None => return self.refuse(RequestError::UnknownSid),
            },
        };
        match (transport, upgrade, session) {
            // The revisions frame packets differently; Node.js refuses a changed `EIO` as well.
            (_, _, Some(socket)) if socket.version() != query.version => {
                self.refuse(RequestError::BadRequest)
            }
            (Transport::Polling, false, Some(socket)) => {
                socket.note_tried();
                let response = polling::handle(self, &socket, request).await;
                render(response, Some(&socket))
            }
            (Transport::WebSocket, true, Some(socket)) => {
                self.probe(&socket, &mut request, query.base64_only)
            }
            (Transport::WebSocket, false, _) | (Transport::Polling, true, _) => {
                self.refuse(RequestError::BadRequest)
            }
            (_, _, None) => match self.check_handshake(&request, query.version) {
                Err(response) => *response,
                Ok(head) if upgrade => self.open_websocket(&mut request, head, &query),
                Ok((parts, seat)) => self.open_polling(&parts, seat, &query).await,
            },
        }
    }

    const fn offers(&self, transport: Transport) -> bool {
        match transport {
            Transport::Polling => self.config.polling,
            Transport::WebSocket => self.config.websocket,
        }
    }

    fn refuse(&self, error: RequestError) -> HttpResponse {
        match error {
            RequestError::UnknownSid => self.stats.unknown_sid.increment(),
            RequestError::Forbidden => self.stats.forbidden.increment(),
            RequestError::UnsupportedVersion => self.stats.unsupported_version.increment(),
            _ => self.stats.bad_requests.increment(),
        }
        render(Response::error(error), None)
    }

    /// Decides whether a request may open a session; if so, a place is reserved.
    fn check_handshake<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        version: Version,
    ) -> Result<(Parts, Seat), Box<HttpResponse>> {
        if request.method() != Method::GET {
            return Err(Box::new(self.refuse(RequestError::BadHandshakeMethod)));
        }
        if version == Version::V3 && !self.config.allow_eio3 {
            return Err(Box::new(self.refuse(RequestError::UnsupportedVersion)));
        }
        if !self.within_rate(request) {
            self.stats.too_many_handshakes.increment();
            return Err(Box::new(busy(StatusCode::TOO_MANY_REQUESTS)));
        }
        // The application's judge may be slow, so it comes after the cheap refusals.
        let parts = head(request);
        if let Some(judge) = &self.config.allow_request
            && let Err(message) = judge.judge(&parts)
        {
            self.stats.forbidden.increment();
            let body = RequestError::Forbidden.body_with_message(&message);
            return Err(Box::new(json(StatusCode::FORBIDDEN, body)));
        }
        let info = request.extensions().get::<ConnectionInfo>();
        let seat = self.reserve(info).and_then(|place| self.seat(place).ok());
        match seat {
            Some(seat) => Ok((parts, seat)),
            None => Err(Box::new(busy(StatusCode::SERVICE_UNAVAILABLE))),
        }
    }

    fn within_rate<B>(&self, request: &Request<B>) -> bool {
        let info = request.extensions().get::<ConnectionInfo>();
        match (self.config.handshake_rate, info) {
            (Some(rate), Some(info)) => self.rates.allow(Instant::now(), info.peer.ip(), rate),
            // Without `ConnectionInfo` no address is known, and one bucket for all would let one
            // client keep the others out.
            (None, _) | (_, None) => true,
        }
    }

    async fn open_polling(
        self: &Arc<Self>,
        parts: &Parts,
        seat: Seat,
        query: &Query,
    ) -> HttpResponse {
        let (version, base64_only) = (query.version, query.base64_only);
        let opened = self.open(
            parts,
            OpenBy::Polling {
                version,
                base64_only,
            },
            seat,
        );
        self.start(&opened.socket);
        let mut response = render(polling::poll(&opened.socket).await, None);
        if let Some(cookie) = &self.config.cookie {
            set_cookie(cookie, &opened.socket, &mut response);
        }
        response
    }

    /// Answers with 101 and opens the session once the connection is a WebSocket.
    fn open_websocket<B>(
        self: &Arc<Self>,
        request: &mut Request<B>,
        (parts, seat): (Parts, Seat),
        query: &Query,
    ) -> HttpResponse {
        let (response, upgrade) = match ws::upgrade(request, &self.ws_config) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.stats.bad_requests.increment();
                return refusal.response().map(|body| Full::new(body.into()));
            }
        };
        let (version, base64_only) = (query.version, query.base64_only);
        let by = OpenBy::WebSocket {
            version,
            base64_only,
        };
        let Opened { socket, link } = self.open(&parts, by, seat);
        let mut response = response.map(|()| Full::default());
        if let Some(cookie) = &self.config.cookie {
            set_cookie(cookie, &socket, &mut response);
        }
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let Some(link) = link else { return };
            match upgrade.await {
                Ok(mut ws) => {
                    inner.websocket_opened();
                    let wakes = socket.add_link(link);
                    inner.start(&socket);
                    link::run(&socket, link, &wakes, &mut ws).await;
                    inner.websocket_closed();
                }
                Err(error) => {
                    tracing::debug!(%error, "A WebSocket was not opened");
                    // The handler of the end runs only for a session that was started.
                    inner.start(&socket);
                    socket.abort(super::CloseReason::TransportError);
                }
            }
        });
        response
    }

    /// Answers with 101 and lets the WebSocket try to take the session over.
    fn probe<B>(
        self: &Arc<Self>,
        socket: &EngineSocket,
        request: &mut Request<B>,
        base64_only: bool,
    ) -> HttpResponse {
        socket.note_tried();
        let Some(probing) = socket.begin_probe() else {
            return self.refuse(RequestError::BadRequest);
        };
        let (response, upgrade) = match ws::upgrade(request, &self.ws_config) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.stats.bad_requests.increment();
                return refusal.response().map(|body| Full::new(body.into()));
            }
        };
        let (inner, socket) = (Arc::clone(self), socket.clone());
        tokio::spawn(async move {
            let _probing = probing;
            match upgrade.await {
                Ok(mut ws) => {
                    inner.websocket_opened();
                    let (link, wakes) = socket.probe(base64_only);
                    link::run(&socket, link, &wakes, &mut ws).await;
                    inner.websocket_closed();
                }
                Err(error) => tracing::debug!(%error, "A WebSocket was not opened"),
            }
        });
        response.map(|()| Full::default())
    }
}

/// Copies the head of a request; its body and its pending upgrade stay where they are.
fn head<B>(request: &Request<B>) -> Parts {
    let mut builder = Request::builder()
        .method(request.method().clone())
        .uri(request.uri().clone())
        .version(request.version());
    if let Some(headers) = builder.headers_mut() {
        *headers = request.headers().clone();
    }
    if let (Some(extensions), Some(info)) = (
        builder.extensions_mut(),
        request.extensions().get::<ConnectionInfo>(),
    ) {
        extensions.insert(*info);
    }
    let request = builder.body(()).expect("the parts come from a request");
    request.into_parts().0
}

/// Renders an answer; what `session` takes with it counts for it until it is sent.
fn render(response: Response, session: Option<&EngineSocket>) -> HttpResponse {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = match session {
        Some(socket) if response.body.len() >= WORTH_CHARGING => {
            charged(socket.account(), response.body)
        }
        Some(_) | None => response.body,
    };
    let mut rendered = plain(status, body);
    let headers = rendered.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(response.content_type),
    );
    rendered
}

/// A smaller answer is a part of what a session takes by being there.
const WORTH_CHARGING: usize = 1024;

fn json(status: StatusCode, body: String) -> HttpResponse {
    let mut response = plain(status, body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer when there is no place, in the form that clients know.
fn busy(status: StatusCode) -> HttpResponse {
    json(status, RequestError::Forbidden.body())
}

fn plain(status: StatusCode, body: Bytes) -> HttpResponse {
    let mut response = http::Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // A cache that answered a GET again would repeat packets, or hand them to another client.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn set_cookie(cookie: &Cookie, socket: &EngineSocket, response: &mut HttpResponse) {
    use std::fmt::Write as _;
    let mut value = format!(
        "{}={}; Path={}; HttpOnly",
        cookie.name,
        socket.sid(),
        cookie.path
    );
    if let Some(same_site) = &cookie.same_site {
        let _infallible = write!(value, "; SameSite={same_site}");
    }
    if cookie.secure {
        value.push_str("; Secure");
    }
    if let Some(age) = cookie.max_age {
        let _infallible = write!(value, "; Max-Age={}", age.as_secs());
    }
    match HeaderValue::try_from(value) {
        Ok(value) => _ = response.headers_mut().append(SET_COOKIE, value),
        Err(_) => tracing::error!("The configured cookie is not a header value"),
    }
}
