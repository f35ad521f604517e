//! Fuzzes `challenger_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| challenger_fuzz::config(data));
