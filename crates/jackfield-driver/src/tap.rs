//! Listens to what this crate's clients send and receive: discoveries and allocations.
//!
//! A [`Tap`] hears of what is sent and received by the work that [`tapped`] runs, and by what that
//! work has started: a client keeps the tap that it was made under. What goes through TLS is heard
//! in the clear.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use jackfield_sansio::FiveTuple;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UdpSocket;

/// A listener.
pub trait Tap: Send + Sync + fmt::Debug {
    /// Takes a datagram, or a part of a stream. It must not wait.
    fn record(&self, path: FiveTuple, way: Way, bytes: &[u8]);
}

/// The direction of bytes, as this machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// They left.
    Sent,
    /// They came.
    Received,
}

/// Runs some work, of which the tap hears.
pub async fn tapped<F: Future>(tap: Arc<dyn Tap>, work: F) -> F::Output {
    TAP.scope(tap, work).await
}

/// Runs work that blocks, on a thread of its own, under the tap of the caller.
pub fn inherit<T>(tap: Option<Arc<dyn Tap>>, work: impl FnOnce() -> T) -> T {
    match tap {
        Some(tap) => TAP.sync_scope(tap, work),
        None => work(),
    }
}

/// Returns the tap that this task runs under.
#[must_use]
pub fn current() -> Option<Arc<dyn Tap>> {
    TAP.try_with(Arc::clone).ok()
}

/// A stream, or a socket that is connected, under the tap that it was made under.
#[derive(Debug)]
pub struct Tapped<S> {
    inner: S,
    path: FiveTuple,
    tap: Option<Arc<dyn Tap>>,
}

impl<S> Tapped<S> {
    /// Puts a stream or a connected socket under the current tap, if there is one.
    #[must_use]
    pub fn new(inner: S, path: FiveTuple) -> Self {
        Self {
            inner,
            path,
            tap: current(),
        }
    }

    fn record(&self, way: Way, bytes: &[u8]) {
        if let Some(tap) = &self.tap {
            tap.record(self.path, way, bytes);
        }
    }
}

impl Tapped<UdpSocket> {
    /// Sends a datagram.
    ///
    /// # Errors
    /// As [`UdpSocket::send`].
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.record(Way::Sent, bytes);
        self.inner.send(bytes).await
    }

    /// Waits for a datagram; returns its length.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub async fn recv(&self, room: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.recv(room).await?;
        self.record(Way::Received, room.get(..length).unwrap_or_default());
        Ok(length)
    }

    /// Takes a datagram if one is there; returns its length.
    ///
    /// # Errors
    /// As [`UdpSocket::try_recv`].
    pub fn try_recv(&self, room: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.try_recv(room)?;
        self.record(Way::Received, room.get(..length).unwrap_or_default());
        Ok(length)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, room))?;
        let bytes = room.filled().get(before..).unwrap_or_default();
        if !bytes.is_empty() {
            self.record(Way::Received, bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
        self.record(Way::Sent, bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

tokio::task_local! {
    static TAP: Arc<dyn Tap>;
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jackfield_sansio::Transport;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<(Way, Vec<u8>)>>);

    impl Tap for Recorder {
        fn record(&self, _path: FiveTuple, way: Way, bytes: &[u8]) {
            self.0.lock().unwrap().push((way, bytes.to_vec()));
        }
    }

    fn path() -> FiveTuple {
        FiveTuple {
            transport: Transport::Tcp,
            local: "127.0.0.1:1".parse().unwrap(),
            remote: "127.0.0.1:2".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn what_a_stream_carries_is_heard_wherever_it_goes_after_it_was_made() {
        let recorder = Arc::new(Recorder::default());
        let (ours, mut theirs) = tokio::io::duplex(64);
        let tap: Arc<dyn Tap> = Arc::clone(&recorder) as Arc<dyn Tap>;
        let mut stream = tapped(tap, async { Tapped::new(ours, path()) }).await;
        stream.write_all(b"hello").await.unwrap();
        theirs.write_all(b"ho").await.unwrap();
        stream.read_exact(&mut [0; 2]).await.unwrap();
        let heard = recorder.0.lock().unwrap().clone();
        assert_eq!(
            heard,
            [
                (Way::Sent, b"hello".to_vec()),
                (Way::Received, b"ho".to_vec())
            ]
        );
    }

    #[tokio::test]
    async fn without_a_tap_nothing_is_recorded() {
        assert!(current().is_none());
        let (ours, mut theirs) = tokio::io::duplex(64);
        Tapped::new(ours, path()).write_all(b"hello").await.unwrap();
        theirs.read_exact(&mut [0; 5]).await.unwrap();
    }
}
