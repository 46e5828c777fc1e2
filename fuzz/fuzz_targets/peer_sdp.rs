//! libFuzzer's way into `peer::sdp` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::peer::sdp(data));
