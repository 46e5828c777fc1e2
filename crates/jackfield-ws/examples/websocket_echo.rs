//! Echoes WebSocket messages: `websocket_echo --listen 127.0.0.1:9001 [--deflate]`.
//!
//! With `--deflate` it agrees to permessage-deflate and compresses every answer, however short.

#![expect(clippy::print_stdout, reason = "says where it listens")]

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jackfield_ws::{self as ws, Upgrade, deflate};
use tokio::net::{TcpListener, TcpStream};

/// Enough for the largest messages and the most fragments of common test suites.
const MAX_MESSAGE: usize = 64 << 20;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let config = Arc::new(arguments.config());
    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, Arc::clone(&config)));
    }
}

struct Arguments {
    listen: String,
    deflate: bool,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Error> {
        let (mut listen, mut deflate) = (None, false);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--listen" => listen = arguments.next(),
                "--deflate" => deflate = true,
                other => return Err(format!("unknown argument {other:?}; {USAGE}").into()),
            }
        }
        let listen = listen.ok_or(USAGE)?;
        Ok(Self { listen, deflate })
    }

    fn config(&self) -> ws::WsConfig {
        let mut config = ws::WsConfig {
            max_queued: 2 * MAX_MESSAGE,
            ..ws::WsConfig::default()
        };
        config.limits.max_frame = MAX_MESSAGE;
        config.limits.max_message = MAX_MESSAGE;
        config.options.deflate = self.deflate.then(|| deflate::DeflateConfig {
            threshold: 0,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            ..deflate::DeflateConfig::default()
        });
        config
    }
}

const USAGE: &str = "usage: websocket_echo --listen ADDR [--deflate]";

async fn serve(stream: TcpStream, config: Arc<ws::WsConfig>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let response = answer(request, &config);
        async { Ok::<_, Infallible>(response) }
    });
    // The peer of a connection that fails sees that by itself; this program keeps no log.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

fn answer(mut request: Request<Incoming>, config: &Arc<ws::WsConfig>) -> Response<String> {
    match ws::upgrade(&mut request, config) {
        Ok((response, upgrade)) => {
            tokio::spawn(echo(upgrade));
            response.map(|()| String::new())
        }
        Err(refusal) => refusal.response(),
    }
}

async fn echo(upgrade: Upgrade) -> Result<(), ws::Error> {
    let mut socket = upgrade.await?;
    while let Some(message) = socket.recv().await {
        // The answers to all messages of one read leave in one write.
        socket.feed(&message?)?;
    }
    Ok(())
}
