//! TUN interfaces: made, configured, and given back to the kernel when they are dropped.

#![expect(unsafe_code, reason = "interfaces are made by ioctl(2)")]

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use jackfield_nat::packet::trains::Support;

use super::Netns;
use super::netlink::Netlink;

/// The settings of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TunConfig {
    /// Its name, of 1 to 15 bytes.
    pub name: String,
    /// The network namespace it is in; `None` for the one this process is in.
    pub netns: Option<Netns>,
    /// The addresses that the host has on it, with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The prefixes that the host sends through it.
    pub routes: Vec<(IpAddr, u8)>,
    /// The largest packet, in bytes; `None` for the kernel's 1500.
    pub mtu: Option<u16>,
}

/// A network interface whose other end is this process: what the host sends is read here, and what
/// is written here the host receives.
///
/// The kernel removes it when this is dropped or the process ends, however that happens.
#[derive(Debug)]
pub struct Tun {
    /// The first queue.
    file: File,
    /// The other queues.
    more: Vec<File>,
}

/// The reason why an interface could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunError {
    /// The name cannot be one of an interface.
    #[error("`{0}` cannot be the name of an interface: 1 to 15 bytes, without `/` and spaces")]
    Name(String),
    /// The device that interfaces are made by is not there.
    #[error("there is no {DEVICE}: load the kernel's module `tun` (modprobe tun)")]
    NoDevice,
    /// This user may not make interfaces.
    #[error(
        "interface {0} may not be made: that takes CAP_NET_ADMIN, and {DEVICE} open to you; be root, or be so in \
         namespaces of your own (unshare --user --map-root-user --net)"
    )]
    NotPermitted(String),
    /// The device that interfaces are made by cannot be opened.
    #[error("{DEVICE} cannot be opened: {0}")]
    Open(io::Error),
    /// The kernel makes no such interface.
    #[error("interface {name} cannot be made: {error}")]
    Create {
        /// Its name.
        name: String,
        /// What the kernel says.
        error: io::Error,
    },
    /// The namespace is not there or may not be entered.
    #[error("network namespace {netns} cannot be entered: {error}")]
    Netns {
        /// Which one.
        netns: Netns,
        /// What the kernel says.
        error: io::Error,
    },
    /// The interface does not take its addresses, routes or MTU.
    #[error("interface {name} does not take {what}: {error}")]
    Configure {
        /// Its name.
        name: String,
        /// Which setting.
        what: String,
        /// What the kernel says.
        error: io::Error,
    },
}

impl Tun {
    /// Makes an interface in its namespace, configures it, and brings it up.
    ///
    /// # Errors
    /// Says what is missing: the right to, the device, the namespace, or what the interface does
    /// not take. Nothing is left of the interface then.
    pub fn open(config: &TunConfig) -> Result<Self, TunError> {
        Self::open_queues(config, 1)
    }

    /// Makes an interface with several queues, to each of which the kernel gives its share of the
    /// flows; at least one.
    ///
    /// A [`Router`](super::Router) between two such interfaces serves them by as many threads.
    ///
    /// # Errors
    /// As [`Tun::open`].
    pub fn open_queues(config: &TunConfig, queues: usize) -> Result<Self, TunError> {
        let Some(netns) = &config.netns else {
            return Self::open_here(config, queues);
        };
        let opened = netns.run(|| Self::open_here(config, queues));
        opened.map_err(|error| TunError::Netns {
            netns: netns.clone(),
            error,
        })?
    }

    fn open_here(config: &TunConfig, queues: usize) -> Result<Self, TunError> {
        let name = c_name(&config.name)?;
        let several = queues > 1;
        let file = Self::open_queue(config, &name, several)?;
        let more = (1..queues).map(|_| Self::open_queue(config, &name, several));
        let more = more.collect::<Result<_, _>>()?;
        // From here on an error drops the files, and the kernel removes the interface.
        let tun = Self { file, more };
        configure(config, &name)?;
        Ok(tun)
    }

    fn open_queue(config: &TunConfig, name: &CString, several: bool) -> Result<File, TunError> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK);
        let file = options.open(DEVICE).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TunError::NoDevice,
            io::ErrorKind::PermissionDenied => TunError::NotPermitted(config.name.clone()),
            _ => TunError::Open(error),
        })?;
        attach(&file, name, several).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => TunError::NotPermitted(config.name.clone()),
            _ => TunError::Create {
                name: config.name.clone(),
                error,
            },
        })?;
        Ok(file)
    }

    /// Takes a descriptor that gives and takes whole packets with a `virtio_net_hdr` of 10 bytes
    /// in front, non-blocking.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self {
            file: File::from(fd),
            more: Vec::new(),
        }
    }

    /// Separates the first queue from the others.
    pub(super) fn split(self) -> (Self, Vec<Self>) {
        let one = |file| Self {
            file,
            more: Vec::new(),
        };
        (one(self.file), self.more.into_iter().map(one).collect())
    }

    pub(super) fn into_file(self) -> File {
        self.file
    }
}

fn attach(file: &File, name: &CString, several: bool) -> io::Result<()> {
    // SAFETY: all zero is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = *from as libc::c_char;
    }
    let several = if several { libc::IFF_MULTI_QUEUE } else { 0 };
    // Without IFF_NO_PI each packet would have four bytes in front that repeat its IP version.
    // IFF_VNET_HDR brings the header by which checksums and segmentation are left to the other
    // side.
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | several;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the request is an `ifreq` that outlives the call, as TUNSETIFF wants.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
}

/// Asks the kernel to leave checksums out of the packets that it hands over, and to hand trains
/// over whole or cut up.
///
/// Linux before 6.2 has no trains of UDP; then there are those of TCP.
///
/// Returns which trains the kernel knows, as far as that was tried: it takes those that it gives.
pub(super) fn set_trains(file: &File, trains: bool) -> io::Result<Support> {
    let sum = libc::TUN_F_CSUM;
    let tcp = sum | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    let udp = tcp | libc::TUN_F_USO4 | libc::TUN_F_USO6;
    let requests = if trains {
        &[(udp, Support::TcpAndUdp), (tcp, Support::Tcp)][..]
    } else {
        &[(sum, Support::None)][..]
    };
    let mut result = Ok(Support::None);
    for (request, support) in requests {
        // SAFETY: the argument is a number, no pointer.
        let done = check(unsafe {
            libc::ioctl(
                file.as_raw_fd(),
                libc::TUNSETOFFLOAD,
                libc::c_ulong::from(*request),
            )
        });
        result = done.map(|()| *support);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn configure(config: &TunConfig, name: &CString) -> Result<(), TunError> {
    let failed = |what: String| {
        move |error| TunError::Configure {
            name: config.name.clone(),
            what,
            error,
        }
    };
    let index = index(name).map_err(failed("a number".into()))?;
    let mut netlink = Netlink::open().map_err(failed("settings".into()))?;
    for (ip, length) in &config.addresses {
        netlink
            .add_address(index, *ip, *length)
            .map_err(failed(format!("the address {ip}/{length}")))?;
    }
    netlink
        .bring_up(index, config.mtu)
        .map_err(failed("its MTU or being up".into()))?;
    for (ip, length) in &config.addresses {
        netlink
            .await_delivery(*ip)
            .map_err(failed(format!("the use of the address {ip}/{length}")))?;
    }
    // The kernel refuses a route through an interface that is down, so routes come last.
    for (ip, length) in &config.routes {
        netlink
            .add_route(index, *ip, *length)
            .map_err(failed(format!("the route to {ip}/{length}")))?;
    }
    Ok(())
}

pub(crate) fn index(name: &CString) -> io::Result<u32> {
    // SAFETY: the name is a string with its end marked, and outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// Returns an interface's name as the kernel takes it (`dev_valid_name`); it would number one with
/// a `%`.
fn c_name(name: &str) -> Result<CString, TunError> {
    let sound = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':' | '%');
    let fits = (1..libc::IFNAMSIZ).contains(&name.len()) && name != "." && name != "..";
    let name_if_sound = Some(name).filter(|name| fits && name.chars().all(sound));
    name_if_sound
        .and_then(|name| CString::new(name).ok())
        .ok_or_else(|| TunError::Name(name.to_owned()))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

const DEVICE: &str = "/dev/net/tun";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_interface_can_have_are_refused_before_anything_is_made() {
        for name in ["", "..", "a/b", "nat 0", "tun%d", "sixteen-bytes-it"] {
            let config = TunConfig {
                name: name.into(),
                ..TunConfig::default()
            };
            assert!(matches!(Tun::open(&config), Err(TunError::Name(_))));
        }
    }

    #[test]
    fn a_namespace_that_is_not_there_is_named_in_the_error() {
        let config = TunConfig {
            name: "tun0".into(),
            netns: Some(Netns::Named("no-such-namespace".into())),
            ..TunConfig::default()
        };
        let error = Tun::open(&config).unwrap_err().to_string();
        assert!(error.contains("no-such-namespace"), "{error}");
    }
}
