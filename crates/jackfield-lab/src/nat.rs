//! `jackfield nat`: a router that acts as any NAT does, for programs that know nothing of it.
//!
//! Flags, files and the control socket ask for a [`Change`], in texts. [`Settings`] are what a
//! router is, with every value read, and make the config of its NAT and of its link.
//! [`run_router`] makes the interfaces and routes until a signal stops it; [`ask`] talks to a
//! router that runs.

mod change;
mod client;
mod control;
mod error;
mod firewall;
mod interface;
mod link;
mod reachability;
mod run;
mod settings;
mod values;
mod view;

pub use change::{Change, SettingError};
pub use client::ask;
pub use control::{Answer, Request, default_path};
pub use error::{AskError, RouterError};
pub use firewall::Firewall;
pub use interface::{Interface, InterfaceError};
pub use link::LinkSettings;
pub use reachability::{NatChain, Reachability, ReachabilityTable};
pub use run::{RouterOptions, run_router};
pub(crate) use run::{RouterSetup, route};
pub use settings::{HostRate, Routing, Settings};
pub(crate) use values::duration;
pub use view::{LeaseLine, LinkView, MappingLine, SideView, View};
