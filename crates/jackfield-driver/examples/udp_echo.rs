//! An echo server on shards: a thread for each CPU, each with a socket of its own on one port.
//!
//! ```text
//! cargo run --release -p jackfield-driver --example udp_echo -- 127.0.0.1:7000
//! ```

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program on the command line"
)]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use jackfield_driver::port;
use jackfield_driver::shard::{ShardContext, Shards, ShardsConfig};
use jackfield_driver::udp::{RecvBatch, UdpConfig, UdpSocket, UdpStats};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let address: SocketAddr = address.as_deref().unwrap_or("127.0.0.1:7000").parse()?;
    // Shards share the port, so another program could have it already without an error.
    let address = port::claim(address)?;
    let (shards, stats) = Shards::start(&ShardsConfig::default(), move |context| async move {
        listen(&context, address)
    })?;
    println!("{} shards echo on {address}", shards.handles().len());

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(tokio::signal::ctrl_c())?;
    shards.stop();
    shards.join();
    for (shard, stats) in stats.iter().enumerate() {
        stats.visit(|sample| eprintln!("{shard} {} {}", sample.name, sample.value));
    }
    Ok(())
}

/// Binds this shard's socket and spawns the task that answers.
fn listen(context: &ShardContext, address: SocketAddr) -> std::io::Result<Arc<UdpStats>> {
    let stats = Arc::new(UdpStats::default());
    let socket = UdpSocket::bind(address, &UdpConfig::default(), Arc::clone(&stats))?;
    let mut shutdown = context.shutdown();
    context.spawn("echo", async move {
        let mut batch = RecvBatch::new(32);
        loop {
            tokio::select! {
                () = socket.receive(&mut batch) => {}
                () = shutdown.requested() => return,
            }
            for datagram in batch.datagrams() {
                socket.send(datagram.local, datagram.remote, &[datagram.bytes]);
            }
            // What was queued for a batch leaves in one system call, and in trains where it can.
            socket.flush();
        }
    });
    Ok(stats)
}
