//! The loop that carries out what the core decides: load, decide, write, send, respond.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use challenger_proto::http::{Body, Request, Response};
use challenger_proto::{
    Commit, Entropy, Load, Loaded, Page, Plan, Refusal, Refused, Service, Timestamp, Transmission,
    route,
};

use crate::front::{Answer, Peer, Respond};
use crate::places::{Place, Places, Turn};
use crate::store::{Store, StoreError};

/// How often a request looks again after another one moved its row. Each round of conflicts lets at
/// least one request through, so 64 requests on one row get along with it.
pub const ROUNDS_MAX: usize = 64;

/// Delivers messages.
pub trait Helper: Send + Sync {
    /// Delivers one, and returns when it is known to be on its way.
    ///
    /// # Errors
    /// How it failed, in a few words without address or code.
    fn send(&self, transmission: &Transmission) -> Result<(), HelperError>;
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Draws random bytes.
pub trait EntropySource: Send + Sync {
    /// 32 bytes that nobody can predict.
    fn draw(&self) -> Entropy;
}

/// Renders pages.
pub trait Pages: Send + Sync {
    /// The page as HTML; `None` when its template cannot be rendered.
    fn render(&self, page: &Page) -> Option<String>;
}

/// How a delivery failed, for the operator and the answer's detail.
#[derive(Debug)]
pub struct HelperError(pub String);

impl fmt::Display for HelperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HelperError {}

/// Everything a request meets.
pub struct Responder {
    /// What the operator decided.
    pub service: Service,
    /// Where things are kept.
    pub store: Arc<dyn Store>,
    /// Who delivers.
    pub helper: Arc<dyn Helper>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn EntropySource>,
    /// The templates.
    pub pages: Arc<dyn Pages>,
    /// How many messages are delivered at the same time, and who is next.
    pub places: Places,
}

impl Responder {
    /// Carries out one request.
    fn carry_out(&self, request: &Request, peer: &dyn Peer) -> (Response, &'static str) {
        let patience = Instant::now() + self.places.patience();
        let mut plan = route(request);
        let name = plan.route();
        let mut place: Option<Place<'_>> = None;
        for _ in 0..ROUNDS_MAX {
            let loaded = match self.load(&plan.load(self.clock.now(), &self.service)) {
                Ok(loaded) => loaded,
                Err(error) => {
                    return (self.stopped(&plan, Refusal::StorageUnreadable, &error), name);
                }
            };
            let now = self.clock.now();
            let outcome = plan.decide(loaded, now, self.entropy.draw(), &self.service);
            let Some(write) = outcome.write else { return (outcome.response, name) };
            if let (Some(transmission), None) = (&outcome.send, &place) {
                // Before anything is charged: a message that cannot be sent costs nothing.
                match self.places.take((&write).into(), peer, patience) {
                    Turn::Now(taken) => place = Some(taken),
                    Turn::Later(taken) => {
                        place = taken;
                        continue; // Meanwhile the rows may have changed: look again.
                    }
                    Turn::Never => {
                        plan = transmission.clone().postponed();
                        continue;
                    }
                }
            }
            match self.store.commit(&write) {
                Ok(Commit::Done) => {}
                Ok(Commit::Conflict) => continue, // Another request moved the row: look again.
                Err(error) => {
                    return (self.stopped(&plan, Refusal::StorageUnwritable, &error), name);
                }
            }
            let Some(transmission) = outcome.send else { return (outcome.response, name) };
            place.iter().for_each(|place| place.paid(&write));
            match self.helper.send(&transmission) {
                Ok(()) => return (outcome.response, name),
                Err(error) => plan = transmission.undelivered(error.to_string()),
            }
            place = None;
        }
        (plan.refuse(&Refusal::Contention.into(), &self.service), name)
    }

    /// Loads what a plan names. Nothing does not need the store, so that what depends on nothing is
    /// answered while the store is out of reach.
    fn load(&self, load: &Load) -> Result<Loaded, StoreError> {
        if load.is_empty() { Ok(Loaded::default()) } else { self.store.load(load) }
    }

    fn stopped(&self, plan: &Plan, refusal: Refusal, error: &StoreError) -> Response {
        log::error!(route = plan.route(), refusal:? = refusal, error:%; "database");
        plan.refuse(&refusal.into(), &self.service)
    }

    /// Turns a response into bytes. `head` is the request it answers, as far as it is known.
    fn render(&self, response: Response, head: Option<&Request>) -> Answer {
        let Body::Page(page) = &response.body else { return bytes_of(response) };
        if let Some(html) = self.pages.render(page) {
            return Answer {
                status: response.status,
                headers: response.headers,
                body: html.into_bytes().into(),
            };
        }
        let template = page.name.template(&self.service.address_type);
        log::error!(
            name = template, language:% = page.language, error = "cannot be rendered"; "template"
        );
        let refused = Refusal::TemplateBroken.about(template);
        bytes_of(challenger_proto::refuse(head, &refused, &self.service))
    }
}

/// An answer without a page: such a body needs nothing but to be written down.
fn bytes_of(response: Response) -> Answer {
    let body = match response.body {
        Body::Document(bytes) => bytes,
        Body::Empty | Body::Page(_) => Arc::default(),
        Body::Json(value) => value.to_string().into_bytes().into(),
        Body::Text(text) => text.as_bytes().into(),
    };
    Answer { status: response.status, headers: response.headers, body }
}

impl Respond for Responder {
    fn respond(&self, request: Request, peer: &dyn Peer) -> Answer {
        let begun = Instant::now();
        // The core keeps no state, so a panic costs this one answer and nothing else.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.carry_out(&request, peer)));
        let (response, route) = outcome.unwrap_or_else(|_| {
            let plan = route(&request);
            log::error!(route = plan.route(); "bug");
            (plan.refuse(&Refusal::Internal.into(), &self.service), plan.route())
        });
        tell(request.method.as_str(), route, &response, Some(begun));
        self.render(response, Some(&request))
    }

    fn refuse(&self, head: Option<&Request>, refused: Refused) -> Answer {
        let response = challenger_proto::refuse(head, &refused, &self.service);
        let (method, route) =
            head.map_or(("-", "-"), |head| (head.method.as_str(), route(head).route()));
        tell(method, route, &response, None);
        self.render(response, head)
    }
}

/// Tells about a request that is about to be answered; what of it could not be read is `-`.
fn tell(method: &str, route: &str, response: &Response, begun: Option<Instant>) {
    let refusal = response.refusal.map(|refusal| format!("{refusal:?}"));
    let ms = begun.map(|begun| begun.elapsed().as_millis());
    let status = response.status.0;
    log::info!(method, route, status, refusal = refusal.as_deref(), ms; "request");
}
