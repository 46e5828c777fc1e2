//! A real router: a [`jackfield_nat::Nat`] between two TUN devices, each in a network namespace of
//! its own if wanted.
//!
//! Unmodified programs can be put behind any kind of NAT this way: one [`Tun`] is the default
//! route of the namespace that they run in, the other one has the NAT's outside addresses in the
//! namespace of everything else. A [`Router`] moves packets between the two, and a [`Handle`]
//! looks at it and changes it while it runs.
//!
//! Packets cross as trains where the kernel makes them: up to 64 KiB of a TCP connection or a UDP
//! flow are one packet with one header to translate, and its checksum is left to the kernel or
//! card that cuts the train up (virtio 1.2 §5.1.6, as in the kernel's
//! `Documentation/networking/tuntap.rst`). Packets that arrive one by one leave as trains where
//! they follow each other.

#![cfg(target_os = "linux")]

pub(crate) mod device;
mod handle;
mod lane;
pub mod namespace;
pub(crate) mod netlink;
mod netns;
mod port;
mod port_mapping;
mod router;
mod tap;
mod translator;
mod uplink;

pub use device::{Tun, TunConfig, TunError};
pub use handle::{Handle, Report, Stopped};
pub use jackfield_internet::{Link, Loss};
pub use netns::{HeldNetns, Netns};
pub use port::PortCounters;
pub use router::{Router, RouterConfig};
pub use tap::Tap;
pub use uplink::{UplinkConfig, UplinkCounters};

// The README's code is compiled with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
