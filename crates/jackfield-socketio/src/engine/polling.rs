//! Long-polling requests of open sessions.

use bytestring::ByteString;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request};
use http_body::Body;
use jackfield_sansio::Charge;
use jackfield_socketio_proto::engine::{PostBody, PostFailure, RequestError, RequestId, Response};
use tokio::sync::oneshot;

use super::EngineSocket;
use super::body::{self, BodyError};
use super::server::Inner;

/// Answers a polling request of an open session.
pub(super) async fn handle<B: Body>(
    inner: &Inner,
    socket: &EngineSocket,
    request: Request<B>,
) -> Response {
    match *request.method() {
        Method::GET => poll(socket).await,
        Method::POST => post(inner, socket, request).await,
        _ => {
            inner.stats.bad_requests.increment();
            Response::error(RequestError::BadRequest)
        }
    }
}

/// Waits for packets. If the client goes away first, the session ends.
pub(super) async fn poll(socket: &EngineSocket) -> Response {
    let (id, answer) = socket.poll();
    let guard = PollGuard { socket, id };
    let response = wait(answer).await;
    // The answer has come: dropping the guard would end the session.
    std::mem::forget(guard);
    response
}

struct PollGuard<'a> {
    socket: &'a EngineSocket,
    id: RequestId,
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        self.socket.poll_aborted(self.id);
    }
}

async fn post<B: Body>(inner: &Inner, socket: &EngineSocket, request: Request<B>) -> Response {
    let (head, body) = request.into_parts();
    let octet_stream = is_octet_stream(&head.headers);
    let (id, answer, read) = socket.post_head(octet_stream);
    if !read {
        return wait(answer).await;
    }
    // hyper drops this future when the client goes away while its body is read.
    let guard = PostGuard { socket, id };
    let config = &inner.config;
    let mut charge = Charge::new(socket.account());
    let limits = body::Limits {
        length: config.max_payload,
        time: config.body_timeout,
    };
    let body = body::read(&head.headers, body, limits, &mut charge).await;
    match body.map(|bytes| decode(octet_stream, bytes)) {
        Ok(Ok(body)) => {
            socket.post(id, body);
            // A body holds up to half a million packets: other clients have their turns meanwhile.
            // The answer waits for the handlers, and the client sends no further POST until it has
            // it.
            while socket.post_body() {
                socket.caught_up().await;
                tokio::task::yield_now().await;
            }
            socket.caught_up().await;
        }
        Ok(Err(failure)) => socket.post_failed(id, failure),
        Err(error) => {
            count(inner, error);
            socket.post_failed(id, failure(error));
        }
    }
    // It is answered, or is about to be: dropping the guard would end the session.
    std::mem::forget(guard);
    wait(answer).await
}

struct PostGuard<'a> {
    socket: &'a EngineSocket,
    id: RequestId,
}

impl Drop for PostGuard<'_> {
    fn drop(&mut self) {
        self.socket.post_failed(self.id, PostFailure::Aborted);
    }
}

fn decode(octet_stream: bool, bytes: bytes::Bytes) -> Result<PostBody, PostFailure> {
    if octet_stream {
        return Ok(PostBody::Binary(bytes));
    }
    ByteString::try_from(bytes)
        .map(PostBody::Text)
        .map_err(|_| PostFailure::NotUtf8)
}

const fn failure(error: BodyError) -> PostFailure {
    match error {
        BodyError::TooLarge => PostFailure::TooLarge,
        BodyError::TooSlow => PostFailure::TooSlow,
        BodyError::Broken => PostFailure::Aborted,
    }
}

fn count(inner: &Inner, error: BodyError) {
    match error {
        BodyError::TooLarge => inner.stats.payload_too_large.increment(),
        BodyError::TooSlow => inner.stats.body_timeouts.increment(),
        BodyError::Broken => {}
    }
}

/// Waits for the session's answer; a session that is gone leaves none.
async fn wait(answer: oneshot::Receiver<Response>) -> Response {
    answer
        .await
        .unwrap_or_else(|_| Response::error(RequestError::BadRequest))
}

fn is_octet_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/octet-stream"))
}
