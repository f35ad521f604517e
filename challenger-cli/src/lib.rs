//! The programs of Challenger, one `main` for each: they parse flags, call the server crate, print.

pub mod admin;
mod args;
#[cfg(any(feature = "email", feature = "http"))]
mod authorities;
#[cfg(feature = "demo")]
pub mod challenger;
mod common;
pub mod config;
pub mod dbinit;
#[cfg(feature = "demo")]
mod demo;
mod exit;
pub mod httpd;
pub mod logger;
#[cfg(any(feature = "email", feature = "http"))]
mod message;
#[cfg(any(feature = "email", feature = "http"))]
mod private;
#[cfg(feature = "email")]
pub mod send_email;
#[cfg(feature = "http")]
pub mod send_http;
#[cfg(any(feature = "email", feature = "http"))]
mod serve;
#[cfg(any(feature = "email", feature = "http"))]
mod stream;
mod syslog;
