//! Measures a path between two programs that both measure it: round trips, loss, throughput.

use std::collections::BTreeSet;
use std::time::Duration;

use jackfield_driver::peer::{ChannelConfig, DataChannel, Peer, PeerError, Reliability};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::{Delay, Loss, Throughput};

/// What was measured, as far as it came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    pub(super) delay: Option<Delay>,
    pub(super) loss: Option<Loss>,
    pub(super) throughput: Throughput,
    /// The largest packet that passed in both directions, in bytes of the whole IP packet.
    pub(super) mtu: Option<u16>,
}

/// The two channels that a measurement takes. Both sides open them with every connection, before
/// there is a path: what comes on a stream that is not open closes it.
#[derive(Debug)]
pub(super) struct Opening {
    peer: Peer,
    once: JoinHandle<Result<DataChannel, PeerError>>,
    reliable: JoinHandle<Result<DataChannel, PeerError>>,
}

/// A message on the reliable channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "kebab-case")]
enum Word {
    /// All answers that are waited for have come.
    Pinged,
    /// That was the last of the bytes.
    End,
    /// So many bytes came in a second.
    Got { rate: u64 },
}

impl Opening {
    pub(super) fn of(peer: &Peer) -> Self {
        let open = |config: ChannelConfig| {
            let peer = peer.clone();
            tokio::spawn(async move { peer.open_channel(config).await })
        };
        Self {
            peer: peer.clone(),
            once: open(ChannelConfig {
                ordered: false,
                reliability: Reliability::MaxRetransmits(0),
                negotiated: Some(ONCE),
                ..ChannelConfig::new("doctor-once")
            }),
            reliable: open(ChannelConfig {
                negotiated: Some(RELIABLE),
                ..ChannelConfig::new("doctor")
            }),
        }
    }

    /// Measures, together with the other side; `is_first` on one of the two sides alone.
    pub(super) async fn measure(self, is_first: bool) -> Measured {
        let mut measured = Measured::default();
        let (Ok(Ok(once)), Ok(Ok(reliable))) = (self.once.await, self.reliable.await) else {
            return measured;
        };
        let mut pings = Pings::default();
        let all = async {
            pings.run(&once, &reliable).await?;
            fill_both(&reliable, is_first, &mut measured.throughput).await
        };
        // Where the other side ends in the middle, what was measured counts all the same.
        let _cut_short = timeout(MEASURE_WITHIN, all).await;
        let mtu = self.peer.stats().path_mtu;
        measured.mtu = mtu.and_then(|mtu| u16::try_from(mtu).ok());
        (measured.delay, measured.loss) = pings.result();
        measured
    }
}

/// Small messages that are sent once, and their answers.
#[derive(Debug, Default)]
struct Pings {
    sent: Vec<Instant>,
    answered: BTreeSet<u32>,
    round_trips: Vec<Duration>,
}

impl Pings {
    /// Sends and answers until both sides have what they waited for; nothing if a channel ends.
    async fn run(&mut self, once: &DataChannel, reliable: &DataChannel) -> Option<()> {
        let mut tick = interval(PING_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_call = None;
        let (mut are_we_done, mut are_they_done) = (false, false);
        while !(are_we_done && are_they_done) {
            tokio::select! {
                _ = tick.tick(), if self.sent.len() < PINGS => {
                    let number = self.sent.len() as u32;
                    self.sent.push(Instant::now());
                    once.send(&ping(PING, number)).await.ok()?;
                    if self.sent.len() == PINGS {
                        last_call = Some(Instant::now() + LATE);
                    }
                }
                message = once.recv() => {
                    let (kind, number) = read(message?.as_bytes());
                    match kind {
                        Some(PING) => once.send(&ping(PONG, number)).await.ok()?,
                        Some(PONG) => self.take(number),
                        _ => {}
                    }
                }
                message = reliable.recv() => {
                    are_they_done |= word(message?.as_bytes()) == Some(Word::Pinged);
                }
                () = sleep_until(last_call.unwrap_or_else(Instant::now)), if last_call.is_some() => {
                    last_call = None;
                    are_we_done = true;
                    say(reliable, Word::Pinged).await?;
                }
            }
        }
        Some(())
    }

    fn take(&mut self, number: u32) {
        if let Some(sent) = self.sent.get(number as usize)
            && self.answered.insert(number)
        {
            self.round_trips.push(sent.elapsed());
        }
    }

    fn result(self) -> (Option<Delay>, Option<Loss>) {
        // The answers to the last ones may still be on their way.
        let sent = self.sent.iter().filter(|sent| sent.elapsed() >= LATE);
        let loss = Loss {
            sent: (sent.count() as u32).max(self.answered.len() as u32),
            answered: self.answered.len() as u32,
        };
        (Delay::of(self.round_trips), (loss.sent > 0).then_some(loss))
    }
}

/// Fills the channel in one direction, then in the other one; nothing if it ends.
async fn fill_both(
    reliable: &DataChannel,
    is_first: bool,
    throughput: &mut Throughput,
) -> Option<()> {
    for is_ours in [is_first, !is_first] {
        if is_ours {
            throughput.to_peer = Some(fill(reliable).await?);
        } else {
            let rate = drink(reliable).await?;
            throughput.from_peer = Some(rate);
            say(reliable, Word::Got { rate }).await?;
            // Leaving at once would take the answer along. The other side may be done with it, and
            // leave, before it acknowledges.
            reliable.flush().await.ok()?;
        }
    }
    Some(())
}

/// Sends as much as goes for a while; returns at what rate it came, as the other side says.
async fn fill(reliable: &DataChannel) -> Option<u64> {
    let begin = Instant::now();
    let piece = vec![0; PIECE];
    let mut bytes = 0;
    while (begin.elapsed() < FILL_FOR || bytes < LEAST_BYTES) && bytes < MOST_BYTES {
        // A longer queue would take a slow line seconds to empty.
        while reliable.buffered_amount() > LONGEST_QUEUE {
            sleep(Duration::from_millis(2)).await;
        }
        reliable.send(&piece).await.ok()?;
        bytes += piece.len();
    }
    say(reliable, Word::End).await?;
    loop {
        if let Some(Word::Got { rate }) = word(reliable.recv().await?.as_bytes()) {
            return Some(rate);
        }
    }
}

/// Takes what the other side sends; returns the rate.
async fn drink(reliable: &DataChannel) -> Option<u64> {
    let (mut begin, mut bytes) = (None, 0);
    loop {
        let message = reliable.recv().await?;
        match word(message.as_bytes()) {
            Some(Word::End) => break,
            Some(_) => {}
            // The first piece starts the clock, and is not counted.
            None if begin.is_none() => begin = Some(Instant::now()),
            None => bytes += message.as_bytes().len() as u64,
        }
    }
    let took = begin?.elapsed().as_micros().max(1) as u64;
    Some(bytes.saturating_mul(1_000_000) / took)
}

async fn say(reliable: &DataChannel, word: Word) -> Option<()> {
    let text = serde_json::to_string(&word).ok()?;
    reliable.send_text(&text).await.ok()
}

fn word(bytes: &[u8]) -> Option<Word> {
    // The filling is as long as no word is.
    let is_short = bytes.len() < PIECE;
    is_short.then(|| serde_json::from_slice(bytes).ok())?
}

fn ping(kind: u8, number: u32) -> Vec<u8> {
    let mut bytes = vec![0; PING_SIZE];
    let head = [kind].into_iter().chain(number.to_be_bytes());
    for (byte, value) in bytes.iter_mut().zip(head) {
        *byte = value;
    }
    bytes
}

fn read(bytes: &[u8]) -> (Option<u8>, u32) {
    match bytes.split_first_chunk::<5>() {
        Some((&[kind, n0, n1, n2, n3], _)) => (Some(kind), u32::from_be_bytes([n0, n1, n2, n3])),
        None => (None, 0),
    }
}

/// Streams that no channel is given by chance: the first free ones are taken.
const ONCE: u16 = 1001;
const RELIABLE: u16 = 1003;

const PING: u8 = 0;
const PONG: u8 = 1;

/// Messages like those of a voice: fifty a second, of a hundred bytes, for four seconds.
const PINGS: usize = 200;
const PING_EVERY: Duration = Duration::from_millis(20);
const PING_SIZE: usize = 100;
/// An answer that is later than this is lost to a call.
const LATE: Duration = Duration::from_secs(1);

const PIECE: usize = 16_384;
const FILL_FOR: Duration = Duration::from_secs(2);
const MOST_BYTES: usize = 16 << 20;
/// The first piece starts the other side's clock, so a program that is stalled after it would
/// measure nothing.
const LEAST_BYTES: usize = 4 * PIECE;
const LONGEST_QUEUE: usize = 512 << 10;
/// A line of 1 Mbit/s takes four seconds to empty the queue, in each direction.
const MEASURE_WITHIN: Duration = Duration::from_secs(25);

#[cfg(test)]
mod tests {
    use jackfield_driver::peer::PeerOptions;

    use super::*;

    #[tokio::test]
    async fn two_sides_measure_the_path_between_them() {
        let (alice, bob) = two_sides().await;
        // Each side leaves when it is done.
        let side = async |(peer, opening): (Peer, Opening), is_first| {
            let measured = opening.measure(is_first).await;
            peer.close().await;
            measured
        };
        let (here, there) = tokio::join!(side(alice, true), side(bob, false));
        for side in [here, there] {
            assert_eq!(side.loss.unwrap().sent, PINGS as u32);
            assert!(side.loss.unwrap().answered > 0, "{side:?}");
            let delay = side.delay.unwrap();
            assert!(delay.min <= delay.median && delay.median <= delay.max);
        }
        let (here, there) = (here.throughput, there.throughput);
        assert!(here.to_peer > Some(0) && here.from_peer > Some(0));
        assert_eq!(
            (here.to_peer, here.from_peer),
            (there.from_peer, there.to_peer)
        );
    }

    #[tokio::test]
    async fn a_side_that_leaves_in_the_middle_takes_no_value_along() {
        let ((_alice, here), (bob, there)) = two_sides().await;
        let leaving = async {
            let reliable = there.reliable.await.unwrap().unwrap();
            let once = there.once.await.unwrap().unwrap();
            Pings::default().run(&once, &reliable).await.unwrap();
            let rate = drink(&reliable).await.unwrap();
            say(&reliable, Word::Got { rate }).await.unwrap();
            reliable.flush().await.unwrap();
            bob.close().await;
            rate
        };
        let (here, rate) = tokio::join!(here.measure(true), leaving);
        let throughput = Throughput {
            to_peer: Some(rate),
            from_peer: None,
        };
        assert_eq!(here.throughput, throughput);
        assert_eq!(here.loss.unwrap().sent, PINGS as u32);
        assert!(here.delay.is_some());
    }

    async fn two_sides() -> ((Peer, Opening), (Peer, Opening)) {
        let local = || PeerOptions::new().addresses(["127.0.0.1".parse().unwrap()]);
        let (alice, _) = Peer::new(local()).unwrap();
        let (bob, _) = Peer::new(local()).unwrap();
        let (here, there) = (Opening::of(&alice), Opening::of(&bob));
        // The channels are asked for before there is a path, as in a room.
        tokio::task::yield_now().await;
        let offer = alice.create_offer().unwrap();
        let answer = bob.handle_offer(&offer).unwrap();
        alice.handle_answer(&answer).unwrap();
        ((alice, here), (bob, there))
    }

    #[test]
    fn words_and_pings_are_read_back_and_other_bytes_are_none() {
        let text = serde_json::to_string(&Word::Got { rate: 5 }).unwrap();
        assert_eq!(word(text.as_bytes()), Some(Word::Got { rate: 5 }));
        assert_eq!(word(&[0; PIECE]), None);
        assert_eq!(word(b"{}"), None);
        assert_eq!(read(&ping(PONG, 7)), (Some(PONG), 7));
        assert_eq!(read(b"x"), (None, 0));
    }
}
