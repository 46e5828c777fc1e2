//! Talks to a WebSocket server: `client 127.0.0.1:9001 /path` sends each line that is typed and
//! prints what comes.

#![expect(clippy::print_stdout, reason = "what comes is the output")]

use std::error::Error;
use std::sync::Arc;

use http::Request;
use jackfield_ws::{CloseCode, CloseFrame, Message, WsConfig, connect};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments
        .next()
        .ok_or("usage: client ADDRESS:PORT [PATH]")?;
    let path = arguments.next().unwrap_or_else(|| "/".to_owned());

    // Any stream will do: wrap this one in TLS for wss.
    let stream = TcpStream::connect(&server).await?;
    let request = Request::get(path).header("Host", &server).body(())?;
    let mut socket = connect(stream, &request, &Arc::new(WsConfig::default())).await?;
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            // Both branches may be dropped halfway and called again: nothing is lost.
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => println!("{text}"),
                Some(Ok(Message::Binary(bytes))) => println!("{} bytes", bytes.len()),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            line = lines.next_line() => match line? {
                Some(line) => socket.send(&Message::text(line)).await?,
                None => {
                    let goodbye = CloseFrame::new(CloseCode::NORMAL, "");
                    return Ok(socket.close(Some(&goodbye)).await?);
                }
            },
        }
    }
}
