//! Fuzzes `challenger_fuzz::head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| challenger_fuzz::head(data));
