//! Carries out the steps that the core asks for, and turns responses into bytes.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use challenger_proto::http::{Request, Response};
use challenger_proto::store::{Commit, Rows};
use challenger_proto::{Committing, Loading, Refusal, Refused, Service, Step, refuse};

use crate::front::{Answer, Peer, Respond};
use crate::metrics::Metrics;
use crate::places::{Place, Places, Purpose, Turn};
use crate::ports::{Clock, EntropySource, Helper, Pages};
use crate::recent::Recent;
use crate::store::{Store, StoreError};

/// Everything that it takes to answer requests.
pub struct Responder {
    /// The service as the operator configured it.
    pub service: Service,
    /// The store of clients, validations and grants.
    pub store: Arc<dyn Store>,
    /// The helper that delivers messages.
    pub helper: Arc<dyn Helper>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of random bytes.
    pub entropy: Arc<dyn EntropySource>,
    /// The templates.
    pub pages: Arc<dyn Pages>,
    /// How many messages are delivered at the same time, and which is next.
    pub places: Places,
    /// The rows that requests are decided on until the store proves or disproves them.
    pub recent: Recent,
    /// Where it tells what it does.
    pub metrics: Metrics,
}

impl Responder {
    /// Carries out one request.
    fn carry_out(&self, request: &Request, peer: &dyn Peer) -> Response {
        let mut waiter =
            Waiter { peer, until: Instant::now() + self.places.patience(), place: None };
        let mut step = Step::begin(request, &self.service, self.clock.now());
        let mut has_loaded = false;
        loop {
            step = match step {
                Step::Load(it) => self.guess(request, it).unwrap_or_else(|it| {
                    if mem::replace(&mut has_loaded, true) {
                        self.metrics.retried();
                    }
                    self.load(request, it)
                }),
                Step::Commit(it) => self.commit(request, it, &mut waiter),
                Step::Send(it) => {
                    let sent = self.metrics.send(|| self.helper.send(it.message()));
                    waiter.place = None;
                    has_loaded = false; // What follows a failure is another decision.
                    match sent {
                        Ok(()) => it.sent(),
                        Err(failure) => it.failed(failure),
                    }
                }
                Step::Respond(response) => return response,
            };
        }
    }

    /// Decides on the row that is remembered, if the request may: its commit proves the row. If
    /// there is nothing to commit, returns what has to be loaded.
    #[expect(clippy::result_large_err, reason = "neither is an error, and a step is as large")]
    fn guess<'s>(&self, request: &Request, it: Loading<'s>) -> Result<Step<'s>, Loading<'s>> {
        let Some(row) = it.guessable().and_then(|id| self.recent.find(id)) else { return Err(it) };
        let load = |keys| self.metrics.load(|| self.store.load(&keys));
        let beside = it.beside().map_or_else(|| Ok(Rows::default()), load);
        match beside {
            Ok(beside) => {
                let guessed = it.guess(row, beside, self.clock.now(), self.entropy.draw());
                guessed.map(Step::Commit)
            }
            Err(error) => Ok(unreadable(request, it, &error)),
        }
    }

    /// Decides on rows that are loaded.
    fn load<'s>(&self, request: &Request, it: Loading<'s>) -> Step<'s> {
        match self.metrics.load(|| self.store.load(it.keys())) {
            Ok(rows) => {
                self.recent.loaded(it.keys(), &rows);
                it.loaded(rows, self.clock.now(), self.entropy.draw())
            }
            Err(error) => unreadable(request, it, &error),
        }
    }

    /// Commits a change. One that pays for a message needs a place for its helper first: a message
    /// that cannot be sent costs nothing.
    fn commit<'s, 'p>(
        &'p self,
        request: &Request,
        it: Committing<'s>,
        waiter: &mut Waiter<'p>,
    ) -> Step<'s> {
        let row = it.write().row().filter(|_| it.pays_for_message());
        let message = row.map(Purpose::from);
        if let (Some(message), None) = (message, &waiter.place) {
            match self.places.take(message, waiter.peer, waiter.until) {
                Turn::Now(place) => waiter.place = Some(place),
                Turn::Later(place) => {
                    waiter.place = place;
                    return it.conflict(); // Meanwhile the rows may have changed.
                }
                Turn::Never => return it.busy(),
            }
        }
        match self.metrics.commit(it.write(), || self.store.commit(it.write())) {
            Ok(Commit::Done) => {
                self.recent.written(it.write());
                if let (Some(message), Some(place)) = (message, &waiter.place) {
                    place.paid(message);
                }
                it.done()
            }
            Ok(Commit::Conflict) => {
                self.recent.disproved(it.write());
                it.conflict()
            }
            Err(error) => {
                self.recent.disproved(it.write()); // It may have been written.
                log_store_error(request, Refusal::StorageUnwritable, &error);
                it.failed()
            }
        }
    }
}

/// A request that may have to wait for a helper's place.
struct Waiter<'p> {
    peer: &'p dyn Peer,
    until: Instant,
    place: Option<Place<'p>>,
}

impl Respond for Responder {
    fn respond(&self, request: Request, peer: &dyn Peer) -> Answer {
        let begun = Instant::now();
        // The core keeps no state, so a panic costs this one answer and nothing else.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.carry_out(&request, peer)));
        let response = outcome.unwrap_or_else(|_| {
            log::error!(route = request.route(); "bug");
            refuse(Some(&request), &Refusal::Internal.into(), &self.service)
        });
        self.answer(response, Some(&request), Some(begun))
    }

    fn refuse(&self, head: Option<&Request>, refused: Refused) -> Answer {
        self.answer(refuse(head, &refused, &self.service), head, None)
    }
}

impl Responder {
    /// Turns a response into bytes, and logs it. `head` is the request, as far as it is known.
    fn answer(&self, response: Response, head: Option<&Request>, begun: Option<Instant>) -> Answer {
        let (answer, refusal) = self.render(response, head);
        let method = head.map_or("-", |head| head.method.as_str());
        let route = head.map_or("-", Request::route);
        let status = answer.status.0;
        self.metrics.answered(route, status, refusal, begun);
        let ms = begun.map(|begun| begun.elapsed().as_millis());
        let refusal = refusal.map(Refusal::name);
        log::info!(method, route, status, refusal, ms; "request");
        answer
    }

    /// Turns a response into bytes. If its page has no usable template, the answer is a refusal.
    fn render(&self, response: Response, head: Option<&Request>) -> (Answer, Option<Refusal>) {
        let Response { status, headers, body, refusal, .. } = response;
        let page = match body.into_bytes() {
            Ok(body) => return (Answer { status, headers, body }, refusal),
            Err(page) => page,
        };
        if let Some(html) = self.pages.render(&page) {
            return (Answer { status, headers, body: html.into_bytes().into() }, refusal);
        }
        let template = page.name.template(&self.service.address_type);
        log::error!(
            name = template, language:% = page.language, error = "cannot be rendered"; "template"
        );
        let refused = Refusal::TemplateBroken.about(template);
        let Response { status, headers, body, refusal, .. } = refuse(head, &refused, &self.service);
        // This refusal is never a page, because there may be no page to show it with.
        (Answer { status, headers, body: body.into_bytes().unwrap_or_default() }, refusal)
    }
}

fn unreadable<'s>(request: &Request, it: Loading<'s>, error: &StoreError) -> Step<'s> {
    log_store_error(request, Refusal::StorageUnreadable, error);
    it.failed()
}

fn log_store_error(request: &Request, refusal: Refusal, error: &StoreError) {
    log::error!(route = request.route(), refusal = refusal.name(), error:%; "database");
}
