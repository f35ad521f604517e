//! A small world for tests: two clients, a service, and the requests that people and clients send.

use std::num::NonZeroU8;

use challenger_proto::address::AddressType;
use challenger_proto::http::{PageName, Request, Response};
use challenger_proto::machine::Limits;
use challenger_proto::oauth::{Client, ClientId, HashedSecret, RedirectUri};
use challenger_proto::store::{Records, Rows, Write};
use challenger_proto::{
    Entropy, FailureKind, Loading, Sending, Service, Span, Step, Timestamp, Transmission,
};

use crate::audit::{Auditor, Registered};
use crate::escape;

/// The secret of the first client.
pub const SECRET: &str = "secret-token:first-client";
/// Where the first client's users return to.
pub const REDIRECT: &str = "https://client.example/cb?x=1";
/// The secret of the second client, which is hostile here.
pub const OTHER_SECRET: &str = "secret-token:second-client";
/// Where the second client's users return to.
pub const OTHER_REDIRECT: &str = "https://other.example/cb";
/// A client as it knows itself.
#[derive(Clone, Copy, Debug)]
pub struct Party {
    pub number: i64,
    pub secret: &'static str,
    pub redirect: &'static str,
}

/// Both clients.
pub const CLIENTS: [Party; 2] = [
    Party { number: 1, secret: SECRET, redirect: REDIRECT },
    Party { number: 2, secret: OTHER_SECRET, redirect: OTHER_REDIRECT },
];

/// A secret that both clients had once, whose time is over however far clocks are set back.
pub const SECRET_OF_BEFORE: &str = "secret-token:of-before";

/// A client that the operator has disabled, of which nothing must come.
pub const DISABLED: Party =
    Party { number: 3, secret: "secret-token:third-client", redirect: "https://third.example/cb" };

/// The client that is open: it lets browsers begin by themselves, if it has a budget.
pub const OPEN: i64 = CLIENTS[0].number;

/// When the world begins.
pub const START: Timestamp = Timestamp::from_seconds(1_790_000_000);

const TWO: NonZeroU8 = NonZeroU8::new(2).unwrap();

/// Everything twice, and short times: small enough to walk through every history.
pub fn small_limits() -> Limits {
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
pub fn service(limits: Limits) -> Service {
    let mut service = Service::new(AddressType::new("email").unwrap());
    service.limits = limits;
    for name in PageName::ALL {
        service.pages.insert(name, "en");
    }
    service
}

/// A store with two clients, and one that is disabled.
pub fn records() -> Records {
    records_with([None; 2])
}

/// The same, whose clients may send so many messages a day.
pub fn records_with(messages_per_day: [Option<u32>; 2]) -> Records {
    let mut records = Records::default();
    let row = |Party { number, secret, redirect }: &Party| {
        Client::new(
            ClientId::new(*number).unwrap(),
            RedirectUri::parse(redirect).unwrap(),
            HashedSecret::new(secret, Entropy::new([0; 32])),
        )
    };
    for (party, messages_per_day) in CLIENTS.iter().zip(messages_per_day) {
        let open = party.number == OPEN;
        let over = HashedSecret::new(SECRET_OF_BEFORE, Entropy::new([1; 32]));
        let earlier_secret = Some((over, Timestamp::EPOCH));
        records.insert_client(Client { messages_per_day, open, earlier_secret, ..row(party) });
    }
    let messages_per_day = Some(9);
    let disabled = Client { messages_per_day, open: true, disabled: true, ..row(&DISABLED) };
    records.insert_client(disabled);
    records
}

/// An auditor that knows both clients.
pub fn auditor(service: &Service) -> Auditor {
    auditor_with(service, [None; 2])
}

/// The same, for clients that may send so many messages a day.
pub fn auditor_with(service: &Service, messages_per_day: [Option<u32>; 2]) -> Auditor {
    let mut auditor = Auditor::new(service);
    for (Party { number, secret, redirect }, messages) in CLIENTS.iter().zip(messages_per_day) {
        let registered = Registered {
            secret: (*secret).into(),
            redirect_uri: (*redirect).into(),
            is_open: *number == OPEN,
        };
        let id = ClientId::new(*number).unwrap();
        auditor.know(id, registered);
        auditor.ledger.know(id, messages);
    }
    auditor
}

/// Everything that a decision asks for.
#[derive(Debug)]
pub struct Outcome {
    pub write: Option<Write>,
    pub message: Option<Transmission>,
    /// The answer, if all of it succeeds.
    pub response: Response,
}

impl Outcome {
    /// Goes on as if everything succeeded, and carries out nothing.
    pub fn of(step: Step<'_>) -> Self {
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
pub fn step<'s>(
    request: &Request,
    rows: Rows,
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
pub fn decide(
    request: &Request,
    rows: Rows,
    now: Timestamp,
    seed: u8,
    service: &Service,
) -> Outcome {
    Outcome::of(step(request, rows, now, seed, service))
}

/// A message that a request pays for, when it is decided on rows.
pub fn sending<'s>(
    request: &Request,
    rows: Rows,
    now: Timestamp,
    seed: u8,
    service: &'s Service,
) -> Option<Sending<'s>> {
    let Step::Commit(it) = step(request, rows, now, seed, service) else { return None };
    let Step::Send(it) = it.done() else { return None };
    Some(it)
}

/// The step after a message that could not be sent.
pub fn undelivered(sending: Sending<'_>) -> Loading<'_> {
    let Step::Load(it) = sending.failed(FailureKind::Unknown) else { panic!("a failure is final") };
    it
}

/// The rows that a request has to be decided on.
pub fn rows(request: &Request, records: &Records, now: Timestamp, service: &Service) -> Rows {
    match Step::begin(request, service, now) {
        Step::Load(it) => records.load(it.keys()),
        _ => Rows::default(),
    }
}

/// `POST /setup/1`
pub fn setup(secret: &str, body: &str) -> Request {
    setup_as(1, secret, body)
}

/// `POST /setup/$CLIENT_ID`
pub fn setup_as(client: i64, secret: &str, body: &str) -> Request {
    let bearer = format!("Bearer {secret}");
    Request::post(&format!("/setup/{client}"), body).with("Authorization", &bearer)
}

/// `GET /authorize/$NONCE`, with more parameters as they are.
pub fn authorize(nonce: &str, client: i64, more: &str, accept: &str) -> Request {
    let target = format!("/authorize/{nonce}?response_type=code&client_id={client}{more}");
    Request::get(&target).with("Accept", accept)
}

/// `GET /authorize/$NONCE` without anything that asks for more than a look.
pub fn look(nonce: &str, accept: &str) -> Request {
    Request::get(&format!("/authorize/{nonce}")).with("Accept", accept)
}

/// `POST /par`, with more parameters as they are.
pub fn push(party: &Party, more: &str) -> Request {
    Request::post("/par", format!("response_type=code&{}{more}", credentials(party)))
}

/// `GET /authorize` with what a push returned.
pub fn begin_pushed(client: i64, request_uri: &str, accept: &str) -> Request {
    let target = format!("/authorize?client_id={client}&request_uri={}", escape(request_uri));
    Request::get(&target).with("Accept", accept)
}

/// `GET /authorize` with the request itself, and more parameters as they are.
pub fn begin_direct(client: i64, more: &str, accept: &str) -> Request {
    let target = format!("/authorize?response_type=code&client_id={client}{more}");
    Request::get(&target).with("Accept", accept)
}

/// `GET /status/$NONCE`
pub fn status(nonce: &str, secret: &str) -> Request {
    Request::get(&format!("/status/{nonce}")).with("Authorization", &format!("Bearer {secret}"))
}

/// `POST /revoke` or `/introspect`, as the path says.
pub fn about_token(path: &str, party: &Party, token: &str) -> Request {
    Request::post(path, format!("{}&token={}", credentials(party), escape(token)))
}

fn credentials(Party { number, secret, .. }: &Party) -> String {
    format!("client_id={number}&client_secret={}", escape(secret))
}

/// `POST /challenge/$NONCE`
pub fn challenge(nonce: &str, address: &str, accept: &str) -> Request {
    let body = format!("CONTACT_EMAIL={}", escape(address));
    Request::post(&format!("/challenge/{nonce}"), body).with("Accept", accept)
}

/// `POST /solve/$NONCE`
pub fn solve(nonce: &str, pin: &str, accept: &str) -> Request {
    let body = format!("pin={}", escape(pin));
    Request::post(&format!("/solve/{nonce}"), body).with("Accept", accept)
}

/// A client's parameters for `/token`.
#[derive(Clone, Debug)]
pub struct Redemption<'a> {
    pub client: i64,
    pub secret: &'a str,
    pub redirect: &'a str,
    pub code: &'a str,
    pub verifier: Option<&'a str>,
}

impl<'a> Redemption<'a> {
    /// The honest parameters of the first client.
    pub const fn honest(code: &'a str, verifier: Option<&'a str>) -> Self {
        Self { client: 1, secret: SECRET, redirect: REDIRECT, code, verifier }
    }

    /// The honest parameters of a client.
    pub const fn of(party: &Party, code: &'a str, verifier: Option<&'a str>) -> Self {
        let Party { number, secret, redirect } = *party;
        Self { client: number, secret, redirect, code, verifier }
    }

    /// `POST /token`
    pub fn request(&self) -> Request {
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
        Request::post("/token", body)
    }
}

/// `GET /info`
pub fn info(token: &str) -> Request {
    Request::get("/info").with("Authorization", &format!("Bearer {token}"))
}

/// A member of a JSON answer or of a page's data, as text.
pub fn member(response: &Response, name: &str) -> Option<String> {
    let value = response.member(name)?;
    Some(value.as_str().map_or_else(|| value.to_string(), ToString::to_string))
}
