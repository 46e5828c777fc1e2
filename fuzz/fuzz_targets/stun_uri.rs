//! libFuzzer's way into `stun::uri` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::stun::uri(data));
