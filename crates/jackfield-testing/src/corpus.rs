//! Fuzz corpora: each seed of `fuzz/corpus/TARGET`, and mutations of it.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

use crate::SplitMix64;

/// Returns the folder of a target's seeds.
#[must_use]
pub fn corpus_folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target)
}

/// Returns a target's seeds, in the order of their files' names.
///
/// # Panics
/// When there are fewer than five: then the corpus is gone, or is in another folder.
#[must_use]
pub fn corpus_seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = corpus_folder(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| {
            std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect();
    assert!(seeds.len() >= 5, "{} has lost its seeds", folder.display());
    seeds
}

/// Runs `target` on each seed of its corpus, and on about `mutations` mutations of them, the same
/// ones each time.
///
/// `JACKFIELD_REPLAY_ROUNDS`, a number, multiplies the mutations, for a campaign without libFuzzer.
///
/// # Panics
/// When `target` does; the input is printed before, ready to become a seed.
#[expect(
    clippy::print_stderr,
    reason = "the input of a failure belongs in the test's output"
)]
pub fn replay(name: &str, mutations: usize, target: fn(&[u8])) {
    let seeds = corpus_seeds(name);
    let rounds = std::env::var("JACKFIELD_REPLAY_ROUNDS").ok();
    let rounds = rounds.map_or(1, |text| text.parse().expect("a number of rounds"));
    let mutations = mutations * rounds;
    let mut random = SplitMix64::new(0);
    let run = |bytes: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(bytes))) {
            eprintln!(
                "{name} fails on {} bytes: {}",
                bytes.len(),
                hexadecimal(bytes)
            );
            resume_unwind(panic);
        }
    };
    for seed in &seeds {
        run(seed);
        for _ in 0..mutations / seeds.len() {
            run(&mutated(seed, &seeds, &mut random));
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Changes a few bytes, inserts, removes, cuts, or splices in a piece of another seed.
fn mutated(seed: &[u8], seeds: &[Vec<u8>], random: &mut SplitMix64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, any_byte(random)),
            2 => splice(&mut bytes, at, seeds, random),
            3 => {
                let end = at + random.below(bytes.len() - at + 1);
                bytes.drain(at..end.min(at + LONGEST_PIECE));
            }
            4 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = any_byte(random);
                }
            }
        }
    }
    bytes
}

fn splice(bytes: &mut Vec<u8>, at: usize, seeds: &[Vec<u8>], random: &mut SplitMix64) {
    let Some(other) = seeds.get(random.below(seeds.len())) else {
        return;
    };
    let from = random.below(other.len() + 1);
    let length = random.below(other.len() - from + 1).min(LONGEST_PIECE);
    let piece = other.iter().skip(from).take(length).copied();
    bytes.splice(at..at, piece);
}

/// Returns any byte, one at the edge of a range, or one that text formats care about.
fn any_byte(random: &mut SplitMix64) -> u8 {
    const EDGES: [u8; 6] = [0, 1, 0x7F, 0x80, 0xFE, 0xFF];
    const MARKS: &[u8] = b"0123456789:-,/[]{}\"\\\x1eb\r\n #%&=_";
    let any = random.below(256);
    let of = |table: &[u8]| table.get(any % table.len()).copied();
    match random.below(3) {
        0 => u8::try_from(any).ok(),
        1 => of(&EDGES),
        _ => of(MARKS),
    }
    .unwrap_or(0)
}

/// How many bytes a mutation adds or takes away at once.
const LONGEST_PIECE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_differ_and_are_the_same_each_time() {
        let seeds = [b"hello".to_vec(), b"a longer one".to_vec()];
        let make = || {
            let mut random = SplitMix64::new(7);
            let many = (0..1_000).map(|_| mutated(&seeds[0], &seeds, &mut random));
            many.collect::<Vec<_>>()
        };
        let mut all = make();
        assert_eq!(all, make());
        all.sort();
        all.dedup();
        assert!(all.len() > 500, "{} different mutations", all.len());
    }

    #[test]
    #[should_panic(expected = "lost its seeds")]
    fn a_missing_corpus_is_a_failure() {
        // The folder of the corpora holds folders alone.
        assert!(corpus_seeds("..").is_empty());
    }
}
