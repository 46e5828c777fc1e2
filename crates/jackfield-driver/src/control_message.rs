//! Control messages of recvmsg(2) and sendmsg(2): what the kernel says beside a message's bytes,
//! and what it is asked.
//!
//! The lengths in a message's header are of other types in musl than in glibc (`c_int` and
//! `socklen_t`, each followed by padding that the kernel reads as the upper half of a `size_t`).
//! So they are written and read by [`to_field`] and [`from_field`], and a header has to start as
//! zeroes.

#![expect(
    unsafe_code,
    reason = "the kernel's structs lie in a buffer of bytes, and CMSG_LEN and CMSG_SPACE are unsafe to call"
)]

use std::mem::{size_of, zeroed};
use std::ptr;

/// Room for the control messages of one message, aligned as their headers have to be.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct ControlBuffer([u8; BUFFER]);

impl Default for ControlBuffer {
    fn default() -> Self {
        Self([0; BUFFER])
    }
}

impl ControlBuffer {
    /// Points a message's header at the whole buffer, for the kernel to fill.
    pub(crate) fn lend(&mut self, header: &mut libc::msghdr) {
        header.msg_control = self.0.as_mut_ptr().cast();
        header.msg_controllen = to_field(BUFFER);
    }

    /// Returns what the kernel has put into the buffer that was lent to `header`.
    ///
    /// CMSG_NXTHDR would do the same by pointers; slices cannot leave the buffer, whatever lengths
    /// are in it.
    pub(crate) fn messages(
        &self,
        header: &libc::msghdr,
    ) -> impl Iterator<Item = ControlMessage<'_>> {
        let end = from_field(header.msg_controllen).min(BUFFER);
        let mut rest = self.0.get(..end).unwrap_or_default();
        std::iter::from_fn(move || {
            let head: libc::cmsghdr = read(rest)?;
            let data = rest.get(HEADER..from_field(head.cmsg_len))?;
            rest = rest.get(space(data.len())..).unwrap_or_default();
            Some(ControlMessage {
                level: head.cmsg_level,
                kind: head.cmsg_type,
                data,
            })
        })
    }

    /// Returns a writer that overwrites what the buffer holds.
    pub(crate) fn writer(&mut self) -> ControlWriter<'_> {
        ControlWriter {
            buffer: self,
            used: 0,
        }
    }
}

/// A control message that the kernel wrote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ControlMessage<'m> {
    pub(crate) level: libc::c_int,
    pub(crate) kind: libc::c_int,
    data: &'m [u8],
}

impl ControlMessage<'_> {
    /// Returns the value that the data starts with; nothing if the data is shorter.
    pub(crate) fn read<T: Plain>(&self) -> Option<T> {
        read(self.data)
    }

    /// Returns the value behind a first one of type `F`; nothing if the data ends before.
    pub(crate) fn read_behind<F: Plain, T: Plain>(&self) -> Option<T> {
        read(self.data.get(size_of::<F>()..)?)
    }
}

/// Writes control messages for the kernel, one behind the other.
#[derive(Debug)]
pub(crate) struct ControlWriter<'b> {
    buffer: &'b mut ControlBuffer,
    used: usize,
}

impl ControlWriter<'_> {
    /// Adds a control message. One that does not fit is left out; the buffer has room for all that
    /// are ever written.
    pub(crate) fn put<T: Plain>(&mut self, level: libc::c_int, kind: libc::c_int, value: T) {
        let end = self.used + space(size_of::<T>());
        let Some(room) = self.buffer.0.get_mut(self.used..end) else {
            debug_assert!(false, "control messages outgrow their buffer");
            return;
        };
        // SAFETY: zeroes are a value of this struct of integers; they keep musl's padding clear.
        let mut head: libc::cmsghdr = unsafe { zeroed() };
        head.cmsg_level = level;
        head.cmsg_type = kind;
        head.cmsg_len = to_field(HEADER + size_of::<T>());
        write(room, head);
        write(room.get_mut(HEADER..).unwrap_or_default(), value);
        self.used = end;
    }

    /// Points a message's header at what was written.
    pub(crate) fn finish(self, header: &mut libc::msghdr) {
        header.msg_control = match self.used {
            0 => ptr::null_mut(),
            _ => self.buffer.0.as_mut_ptr().cast(),
        };
        header.msg_controllen = to_field(self.used);
    }
}

/// A value that control messages carry as it is in memory.
///
/// # Safety
/// Any bytes are a valid value, and no byte of a value is padding.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for u16 {}
// SAFETY: an integer.
unsafe impl Plain for libc::c_int {}
// SAFETY: integers without gaps; musl's padding is a field.
unsafe impl Plain for libc::cmsghdr {}
// SAFETY: integers without gaps.
unsafe impl Plain for libc::in_pktinfo {}
// SAFETY: integers without gaps.
unsafe impl Plain for libc::in6_pktinfo {}
// SAFETY: integers without gaps.
unsafe impl Plain for libc::sock_extended_err {}
// SAFETY: integers without gaps.
unsafe impl Plain for libc::sockaddr_in {}
// SAFETY: integers and bytes without gaps.
unsafe impl Plain for libc::sockaddr_in6 {}

/// Returns the value that `bytes` start with, aligned or not; nothing if there are too few.
fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: the slice has the length of the value, of which any bytes are valid.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Writes a value to the start of `room`, aligned or not, if it fits.
fn write<T: Plain>(room: &mut [u8], value: T) {
    if let Some(room) = room.get_mut(..size_of::<T>()) {
        // SAFETY: the slice has the length of the value, which has no padding, so the slice stays
        // initialized.
        unsafe { room.as_mut_ptr().cast::<T>().write_unaligned(value) };
    }
}

/// Returns the bytes from one control message to the next, when the first has `length` bytes of
/// data.
fn space(length: usize) -> usize {
    // A buffer's length bounds it, so that no bits are lost.
    let length = length.min(BUFFER) as libc::c_uint;
    // SAFETY: CMSG_SPACE is arithmetic on a small number.
    unsafe { libc::CMSG_SPACE(length) as usize }
}

/// Returns a length or a count as a field of a header takes it, whatever type the C library gives
/// that.
///
/// # Panics
/// When the field cannot hold the number, which takes a buffer of 2 GiB.
pub(crate) fn to_field<T: TryFrom<usize>>(number: usize) -> T {
    match T::try_from(number) {
        Ok(field) => field,
        Err(_) => panic!("no message has a buffer of {number} bytes"),
    }
}

/// Returns a length that is in a header; 0 for a negative one.
fn from_field<T: TryInto<usize>>(field: T) -> usize {
    field.try_into().unwrap_or_default()
}

/// From the start of a control message to its data.
// SAFETY: CMSG_LEN is arithmetic on a small number.
const HEADER: usize = unsafe { libc::CMSG_LEN(0) as usize };

/// Bytes for control messages. The kernel fills in at most an address (40 bytes) and the size of
/// datagrams (24), or an ICMP error with an address (56), and we write no more than an address and
/// a size.
const BUFFER: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut buffer = ControlBuffer::default();
        let mut header = empty();
        // The second time the buffer holds the first time's messages.
        for _ in 0..2 {
            let mut writer = buffer.writer();
            let info = libc::in_pktinfo {
                ipi_ifindex: 3,
                ipi_spec_dst: libc::in_addr { s_addr: 7 },
                ipi_addr: libc::in_addr { s_addr: 9 },
            };
            writer.put(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            writer.put(libc::SOL_UDP, libc::UDP_SEGMENT, 1200_u16);
            writer.finish(&mut header);
        }
        let messages: Vec<_> = buffer.messages(&header).collect();
        let [info, segment] = messages.as_slice() else {
            panic!("two messages");
        };
        assert_eq!(
            (info.level, info.kind),
            (libc::IPPROTO_IP, libc::IP_PKTINFO)
        );
        assert_eq!(info.read::<libc::in_pktinfo>().unwrap().ipi_addr.s_addr, 9);
        assert_eq!(info.read_behind::<libc::c_int, libc::c_int>(), Some(7));
        assert_eq!(segment.read::<u16>(), Some(1200));
        assert_eq!(segment.read::<libc::c_int>(), None);
    }

    #[test]
    fn the_layout_is_the_one_of_the_macros() {
        let mut buffer = ControlBuffer::default();
        let mut header = empty();
        let mut writer = buffer.writer();
        writer.put(libc::SOL_UDP, libc::UDP_SEGMENT, 1_u16);
        writer.put(libc::SOL_UDP, libc::UDP_GRO, 2 as libc::c_int);
        writer.finish(&mut header);
        // SAFETY: the header's buffer lives, and holds two whole control messages.
        let (first, second) = unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (first, libc::CMSG_NXTHDR(&raw const header, first))
        };
        assert_eq!(second as usize - first as usize, space(2));
        // SAFETY: the second message's data is an int.
        let value = unsafe {
            libc::CMSG_DATA(second)
                .cast::<libc::c_int>()
                .read_unaligned()
        };
        assert_eq!(value, 2);
    }

    #[test]
    fn lengths_that_leave_the_buffer_end_the_messages() {
        let mut buffer = ControlBuffer::default();
        let mut header = empty();
        let mut writer = buffer.writer();
        writer.put(libc::SOL_UDP, libc::UDP_GRO, 2 as libc::c_int);
        writer.finish(&mut header);
        for length in [0, HEADER - 1, BUFFER + 1] {
            // SAFETY: zeroes are a value of this struct of integers.
            let mut head: libc::cmsghdr = unsafe { zeroed() };
            head.cmsg_len = to_field(length);
            write(&mut buffer.0, head);
            assert_eq!(buffer.messages(&header).count(), 0);
        }
        header.msg_controllen = to_field(0);
        assert_eq!(buffer.messages(&header).count(), 0);
        buffer.writer().finish(&mut header);
        assert!(header.msg_control.is_null());
    }

    fn empty() -> libc::msghdr {
        // SAFETY: zeroes are a valid header, without buffers.
        unsafe { zeroed() }
    }
}
