//! Whole requests: from the bytes that arrive to the bytes of the answer, as the server makes them,
//! with everything between them except sockets, the database and the helper.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use challenger_proto::http::{Method, Page, Request};
use challenger_proto::store::{Commit, Keys, Rows, Write};
use challenger_proto::{Entropy, Failure, Service, Timestamp, Transmission};
use challenger_server::front::exchange::Exchange;
use challenger_server::front::{Limits, Present, Respond as _};
use challenger_server::metrics::Metrics;
use challenger_server::pages::Templates;
use challenger_server::places::{self, Places};
use challenger_server::ports::{Clock, EntropySource, Helper, Pages};
use challenger_server::recent::Recent;
use challenger_server::responder::Responder;
use challenger_server::store::{Statistic, Store, StoreError};

/// A server that meets the same rows again and again: what it commits leads nowhere.
pub struct Served {
    responder: Responder,
    limits: Limits,
    bytes: Vec<u8>,
}

/// The world of such a server.
struct World {
    rows: Rows,
    now: Timestamp,
    templates: Arc<Templates>,
    service: Service,
}

impl Served {
    /// A server for one request, which meets these rows.
    pub fn new(
        service: &Service,
        templates: &Arc<Templates>,
        rows: &Rows,
        now: Timestamp,
        request: &Request,
    ) -> Self {
        let (rows, templates, service) = (rows.clone(), Arc::clone(templates), service.clone());
        let world = Arc::new(World { rows, now, templates, service: service.clone() });
        let responder = Responder {
            service,
            store: Arc::<World>::clone(&world),
            helper: Arc::<World>::clone(&world),
            clock: Arc::<World>::clone(&world),
            entropy: Arc::<World>::clone(&world),
            pages: world,
            places: Places::new(places::Limits::default()),
            recent: Recent::default(),
            statistics: Arc::default(),
            metrics: Metrics::recording(),
        };
        Self { responder, limits: Limits::default(), bytes: bytes(request) }
    }

    /// Answers the request, and returns the beginning of the answer up to its status.
    pub fn answer(&mut self, date: Timestamp) -> Option<[u8; 12]> {
        // What was committed led nowhere, so nothing of it may be remembered.
        self.responder.recent = Recent::default();
        let now = Instant::now();
        let Exchange::Read(reading) = Exchange::begin(&self.limits, now) else { return None };
        let arrived = reading.received(black_box(&self.bytes), now);
        let Exchange::Decide(request, deciding) = arrived else { return None };
        let answer = self.responder.respond(request, &Present);
        let Exchange::Write(writing) = deciding.answered(answer, date, now) else { return None };
        let begins = black_box(writing.parts()).first()?.first_chunk().copied();
        matches!(writing.written(now), Exchange::Read(_)).then_some(begins)?
    }
}

/// A request as it arrives from a proxy.
fn bytes(request: &Request) -> Vec<u8> {
    let (method, target) = (request.method.as_str(), &request.target);
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: challenger.example\r\n");
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if request.method == Method::Post {
        let form = "Content-Type: application/x-www-form-urlencoded";
        text.push_str(&format!("{form}\r\nContent-Length: {}\r\n", request.body.len()));
    }
    text.push_str("\r\n");
    [text.as_bytes(), &request.body].concat()
}

impl Store for World {
    fn load(&self, _: &Keys) -> Result<Rows, StoreError> {
        Ok(self.rows.clone())
    }

    fn commit(&self, _: &Write) -> Result<Commit, StoreError> {
        Ok(Commit::Done)
    }

    fn add_to_statistics(&self, _: &[Statistic]) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Helper for World {
    fn send(&self, _: &Transmission) -> Result<(), Failure> {
        Ok(())
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.now
    }
}

impl EntropySource for World {
    fn draw(&self) -> Entropy {
        Entropy::new([7; 32])
    }
}

impl Pages for World {
    fn render(&self, page: &Page) -> Option<String> {
        self.templates.render(page, &self.service.address_type)
    }
}
