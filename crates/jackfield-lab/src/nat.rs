//! `jackfield nat`: a router that acts as any NAT does, for programs that know nothing of it.
//!
//! What was asked for on the command line or over the control socket is a [`Change`]; [`Settings`] are what holds, and
//! make the NAT's config. [`run_router`] makes the interfaces and routes until it is told to stop; [`ask`] talks to one that
//! runs.

mod client;
mod control;
mod firewall;
mod interface;
mod reachability;
mod run;
mod settings;
mod view;

pub use client::ask;
pub use control::{Answer, Request, default_path};
pub use firewall::Firewall;
pub use interface::{Interface, InterfaceError};
pub use reachability::{NatChain, Reachability, ReachabilityTable};
pub use run::{RouterOptions, run_router};
pub(crate) use run::{RouterSetup, route};
pub use settings::{Change, Routing, SettingError, Settings};
pub use view::{LeaseLine, LinkView, MappingLine, SideView, View};
