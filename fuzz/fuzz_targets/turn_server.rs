//! libFuzzer's way into `turn::server` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::turn::server(data));
