//! What each path answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use jackfield_socketio::engine::ConnectionInfo;
use jackfield_ws as ws;

use super::app::App;
use super::ice::Reached;
use super::{metrics, pages, signal};

/// The body of every response.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How a request reached us.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// The client's address.
    pub(super) remote: SocketAddr,
    /// Whether the connection is inside TLS.
    pub(super) secure: bool,
}

/// Answers one request.
pub(super) async fn answer(
    app: Arc<App>,
    origin: Origin,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    app.counters.http_requests.inc();
    if !names_its_host(request.version(), request.headers()) {
        app.counters.http_bad_host.inc();
        return Ok(text(
            StatusCode::BAD_REQUEST,
            "a request has to name the host that it is for, once\n",
        ));
    }
    let path = request.uri().path();
    if app.socketio.serves(path) {
        request.extensions_mut().insert(ConnectionInfo {
            peer: origin.remote,
            secure: origin.secure,
        });
        let response = app.socketio.handle(request).await;
        return Ok(response.map(BodyExt::boxed_unsync));
    }
    if matches!(path, "/" | "/signal") && ws::is_upgrade(&request) {
        let reached = reached(&request, origin);
        return Ok(signal::websocket::upgrade(&app, &mut request, reached));
    }
    let response = match path {
        "/signal" => text(
            StatusCode::UPGRADE_REQUIRED,
            "this path speaks WebSocket: connect to it with ws: or wss:\n",
        ),
        "/ice" => ice(&app, origin, &request),
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" if app.is_ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        "/metrics" => metrics::answer(&app, request.headers()).await,
        path => pages::answer(request.method(), request.headers(), path)
            .unwrap_or_else(|| text(StatusCode::NOT_FOUND, "there is nothing here\n")),
    };
    Ok(response)
}

/// Returns whether a request has the one Host that its version asks for
/// ([RFC 9112 §3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)).
///
/// Two of them let a proxy and this server think of different hosts. HTTP/1.0 has no such header,
/// and HTTP/2 has `:authority` in its place.
fn names_its_host(version: Version, headers: &HeaderMap) -> bool {
    match headers.get_all(header::HOST).iter().count() {
        0 => version != Version::HTTP_11,
        1 => true,
        _ => false,
    }
}

/// Tells how the client reached us, from the authority it named.
fn reached(request: &Request<Incoming>, origin: Origin) -> Option<Reached> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    let authority: http::uri::Authority = authority.parse().ok()?;
    Some(Reached::new(&authority, origin.secure))
}

fn ice(app: &App, origin: Origin, request: &Request<Incoming>) -> Response<Body> {
    let mut response = match *request.method() {
        Method::GET => {
            let reached = reached(request, origin);
            let answer = app.ice.mint(app.clock.unix(), "", reached.as_ref());
            match serde_json::to_vec(&answer) {
                Ok(json) => {
                    let mut response = Response::new(full(json.into()));
                    response.headers_mut().insert(
                        header::CONTENT_TYPE,
                        HeaderValue::from_static("application/json"),
                    );
                    response
                }
                Err(error) => {
                    tracing::error!(%error, "Cannot write ICE servers as JSON");
                    text(StatusCode::INTERNAL_SERVER_ERROR, "no answer\n")
                }
            }
        }
        Method::OPTIONS => text(StatusCode::NO_CONTENT, ""),
        _ => method_not_allowed("GET, OPTIONS"),
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    allow_origin(app, request.headers(), response.headers_mut());
    response
}

/// Lets the page that asked read the answer, if its origin is configured.
fn allow_origin(app: &App, asked: &HeaderMap, answer: &mut HeaderMap) {
    let Some(origin) = asked.get(header::ORIGIN) else {
        return;
    };
    answer.insert(header::VARY, HeaderValue::from_static("Origin"));
    let allowed = app
        .config
        .cors_origins
        .iter()
        .any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes());
    if allowed {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

/// Returns a body of these bytes.
pub(super) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

/// Returns a plain text answer.
pub(super) fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(full(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Returns a 405 that names the methods there are.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
