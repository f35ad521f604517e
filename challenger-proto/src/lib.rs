//! The decisions of an OAuth 2.0 service that proves a person can receive messages at an address,
//! wire-compatible with GNU Taler Challenger protocol v6. Free of IO, clock and randomness.
//!
//! A request passes four beats. Two are here, two are the caller's:
//!
//! ```text
//!   1. route(&request) -> Plan              here: what does it mean, what has to be loaded?
//!   2. load(plan.load(now, …)) -> Loaded    the caller's store
//!   3. plan.decide(loaded, now, …)          here: the Outcome, as data
//!   4. write, then send, then respond       the caller's store, helper and connection
//! ```
//!
//! > The write of an outcome is committed before its message is sent and before its response
//! > leaves. A commit that meets a conflict goes back to beat 2. A message that cannot be sent
//! > continues with the plan of [`Transmission::undelivered`].
//!
//! # A whole service for your tests
//!
//! No port, no database, no messages, and the code at hand:
//!
//! ```
//! use challenger_proto::http::{Request, Response};
//! use challenger_proto::{Commit, Entropy, Records, Service, Timestamp, Transmission, route};
//!
//! struct Harness { service: Service, store: Records, now: Timestamp, draws: u8,
//!                  inbox: Vec<Transmission> }
//!
//! impl Harness {
//!     fn ask(&mut self, request: &Request) -> Response {
//!         let plan = route(request);
//!         self.draws += 1;
//!         let loaded = self.store.load(&plan.load(self.now, &self.service));
//!         let entropy = Entropy::new([self.draws; 32]);
//!         let outcome = plan.decide(loaded, self.now, entropy, &self.service);
//!         assert_ne!(outcome.write.map(|it| self.store.commit(&it)), Some(Commit::Conflict));
//!         self.inbox.extend(outcome.send);
//!         outcome.response
//!     }
//! }
//! # use challenger_proto::{AddressType, Client, ClientId, HashedSecret, RedirectUri};
//! # use challenger_proto::http::{Body, Method};
//! # let service = Service::new(AddressType::new("email").unwrap());
//! # let now = Timestamp::from_seconds(1_790_000_000);
//! # let store = Records::default();
//! # let mut harness = Harness { service, store, now, draws: 0, inbox: vec![] };
//! # harness.store.insert_client(Client {
//! #     id: ClientId::new(1).unwrap(),
//! #     redirect_uri: RedirectUri::parse("https://client.example/cb").unwrap(),
//! #     secret: HashedSecret::new("secret-token:x", Entropy::new([0; 32])),
//! # });
//! # let post = |target: &str, headers: &[(&str, &str)], body: &str| Request {
//! #     method: Method::Post,
//! #     target: target.into(),
//! #     headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
//! #     body: body.into(),
//! # };
//! # let setup = post("/setup/1", &[("Authorization", "Bearer secret-token:x")], "");
//! # let Body::Json(answer) = harness.ask(&setup).body else { panic!() };
//! # let nonce = answer["nonce"].as_str().unwrap();
//! # harness.ask(&post(&format!("/challenge/{nonce}"), &[], "CONTACT_EMAIL=ada%40example.com"));
//! # let pin = format!("pin={}", harness.inbox[0].secret.digits());
//! # let json = [("Accept", "application/json")];
//! # assert_eq!(harness.ask(&post(&format!("/solve/{nonce}"), &json, &pin)).status.0, 200);
//! ```
//!
//! # What holds everywhere
//!
//! 1. Nothing here performs IO, reads a clock, draws randomness or keeps global state.
//! 2. `decide` cannot fail and cannot loop without bound. Every input has a limit named `*_MAX`.
//! 3. Nothing is sent that was not paid for by a committed write.
//! 4. The wire (`http`, `media`, `form`, `page`, `answer`) and the machine (`validation`,
//!    `storage`, `records`) do not know each other; only the endpoints see both.
//! 5. A row's nonce, client and version are never changed by a transition.
//! 6. No secret appears in a `Debug`, or in a response other than the one that exists to carry it.
#![no_std]

extern crate alloc;

mod address;
mod answer;
mod base32;
mod budget;
mod client;
mod digest;
mod earlier;
mod endpoint;
mod entropy;
mod fields;
mod form;
mod grant;
pub mod http;
mod legal;
mod limits;
mod media;
mod nonce;
mod oob;
mod page;
mod pattern;
mod pkce;
mod plan;
mod records;
mod redirect;
mod refusal;
mod restriction;
mod route;
mod secret;
mod service;
mod storage;
mod text;
mod time;
mod validation;

pub use address::*;
pub use budget::Budget;
pub use client::*;
pub use digest::*;
pub use earlier::Earlier;
pub use entropy::*;
pub use fields::{Fields, FieldsError};
pub use form::Form;
pub use grant::*;
pub use legal::{Document, Documents};
pub use limits::Limits;
pub use media::is_language_tag;
pub use nonce::Nonce;
pub use oob::*;
pub use page::*;
pub use pattern::*;
pub use pkce::*;
pub use plan::*;
pub use records::Records;
pub use redirect::*;
pub use refusal::*;
pub use restriction::*;
pub use secret::Secret;
pub use service::*;
pub use storage::*;
pub use text::{is_invisible, is_joiner, is_selector};
pub use time::*;
pub use validation::*;
