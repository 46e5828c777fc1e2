//! libFuzzer's way into `ice::sdp` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::ice::sdp(data));
