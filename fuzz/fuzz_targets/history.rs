//! Fuzzes `challenger_fuzz::history`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| challenger_fuzz::history(data));
