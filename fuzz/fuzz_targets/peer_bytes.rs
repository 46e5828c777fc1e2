//! libFuzzer's way into `peer::bytes` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::peer::bytes(data));
