//! Proxies that lead to one address, whatever they are asked for.

use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// A proxy in a thread, which ends with the process.
pub(crate) struct Proxy {
    url: String,
    asked_for: Receiver<String>,
}

impl Proxy {
    /// Speaks HTTP CONNECT (RFC 9110 section 9.3.6).
    pub(crate) fn http(to: SocketAddr) -> Self {
        Self::start("http", to, |mut client| {
            let mut reader = BufReader::new(client);
            let mut target = String::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(asked) = line.strip_prefix("CONNECT ") {
                    target = asked.split(' ').next().unwrap().to_owned();
                }
                if line == "\r\n" {
                    break;
                }
            }
            assert!(reader.buffer().is_empty());
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            target
        })
    }

    /// Speaks SOCKS 5 without authentication (RFC 1928), and knows names alone.
    pub(crate) fn socks5(to: SocketAddr) -> Self {
        Self::start("socks5h", to, |mut client| {
            let mut head = [0; 2];
            client.read_exact(&mut head).unwrap();
            let mut methods = vec![0; head[1].into()];
            client.read_exact(&mut methods).unwrap();
            client.write_all(&[5, 0]).unwrap();
            let mut request = [0; 5];
            client.read_exact(&mut request).unwrap();
            assert_eq!(request[..4], [5, 1, 0, 3]);
            let mut name = vec![0; request[4].into()];
            client.read_exact(&mut name).unwrap();
            let mut port = [0; 2];
            client.read_exact(&mut port).unwrap();
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            let name = String::from_utf8(name).unwrap();
            format!("{name}:{}", u16::from_be_bytes(port))
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns what the next client asks for.
    pub(crate) fn next_target(&self) -> String {
        self.asked_for.recv().unwrap()
    }

    fn start(
        scheme: &str,
        to: SocketAddr,
        shake_hands: impl Fn(&TcpStream) -> String + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (tell, asked_for) = channel();
        thread::spawn(move || serve(&listener, to, &tell, shake_hands));
        Self { url, asked_for }
    }
}

fn serve(
    listener: &TcpListener,
    to: SocketAddr,
    tell: &Sender<String>,
    shake_hands: impl Fn(&TcpStream) -> String,
) {
    for client in listener.incoming() {
        let client = client.unwrap();
        let target = shake_hands(&client);
        // A test that is over asks no more.
        let _over = tell.send(target);
        let server = TcpStream::connect(to).unwrap();
        for (mut from, mut to) in [
            (client.try_clone().unwrap(), server.try_clone().unwrap()),
            (server, client),
        ] {
            thread::spawn(move || {
                // Either side may be killed.
                let _broken = copy(&mut from, &mut to);
                let _closed = to.shutdown(Shutdown::Write);
            });
        }
    }
}
