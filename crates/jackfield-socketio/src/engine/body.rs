//! Reading the body of a POST within limits.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::BodyExt;
use jackfield_sansio::Charge;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
}

/// How long a body may be, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) length: usize,
    pub(super) time: Duration,
}

/// Reads a whole body, and has what is there of it charged.
pub(super) async fn read<B: Body>(
    headers: &HeaderMap,
    body: B,
    limits: Limits,
    charge: &mut Charge,
) -> Result<Bytes, BodyError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    // A body that says that it is too large is refused before it is read.
    if announced.is_some_and(|length| length > limits.length) {
        return Err(BodyError::TooLarge);
    }
    tokio::time::timeout(limits.time, collect(body, limits.length, charge))
        .await
        .unwrap_or(Err(BodyError::TooSlow))
}

async fn collect<B: Body>(body: B, limit: usize, charge: &mut Charge) -> Result<Bytes, BodyError> {
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        let held = first.len() + all.len();
        if held + data.remaining() > limit {
            return Err(BodyError::TooLarge);
        }
        charge.set(held + data.remaining());
        if held == 0 {
            // Most bodies come in one piece, which needs no copy.
            first = data.copy_to_bytes(data.remaining());
            continue;
        }
        if !first.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            all.extend_from_slice(chunk);
            let length = chunk.len();
            data.advance(length);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
