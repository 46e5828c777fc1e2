//! When interfaces and their addresses change.

use std::io;
use std::time::Duration;

/// Waits for changes of this machine's interfaces and their addresses: the kernel tells of them on
/// Linux, elsewhere and besides they are polled.
///
/// ```no_run
/// # async fn run() {
/// use std::time::Duration;
/// use jackfield_driver::watch::Watch;
///
/// let watch = Watch::new(Duration::from_secs(60));
/// loop {
///     watch.changed().await;
///     // Read the interfaces anew, and compare: something may have changed, or not.
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    #[cfg(target_os = "linux")]
    netlink: Option<tokio::net::UdpSocket>,
    poll: Duration,
}

impl Watch {
    /// Returns a watch that says after `poll` that something may have changed, whatever the kernel
    /// says. Call it inside a tokio runtime.
    #[must_use]
    pub fn new(poll: Duration) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            netlink: open()
                .inspect_err(|error| tracing::debug!(%error, "No netlink: interfaces are polled"))
                .ok(),
            poll,
        }
    }

    /// Waits until something may have changed.
    pub async fn changed(&self) {
        #[cfg(target_os = "linux")]
        if let Some(netlink) = &self.netlink {
            tokio::select! {
                () = told(netlink) => {
                    // Changes come in groups: an interface, its addresses, its routes.
                    tokio::time::sleep(SETTLING).await;
                }
                () = tokio::time::sleep(self.poll) => {}
            }
            return;
        }
        tokio::time::sleep(self.poll).await;
    }
}

#[cfg(target_os = "linux")]
fn open() -> io::Result<tokio::net::UdpSocket> {
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType};
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None, // NETLINK_ROUTE is protocol 0
    )?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    // To tokio it is one more socket that datagrams come from.
    tokio::net::UdpSocket::from_std(socket.into())
}

/// Waits until the kernel has told of something, and forgets what: the table is read anew.
#[cfg(target_os = "linux")]
async fn told(netlink: &tokio::net::UdpSocket) {
    if netlink.readable().await.is_err() {
        return std::future::pending().await;
    }
    let mut room = [0_u8; 8 * 1_024];
    for _ in 0..MAX_MESSAGES {
        match netlink.try_recv(&mut room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // ENOBUFS among them: there were more changes than the kernel keeps.
            Ok(_) | Err(_) => {}
        }
    }
}

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR of <linux/rtnetlink.h>.
#[cfg(target_os = "linux")]
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

#[cfg(target_os = "linux")]
const MAX_MESSAGES: usize = 1_000;

#[cfg(target_os = "linux")]
const SETTLING: Duration = Duration::from_millis(50);
