//! `jackfield lab`: a small internet of network namespaces, with hosts behind any NAT, for programs that know nothing of it.
//!
//! What was written in a file or as flags is a [`Spec`]; a [`Plan`] gives every host and site its addresses, [`world`]
//! makes them, [`processes`] runs programs in them, and [`state`] is where other processes find a lab that runs. All of it is
//! inside namespaces that the kernel clears away ([`jackfield_router::namespace`]).

mod background;
pub mod environment;
mod file;
mod flags;
pub mod grid;
pub mod nat;
mod output;
mod plan;
pub mod processes;
mod run;
mod spec;
pub mod state;
pub mod world;

pub use background::{down, exec, up};
pub use plan::{HostPlan, Ipv6Plan, Plan, PlanError, SERVER, SitePlan};
pub use run::{Notices, RunOptions, run, run_with};
pub use spec::{HostSpec, Job, SiteSpec, Spec, SpecError, Words};
