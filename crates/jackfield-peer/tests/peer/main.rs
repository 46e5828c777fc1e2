//! Two peers negotiate, connect and talk over a network without NATs, in virtual time.

mod negotiation;
mod talk;
mod world;
