//! Offers of browsers and libraries, recorded from them: the seeds of the fuzz target `peer_sdp`.

use jackfield_peer::sdp::{DataForm, SdpError, SessionDescription, Setup};
use jackfield_testing::corpus_folder;

fn offer(peer: &str) -> SessionDescription {
    let path = corpus_folder("peer_sdp").join(peer);
    let text = std::fs::read_to_string(&path).expect("a recorded offer");
    text.parse()
        .unwrap_or_else(|error: SdpError| panic!("{peer}: {error}"))
}

#[test]
fn offers_of_all_peers_are_understood() {
    let longest = [
        ("chromium", 262_144),
        ("chromium_media", 262_144),
        ("firefox", 1_073_741_823),
        ("firefox_media", 1_073_741_823),
        ("libdatachannel", 262_144),
        ("aiortc", 262_144),
        ("pion", 65_536),
    ];
    for (peer, max_message_size) in longest {
        let offer = offer(peer);
        let data = offer
            .data()
            .unwrap_or_else(|| panic!("{peer} offers data channels"));
        assert_eq!(data.setup, Setup::ActPass, "{peer}");
        assert_eq!(data.max_message_size, max_message_size, "{peer}");
        assert_eq!(data.sctp_port, 5000, "{peer}");
        assert_eq!(data.form, DataForm::Udp, "{peer}");
        assert!(!data.fingerprints.is_empty(), "{peer}");
        assert!(!data.ice.candidates.is_empty(), "{peer}");
        assert!(!data.ice.parameters.lite, "{peer}");
    }
}

#[test]
fn audio_and_video_of_browsers_are_refused_in_their_places() {
    for peer in ["chromium_media", "firefox_media"] {
        let offer = offer(peer);
        let mut data = offer.data().expect("data channels").clone();
        data.setup = Setup::Active;
        let answer = offer.answer(1, 1, data).expect("an answer").to_string();
        let ports: Vec<_> = answer
            .lines()
            .filter_map(|line| line.strip_prefix("m="))
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(ports, ["audio 0", "video 0", "application 9"], "{peer}");
        let mid = offer
            .data()
            .and_then(|data| data.mid.clone())
            .expect("a mid");
        assert!(
            answer.contains(&format!("a=group:BUNDLE {mid}\r\n")),
            "{peer}"
        );
    }
}

#[test]
fn the_form_of_older_browsers_is_understood() {
    let offer = offer("draft_form");
    assert_eq!(offer.data().map(|data| data.form), Some(DataForm::Draft));
}
