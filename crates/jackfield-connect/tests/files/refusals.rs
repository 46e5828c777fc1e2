//! What a receiver refuses to write, for every sender.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;

use jackfield_connect::files::{
    Control, Destination, DiskError, Entry, Progress, Reason, ReceiveError, SendError, Source,
    receive,
};
use jackfield_connect::{Channel, Message};

use crate::tree::{listing, transfer, write};

#[test]
fn a_file_with_other_content_is_overwritten_only_when_told() {
    for len in [5, 1000] {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(&from.path().join("a"), 1000, 1);
        write(&to.path().join("a"), len, 2);
        let before = listing(to.path());
        let source = Source::gather(&[from.path().join("a")]).unwrap();
        let (sent, received) = transfer(&source, &Destination::new(to.path(), false), usize::MAX);
        assert!(
            matches!(received, Err(ReceiveError::Disk(DiskError::Exists(_)))),
            "{received:?}"
        );
        let Err(SendError::Refused {
            reason: Reason::Exists,
            path,
        }) = sent
        else {
            panic!("{sent:?}");
        };
        assert_eq!(path.as_deref(), Some("a"));
        assert_eq!(listing(to.path()), before);

        let (sent, received) = transfer(&source, &Destination::new(to.path(), true), usize::MAX);
        assert!(sent.is_ok() && received.is_ok());
        assert_eq!(listing(to.path()), listing(from.path()));
    }
}

#[test]
fn paths_that_leave_the_folder_are_refused_and_nothing_is_written() {
    for path in [
        "../evil",
        "/tmp/evil",
        "a/../../evil",
        "a\\evil",
        "NUL",
        "c:evil",
        "",
        "a//b",
    ] {
        let to = tempfile::tempdir().unwrap();
        let inside = to.path().join("inside");
        let error = offer(&Destination::new(&inside, true), &[file(path, 4)]).0;
        assert!(
            matches!(error, Err(ReceiveError::BadPath { .. })),
            "{path}: {error:?}"
        );
        assert!(!inside.exists());
        assert!(listing(to.path()).is_empty(), "{path}");
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let (to, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(elsewhere.path(), to.path().join("link")).unwrap();
    let destination = Destination::new(to.path(), true);
    for path in ["link/evil", "link/deep/evil"] {
        let error = offer(&destination, &[file(path, 4)]).0;
        let is_refused = matches!(error, Err(ReceiveError::Disk(DiskError::NotAFolder(_))));
        assert!(is_refused, "{path}: {error:?}");
    }
    let error = offer(&destination, &[folder("link")]).0;
    assert!(matches!(error, Err(ReceiveError::Disk(_))), "{error:?}");
    assert!(listing(elsewhere.path()).is_empty());
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_and_never_followed() {
    let (from, to, elsewhere) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    write(&from.path().join("a"), 10, 1);
    let target = elsewhere.path().join("target");
    write(&target, 10, 2);
    symlink(&target, to.path().join("a")).unwrap();
    let source = Source::gather(&[from.path().join("a")]).unwrap();
    let before = listing(elsewhere.path());
    let (_, refused) = transfer(&source, &Destination::new(to.path(), false), usize::MAX);
    assert!(
        matches!(refused, Err(ReceiveError::Disk(DiskError::Exists(_)))),
        "{refused:?}"
    );
    let (_, received) = transfer(&source, &Destination::new(to.path(), true), usize::MAX);
    received.unwrap();
    assert_eq!(listing(elsewhere.path()), before);
    assert_eq!(listing(to.path()), listing(from.path()));
}

#[test]
fn a_link_in_the_place_of_an_unfinished_file_is_not_followed() {
    let (from, to, elsewhere) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    write(&from.path().join("a"), 100_000, 1);
    let source = Source::gather(&[from.path().join("a")]).unwrap();
    let destination = Destination::new(to.path(), true);
    let (_, received) = transfer(&source, &destination, 6);
    assert!(
        matches!(received, Err(ReceiveError::Ended(_))),
        "{received:?}"
    );
    let part = fs::read_dir(to.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::remove_file(&part).unwrap();
    let target = elsewhere.path().join("target");
    fs::write(&target, "mine").unwrap();
    symlink(&target, &part).unwrap();
    let (_, received) = transfer(&source, &destination, usize::MAX);
    assert!(
        matches!(received, Err(ReceiveError::Disk(DiskError::NotAFolder(_)))),
        "{received:?}"
    );
    assert_eq!(fs::read(&target).unwrap(), b"mine");
}

#[test]
fn links_below_a_folder_are_not_sent() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&from.path().join("d/a"), 10, 1);
    symlink("/etc/passwd", from.path().join("d/b")).unwrap();
    let source = Source::gather(&[from.path().join("d")]).unwrap();
    assert_eq!(source.skipped(), [from.path().join("d/b")]);
    let (_, received) = transfer(&source, &Destination::new(to.path(), false), usize::MAX);
    assert_eq!(received.unwrap().files.len(), 1);
    assert!(!to.path().join("d/b").exists());
}

#[test]
fn an_offer_that_does_not_add_up_is_refused() {
    let to = tempfile::tempdir().unwrap();
    let destination = Destination::new(to.path(), false);
    let offer_of = |entries, bytes| Control::Offer {
        version: 1,
        entries,
        bytes,
    };
    let all = |entries: &[Entry]| Control::Entries {
        entries: entries.to_vec(),
    };
    for messages in [
        vec![Control::Accept],
        vec![offer_of(1, 3), all(&[file("a", 4)])],
        vec![offer_of(1, 8), all(&[file("a", 4), file("b", 4)])],
        vec![offer_of(2, 8), all(&[file("a", 4), file("a", 4)])],
        vec![offer_of(1, 4), all(&[])],
        vec![
            offer_of(1, 4),
            all(&[Entry {
                folder: true,
                ..file("a", 4)
            }]),
        ],
    ] {
        let (error, said) = say(&destination, messages.clone());
        assert!(
            matches!(error, Err(ReceiveError::Protocol(_))),
            "{messages:?}: {error:?}"
        );
        assert!(said.contains(&Control::Refuse {
            reason: Reason::Protocol,
            path: None
        }));
    }
    let error = say(
        &destination,
        vec![Control::Offer {
            version: 2,
            entries: 0,
            bytes: 0,
        }],
    )
    .0;
    assert!(matches!(error, Err(ReceiveError::Version(2))), "{error:?}");
    let error = say(&destination, vec![offer_of(1 << 40, 0)]).0;
    assert!(matches!(error, Err(ReceiveError::TooMany)), "{error:?}");
    assert!(listing(to.path()).is_empty());
}

/// Offers entries, and returns how the receiver ended and what it said.
fn offer(destination: &Destination, entries: &[Entry]) -> (Result<(), ReceiveError>, Vec<Control>) {
    let bytes = entries.iter().map(|entry| entry.size).sum();
    let first = Control::Offer {
        version: 1,
        entries: entries.len() as u64,
        bytes,
    };
    say(
        destination,
        vec![
            first,
            Control::Entries {
                entries: entries.to_vec(),
            },
        ],
    )
}

fn say(
    destination: &Destination,
    messages: Vec<Control>,
) -> (Result<(), ReceiveError>, Vec<Control>) {
    let (mut ours, mut theirs) = Channel::pair();
    thread::scope(|scope| {
        let receiving = scope
            .spawn(move || receive(&mut theirs, destination, &Progress::default(), &mut |_| {}));
        for message in messages {
            ours.sender
                .blocking_send(Message::Text(message.to_text()))
                .unwrap();
        }
        let mut said = Vec::new();
        drop(ours.sender);
        while let Some(Message::Text(text)) = ours.receiver.blocking_recv() {
            said.push(Control::parse(&text).unwrap());
        }
        (receiving.join().unwrap().map(|_| ()), said)
    })
}

fn file(path: &str, size: u64) -> Entry {
    Entry {
        path: path.to_owned(),
        size,
        mtime: None,
        executable: false,
        folder: false,
    }
}

fn folder(path: &str) -> Entry {
    Entry {
        folder: true,
        ..file(path, 0)
    }
}
