//! Sending and receiving files in a room.

mod offers;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::channel::{Channel, ChannelSender, Message};
use crate::connection::Connector;
use crate::error::{Error, reason_words};
use crate::event::{Event, Observer};
use crate::files::{
    self, Control, Destination, Offer, Progress, Reason, ReceiveError, Received, SendError, Source,
};
use crate::room::PeerId;
use crate::session::{Session, Stay, Step};
use offers::IncomingOffers;

/// Sends files to the first who takes them, until they have everything.
///
/// Every member of the room gets the offer. A program that receives takes it; a page asks its user.
/// A receiver that vanishes or is stopped in the middle is waited for.
///
/// # Errors
/// [`Error`] says why no receiver has everything.
pub async fn send<C: Connector>(
    mut stay: Stay,
    connector: C,
    source: Arc<Source>,
    progress: Arc<Progress>,
    observer: Arc<dyn Observer>,
) -> Result<(), Error> {
    stay.room.purpose = "send";
    let mut session = Session::enter(stay, connector, observer);
    let mut offers = Offers::default();
    let sent = offer_to_all(&mut session, &mut offers, &source, &progress).await;
    if matches!(sent, Err(Error::Stopped)) {
        offers.members.values().for_each(say_stopped);
    }
    session.leave().await;
    sent
}

async fn offer_to_all(
    session: &mut Session,
    offers: &mut Offers,
    source: &Arc<Source>,
    progress: &Arc<Progress>,
) -> Result<(), Error> {
    let (ended, mut endings) = mpsc::unbounded_channel();
    let _over = OnDrop(Arc::clone(&offers.taker));
    loop {
        tokio::select! {
            step = session.next() => match step? {
                Step::Connected(peer) => {
                    let Ok(channel) = session.handle().open_channel(peer, "files", files::PROTOCOL).await else {
                        continue;
                    };
                    offers.members.insert(peer, channel.sender.clone());
                    session.tell(Event::Offering {
                        peer: session.name(peer),
                        files: source.files(),
                        bytes: source.bytes(),
                    });
                    let (source, progress, ended) = (Arc::clone(source), Arc::clone(progress), ended.clone());
                    let taker = Arc::clone(&offers.taker);
                    tokio::task::spawn_blocking(move || {
                        let mut channel = channel;
                        let mut take = || taker.claim(peer);
                        let result = files::send(&mut channel, &source, &progress, &mut take);
                        // A program that has ended asks for nothing more.
                        let _over = ended.send((peer, channel, result));
                    });
                }
                Step::Purpose(peer, purpose) => mismatch(session, peer, purpose, &["receive", "page"]),
                Step::Channel { protocol, channel, .. } => refuse(&protocol, channel),
                Step::Left { peer, .. } => {
                    offers.withdraw(peer);
                }
                Step::Chat { .. } => {}
            },
            Some((peer, mut channel, result)) = endings.recv() => match result {
                Ok(()) => {
                    // The receiver closes once it has our goodbye; who does not is not waited for.
                    let closing = async { while channel.receiver.recv().await.is_some() {} };
                    let _late = timeout(CLOSE_WITHIN, closing).await;
                    session.tell(Event::Done {
                        files: source.files(),
                        bytes: source.bytes(),
                        kept: progress.kept(),
                    });
                    return Ok(());
                }
                // Its offer stands: it may come back.
                Err(SendError::Ended(_) | SendError::Refused { reason: Reason::Stopped, .. }) => {
                    if matches!(result, Err(SendError::Refused { .. })) {
                        session.tell(Event::Stopped { peer: session.name(peer) });
                        offers.taker.release(peer);
                    }
                    if !offers.members.contains_key(&peer) {
                        offers.taker.release(peer);
                    }
                    session.tell(Event::Paused { bytes: progress.bytes() });
                }
                Err(SendError::TakenByAnother) => {}
                Err(SendError::Refused { reason, path }) => {
                    let is_last = offers.withdraw(peer);
                    let name = session.name(peer);
                    if is_last {
                        return Err(Error::Refused { peer: name, reason, path });
                    }
                    let why = reason_words(reason, path.as_deref());
                    session.tell(Event::Declined { peer: name, why });
                }
                // One member's mistake does not keep the files from the others.
                Err(error @ (SendError::Protocol(_) | SendError::Message(_))) => {
                    if offers.withdraw(peer) {
                        return Err(Error::Send(error));
                    }
                    let why = "broke the protocol".to_owned();
                    session.tell(Event::Declined { peer: session.name(peer), why });
                }
                Err(error) => return Err(Error::Send(error)),
            },
        }
    }
}

/// The members that have the offer, and which of them gets the files.
#[derive(Debug, Default)]
struct Offers {
    members: BTreeMap<PeerId, ChannelSender>,
    taker: Arc<Taker>,
}

impl Offers {
    /// Takes the offer, and the files if they were its, from a member; returns whether it was the
    /// last one.
    fn withdraw(&mut self, peer: PeerId) -> bool {
        self.members.remove(&peer);
        self.taker.release(peer);
        self.members.is_empty()
    }
}

/// Who gets the files, of several who want them.
#[derive(Debug, Default)]
struct Taker {
    state: Mutex<TakerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct TakerState {
    holder: Option<PeerId>,
    is_over: bool,
}

impl Taker {
    fn state(&self) -> MutexGuard<'_, TakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no one else holds the files, and takes them; returns whether that was possible.
    ///
    /// A receiver that was killed holds them until it is known to be gone, and the one that was
    /// started in its place waits for that.
    fn claim(&self, peer: PeerId) -> bool {
        let is_held = |state: &mut TakerState| {
            !state.is_over && state.holder.is_some_and(|holder| holder != peer)
        };
        let waited = self.changed.wait_while(self.state(), is_held);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_over {
            return false;
        }
        state.holder = Some(peer);
        true
    }

    fn release(&self, peer: PeerId) {
        self.state().holder.take_if(|holder| *holder == peer);
        self.changed.notify_all();
    }
}

/// Ends the wait of every side for files whose sender has ended.
struct OnDrop(Arc<Taker>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.changed.notify_all();
    }
}

/// Receives the files that somebody in the room sends, until all of them are there.
///
/// # Errors
/// [`Error`] says why not everything is there. What has arrived of a file is kept, and the next
/// call goes on with it.
pub async fn receive<C: Connector>(
    mut stay: Stay,
    connector: C,
    destination: Arc<Destination>,
    progress: Arc<Progress>,
    observer: Arc<dyn Observer>,
) -> Result<Received, Error> {
    stay.room.purpose = "receive";
    let mut session = Session::enter(stay, connector, observer);
    let mut offers = IncomingOffers::new();
    let mut sender = None;
    let received = take_first_offer(
        &mut session,
        &mut offers,
        &mut sender,
        &destination,
        &progress,
    )
    .await;
    if matches!(received, Err(Error::Stopped)) {
        offers.refuse_all(Reason::Stopped);
        sender
            .iter()
            .for_each(|sender| say_stopped(&sender.channel));
    }
    session.leave().await;
    received
}

/// Who sends what is received.
struct Sender {
    peer: PeerId,
    channel: ChannelSender,
}

async fn take_first_offer(
    session: &mut Session,
    offers: &mut IncomingOffers,
    sender: &mut Option<Sender>,
    destination: &Arc<Destination>,
    progress: &Arc<Progress>,
) -> Result<Received, Error> {
    let (ended, mut endings) = mpsc::unbounded_channel();
    let take = |session: &Session, peer: PeerId, channel: Channel, offer: Offer| {
        let name = session.name(peer);
        let observer = Arc::clone(&session.observer);
        let (destination, progress) = (Arc::clone(destination), Arc::clone(progress));
        let ended = ended.clone();
        tokio::task::spawn_blocking(move || {
            let mut channel = channel;
            let mut told = |step: files::Step<'_>| observer.tell(event_of(&name, step));
            let result =
                files::receive_offered(&mut channel, offer, &destination, &progress, &mut told);
            // A program that has ended asks for nothing more.
            let _over = ended.send((peer, result));
        });
    };
    loop {
        if sender.is_none()
            && let Some((peer, channel, offer)) = offers.take()
        {
            *sender = Some(Sender {
                peer,
                channel: channel.sender.clone(),
            });
            take(session, peer, channel, offer);
        }
        tokio::select! {
            step = session.next() => match step? {
                Step::Channel { peer, protocol, channel } if protocol == files::PROTOCOL => match sender {
                    Some(Sender { peer: known, .. }) if *known != peer && session.is_connected(*known) => {
                        say(&channel.sender, Reason::Busy);
                    }
                    // The channel of the transfer may be a dead one: this is the same sender with a
                    // new channel, or one in place of a sender that was killed.
                    _ => offers.add(peer, channel),
                },
                Step::Channel { protocol, channel, .. } => refuse(&protocol, channel),
                Step::Purpose(peer, purpose) => mismatch(session, peer, purpose, &["send", "page"]),
                Step::Left { peer, .. } => offers.remove(peer),
                Step::Connected(_) | Step::Chat { .. } => {}
            },
            read = offers.next() => if let Err((peer, error)) = read {
                let is_last = sender.is_none() && offers.is_empty();
                give_up_offer(session, peer, error, is_last)?;
            },
            Some((peer, result)) = endings.recv() => {
                match result {
                    Ok(received) => {
                        session.tell(Event::Done {
                            files: progress.files(),
                            bytes: progress.total(),
                            kept: progress.kept(),
                        });
                        return Ok(received);
                    }
                    Err(ReceiveError::Ended(_) | ReceiveError::Refused { reason: Reason::Stopped, .. }) => {
                        if matches!(result, Err(ReceiveError::Refused { .. })) {
                            session.tell(Event::Stopped { peer: session.name(peer) });
                        }
                        session.tell(Event::Paused { bytes: progress.bytes() });
                    }
                    Err(error) => return Err(receive_error(session, peer, error)),
                }
                *sender = None;
            }
        }
    }
}

/// Tells of an offer that is not taken.
///
/// # Errors
/// When no other member has made an offer, unless the member may make another one.
fn give_up_offer(
    session: &Session,
    peer: PeerId,
    error: ReceiveError,
    is_last: bool,
) -> Result<(), Error> {
    let why = match &error {
        // Its next channel brings the offer again.
        ReceiveError::Ended(_)
        | ReceiveError::Refused {
            reason: Reason::Stopped,
            ..
        } => return Ok(()),
        ReceiveError::Refused { reason, path } => reason_words(*reason, path.as_deref()),
        other => other.to_string(),
    };
    if is_last && !matches!(error, ReceiveError::Timeout) {
        return Err(receive_error(session, peer, error));
    }
    session.tell(Event::OfferNotTaken {
        peer: session.name(peer),
        why,
    });
    Ok(())
}

fn receive_error(session: &Session, peer: PeerId, error: ReceiveError) -> Error {
    match error {
        ReceiveError::Refused { reason, path } => Error::Refused {
            peer: session.name(peer),
            reason,
            path,
        },
        error => Error::Receive(error),
    }
}

fn event_of(peer: &str, step: files::Step<'_>) -> Event {
    match step {
        files::Step::Offer { files, bytes } => Event::Offer {
            peer: peer.to_owned(),
            files,
            bytes,
        },
        files::Step::File { path, size, sha256 } => Event::File {
            path: path.to_string(),
            size,
            sha256: sha256.to_string(),
        },
    }
}

/// Says that somebody is here for something else.
pub(crate) fn mismatch(session: &Session, peer: PeerId, purpose: String, fits: &[&str]) {
    if !fits.contains(&purpose.as_str()) {
        session.tell(Event::Mismatch {
            peer: session.name(peer),
            purpose,
        });
    }
}

/// Closes a channel that this program has no use for.
pub(crate) fn refuse(protocol: &str, channel: Channel) {
    tracing::debug!(protocol, "A channel of an unknown protocol is closed");
    drop(channel);
}

fn say(sender: &ChannelSender, reason: Reason) {
    // A fresh channel has room for a message; one that has ended needs none.
    let _ended = sender.try_send(refusal(reason));
}

/// Tells the other side of a transfer that this program was stopped, after what is on its way.
fn say_stopped(sender: &ChannelSender) {
    if let Err(refusal) = sender.try_send(refusal(Reason::Stopped)) {
        let sender = sender.clone();
        // It ends with the connection, which is about to be closed.
        tokio::spawn(async move { sender.send(refusal).await });
    }
}

fn refusal(reason: Reason) -> Message {
    Message::Text(Control::Refuse { reason, path: None }.to_text())
}

/// How long a sender that is done waits for the receiver to close the channel.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_refuses_after_it_accepted_leaves_the_files_to_the_next() {
        let (first, second) = (PeerId(1), PeerId(2));
        let mut offers = Offers::default();
        for member in [first, second] {
            offers.members.insert(member, Channel::pair().0.sender);
        }
        assert!(offers.taker.claim(first));
        let taker = Arc::clone(&offers.taker);
        let waiting = std::thread::spawn(move || taker.claim(second));
        assert!(!offers.withdraw(first));
        assert!(waiting.join().unwrap());
        assert!(offers.withdraw(second));
    }
}
