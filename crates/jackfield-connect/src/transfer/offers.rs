//! Offers that several members of a room make at once: the first whole one is taken.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::say;
use crate::channel::{Channel, ChannelEnded, ChannelSender, Message};
use crate::files::{Offer, OfferReader, Reason, ReceiveError};
use crate::room::PeerId;

/// The members that have opened a channel for files and whose offers were not taken. Each is read
/// in a task of its own, so that a member that says nothing keeps no other from being heard.
#[derive(Debug)]
pub(super) struct IncomingOffers {
    readers: JoinSet<(PeerId, Channel, Result<Offer, ReceiveError>)>,
    reading: BTreeMap<PeerId, Reader>,
    /// Whole offers, the earliest first.
    whole: Vec<(PeerId, Channel, Offer)>,
    begun: Arc<Semaphore>,
}

#[derive(Debug)]
struct Reader {
    task: AbortHandle,
    sender: ChannelSender,
}

impl IncomingOffers {
    pub(super) fn new() -> Self {
        Self {
            readers: JoinSet::new(),
            reading: BTreeMap::new(),
            whole: Vec::new(),
            begun: Arc::new(Semaphore::new(BEGUN)),
        }
    }

    /// Reads what a member offers on a channel, which takes the place of its earlier one.
    pub(super) fn add(&mut self, peer: PeerId, channel: Channel) {
        self.remove(peer);
        let sender = channel.sender.clone();
        let task = self
            .readers
            .spawn(read(peer, channel, Arc::clone(&self.begun)));
        self.reading.insert(peer, Reader { task, sender });
    }

    /// Forgets a member that has left.
    pub(super) fn remove(&mut self, peer: PeerId) {
        if let Some(reader) = self.reading.remove(&peer) {
            reader.task.abort();
        }
        self.whole.retain(|(known, ..)| *known != peer);
    }

    /// Returns whether no member can still make its offer whole, and none has.
    pub(super) fn is_empty(&self) -> bool {
        self.reading.is_empty() && self.whole.is_empty()
    }

    /// Waits until an offer is whole, or is not taken: then it returns the member and the reason,
    /// which the member was told. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<(), (PeerId, ReceiveError)> {
        loop {
            let Some(read) = self.readers.join_next_with_id().await else {
                return std::future::pending().await;
            };
            let (id, (peer, channel, result)) = match read {
                Ok(read) => read,
                Err(error) if error.is_cancelled() => continue,
                Err(error) => {
                    tracing::error!(%error, "The task that reads an offer failed");
                    self.reading
                        .retain(|_, reader| reader.task.id() != error.id());
                    continue;
                }
            };
            // The member may have left, or opened another channel, just before.
            if self.reading.get(&peer).map(|reader| reader.task.id()) != Some(id) {
                continue;
            }
            self.reading.remove(&peer);
            match result {
                Ok(offer) => self.whole.push((peer, channel, offer)),
                Err(error) => {
                    if let Some(refusal) = error.refusal(Path::new("")) {
                        // A channel on which nothing was said has room for a message.
                        let _ended = channel.sender.try_send(refusal);
                    }
                    return Err((peer, error));
                }
            }
            return Ok(());
        }
    }

    /// Takes the earliest whole offer, and refuses the others: this program is busy.
    pub(super) fn take(&mut self) -> Option<(PeerId, Channel, Offer)> {
        if self.whole.is_empty() {
            return None;
        }
        let first = self.whole.remove(0);
        self.refuse_all(Reason::Busy);
        Some(first)
    }

    /// Tells each member why its offer is not taken.
    pub(super) fn refuse_all(&mut self, reason: Reason) {
        for (_, channel, _) in self.whole.drain(..) {
            say(&channel.sender, reason);
        }
        for reader in std::mem::take(&mut self.reading).into_values() {
            say(&reader.sender, reason);
            reader.task.abort();
        }
    }
}

async fn read(
    peer: PeerId,
    mut channel: Channel,
    begun: Arc<Semaphore>,
) -> (PeerId, Channel, Result<Offer, ReceiveError>) {
    let result = read_offer(&mut channel, &begun).await;
    (peer, channel, result)
}

async fn read_offer(channel: &mut Channel, begun: &Semaphore) -> Result<Offer, ReceiveError> {
    let mut reader = OfferReader::default();
    let first = next_message(channel).await?;
    // Who has said nothing takes no place of those that have.
    let _place = begun.acquire().await;
    if let Some(offer) = reader.handle(&first)? {
        return Ok(offer);
    }
    let rest = async {
        loop {
            let message = next_message(channel).await?;
            if let Some(offer) = reader.handle(&message)? {
                return Ok(offer);
            }
        }
    };
    let whole = timeout(WHOLE_WITHIN, rest).await;
    whole.unwrap_or(Err(ReceiveError::Timeout))
}

async fn next_message(channel: &mut Channel) -> Result<Message, ReceiveError> {
    let message = timeout(SAID_WITHIN, channel.receiver.recv()).await;
    let message = message.map_err(|_| ReceiveError::Timeout)?;
    Ok(message.ok_or(ChannelEnded)?)
}

/// Offers that are read at once: each takes as much memory as its paths, 32 MiB at most.
const BEGUN: usize = 4;

/// How long a member may say nothing. A connection that is interrupted is made anew before.
const SAID_WITHIN: Duration = Duration::from_secs(60);

/// How long an offer may take that was begun: the largest one is whole in time at 1.5 Mbit/s.
const WHOLE_WITHIN: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Control;

    #[tokio::test]
    async fn a_member_that_says_nothing_keeps_no_other_from_being_heard() {
        let mut offers = IncomingOffers::new();
        let mut silent = open(&mut offers, 1);
        let mut slow = open(&mut offers, 2);
        slow.sender.send(announced(2)).await.unwrap();
        let other = open(&mut offers, 3);
        other.sender.send(announced(0)).await.unwrap();

        offers.next().await.unwrap();
        let (peer, ..) = offers.take().unwrap();
        assert_eq!(peer, PeerId(3));
        for channel in [&mut silent, &mut slow] {
            assert_eq!(channel.receiver.recv().await, Some(refusal(Reason::Busy)));
            assert_eq!(channel.receiver.recv().await, None);
        }
        assert!(offers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_that_makes_its_offer_too_slowly_is_told_so() {
        let mut offers = IncomingOffers::new();
        let mut silent = open(&mut offers, 1);
        let (peer, error) = offers.next().await.unwrap_err();
        assert!(matches!(error, ReceiveError::Timeout), "{error:?}");
        assert_eq!(peer, PeerId(1));
        let said = silent.receiver.recv().await;
        assert_eq!(said, Some(refusal(Reason::Timeout)));

        let drip = open(&mut offers, 2);
        drip.sender.send(announced(1000)).await.unwrap();
        let dripping = tokio::spawn(async move {
            let mut sent = 0;
            while drip.sender.send(entry(sent)).await.is_ok() {
                sent += 1;
                tokio::time::sleep(SAID_WITHIN / 2).await;
            }
            sent
        });
        let (peer, error) = offers.next().await.unwrap_err();
        assert!(matches!(error, ReceiveError::Timeout), "{error:?}");
        assert_eq!(peer, PeerId(2));
        assert!(dripping.await.unwrap() < 1000);
        assert!(offers.is_empty());
    }

    #[tokio::test]
    async fn a_members_new_channel_takes_the_place_of_its_earlier_one() {
        let mut offers = IncomingOffers::new();
        let mut earlier = open(&mut offers, 1);
        earlier.sender.send(announced(1)).await.unwrap();
        let later = open(&mut offers, 1);
        assert_eq!(earlier.receiver.recv().await, None);
        later.sender.send(announced(0)).await.unwrap();
        offers.next().await.unwrap();
        let (peer, channel, _) = offers.take().unwrap();
        assert_eq!(peer, PeerId(1));
        drop(later);
        assert!(channel.receiver.is_closed());
        assert!(offers.take().is_none());
    }

    #[tokio::test]
    async fn few_offers_are_read_at_once_and_those_that_wait_are_not_lost() {
        let mut offers = IncomingOffers::new();
        let mut begun = Vec::new();
        for number in 0..BEGUN {
            let channel = open(&mut offers, number as u64);
            channel.sender.send(announced(2)).await.unwrap();
            begun.push(channel);
        }
        while offers.begun.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting = open(&mut offers, 10);
        for message in [announced(1), entry(1)] {
            waiting.sender.send(message).await.unwrap();
        }
        let silent = open(&mut offers, 11);

        drop(begun.pop());
        let (peer, error) = offers.next().await.unwrap_err();
        assert!(matches!(error, ReceiveError::Ended(_)), "{error:?}");
        assert_eq!(peer, PeerId(BEGUN as u64 - 1));
        offers.next().await.unwrap();
        let (peer, ..) = offers.take().unwrap();
        assert_eq!(peer, PeerId(10));
        drop(silent);
    }

    /// Adds a channel of a member; returns the member's end.
    fn open(offers: &mut IncomingOffers, peer: u64) -> Channel {
        let (ours, theirs) = Channel::pair();
        offers.add(PeerId(peer), ours);
        theirs
    }

    fn announced(entries: u64) -> Message {
        let offer = Control::Offer {
            version: 1,
            entries,
            bytes: 0,
        };
        Message::Text(offer.to_text())
    }

    fn entry(number: u64) -> Message {
        let text = format!(r#"{{"t":"entries","entries":[{{"path":"{number}"}}]}}"#);
        Message::Text(text)
    }

    fn refusal(reason: Reason) -> Message {
        Message::Text(Control::Refuse { reason, path: None }.to_text())
    }
}
