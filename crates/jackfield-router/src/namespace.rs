//! Processes, hosts and links of their own, which nothing outside sees and which the kernel clears
//! away.
//!
//! [`isolate`] makes two processes of one: one inside, the first in a PID namespace, and one
//! outside that waits for it. When either ends, however that happens, the kernel ends every
//! process inside, and with them go the network namespaces
//! ([`Netns::create`](crate::Netns::create)), their interfaces and their mounts, none of which has
//! a name on the outside. So there is nothing that a killed program could leave behind. It takes
//! root, or a kernel that lets users have namespaces of their own.
//!
//! [`wiring`] connects network namespaces, [`mounts`] gives the inside files of its own,
//! [`process`] starts, collects and ends programs, and [`join`] takes another process inside.

mod isolation;
mod joining;
pub mod mounts;
pub mod process;
pub mod wiring;

pub use isolation::{Isolated, IsolationError, Outside, isolate};
pub use joining::{JoinError, Joined, join};
