//! What has to hold of the form of files, the manifests, the dependencies and the features.
//!
//! The rules on licences, banned crates and sources are those of `deny.toml`, which cargo-deny
//! reads too. It is not run here: building it takes longer than all our tests of Rust.

mod features;
mod metadata;
mod policy;
mod style;
mod targets;
mod unused;

use metadata::Metadata;
use policy::Policy;

/// Runs every check; returns whether all of them passed, after having said what is wrong.
pub(crate) fn run() -> bool {
    let faults = match collect() {
        Ok(faults) => faults,
        Err(error) => vec![error],
    };
    for fault in &faults {
        eprintln!("xtask: {fault}");
    }
    if faults.is_empty() {
        println!(
            "form, licences, bans, sources, unused dependencies, features and targets are in order"
        );
    }
    faults.is_empty()
}

fn collect() -> Result<Vec<String>, String> {
    let metadata = Metadata::load()?;
    let policy = Policy::load()?;
    let mut faults = policy.faults(&metadata)?;
    faults.extend(style::faults()?);
    faults.extend(unused::faults(&metadata)?);
    faults.extend(features::faults(&metadata));
    faults.extend(targets::faults(&metadata));
    Ok(faults)
}
