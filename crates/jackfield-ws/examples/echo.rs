//! Echoes WebSocket messages at `ws://127.0.0.1:9001/`, in a hyper server that would serve other
//! paths as well.

#![expect(clippy::print_stdout, reason = "says where it listens")]

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jackfield_ws::{Upgrade, WsConfig, upgrade};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One configuration for all connections; it also counts what goes wrong.
    let config = Arc::new(WsConfig::default());
    let listener = TcpListener::bind("127.0.0.1:9001").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let config = Arc::clone(&config);
        let service = service_fn(move |request| {
            let response = answer(request, &config);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
    }
}

fn answer(mut request: Request<Incoming>, config: &Arc<WsConfig>) -> Response<String> {
    // Which origins may connect is the application's to decide, before this.
    match upgrade(&mut request, config) {
        Ok((response, upgrade)) => {
            tokio::spawn(echo(upgrade));
            response.map(|()| String::new())
        }
        Err(refusal) => refusal.response().map(Into::into),
    }
}

async fn echo(upgrade: Upgrade) -> Result<(), jackfield_ws::Error> {
    let mut socket = upgrade.await?;
    while let Some(message) = socket.recv().await {
        // The next `recv` writes it: answers to messages that came together leave together.
        socket.feed(&message?)?;
    }
    Ok(())
}
