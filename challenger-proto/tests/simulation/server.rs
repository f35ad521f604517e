//! A server of which every beat is visible: it does what `challenger-server/src/responder.rs` does,
//! for many requests at once, each advanced by one beat at a time.

use std::collections::VecDeque;

use challenger_proto::http::{Body, Request, Response};
use challenger_proto::{
    Commit, Entropy, Loaded, NonceDigest, Outcome, Plan, Records, Refusal, Service, Span,
    Timestamp, Transmission, route,
};

use super::dice::Dice;
use super::faults::{Fault, Weather};
use super::tally::Tally;
use crate::audit::{Ask, Auditor, Case, Cause, name_of, row_of};
use crate::world;

/// Fewer than the server grants, so that some requests use them up.
const ROUNDS_MAX: usize = 4;
/// How much of the past a failure tells.
const TOLD: usize = 40;

/// Who asks for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errand {
    /// The number of the actor.
    pub(crate) who: usize,
    pub(crate) what: What,
}

/// What an honest request is for, or that it is not honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Address,
    /// One thing is bent, and nothing may come of it.
    Bent(&'static str),
    Code,
    Info,
    /// Somebody's who wants what is not due to them, by requests that look honest.
    Other(&'static str),
    Setup,
    Token,
    Visit,
}

/// What comes back.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) errand: Errand,
    pub(crate) ask: Ask,
    /// `None` if it was lost.
    pub(crate) response: Option<Response>,
}

/// A message in somebody's mailbox.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) to: String,
    pub(crate) about: NonceDigest,
    pub(crate) pin: String,
}

/// What a request does next.
#[derive(Debug)]
enum Beat {
    Commit(Box<Outcome>, Timestamp),
    Decide(Box<Loaded>),
    Load,
    Respond(Box<Response>, Timestamp),
    Send(Box<Transmission>, Box<Response>, Timestamp),
}

/// What the auditor knew when the rows were read: whatever is decided on them, this was true.
#[derive(Clone, Copy, Debug, Default)]
struct Sight {
    /// The token was taken back.
    denied: bool,
    solved: bool,
    /// When the code goes stale.
    stale_at: Option<Timestamp>,
    /// The PIN was entered again since, so that there is another code.
    is_void: bool,
}

/// A request on its way.
#[derive(Debug)]
struct Walker {
    number: usize,
    errand: Errand,
    request: Request,
    ask: Ask,
    plan: Plan,
    /// The message that could not be delivered, once that is so.
    failure: Option<Box<Transmission>>,
    beat: Beat,
    sight: Sight,
    rounds: usize,
    /// Whether it holds one of the places for helpers.
    slot: bool,
}

impl Walker {
    const fn cause(&self) -> Cause<'_> {
        match &self.failure {
            Some(send) => Cause::Failure(send),
            None => Cause::Request(&self.ask),
        }
    }
}

/// A line of the history.
#[derive(Debug)]
struct Line {
    now: Timestamp,
    number: usize,
    errand: Option<Errand>,
    event: &'static str,
    refusal: Option<Refusal>,
}

/// The server, its store and its helper, and who watches them.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) service: Service,
    pub(crate) auditor: Auditor,
    pub(crate) weather: Weather,
    pub(crate) tally: Tally,
    pub(crate) now: Timestamp,
    pub(crate) mail: Vec<Message>,
    pub(crate) crashes: usize,
    records: Records,
    walkers: Vec<Walker>,
    slots: usize,
    draws: u64,
    came: usize,
    history: VecDeque<Line>,
}

impl Server {
    pub(crate) fn new(service: Service, weather: Weather, slots: usize) -> Self {
        Self {
            auditor: world::auditor(&service.limits),
            service,
            weather,
            tally: Tally::default(),
            now: world::START,
            mail: Vec::new(),
            crashes: 0,
            records: world::records(),
            walkers: Vec::new(),
            slots,
            draws: 0,
            came: 0,
            history: VecDeque::with_capacity(TOLD),
        }
    }

    pub(crate) fn walkers(&self) -> usize {
        self.walkers.len()
    }

    /// A request arrives.
    pub(crate) fn come(&mut self, errand: Errand, request: Request) {
        let plan = route(&request);
        self.auditor.assert_hidden(&plan);
        self.came += 1;
        let walker = Walker {
            number: self.came,
            errand,
            ask: Ask::read(&request),
            request,
            plan,
            failure: None,
            beat: Beat::Load,
            sight: Sight::default(),
            rounds: 0,
            slot: false,
        };
        self.tell(Some(&walker), "comes", None);
        self.walkers.push(walker);
    }

    /// Time goes by, or leaps.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Span::seconds(seconds));
        self.tell(None, "time passes", None);
    }

    pub(crate) fn set_back(&mut self, seconds: u64) {
        self.now = Timestamp::from_seconds(self.now.seconds() - seconds);
        self.tell(None, "the clock is set back", None);
    }

    /// Whether a fault strikes, where it could.
    pub(crate) fn strikes(&mut self, fault: Fault, dice: &mut Dice) -> bool {
        let strikes = self.weather.strikes(fault, dice);
        if strikes {
            self.tally.struck(fault);
        }
        strikes
    }

    /// Somebody's request advances by one beat, or all are lost.
    pub(crate) fn advance(&mut self, dice: &mut Dice) -> Vec<Arrival> {
        self.tally.beats += 1;
        if self.strikes(Fault::Crash, dice) {
            return self.crash();
        }
        let mut walker = self.walkers.swap_remove(dice.below(self.walkers.len()));
        walker.beat = match std::mem::replace(&mut walker.beat, Beat::Load) {
            Beat::Load => self.load(&mut walker, dice),
            Beat::Decide(loaded) => self.decide(&mut walker, *loaded, dice),
            Beat::Commit(outcome, at) => self.commit(&mut walker, *outcome, at, dice),
            Beat::Send(send, response, at) => self.send(&mut walker, *send, response, at, dice),
            Beat::Respond(response, at) => return vec![self.respond(walker, *response, at, dice)],
        };
        self.walkers.push(walker);
        Vec::new()
    }

    fn crash(&mut self) -> Vec<Arrival> {
        self.tell(None, "crash", None);
        self.crashes += 1;
        let lost =
            |walker: Walker| Arrival { errand: walker.errand, ask: walker.ask, response: None };
        self.walkers.drain(..).map(lost).collect()
    }

    fn load(&mut self, walker: &mut Walker, dice: &mut Dice) -> Beat {
        let load = walker.plan.load(self.now, &self.service);
        if load.is_empty() {
            return Beat::Decide(Box::default());
        }
        if self.strikes(Fault::Unreadable, dice) {
            return self.stop(walker, Refusal::StorageUnreadable);
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
                solved: solved.is_some(),
                stale_at: solved.map(|it| it.renewed_at.plus(self.service.limits.code_duration)),
                is_void: code.is_some() && case.is_some_and(|case| case.code() != code),
            };
        }
        let mut loaded = self.records.load(&load);
        if let Some(count) = load.count
            && self.strikes(Fault::ClientFull, dice)
        {
            loaded.count = count.most;
        }
        Beat::Decide(Box::new(loaded))
    }

    /// Whose validation a request is about.
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

    fn decide(&mut self, walker: &mut Walker, loaded: Loaded, dice: &mut Dice) -> Beat {
        if self.strikes(Fault::Bug, dice) {
            return self.stop(walker, Refusal::Internal);
        }
        let entropy = self.draw();
        let outcome = walker.plan.decide(loaded, self.now, entropy, &self.service);
        self.tell(Some(walker), "decides", outcome.response.refusal);
        self.auditor.decided(walker.cause(), &outcome, self.now);
        assert_ne!(outcome.response.refusal, Some(Refusal::Internal), "a fault of ours");
        if let What::Bent(bend) = walker.errand.what {
            assert!(outcome.write.is_none(), "I9: {bend} writes");
            let status = outcome.response.status.0;
            assert!((400..500).contains(&status), "I9: {bend} is answered {status}");
        }
        if let Some(send) = &outcome.send {
            let taken = self.walkers.iter().filter(|other| other.slot).count();
            if taken >= self.slots || self.strikes(Fault::HelpersTaken, dice) {
                if self.strikes(Fault::OutOfPatience, dice) {
                    walker.plan = send.clone().postponed();
                }
                // Its turn comes, or not: either way it decides on fresh rows.
                return Beat::Load;
            }
            walker.slot = true;
        }
        if outcome.write.is_none() {
            return Beat::Respond(Box::new(outcome.response), self.now);
        }
        Beat::Commit(Box::new(outcome), self.now)
    }

    fn draw(&mut self) -> Entropy {
        self.draws += 1;
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&self.draws.to_le_bytes());
        Entropy::new(bytes)
    }

    fn commit(
        &mut self,
        walker: &mut Walker,
        outcome: Outcome,
        at: Timestamp,
        dice: &mut Dice,
    ) -> Beat {
        if self.strikes(Fault::Unwritable, dice) {
            return self.stop(walker, Refusal::StorageUnwritable);
        }
        let write = outcome.write.as_ref().unwrap();
        if self.strikes(Fault::ConflictMadeUp, dice)
            || self.records.commit(write) == Commit::Conflict
        {
            self.tell(Some(walker), "meets a conflict", None);
            return self.look_again(walker);
        }
        self.tell(Some(walker), "commits", None);
        self.tally.reached(name_of(&row_of(write).progress));
        self.auditor.committed(walker.cause(), &outcome, at);
        if self.strikes(Fault::CommitLost, dice) {
            return self.stop(walker, Refusal::StorageUnwritable);
        }
        match outcome.send {
            Some(send) => Beat::Send(Box::new(send), Box::new(outcome.response), at),
            None => Beat::Respond(Box::new(outcome.response), at),
        }
    }

    fn send(
        &mut self,
        walker: &mut Walker,
        send: Transmission,
        response: Box<Response>,
        at: Timestamp,
        dice: &mut Dice,
    ) -> Beat {
        self.auditor.sent(&send);
        let fails = self.strikes(Fault::HelperFails, dice);
        if !fails {
            self.mail.push(Message {
                to: send.address.only_value().unwrap().to_string(),
                about: send.nonce.digest(),
                pin: send.secret.digits().to_string(),
            });
        }
        if !fails && !self.strikes(Fault::HelperLies, dice) {
            self.tell(Some(walker), "sends", None);
            return Beat::Respond(response, at);
        }
        self.tell(Some(walker), "sends, and the helper fails", None);
        self.auditor.failed(&send);
        walker.plan = send.clone().undelivered("status 1");
        walker.failure = Some(Box::new(send));
        self.look_again(walker)
    }

    /// Another round, if there is one.
    fn look_again(&self, walker: &mut Walker) -> Beat {
        walker.slot = false;
        walker.rounds += 1;
        if walker.rounds < ROUNDS_MAX { Beat::Load } else { self.stop(walker, Refusal::Contention) }
    }

    /// Something outside the protocol stands in the way.
    fn stop(&self, walker: &mut Walker, refusal: Refusal) -> Beat {
        walker.slot = false;
        let response = walker.plan.refuse(&refusal.into(), &self.service);
        Beat::Respond(Box::new(response), self.now)
    }

    fn respond(
        &mut self,
        walker: Walker,
        mut response: Response,
        at: Timestamp,
        dice: &mut Dice,
    ) -> Arrival {
        if matches!(response.body, Body::Page(_)) && self.strikes(Fault::Unrenderable, dice) {
            let refused = Refusal::TemplateBroken.into();
            response = challenger_proto::refuse(Some(&walker.request), &refused, &self.service);
        }
        let refusal = response.refusal;
        self.tell(Some(&walker), "is answered", refusal);
        if let Some(refusal) = refusal {
            self.tally.refused(refusal);
        }
        self.auditor.responded(&walker.ask, &response, at);
        assert!(!walker.sight.denied || response.status.0 != 200, "I3: a revoked token is good");
        if let (Some(refusal), false) = (refusal, is_of_others(&walker)) {
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
            | Refusal::ClientUnknown
            | Refusal::AddressNeverGiven
            | Refusal::AddressReadOnly
            | Refusal::RedirectUriForeign
            | Refusal::RedirectUriMismatch
            | Refusal::VerifierMismatch => false,
            Refusal::ValidationUnknown | Refusal::ValidationUnknownToCode => {
                case.is_some_and(|case| case.opened.expires <= at)
            }
            Refusal::CodeMismatch => walker.sight.is_void,
            Refusal::CodeSpent => granted.is_some(),
            Refusal::CodeExpired => walker.sight.stale_at.is_some_and(|stale_at| stale_at <= at),
            Refusal::GrantUnknown => {
                case.is_some_and(|case| case.is_revoked)
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
        if self.history.len() == TOLD {
            self.history.pop_front();
        }
        let (number, errand) = walker.map_or((0, None), |it| (it.number, Some(it.errand)));
        self.history.push_back(Line { now: self.now, number, errand, event, refusal });
    }

    /// What happened last, for people.
    pub(crate) fn print_history(&self) {
        for Line { now, number, errand, event, refusal } in &self.history {
            let seconds = now.since(world::START).as_seconds();
            let refusal = refusal.map_or(String::new(), |it| format!(": {it:?}"));
            match errand {
                None => println!("{seconds:6} s  {event}"),
                Some(Errand { who, what }) => {
                    println!("{seconds:6} s  #{number} actor {who}, {what:?}, {event}{refusal}");
                }
            }
        }
    }
}

const fn is_of_others(walker: &Walker) -> bool {
    matches!(walker.errand.what, What::Bent(_) | What::Other(_))
}
