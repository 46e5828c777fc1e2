//! libFuzzer's way into `nat::life` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::nat::life(data));
