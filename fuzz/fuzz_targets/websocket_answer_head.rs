//! libFuzzer's way into `websocket::answer_head` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::websocket::answer_head(data));
