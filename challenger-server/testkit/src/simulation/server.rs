//! The servers of many requests, each advanced by one step at a time. They share one store.

use std::mem;

use challenger_proto::http::{Body, Request, Response};
use challenger_proto::secret::NonceDigest;
use challenger_proto::store::{Commit, Records, Rows};
use challenger_proto::{
    Committing, Entropy, Failure, FailureKind, Loading, ROUNDS_MAX, Refusal, Sending, Service,
    Span, Step, Timestamp, refuse,
};

use super::faults::{Fault, Weather};
use super::history::History;
use super::memory::{self, Memory};
use super::tally::Tally;
pub use super::walker::{Arrival, Errand, Message, What};
use super::walker::{Sight, Walker};
use crate::Dice;
use crate::audit::{Ask, Auditor, Case, Glimpse, name_of};
use crate::world;

/// The servers, their store and their helper, and the auditor.
#[derive(Debug)]
pub struct Server<'s> {
    pub service: &'s Service,
    pub auditor: Auditor,
    pub weather: Weather,
    pub tally: Tally,
    pub now: Timestamp,
    /// How far each server's clock is behind.
    pub clocks: Vec<Span>,
    pub mail: Vec<Message>,
    pub crashes: usize,
    pub conflicts: usize,
    records: Records,
    memory: Memory,
    walkers: Vec<(Walker, Step<'s>)>,
    slots: usize,
    draws: u64,
    came: usize,
    pub history: History,
}

impl<'s> Server<'s> {
    /// A server whose clients may send so many messages a day.
    pub fn new(
        service: &'s Service,
        messages_per_day: [Option<u32>; 2],
        weather: Weather,
        slots: usize,
    ) -> Self {
        Self {
            auditor: world::auditor_with(service, messages_per_day),
            service,
            weather,
            tally: Tally::default(),
            now: world::START,
            clocks: vec![Span::seconds(0)],
            mail: Vec::new(),
            crashes: 0,
            conflicts: 0,
            records: world::records_with(messages_per_day),
            memory: Memory::default(),
            walkers: Vec::new(),
            slots,
            draws: 0,
            came: 0,
            history: History::default(),
        }
    }

    pub fn walkers(&self) -> usize {
        self.walkers.len()
    }

    /// A request arrives.
    pub fn come(&mut self, errand: Errand, request: Request) {
        // They take turns.
        let site = self.came % self.clocks.len();
        let now = self.clock(site);
        let step = Step::begin(&request, self.service, now);
        self.auditor.assert_hidden(&step);
        self.came += 1;
        let walker = Walker {
            number: self.came,
            site,
            errand,
            ask: Ask::read(&request),
            request,
            failure: None,
            rows: None,
            guess: None,
            has_guessed: false,
            decided_at: now,
            sight: Sight::default(),
            glimpse: Glimpse::default(),
            rounds: 0,
            is_outrun: false,
            slot: false,
        };
        self.tell(Some(&walker), "comes", None);
        self.walkers.push((walker, step));
    }

    /// What a server's clock shows.
    fn clock(&self, site: usize) -> Timestamp {
        Timestamp::from_seconds(self.now.seconds() - self.clocks[site].as_seconds())
    }

    /// Time passes, or leaps.
    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Span::seconds(seconds));
        self.tell(None, "time passes", None);
    }

    pub fn set_back(&mut self, seconds: u64) {
        self.now = Timestamp::from_seconds(self.now.seconds() - seconds);
        self.tell(None, "the clock is set back", None);
    }

    /// Whether a fault strikes, where it could.
    pub fn strikes(&mut self, fault: Fault, dice: &mut Dice) -> bool {
        let strikes = self.weather.strikes(fault, dice);
        if strikes {
            self.tally.struck(fault);
        }
        strikes
    }

    /// One of the requests advances by one step, or all are lost.
    pub fn advance(&mut self, dice: &mut Dice) -> Vec<Arrival> {
        self.tally.steps += 1;
        if self.strikes(Fault::Crash, dice) {
            return self.crash(dice.below(self.clocks.len()));
        }
        let (mut walker, step) = self.walkers.swap_remove(dice.below(self.walkers.len()));
        let next = match step {
            Step::Load(it) => match walker.rows.take() {
                None => self.load(&mut walker, it, dice),
                Some(rows) => self.decide(&mut walker, it, *rows, dice),
            },
            Step::Commit(it) => self.commit(&mut walker, it, dice),
            Step::Send(it) => self.send(&mut walker, it, dice),
            Step::Respond(response) => return vec![self.respond(walker, response, dice)],
        };
        self.walkers.push((walker, next));
        Vec::new()
    }

    /// A server dies, with the requests that it has.
    fn crash(&mut self, site: usize) -> Vec<Arrival> {
        self.tell(None, "crash", None);
        self.crashes += 1;
        let walkers = mem::take(&mut self.walkers).into_iter();
        let (dead, alive): (Vec<_>, _) = walkers.partition(|(it, _)| it.site == site);
        self.walkers = alive;
        let lost = |(walker, _): (Walker, _)| Arrival {
            errand: walker.errand,
            ask: walker.ask,
            response: None,
        };
        dead.into_iter().map(lost).collect()
    }

    /// An operator's tool deletes a validation.
    pub fn delete(&mut self, dice: &mut Dice) {
        let ids: Vec<NonceDigest> = self.auditor.cases().map(|case| case.opened.id).collect();
        if ids.is_empty() {
            return;
        }
        let id = dice.pick(&ids);
        self.records.remove_validation(id);
        self.auditor.deleted(id);
        self.tell(None, "a validation is deleted", None);
    }

    fn load(&mut self, walker: &mut Walker, it: Loading<'s>, dice: &mut Dice) -> Step<'s> {
        if self.strikes(Fault::Unreadable, dice) {
            return it.failed();
        }
        if walker.failure.is_none() {
            let case = self.case_of(&walker.ask);
            let solved = case.and_then(|case| case.solved.as_ref());
            let code = match &walker.ask {
                Ask::Token(form) => form.get("code"),
                _ => None,
            };
            walker.sight = Sight {
                denied: self.auditor.denies(&walker.ask),
                is_gone: case.is_some_and(|case| case.is_deleted),
                solved: solved.is_some(),
                stale_at: solved.map(|it| it.renewed_at.plus(self.service.limits.code_duration)),
                is_void: code.is_some() && case.is_some_and(|case| case.code() != code),
            };
        }
        walker.glimpse = self.auditor.glimpse(walker.cause());
        walker.guess = it.guessable().and_then(|id| self.memory.recall(id, dice)).map(Box::new);
        if walker.guess.is_some() {
            assert!(!walker.has_guessed, "I16: a second guess");
            let beside = it.beside().map(|keys| self.records.load(&keys));
            walker.rows = Some(Box::new(beside.unwrap_or_default()));
            return Step::Load(it);
        }
        walker.rounds += 1;
        assert!(walker.rounds <= ROUNDS_MAX, "a request without end");
        let mut rows = self.records.load(it.keys());
        if let Some(count) = it.keys().count
            && self.strikes(Fault::ClientFull, dice)
        {
            rows.count = count.most;
        }
        walker.rows = Some(Box::new(rows));
        Step::Load(it)
    }

    /// The validation that a request is about.
    fn case_of(&self, ask: &Ask) -> Option<&Case> {
        match ask {
            Ask::Info(token) => self.auditor.case_of_token(token),
            Ask::Token(form) => {
                let code = form.get("code")?;
                self.auditor.cases().find(|case| case.gave_out(code))
            }
            ask => self.auditor.case_of(&ask.nonce()?),
        }
    }

    fn decide(
        &mut self,
        walker: &mut Walker,
        it: Loading<'s>,
        rows: Rows,
        dice: &mut Dice,
    ) -> Step<'s> {
        let now = self.clock(walker.site);
        walker.decided_at = now;
        if self.strikes(Fault::Bug, dice) {
            return self.refuse(walker, Refusal::Internal);
        }
        let bytes = self.draw();
        if let Some(row) = walker.guess.take() {
            walker.has_guessed = true;
            self.tell(Some(walker), "guesses", None);
            let guessed = it.guess(*row, rows, now, Entropy::new(bytes));
            let next = guessed.map_or_else(Step::Load, Step::Commit);
            self.auditor.guessed(walker.cause(), &walker.glimpse, &next, now);
            return next;
        }
        let copy = walker.has_guessed.then(|| rows.clone());
        let next = it.loaded(rows, now, Entropy::new(bytes));
        if let Some(rows) = copy {
            let step = Step::begin(&walker.request, self.service, now);
            memory::assert_forgotten(step, rows, now, Entropy::new(bytes), &next);
        }
        let refusal = match &next {
            Step::Respond(response) => response.refusal,
            Step::Load(_) | Step::Commit(_) | Step::Send(_) => None,
        };
        self.tell(Some(walker), "decides", refusal);
        self.auditor.decided(walker.cause(), &walker.glimpse, &next, now);
        assert_ne!(refusal, Some(Refusal::Internal), "a fault of ours");
        if let What::Bent(bend) = walker.errand.what {
            let Step::Respond(response) = &next else { panic!("I9: {bend} writes") };
            let status = response.status.0;
            assert!((400..500).contains(&status), "I9: {bend} is answered {status}");
        }
        next
    }

    fn draw(&mut self) -> [u8; 32] {
        self.draws += 1;
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&self.draws.to_le_bytes());
        bytes
    }

    fn commit(&mut self, walker: &mut Walker, it: Committing<'s>, dice: &mut Dice) -> Step<'s> {
        if it.pays_for_message() && !walker.slot {
            if self.strikes(Fault::OutOfPatience, dice) {
                return it.busy();
            }
            let taken = self.walkers.iter().filter(|(other, _)| other.slot).count();
            if taken >= self.slots {
                return Step::Commit(it); // It waits for its turn.
            }
            walker.slot = true;
            if self.strikes(Fault::HelpersTaken, dice) {
                return it.conflict(); // It had to wait, so its rows may be old.
            }
        }
        if self.strikes(Fault::Unwritable, dice) {
            return it.failed();
        }
        walker.is_outrun |= self.strikes(Fault::Outrun, dice);
        if walker.is_outrun
            || self.strikes(Fault::ConflictMadeUp, dice)
            || self.records.commit(it.write()) == Commit::Conflict
        {
            self.conflicts += 1;
            self.tell(Some(walker), "meets a conflict", None);
            let next = it.conflict();
            self.auditor.contradicted(&next);
            return next;
        }
        self.tell(Some(walker), "commits", None);
        let write = it.write().clone();
        write.row_after().into_iter().for_each(|row| self.memory.keep(row));
        if let What::Bent(bend) = walker.errand.what {
            panic!("I9: {bend} writes");
        }
        if let Some(row) = write.row() {
            self.tally.reached(name_of(&row.progress));
        }
        let next = it.done();
        self.auditor.committed(walker.cause(), &write, &next, walker.decided_at);
        self.auditor.ledger.assert_kept(self.records.balances());
        if self.strikes(Fault::CommitLost, dice) {
            // To the server, it failed.
            return self.refuse(walker, Refusal::StorageUnwritable);
        }
        next
    }

    fn send(&mut self, walker: &mut Walker, it: Sending<'s>, dice: &mut Dice) -> Step<'s> {
        walker.slot = false;
        let message = it.message();
        self.auditor.sent(message);
        let fails = self.strikes(Fault::HelperFails, dice);
        if !fails {
            self.mail.push(Message {
                to: message.address.only_value().unwrap().to_string(),
                about: message.nonce.digest(),
                pin: message.pin.digits().to_string(),
            });
        }
        if !fails && !self.strikes(Fault::HelperLies, dice) {
            self.tell(Some(walker), "sends", None);
            return it.sent();
        }
        self.tell(Some(walker), "sends, and the helper fails", None);
        self.auditor.failed(message);
        walker.failure = Some(Box::new(message.clone()));
        it.failed(Failure::new(*dice.pick(FailureKind::ALL), "status 1"))
    }

    /// Something outside of the steps prevents an answer.
    fn refuse(&self, walker: &Walker, refusal: Refusal) -> Step<'s> {
        Step::Respond(refuse(Some(&walker.request), &refusal.into(), self.service))
    }

    fn respond(&mut self, walker: Walker, mut response: Response, dice: &mut Dice) -> Arrival {
        if matches!(response.body, Body::Page(_)) && self.strikes(Fault::Unrenderable, dice) {
            let refused = Refusal::TemplateBroken.into();
            response = refuse(Some(&walker.request), &refused, self.service);
        }
        let at = walker.decided_at;
        let refusal = response.refusal;
        self.tell(Some(&walker), "is answered", refusal);
        if let Some(refusal) = refusal {
            self.tally.refused(refusal);
        }
        self.auditor.responded(&walker.ask, &response, at);
        assert!(!walker.sight.denied || response.status.0 != 200, "I3: a revoked token is good");
        let gone = walker.sight.is_gone && !matches!(walker.ask, Ask::Info(_));
        assert!(!gone || response.status.0 >= 400, "I8: a deleted validation is answered");
        if let (Some(refusal), false) = (refusal, walker.is_of_others()) {
            self.assert_fair(&walker, refusal, at);
        }
        let lost = self.strikes(Fault::ResponseLost, dice);
        Arrival {
            errand: walker.errand,
            ask: walker.ask,
            response: if lost { None } else { Some(response) },
        }
    }

    /// I12: an honest request is only refused for a reason.
    fn assert_fair(&self, walker: &Walker, refusal: Refusal, at: Timestamp) {
        let case = self.case_of(&walker.ask);
        let granted = case.and_then(|case| case.granted.as_ref());
        let what = walker.errand.what;
        let fair = match refusal {
            Refusal::ClientSecretWrong
            | Refusal::ClientDisabled
            | Refusal::ClientUnknown
            | Refusal::AddressNeverGiven
            | Refusal::AddressReadOnly
            | Refusal::BodyNotForm
            | Refusal::ClientSecretMissing
            | Refusal::ParameterRepeated
            | Refusal::RedirectUriForeign
            | Refusal::RedirectUriMismatch
            | Refusal::RequestFixed
            | Refusal::RequestNotPushed
            | Refusal::ResponseTypeUnsupported
            | Refusal::TokenForeign
            | Refusal::VerifierMismatch => false,
            // People leave fields empty, and mistype.
            Refusal::ParameterMalformed | Refusal::ParameterMissing => {
                matches!(what, What::Address | What::Code)
            }
            Refusal::RequestUriUnknown => {
                walker.sight.is_gone || !self.auditor.leads(&walker.ask, &walker.glimpse, at)
            }
            Refusal::ValidationUnknown | Refusal::ValidationUnknownToCode => {
                case.is_some_and(|case| case.opened.expires <= at || case.is_deleted)
            }
            Refusal::CodeMismatch => walker.sight.is_void,
            Refusal::CodeSpent => granted.is_some(),
            Refusal::CodeExpired => walker.sight.stale_at.is_some_and(|stale_at| stale_at <= at),
            Refusal::GrantUnknown => {
                case.is_some_and(|case| !case.has_token())
                    || granted.is_some_and(|(grant, _)| grant.expires <= at)
            }
            Refusal::PinInvalid | Refusal::TooManyAttempts | Refusal::HelperFailed => {
                !walker.sight.solved
            }
            _ => true,
        };
        assert!(fair, "I12: an honest {what:?} is refused: {refusal:?}");
    }

    fn tell(&mut self, walker: Option<&Walker>, event: &'static str, refusal: Option<Refusal>) {
        let request = walker.map(|walker| (walker.number, walker.errand));
        self.history.add(self.now, request, event, refusal);
    }
}
