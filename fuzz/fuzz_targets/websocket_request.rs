//! libFuzzer's way into `websocket::request` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::websocket::request(data));
