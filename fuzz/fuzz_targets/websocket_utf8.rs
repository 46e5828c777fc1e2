//! libFuzzer's way into `websocket::utf8` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::websocket::utf8(data));
