//! The loop that carries out what the core decides: load, decide, write, send, respond.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use challenger_proto::http::{Body, Request, Response};
use challenger_proto::{
    Commit, Entropy, Load, Loaded, Page, Plan, Refusal, Refused, Service, Timestamp, Transmission,
    route,
};

use crate::front::{Answer, Respond};
use crate::log::{self, Level};
use crate::store::{Store, StoreError};

/// How often a request looks again after another one moved its row. Each round of conflicts lets at
/// least one request through, so 64 requests on one row get along with it.
pub const ROUNDS_MAX: usize = 64;

/// How long a request that finds no helper free waits for others to commit. They take milliseconds,
/// unless the database hangs.
const SETTLE: Duration = Duration::from_secs(1);

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
    /// How many messages are delivered at the same time.
    pub helpers: Slots,
}

impl Responder {
    /// Carries out one request.
    fn carry_out(&self, request: &Request) -> (Response, &'static str) {
        let mut plan = route(request);
        let name = plan.route();
        let mut was_full = false;
        for _ in 0..ROUNDS_MAX {
            let loaded = match self.load(plan.load()) {
                Ok(loaded) => loaded,
                Err(error) => {
                    return (self.stopped(&plan, Refusal::StorageUnreadable, &error), name);
                }
            };
            let now = self.clock.now();
            let outcome = plan.decide(loaded, now, self.entropy.draw(), &self.service);
            // Taken before anything is charged: a message that cannot be sent now costs nothing.
            let mut slot = outcome.send.as_ref().and_then(|_| self.helpers.take());
            if outcome.send.is_some() && slot.is_none() {
                if was_full {
                    return (plan.refuse(&Refusal::HelpersBusy.into(), &self.service), name);
                }
                // One of those who have them may be about to send this very message.
                self.helpers.settle();
                was_full = true;
                continue;
            }
            if let Some(write) = &outcome.write {
                let committed = self.store.commit(write);
                slot.iter_mut().for_each(Slot::committed);
                match committed {
                    Ok(Commit::Done) => {}
                    Ok(Commit::Conflict) => continue, // Another request moved the row: look again.
                    Err(error) => {
                        return (self.stopped(&plan, Refusal::StorageUnwritable, &error), name);
                    }
                }
            }
            let Some(transmission) = outcome.send else { return (outcome.response, name) };
            match self.helper.send(&transmission) {
                Ok(()) => return (outcome.response, name),
                Err(error) => plan = transmission.undelivered(error.to_string()),
            }
        }
        (plan.refuse(&Refusal::Contention.into(), &self.service), name)
    }

    /// Loads what a plan names. Nothing does not need the store, so that what depends on nothing is
    /// answered while the store is out of reach.
    fn load(&self, load: &Load) -> Result<Loaded, StoreError> {
        if load.is_empty() { Ok(Loaded::default()) } else { self.store.load(load) }
    }

    fn stopped(&self, plan: &Plan, refusal: Refusal, error: &StoreError) -> Response {
        let refused = format!("{refusal:?}");
        let known: [(&str, &dyn fmt::Display); 3] =
            [("route", &plan.route()), ("refusal", &refused), ("error", error)];
        log::event(Level::Error, "database", &known);
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
        let known: [(&str, &dyn fmt::Display); 3] =
            [("name", &template), ("language", &page.language), ("error", &"cannot be rendered")];
        log::event(Level::Error, "template", &known);
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
    fn respond(&self, request: Request) -> Answer {
        let begun = Instant::now();
        // The core keeps no state, so a panic costs this one answer and nothing else.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.carry_out(&request)));
        let (response, route) = outcome.unwrap_or_else(|_| {
            let plan = route(&request);
            log::event(Level::Error, "bug", &[("route", &plan.route())]);
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
    let mut known: Vec<(&str, &dyn fmt::Display)> =
        vec![("method", &method), ("route", &route), ("status", &response.status.0)];
    known.extend(refusal.as_ref().map(|refusal| ("refusal", refusal as &dyn fmt::Display)));
    known.extend(ms.as_ref().map(|ms| ("ms", ms as &dyn fmt::Display)));
    log::event(Level::Info, "request", &known);
}

/// Places for messages that are being delivered, which are taken and given back.
pub struct Slots {
    places: Mutex<Places>,
    /// Told when nobody is committing any more.
    settled: Condvar,
}

struct Places {
    free: usize,
    /// How many who have a place have yet to commit the message that goes with it.
    committing: usize,
}

impl Slots {
    /// So many places.
    pub const fn new(count: usize) -> Self {
        let places = Places { free: count, committing: 0 };
        Self { places: Mutex::new(places), settled: Condvar::new() }
    }

    fn take(&self) -> Option<Slot<'_>> {
        let mut places = self.places();
        places.free = places.free.checked_sub(1)?;
        places.committing += 1;
        Some(Slot { slots: self, committing: true })
    }

    /// Waits until everyone who has a place has committed or given it back, but not for a database
    /// that hangs. Nobody is held up by a helper here.
    fn settle(&self) {
        let committing = |places: &mut Places| places.committing > 0;
        drop(self.settled.wait_timeout_while(self.places(), SETTLE, committing));
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A taken place.
struct Slot<'a> {
    slots: &'a Slots,
    committing: bool,
}

impl Slot<'_> {
    fn committed(&mut self) {
        let mut places = self.slots.places();
        places.committing -= usize::from(mem::take(&mut self.committing));
        if places.committing == 0 {
            self.slots.settled.notify_all();
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        // In this order, so that whoever waited for this one finds its place.
        self.slots.places().free += 1;
        self.committed();
    }
}
