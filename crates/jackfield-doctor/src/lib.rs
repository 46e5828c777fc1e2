#![doc = include_str!("../README.md")]

pub mod conclusions;
mod examine;
pub mod facts;
pub mod json;
pub mod peer;
mod reachability;
mod target;
pub mod trace;
mod trust;
mod watch;
pub mod words;

pub use conclusions::{Conclusions, Health};
pub use examine::{Options, examine, local_server};
pub use facts::Facts;
pub use target::{Target, TargetError, TargetScheme};
pub use trace::{Recorder, TraceFiles};
pub use trust::{Trust, TrustError};
pub use watch::{Change, changes};
pub use words::{Style, Words};
