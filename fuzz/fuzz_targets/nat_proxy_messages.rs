//! libFuzzer's way into `internet::proxy_messages` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::internet::proxy_messages(data));
