//! libFuzzer's way into `internet::stack` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::internet::stack(data));
