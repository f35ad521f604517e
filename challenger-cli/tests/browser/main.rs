//! The pages in a real browser: what people see, and what happens when they use it.

#![cfg(feature = "demo")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by panicking, and shares its modules with others"
)]

mod accessible;
#[path = "../integrators/application.rs"]
mod application;
mod authjs;
mod cancel;
mod complaints;
mod demo;
mod driver;
#[path = "../email/mail.rs"]
#[allow(dead_code, reason = "each test uses its part of it")]
mod entity;
mod errors;
mod fields;
mod flow;
mod focus;
mod keyboard;
mod language;
mod layout;
mod mail;
#[path = "../markdown/mod.rs"]
mod markdown;
mod mistakes;
mod network;
mod person;
mod repeats;
mod service;
mod shop;
#[path = "../site/mod.rs"]
mod site;
mod states;
mod tour;
mod typed;
mod view;
