//! Fuzzes `challenger_fuzz::mail`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| challenger_fuzz::mail(data));
