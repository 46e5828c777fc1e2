//! libFuzzer's way into `portmap::portmap_gateway` of the harness.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_fuzz_harness::portmap::portmap_gateway(data));
