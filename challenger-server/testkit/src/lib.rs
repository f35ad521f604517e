//! What the tests of several packages share. It is not published.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test fails by panicking, and names say what helpers do"
)]

mod postgres;

pub use postgres::{Cluster, End, send};
