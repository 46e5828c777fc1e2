//! A channel that carries whole messages in order, whatever is below it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytes::Bytes;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// One message of a data channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text; here always a JSON object.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Returns the length of what is inside, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns whether the message is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One end of a channel: messages arrive in the order in which they were sent, or the channel ends.
///
/// The protocols of this crate know nothing else of the network. [`Channel::pair`] joins two ends
/// in one process, which is what tests use.
#[derive(Debug)]
pub struct Channel {
    /// Where messages to the other end go; sending waits while the other end is slow.
    pub sender: ChannelSender,
    /// Where messages of the other end come from; `None` is the end of the channel.
    pub receiver: ChannelReceiver,
}

/// The channel ended: the other side closed it, or the connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel to the other side ended")]
pub struct ChannelEnded;

impl Channel {
    /// Returns two ends that are joined; each direction holds [`CHANNEL_BYTES`].
    #[must_use]
    pub fn pair() -> (Self, Self) {
        let (to_right, right) = direction();
        let (to_left, left) = direction();
        let end = |sender, receiver| Self { sender, receiver };
        (end(to_right, left), end(to_left, right))
    }
}

fn direction() -> (ChannelSender, ChannelReceiver) {
    // The places bound it.
    let (sender, receiver) = mpsc::unbounded_channel();
    let places = Arc::new(Semaphore::new(CHANNEL_BYTES));
    let sender = ChannelSender {
        queue: sender,
        places: Arc::clone(&places),
    };
    let queue = receiver;
    (sender, ChannelReceiver { queue, places })
}

/// The end of a direction where messages go in; as many clones as wanted.
#[derive(Debug, Clone)]
pub struct ChannelSender {
    queue: mpsc::UnboundedSender<Waiting>,
    places: Arc<Semaphore>,
}

/// The end of a direction where messages come out.
#[derive(Debug)]
pub struct ChannelReceiver {
    queue: mpsc::UnboundedReceiver<Waiting>,
    places: Arc<Semaphore>,
}

/// A message that waits, and the bytes that it takes until it is received.
#[derive(Debug)]
struct Waiting {
    message: Message,
    _place: OwnedSemaphorePermit,
}

/// The right to send a message without waiting.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    sender: &'a ChannelSender,
    place: OwnedSemaphorePermit,
}

impl ChannelSender {
    /// Sends a message; waits while there is no place for it.
    ///
    /// # Errors
    /// [`ChannelEnded`] if the other end is gone.
    pub async fn send(&self, message: Message) -> Result<(), ChannelEnded> {
        let place = self.reserve(message.len()).await?;
        place.send(message)
    }

    /// Sends a message; blocks the thread, which must not be one that runs tasks, while there is no
    /// place for it.
    ///
    /// # Errors
    /// [`ChannelEnded`] if the other end is gone.
    pub fn blocking_send(&self, message: Message) -> Result<(), ChannelEnded> {
        block_on(self.send(message))
    }

    /// Sends a message if there is a place for it.
    ///
    /// # Errors
    /// The message itself, if there is none or the other end is gone.
    pub fn try_send(&self, message: Message) -> Result<(), Message> {
        let places = Arc::clone(&self.places);
        match places.try_acquire_many_owned(weight(message.len())) {
            Ok(place) => self.put(message, place),
            Err(_) => Err(message),
        }
    }

    /// Resolves when the other end is gone.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }

    /// Waits for the place of a message of so many bytes.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<Place<'_>, ChannelEnded> {
        let places = Arc::clone(&self.places);
        let place = places.acquire_many_owned(weight(bytes)).await;
        let place = place.map_err(|_| ChannelEnded)?;
        Ok(Place {
            sender: self,
            place,
        })
    }

    fn put(&self, message: Message, place: OwnedSemaphorePermit) -> Result<(), Message> {
        let waiting = Waiting {
            message,
            _place: place,
        };
        let put = self.queue.send(waiting);
        put.map_err(|unsent| unsent.0.message)
    }
}

impl Place<'_> {
    /// Sends a message, of at most as many bytes as the place was reserved for.
    ///
    /// # Errors
    /// [`ChannelEnded`] if the other end is gone.
    pub(crate) fn send(self, message: Message) -> Result<(), ChannelEnded> {
        let Self { sender, place } = self;
        sender.put(message, place).map_err(|_| ChannelEnded)
    }
}

impl ChannelReceiver {
    /// Returns the next message; nothing if the channel has ended. Dropping the future loses
    /// nothing.
    pub async fn recv(&mut self) -> Option<Message> {
        self.queue.recv().await.map(|waiting| waiting.message)
    }

    /// Returns the next message; blocks the thread, which must not be one that runs tasks.
    pub fn blocking_recv(&mut self) -> Option<Message> {
        self.queue.blocking_recv().map(|waiting| waiting.message)
    }

    /// Returns the next message if it is there.
    ///
    /// # Errors
    /// [`TryRecvError`] says whether there may be another one later.
    pub fn try_recv(&mut self) -> Result<Message, TryRecvError> {
        self.queue.try_recv().map(|waiting| waiting.message)
    }

    /// Returns whether the other end is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl Drop for ChannelReceiver {
    fn drop(&mut self) {
        // Who waits for a place waits no longer.
        self.places.close();
    }
}

/// Returns how many bytes a message takes. One that is longer than all there are has the direction
/// to itself.
fn weight(bytes: usize) -> u32 {
    let weight = bytes.saturating_add(MESSAGE_BYTES).min(CHANNEL_BYTES);
    u32::try_from(weight).unwrap_or(u32::MAX)
}

/// Waits for a future on a thread without a runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Most bytes that wait in one direction of a channel, each message with some for itself: what a
/// program that is stopped costs the other end, which flow control slows down beyond it.
///
/// The control messages that a protocol of this crate can have on the way at once fit in, so that
/// two ends that both send cannot wait for each other.
pub const CHANNEL_BYTES: usize = 2 << 20;

/// Bytes that a message takes beside its content.
const MESSAGE_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Message {
        Message::Binary(vec![0; len].into())
    }

    #[test]
    fn what_waits_for_a_program_that_reads_nothing_is_bounded_in_bytes() {
        for len in [0, 1, 1000, 64 << 10, 256 << 10] {
            let (here, mut there) = Channel::pair();
            let mut sent = 0;
            while here.sender.try_send(bytes(len)).is_ok() {
                sent += 1;
            }
            assert!(sent >= 1 && sent * (len + MESSAGE_BYTES) <= CHANNEL_BYTES);
            assert!((sent + 1) * (len + MESSAGE_BYTES) > CHANNEL_BYTES);
            for _ in 0..sent {
                assert_eq!(there.receiver.try_recv(), Ok(bytes(len)));
            }
            // All of it is free again.
            for _ in 0..sent {
                here.sender.try_send(bytes(len)).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_message_above_the_bound_goes_when_nothing_else_waits() {
        let (here, mut there) = Channel::pair();
        here.sender.try_send(bytes(1)).unwrap();
        let long = bytes(2 * CHANNEL_BYTES);
        assert!(here.sender.try_send(long.clone()).is_err());
        let sending = here.sender.send(long.clone());
        let receiving = async { (there.receiver.recv().await, there.receiver.recv().await) };
        let (sent, received) = tokio::join!(sending, receiving);
        assert_eq!(sent, Ok(()));
        assert_eq!(received, (Some(bytes(1)), Some(long)));
    }

    #[test]
    fn a_thread_that_waits_for_a_place_goes_on_when_there_is_one_and_when_the_channel_ends() {
        let (here, mut there) = Channel::pair();
        here.sender.try_send(bytes(CHANNEL_BYTES)).unwrap();
        let sender = here.sender.clone();
        let first = thread::spawn(move || sender.blocking_send(bytes(CHANNEL_BYTES)));
        assert_eq!(there.receiver.blocking_recv(), Some(bytes(CHANNEL_BYTES)));
        assert_eq!(first.join().unwrap(), Ok(()));
        let second = thread::spawn(move || here.sender.blocking_send(bytes(1)));
        drop(there);
        assert_eq!(second.join().unwrap(), Err(ChannelEnded));
    }
}
