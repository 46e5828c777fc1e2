#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jackfield_socketio_proto::fuzzing::payload_v4(data));
