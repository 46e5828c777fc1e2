//! libFuzzer's way into `socketio::payload_v3_text` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::socketio::payload_v3_text(data));
