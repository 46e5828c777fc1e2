//! Asks this machine's gateway for a port and keeps it until it is interrupted, or says what the
//! gateway offers.
//!
//! `port_map probe [GATEWAY]`, or `port_map DIALECT udp|tcp PORT [GATEWAY]` with a dialect of
//! `pcp`, `nat-pmp`, `upnp` or `any`. Each piece of news is a line of text.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::net::IpAddr;
use std::process::ExitCode;

use jackfield_driver::portmap::{
    Dialect, Dialects, MapRequest, Mapper, MapperConfig, ProbeConfig, Support, TransportProtocol,
    probe,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["probe", ref rest @ ..] => look(gateway(rest)?).await,
        [dialect, protocol, port, ref rest @ ..] => {
            let protocol = match protocol {
                "udp" => TransportProtocol::Udp,
                "tcp" => TransportProtocol::Tcp,
                _ => return Err("the protocol is udp or tcp".into()),
            };
            keep(dialects(dialect)?, protocol, port.parse()?, gateway(rest)?).await
        }
        _ => {
            Err("usage: port_map probe [GATEWAY] | port_map DIALECT udp|tcp PORT [GATEWAY]".into())
        }
    }
}

fn gateway(rest: &[&str]) -> Result<Option<IpAddr>, Box<dyn Error>> {
    Ok(rest.first().map(|text| text.parse()).transpose()?)
}

fn dialects(name: &str) -> Result<Dialects, Box<dyn Error>> {
    if name == "any" {
        return Ok(Dialects::ALL);
    }
    let is = |dialect: Dialect| dialect.name() == name;
    let protocols = Dialects {
        nat_pmp: is(Dialect::NatPmp),
        pcp: is(Dialect::Pcp),
        upnp: is(Dialect::Upnp),
    };
    if protocols == Dialects::NONE {
        return Err("the dialect is pcp, nat-pmp, upnp or any".into());
    }
    Ok(protocols)
}

async fn look(gateway: Option<IpAddr>) -> Result<(), Box<dyn Error>> {
    let config = ProbeConfig {
        gateway,
        ..ProbeConfig::default()
    };
    let found = probe(&config).await?;
    for dialect in Dialect::ALL {
        let name = dialect.name();
        match found.finding(dialect) {
            Support::Present { external: Some(ip) } => println!("{name} {ip}"),
            Support::Present { external: None } => println!("{name} present"),
            Support::Absent(why) => println!("{name} absent: {why}"),
        }
    }
    Ok(())
}

async fn keep(
    dialects: Dialects,
    protocol: TransportProtocol,
    port: u16,
    gateway: Option<IpAddr>,
) -> Result<(), Box<dyn Error>> {
    let config = MapperConfig {
        gateway,
        dialects,
        ..MapperConfig::default()
    };
    let mapper = Mapper::start(&config)?;
    let mut mapped = mapper.map(MapRequest::new(protocol, port)).await?;
    let first = mapped.mapping();
    println!("mapped {} by {}", first.external, first.dialect.name());
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            news = mapped.changed() => match news {
                Ok(now) => println!("mapped {} by {}", now.external, now.dialect.name()),
                Err(error) => println!("not mapped: {error}"),
            },
            interrupt = &mut interrupted => {
                interrupt?;
                break;
            }
        }
    }
    let confirmed = mapped.end().await;
    println!(
        "ended, {}",
        if confirmed {
            "confirmed"
        } else {
            "unconfirmed"
        }
    );
    Ok(())
}
