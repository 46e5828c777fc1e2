//! A stream whose first bytes were read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::demux::{Protocol, classify};

/// A stream whose first bytes were read to see which protocol it speaks, and are read again.
#[derive(Debug)]
pub(super) struct Prefixed<S, H> {
    /// What was read and is still to be read again.
    prefix: Bytes,
    inner: S,
    /// What is counted as long as the stream is open: a WebSocket takes the stream out of its HTTP
    /// connection, and this with it.
    _held: H,
}

/// Reads until the first bytes tell the protocol; returns it with the bytes read.
///
/// A stream that ends earlier is [`Protocol::Unknown`].
pub(super) async fn first_bytes<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> io::Result<(Protocol, Bytes)> {
    let mut read = BytesMut::with_capacity(FIRST_READ);
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok((Protocol::Unknown, read.freeze()));
        }
        if let Some(protocol) = classify(&read) {
            return Ok((protocol, read.freeze()));
        }
    }
}

/// Bytes of the first read: most requests fit, and it is short-lived.
const FIRST_READ: usize = 1024;

impl<S, H> Prefixed<S, H> {
    pub(super) fn new(prefix: Bytes, inner: S, held: H) -> Self {
        Self {
            prefix,
            inner,
            _held: held,
        }
    }
}

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for Prefixed<S, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buffer);
        }
        let length = self.prefix.len().min(buffer.remaining());
        let head = self.prefix.split_to(length);
        buffer.put_slice(head.chunk());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Prefixed<S, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn what_was_read_to_tell_the_protocol_is_read_again() {
        let (mut client, mut server) = tokio::io::duplex(64);
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let (protocol, prefix) = first_bytes(&mut server).await.unwrap();
        assert_eq!(protocol, Protocol::Http);
        let mut stream = Prefixed::new(prefix, server, ());
        client.write_all(b"rest").await.unwrap();
        drop(client);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"GET / HTTP/1.1\r\nrest");
    }

    #[tokio::test]
    async fn bytes_may_come_one_by_one() {
        let (mut client, mut server) = tokio::io::duplex(64);
        let send = async {
            for byte in [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42] {
                client.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (found, ()) = tokio::join!(first_bytes(&mut server), send);
        assert_eq!(found.unwrap().0, Protocol::Stun);
    }

    #[tokio::test]
    async fn a_stream_that_ends_early_is_unknown() {
        let (client, mut server) = tokio::io::duplex(64);
        drop(client);
        let (protocol, _) = first_bytes(&mut server).await.unwrap();
        assert_eq!(protocol, Protocol::Unknown);
    }
}
