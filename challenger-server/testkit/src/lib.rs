//! Code that the tests of several packages share. It is not published.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test fails by panicking, and names say what helpers do"
)]

pub mod audit;
pub mod bends;
mod dice;
mod http;
mod pooler;
mod postgres;
pub mod simulation;
mod text;
mod threads;
pub mod transcript;
pub mod world;

pub use dice::Dice;
pub use http::{Head, Peer, Place, Reply, WAIT, read_head, request};
pub use pooler::Pooler;
pub use postgres::{Cluster, End, send};
pub use text::{code_of, escape, pin_in, unescape, wrong};
pub use threads::{Raise, at_once, notified, try_for, wait_for};
