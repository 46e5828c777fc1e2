//! A lab: a small internet on one Linux machine, with hosts behind any NAT, for programs that know
//! nothing of it.
//!
//! A [`Spec`] says which sites and hosts there are, in TOML, as flags or in code. A [`Plan`] gives
//! them addresses and finds what does not fit together. [`run()`] builds the plan as network
//! namespaces with real routers between them, runs programs on the hosts, and takes everything
//! away again: the kernel does that, even when the process is killed.
//!
//! ```no_run
//! use jackfield_lab::{CommandLine, Job, LabOptions, Plan, Spec, run};
//!
//! let text = "[site.home]
//! nat = 'symmetric'
//! [host.ann]
//! site = 'home'";
//! let mut spec = Spec::from_toml(text)?;
//! let ping = CommandLine::Shell("ping -c 1 server".into());
//! spec.jobs.push(Job::new("ann", ping));
//! let exit_code = run(&spec, &Plan::new(&spec)?, &LabOptions::default())?;
//! assert_eq!(exit_code, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Besides, [`nat`] runs a single router between two interfaces, and [`grid`] has ICE agents behind
//! every pair of NATs, firewalls and proxies meet, and holds the paths that they choose against
//! theory.
//!
//! The library prints nothing: an [`Observer`] receives what happens. It needs root, or a kernel
//! that lets users have namespaces, and `/dev/net/tun`.
//!
//! Left out on purpose: other systems than Linux, and names for the namespaces that `ip netns`
//! would list, since a user would have to remove them after a crash.

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
mod proxy;
mod run;
mod spec;
pub mod state;
pub mod world;

pub use background::{BackgroundError, down, exec, up};
pub use event::{Event, Observer, Stream};
pub use jackfield_router::namespace::IsolationError;
pub use line_format::LineFormat;
pub use plan::{HostPlan, Ipv6Plan, Plan, PlanError, ProxyPlan, SERVER, SitePlan};
pub use processes::ProcessError;
pub use proxy::ProxyKind;
pub use run::{LabError, LabOptions, WorkError, run, run_with};
pub use spec::{CommandLine, HostSpec, Job, SiteSpec, Spec, SpecError};

// The README's code is compiled with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
