//! Tests of reading and writing descriptions.

use super::*;
use proptest::prelude::*;

fn offer() -> String {
    let hex = ["AB"; 32].join(":");
    format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
         a=group:BUNDLE 0 1 2\r\na=ice-options:trickle\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:aaaa\r\n\
         a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=fingerprint:sha-256 {hex}\r\n\
         a=setup:actpass\r\na=mid:0\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=bundle-only\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\n\
         a=sctp-port:5000\r\na=max-message-size:262144\r\n"
    )
}

#[test]
fn a_bundled_section_takes_its_transport_from_the_first_of_the_group() {
    let offer: SessionDescription = offer().parse().unwrap();
    let data = offer.data().unwrap();
    assert_eq!(data.ice.parameters.credentials.ufrag(), "aaaa");
    assert!(data.ice.parameters.options.trickle);
    assert_eq!(data.setup, Setup::ActPass);
    assert_eq!(data.fingerprints.len(), 1);
    assert_eq!(data.max_message_size, 262_144);
}

#[test]
fn an_answer_refuses_audio_and_video_and_keeps_the_order() {
    let offer: SessionDescription = offer().parse().unwrap();
    let mut data = offer.data().unwrap().clone();
    data.setup = Setup::Active;
    let answer = offer.answer(1, 2, data).unwrap().to_string();
    let lines: Vec<&str> = answer
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect();
    assert_eq!(
        lines,
        [
            "m=audio 0 UDP/TLS/RTP/SAVPF 111 0",
            "m=video 0 UDP/TLS/RTP/SAVPF 96",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        ]
    );
    assert!(answer.contains("a=group:BUNDLE 2\r\n"));
}

#[test]
fn the_form_before_rfc_8841_is_read_and_answered_in_kind() {
    let offer = offer().replace(
        "UDP/DTLS/SCTP webrtc-datachannel\r\n",
        "DTLS/SCTP 5001\r\na=sctpmap:5001 webrtc-datachannel 1024\r\n",
    );
    let offer: SessionDescription = offer.parse().unwrap();
    let data = offer.data().unwrap().clone();
    assert_eq!((data.form, data.sctp_port), (DataForm::Draft, 5001));
    let answer = offer.answer(1, 2, data).unwrap().to_string();
    assert!(answer.contains("m=application 9 DTLS/SCTP 5001\r\n"));
    assert!(answer.contains("a=sctpmap:5001 webrtc-datachannel 65535\r\n"));
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        ("v=0", "v=1", SdpError::NoSdp),
        ("o=- 4611731400430051336 2", "o=- x 2", SdpError::Origin),
        ("m=video 9 ", "m=video ", SdpError::MediaLine(1)),
        ("a=mid:1", "a=mid:0", SdpError::Mid(1)),
        ("a=mid:1", "a=mid:1 2", SdpError::Mid(1)),
        ("a=setup:actpass", "a=setup:holdconn", SdpError::Setup),
        ("a=sctp-port:5000", "a=sctp-port:0", SdpError::SctpPort),
        ("a=sctp-port:5000", "a=sctp-port:65536", SdpError::SctpPort),
        (
            "a=max-message-size:262144",
            "a=max-message-size:x",
            SdpError::MaxMessageSize,
        ),
        ("a=sctp-port:5000", "a=sctp-init:?", SdpError::InitChunk),
        (
            "fingerprint:sha-256",
            "fingerprint:md5",
            SdpError::Fingerprint(crate::FingerprintError::Hash),
        ),
        ("a=fingerprint", "a=fingerprints", SdpError::NoFingerprint),
    ];
    for (from, to, error) in cases {
        let text = offer().replacen(from, to, 1);
        assert_ne!(text, offer(), "{from}");
        assert_eq!(text.parse::<SessionDescription>(), Err(error), "{to}");
    }
    let long = format!("{}a=x:{}\r\n", offer(), "x".repeat(300_000));
    assert!(matches!(
        long.parse::<SessionDescription>(),
        Err(SdpError::TooLong(_))
    ));
    let many = format!("{}{}", offer(), "m=audio 9 RTP/AVP 0\r\n".repeat(300));
    assert!(matches!(
        many.parse::<SessionDescription>(),
        Err(SdpError::TooManySections(_))
    ));
    let twice = format!(
        "{}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:9\r\na=ice-ufrag:aaaa\r\n\
         a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=fingerprint:sha-256 {}\r\n",
        offer(),
        ["AB"; 32].join(":")
    );
    assert_eq!(
        twice.parse::<SessionDescription>(),
        Err(SdpError::TwoDataSections)
    );
}

#[test]
fn a_refused_data_section_is_none() {
    let text = offer().replace("m=application 9 ", "m=application 0 ");
    let description: SessionDescription = text.parse().unwrap();
    assert_eq!(description.data(), None);
}

#[test]
fn the_answerer_begins_with_dtls_unless_the_offer_or_a_connection_says_otherwise() {
    use DtlsRole::{Client, Server};
    use Setup::{ActPass, Active, Passive};
    assert_eq!(ActPass.answer(None), Active);
    assert_eq!(ActPass.answer(Some(Client)), Active);
    assert_eq!(ActPass.answer(Some(Server)), Passive);
    assert_eq!(Active.answer(None), Passive);
    assert_eq!(Passive.answer(None), Active);
}

proptest! {
    #[test]
    fn a_description_reads_what_it_writes(
        session_id in 0..u64::MAX,
        session_version: u64,
        mids in proptest::option::of(("[!-~]{1,8}", "[a-z]{9}")),
        form in prop_oneof![Just(DataForm::Udp), Just(DataForm::Tcp), Just(DataForm::Draft)],
        setup in prop_oneof![Just(Setup::Active), Just(Setup::Passive), Just(Setup::ActPass)],
        values in proptest::collection::vec(any::<[u8; 32]>(), 1..3),
        sctp_port in 1..u16::MAX,
        max_message_size: u64,
        init_chunk in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60)),
        end_of_candidates: bool,
        lite: bool,
    ) {
        let mut ice: Description = "a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg\n\
            a=ice-options:trickle ice2\na=candidate:1 1 udp 2130706431 192.0.2.3 45664 typ host\n"
            .parse()
            .unwrap();
        ice.end_of_candidates = end_of_candidates;
        ice.parameters.lite = lite;
        let fingerprints = values
            .iter()
            .map(|value| Fingerprint { hash: crate::Hash::Sha256, value: value.to_vec() })
            .collect();
        let (mid, other) = mids.unzip();
        let data = DataSection {
            mid, form, setup, fingerprints, sctp_port, max_message_size, init_chunk, ice,
        };
        let refused = RefusedSection {
            mid: other,
            media: "audio".to_owned(),
            protocol: "UDP/TLS/RTP/SAVPF 111".to_owned(),
        };
        let description = SessionDescription {
            session_id,
            session_version,
            sections: vec![Section::Refused(refused), Section::Data(Box::new(data))],
        };
        prop_assert_eq!(description.to_string().parse(), Ok(description));
    }
}
