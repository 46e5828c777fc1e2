//! The ICMP errors about a socket's own datagrams, which Linux hands to it (`IP_RECVERR`): no
//! privilege is needed.

#![expect(
    unsafe_code,
    reason = "ICMP errors of a socket are read with recvmsg from its error queue"
)]

use std::io;
use std::mem;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::control_message::ControlBuffer;

/// An ICMP or ICMPv6 error, or a refusal of this machine's own kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Error {
    pub(super) origin: Origin,
    pub(super) kind: u8,
    pub(super) code: u8,
    /// The MTU, in errors about one.
    pub(super) info: u32,
}

/// The sender of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This machine.
    Local,
    /// A router or host with this IPv4 address.
    V4(IpAddr),
    /// The same with IPv6.
    V6(IpAddr),
}

/// Sets an option of IP that is an int, as all of those here are.
pub(super) fn set(
    socket: &UdpSocket,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the option's value is an int that lives through the
    // call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Asks the system to queue errors for the socket.
pub(super) fn queue_errors(socket: &UdpSocket, is_ipv4: bool) -> io::Result<()> {
    if is_ipv4 {
        set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
    } else {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
    }
}

/// Waits until one of the sockets has something, at most for `timeout`.
pub(super) fn wait<'s>(
    sockets: impl Iterator<Item = &'s UdpSocket>,
    timeout: Duration,
) -> io::Result<()> {
    // An ICMP error wakes a poll as POLLERR, which is always asked for.
    let mut polled: Vec<PollFd<'_>> = sockets
        .map(|socket| PollFd::new(socket, PollFlags::IN))
        .collect();
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes one error from the socket's queue, with the first bytes of the datagram that it is about.
pub(super) fn read_error(socket: &UdpSocket, about: &mut [u8]) -> Option<Error> {
    let mut control = ControlBuffer::default();
    let mut part = libc::iovec {
        iov_base: about.as_mut_ptr().cast(),
        iov_len: about.len(),
    };
    // SAFETY: a header of zeroes is a valid one, without buffers.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    control.lend(&mut header);
    // SAFETY: the descriptor is open, and the buffers that the header points at live through the
    // call.
    let received = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut header,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        )
    };
    if received < 0 {
        return None;
    }
    let message = control.messages(&header).find(|message| {
        matches!(
            (message.level, message.kind),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        )
    })?;
    let error = message.read::<libc::sock_extended_err>()?;
    // The sender's address stands behind the error (`SO_EE_OFFENDER`).
    let origin = match error.ee_origin {
        libc::SO_EE_ORIGIN_LOCAL => Origin::Local,
        libc::SO_EE_ORIGIN_ICMP => {
            let sender = message.read_behind::<libc::sock_extended_err, libc::sockaddr_in>()?;
            Origin::V4(u32::from_be(sender.sin_addr.s_addr).to_be_bytes().into())
        }
        libc::SO_EE_ORIGIN_ICMP6 => {
            let sender = message.read_behind::<libc::sock_extended_err, libc::sockaddr_in6>()?;
            Origin::V6(sender.sin6_addr.s6_addr.into())
        }
        _ => return None,
    };
    Some(Error {
        origin,
        kind: error.ee_type,
        code: error.ee_code,
        info: error.ee_info,
    })
}
