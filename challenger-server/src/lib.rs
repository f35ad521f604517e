//! A blocking, threaded server that carries out what `challenger-proto` decides.
//!
//! Executed here: listening ([`listen`]), reading requests from strangers ([`front`]), loading and
//! committing rows ([`store`]), running helpers ([`process`], [`residents`]), rendering templates
//! ([`pages`]), reading the configuration ([`config`], [`settings`], [`check`]), counting what is
//! done ([`metrics`]). Not decided here: any status code, any error text, any comparison of a
//! secret.
//!
//! ```text
//!   socket ──▶ front ──▶ responder ──▶ (challenger-proto)
//!                          ├──▶ store, recent, statistics, helper, os
//!                          └──▶ pages
//! ```
//!
//! Events are logged through the [`log`] facade: the message names the event, and key-values
//! describe it; an unknown value is the `None` of an `Option`. The embedding program chooses the
//! logger. That should select records by target, which begins with `challenger_server` here: other
//! crates log, too, and PostgreSQL's driver logs the parameters of statements at level `debug`,
//! such as addresses.

pub mod check;
pub mod config;
pub mod documents;
mod files;
pub mod front;
pub mod helper;
pub mod listen;
pub mod logging;
pub mod metrics;
#[cfg_attr(not(feature = "metrics"), path = "monitor/nothing.rs")]
mod monitor;
pub mod notify;
pub mod os;
pub mod pages;
pub mod places;
pub mod ports;
pub mod process;
pub mod recent;
pub mod residents;
pub mod responder;
pub mod secrecy;
pub mod server;
pub mod settings;
pub mod shipped;
mod spelling;
pub mod statistics;
pub mod store;
mod subject;
pub mod this_process;
