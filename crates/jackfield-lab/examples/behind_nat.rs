//! A program behind a NAT, which asks two addresses of a server where they see it.
//!
//! ```text
//! sudo cargo run -p jackfield-lab --example behind_nat -- symmetric
//! sudo cargo run -p jackfield-lab --example behind_nat -- full-cone
//! ```
//!
//! A symmetric NAT shows each address another port, a full cone shows both the same.

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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("serve") => linux::serve().map_err(Into::into),
        Some("ask") => linux::ask().map_err(Into::into),
        nat => linux::run_lab(nat.unwrap_or("symmetric")),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::net::UdpSocket;
    use std::thread;
    use std::time::Duration;

    use anyhow::ensure;
    use jackfield_lab::{CommandLine, Event, Job, LabError, LabOptions, Observer, Plan, Spec, run};

    /// Builds a lab in which this program runs twice more, as `serve` and as `ask`.
    pub(super) fn run_lab(nat: &str) -> anyhow::Result<()> {
        let mut spec = Spec::default();
        spec.add_site(&format!("home={nat}"))?;
        spec.add_host("ann@home")?;
        spec.jobs.push(Job {
            background: true,
            ready: Some("ready".into()),
            ..job("server", "serve")?
        });
        spec.jobs.push(job("ann", "ask")?);
        let plan = Plan::new(&spec)?;
        let options = LabOptions {
            name: "behind-nat".into(),
            observer: Observer::new(show),
            ..LabOptions::default()
        };
        if let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") {
            return skip(&format!("/dev/net/tun cannot be opened: {error}"));
        }
        match run(&spec, &plan, &options) {
            Err(LabError::Isolation(error)) => skip(&error.to_string()),
            Err(error) => Err(error.into()),
            Ok(code) => {
                ensure!(code == 0, "the lab ended with {code}");
                Ok(())
            }
        }
    }

    /// Sends every datagram back with the address that it came from.
    pub(super) fn serve() -> io::Result<()> {
        let echo = |address: &str| -> io::Result<()> {
            let socket = UdpSocket::bind((address, PORT))?;
            thread::spawn(move || {
                let mut buffer = [0; 100];
                while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                    // An answer that cannot be sent is as good as lost.
                    let _ = socket.send_to(from.to_string().as_bytes(), from);
                }
            });
            Ok(())
        };
        SERVER.into_iter().try_for_each(echo)?;
        println!("ready");
        loop {
            thread::park();
        }
    }

    /// Asks both addresses of the server from one socket.
    pub(super) fn ask() -> io::Result<()> {
        let socket = UdpSocket::bind(("0.0.0.0", 5000))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        for server in SERVER {
            socket.send_to(b"?", (server, PORT))?;
            let mut buffer = [0; 100];
            let length = socket.recv(&mut buffer)?;
            let seen = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
            println!("{server} sees port 5000 as {seen}");
        }
        Ok(())
    }

    fn job(host: &str, argument: &str) -> io::Result<Job> {
        let program = std::env::current_exe()?.display().to_string();
        let words = vec![program, argument.to_owned()];
        Ok(Job::new(host, CommandLine::Exec(words)))
    }

    fn show(event: &Event<'_>) {
        match event {
            Event::Built { name, plan } => println!("{}", plan.describe(name)),
            Event::Line { host, text, .. } => {
                println!("{host}: {}", String::from_utf8_lossy(text));
            }
            Event::Failed(error) => eprintln!("the lab failed: {error}"),
            _ => {}
        }
    }

    fn skip(reason: &str) -> anyhow::Result<()> {
        println!("SKIPPED: this machine cannot run labs. {reason}");
        Ok(())
    }

    /// The addresses of the host that every lab has.
    const SERVER: [&str; 2] = ["198.18.0.1", "198.18.0.2"];
    const PORT: u16 = 7000;
}
