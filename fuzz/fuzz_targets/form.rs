//! Fuzzes `challenger_fuzz::form`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| challenger_fuzz::form(data));
