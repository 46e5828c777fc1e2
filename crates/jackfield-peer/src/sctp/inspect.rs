//! The few facts of a packet that `sctp-proto` keeps to itself.

/// What [`inspect`] sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    /// The packet begins with an INIT.
    Init,
    /// The packet begins with an INIT ACK.
    InitAck,
    /// A DATA chunk of this stream carries a part of a message by its PPID: 52 or 54.
    Partial(u16),
    /// A DATA chunk of this stream carries a PPID that data channels do not know.
    UnknownPpid(u16),
    /// The packet holds a SHUTDOWN COMPLETE or SHUTDOWN ACK.
    Shutdown,
    /// The packet holds an ABORT.
    Abort,
}

/// Calls `saw` for each fact of a packet. What is malformed ends the walk; the library refuses it.
pub(super) fn inspect(packet: &[u8], mut saw: impl FnMut(Fact)) {
    let mut rest = packet.get(COMMON_HEADER..).unwrap_or_default();
    let mut first = true;
    while let Some((&[kind, _, l0, l1], _)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some(chunk) = rest.get(..length).filter(|_| length >= 4) else {
            return;
        };
        match kind {
            DATA => data(chunk, &mut saw),
            INIT if first => saw(Fact::Init),
            INIT_ACK if first => saw(Fact::InitAck),
            SHUTDOWN_ACK | SHUTDOWN_COMPLETE => saw(Fact::Shutdown),
            ABORT => saw(Fact::Abort),
            _ => {}
        }
        first = false;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

fn data(chunk: &[u8], saw: &mut impl FnMut(Fact)) {
    let Some((&[_, _, _, _, _, _, _, _, s0, s1, _, _, p0, p1, p2, p3], _)) =
        chunk.split_first_chunk()
    else {
        return;
    };
    let stream = u16::from_be_bytes([s0, s1]);
    match u32::from_be_bytes([p0, p1, p2, p3]) {
        50 | 51 | 53 | 56 | 57 => {}
        52 | 54 => saw(Fact::Partial(stream)),
        _ => saw(Fact::UnknownPpid(stream)),
    }
}

const COMMON_HEADER: usize = 12;

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
const SHUTDOWN_ACK: u8 = 8;
const SHUTDOWN_COMPLETE: u8 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(chunks: &[&[u8]]) -> Vec<Fact> {
        let packet = [&[0; COMMON_HEADER][..], &chunks.concat()].concat();
        let mut facts = Vec::new();
        inspect(&packet, |fact| facts.push(fact));
        facts
    }

    #[test]
    fn data_is_judged_by_its_ppid() {
        let chunk = |ppid: u8| {
            let mut chunk = vec![0, 3, 0, 17, 0, 0, 0, 1, 0, 7, 0, 0, 0, 0, 0, ppid, b'x'];
            chunk.extend([0; 3]);
            chunk
        };
        assert_eq!(
            facts(&[&chunk(51), &chunk(52), &chunk(60)]),
            [Fact::Partial(7), Fact::UnknownPpid(7)]
        );
    }

    #[test]
    fn only_the_first_chunk_begins_an_association() {
        assert_eq!(facts(&[&[1, 0, 0, 4], &[2, 0, 0, 4]]), [Fact::Init]);
        assert_eq!(facts(&[&[2, 0, 0, 4]]), [Fact::InitAck]);
    }

    #[test]
    fn a_length_that_is_wrong_ends_the_walk() {
        assert_eq!(facts(&[&[6, 0, 0, 3]]), []);
        assert_eq!(facts(&[&[6, 0, 0, 9, 0, 0, 0, 0]]), []);
        assert_eq!(facts(&[&[6, 0, 0, 0], &[6, 0, 0, 4]]), []);
    }
}
