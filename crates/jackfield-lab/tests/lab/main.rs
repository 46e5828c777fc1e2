//! What a lab is made of, without root: specs, plans, settings, what is shown of them, and how a
//! running lab and a running router are found. Labs that really run are in the `labcli` suite.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on what it does not expect"
)]

mod control;
mod environment;
mod grid;
mod plan;
mod random_lab;
mod reachability;
mod registry;
mod settings;
mod spec;
mod view;
