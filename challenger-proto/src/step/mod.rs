//! One request on its way: what it needs next, and nothing else.
//!
//! ```text
//!   begin ──▶ Load ──loaded──▶ Commit ──done──▶ Send ──sent──▶ Respond
//!              ▲ │ └──guess──────▲ │              │
//!              │ │               │ └─ no message: Respond
//!              │ └─ no change: Respond            │
//!              ├──── conflict, or busy: no helper │
//!              └──────────────────────── failed ──┘
//! ```
//!
//! A guess is a decision on a row that a driver remembers, and so may be old. It can only lead to a
//! commit, which proves the row by its version, or back to the load: no answer rests on it.

mod call;

use alloc::boxed::Box;
use core::fmt;

use crate::endpoint::challenge::{Postponed, Undelivered};
use crate::endpoint::decision::{Context, Decision, Message};
use crate::endpoint::negotiation::Audience;
use crate::endpoint::response::View;
use crate::endpoint::route::Route;
use crate::endpoint::transmission::Transmission;
use crate::failure::Failure;
use crate::http::{Request, Response};
use crate::machine::validation::Validation;
use crate::refusal::{Refusal, Refused};
use crate::secret::digest::NonceDigest;
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
/// ```compile_fail,E0308
/// # use challenger_proto::http::Response;
/// # use challenger_proto::machine::Validation;
/// # use challenger_proto::store::Rows;
/// # use challenger_proto::{Committing, Entropy, Loading, Timestamp};
/// fn answer_by_a_guess<'s>(
///     it: Loading<'s>,
///     row: Validation,
///     now: Timestamp,
///     entropy: Entropy,
/// ) -> Result<Committing<'s>, Response> {
///     it.guess(row, Rows::default(), now, entropy) // What is not to be committed is to be loaded.
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
    /// The validation that may be guessed.
    guessable: Option<NonceDigest>,
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

/// A write, the message that it pays for, and the answer when all of it is done.
type Change = (Write, Option<Box<Message>>, Response);

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
                let guessable = call.guessable();
                let journey = Journey { audience, service, arrived: now, rounds_left: ROUNDS_MAX };
                journey.load(call, guessable)
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
    fn load(self, call: Stored, guessable: Option<NonceDigest>) -> Step<'s> {
        if self.rounds_left == 0 {
            return self.refuse(Refusal::Contention);
        }
        let keys = call.keys(self.arrived, self.service);
        Step::Load(Loading { journey: self, call, keys, guessable })
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

    /// The validation that may be guessed: a driver that remembers its row, as it was written or
    /// read a while ago, may [`guess`](Self::guess) instead of loading it. `None` if this request
    /// needs more than its row and a client, and once it has guessed.
    pub const fn guessable(&self) -> Option<&NonceDigest> {
        self.guessable.as_ref()
    }

    /// The rows to load beside one that is guessed, if there are any.
    pub fn beside(&self) -> Option<Keys> {
        let keys = Keys { validation: None, ..self.keys.clone() };
        (keys != Keys::default()).then_some(keys)
    }

    /// Decides on a row that may be old, and on what was loaded [beside](Self::beside) it. A change
    /// has to be committed, which proves the row by its version.
    ///
    /// # Errors
    /// What has to be loaded, if there is no change, so that nothing would prove the row, or if it
    /// is not the one that may be guessed.
    #[expect(clippy::result_large_err, reason = "neither is an error, and a step is as large")]
    pub fn guess(
        mut self,
        row: Validation,
        beside: Rows,
        now: Timestamp,
        entropy: Entropy,
    ) -> Result<Committing<'s>, Self> {
        // There is one guess, or else requests whose driver is never right would not end.
        if self.guessable.take() != Some(row.id) {
            return Err(self);
        }
        let rows = Rows { validation: Some(row), ..beside };
        match self.decide(rows, now, entropy) {
            Ok(change) => Ok(self.commit(change)),
            Err(_unproved) => Err(self),
        }
    }

    /// The rows are here: decides. The entropy is spent on the secrets of this decision.
    pub fn loaded(mut self, rows: Rows, now: Timestamp, entropy: Entropy) -> Step<'s> {
        self.journey.rounds_left = self.journey.rounds_left.saturating_sub(1);
        match self.decide(rows, now, entropy) {
            Ok(change) => Step::Commit(self.commit(change)),
            Err(response) => Step::Respond(response),
        }
    }

    /// The change that is to be made, or else the answer.
    fn decide(&self, rows: Rows, now: Timestamp, entropy: Entropy) -> Result<Change, Response> {
        let Journey { audience, service, .. } = &self.journey;
        match self.call.decide(rows, entropy, Context { now, audience, service }) {
            Err(refused) => Err(audience.refuse(service, &refused, View::default())),
            Ok(Decision::Respond(response)) => Err(response),
            Ok(Decision::Write(write, response)) => Ok((write, None, response)),
            Ok(Decision::Send(write, message, response)) => Ok((write, Some(message), response)),
        }
    }

    fn commit(self, (write, message, response): Change) -> Committing<'s> {
        let Self { journey, call, .. } = self;
        Committing { journey, call, write: Box::new(write), message, response }
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
    /// not be: decides again, on rows that are loaded.
    pub fn conflict(self) -> Step<'s> {
        self.journey.load(self.call, None)
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
                self.journey.load(Stored::Postponed(postponed), None)
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
        self.journey.load(Stored::Undelivered(undelivered), None)
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
