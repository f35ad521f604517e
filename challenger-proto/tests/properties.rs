//! Laws that hold for random requests, rows, clocks and interleavings.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

#[path = "properties/crowd.rs"]
mod crowd;
#[path = "properties/machine.rs"]
mod machine;
#[path = "properties/random.rs"]
mod random;
#[path = "properties/secrecy.rs"]
mod secrecy;
#[path = "properties/wire.rs"]
mod wire;
