//! Runs a program behind a line of 2 Mbit/s, 40 ms and 3 % of loss in bursts, with a server at
//! 192.0.2.1 to reach.
//!
//! ```text
//! cargo run -p jackfield-router --example slow_uplink -- ping -i 0.01 -c 300 192.0.2.1
//! ```

#![expect(clippy::print_stdout, reason = "a program on the command line")]

#[cfg(target_os = "linux")]
#[path = "support/home.rs"]
mod home;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::time::Duration;

    use jackfield_nat::profile::Profile;
    use jackfield_router::{Link, Loss, UplinkConfig};

    // Each direction is such a line, as in the virtual internet.
    let line = Link {
        latency: Duration::from_millis(20),
        jitter: Duration::from_millis(5),
        loss: Loss::bursts(30_000, 4),
        rate: Some(2_000_000),
        ..Link::default()
    };
    let uplink = UplinkConfig {
        link: line,
        ..UplinkConfig::default()
    };
    home::run(Profile::LINUX, uplink, std::env::args().skip(1), |report| {
        let counters = report.uplink_counters;
        println!("the line lost {} packets", counters.lost);
        println!("its queue dropped {}", counters.queue_full);
    })
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("network namespaces are Linux's");
}
