//! Sends datagrams through a TURN server to a peer that echoes them, and says what happened as one
//! line of JSON.
//!
//! ```text
//! turn_echo --server 127.0.0.1:3478 --transport udp|tcp|tls --user NAME --password WORD --peer 127.0.0.1:9 [--count 50]
//! turn_echo ... [--family 4|6] [--no-channels] [--proxy http://127.0.0.1:3128]
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the terminal"
)]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use jackfield_driver::proxy::Proxy;
use jackfield_driver::turn_client::{ClientTransport, ConnectError, Options, Tls, TurnClient};
use jackfield_stun::ErrorCode;
use jackfield_turn::attribute::AddressFamily;
use jackfield_turn::client::Credential;
use rustls::pki_types::ServerName;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(args) = Args::parse(std::env::args().skip(1)) else {
        eprintln!("see the head of examples/turn_echo.rs");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(args))
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let mut options = Options::new(args.transport, Credential::new(args.user, args.password)?);
    options.core.channels = args.channels;
    options.core.family = args.family;
    options.proxy = args.proxy;
    let mut client = match TurnClient::connect_with(args.server, options).await {
        Ok(client) => client,
        Err(refused) => return fail(&refused),
    };
    client.permit(args.peer.ip()).await?;
    let mut returned = 0;
    for number in 0..args.count {
        let payload = number.to_string().repeat(1 + usize::try_from(number)?);
        client.send_to(payload.as_bytes(), args.peer).await?;
        let answer = tokio::time::timeout(Duration::from_secs(5), client.recv_from()).await;
        let Ok(packet) = answer else { continue };
        let packet = packet?;
        if packet.peer == args.peer && packet.data == payload.as_bytes() {
            returned += 1;
        }
    }
    let relayed = client.relayed();
    let addresses: Vec<String> = [relayed.v4, relayed.v6]
        .into_iter()
        .flatten()
        .map(|address| format!("\"{address}\""))
        .collect();
    println!(
        "{{\"relayed\":[{}],\"mapped\":\"{}\",\"sent\":{},\"returned\":{returned}}}",
        addresses.join(","),
        client.mapped(),
        args.count,
    );
    client.close().await;
    Ok(())
}

/// Says why there is no allocation.
fn fail(refused: &ConnectError) -> Result<(), Box<dyn Error>> {
    let code = refused.failure().and_then(|failure| failure.code());
    println!(
        "{{\"error\":\"{refused}\",\"code\":{},\"fault\":\"{:?}\"}}",
        code.map_or(0, ErrorCode::value),
        refused.fault()
    );
    std::process::exit(1);
}

struct Args {
    server: SocketAddr,
    transport: ClientTransport,
    user: String,
    password: String,
    peer: SocketAddr,
    count: u64,
    channels: bool,
    family: Option<AddressFamily>,
    proxy: Option<Proxy>,
}

impl Args {
    fn parse(args: impl Iterator<Item = String>) -> Option<Self> {
        let mut args = args;
        let (mut server, mut transport, mut peer) = (None, None, None);
        let (mut user, mut password) = (String::new(), String::new());
        let (mut count, mut channels, mut family, mut proxy) = (50, true, None, None);
        while let Some(name) = args.next() {
            if name == "--no-channels" {
                channels = false;
                continue;
            }
            let value = args.next()?;
            match name.as_str() {
                "--server" => server = Some(value.parse().ok()?),
                "--transport" => transport = Some(read_transport(&value)?),
                "--user" => user = value,
                "--password" => password = value,
                "--peer" => peer = Some(value.parse().ok()?),
                "--count" => count = value.parse().ok()?,
                "--proxy" => proxy = Some(Proxy::new(value.parse().ok()?)),
                "--family" => family = Some(read_family(&value)?),
                _ => return None,
            }
        }
        Some(Self {
            server: server?,
            transport: transport?,
            user,
            password,
            peer: peer?,
            count,
            channels,
            family,
            proxy,
        })
    }
}

fn read_transport(name: &str) -> Option<ClientTransport> {
    match name {
        "udp" => Some(ClientTransport::Udp),
        "tcp" => Some(ClientTransport::Tcp),
        "tls" => {
            let name = ServerName::try_from("localhost").ok()?;
            Some(ClientTransport::Tls(Tls::any_certificate(name)))
        }
        _ => None,
    }
}

fn read_family(name: &str) -> Option<AddressFamily> {
    match name {
        "4" => Some(AddressFamily::V4),
        "6" => Some(AddressFamily::V6),
        _ => None,
    }
}
