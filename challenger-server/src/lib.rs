//! A blocking, threaded server that carries out what `challenger-proto` decides.
//!
//! Executed here: listening ([`listen`]), reading requests from strangers ([`front`]), loading and
//! committing rows ([`store`]), running the helper ([`process`]), rendering templates ([`pages`]),
//! reading the configuration ([`config`], [`settings`], [`check`]). Not decided here: any status
//! code, any error text, any comparison of a secret.
//!
//! ```text
//!   socket ──▶ front ──▶ responder ──▶ (challenger-proto)
//!                          ├──▶ store, helper, os
//!                          └──▶ pages
//! ```

pub mod check;
pub mod config;
pub mod documents;
mod files;
pub mod front;
pub mod helper;
pub mod listen;
pub mod log;
pub mod notify;
pub mod os;
pub mod pages;
pub mod places;
pub mod process;
pub mod responder;
pub mod secrecy;
pub mod server;
pub mod settings;
pub mod store;
