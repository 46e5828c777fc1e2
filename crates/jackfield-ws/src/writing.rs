//! The writing half of a connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Error, WebSocket};

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Writes all that waits and flushes the stream; fails if the peer takes nothing for too long.
    pub(crate) fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self.poll_write_all(cx) {
            Poll::Ready(result) => {
                self.stall.stop();
                Poll::Ready(result.map_err(Error::Io))
            }
            Poll::Pending => {
                self.stall.start(self.config.write_timeout);
                if self.stall.is_up(cx) {
                    Poll::Ready(Err(Error::Stalled))
                } else {
                    Poll::Pending
                }
            }
        }
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.core.outgoing().has_remaining() {
            let written = ready!(self.poll_write_some(cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.core.outgoing().advance(written);
            // The limit is for a peer that takes nothing: a slow one may take as long as it needs.
            self.stall.stop();
            self.unflushed = true;
        }
        // A TLS stream keeps written bytes back until it is flushed.
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let outgoing = self.core.outgoing();
        let mut io = Pin::new(&mut self.io);
        // Such a stream would write the first slice alone, so the other slices are not gathered.
        if !io.is_write_vectored() {
            return io.as_mut().poll_write(cx, outgoing.chunk());
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = outgoing.chunks_vectored(&mut slices);
        io.poll_write_vectored(cx, slices.get(..used).unwrap_or_default())
    }
}

/// Frames per write.
const SLICES: usize = 64;
