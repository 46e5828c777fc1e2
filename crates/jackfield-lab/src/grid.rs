//! The grid: which hosts reach each other, and how, for every pair of NATs and every transport.
//!
//! Each pair is tried in a [lab](super): two hosts in namespaces of their own behind the routers,
//! with real sockets, and a real `jackfield serve` for STUN and TURN. What comes out is held
//! against [`jackfield_nat::oracle`] and against what the firewalls let through.

mod agent;
mod candidate;
mod checks;
mod expect;
mod network;
mod page;
mod report;
mod run;
mod table;
mod transport;

pub use candidate::CandidateType;
pub use network::{ALL_TYPES, DEFAULT_TYPES, NetworkType};
pub use page::page;
pub use report::{AttemptView, Cell, Grid, PathView};
pub use run::{GridError, GridOptions, lab, run};
pub use table::table;
pub use transport::Transport;
