//! From a request to its outcome: `route` names what to load, `decide` says what becomes of it.
//!
//! ```text
//!   Request ──route──▶ Plan ──load()──▶ (store) ──▶ Loaded ──decide──▶ Outcome
//!                       ▲                                               │ 1. write
//!                       │ the write met a conflict: load again          │ 2. send
//!                       ├───────────────────────────────────────────────┤ 3. response
//!                       │ no helper was free: Transmission::postponed   │
//!                       ├───────────────────────────────────────────────┤
//!                       │ the helper failed: Transmission::undelivered  │
//!                       └───────────────────────────────────────────────┘
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::address::Address;
use crate::answer::Reader;
use crate::endpoint::authorize::Authorize;
use crate::endpoint::challenge::{Challenge, Postponed, Undelivered};
use crate::endpoint::info::Info;
use crate::endpoint::legal::{Legal, Which};
use crate::endpoint::setup::Setup;
use crate::endpoint::solve::Solve;
use crate::endpoint::token::Token;
use crate::endpoint::{config, root};
use crate::entropy::Entropy;
use crate::http::{BODY_MAX, Body, Method, Request, Response, TARGET_MAX};
use crate::nonce::Nonce;
use crate::oob::OobSecret;
use crate::page::Variables;
use crate::refusal::{Refusal, Refused};
use crate::route::Route;
use crate::service::Service;
use crate::storage::{Load, Loaded, Write};
use crate::time::Timestamp;

/// What a request means, which also says what has to be loaded to decide it.
#[derive(Clone, Debug)]
pub struct Plan {
    call: Call,
    reader: Reader,
    route: &'static str,
}

/// One call of the protocol, parsed.
#[derive(Clone, Debug)]
enum Call {
    Authorize(Authorize),
    Challenge(Challenge),
    Config,
    Info(Info),
    Legal(Legal),
    Options,
    Postponed(Postponed),
    Refuse(Refused),
    Robots,
    Root,
    Setup(Setup),
    Solve(Solve),
    Token(Token),
    Undelivered(Undelivered),
}

/// What every decision rests on beside the rows and the entropy.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) now: Timestamp,
    pub(crate) reader: &'a Reader,
    pub(crate) service: &'a Service,
}

/// What becomes of a request, to be carried out strictly from top to bottom.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub struct Outcome {
    /// First: the change to commit. On a conflict, load and decide again.
    pub write: Option<Write>,
    /// Then: the message to send. There is none without a write that paid for it.
    pub send: Option<Transmission>,
    /// Last: the answer, unless the message could not be sent.
    pub response: Response,
}

impl Outcome {
    pub(crate) const fn respond(response: Response) -> Self {
        Self { write: None, send: None, response }
    }

    pub(crate) const fn write(write: Write, response: Response) -> Self {
        Self { write: Some(write), send: None, response }
    }

    pub(crate) const fn send(write: Write, send: Transmission, response: Response) -> Self {
        Self { write: Some(write), send: Some(send), response }
    }
}

/// A message to hand to the helper.
#[derive(Clone)]
pub struct Transmission {
    /// Where it goes.
    pub address: Address,
    /// The same as the helper's argument.
    pub argument: String,
    /// The PIN it carries.
    pub secret: OobSecret,
    /// Whose PIN it is.
    pub nonce: Nonce,
    /// The language it should be in, of those that the service has.
    pub language: String,
    /// The host of the site that asked for the proof.
    pub client_host: String,
    /// Until when the PIN can be entered.
    pub expires: Timestamp,
    /// When it was decided to send it.
    pub now: Timestamp,
    pub(crate) if_undelivered: Plan,
}

/// Without the argument, which is the address.
impl fmt::Debug for Transmission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmission").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Transmission {
    /// The variables of the message's template. `host` is the service's own, from its base URL.
    /// `pin` is for people, and `pin_digits` for programs that fill in the form.
    pub fn variables(&self, host: &str) -> Variables {
        let variables = [
            ("address", self.address.to_json()),
            ("client", self.client_host.as_str().into()),
            ("expires", self.expires.to_text().into()),
            ("host", host.into()),
            ("minutes", self.expires.since(self.now).as_minutes().into()),
            ("nonce", self.nonce.to_text().into()),
            ("pin", self.secret.spelled().into()),
            ("pin_digits", self.secret.digits().into()),
            ("reference", self.nonce.digest().reference().into()),
        ];
        variables.into_iter().collect()
    }

    /// What it means that no helper was free in time: a plan like any other. It is for an outcome
    /// whose write was not committed, so nothing is charged.
    pub fn postponed(self) -> Plan {
        let Plan { reader, route, .. } = self.if_undelivered;
        let postponed = Postponed { nonce: self.nonce, address: self.address };
        Plan { call: Call::Postponed(postponed), reader, route }
    }

    /// What a failed delivery means: a plan like any other. `how` goes into the answer's detail.
    pub fn undelivered(self, how: impl Into<String>) -> Plan {
        let mut plan = self.if_undelivered;
        if let Call::Undelivered(undelivered) = &mut plan.call {
            undelivered.how = how.into();
        }
        plan
    }
}

/// Reads a request. Total: a request that we refuse has a plan as well.
pub fn route(request: &Request) -> Plan {
    let path = request.path();
    let found = Route::find(path);
    let reader = Reader::new(request, found.map(|(route, _)| route));
    let call = if request.target.len() > TARGET_MAX {
        Call::Refuse(Refusal::TargetTooLong.into())
    } else if request.body.len() > BODY_MAX {
        Call::Refuse(Refusal::BodyTooLarge.into())
    } else if request.method == Method::Options {
        Call::Options
    } else {
        match found {
            None => Call::Refuse(Refusal::EndpointUnknown.about(path)),
            Some((route, _)) if !route.allows(request.method) => {
                Call::Refuse(Refusal::MethodInvalid.into())
            }
            Some((route, argument)) => {
                Call::parse(route, request, argument).unwrap_or_else(Call::Refuse)
            }
        }
    };
    Plan { call, reader, route: found.map_or("-", |(route, _)| route.name()) }
}

impl Call {
    fn parse(route: Route, request: &Request, argument: &str) -> Result<Self, Refused> {
        Ok(match route {
            Route::Authorize => Self::Authorize(Authorize::parse(request, argument)?),
            Route::Challenge => Self::Challenge(Challenge::parse(request, argument)?),
            Route::Config => Self::Config,
            Route::Info => Self::Info(Info::parse(request)?),
            Route::Pp | Route::Privacy => Self::Legal(Legal::parse(request, Which::Privacy)),
            Route::Robots => Self::Robots,
            Route::Root => Self::Root,
            Route::Setup => Self::Setup(Setup::parse(request, argument)?),
            Route::Solve => Self::Solve(Solve::parse(request, argument)?),
            Route::Terms => Self::Legal(Legal::parse(request, Which::Terms)),
            Route::Token => Self::Token(Token::parse(request)?),
        })
    }

    fn load(&self, now: Timestamp, service: &Service) -> Load {
        match self {
            Self::Authorize(call) => call.load(),
            Self::Challenge(call) => call.load(),
            Self::Info(call) => call.load(),
            Self::Postponed(call) => call.load(),
            Self::Setup(call) => call.load(now, service),
            Self::Solve(call) => call.load(),
            Self::Token(call) => call.load(),
            Self::Undelivered(call) => call.load(),
            Self::Config
            | Self::Legal(_)
            | Self::Options
            | Self::Refuse(_)
            | Self::Robots
            | Self::Root => Load::default(),
        }
    }

    fn decide(&self, loaded: Loaded, entropy: Entropy, desk: Desk<'_>) -> Result<Outcome, Refused> {
        match self {
            Self::Authorize(call) => call.decide(loaded, desk),
            Self::Challenge(call) => call.decide(loaded, entropy, desk),
            Self::Config => Ok(Outcome::respond(config::answer(desk.service))),
            Self::Info(call) => call.decide(loaded, desk),
            Self::Legal(call) => Ok(Outcome::respond(call.answer(desk))),
            Self::Options => Ok(Outcome::respond(options())),
            Self::Postponed(call) => call.decide(loaded, entropy, desk),
            Self::Refuse(refused) => Err(refused.clone()),
            Self::Robots => Ok(Outcome::respond(root::robots())),
            Self::Root => Ok(Outcome::respond(root::landing())),
            Self::Setup(call) => call.decide(loaded, entropy, desk),
            Self::Solve(call) => call.decide(loaded, desk),
            Self::Token(call) => call.decide(loaded, entropy, desk),
            Self::Undelivered(call) => Ok(call.decide(loaded, desk)),
        }
    }
}

/// The answer to a preflight (WHATWG Fetch, CORS protocol), on any path.
fn options() -> Response {
    let mut response = Response::new(204, Body::Empty);
    response.set("Access-Control-Allow-Headers", "*");
    response.set("Access-Control-Allow-Methods", "*");
    response
}

impl Plan {
    /// What to load, at this time.
    pub fn load(&self, now: Timestamp, service: &Service) -> Load {
        self.call.load(now, service)
    }

    /// The route, such as `/solve/$NONCE`, for logs, which must not hold paths.
    pub const fn route(&self) -> &'static str {
        self.route
    }

    /// Decides. It cannot fail, and it can be called again with newly loaded rows.
    pub fn decide(
        &self,
        loaded: Loaded,
        now: Timestamp,
        entropy: Entropy,
        service: &Service,
    ) -> Outcome {
        let desk = Desk { now, reader: &self.reader, service };
        self.call
            .decide(loaded, entropy, desk)
            .unwrap_or_else(|refused| Outcome::respond(self.reader.refuse(service, &refused)))
    }

    /// The answer when something outside the protocol stands in the way, such as the store.
    pub fn refuse(&self, refused: &Refused, service: &Service) -> Response {
        self.reader.refuse(service, refused)
    }

    pub(crate) fn undelivered(reader: &Reader, undelivered: Undelivered) -> Self {
        Self {
            call: Call::Undelivered(undelivered),
            reader: reader.clone(),
            route: Route::Challenge.name(),
        }
    }
}

/// The answer to a request that could not even be read to its end: `head` is what is known of it.
pub fn refuse(head: Option<&Request>, refused: &Refused, service: &Service) -> Response {
    let nothing;
    let head = if let Some(head) = head {
        head
    } else {
        nothing = Request {
            method: Method::Get,
            target: String::from("/"),
            headers: Vec::new(),
            body: Vec::new(),
        };
        &nothing
    };
    route(head).refuse(refused, service)
}
