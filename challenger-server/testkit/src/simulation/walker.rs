//! Requests on their way, and what comes of them.

use challenger_proto::http::{Request, Response};
use challenger_proto::machine::Validation;
use challenger_proto::secret::NonceDigest;
use challenger_proto::store::Rows;
use challenger_proto::{Timestamp, Transmission};

use crate::audit::{Ask, Cause, Glimpse};

/// A request, and its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errand {
    /// The number of the actor.
    pub who: usize,
    pub what: What,
}

/// The purpose of an honest request, or a note that it is not honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Address,
    /// By the client's link, before there is a page.
    Arrive,
    /// One thing is bent, and nothing may come of it.
    Bent(&'static str),
    Code,
    Info,
    Introspect,
    /// A request that looks like an honest person's, for something that this person may not have.
    Other(&'static str),
    /// A program looks at a link before a person does.
    Preview,
    Push,
    Revoke,
    Setup,
    Status,
    Token,
    Visit,
}

/// An answer that comes back, or its loss.
#[derive(Debug)]
pub struct Arrival {
    pub errand: Errand,
    pub ask: Ask,
    /// `None` if it was lost.
    pub response: Option<Response>,
}

impl Arrival {
    pub const fn is_setup(&self) -> bool {
        matches!(self.ask, Ask::Setup { .. })
    }
}

/// A message in somebody's mailbox.
#[derive(Debug)]
pub struct Message {
    pub to: String,
    pub about: NonceDigest,
    pub pin: String,
}

/// The auditor's knowledge when the rows were read: whatever is decided on them, this was true.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sight {
    /// The token was revoked.
    pub(super) denied: bool,
    /// The row was deleted.
    pub(super) is_gone: bool,
    pub(super) solved: bool,
    /// When the code goes stale.
    pub(super) stale_at: Option<Timestamp>,
    /// The PIN was entered again since, so that there is another code.
    pub(super) is_void: bool,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Walker {
    pub(super) number: usize,
    /// The server that it came to.
    pub(super) site: usize,
    pub(super) errand: Errand,
    pub(super) request: Request,
    pub(super) ask: Ask,
    /// The message that could not be delivered, once that is so.
    pub(super) failure: Option<Box<Transmission>>,
    /// The rows that were loaded for the next decision.
    pub(super) rows: Option<Box<Rows>>,
    /// A row as it once was, on which the next decision is to be made.
    pub(super) guess: Option<Box<Validation>>,
    /// Whether it has guessed.
    pub(super) has_guessed: bool,
    /// When the latest decision was made.
    pub(super) decided_at: Timestamp,
    pub(super) sight: Sight,
    pub(super) glimpse: Glimpse,
    pub(super) rounds: usize,
    /// Whether others move its row whenever it looks.
    pub(super) is_outrun: bool,
    /// Whether it holds one of the places for helpers.
    pub(super) slot: bool,
}

impl Walker {
    pub(super) const fn cause(&self) -> Cause<'_> {
        match &self.failure {
            Some(send) => Cause::Failure(send),
            None => Cause::Request(&self.ask),
        }
    }

    /// Whether it is the request of somebody who is not honest.
    pub(super) const fn is_of_others(&self) -> bool {
        matches!(self.errand.what, What::Bent(_) | What::Other(_))
    }
}
