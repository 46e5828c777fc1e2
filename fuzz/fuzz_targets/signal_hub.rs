//! libFuzzer's way into `signal::hub` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::signal::hub(data));
