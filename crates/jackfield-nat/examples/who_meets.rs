//! Says whether two hosts behind the named NATs find a direct path, and why.
//!
//! ```sh
//! cargo run -p jackfield-nat --example who_meets -- symmetric port-restricted-cone
//! ```
#![expect(clippy::print_stdout, reason = "the example shows its result")]

use std::error::Error;

use jackfield_nat::oracle::{Traits, oracle, why};
use jackfield_nat::profile::Profile;

fn main() -> Result<(), Box<dyn Error>> {
    let mut names = std::env::args().skip(1);
    let ann = traits(names.next().as_deref().unwrap_or("symmetric"))?;
    let bob = traits(names.next().as_deref().unwrap_or("linux"))?;
    println!(
        "{:?}: {}",
        oracle(&ann, &bob),
        why("Ann", &ann, "Bob", &bob)
    );
    Ok(())
}

/// Returns what the oracle needs to know of a NAT: one element for each NAT in front of the host.
fn traits(name: &str) -> Result<[Traits; 1], Box<dyn Error>> {
    let profile: Profile = name.parse()?;
    Ok([Traits::of(&profile.config(&["203.0.113.1".parse()?]))])
}
