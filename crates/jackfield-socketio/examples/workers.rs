//! Hands work to clients and waits for their answers, on hyper without a framework.
//!
//! Workers connect to the namespace `/workers` with `{ auth: { token: 'secret' } }` and answer the
//! event `job` by its acknowledgement: `socket.on('job', (n, answer) => answer(n * n))`. Every 2 s
//! each worker gets a job.

#![expect(clippy::print_stdout, reason = "the answers are the output")]

use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use jackfield_socketio::{ConnectError, Io, IoConfig, Namespace, Socket};
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Credentials {
    token: String,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let io = Io::new(IoConfig::default());
    let workers = io.of("/workers");
    workers.use_middleware(async |socket: Socket| {
        match socket.handshake().auth::<Credentials>() {
            Ok(credentials) if credentials.token == "secret" => Ok(()),
            // The client gets it as a `connect_error` and does not try again by itself.
            _ => Err(ConnectError::new("the token is wrong")),
        }
    });
    tokio::spawn(hand_out(workers));

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(io.service());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
    }
}

async fn hand_out(workers: Namespace) {
    let all = workers.operator().timeout(Duration::from_secs(1));
    for number in 0_u32.. {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let acks = match all.emit_with_ack("job", &number) {
            Ok(acks) => acks.collect().await,
            Err(error) => {
                println!("job {number} was not sent: {error}");
                continue;
            }
        };
        for answer in &acks.answers {
            match answer.get::<serde_json::Value>(0) {
                Ok(answer) => println!("job {number}: {answer}"),
                Err(error) => println!("job {number}: no answer to use: {error}"),
            }
        }
        if acks.missing > 0 {
            println!("job {number}: {} workers were too slow", acks.missing);
        }
    }
}
