//! libFuzzer's way into `turn::attributes` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::turn::attributes(data));
