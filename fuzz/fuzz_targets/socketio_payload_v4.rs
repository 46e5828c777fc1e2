//! libFuzzer's way into `socketio::payload_v4` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::socketio::payload_v4(data));
