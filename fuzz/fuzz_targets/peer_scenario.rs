//! libFuzzer's way into `peer::scenario` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::peer::scenario(data));
