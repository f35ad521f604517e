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
//! use challenger_proto::{Commit, Entropy, Load, Loaded, Service, Step, Timestamp};
//! use challenger_proto::{Transmission, Write};
//!
//! trait World {
//!     fn now(&self) -> Timestamp;
//!     fn draw(&mut self) -> Entropy;
//!     fn load(&mut self, keys: &Load) -> Result<Loaded, ()>;
//!     fn commit(&mut self, write: &Write) -> Result<Commit, ()>;
//!     fn send(&mut self, message: &Transmission) -> Result<(), String>;
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
//!                 Err(how) => it.failed(how),
//!             },
//!             Step::Respond(response) => return response,
//!         };
//!     }
//! }
//! ```
//!
//! # What holds everywhere
//!
//! 1. Nothing here performs IO, reads a clock, draws randomness or keeps global state.
//!    `#![no_std]` keeps our own code from naming the parts of `std` that do, and clippy from
//!    naming the rest. It does not promise targets without `std`, which serde_urlencoded needs.
//! 2. `decide` cannot fail and cannot loop without bound. Every input has a limit named `*_MAX`.
//! 3. Nothing is sent that was not paid for by a committed write.
//! 4. The wire (`http`, `media`, `form`, `page`, `response`) and the machine (`machine`,
//!    `validation`, `storage`, `records`) do not know each other; only the endpoints see both.
//! 5. A row's nonce, client and version are never changed by a transition.
//! 6. No secret appears in a `Debug`, or in a response other than the one that exists to carry it.
#![no_std]

extern crate alloc;

mod address;
mod base32;
mod budget;
mod call;
mod client;
mod csp;
mod decision;
mod digest;
mod earlier;
mod endpoint;
mod entropy;
mod error_code;
mod fields;
mod form;
mod grant;
pub mod http;
mod json;
mod legal;
mod limits;
mod machine;
mod media;
mod negotiation;
mod nonce;
mod page;
mod pattern;
mod pin;
mod pkce;
mod records;
mod redirect;
mod refusal;
mod response;
mod restriction;
mod route;
mod secret;
mod service;
mod step;
mod storage;
pub mod testing;
mod text;
mod time;
mod transmission;
mod validation;

pub use address::{Address, AddressType, Channel, FIELD_NAME_MAX, FIELD_VALUE_MAX, FIELDS_MAX};
pub use client::{Client, ClientId, HashedSecret, SECRET_PREFIX, generate_client_secret};
pub use csp::Inline;
pub use digest::{AddressDigest, ClientSecretDigest, CodeDigest, NonceDigest, TokenDigest};
pub use earlier::Earlier;
pub use entropy::Entropy;
pub use fields::{Fields, FieldsError};
pub use form::Form;
pub use grant::{AuthorizationRequest, Grant, GrantSerial};
pub use legal::{Document, Documents};
pub use limits::Limits;
pub use media::is_language_tag;
pub use nonce::{Nonce, Salt};
pub use page::{FALLBACK_LANGUAGE, Page, PageName, PageSet, Variables};
pub use pattern::{PATTERN_MAX, Pattern, PatternError, PatternErrorKind};
pub use pin::Pin;
pub use pkce::CodeChallenge;
pub use records::Records;
pub use redirect::{REDIRECT_URI_MAX, RedirectUri, RedirectUriError};
pub use refusal::{Refusal, Refused};
pub use restriction::{Restriction, RestrictionError, Restrictions};
pub use secret::Secret;
pub use service::{AddressFormat, Service};
pub use step::{Committing, Loading, ROUNDS_MAX, Sending, Step, refuse};
pub use storage::{Commit, Count, Load, Loaded, Write};
pub use text::{is_invisible, is_joiner, is_selector};
pub use time::{Span, Timestamp};
pub use transmission::Transmission;
pub use validation::{Challenge, Progress, RowVersion, Solution, Validation};
