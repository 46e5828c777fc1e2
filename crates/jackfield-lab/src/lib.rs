//! A lab: a small internet on one Linux machine, with hosts behind any NAT, for programs that know
//! nothing of it.
//!
//! A [`Spec`] says which sites and hosts there are, in TOML, as flags or in code. A [`Plan`] gives
//! them addresses and finds what does not fit together. [`run()`] builds the plan as network
//! namespaces with real routers between them, runs programs on the hosts, and takes everything away
//! again: the kernel does that, even when the process is killed.
//!
//! ```no_run
//! use jackfield_lab::{CommandLine, HostSpec, Job, LabOptions, Plan, Spec, run};
//!
//! let mut spec = Spec::from_toml("[site.home]\nnat = \"symmetric\"\n[host.ann]\nsite = \"home\"")?;
//! spec.jobs.push(Job::new("ann", CommandLine::Shell("ping -c 1 server".into())));
//! let plan = Plan::new(&spec)?;
//! let exit_code = run(&spec, &plan, &LabOptions { name: "demo".into(), ..LabOptions::default() })?;
//! assert_eq!(exit_code, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Besides, [`nat`] runs a single router between two interfaces, and [`grid`] tries every pair of NATs
//! by every transport and holds what comes out against theory.
//!
//! The library prints nothing: an [`Observer`] receives what happens. It needs root, or a kernel that
//! lets users have namespaces, and `/dev/net/tun`.
//!
//! Left out on purpose: other systems than Linux, and names for the namespaces that `ip netns` would
//! list, since somebody would have to remove them after a crash.

#![cfg(target_os = "linux")]

mod background;
pub mod environment;
mod event;
mod file;
mod flags;
pub mod grid;
mod line_format;
pub mod nat;
mod output;
mod plan;
mod processes;
mod run;
mod spec;
pub mod state;
pub mod world;

pub use background::{down, exec, up};
pub use event::{Event, Observer, Stream};
pub use jackfield_router::namespace::IsolationError;
pub use line_format::LineFormat;
pub use plan::{HostPlan, Ipv6Plan, Plan, PlanError, SERVER, SitePlan};
pub use run::{LabOptions, run, run_with};
pub use spec::{CommandLine, HostSpec, Job, SiteSpec, Spec, SpecError};
