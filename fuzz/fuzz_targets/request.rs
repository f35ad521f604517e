//! Fuzzes `challenger_fuzz::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| challenger_fuzz::request(data));
