//! libFuzzer's way into `connect::messages` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::connect::messages(data));
