//! `jackfield doctor` and `jackfield stun`: what this machine's network allows, why not more, and what to do about it.
//!
//! [`examine`] tries everything and collects facts; from these follow lines in plain words and a verdict, as a
//! [`Diagnosis`], and [`render`] sets it for a terminal. Nobody is contacted but the server that was named, the routers
//! on the way to it, and this machine's gateway.

mod behaviour;
mod diagnosis;
mod examine;
mod facts;
mod http;
mod lines;
mod relay;
mod render;
mod target;
mod trust;
mod verdict;

pub use behaviour::{as_json as behaviour_json, lines as behaviour_lines};
pub use diagnosis::{Diagnosis, Health, Line, Verdict};
pub use examine::{Options, examine, local_server};
pub use facts::{Dns, Facts, Ice, Interface, Relayed, TurnTry, Udp};
pub use render::{Style, render, render_lines};
pub use target::{Http, Target, TargetError};
pub use trust::Trust;
