//! Texts and streams of ICE, and its agent.

mod agent;
mod gatherer;

pub use agent::{bytes as agent_bytes, scenario as agent_scenario};
pub use gatherer::run as gatherer;

use jackfield_ice::framing::{self, Reader};
use jackfield_ice::sdp::{Attribute, Description};
use jackfield_ice::{Candidate, username};

/// Reads bytes as a candidate; what is read is written and read back the same.
pub fn candidate(data: &[u8]) {
    if let Some(candidate) = str::from_utf8(data)
        .ok()
        .and_then(|text| text.parse::<Candidate>().ok())
    {
        let text = candidate.to_string();
        assert_eq!(text.parse(), Ok(candidate), "{text}");
    }
}

/// Reads bytes as lines of SDP, one by one and together; what is read is written and read back the
/// same.
pub fn sdp(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    for attribute in text
        .lines()
        .filter_map(|line| line.parse::<Attribute>().ok())
    {
        let line = attribute.to_string();
        assert_eq!(line.parse(), Ok(attribute), "{line}");
    }
    if let Ok(description) = text.parse::<Description>() {
        let lines = description.to_string();
        assert_eq!(lines.parse(), Ok(description), "{lines}");
    }
}

/// Cuts bytes as a stream, all at once and in two pieces: the packets are the same.
pub fn framing(data: &[u8]) {
    let max = 1_500;
    let whole = cut([data], max);
    let middle = data.len() / 2;
    let (first, second) = data.split_at(middle);
    assert_eq!(whole, cut([first, second], max));
    let mut written = Vec::new();
    for packet in &whole.0 {
        let _ = username(packet);
        framing::write(packet, &mut written).expect("a packet that was read is not too long");
    }
    assert!(data.starts_with(&written));
}

/// Returns the packets, and whether the stream could be followed to its end.
fn cut<const N: usize>(pieces: [&[u8]; N], max: usize) -> (Vec<Vec<u8>>, bool) {
    let mut reader = Reader::new(max);
    let mut packets = Vec::new();
    for piece in pieces {
        let read = reader.read(piece, |packet| packets.push(packet.to_vec()));
        if read.is_err() {
            return (packets, false);
        }
        assert!(reader.buffered() < framing::PREFIX + max);
    }
    (packets, true)
}

#[cfg(test)]
mod tests {
    use jackfield_testing::{corpus_seeds, replay};

    #[test]
    fn candidates_hold_over_their_corpus() {
        replay("ice_candidate", 5_000, super::candidate);
    }

    #[test]
    fn lines_of_sdp_hold_over_their_corpus() {
        replay("ice_sdp", 5_000, super::sdp);
    }

    #[test]
    fn an_agent_holds_over_its_corpus() {
        replay("ice_agent_bytes", 2_000, super::agent_bytes);
    }

    #[test]
    fn two_agents_hold_over_their_corpus() {
        replay("ice_agent_scenario", 300, super::agent_scenario);
    }

    #[test]
    fn a_gatherer_holds_over_its_corpus() {
        replay("ice_gatherer", 2_000, super::gatherer);
    }

    #[test]
    fn the_corpus_of_the_gatherer_reaches_every_part() {
        let mut sums = std::collections::BTreeMap::<_, u64>::new();
        for seed in corpus_seeds("ice_gatherer") {
            for (what, count) in super::gatherer::story(&seed) {
                *sums.entry(what).or_default() += count;
            }
        }
        for (what, count) in sums {
            assert!(count > 0, "no seed leads to {what}");
        }
    }

    #[test]
    fn streams_hold_over_their_corpus() {
        replay("ice_framing", 5_000, super::framing);
    }
}
