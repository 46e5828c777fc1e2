//! What another side can make an association hold, by the bytes that are allocated.

use jackfield_peer::{
    Association, AssociationConfig, Certificate, DtlsRole, Output, RemoteParameters,
};
use jackfield_testing::{CountingAllocator, SplitMix64, epoch, held_bytes};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn what_comes_before_the_description_is_kept_in_part() {
    let mut early = Association::new(
        AssociationConfig::new(Certificate::from_seed([2; 32])),
        epoch(),
    );
    let before = held_bytes();
    for length in [1_200, 2_048, 2_049, 65_507].repeat(100) {
        early.handle_datagram(epoch(), &vec![22; length]);
    }
    let held = held_bytes() - before;
    assert!(held <= 20_000, "{held}");
}

/// Parts of handshake messages that are never whole, in records of every epoch.
#[test]
fn parts_of_a_handshake_that_never_ends_are_kept_in_part() {
    for role in [DtlsRole::Client, DtlsRole::Server] {
        let mut random = SplitMix64::new(9);
        let mut association = Association::new(
            AssociationConfig::new(Certificate::from_seed([2; 32])),
            epoch(),
        );
        let theirs = Certificate::from_seed([1; 32]).fingerprint().clone();
        association.start(epoch(), role, RemoteParameters::new(theirs));
        drain(&mut association);
        let before = held_bytes();
        let mut most = 0;
        for number in 0..5_000_u16 {
            let mut fragment = vec![
                11,
                0,
                0x40,
                0, // Certificate, of 16 KiB
                (number >> 8) as u8,
                number as u8, // message number
                0,
                0,
                1,
                0,
                4,
                0x4C, // a part of 1,100 bytes
            ];
            fragment.resize(fragment.len() + 1_100, random.next_u64() as u8);
            let length = (fragment.len() as u16).to_be_bytes();
            let sequence = number.to_be_bytes();
            let mut record = vec![22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0];
            record.extend(sequence);
            record.extend(length);
            record.extend(fragment);
            association.handle_datagram(epoch(), &record);
            drain(&mut association);
            most = most.max(held_bytes() - before);
        }
        assert!(most <= 512 << 10, "{role:?}: {most}");
    }
}

fn drain(association: &mut Association) {
    while !matches!(association.poll_output(), Output::Wait(_)) {}
}
