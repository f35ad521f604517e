//! The endpoints. Each reads its request, names the rows to load, and decides.
//!
//! Beside them stands what they share: the table of routes, what a decision rests on and consists
//! of, the negotiation of an answer's form, and what pages show of a validation.

mod authentication;
mod authorization;
pub(crate) mod authorize;
pub(crate) mod begin;
pub(crate) mod challenge;
mod common;
pub(crate) mod config;
pub(crate) mod decision;
mod duration;
pub(crate) mod info;
pub(crate) mod introspect;
pub(crate) mod legal;
pub(crate) mod metadata;
pub(crate) mod negotiation;
mod opening;
mod over_budget;
pub(crate) mod par;
mod proposal;
pub(crate) mod response;
pub(crate) mod revoke;
pub(crate) mod root;
pub(crate) mod route;
pub(crate) mod setup;
pub(crate) mod solve;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod transmission;
mod view;
