//! One state of the walk: a store, a clock, an auditor, and the messages whose fate is open.
#![allow(clippy::disallowed_types, reason = "a test may keep state")]

mod checks;
mod guesses;
mod owed;
mod start;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use challenger_proto::http::{Body, Request, Response};
use challenger_proto::machine::{Progress, Validation};
use challenger_proto::secret::{Nonce, NonceDigest};
use challenger_proto::store::{Commit, Keys, Records, Rows};
use challenger_proto::{Entropy, Loading, Service, Span, Step, Timestamp, Transmission};

use challenger_testkit::audit::{
    Ask, Auditor, Case, Cause, Round, Way, led_to, name_of, query_of, redirect_of,
};
use challenger_testkit::world;
use checks::Bent;
use owed::Owed;
pub(crate) use start::{Letter, Start};

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const A: &str = "ada@example.com";
const B: &str = "bob@example.com";
/// Another spelling of the first one's mailbox.
const A_TAGGED: &str = "Ada+x@example.com";
/// A PKCE verifier of the least length, sent as a plain challenge.
const VERIFIER: &str = "a-plain-verifier-of-forty-three-characters.";
const STATE: &str = "one & only=?";
/// What the token is drawn from, so that its text is known beforehand.
const TOKEN_SEED: u8 = 200;

/// What a letter did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Move {
    /// Whether anything is different now.
    pub(crate) moved: bool,
    /// The verb whose transition was written.
    pub(crate) wrote: Option<&'static str>,
    /// The status of a refusal.
    pub(crate) refused: Option<u16>,
}

/// A message whose fate is open, as the decision that it came from: decided again, it is the same.
#[derive(Clone)]
struct Pending {
    request: Request,
    rows: Rows,
    at: Timestamp,
    seed: u8,
    message: Transmission,
}

impl Pending {
    /// What follows if it could not be sent.
    fn failed(&self, service: &'static Service) -> Loading<'static> {
        let Self { request, rows, at, seed, .. } = self;
        let sending = world::sending(request, rows.clone(), *at, *seed, service).unwrap();
        world::undelivered(sending)
    }
}

#[derive(Clone)]
pub(crate) struct Node {
    start: Start,
    // It lives as long as the test.
    service: &'static Service,
    records: Records,
    auditor: Auditor,
    now: Timestamp,
    nonce: String,
    /// The row's name, which follows from the nonce.
    id: NonceDigest,
    /// The latest message, unless the helper reported that it failed.
    pending: Option<Pending>,
    /// A message before that, whose fate matters if it is the latest to its address.
    outdated: Option<Pending>,
    /// The row before the latest write, as a server may remember it. It changes nothing, so it
    /// is not in the key.
    old: Option<Validation>,
    /// The bent requests, which depend on few things and take long to make.
    bent: Rc<RefCell<BTreeMap<String, Rc<[Bent]>>>>,
}

impl Node {
    pub(crate) fn new(start: Start) -> Self {
        let service: &'static Service = Box::leak(Box::new(start.service()));
        // Without a budget, no client is open.
        let budgets = [(start == Start::Direct).then_some(1000), None];
        let mut node = Self {
            start,
            auditor: world::auditor_with(service, budgets),
            service,
            records: world::records_with(budgets),
            now: world::START,
            nonce: String::new(),
            id: NonceDigest::from_bytes([0; 32]),
            pending: None,
            outdated: None,
            old: None,
            bent: Rc::default(),
        };
        let (response, _) = node.ask(&start.request(), 7);
        let nonce = world::member(&response, "nonce");
        let uri = world::member(&response, "request_uri");
        let uri = uri.and_then(|uri| Some(uri.rsplit_once(':')?.1.to_string()));
        let link = led_to(&response).map(ToString::to_string);
        node.nonce = nonce.or(uri).or(link).unwrap();
        node.id = Nonce::parse(&node.nonce).unwrap().digest();
        node
    }

    const fn accept(&self) -> &'static str {
        match self.start {
            Start::Blank | Start::Scarce | Start::Pushed => JSON,
            Start::Proposed | Start::Fixed | Start::Spelled | Start::Direct => HTML,
        }
    }

    fn case(&self) -> &Case {
        self.auditor.case_of(&self.id).unwrap()
    }

    fn row(&self) -> Validation {
        let load = Keys { validation: Some(self.id), ..Keys::default() };
        self.records.load(&load).validation.unwrap()
    }

    pub(crate) fn progress(&self) -> &'static str {
        name_of(&self.row().progress)
    }

    /// Everything on which the future depends, in the row, in the auditor and in between. Versions
    /// count writes and so would never meet again; of points in time only the distance matters.
    pub(crate) fn key(&self) -> String {
        let row = self.row();
        let ago = |at: Timestamp| self.now.since(at).as_seconds().min(100);
        let mut key = format!("{:?} {} {}", self.now, row.addresses_left, row.refunds_left);
        key.push_str(if row.authorization.is_some() { " authorized" } else { "" });
        match &row.progress {
            Progress::Open => {}
            Progress::Challenged(it) => {
                let (left, attempts) = (it.transmissions_left, it.attempts_left);
                write!(key, " C {:?} {:?}", it.address.only_value(), it.salt.as_bytes().first())
                    .unwrap();
                write!(key, " {:?} {left} {attempts}", it.sent_at.map(ago)).unwrap();
            }
            Progress::Solved(it) => {
                write!(key, " S {:?} {}", it.salt.as_bytes().first(), ago(it.renewed_at)).unwrap();
            }
            Progress::Redeemed { at, .. } => write!(key, " R {}", ago(*at)).unwrap(),
            Progress::Revoked(_) => key.push_str(" X"),
        }
        let case = self.case();
        let fate = (case.is_revoked, case.is_given_up);
        write!(key, " | {} {} {fate:?}", case.paid, case.refunds).unwrap();
        // Those that cannot come back matter to messages on their way alone.
        let can_change = case.paid < u32::from(self.service.limits.address_changes);
        let left = case.left.iter().filter(|_| can_change);
        for round in left.chain(&case.round).filter(|_| case.solved.is_none()) {
            let times = [round.latest, round.waits_from].map(|it| it.map(ago));
            write!(key, " {:?}", round.address.only_value()).unwrap();
            write!(key, " {} {} {} {times:?}", round.pin, round.charges, round.guesses).unwrap();
        }
        if let Some(solved) = &case.solved {
            write!(key, " {}", ago(solved.renewed_at)).unwrap();
        }
        let follows = |it: &Pending| Some(self.forgiven(&it.message)?.guesses_before);
        let fate = self.pending.as_ref().map(follows);
        write!(key, " {fate:?}").unwrap();
        if self.start == Start::Spelled {
            let fate = self.outdated.as_ref().map(|it| (it.message.pin.digits(), follows(it)));
            write!(key, " {fate:?}").unwrap();
        }
        if self.start == Start::Scarce {
            let charged = self.pending.as_ref().map(|it| ago(it.at));
            let attempts = self.service.limits.pin_attempts.get().into();
            write!(key, " {charged:?} {}", self.auditor.ledger.key(self.now, attempts)).unwrap();
        }
        key
    }

    /// Takes a step, if it makes sense here.
    pub(crate) fn take(&mut self, letter: Letter) -> Move {
        match letter {
            Letter::Authorize => self.authorize(),
            Letter::Challenge(address) => self.challenge(address),
            Letter::Discard => self.discard(),
            Letter::Fail => {
                let message = self.pending.take();
                self.fail(message)
            }
            Letter::FailLate => {
                let message = self.outdated.take();
                self.fail(message)
            }
            Letter::Redeem => self.redeem(),
            Letter::RedeemLate => {
                self.now = self.now.plus(Span::seconds(11));
                self.redeem()
            }
            Letter::SolveRight => self.solve_right(),
            Letter::SolveWrong => self.solve_wrong(),
            Letter::Wait => {
                self.now = self.now.plus(self.service.limits.retransmission_interval);
                Move { moved: self.now < self.case().opened.expires, ..Move::default() }
            }
        }
    }

    /// Asks for the client, or, where a request stays, as somebody who would replace it.
    fn authorize(&mut self) -> Move {
        let stays = self.case().way != Way::Setup;
        let more = if stays { "&state=mallory".to_string() } else { self.start.asked() };
        let request = world::authorize(&self.nonce, 1, &more, self.accept());
        let step = self.step("authorize", &request, 0);
        if stays {
            let refused = (self.case().solved.is_none()).then_some(400);
            assert_eq!((step.wrote, step.refused), (None, refused), "I17: in {}", self.key());
        }
        step
    }

    /// Gives the token up, if there is one: also if it was given up before.
    fn discard(&mut self) -> Move {
        let had_token = self.case().has_token();
        let token = Nonce::draw(Entropy::new([TOKEN_SEED; 32])).to_text();
        let [client, other] = &world::CLIENTS;
        let (response, wrote) = self.ask(&world::about_token("/revoke", other, &token), 0);
        let found = (response.status.0, wrote);
        assert_eq!(found, (if had_token { 400 } else { 200 }, false), "I20: in {}", self.key());
        let (response, wrote) = self.ask(&world::about_token("/revoke", client, &token), 0);
        assert_eq!((response.status.0, wrote), (200, had_token), "I20: in {}", self.key());
        Move { moved: wrote, ..Move::default() }
    }

    /// Submits an address, and checks what the history owes to the person.
    fn challenge(&mut self, address: &str) -> Move {
        let owed = self.owed_to_challenge(address);
        let rounds = self.case().pins().count();
        let first = match address {
            A => 20,
            B => 40,
            _ => 60,
        };
        let seed = u8::try_from(rounds).unwrap() + first;
        let request = world::challenge(&self.nonce, address, self.accept());
        let seen = self.auditor.glimpse(Cause::Request(&Ask::read(&request)));
        let is_full = seen.payers.full_until(self.now).is_some();
        let step = self.step("challenge", &request, seed);
        let owed = match owed {
            // Over budget, nothing changes, not even the address.
            Owed { sends: true, .. } if is_full => Owed::refused(429),
            owed => owed,
        };
        let found = (step.wrote.is_some(), step.refused);
        assert_eq!(found, (owed.wrote, owed.refused), "{address} in {}", self.key());
        step
    }

    fn solve_right(&mut self) -> Move {
        let pin = self.case().round.as_ref().map_or("12345678", Round::pin_or_guess).to_string();
        let case = self.case();
        // Twice within ten seconds is once.
        let stale = case
            .solved
            .as_ref()
            .is_some_and(|solved| self.now.since(solved.renewed_at) > Span::seconds(10));
        let owed = match self.owed_to_guess() {
            None => (stale && case.granted.is_none(), None),
            Some((true, _)) => (true, None),
            Some(refused) => refused,
        };
        let step = self.step("solve", &world::solve(&self.nonce, &pin, self.accept()), 0);
        assert_eq!((step.wrote.is_some(), step.refused), owed, "the right PIN in {}", self.key());
        step
    }

    /// Guesses: the PIN of another address if there was one.
    fn solve_wrong(&mut self) -> Move {
        let case = self.case();
        let right = case.round.as_ref().map_or("", |round| &round.pin);
        let wrong = case.pins().find(|pin| !pin.contains('-') && *pin != right);
        let wrong = wrong.unwrap_or("00000000").to_string();
        let owed = self.owed_to_guess().unwrap_or((false, None));
        let step = self.step("solve", &world::solve(&self.nonce, &wrong, self.accept()), 0);
        assert_eq!((step.wrote.is_some(), step.refused), owed, "a wrong PIN in {}", self.key());
        step
    }

    fn redeem(&mut self) -> Move {
        let owed = self.owed_to_redeem();
        let (code, verifier) = (self.code(), self.case().request.verifier.clone());
        let redemption = world::Redemption::honest(&code, verifier.as_deref());
        let step = self.step("redeem", &redemption.request(), TOKEN_SEED);
        assert_eq!((step.wrote.is_some(), step.refused), owed, "the code in {}", self.key());
        step
    }

    /// The code, or before there is one a text that could be it.
    fn code(&self) -> String {
        let case = self.case();
        let name = Nonce::draw(Entropy::new(*case.opened.id.as_bytes())).to_text();
        case.code().map_or_else(|| format!("{name}-{}", "0".repeat(52)), ToString::to_string)
    }

    /// A message's fate becomes known.
    fn fail(&mut self, pending: Option<Pending>) -> Move {
        let Some(pending) = pending else { return Move::default() };
        let message = &pending.message;
        self.auditor.failed(message);
        let case = self.case();
        let forgiven = self.forgiven(message).is_some();
        let left = case.refunds < u32::from(self.service.limits.refunds);
        let noted = case.solved.is_none() && self.now < case.opened.expires;
        let refunds = case.refunds + u32::from(noted && forgiven && left);
        let step = Step::Load(pending.failed(self.service));
        let (response, wrote) = self.carry_out(Cause::Failure(message), step, 0, |_, _| None);
        assert_eq!((wrote, response.status.0), (noted, 502), "a failure in {}", self.key());
        assert_eq!(self.case().refunds, refunds, "a refund in {}", self.key());
        Move { moved: true, wrote: wrote.then_some("undelivered"), refused: Some(502) }
    }

    /// Whether a message is the latest one to its address and was not used, so that its failure is
    /// forgiven: then its round.
    fn forgiven(&self, message: &Transmission) -> Option<&Round> {
        let case = self.case();
        let mut rounds = case.left.iter().chain(&case.round);
        rounds.find(|it| it.pin == message.pin.digits() && it.gives_back(message.now))
    }

    fn step(&mut self, verb: &'static str, request: &Request, seed: u8) -> Move {
        let (response, wrote) = self.ask(request, seed);
        let status = response.status.0;
        if status < 400 && self.case().solved.is_some() && verb != "authorize" && verb != "redeem" {
            let done = self.case().granted.is_some() && self.accept() == HTML;
            let url = redirect_of(&response);
            assert_eq!(url.is_none(), done, "a solved one leads back");
            let code = url.and_then(|url| query_of(&url).get("code").map(ToString::to_string));
            assert!(done || code.as_deref() == self.case().code(), "I6: not the latest code");
        }
        Move {
            moved: wrote,
            wrote: wrote.then_some(verb),
            refused: (status >= 400).then_some(status),
        }
    }

    fn ask(&mut self, request: &Request, seed: u8) -> (Response, bool) {
        let ask = Ask::read(request);
        let wants_page = request.header("Accept") == Some(HTML);
        let step = Step::begin(request, self.service, self.now);
        self.check_right_guess(request, seed);
        let at = self.now;
        let pending =
            |rows, message| Some(Pending { request: request.clone(), rows, at, seed, message });
        let (response, wrote) = self.carry_out(Cause::Request(&ask), step, seed, pending);
        let is_page = matches!(response.body, Body::Page(_) | Body::Empty);
        let is_empty = ask.opens() || matches!(ask, Ask::Revoke(_));
        assert!(is_empty || is_page == wants_page, "pages for people, JSON for programs");
        self.auditor.responded(&ask, &response, self.now);
        (response, wrote)
    }

    /// Carries out what a step needs, and says whether anything was written.
    fn carry_out(
        &mut self,
        cause: Cause<'_>,
        mut step: Step<'static>,
        seed: u8,
        pending: impl Fn(Rows, Transmission) -> Option<Pending>,
    ) -> (Response, bool) {
        let (mut wrote, mut rows) = (false, Rows::default());
        loop {
            self.auditor.assert_hidden(&step);
            step = match step {
                Step::Load(it) => {
                    let it = self.guess_wrong(cause, it, seed);
                    rows = self.records.load(it.keys());
                    let step = it.loaded(rows.clone(), self.now, Entropy::new([seed; 32]));
                    self.auditor.decided(cause, &self.auditor.glimpse(cause), &step, self.now);
                    step
                }
                Step::Commit(it) => {
                    let write = it.write().clone();
                    let named = Keys { validation: Some(self.id), ..Keys::default() };
                    if write.row().is_some() {
                        self.old = self.records.load(&named).validation;
                    }
                    assert_eq!(self.records.commit(&write), Commit::Done);
                    wrote = true;
                    let step = it.done();
                    self.auditor.committed(cause, &write, &step, self.now);
                    self.auditor.ledger.assert_kept(self.records.balances());
                    step
                }
                Step::Send(it) => {
                    self.auditor.sent(it.message());
                    let sent = pending(rows.clone(), it.message().clone());
                    let before = std::mem::replace(&mut self.pending, sent);
                    self.outdated = before.or_else(|| self.outdated.take());
                    it.sent()
                }
                Step::Respond(response) => return (response, wrote),
            };
        }
    }
}
