//! Fuzzes `challenger_fuzz::pattern`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| challenger_fuzz::pattern(data));
