//! Runs a program behind a NAT, with a server at 192.0.2.1 to reach, and shows the mappings then.
//!
//! ```text
//! cargo run -p jackfield-router --example behind_nat -- symmetric ping -c 3 192.0.2.1
//! ```

#![expect(clippy::print_stdout, reason = "a program on the command line")]

#[cfg(target_os = "linux")]
#[path = "support/home.rs"]
mod home;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use jackfield_nat::profile::Profile;
    use jackfield_router::UplinkConfig;

    let mut arguments = std::env::args().skip(1);
    let name = arguments
        .next()
        .ok_or("usage: behind_nat PROFILE PROGRAM...")?;
    let profile: Profile = name.parse()?;
    home::run(profile, UplinkConfig::default(), arguments, |report| {
        println!(
            "{} packets out, {} in",
            report.nat.outbound, report.nat.inbound
        );
        for mapping in &report.mappings {
            println!("{} -> {}", mapping.internal, mapping.external);
        }
    })
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("network namespaces are Linux's");
}
