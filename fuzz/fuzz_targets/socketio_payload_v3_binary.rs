#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_socketio_proto::fuzzing::payload_v3_binary(data));
