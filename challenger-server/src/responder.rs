//! Carries out the steps that the core asks for, and turns responses into bytes.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use challenger_proto::http::{Request, Response};
use challenger_proto::store::{Commit, Rows, Write};
use challenger_proto::{Committing, Loading, Refusal, Refused, Service, Step, refuse};

use crate::front::{Answer, Peer, Respond};
use crate::metrics::Metrics;
use crate::places::{Place, Places, Purpose, Turn};
use crate::ports::{Clock, EntropySource, Helper, Pages};
use crate::recent::Recent;
use crate::statistics::Statistics;
use crate::store::{Store, StoreError};
use crate::subject::Subject;

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
    /// What happens to validations, for the operator.
    pub statistics: Arc<Statistics>,
    /// Where it tells what it does.
    pub metrics: Metrics,
}

impl Responder {
    /// Carries out one request, and learns what it is about.
    fn carry_out(&self, request: &Request, peer: &dyn Peer, subject: &mut Subject) -> Response {
        let mut waiter =
            Waiter { peer, until: Instant::now() + self.places.patience(), place: None };
        let mut step = Step::begin(request, &self.service, self.clock.now());
        let mut has_loaded = false;
        loop {
            step = match step {
                Step::Load(it) => self.guess(it, subject).unwrap_or_else(|it| {
                    if mem::replace(&mut has_loaded, true) {
                        self.metrics.retried();
                    }
                    self.load(it, subject)
                }),
                Step::Commit(it) => self.commit(it, &mut waiter, subject),
                Step::Send(it) => {
                    let sent = self.metrics.send(|| self.helper.send(it.message()));
                    waiter.place = None;
                    self.statistics.sent(it.message(), sent.is_err());
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
    fn guess<'s>(&self, it: Loading<'s>, subject: &mut Subject) -> Result<Step<'s>, Loading<'s>> {
        let Some(row) = it.guessable().and_then(|id| self.recent.find(id)) else { return Err(it) };
        subject.learn_from_row(&row);
        let load = |keys| self.metrics.load(|| self.store.load(&keys));
        let beside = it.beside().map_or_else(|| Ok(Rows::default()), load);
        match beside {
            Ok(beside) => {
                let guessed = it.guess(row, beside, self.clock.now(), self.entropy.draw());
                guessed.map(Step::Commit)
            }
            Err(error) => Ok(unreadable(it, subject, &error)),
        }
    }

    /// Decides on rows that are loaded.
    fn load<'s>(&self, it: Loading<'s>, subject: &mut Subject) -> Step<'s> {
        match self.metrics.load(|| self.store.load(it.keys())) {
            Ok(rows) => {
                subject.learn(&rows);
                self.recent.loaded(it.keys(), &rows);
                it.loaded(rows, self.clock.now(), self.entropy.draw())
            }
            Err(error) => unreadable(it, subject, &error),
        }
    }

    /// Commits a change. One that pays for a message needs a place for its helper first: a message
    /// that cannot be sent costs nothing.
    fn commit<'s, 'p>(
        &'p self,
        it: Committing<'s>,
        waiter: &mut Waiter<'p>,
        subject: &mut Subject,
    ) -> Step<'s> {
        if let Some(row) = it.write().row() {
            subject.learn_from_row(row);
        }
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
                self.statistics.written(it.write());
                log_milestone(it.write(), subject);
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
                log_store_error(subject, Refusal::StorageUnwritable, &error);
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
        let mut subject = Subject::of(Some(&request));
        // The core keeps no state, so a panic costs this one answer and nothing else.
        let carry_out = AssertUnwindSafe(|| self.carry_out(&request, peer, &mut subject));
        let outcome = catch_unwind(carry_out);
        let response = outcome.unwrap_or_else(|_| {
            let Subject { route, .. } = subject;
            log::error!(
                route, client = subject.client(), reference = subject.reference();
                "bug"
            );
            refuse(Some(&request), &Refusal::Internal.into(), &self.service)
        });
        self.answer(response, Some(&request), Some(begun), &subject)
    }

    fn refuse(&self, head: Option<&Request>, refused: Refused) -> Answer {
        let response = refuse(head, &refused, &self.service);
        self.answer(response, head, None, &Subject::of(head))
    }
}

impl Responder {
    /// Turns a response into bytes, and logs it. `head` is the request, as far as it is known.
    fn answer(
        &self,
        response: Response,
        head: Option<&Request>,
        begun: Option<Instant>,
        subject: &Subject,
    ) -> Answer {
        let (answer, refusal) = self.render(response, head, subject);
        let method = head.map_or("-", |head| head.method.as_str());
        let Subject { route, .. } = *subject;
        let status = answer.status.0;
        self.metrics.answered(route, status, refusal, begun);
        let ms = begun.map(|begun| begun.elapsed().as_millis());
        let refusal = refusal.map(Refusal::name);
        if (route, status) == ("/info", 200) {
            log::info!(client = subject.client(), grant = subject.grant(); "fetched");
        }
        log::info!(
            method, route, status, refusal, ms,
            client = subject.client(), reference = subject.reference();
            "request"
        );
        answer
    }

    /// Turns a response into bytes. If its page has no usable template, the answer is a refusal.
    fn render(
        &self,
        response: Response,
        head: Option<&Request>,
        subject: &Subject,
    ) -> (Answer, Option<Refusal>) {
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
            name = template, language:% = page.language, error = "cannot be rendered",
            client = subject.client(), reference = subject.reference();
            "template"
        );
        let refused = Refusal::TemplateBroken.about(template);
        let Response { status, headers, body, refusal, .. } = refuse(head, &refused, &self.service);
        // This refusal is never a page, because there may be no page to show it with.
        (Answer { status, headers, body: body.into_bytes().unwrap_or_default() }, refusal)
    }
}

fn unreadable<'s>(it: Loading<'s>, subject: &mut Subject, error: &StoreError) -> Step<'s> {
    subject.learn_from_keys(it.keys());
    log_store_error(subject, Refusal::StorageUnreadable, error);
    it.failed()
}

fn log_store_error(subject: &Subject, refusal: Refusal, error: &StoreError) {
    log::error!(
        route = subject.route, refusal = refusal.name(),
        client = subject.client(), reference = subject.reference(), error:%;
        "database"
    );
}

/// Logs how far a change brought its validation.
fn log_milestone(write: &Write, subject: &Subject) {
    if let Some(milestone) = write.milestone() {
        let event = milestone.name();
        log::info!(client = subject.client(), reference = subject.reference(); "{event}");
    }
}
