//! What the fuzz targets run: functions of bytes that panic where a property does not hold.
//!
//! Each target in `fuzz/fuzz_targets` calls one of them, under libFuzzer and for hours. The
//! tests here run them over the corpora and mutations of these, with every `cargo test`.
//! Cores have no code for this but the feature `internals` of some, which shows what no
//! other crate should call.

pub mod connect;
pub mod ice;
pub mod internet;
pub mod nat;
pub mod peer;
pub mod portmap;
pub mod proxy;
pub mod signal;
pub mod socketio;
pub mod stun;
pub mod turn;
pub mod websocket;

/// So that targets can say how much memory a core holds.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: jackfield_testing::CountingAllocator = jackfield_testing::CountingAllocator;
