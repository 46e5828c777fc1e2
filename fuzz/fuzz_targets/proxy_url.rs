//! libFuzzer's way into `proxy::url` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::proxy::url(data));
