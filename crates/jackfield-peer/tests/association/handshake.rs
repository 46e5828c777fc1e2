//! Connecting.

use std::time::Duration;

use jackfield_peer::{CloseReason, DtlsError, DtlsRole, Event, Fingerprint, RemoteParameters};

use crate::pair::{Pair, Side};

#[test]
fn two_sides_connect_by_dtls_1_3() {
    let mut pair = Pair::connected();
    for side in [Side::Alice, Side::Bob] {
        assert_eq!(pair.end(side).dtls_version(), Some("DTLSv1.3"));
    }
    assert!(pair.largest <= 1200, "{}", pair.largest);
}

#[test]
fn the_signaled_init_chunks_save_two_round_trips() {
    let time = |snap: bool| {
        let mut pair = Pair::new(|_, config| config.snap = snap);
        let begin = pair.now;
        pair.start();
        pair.run_until("connected", |pair| {
            pair.saw(Side::Alice, |event| *event == Event::Connected)
        });
        pair.now - begin
    };
    assert_eq!(time(false) - time(true), Duration::from_millis(40));
}

#[test]
fn one_side_without_snap_is_enough_for_the_ordinary_handshake() {
    let mut pair = Pair::new(|side, config| config.snap = side == Side::Bob);
    pair.start();
    pair.run_until("connected", |pair| {
        pair.saw(Side::Bob, |event| *event == Event::Connected)
    });
}

#[test]
fn a_client_hello_that_overtakes_the_answer_waits_for_it() {
    let mut pair = Pair::new(|_, _| {});
    pair.start_side(Side::Alice);
    pair.run_for(Duration::from_millis(100));
    pair.start_side(Side::Bob);
    pair.run_for(Duration::from_millis(100));
    assert!(pair.saw(Side::Alice, |event| *event == Event::Connected));
    assert_eq!(pair.end(Side::Bob).counters().datagrams_dropped, 0);
}

#[test]
fn a_wrong_certificate_ends_the_association_with_the_reason() {
    let mut pair = Pair::new(|_, _| {});
    let wrong = RemoteParameters::new(Fingerprint::of(b"somebody else"));
    let now = pair.now;
    pair.end(Side::Alice).start(now, DtlsRole::Client, wrong);
    pair.start_side(Side::Bob);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(
        pair.closed(Side::Alice),
        Some(CloseReason::Dtls(DtlsError::FingerprintMismatch))
    );
    assert!(!pair.saw(Side::Alice, |event| *event == Event::Connected));
    assert!(!pair.saw(Side::Bob, |event| *event == Event::Connected));
}

#[test]
fn a_wrong_certificate_of_the_client_is_refused_as_well() {
    let mut pair = Pair::new(|_, _| {});
    let wrong = RemoteParameters::new(Fingerprint::of(b"somebody else"));
    let now = pair.now;
    pair.end(Side::Bob).start(now, DtlsRole::Server, wrong);
    pair.start_side(Side::Alice);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(
        pair.closed(Side::Bob),
        Some(CloseReason::Dtls(DtlsError::FingerprintMismatch))
    );
    assert!(!pair.saw(Side::Bob, |event| *event == Event::Connected));
}

#[test]
fn a_handshake_without_an_answer_ends() {
    let mut pair = Pair::new(|_, _| {});
    pair.start_side(Side::Alice);
    pair.loss = 100;
    pair.run_until("given up", |pair| pair.closed(Side::Alice).is_some());
    assert_eq!(
        pair.closed(Side::Alice),
        Some(CloseReason::Dtls(DtlsError::Timeout))
    );
}

#[test]
fn one_of_several_fingerprints_is_enough() {
    let mut pair = Pair::new(|_, _| {});
    let mut remote = pair.remote(Side::Alice);
    remote
        .fingerprints
        .insert(0, Fingerprint::of(b"an older certificate"));
    let now = pair.now;
    pair.end(Side::Alice).start(now, DtlsRole::Client, remote);
    pair.start_side(Side::Bob);
    pair.run_until("connected", |pair| {
        pair.saw(Side::Alice, |event| *event == Event::Connected)
    });
}
