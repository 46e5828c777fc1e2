//! libFuzzer's way into `socketio::query` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::socketio::query(data));
