//! A host behind a router, and a server outside, for as long as a program runs on the host.

use std::error::Error;
use std::process::Command;

use jackfield_nat::Nat;
use jackfield_nat::profile::Profile;
use jackfield_router::namespace::{Isolated, isolate, wiring};
use jackfield_router::{Report, Router, RouterConfig, Tun, TunConfig, UplinkConfig};

/// Runs a program on the host, and calls `show` with the router's report when it has ended.
pub(crate) fn run(
    profile: Profile,
    uplink: UplinkConfig,
    mut program: impl Iterator<Item = String>,
    show: impl FnOnce(&Report),
) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(program.next().ok_or("there is no program to run")?);
    command.args(program);
    // Isolated, everything below is gone with this process. It comes first: it takes a process
    // with one thread.
    if let Isolated::Outside(outside) = isolate()? {
        let status = outside.wait()?;
        std::process::exit(status.code().unwrap_or(1));
    }
    let (home, internet) = (wiring::host(false)?, wiring::host(false)?);
    home.start_inside(&mut command)?;
    let inside = Tun::open(&TunConfig {
        name: "tun0".into(),
        netns: Some(home),
        addresses: vec![("10.0.0.2".parse()?, 24)],
        routes: vec![("0.0.0.0".parse()?, 0)],
        mtu: None,
    })?;
    let outside = Tun::open(&TunConfig {
        name: "nat0".into(),
        netns: Some(internet),
        addresses: vec![("192.0.2.1".parse()?, 32)],
        routes: vec![("203.0.113.1".parse()?, 32)],
        mtu: None,
    })?;
    let nat = Nat::new(profile.config(&["203.0.113.1".parse()?]), [7; 32]);
    let config = RouterConfig {
        uplink,
        ..RouterConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        let (router, _handle) = Router::new(nat, inside, outside, &config)?;
        let mut child = command.spawn()?;
        let ended = tokio::task::spawn_blocking(move || child.wait());
        let report = router.run(async { drop(ended.await) }).await?;
        Ok::<_, Box<dyn Error>>(report)
    })?;
    show(&report);
    Ok(())
}
