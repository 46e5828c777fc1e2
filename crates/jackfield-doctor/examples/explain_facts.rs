//! Concludes from facts that were made by hand: a server whose certificate has expired.
//!
//! `cargo run -p jackfield-doctor --example explain_facts`

use std::time::{Duration, SystemTime};

use jackfield_doctor::facts::{
    CertificateError, Dns, Facts, StunPort, TlsError, Udp, Web, WebError,
};
use jackfield_doctor::{Conclusions, Style, Words, json, words};

#[expect(clippy::print_stdout, reason = "an example speaks to its user there")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let expired = WebError::Tls(TlsError::Certificate(CertificateError::Expired {
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    }));
    let facts = Facts {
        dns: Dns {
            addresses: vec!["192.0.2.1".parse()?],
            ..Dns::default()
        },
        stun_port: StunPort::Guessed(3478),
        v4: Udp::Silent("192.0.2.1:3478".parse()?),
        v6: Udp::NoAddress,
        web: Some(Web {
            ice: Err(expired.clone()),
            websocket: Err(expired.clone()),
            polling: Err(expired),
            other_scheme: None,
            https: None,
            is_by_proxy: false,
        }),
        ..Facts::new("https://192.0.2.1".parse()?)
    };
    let conclusions = Conclusions::of(&facts);
    println!(
        "{}",
        words::render(&Words::of(&conclusions), Style::of_stdout())
    );
    println!("{:#}", json::of_conclusions(&conclusions));
    Ok(())
}
