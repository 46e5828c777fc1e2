//! Says what Socket.IO packets mean. Paste lines from a browser's network panel into it:
//! `echo '42/chat,7["say","hello"]' | read_packets`.

#![expect(clippy::print_stdout, reason = "the meaning is the output")]

use std::error::Error;
use std::io::BufRead;

use jackfield_socketio_proto::engine::{Message, Packet, Version};
use jackfield_socketio_proto::packet::{Content, Decoder};

fn main() -> Result<(), Box<dyn Error>> {
    let mut decoder = Decoder::default();
    for line in std::io::stdin().lock().lines() {
        match Packet::decode_text(Version::V4, &line?.into())? {
            Packet::Message(message) => read(&mut decoder, message)?,
            packet => println!("Engine.IO: {packet:?}"),
        }
    }
    Ok(())
}

fn read(decoder: &mut Decoder, message: Message) -> Result<(), Box<dyn Error>> {
    let Some(packet) = decoder.handle_message(message)? else {
        println!("  (its attachments follow as binary messages)");
        return Ok(());
    };
    let namespace = packet.namespace;
    match packet.content {
        Content::Connect(json) => {
            println!("{namespace}: connect {}", json.unwrap_or_default());
        }
        Content::Disconnect => println!("{namespace}: disconnect"),
        Content::ConnectError(json) => {
            println!("{namespace}: refused {}", json.unwrap_or_default());
        }
        Content::Event(event) => {
            let answer = match event.ack_id {
                Some(id) => format!(", to be answered as {id}"),
                None => String::new(),
            };
            println!("{namespace}: event {:?}{answer}", event.name);
            for argument in event.args.raw() {
                println!("  {argument}");
            }
        }
        Content::Ack(ack) => println!("{namespace}: the answer to {}: {:?}", ack.ack_id, ack.args),
    }
    Ok(())
}
