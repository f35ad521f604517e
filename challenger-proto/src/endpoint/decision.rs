//! What a decision rests on, and what an endpoint decides.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::endpoint::negotiation::Audience;
use crate::endpoint::transmission::Transmission;
use crate::http::Response;
use crate::machine::transitions::Charge;
use crate::service::Service;
use crate::store::{Entry, Write};
use crate::time::Timestamp;

/// Everything a decision rests on besides the request, the rows and the entropy.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) audience: &'a Audience,
    pub(crate) service: &'a Service,
}

/// What an endpoint decides.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Nothing changes.
    Respond(Response),
    /// A change, and the answer once it is committed.
    Write(Write, Response),
    /// A change that pays for a message, and the answer once that is sent.
    Send(Write, Box<Message>, Response),
}

/// A message that a write pays for.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) transmission: Transmission,
    /// What was charged for it, to be refunded if the delivery fails.
    pub(crate) charge: Charge,
    /// What it cost, to be given back then as well.
    pub(crate) entries: Vec<Entry>,
}
