//! Scenarios through the public API: a server in memory, and clients that speak to it.

mod life_cycle;
mod world;
