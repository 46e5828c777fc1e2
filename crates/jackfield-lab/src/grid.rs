//! The grid: which hosts reach each other, and how, for every pair of networks.
//!
//! Each pair is tried in a [lab](super): two hosts in namespaces of their own behind the routers,
//! an ICE agent with real sockets on either, and a real `jackfield serve` for STUN and TURN. What
//! comes out is held against [`jackfield_nat::oracle::pairs`].

mod agent;
mod expect;
mod network;
mod page;
mod report;
mod run;
mod table;
mod transport;

pub use jackfield_nat::oracle::{CandidateType, Pair};
pub use network::{ALL_TYPES, DEFAULT_TYPES, NetworkType};
pub use page::page;
pub use report::{Cell, Grid, PathView};
pub use run::{GridError, GridOptions, lab, run};
pub use table::table;
pub use transport::{RelayWay, Transport};
