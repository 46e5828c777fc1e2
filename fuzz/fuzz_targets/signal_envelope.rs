//! libFuzzer's way into `signal::envelope` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::signal::envelope(data));
