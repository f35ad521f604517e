//! Fuzzes `challenger_fuzz::template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| challenger_fuzz::template(data));
