//! Laws that hold for random requests, rows, clocks and interleavings.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod audit;
mod bends;
#[path = "properties/crowd.rs"]
mod crowd;
#[path = "properties/machine.rs"]
mod machine;
#[path = "properties/random.rs"]
mod random;
#[path = "properties/secrecy.rs"]
mod secrecy;
#[path = "simulation/mod.rs"]
mod simulation;
#[path = "properties/wire.rs"]
mod wire;
mod world;
