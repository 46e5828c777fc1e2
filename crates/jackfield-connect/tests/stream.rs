//! A stream over channels that end in the middle.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use bytes::Bytes;
use jackfield_connect::stream::{Close, Control, Place, Stream, StreamError, Violation, carry};
use jackfield_connect::{Channel, Message};
use jackfield_testing::SplitMix64;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::runtime::Builder;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cut_anywhere_and_gone_on_with_both_directions_arrive(
        there in 0..300_000_usize,
        back in 0..300_000_usize,
        cuts in proptest::collection::vec(0..40_usize, 0..8),
        seed in any::<u64>(),
    ) {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (one, other) = (bytes(there, seed), bytes(back, !seed));
            let (mut left, left_program) = Side::new();
            let (mut right, right_program) = Side::new();
            let left_program = tokio::spawn(program(left_program, one.clone()));
            let right_program = tokio::spawn(program(right_program, other.clone()));
            let mut is_finished = (false, false);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (ours, theirs) = attach(&mut left.stream, &mut right.stream, cut);
                let ends = tokio::join!(left.carry(ours), right.carry(theirs));
                for (end, is_finished) in [(ends.0, &mut is_finished.0), (ends.1, &mut is_finished.1)] {
                    match end {
                        Ok(()) => *is_finished = true,
                        Err(StreamError::Ended(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                if is_finished == (true, true) {
                    break;
                }
                // One of them knows that all is well, and would say `finished` to the other.
                if is_finished != (false, false) && cut < usize::MAX {
                    break;
                }
            }
            assert!(is_finished.0 || is_finished.1);
            assert!(left_program.await.unwrap() == other, "the way back");
            assert!(right_program.await.unwrap() == one, "the way there");
        });
    }
}

#[tokio::test]
async fn one_direction_may_end_long_before_the_other() {
    let (mut left, mut client) = Side::new();
    let (mut right, mut server) = Side::new();
    let (ours, theirs) = attach(&mut left.stream, &mut right.stream, usize::MAX);
    let carried = tokio::spawn(async move { tokio::join!(left.carry(ours), right.carry(theirs)) });
    client.write_all(b"all I have").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = Vec::new();
    server.read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"all I have");
    server.write_all(b"the answer").await.unwrap();
    server.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"the answer");
    let (left, right) = carried.await.unwrap();
    assert!(left.is_ok() && right.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_stops_the_other_sides_program_and_nothing_else() {
    let (mut left, client) = Side::new();
    let (mut right, server) = Side::new();
    let (ours, theirs) = attach(&mut left.stream, &mut right.stream, usize::MAX);
    let carried = tokio::spawn(async move { tokio::join!(left.carry(ours), right.carry(theirs)) });
    let (mut client_reads, mut client_writes) = split(client);
    let (mut server_reads, mut server_writes) = split(server);
    let flood = tokio::spawn(async move {
        let bytes = vec![7; 64 << 10];
        let mut sent = 0_usize;
        while sent < 64 << 20 {
            server_writes.write_all(&bytes).await.unwrap();
            sent += bytes.len();
        }
        server_writes.shutdown().await.unwrap();
        sent
    });
    // The client does not read; the flood stops, and the other direction goes on.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!flood.is_finished());
    client_writes.write_all(b"still there?").await.unwrap();
    client_writes.shutdown().await.unwrap();
    let mut heard = Vec::new();
    server_reads.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"still there?");
    let mut total = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match client_reads.read(&mut buffer).await.unwrap() {
            0 => break,
            read => total += read,
        }
    }
    assert_eq!(total, flood.await.unwrap());
    let (left, right) = carried.await.unwrap();
    assert!(left.is_ok() && right.is_ok());
}

#[tokio::test]
async fn a_reset_beyond_ends_the_stream_with_its_reason() {
    let (mut left, client) = Side::new();
    let (mut right, mut server) = Side::new();
    let (ours, theirs) = attach(&mut left.stream, &mut right.stream, usize::MAX);
    drop(client);
    server.write_all(b"never to be read").await.unwrap();
    let (left, right) = tokio::join!(left.carry(ours), right.carry(theirs));
    assert!(matches!(left, Err(StreamError::Write(_))), "{left:?}");
    assert!(
        matches!(right, Err(StreamError::Closed(Close::Reset))),
        "{right:?}"
    );
}

#[test]
fn many_small_messages_are_kept_as_a_few_large_pieces() {
    let mut stream = Stream::default();
    let sent = bytes(40_000, 1);
    for byte in &sent {
        stream.handle_bytes(vec![*byte].into()).unwrap();
    }
    let (mut pieces, mut taken) = (0, Vec::new());
    while !stream.arrived().is_empty() {
        let piece = stream.arrived();
        stream.take(piece.len());
        taken.extend_from_slice(&piece);
        pieces += 1;
    }
    assert_eq!(taken, sent);
    assert_eq!(pieces, 3);
}

#[test]
fn a_side_that_breaks_the_protocol_is_found_out() {
    let sent = |count: usize| {
        let mut stream = Stream::default();
        stream.write(Bytes::from(vec![0; count]));
        while stream.poll_message().is_some() {}
        stream
    };
    let ack = |taken, end| Control::Ack { taken, end };
    assert_eq!(
        sent(9).handle_control(&ack(10, false)),
        Err(Violation::Acknowledgement)
    );
    assert_eq!(
        sent(9).handle_control(&ack(9, true)),
        Err(Violation::Acknowledgement)
    );
    let mut stream = sent(9);
    stream.handle_control(&ack(5, false)).unwrap();
    assert_eq!(
        stream.handle_control(&ack(4, false)),
        Err(Violation::Acknowledgement)
    );
    let behind = Place {
        received: 4,
        taken: 4,
    };
    assert_eq!(stream.attach(behind), Err(Violation::Acknowledgement));
    assert_eq!(
        sent(1).attach(Place {
            received: 0,
            taken: 1
        }),
        Err(Violation::Acknowledgement)
    );

    let mut stream = sent(9);
    let place = |received| Place { received, taken: 0 };
    stream.attach(place(5)).unwrap();
    assert_eq!(stream.attach(place(4)), Err(Violation::Acknowledgement));

    let mut stream = Stream::default();
    for _ in 0..64 {
        stream.handle_bytes(Bytes::from(vec![0; 64 << 10])).unwrap();
    }
    assert_eq!(
        stream.handle_bytes(Bytes::from_static(b"x")),
        Err(Violation::Window)
    );
    let mut stream = Stream::default();
    stream.handle_control(&Control::End).unwrap();
    assert_eq!(
        stream.handle_bytes(Bytes::from_static(b"x")),
        Err(Violation::AfterEnd)
    );
    assert_eq!(
        stream.handle_control(&Control::Opened {
            place: Place::default()
        }),
        Err(Violation::Unexpected)
    );
}

/// One side: its state, and the ends of a connection to a program of its machine.
struct Side {
    stream: Stream,
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
}

impl Side {
    fn new() -> (Self, DuplexStream) {
        let (ours, program) = duplex(8 << 10);
        let (reader, writer) = split(ours);
        (
            Self {
                stream: Stream::default(),
                reader,
                writer,
            },
            program,
        )
    }

    async fn carry(&mut self, mut channel: Channel) -> Result<(), StreamError> {
        carry(
            &mut self.stream,
            &mut channel,
            &mut self.reader,
            &mut self.writer,
        )
        .await
    }
}

/// Joins two sides by a new channel, which ends after `budget` messages.
fn attach(left: &mut Stream, right: &mut Stream, budget: usize) -> (Channel, Channel) {
    let (left_place, right_place) = (left.place(), right.place());
    left.attach(right_place).unwrap();
    right.attach(left_place).unwrap();
    let (ours, mut one) = Channel::pair();
    let (mut other, theirs) = Channel::pair();
    tokio::spawn(async move {
        for _ in 0..budget {
            let passed: Option<(Message, bool)> = tokio::select! {
                message = one.receiver.recv() => message.map(|message| (message, true)),
                message = other.receiver.recv() => message.map(|message| (message, false)),
            };
            // What one side sent before it ended still arrives.
            let Some((message, is_there)) = passed else {
                break;
            };
            let to = if is_there { &other.sender } else { &one.sender };
            // A side that has ended gets nothing more; what it said before still goes to the other.
            let _ended = to.send(message).await;
        }
    });
    (ours, theirs)
}

/// Sends all it has, and returns all that comes.
async fn program(connection: DuplexStream, bytes: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = split(connection);
    let mut heard = Vec::new();
    let write = async {
        writer.write_all(&bytes).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let ((), read) = tokio::join!(write, reader.read_to_end(&mut heard));
    read.unwrap();
    heard
}

fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    (0..len)
        .map(|_| u8::try_from(random.below(256)).unwrap())
        .collect()
}
