#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slotproof_proofs::bad_input::bus(data));
