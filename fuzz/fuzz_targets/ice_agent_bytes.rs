//! libFuzzer's way into `ice::agent_bytes` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::ice::agent_bytes(data));
