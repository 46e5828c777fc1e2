//! recvmmsg(2) with `UDP_GRO`, sendmmsg(2) with `UDP_SEGMENT`, and the packet information of both
//! IP versions.

#![expect(
    unsafe_code,
    reason = "message headers of recvmmsg(2) and sendmmsg(2) are raw pointers"
)]

use std::cell::RefCell;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use super::batch::{Received, RecvBatch};
use super::egress::{Egress, Run};
use super::{Fragmenting, TrainRefusal};
use crate::control_message::{ControlBuffer, ControlMessage, to_field};

/// Prepares a socket: for coalesced receives if `gro`, and to report each datagram's local address
/// if `wildcard`. Returns whether the kernel cuts trains into datagrams (GSO).
pub(super) fn prepare(
    socket: &impl AsRawFd,
    address: SocketAddr,
    wildcard: bool,
    gro: bool,
) -> io::Result<bool> {
    let fd = socket.as_raw_fd();
    if wildcard {
        match address {
            SocketAddr::V4(_) => set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
            SocketAddr::V6(_) => set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?,
        }
    }
    if gro && let Err(error) = set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1) {
        tracing::debug!(%error, "The kernel does not coalesce datagrams");
    }
    // Segments of 0 bytes are the default, so this changes nothing, and fails in a kernel without
    // the option.
    Ok(set_option(fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok())
}

/// Sets what becomes of datagrams that a path does not take whole.
pub(super) fn set_fragmenting(
    socket: &impl AsRawFd,
    address: SocketAddr,
    fragmenting: Fragmenting,
) -> io::Result<()> {
    let (level, name) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    };
    // The values are the same for both families.
    let value = match fragmenting {
        Fragmenting::Kernel => libc::IP_PMTUDISC_WANT,
        Fragmenting::Always => libc::IP_PMTUDISC_DONT,
        Fragmenting::Never => libc::IP_PMTUDISC_DO,
    };
    set_option(socket.as_raw_fd(), level, name, value)
}

fn set_option(
    fd: RawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the pointer and the size describe `value`, which outlives the call.
    let rc = unsafe {
        libc::setsockopt(
            fd,
            level,
            name,
            ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if rc == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Receives what is there, without waiting; returns how many messages.
pub(super) fn receive(
    socket: &impl AsRawFd,
    bound: SocketAddr,
    batch: &mut RecvBatch,
) -> io::Result<usize> {
    RECEIVE.with_borrow_mut(|scratch| {
        let (rooms, received) = batch.refill();
        let messages = scratch.fill(rooms);
        // SAFETY: each of the `messages` headers points at a name, a control buffer and one room,
        // all of the stated sizes, which live in `scratch` and `batch`; both are borrowed until
        // after the last use of a header.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                scratch.headers.as_mut_ptr(),
                messages as libc::c_uint,
                MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        let parts = scratch.names.iter().zip(&scratch.controls);
        for (header, (name, controls)) in scratch.headers.iter().zip(parts).take(got) {
            // A sender without an address cannot be answered; its message stays in the list, as
            // the list and the rooms are matched by position.
            let remote = to_socket_addr(name).unwrap_or(UNSPECIFIED);
            let len = header.msg_len as usize;
            let (local_ip, segment) = read_controls(controls.messages(&header.msg_hdr));
            received.push(Received {
                local: local_ip.map_or(bound, |ip| SocketAddr::new(ip, bound.port())),
                remote,
                len,
                segment: segment.unwrap_or(len),
            });
        }
        Ok(got)
    })
}

/// Sends waiting runs, without waiting; returns how many.
///
/// # Errors
/// What the first run met; those after it were not tried.
pub(super) fn send(socket: &impl AsRawFd, bound: SocketAddr, egress: &Egress) -> io::Result<usize> {
    if let [run] = egress.runs()
        && run.count == 1
        && run.to.source.is_none()
    {
        let bytes = egress.pieces(run).next().unwrap_or_default();
        return send_one(socket, bytes, run.to.remote).map(|()| 1);
    }
    SEND.with_borrow_mut(|scratch| {
        let messages = scratch.fill(bound, egress);
        // SAFETY: each of the `messages` headers points at a name, pieces and a control buffer of
        // the stated sizes, which live in `scratch` and `egress`; both are borrowed until after
        // the call, which only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                scratch.headers.as_mut_ptr(),
                messages as libc::c_uint,
                MSG_DONTWAIT as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    })
}

/// Sends a single datagram from the address that its socket is bound to. One sendto(2) costs less
/// than a sendmmsg(2) of one message, whose headers the kernel has to copy in.
fn send_one(socket: &impl AsRawFd, bytes: &[u8], remote: SocketAddr) -> io::Result<()> {
    let (name, length) = from_socket_addr(remote);
    // SAFETY: the pointers and lengths describe `bytes` and `name`, which outlive the call; it
    // only reads them.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            MSG_DONTWAIT,
            ptr::from_ref(&name).cast(),
            length,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Says whether a send that failed speaks against its train.
pub(super) fn refuses_trains(error: &io::Error) -> TrainRefusal {
    match error.raw_os_error() {
        // The device has no checksum offload, so that it cannot cut trains.
        Some(libc::EIO) => TrainRefusal::Always,
        // One datagram of the train is larger than the path takes whole.
        Some(libc::EINVAL | libc::EMSGSIZE) => TrainRefusal::ThisSize,
        _ => TrainRefusal::No,
    }
}

/// Returns whether the error is about an earlier datagram (ICMP), so that this send is worth
/// another try.
pub(super) fn is_late_error(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECONNREFUSED)
}

thread_local! {
    static RECEIVE: RefCell<ReceiveScratch> = RefCell::new(ReceiveScratch::default());
    static SEND: RefCell<SendScratch> = RefCell::new(SendScratch::default());
}

/// Message headers for a receive and what they point at, apart from the rooms for bytes.
#[derive(Default)]
struct ReceiveScratch {
    headers: Vec<libc::mmsghdr>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<ControlBuffer>,
    pieces: Vec<libc::iovec>,
}

impl ReceiveScratch {
    /// Makes a header for each room; returns how many.
    fn fill<'b>(&mut self, rooms: impl ExactSizeIterator<Item = &'b mut [u8]>) -> usize {
        let messages = rooms.len();
        if self.headers.len() < messages {
            // SAFETY: both are plain data, for which zeroes are a value (null pointers, no
            // address).
            let (header, name) = unsafe { (zeroed(), zeroed()) };
            self.headers.resize(messages, header);
            self.names.resize(messages, name);
            self.controls.resize(messages, ControlBuffer::default());
        }
        self.pieces.clear();
        self.pieces.extend(rooms.map(|room| libc::iovec {
            iov_base: room.as_mut_ptr().cast(),
            iov_len: room.len(),
        }));
        let parts = self
            .names
            .iter_mut()
            .zip(&mut self.controls)
            .zip(&mut self.pieces);
        for (header, ((name, control), piece)) in self.headers.iter_mut().zip(parts) {
            let header = &mut header.msg_hdr;
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = ptr::from_mut(piece);
            header.msg_iovlen = 1;
            control.lend(header);
            header.msg_flags = 0;
        }
        messages
    }
}

/// Message headers for a send and what they point at, apart from the bytes.
#[derive(Default)]
struct SendScratch {
    headers: Vec<libc::mmsghdr>,
    names: Vec<(libc::sockaddr_storage, libc::socklen_t)>,
    controls: Vec<ControlBuffer>,
    pieces: Vec<libc::iovec>,
    /// How many pieces each message has.
    piece_counts: Vec<usize>,
}

impl SendScratch {
    /// Makes a header for each of the first waiting runs; returns how many.
    fn fill(&mut self, bound: SocketAddr, egress: &Egress) -> usize {
        self.names.clear();
        self.pieces.clear();
        self.piece_counts.clear();
        let whole = egress.runs().first().is_some_and(|run| run.to.whole);
        for run in egress.runs().iter().take(MESSAGES) {
            if self.pieces.len() > PIECES || run.to.whole != whole {
                break;
            }
            let before = self.pieces.len();
            self.pieces
                .extend(egress.pieces(run).map(|bytes| libc::iovec {
                    iov_base: bytes.as_ptr().cast_mut().cast(),
                    iov_len: bytes.len(),
                }));
            self.piece_counts.push(self.pieces.len() - before);
            self.names.push(from_socket_addr(run.to.remote));
        }
        let messages = self.names.len();
        if self.headers.len() < messages {
            // SAFETY: plain data, for which zeroes are a value (null pointers).
            self.headers.resize(messages, unsafe { zeroed() });
            self.controls.resize(messages, ControlBuffer::default());
        }
        let parts = self
            .names
            .iter_mut()
            .zip(&mut self.controls)
            .zip(&self.piece_counts);
        let mut rest = self.pieces.as_mut_slice();
        for ((header, run), ((name, control), pieces)) in
            self.headers.iter_mut().zip(egress.runs()).zip(parts)
        {
            let (own, others) = rest.split_at_mut_checked(*pieces).unwrap_or_default();
            rest = others;
            let header = &mut header.msg_hdr;
            header.msg_name = ptr::from_mut(&mut name.0).cast();
            header.msg_namelen = name.1;
            header.msg_iov = own.as_mut_ptr();
            header.msg_iovlen = to_field(own.len());
            header.msg_flags = 0;
            write_controls(header, control, bound, run);
        }
        messages
    }
}

/// Returns the local address a message came to and the size of its datagrams, where the kernel
/// says so.
fn read_controls<'m>(
    messages: impl Iterator<Item = ControlMessage<'m>>,
) -> (Option<IpAddr>, Option<usize>) {
    let mut local = None;
    let mut segment = None;
    for message in messages {
        match (message.level, message.kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // The address to answer from, which differs from the one it was sent to for a
                // broadcast.
                let ip = |info: libc::in_pktinfo| info.ipi_spec_dst.s_addr.to_ne_bytes();
                local = message.read().map(|info| Ipv4Addr::from(ip(info)).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let ip = |info: libc::in6_pktinfo| info.ipi6_addr.s6_addr;
                local = message.read().map(|info| Ipv6Addr::from(ip(info)).into());
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let size = message.read::<libc::c_int>();
                segment = size.and_then(|size| usize::try_from(size).ok());
            }
            _ => {}
        }
    }
    (local, segment.filter(|size| *size > 0))
}

/// Writes where a run is sent from and the size of its datagrams, where either has to be said.
fn write_controls(
    header: &mut libc::msghdr,
    buffer: &mut ControlBuffer,
    bound: SocketAddr,
    run: &Run,
) {
    let mut writer = buffer.writer();
    match run.to.source {
        Some(IpAddr::V4(ip)) if bound.is_ipv4() => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(ip.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            writer.put(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(IpAddr::V6(ip)) if bound.is_ipv6() => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: ip.octets(),
                },
                ipi6_ifindex: 0,
            };
            writer.put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        _ => {}
    }
    if run.count > 1 {
        // A run never holds datagrams above 64 KiB.
        let size = u16::try_from(run.segment).unwrap_or(u16::MAX);
        writer.put(libc::SOL_UDP, libc::UDP_SEGMENT, size);
    }
    writer.finish(header);
}

fn to_socket_addr(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let name: *const libc::sockaddr_storage = name;
    // SAFETY: the storage is large enough and aligned for either address; its family says which of
    // them it holds.
    match libc::c_int::from(unsafe { (*name).ss_family }) {
        libc::AF_INET => {
            // SAFETY: as above.
            let v4 = unsafe { &*name.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*name.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            // The flow label is the sender's; an answer has its own.
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn from_socket_addr(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: plain data, for which zeroes are a value.
    let mut name: libc::sockaddr_storage = unsafe { zeroed() };
    let len = match address {
        SocketAddr::V4(v4) => {
            // SAFETY: the storage is large enough and aligned for this address.
            let to = unsafe { &mut *ptr::from_mut(&mut name).cast::<libc::sockaddr_in>() };
            to.sin_family = libc::AF_INET as libc::sa_family_t;
            to.sin_port = v4.port().to_be();
            to.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            // SAFETY: the storage is large enough and aligned for this address.
            let to = unsafe { &mut *ptr::from_mut(&mut name).cast::<libc::sockaddr_in6>() };
            to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            to.sin6_port = v6.port().to_be();
            to.sin6_addr.s6_addr = v6.ip().octets();
            to.sin6_scope_id = v6.scope_id();
            size_of::<libc::sockaddr_in6>()
        }
    };
    (name, len as libc::socklen_t)
}

/// The flag has one type, and the parameter that takes it another in musl's recvmmsg(2) and
/// sendmmsg(2).
const MSG_DONTWAIT: libc::c_int = libc::MSG_DONTWAIT;

const UNSPECIFIED: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// Messages in one send.
const MESSAGES: usize = 64;

/// Pieces after which a send takes no further run.
const PIECES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_through_the_operating_system_s_form() {
        let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 3478, 0, 7);
        for address in ["192.0.2.1:3478".parse().unwrap(), SocketAddr::V6(scoped)] {
            assert_eq!(to_socket_addr(&from_socket_addr(address).0), Some(address));
        }
    }
}
