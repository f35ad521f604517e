//! A small world for tests: two clients, a service, and the requests that people and clients send.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::num::NonZeroU8;

use challenger_proto::http::{Body, Method, Request, Response};
use challenger_proto::{
    AddressType, Client, ClientId, Entropy, HashedSecret, Limits, Loaded, PageName, Records,
    RedirectUri, Sending, Service, Span, Step, Timestamp, Transmission, Write,
};

use crate::audit::{Auditor, Registered};

/// The secret of the first client.
pub(crate) const SECRET: &str = "secret-token:first-client";
/// Where the first client's users return to.
pub(crate) const REDIRECT: &str = "https://client.example/cb?x=1";
/// The secret of the second client, which is hostile here.
pub(crate) const OTHER_SECRET: &str = "secret-token:second-client";
/// Where the second client's users return to.
pub(crate) const OTHER_REDIRECT: &str = "https://other.example/cb";
/// A client as it knows itself.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) number: i64,
    pub(crate) secret: &'static str,
    pub(crate) redirect: &'static str,
}

/// Both clients.
pub(crate) const CLIENTS: [Party; 2] = [
    Party { number: 1, secret: SECRET, redirect: REDIRECT },
    Party { number: 2, secret: OTHER_SECRET, redirect: OTHER_REDIRECT },
];

/// When the world begins.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_790_000_000);

const TWO: NonZeroU8 = NonZeroU8::new(2).unwrap();

/// Everything twice, and short times: small enough to walk through every history.
pub(crate) fn small_limits() -> Limits {
    let mut limits = Limits::for_type(&AddressType::new("email").unwrap());
    limits.address_changes = 2;
    limits.pin_transmissions = TWO;
    limits.pin_attempts = TWO;
    limits.refunds = 2;
    limits.retransmission_interval = Span::seconds(60);
    limits.validation_duration = Span::seconds(130);
    limits.code_duration = Span::seconds(100);
    limits
}

/// A service for e-mail addresses, with every page in English.
pub(crate) fn service(limits: Limits) -> Service {
    let mut service = Service::new(AddressType::new("email").unwrap());
    service.limits = limits;
    for name in PageName::ALL {
        service.pages.insert(name, "en");
    }
    service
}

/// A store with two clients.
pub(crate) fn records() -> Records {
    let mut records = Records::default();
    for Party { number, secret, redirect } in CLIENTS {
        records.insert_client(Client {
            id: ClientId::new(number).unwrap(),
            redirect_uri: RedirectUri::parse(redirect).unwrap(),
            secret: HashedSecret::new(secret, Entropy::new([0; 32])),
        });
    }
    records
}

/// An auditor who knows both clients.
pub(crate) fn auditor(limits: &Limits) -> Auditor {
    let mut auditor = Auditor::new(limits);
    for Party { number, secret, redirect } in CLIENTS {
        let registered = Registered { secret: secret.into(), redirect_uri: redirect.into() };
        auditor.know(ClientId::new(number).unwrap(), registered);
    }
    auditor
}

/// What a decision asks for, all of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) write: Option<Write>,
    pub(crate) message: Option<Transmission>,
    /// The answer, if all of it succeeds.
    pub(crate) response: Response,
}

impl Outcome {
    /// Goes on as if everything succeeded, and carries out nothing.
    pub(crate) fn of(step: Step<'_>) -> Self {
        match step {
            Step::Load(_) => panic!("nothing is decided"),
            Step::Commit(it) => {
                let write = Some(it.write().clone());
                Self { write, ..Self::of(it.done()) }
            }
            Step::Send(it) => {
                let message = Some(it.message().clone());
                Self { message, ..Self::of(it.sent()) }
            }
            Step::Respond(response) => Self { write: None, message: None, response },
        }
    }
}

/// Decides a request on rows.
pub(crate) fn step<'s>(
    request: &Request,
    rows: Loaded,
    now: Timestamp,
    seed: u8,
    service: &'s Service,
) -> Step<'s> {
    match Step::begin(request, service, now) {
        Step::Load(it) => it.loaded(rows, now, Entropy::new([seed; 32])),
        step => step,
    }
}

/// Decides a request on rows, and returns everything that the decision asks for.
pub(crate) fn decide(
    request: &Request,
    rows: Loaded,
    now: Timestamp,
    seed: u8,
    service: &Service,
) -> Outcome {
    Outcome::of(step(request, rows, now, seed, service))
}

/// A message that a request pays for, when it is decided on rows.
pub(crate) fn sending<'s>(
    request: &Request,
    rows: Loaded,
    now: Timestamp,
    seed: u8,
    service: &'s Service,
) -> Option<Sending<'s>> {
    let Step::Commit(it) = step(request, rows, now, seed, service) else { return None };
    let Step::Send(it) = it.done() else { return None };
    Some(it)
}

/// The rows that a request has to be decided on.
pub(crate) fn rows(
    request: &Request,
    records: &Records,
    now: Timestamp,
    service: &Service,
) -> Loaded {
    match Step::begin(request, service, now) {
        Step::Load(it) => records.load(it.keys()),
        _ => Loaded::default(),
    }
}

/// A request with any method.
pub(crate) fn request(
    method: Method,
    target: String,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Request {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Request { method, target, headers, body: body.into() }
}

/// `POST /setup/1`
pub(crate) fn setup(secret: &str, body: &str) -> Request {
    setup_as(1, secret, body)
}

/// `POST /setup/$CLIENT_ID`
pub(crate) fn setup_as(client: i64, secret: &str, body: &str) -> Request {
    let bearer = format!("Bearer {secret}");
    request(Method::Post, format!("/setup/{client}"), &[("Authorization", &bearer)], body)
}

/// `GET /authorize/$NONCE`, with more parameters as they are.
pub(crate) fn authorize(nonce: &str, client: i64, more: &str, accept: &str) -> Request {
    let target = format!("/authorize/{nonce}?response_type=code&client_id={client}{more}");
    request(Method::Get, target, &[("Accept", accept)], "")
}

/// `POST /challenge/$NONCE`
pub(crate) fn challenge(nonce: &str, address: &str, accept: &str) -> Request {
    let body = format!("CONTACT_EMAIL={}", escape(address));
    request(Method::Post, format!("/challenge/{nonce}"), &[("Accept", accept)], body)
}

/// `POST /solve/$NONCE`
pub(crate) fn solve(nonce: &str, pin: &str, accept: &str) -> Request {
    let body = format!("pin={}", escape(pin));
    request(Method::Post, format!("/solve/{nonce}"), &[("Accept", accept)], body)
}

/// What a client says at `/token`.
#[derive(Clone, Debug)]
pub(crate) struct Redemption<'a> {
    pub(crate) client: i64,
    pub(crate) secret: &'a str,
    pub(crate) redirect: &'a str,
    pub(crate) code: &'a str,
    pub(crate) verifier: Option<&'a str>,
}

impl<'a> Redemption<'a> {
    /// What the first client honestly says.
    pub(crate) const fn honest(code: &'a str, verifier: Option<&'a str>) -> Self {
        Self { client: 1, secret: SECRET, redirect: REDIRECT, code, verifier }
    }

    /// What a client honestly says.
    pub(crate) const fn of(party: &Party, code: &'a str, verifier: Option<&'a str>) -> Self {
        let Party { number, secret, redirect } = *party;
        Self { client: number, secret, redirect, code, verifier }
    }

    /// `POST /token`
    pub(crate) fn request(&self) -> Request {
        let mut body = format!(
            "grant_type=authorization_code&client_id={}&client_secret={}&redirect_uri={}&code={}",
            self.client,
            escape(self.secret),
            escape(self.redirect),
            escape(self.code)
        );
        if let Some(verifier) = self.verifier {
            body.push_str("&code_verifier=");
            body.push_str(&escape(verifier));
        }
        request(Method::Post, "/token".into(), &[], body)
    }
}

/// `GET /info`
pub(crate) fn info(token: &str) -> Request {
    let bearer = format!("Bearer {token}");
    request(Method::Get, "/info".into(), &[("Authorization", &bearer)], "")
}

/// Escapes everything but letters and digits.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02x}"));
        }
    }
    escaped
}

/// A member of a JSON answer or of a page's data, as text.
pub(crate) fn member(response: &Response, name: &str) -> Option<String> {
    let value = match &response.body {
        Body::Json(value) => value.get(name),
        Body::Page(page) => page.data.get(name),
        Body::Empty | Body::Document(_) | Body::Text(_) => None,
    }?;
    Some(value.as_str().map_or_else(|| value.to_string(), ToString::to_string))
}
