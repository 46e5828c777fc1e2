//! A process without a file descriptor left: a program of its own, run with a low limit.

#![cfg(unix)]

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use jackfield_driver::shard::{Shards, ShardsConfig};
use jackfield_driver::tcp::{self, TcpStats};
use tokio::io::AsyncWriteExt;

#[test]
fn connections_wait_while_there_are_no_file_descriptors_and_are_served_after() {
    if std::env::var_os(LIMITED).is_none() {
        return run_again_with_few_files();
    }
    let address = jackfield_driver::port::claim("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = ShardsConfig {
        count: 1,
        ..ShardsConfig::default()
    };
    let (shards, stats) = Shards::start(&config, move |context| async move {
        let listener = tcp::listen(address, 128)?;
        let stats = Arc::new(TcpStats::default());
        let (counted, tasks) = (Arc::clone(&stats), context.clone());
        context.spawn("accept", async move {
            tcp::accept(listener, &counted, tasks.shutdown(), |mut stream, _| {
                tasks.spawn("greet", async move {
                    stream.write_all(b"hello").await.unwrap();
                });
            })
            .await;
        });
        Ok::<_, io::Error>(stats)
    })
    .unwrap();
    let stats = stats.first().unwrap();

    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // One for the client; the server's end needs another.
    drop(hoard.pop());
    let mut client = TcpStream::connect(address).unwrap();
    while stats.exhausted.value() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(stats.accepted.value(), 0);
    drop(hoard);
    let mut greeting = String::new();
    client.read_to_string(&mut greeting).unwrap();
    assert_eq!(greeting, "hello");
    assert_eq!(stats.accepted.value(), 1);
    shards.stop();
    shards.join();
}

/// Runs this very test in a process that may open 256 files.
fn run_again_with_few_files() {
    let itself = std::env::current_exe().expect("a running program has a file");
    let status = Command::new("sh")
        .args(["-c", "ulimit -n 256 && exec \"$0\" --nocapture"])
        .arg(itself)
        .env(LIMITED, "yes")
        .status()
        .expect("there is a shell");
    assert!(status.success());
}

/// Set in the environment of the process with the low limit.
const LIMITED: &str = "JACKFIELD_TEST_FEW_FILES";
