//! A lab made in code: two sites with a slow link, and work of our own between their hosts.
//!
//! ```text
//! sudo cargo run -p jackfield-lab --example spec_in_code
//! ```
//!
//! Ann's site has a full-cone NAT, so Bob can send to the address that a server saw her at; ten
//! messages go to and fro, and the round trips show the latency and the jitter of the links.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example speaks to its user there"
)]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("SKIPPED: labs need Linux");
}

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::net::UdpSocket as StdUdpSocket;
    use std::time::{Duration, Instant};

    use anyhow::{Context, ensure};
    use jackfield_lab::nat::Change;
    use jackfield_lab::world::World;
    use jackfield_lab::{
        Event, HostSpec, LabError, LabOptions, Observer, Plan, SERVER, SiteSpec, Spec, run_with,
    };
    use tokio::net::UdpSocket;
    use tokio::time::timeout;

    pub(super) fn main() -> anyhow::Result<()> {
        let spec = Spec {
            sites: vec![site("home", "full-cone"), site("office", "symmetric")],
            hosts: vec![host("ann", "home"), host("bob", "office")],
            ..Spec::default()
        };
        let plan = Plan::new(&spec)?;
        println!("{}", plan.describe("code"));
        let options = LabOptions {
            name: "code".into(),
            observer: Observer::new(|event| {
                if let Event::Failed(error) = event {
                    eprintln!("the lab failed: {error}");
                }
            }),
            ..LabOptions::default()
        };
        if let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") {
            return skip(&format!("/dev/net/tun cannot be opened: {error}"));
        }
        match run_with(&spec, &plan, &options, talk) {
            Err(LabError::Isolation(error)) => skip(&error.to_string()),
            Err(error) => Err(error.into()),
            Ok(code) => {
                ensure!(code == 0, "the lab ended with {code}");
                Ok(())
            }
        }
    }

    /// Sends messages from Bob to Ann, who sends them back; returns the exit code of the lab.
    async fn talk(world: &World) -> anyhow::Result<u8> {
        let (ann, bob) = (socket(world, "ann")?, socket(world, "bob")?);
        let server = socket(world, SERVER)?;
        let mut buffer = [0; 100];
        // Ann's first packet opens her NAT, and the server sees at which address. A full cone then
        // admits any remote there.
        ann.send_to(b"open", "198.18.0.1:5000").await?;
        let (_, ann_outside) = timeout(LIMIT, server.recv_from(&mut buffer)).await??;
        for number in 1..=10 {
            let began = Instant::now();
            bob.send_to(b"hello", ann_outside).await?;
            let (length, from) = timeout(LIMIT, ann.recv_from(&mut buffer)).await??;
            ann.send_to(buffer.get(..length).unwrap_or_default(), from)
                .await?;
            timeout(LIMIT, bob.recv_from(&mut buffer)).await??;
            println!(
                "{number:2}: {:.1} ms by {from}",
                began.elapsed().as_secs_f64() * 1000.0
            );
        }
        Ok(0)
    }

    /// Opens a socket on a host. It stays in the host's network, even when another thread uses it.
    fn socket(world: &World, host: &str) -> anyhow::Result<UdpSocket> {
        let netns = world.host(host).context("no such host")?;
        let socket = netns.run(|| StdUdpSocket::bind(("0.0.0.0", 5000)))??;
        socket.set_nonblocking(true)?;
        Ok(UdpSocket::from_std(socket)?)
    }

    fn site(name: &str, profile: &str) -> SiteSpec {
        SiteSpec {
            nats: vec![Change {
                profile: Some(profile.into()),
                ..Change::default()
            }],
            change: Change {
                latency: Some("20ms".into()),
                jitter: Some("5ms".into()),
                ..Change::default()
            },
            ..SiteSpec::new(name)
        }
    }

    fn host(name: &str, site: &str) -> HostSpec {
        HostSpec {
            name: name.into(),
            site: Some(site.into()),
        }
    }

    fn skip(reason: &str) -> anyhow::Result<()> {
        println!("SKIPPED: this machine cannot run labs. {reason}");
        Ok(())
    }

    const LIMIT: Duration = Duration::from_secs(5);
}
