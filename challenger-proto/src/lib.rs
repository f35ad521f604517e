//! The decisions of an OAuth 2.0 service that proves a person can receive messages at an address,
//! wire-compatible with GNU Taler Challenger protocol v6. Free of IO, clock and randomness.
//!
//! # A whole service for your tests
//!
//! [`testing`] has one in memory: no port, no database, no messages, and the PIN at hand.
//!
//! ```
//! use challenger_proto::http::Request;
//! use challenger_proto::testing::Challenger;
//!
//! let mut challenger = Challenger::new("email");
//! let client = challenger.register("https://shop.example/back");
//! let nonce = challenger.setup(&client);
//! let address = "CONTACT_EMAIL=ada%40example.com";
//! challenger.ask(&Request::post(&format!("/challenge/{nonce}"), address));
//! let pin = format!("pin={}", challenger.pin().unwrap());
//! let solved = challenger.ask(&Request::post(&format!("/solve/{nonce}"), pin));
//! assert!(solved.header("Location").unwrap().starts_with("https://shop.example/back?code="));
//! ```
//!
//! # The order of effects
//!
//! A request is a [`Step`] that says what it needs next; a driver carries that out and says how it
//! went. Each step has only the continuations that are legal there, so nothing is sent before the
//! write that pays for it is committed, and no answer leaves before the change it reports. This is
//! a whole driver:
//!
//! ```
//! use challenger_proto::http::{Request, Response};
//! use challenger_proto::{Entropy, Failure, Service, Step, Timestamp, Transmission};
//! use challenger_proto::store::{Commit, Keys, Rows, Write};
//!
//! trait World {
//!     fn now(&self) -> Timestamp;
//!     fn draw(&mut self) -> Entropy;
//!     fn load(&mut self, keys: &Keys) -> Result<Rows, ()>;
//!     fn commit(&mut self, write: &Write) -> Result<Commit, ()>;
//!     fn send(&mut self, message: &Transmission) -> Result<(), Failure>;
//! }
//!
//! fn respond(request: &Request, service: &Service, world: &mut impl World) -> Response {
//!     let mut step = Step::begin(request, service, world.now());
//!     loop {
//!         step = match step {
//!             Step::Load(it) => match world.load(it.keys()) {
//!                 Ok(rows) => it.loaded(rows, world.now(), world.draw()),
//!                 Err(()) => it.failed(),
//!             },
//!             Step::Commit(it) => match world.commit(it.write()) {
//!                 Ok(Commit::Done) => it.done(),
//!                 Ok(Commit::Conflict) => it.conflict(),
//!                 Err(()) => it.failed(),
//!             },
//!             Step::Send(it) => match world.send(it.message()) {
//!                 Ok(()) => it.sent(),
//!                 Err(failure) => it.failed(failure),
//!             },
//!             Step::Respond(response) => return response,
//!         };
//!     }
//! }
//! ```
//!
//! A page of the response, [`http::Body::Page`], is to be rendered by the driver from a template of
//! its name; a service whose set of pages is empty refuses readers of HTML and answers programs in
//! JSON. A driver that bounds how many messages are sent at the same time asks
//! [`Committing::pays_for_message`] and continues with [`Committing::busy`]. One that remembers
//! rows may try them with [`Loading::guess`] before it loads. The examples `in_memory`,
//! `tiny_server` and `client_test` show a whole validation, a server in one page, and the tests of
//! a client.
//!
//! # What holds everywhere
//!
//! 1. Nothing here performs IO, reads a clock, draws randomness or keeps global state.
//!    `#![no_std]` keeps our own code from naming the parts of `std` that do, and clippy from
//!    naming the rest. It does not promise targets without `std`, which serde_urlencoded needs.
//! 2. A decision cannot fail and cannot loop without bound. Every input has a limit named `*_MAX`.
//! 3. Nothing is sent that was not paid for by a committed write, and no answer rests on a row that
//!    was neither loaded nor proved by a commit.
//! 4. The wire ([`http`]) and the machine ([`machine`], [`store`]) do not know each other. The
//!    service, the endpoints and the steps above them see both.
//! 5. A row's nonce, client, creation, expiry and version are never changed by a transition.
//! 6. No secret appears in a `Debug`, or in a response other than the one that exists to carry it.
#![no_std]

// The example of the readme is tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

extern crate alloc;

pub mod address;
mod endpoint;
mod failure;
pub mod http;
pub mod machine;
mod media;
pub mod oauth;
mod percent;
mod refusal;
pub mod secret;
mod service;
mod step;
pub mod store;
pub mod testing;
mod text;
mod time;

pub use endpoint::transmission::Transmission;
pub use failure::{Failure, FailureKind};
pub use media::best_language;
pub use refusal::{Refusal, Refused};
pub use secret::entropy::Entropy;
pub use service::{AddressFormat, Budgets, Service};
pub use step::{Committing, Loading, ROUNDS_MAX, Sending, Step, refuse};
pub use time::{Span, Timestamp};
