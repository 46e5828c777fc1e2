//! Takes our client through the cases of a fuzzing server that speaks Autobahn's protocol:
//! `websocket_cases --server 127.0.0.1:9001 [--deflate]`.

#![expect(clippy::print_stdout, reason = "says how far it is")]

use std::sync::Arc;

use http::Request;
use jackfield_ws::{self as ws, Error, WebSocket, deflate};
use tokio::net::TcpStream;

const AGENT: &str = "jackfield";
const USAGE: &str = "usage: websocket_cases --server ADDR [--deflate]";

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let (mut server, mut compress) = (None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--server" => server = arguments.next(),
            "--deflate" => compress = true,
            other => return Err(format!("unknown argument {other:?}; {USAGE}").into()),
        }
    }
    let cases = Cases {
        server: server.ok_or(USAGE)?,
        config: Arc::new(config(compress)),
    };
    let count: u32 = cases.count().await?;
    for number in 1..=count {
        // A case may end in any way: the server judges it.
        let _ = cases.run(number).await;
    }
    let _ = cases.open("/updateReports?agent=").await?.recv().await;
    println!("{count} cases run");
    Ok(())
}

fn config(compress: bool) -> ws::WsConfig {
    let mut config = ws::WsConfig::default();
    config.limits.max_frame = 64 << 20;
    config.limits.max_message = 64 << 20;
    config.max_queued = 128 << 20;
    config.options.deflate = compress.then(|| deflate::DeflateConfig {
        threshold: 0,
        server_no_context_takeover: false,
        // An offer that says so lets the server ask for it, which some cases do.
        client_no_context_takeover: true,
        ..deflate::DeflateConfig::default()
    });
    config
}

struct Cases {
    server: String,
    config: Arc<ws::WsConfig>,
}

impl Cases {
    async fn open(&self, path: &str) -> Result<WebSocket<TcpStream>, Error> {
        let stream = TcpStream::connect(&self.server).await?;
        stream.set_nodelay(true)?;
        let request = Request::get(format!("ws://{}{path}{AGENT}", self.server))
            .body(())
            .map_err(std::io::Error::other)?;
        ws::connect(stream, &request, &self.config).await
    }

    async fn count(&self) -> Result<u32, Failure> {
        let mut socket = self.open("/getCaseCount?agent=").await?;
        let message = socket.recv().await.ok_or("no count of cases")??;
        Ok(message.as_text().ok_or("the count is not text")?.parse()?)
    }

    async fn run(&self, number: u32) -> Result<(), Error> {
        let mut socket = self.open(&format!("/runCase?case={number}&agent=")).await?;
        while let Some(message) = socket.recv().await {
            socket.feed(&message?)?;
        }
        Ok(())
    }
}
