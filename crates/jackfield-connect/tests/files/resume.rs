//! Whatever ends a channel, the next one goes on, and the result is equal.

use std::fs;
use std::io::Write;

use jackfield_connect::Message;
use jackfield_connect::files::{Control, Destination, Reason, ReceiveError, SendError, Source};
use jackfield_testing::SplitMix64;
use proptest::prelude::*;

use crate::tree::{listing, transfer, transfer_with, write};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn cut_anywhere_and_gone_on_with_the_result_is_equal(
        sizes in proptest::collection::vec(prop_oneof![Just(0_usize), 1..40_000_usize, 1_100_000..1_200_000_usize], 1..5),
        cuts in proptest::collection::vec(0..160_usize, 0..6),
        seed in any::<u64>(),
    ) {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (index, size) in sizes.iter().enumerate() {
            write(&from.path().join(format!("tree/{}/f{index}", index % 2)), *size, seed % 1000 + index as u64);
        }
        let source = Source::gather(&[from.path().join("tree")]).unwrap();
        let destination = Destination::new(to.path(), false);
        for cut in cuts {
            match transfer(&source, &destination, cut) {
                (Ok(()) | Err(SendError::Ended(_)), Ok(_) | Err(ReceiveError::Ended(_))) => {}
                other => panic!("{other:?}"),
            }
        }
        let (sent, received) = transfer(&source, &destination, usize::MAX);
        prop_assert!(sent.is_ok(), "{sent:?}");
        prop_assert_eq!(received.unwrap().files.len(), sizes.len());
        prop_assert_eq!(listing(to.path()), listing(from.path()));
    }
}

#[test]
fn bytes_that_arrived_do_not_travel_again() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&from.path().join("big"), 8 << 20, 1);
    let source = Source::gather(&[from.path().join("big")]).unwrap();
    let destination = Destination::new(to.path(), false);
    let (sent, received) = transfer(&source, &destination, 300);
    assert!(matches!(sent, Err(SendError::Ended(_))), "{sent:?}");
    assert!(
        matches!(received, Err(ReceiveError::Ended(_))),
        "{received:?}"
    );

    // The rest takes fewer messages than the whole would.
    let (sent, received) = transfer(&source, &destination, 300);
    assert!(sent.is_ok() && received.is_ok(), "{sent:?} {received:?}");
    assert_eq!(listing(to.path()), listing(from.path()));
}

#[test]
fn a_whole_file_that_is_there_is_checked_and_not_sent() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&from.path().join("a"), 1 << 20, 1);
    write(&from.path().join("empty"), 0, 2);
    let source = Source::gather(&[from.path().join("a"), from.path().join("empty")]).unwrap();
    let destination = Destination::new(to.path(), false);
    let (sent, received) = transfer(&source, &destination, usize::MAX);
    assert!(sent.is_ok());
    assert_eq!(received.unwrap().already_there, 0);
    let (sent, received) = transfer(&source, &destination, 30);
    assert!(sent.is_ok());
    assert_eq!(received.unwrap().already_there, 2);
}

#[test]
fn what_an_unfinished_file_holds_wrongly_is_replaced() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&from.path().join("a"), 2 << 20, 1);
    let source = Source::gather(&[from.path().join("a")]).unwrap();
    let destination = Destination::new(to.path(), false);
    let (_, received) = transfer(&source, &destination, 60);
    assert!(matches!(received, Err(ReceiveError::Ended(_))));
    let part = fs::read_dir(to.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = fs::read(&part).unwrap();
    assert!(!bytes.is_empty());
    bytes[0] ^= 1;
    fs::write(&part, bytes).unwrap();

    let (sent, received) = transfer(&source, &destination, usize::MAX);
    assert!(sent.is_ok() && received.is_ok());
    assert_eq!(listing(to.path()), listing(from.path()));
}

#[test]
fn a_file_that_is_damaged_on_the_way_is_asked_for_once_more() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&from.path().join("a"), 100_000, 1);
    let source = Source::gather(&[from.path().join("a")]).unwrap();
    let damage = |times: usize| {
        let mut random = SplitMix64::new(5);
        let mut left = times;
        move |message: Message| match message {
            Message::Binary(bytes) if left > 0 => {
                left -= 1;
                let mut bytes = bytes.to_vec();
                let place = random.below(bytes.len());
                bytes[place] ^= 0x10;
                Message::Binary(bytes.into())
            }
            other => other,
        }
    };
    let destination = Destination::new(to.path(), false);
    let (sent, received) = transfer_with(&source, &destination, usize::MAX, damage(usize::MAX));
    assert!(
        matches!(received, Err(ReceiveError::Checksum(_))),
        "{received:?}"
    );
    assert!(matches!(sent, Err(SendError::Refused { .. })), "{sent:?}");
    assert!(!to.path().join("a").exists());

    let (sent, received) = transfer_with(&source, &destination, usize::MAX, damage(1));
    assert!(sent.is_ok() && received.is_ok(), "{sent:?} {received:?}");
    assert_eq!(listing(to.path()), listing(from.path()));
}

#[test]
fn times_and_the_executable_bit_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = from.path().join("bin/run");
    write(&run, 10, 1);
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    write(&from.path().join("bin/empty/data"), 10, 2);
    let source = Source::gather(&[from.path().join("bin")]).unwrap();
    let (_, received) = transfer(&source, &Destination::new(to.path(), false), usize::MAX);
    received.unwrap();
    assert_eq!(listing(to.path()), listing(from.path()));
}

#[test]
fn a_file_that_changes_after_the_offer_is_not_sent_as_the_old_one() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = from.path().join("a");
    write(&file, 1000, 1);
    let source = Source::gather(&[&file]).unwrap();
    write(&file, 1000, 2);
    let (sent, received) = transfer(&source, &Destination::new(to.path(), false), usize::MAX);
    assert!(matches!(sent, Err(SendError::Changed(_))), "{sent:?}");
    assert!(
        matches!(received, Err(ReceiveError::Refused { .. })),
        "{received:?}"
    );
    assert!(!to.path().join("a").exists());
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_not_taken_for_a_whole_one() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = from.path().join("log");
    // More than the channels hold, so that the sender is in the middle when the first chunk passes.
    write(&path, 4 << 20, 1);
    let source = Source::gather(&[&path]).unwrap();
    let destination = Destination::new(to.path(), false);
    let mut is_changed = false;
    let (sent, received) = transfer_with(&source, &destination, usize::MAX, move |message| {
        if matches!(message, Message::Binary(_)) && !std::mem::replace(&mut is_changed, true) {
            let mut file = fs::File::options().append(true).open(&path).unwrap();
            file.write_all(b"one line more").unwrap();
        }
        message
    });
    assert!(
        matches!(&sent, Err(SendError::Changed(path)) if path == "log"),
        "{sent:?}"
    );
    let why = Reason::Changed;
    assert!(
        matches!(&received, Err(ReceiveError::Refused { reason, .. }) if *reason == why),
        "{received:?}"
    );
    assert!(!to.path().join("log").exists());
}

#[test]
fn control_messages_stay_below_what_every_browser_takes() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for index in 0..2000 {
        write(&from.path().join(format!("many/{index:0>100}")), 1, index);
    }
    let source = Source::gather(&[from.path().join("many")]).unwrap();
    let check = |message: Message| {
        if let Message::Text(text) = &message {
            assert!(text.len() <= 64 << 10);
            Control::parse(text).unwrap();
        }
        message
    };
    let (sent, received) = transfer_with(
        &source,
        &Destination::new(to.path(), false),
        usize::MAX,
        check,
    );
    assert!(sent.is_ok(), "{sent:?}");
    assert_eq!(received.unwrap().files.len(), 2000);
}
