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
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_socketio::engine::ConnectionInfo;
use jackfield_ws as ws;

use super::app::App;
use super::ice::{Reached, split_authority};
use super::site_policy::Head;
use super::{metrics, pages, signal};

/// The body of every response.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Answers one request, which came by the connection `by`.
pub(super) async fn answer(
    app: Arc<App>,
    by: FiveTuple,
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
    let head = Head {
        headers: request.headers(),
        authority: authority(&request),
        path: by,
    };
    let may_read_metrics = app.metrics_access.admits(head);
    if app.sites.judge_host(head).is_err() {
        app.counters.http_unknown_hosts.inc();
        return Ok(refuse_host(&request, head));
    }
    let path = request.uri().path();
    let is_socketio = app.socketio.serves(path);
    if (is_socketio || ws::is_upgrade(&request)) && app.sites.judge_origin(head).is_err() {
        app.counters.http_foreign_origins.inc();
        return Ok(refuse_origin(is_socketio));
    }
    if is_socketio {
        request.extensions_mut().insert(ConnectionInfo {
            peer: by.remote,
            secure: is_secure(by),
        });
        let response = app.socketio.handle(request).await;
        return Ok(response.map(BodyExt::boxed_unsync));
    }
    if matches!(path, "/" | "/signal") && ws::is_upgrade(&request) {
        let reached = reached(&request, by);
        return Ok(signal::websocket::upgrade(
            &app,
            &mut request,
            by.remote,
            reached,
        ));
    }
    let response = match path {
        "/signal" => text(
            StatusCode::UPGRADE_REQUIRED,
            "this path speaks WebSocket: connect to it with ws: or wss:\n",
        ),
        "/ice" => ice(&app, by, &request),
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" if app.is_ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        "/metrics" if !may_read_metrics => {
            app.counters.http_metrics_refused.inc();
            text(StatusCode::FORBIDDEN, METRICS_REFUSED)
        }
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

/// Returns the authority that a request names: `:authority`, or the `Host` header.
fn authority<B>(request: &Request<B>) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST)?.to_str().ok(),
    }
}

/// Tells how the client reached us, from the authority it named.
fn reached(request: &Request<Incoming>, by: FiveTuple) -> Option<Reached> {
    let authority: http::uri::Authority = authority(request)?.parse().ok()?;
    Some(Reached::new(&authority, is_secure(by)))
}

fn is_secure(by: FiveTuple) -> bool {
    by.transport == Transport::Tls
}

/// Tells the page of another site that it may not use the server; the clients of Socket.IO expect
/// the refusal in their own form.
fn refuse_origin(is_socketio: bool) -> Response<Body> {
    if !is_socketio {
        return text(StatusCode::FORBIDDEN, FOREIGN_ORIGIN);
    }
    let body = serde_json::json!({ "code": 4, "message": FOREIGN_ORIGIN.trim_end() });
    let mut response = text(StatusCode::FORBIDDEN, "");
    *response.body_mut() = full(body.to_string().into());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Refuses a browser that named a host which may be anyone's. A person who opens a page by that
/// name is sent to the address that it stood for, where the page works: another site's scripts can
/// follow, but have the origin of a stranger there.
fn refuse_host(request: &Request<Incoming>, head: Head<'_>) -> Response<Body> {
    let mut response = text(StatusCode::FORBIDDEN, UNKNOWN_HOST);
    let local = head.path.local;
    let port = head.authority.and_then(|it| split_authority(it).1);
    // With another port, something in between has forwarded: the address may be out of reach.
    let is_direct = port.unwrap_or(80) == local.port();
    // A URL cannot name the interface that such an address needs.
    let is_link_local = matches!(local, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local());
    if is_direct && !is_link_local && pages::is_page(request.uri().path()) {
        let rest = request.uri().path_and_query();
        let rest = rest.map_or("/", http::uri::PathAndQuery::as_str);
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        if let Ok(location) = HeaderValue::try_from(format!("http://{local}{rest}")) {
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(header::LOCATION, location);
        }
    }
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

fn ice(app: &App, by: FiveTuple, request: &Request<Incoming>) -> Response<Body> {
    let mut response = match *request.method() {
        Method::GET => {
            let reached = reached(request, by);
            let answer = app.ice.mint(app.clock.unix(), None, reached.as_ref());
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
    if app.sites.lists(origin) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

/// What the page of another site gets.
const FOREIGN_ORIGIN: &str = "pages of this origin may not use this server: they may where \
                              `cors-origin` names the origin, as in --cors-origin \
                              https://app.example.org\n";

/// What a client gets that may not read the metrics.
const METRICS_REFUSED: &str = "the metrics are for private networks, without a proxy in between \
                               (`metrics-from`), and for who shows a `metrics-token`\n";

/// What a browser gets that named a host which this server does not know.
const UNKNOWN_HOST: &str = "this server does not know that it has this name: open it by its IP \
                            address, or let `allow-host` name it, as in --allow-host \
                            call.example.org\n";

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
