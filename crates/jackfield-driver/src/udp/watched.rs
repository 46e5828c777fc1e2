//! A socket whose task is woken when there is something to read, and for nothing else.
//!
//! A `tokio::net::UdpSocket` waits for writability too, and the kernel would then wake the task
//! for each datagram that leaves.

pub(super) use imp::Watched;

#[cfg(unix)]
mod imp {
    #![expect(
        unsafe_code,
        reason = "tokio asks for the promise that a descriptor stays the same"
    )]

    use std::io;
    use std::net::UdpSocket;

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    #[derive(Debug)]
    pub(in crate::udp) struct Watched(AsyncFd<UdpSocket>);

    impl Watched {
        pub(in crate::udp) fn new(socket: UdpSocket) -> io::Result<Self> {
            // SAFETY: the descriptor is the socket's own; it is open, and the same one, until the
            // socket is dropped.
            let fd = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
            fd.map(Self).map_err(io::Error::from)
        }

        pub(in crate::udp) fn socket(&self) -> &UdpSocket {
            self.0.get_ref()
        }

        /// Waits until there may be something to read.
        pub(in crate::udp) async fn readable(&self) -> io::Result<()> {
            // Dropped unused, the guard leaves the socket as ready as it is.
            self.0.readable().await.map(drop)
        }

        /// Reads if there may be something; what `read` says of `WouldBlock` is remembered.
        pub(in crate::udp) fn try_read<R>(
            &self,
            read: impl FnOnce(&UdpSocket) -> io::Result<R>,
        ) -> io::Result<R> {
            self.0.try_io(Interest::READABLE, read)
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::io;
    use std::net::UdpSocket;

    use tokio::io::Interest;

    #[derive(Debug)]
    pub(in crate::udp) struct Watched {
        socket: UdpSocket,
        watch: tokio::net::UdpSocket,
    }

    impl Watched {
        pub(in crate::udp) fn new(socket: UdpSocket) -> io::Result<Self> {
            let watch = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
            Ok(Self { socket, watch })
        }

        pub(in crate::udp) fn socket(&self) -> &UdpSocket {
            &self.socket
        }

        pub(in crate::udp) async fn readable(&self) -> io::Result<()> {
            self.watch.readable().await
        }

        pub(in crate::udp) fn try_read<R>(
            &self,
            read: impl FnOnce(&UdpSocket) -> io::Result<R>,
        ) -> io::Result<R> {
            self.watch.try_io(Interest::READABLE, || read(&self.socket))
        }
    }
}
