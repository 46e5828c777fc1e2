//! Folders to send, and channels between the two sides that end when a test wants it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, SystemTime};

use jackfield_connect::files::{
    Destination, Progress, ReceiveError, Received, SendError, Source, receive, send,
};
use jackfield_connect::{Channel, ChannelReceiver, ChannelSender, Message};
use jackfield_testing::SplitMix64;

/// What both sides say at the end of a channel.
pub(crate) type Ends = (Result<(), SendError>, Result<Received, ReceiveError>);

/// Makes a file with content that its seed decides.
pub(crate) fn write(path: &Path, len: usize, seed: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut random = SplitMix64::new(seed);
    let bytes: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
    fs::write(path, bytes).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000 + seed);
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

/// Joins a sender and a receiver; the channel ends after `budget` messages in both directions.
pub(crate) fn transfer(source: &Source, destination: &Destination, budget: usize) -> Ends {
    transfer_with(source, destination, budget, |message| message)
}

/// As [`transfer`], with a say in what the sender sends.
pub(crate) fn transfer_with(
    source: &Source,
    destination: &Destination,
    budget: usize,
    change: impl FnMut(Message) -> Message + Send + 'static,
) -> Ends {
    let (mut sender, left) = Channel::pair();
    let (right, mut receiver) = Channel::pair();
    relay(left, right, budget, change);
    thread::scope(|scope| {
        let sending =
            scope.spawn(move || send(&mut sender, source, &Progress::default(), &mut || true));
        let received = receive(
            &mut receiver,
            destination,
            &Progress::default(),
            &mut |_| {},
        );
        drop(receiver);
        (sending.join().unwrap(), received)
    })
}

/// Passes on messages until `budget` is used up; then both channels end.
fn relay(
    left: Channel,
    right: Channel,
    budget: usize,
    change: impl FnMut(Message) -> Message + Send + 'static,
) {
    let budget = Arc::new(AtomicUsize::new(budget));
    pass(left.receiver, right.sender, Arc::clone(&budget), change);
    pass(right.receiver, left.sender, budget, |message| message);
}

fn pass(
    mut from: ChannelReceiver,
    to: ChannelSender,
    budget: Arc<AtomicUsize>,
    mut change: impl FnMut(Message) -> Message + Send + 'static,
) {
    thread::spawn(move || {
        while let Some(message) = from.blocking_recv() {
            let left = budget.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
            if left.is_err() || to.blocking_send(change(message)).is_err() {
                break;
            }
        }
    });
}

/// Lists all that is below a folder: path, content (none for a folder), time in milliseconds, and
/// whether its owner may run it.
pub(crate) fn listing(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>, u128, bool)> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for item in fs::read_dir(&next).unwrap() {
            let path = item.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = metadata.is_file().then(|| fs::read(&path).unwrap());
            let is_executable = metadata.is_file() && metadata.permissions().mode() & 0o100 != 0;
            let below = path.strip_prefix(folder).unwrap().to_owned();
            let time = metadata
                .modified()
                .unwrap()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap();
            found.push((below, content, time.as_millis(), is_executable));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}
