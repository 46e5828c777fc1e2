//! What a sender refuses to a receiver that breaks the protocol.

use std::thread;

use jackfield_connect::files::{Control, Digest, Progress, Reason, SendError, Source, send};
use jackfield_connect::{Channel, Message};
use sha2::Sha256;

use crate::tree::write;

#[test]
fn nothing_is_sent_before_the_offer_is_accepted() {
    for demand in [get(0), Control::Ack { bytes: 0 }, Control::Finished] {
        let (error, said, takes) = demand_of(std::slice::from_ref(&demand));
        assert!(
            matches!(error, Err(SendError::Protocol(_))),
            "{demand:?}: {error:?}"
        );
        assert_eq!(takes, 0);
        let refusal = Control::Refuse {
            reason: Reason::Protocol,
            path: None,
        };
        assert_eq!(said.last(), Some(&refusal));
        let is_content = |said: &&Control| matches!(said, Control::File { .. });
        assert_eq!(said.iter().find(is_content), None);
    }
}

#[test]
fn an_offer_is_accepted_once() {
    let (error, _, takes) = demand_of(&[Control::Accept, Control::Accept]);
    assert!(matches!(error, Err(SendError::Protocol(_))), "{error:?}");
    assert_eq!(takes, 1);
    let (finished, ..) = demand_of(&[Control::Accept, get(0), Control::Finished]);
    assert!(finished.is_ok(), "{finished:?}");
}

fn get(file: u64) -> Control {
    Control::Get {
        file,
        offset: 0,
        prefix: Digest::of(Sha256::default()),
    }
}

/// Offers a file of no bytes to a receiver that says `demands`; returns how sending ended, what the
/// sender said, and how often the files were taken.
fn demand_of(demands: &[Control]) -> (Result<(), SendError>, Vec<Control>, usize) {
    let from = tempfile::tempdir().unwrap();
    write(&from.path().join("a"), 0, 1);
    let source = Source::gather(&[from.path().join("a")]).unwrap();
    let (mut ours, mut theirs) = Channel::pair();
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let mut takes = 0;
            let mut take = || {
                takes += 1;
                true
            };
            let sent = send(&mut theirs, &source, &Progress::default(), &mut take);
            (sent, takes)
        });
        for demand in demands {
            let message = Message::Text(demand.to_text());
            ours.sender.blocking_send(message).unwrap();
        }
        let mut said = Vec::new();
        while let Some(Message::Text(text)) = ours.receiver.blocking_recv() {
            said.push(Control::parse(&text).unwrap());
        }
        let (sent, takes) = sending.join().unwrap();
        (sent, said, takes)
    })
}
