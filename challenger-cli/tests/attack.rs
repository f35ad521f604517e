//! Attacks on the real server, each over TCP and over a UNIX socket; those on several servers over
//! TCP only.
//!
//! While somebody attacks, honest people go on proving their addresses; afterwards the server has
//! what it had before: as many threads and descriptors, and hardly more memory. Its log reports no
//! fault, and contains no secret. `docs/attacks.md` says which attack is tried where.

#![cfg(all(feature = "sqlite", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by panicking, and shares its modules with others"
)]

#[path = "attack/addresses.rs"]
mod addresses;
#[path = "attack/asking.rs"]
mod asking;
#[path = "attack/bodies.rs"]
mod bodies;
#[path = "attack/budgets.rs"]
mod budgets;
#[path = "attack/codes.rs"]
mod codes;
#[path = "attack/crowds.rs"]
mod crowds;
#[path = "attack/destinations.rs"]
mod destinations;
#[path = "attack/floods.rs"]
mod floods;
#[path = "attack/framing.rs"]
mod framing;
#[path = "attack/grants.rs"]
mod grants;
#[path = "attack/harness.rs"]
mod harness;
mod holdings;
#[path = "attack/logs.rs"]
mod logs;
#[path = "attack/open.rs"]
mod open;
#[path = "attack/pages.rs"]
mod pages;
#[path = "attack/pushed.rs"]
mod pushed;
#[path = "attack/queue.rs"]
mod queue;
#[path = "attack/redirects.rs"]
mod redirects;
#[path = "attack/remains.rs"]
mod remains;
#[cfg(feature = "postgres")]
#[path = "attack/servers.rs"]
mod servers;
mod site;
