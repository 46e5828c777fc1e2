//! Two machines examine the path between them: which one packets take, why not a better one, and
//! how good it is.
//!
//! Each examines its own network as [`examine`](crate::examine()) does, they tell each other what
//! they found ([`Sight`]), connect, and measure. [`PeerFacts`] is what came of it,
//! [`PeerConclusions`] a pure function of the facts, and words and JSON pure functions of the
//! conclusions.

mod conclusions;
mod facts;
mod json;
mod meeting;
mod probe;
mod sight;
mod words;

pub use conclusions::{Cause, PeerConclusions, PeerProblem, PeerVerdict, Who};
pub use facts::{Delay, Loss, PeerFacts, Route, Throughput};
pub use json::of_peer_conclusions;
pub use meeting::{MeetingError, MeetingOptions, meet};
pub use sight::{NatSight, Sight};
pub use words::words_of;
