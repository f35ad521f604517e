//! One request on its way: what it needs next, and nothing else.
//!
//! ```text
//!   begin ──▶ Load ──loaded──▶ Commit ──done──▶ Send ──sent──▶ Respond
//!              ▲ │               │ │              │
//!              │ └─ no change: Respond            │
//!              │                 │ └─ no message: Respond
//!              ├──── conflict, or busy: no helper │
//!              └──────────────────────── failed ──┘
//! ```

mod call;

use alloc::boxed::Box;
use core::fmt;

use crate::endpoint::challenge::{Postponed, Undelivered};
use crate::endpoint::decision::{Context, Decision, Message};
use crate::endpoint::failure::Failure;
use crate::endpoint::negotiation::Audience;
use crate::endpoint::response::View;
use crate::endpoint::route::Route;
use crate::endpoint::transmission::Transmission;
use crate::http::{Request, Response};
use crate::refusal::{Refusal, Refused};
use crate::secret::entropy::Entropy;
use crate::service::Service;
use crate::step::call::{Call, Stored};
use crate::store::{Keys, Rows, Write};
use crate::time::Timestamp;

/// The most times that the rows of one request are loaded.
///
/// Each round of conflicts lets at least one request through, so 64 requests for one validation at
/// the same time get along with it.
pub const ROUNDS_MAX: usize = 64;

/// What a request needs next.
///
/// Each variant has the continuations that are legal there, and each of them consumes it. A driver
/// carries out what a step needs, once, and says with a continuation how it went. Then no message
/// is sent before the write that pays for it is committed, nor twice, and no answer leaves before
/// the write that it reports: there is nothing to call that would do so.
///
/// ```compile_fail,E0599
/// # use challenger_proto::Step;
/// fn send_before_the_commit(step: Step<'_>) {
///     if let Step::Commit(it) = step {
///         it.sent(); // There is a message after `done()` only.
///     }
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use challenger_proto::{Step, Transmission};
/// # fn deliver(_: &Transmission) {}
/// fn send_twice(step: Step<'_>) {
///     if let Step::Send(it) = step {
///         deliver(it.message());
///         let _answer = it.sent();
///         deliver(it.message()); // It was consumed.
///     }
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use challenger_proto::http::Response;
/// # use challenger_proto::Step;
/// fn respond_before_the_commit(step: Step<'_>) -> Option<Response> {
///     match step {
///         Step::Commit(it) => Some(it.response()), // `done()` leads there.
///         _ => None,
///     }
/// }
/// ```
///
/// ```compile_fail
/// # use challenger_proto::{Sending, Transmission};
/// fn send_what_nobody_paid_for(message: Transmission) {
///     let _ = Sending { message }; // Only a committed write leads to one.
/// }
/// ```
///
/// The variants are complete: a driver that matches them all is complete, too, so none will be
/// added without a new major version.
#[derive(Debug)]
#[must_use = "a request that is not carried on is never answered"]
pub enum Step<'s> {
    /// Rows have to be loaded.
    Load(Loading<'s>),
    /// A change has to be committed.
    Commit(Committing<'s>),
    /// A message has to be sent. The write that pays for it is committed.
    Send(Sending<'s>),
    /// The answer is ready.
    Respond(Response),
}

/// What stays the same from one step to the next.
struct Journey<'s> {
    audience: Audience,
    service: &'s Service,
    arrived: Timestamp,
    rounds_left: usize,
}

/// Rows have to be loaded.
#[derive(Debug)]
pub struct Loading<'s> {
    journey: Journey<'s>,
    call: Stored,
    keys: Keys,
}

/// A change has to be committed.
#[derive(Debug)]
pub struct Committing<'s> {
    journey: Journey<'s>,
    call: Stored,
    // In boxes, so that a step stays small.
    write: Box<Write>,
    message: Option<Box<Message>>,
    response: Response,
}

/// A message has to be sent.
#[derive(Debug)]
pub struct Sending<'s> {
    journey: Journey<'s>,
    message: Box<Message>,
    response: Response,
}

impl<'s> Step<'s> {
    /// Begins with a request that arrived now. What needs no rows is answered at once: documents,
    /// `/config`, and refusals of what is malformed.
    pub fn begin(request: &Request, service: &'s Service, now: Timestamp) -> Self {
        let found = Route::find(request.path());
        let audience = Audience::of(request, found.map(|(route, _)| route));
        match Call::parse(request, found, service) {
            Ok(Call::Direct(call)) => {
                Self::Respond(call.respond(Context { now, audience: &audience, service }))
            }
            Ok(Call::Stored(call)) => {
                Journey { audience, service, arrived: now, rounds_left: ROUNDS_MAX }.load(call)
            }
            Err(refused) => Self::Respond(audience.refuse(service, &refused, View::default())),
        }
    }
}

/// Without the service, which has whole documents.
impl fmt::Debug for Journey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journey").field("rounds_left", &self.rounds_left).finish_non_exhaustive()
    }
}

impl<'s> Journey<'s> {
    /// The next round, if there is one.
    fn load(mut self, call: Stored) -> Step<'s> {
        let Some(left) = self.rounds_left.checked_sub(1) else {
            return self.refuse(Refusal::Contention);
        };
        self.rounds_left = left;
        let keys = call.keys(self.arrived, self.service);
        Step::Load(Loading { journey: self, call, keys })
    }

    fn refuse(&self, refused: impl Into<Refused>) -> Step<'s> {
        Step::Respond(self.audience.refuse(self.service, &refused.into(), View::default()))
    }
}

impl<'s> Loading<'s> {
    /// The rows to load.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The rows are here: decides. The entropy is spent on the secrets of this decision.
    pub fn loaded(self, rows: Rows, now: Timestamp, entropy: Entropy) -> Step<'s> {
        let Self { journey, call, .. } = self;
        let context = Context { now, audience: &journey.audience, service: journey.service };
        let (write, message, response) = match call.decide(rows, entropy, context) {
            Err(refused) => return journey.refuse(refused),
            Ok(Decision::Respond(response)) => return Step::Respond(response),
            Ok(Decision::Write(write, response)) => (write, None, response),
            Ok(Decision::Send(write, message, response)) => (write, Some(message), response),
        };
        Step::Commit(Committing { journey, call, write: Box::new(write), message, response })
    }

    /// The store could not be read.
    pub fn failed(self) -> Step<'s> {
        self.journey.refuse(Refusal::StorageUnreadable)
    }
}

impl<'s> Committing<'s> {
    /// The change to commit.
    pub const fn write(&self) -> &Write {
        &self.write
    }

    /// Whether the change pays for a message. A driver that bounds how many helpers run at the same
    /// time reserves one before it commits, so that what cannot be sent costs nothing.
    pub const fn pays_for_message(&self) -> bool {
        self.message.is_some()
    }

    /// The change is kept, and survives a crash.
    pub fn done(self) -> Step<'s> {
        let Self { journey, message, response, .. } = self;
        match message {
            Some(message) => Step::Send(Sending { journey, message, response }),
            None => Step::Respond(response),
        }
    }

    /// Nothing was changed, because the rows are no longer those that the decision rests on, or may
    /// not be: decides again, on rows that are loaded again.
    pub fn conflict(self) -> Step<'s> {
        self.journey.load(self.call)
    }

    /// The store could not be written.
    pub fn failed(self) -> Step<'s> {
        self.journey.refuse(Refusal::StorageUnwritable)
    }

    /// Nothing was changed, because no helper was free in time for the message.
    pub fn busy(self) -> Step<'s> {
        match self.message {
            Some(message) => {
                let postponed = Postponed::new(message.transmission);
                self.journey.load(Stored::Postponed(postponed))
            }
            None => self.journey.refuse(Refusal::HelpersBusy),
        }
    }
}

impl<'s> Sending<'s> {
    /// The message to send.
    pub const fn message(&self) -> &Transmission {
        &self.message.transmission
    }

    /// The message is on its way.
    pub fn sent(self) -> Step<'s> {
        Step::Respond(self.response)
    }

    /// The message could not be sent: the answer says why.
    pub fn failed(self, failure: impl Into<Failure>) -> Step<'s> {
        let undelivered = Undelivered::new(*self.message, failure.into());
        self.journey.load(Stored::Undelivered(undelivered))
    }
}

/// The answer to a request that no step can answer.
///
/// The request could not be read to its end, for example, or its answer could not be rendered.
/// `head` is what is known of the request.
pub fn refuse(head: Option<&Request>, refused: &Refused, service: &Service) -> Response {
    let audience = head.map_or_else(Audience::unknown, |request| {
        Audience::of(request, Route::find(request.path()).map(|(route, _)| route))
    });
    audience.refuse(service, refused, View::default())
}
