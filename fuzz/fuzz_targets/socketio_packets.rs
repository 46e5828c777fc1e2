//! libFuzzer's way into `socketio::packets` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::socketio::packets(data));
