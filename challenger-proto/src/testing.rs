//! A whole service in memory, for tests of clients and of servers.
//!
//! No port, no database, no messages, and the PIN at hand. Time passes when a test says so, and
//! every run draws the same secrets.

#![allow(clippy::expect_used, clippy::panic, reason = "a test's mistake is reported by a panic")]

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::address::AddressType;
use crate::endpoint::transmission::Transmission;
use crate::failure::Failure;
use crate::http::{Request, Response};
use crate::oauth::client::{Client, ClientId, HashedSecret};
use crate::oauth::redirect::RedirectUri;
use crate::percent::push_percent_encoded;
use crate::secret::digest::sha256;
use crate::secret::entropy::Entropy;
use crate::service::Service;
use crate::step::Step;
use crate::store::Commit;
use crate::store::records::Records;
use crate::time::{Span, Timestamp};

/// When the time of a new service begins: 21 September 2026.
const BEGINNING: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// A service in memory, with its clients, its clock and everybody's inbox.
#[derive(Clone, Debug)]
pub struct Challenger {
    /// The operator's decisions. A new service has the defaults, no restrictions and no pages.
    pub service: Service,
    /// The store.
    pub records: Records,
    /// The time.
    pub now: Timestamp,
    /// What becomes of each message, until it is changed.
    pub delivery: Delivery,
    inbox: Vec<Transmission>,
    clients: i64,
    draws: u64,
}

/// What becomes of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// It arrives.
    #[default]
    Succeeds,
    /// The helper fails.
    Fails(Failure),
    /// No helper is free in time, so it is neither sent nor charged.
    Busy,
}

/// A registered client, as it knows itself.
#[derive(Clone)]
pub struct TestClient {
    /// Its identifier.
    pub id: ClientId,
    /// The secret that it authenticates with. It is not random.
    pub secret: String,
    /// Where people return to.
    pub redirect_uri: String,
}

impl Challenger {
    /// A service for a type of address, such as `email`, at `https://challenger.example/`.
    ///
    /// # Panics
    /// The name is not one of an address type.
    pub fn new(address_type: &str) -> Self {
        let address_type = AddressType::new(address_type).expect("a type of address");
        let mut service = Service::new(address_type);
        service.issuer = Some("https://challenger.example".to_string());
        Self::with(service)
    }

    /// A service with the operator's decisions.
    pub fn with(service: Service) -> Self {
        Self {
            service,
            records: Records::default(),
            now: BEGINNING,
            delivery: Delivery::default(),
            inbox: Vec::new(),
            clients: 0,
            draws: 0,
        }
    }

    /// Registers a client.
    ///
    /// # Panics
    /// The redirect URI is not one that a client may register.
    pub fn register(&mut self, redirect_uri: &str) -> TestClient {
        self.clients += 1;
        let id = ClientId::new(self.clients).expect("a positive number");
        let secret = format!("secret-token:client-{id}");
        let client = Client::new(
            id,
            RedirectUri::parse(redirect_uri).expect("a redirect URI"),
            HashedSecret::new(&secret, self.draw()),
        );
        self.records.insert_client(client);
        TestClient { id, secret, redirect_uri: redirect_uri.to_string() }
    }

    /// Answers a request.
    pub fn ask(&mut self, request: &Request) -> Response {
        let service = self.service.clone();
        let mut step = Step::begin(request, &service, self.now);
        loop {
            step = match step {
                Step::Load(it) => {
                    let rows = self.records.load(it.keys());
                    it.loaded(rows, self.now, self.draw())
                }
                Step::Commit(it) if it.pays_for_message() && self.delivery == Delivery::Busy => {
                    it.busy()
                }
                Step::Commit(it) => match self.records.commit(it.write()) {
                    Commit::Done => it.done(),
                    Commit::Conflict => it.conflict(),
                },
                Step::Send(it) => match &self.delivery {
                    Delivery::Fails(failure) => it.failed(failure.clone()),
                    Delivery::Succeeds | Delivery::Busy => {
                        self.inbox.push(it.message().clone());
                        it.sent()
                    }
                },
                Step::Respond(response) => return response,
            };
        }
    }

    /// Opens a validation for a client, and returns its nonce.
    ///
    /// # Panics
    /// The service refuses.
    pub fn setup(&mut self, client: &TestClient) -> String {
        let response = self.ask(&client.setup(""));
        let nonce = response.member("nonce").and_then(|nonce| nonce.as_str());
        nonce.unwrap_or_else(|| panic!("no nonce in {response:?}")).to_string()
    }

    /// The messages that arrived, the latest last.
    pub fn inbox(&self) -> &[Transmission] {
        &self.inbox
    }

    /// The PIN of the latest message that arrived, as digits.
    pub fn pin(&self) -> Option<&str> {
        self.inbox.last().map(|message| message.pin.digits())
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Span) {
        self.now = self.now.plus(time);
    }

    /// 32 bytes that look random and are the same in every run.
    fn draw(&mut self) -> Entropy {
        self.draws += 1;
        Entropy::new(sha256(&[&self.draws.to_be_bytes()]))
    }
}

/// Without the secret.
impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient").field("id", &self.id).finish_non_exhaustive()
    }
}

impl TestClient {
    /// `POST /setup/$CLIENT_ID`, with a proposed address as a JSON object; it may be empty.
    pub fn setup(&self, proposal: &str) -> Request {
        Request::post(&format!("/setup/{}", self.id), proposal)
            .with("Authorization", &format!("Bearer {}", self.secret))
    }

    /// `POST /par`, with more parameters as a form, such as `state=xyz`; it may be empty.
    pub fn push(&self, parameters: &str) -> Request {
        let mut body = self.form(&[("response_type", "code")]);
        if !parameters.is_empty() {
            body.push('&');
            body.push_str(parameters);
        }
        Request::post("/par", body)
    }

    /// `POST /token`
    pub fn token(&self, code: &str) -> Request {
        let body = self.form(&[("grant_type", "authorization_code"), ("code", code)]);
        Request::post("/token", body)
    }

    /// These parameters, beside the client's credentials and its redirect URI.
    fn form(&self, parameters: &[(&str, &str)]) -> String {
        let mut form = format!("client_id={}", self.id);
        let mine = [("client_secret", &*self.secret), ("redirect_uri", &*self.redirect_uri)];
        for (name, value) in mine.iter().chain(parameters) {
            form.push_str(&format!("&{name}="));
            push_percent_encoded(&mut form, value);
        }
        form
    }

    /// `GET /info`
    pub fn info(&self, token: &str) -> Request {
        Request::get("/info").with("Authorization", &format!("Bearer {token}"))
    }
}
