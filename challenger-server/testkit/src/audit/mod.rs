//! The auditor: watches requests, commits, messages and answers from outside, and asserts what must
//! hold whatever the interleaving.
//!
//! It never believes a row's own counters or progress; it counts what it saw. It needs nothing but
//! the core's public interface, so that tests, simulation and fuzz targets can share it.
//! Clients must authenticate in the form for it to follow them, and PINs must be ASCII.
//!
//! - I1 A validation runs the helper at most (addresses + 1 if prefilled) × transmissions + refunds
//!   times, of which at most (addresses + 1 if prefilled) × transmissions reported success. A form
//!   that says it saw another budget sends none to the same address. No mailbox gets two messages
//!   within the interval, however it is spelled and whatever address was in between, unless the
//!   first one was given back.
//! - I2 At most `attempts` guesses are judged for each message, and none of such an old form.
//! - I3 A validation yields one grant at most.
//! - I4 A solve is first accepted on the secret that was sent, and the grant's address is where it
//!   was sent.
//! - I5 Every redirect, and every link of a page back to the client, goes to the registered URI,
//!   with that request's state, and with the issuer if the service has one.
//! - I6 A solution has one code, also if it is asked for twice within ten seconds. Once another
//!   replaced it, it buys nothing and is not given out again.
//! - I7 No message without a committed write, and write before send.
//! - I8 An expired or deleted validation is only refused, and never written.
//! - I9 A bent request writes nothing. What a client presents with a code has to fit the request:
//!   its secret, the verifier, and the redirect URI, unless the request left that out.
//! - I10 Versions rise by one with each commit, and no transition touches them.
//! - I11 No secret in any answer but its own, none in any `Debug`.
//! - I13 The messages of an account in a window never exceed its budget, however an address is
//!   spelled; those that failed and were given back do not count. The store's balances are those
//!   that were seen.
//! - I14 At most `attempts` guesses are judged at an address for each message that it paid for, in
//!   all validations together. So there are at most attempts × budget × windows.
//! - I15 A message is only too many if somebody's budget was spent, and the answer says until when.
//! - I16 No answer rests on a row that is only remembered: a guess leads to a commit or back to the
//!   load, each request guesses once at most, and after a conflict it loads.
//!
//! - I17 The request that was pushed, or that a browser began with, stays, whatever is sent later.
//! - I18 A `request_uri` leads only to its own validation, only for its client, only in its 300
//!   seconds, and only as long as no message was asked for.
//! - I19 A browser begins without a pushed request only for an open client with a budget.
//! - I20 Only its client can revoke a token, or learns anything about it. Then it opens nothing.
//! - I21 Questions change nothing: `/info`, `/introspect`, `/status`, a `request_uri`, and
//!   `/authorize/$NONCE` without parameters. `/status` says what is true, and shows no address.
//! - I22 The subject is the same for a client and an address, and differs between any two.
//! - I23 A page offers a code form, another message or a change of the address only if it works. A
//!   link leads to the form that the person needs; when nothing is left, to the page that says so.
//!
//! I12, that honest people get through, is judged by the simulation, which plays them.

mod answer;
mod ask;
mod case;
mod ledger;
mod offers;
mod questions;
mod request;
mod round;

use std::collections::BTreeMap;
use std::fmt::Debug;

use challenger_proto::http::{Body, Response};
use challenger_proto::machine::{Limits, Progress, Validation};
use challenger_proto::oauth::ClientId;
use challenger_proto::secret::{Nonce, NonceDigest, TokenDigest};
use challenger_proto::store::Write;
use challenger_proto::{Refusal, Service, Step, Timestamp, Transmission};

use answer::{judges, member, shows, text_of};
pub use answer::{led_to, query_of, redirect_of};
pub use ask::Ask;
use case::address_of;
pub use case::{Case, Solved};
pub use ledger::{Ledger, Payers};
pub use questions::Stand;
use questions::{Subjects, opening};
pub use request::{Asked, Registered, Way};
pub use round::{Round, is_early};

/// The challenge by hash of which the auditor knows the verifier (RFC 7636, appendix B).
pub const S256_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const S256_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Why something was decided.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// The helper failed with this message.
    Failure(&'a Transmission),
    /// Somebody asked.
    Request(&'a Ask),
}

/// The auditor's knowledge when the rows of a request were read: whatever is decided on them, this
/// was true.
#[derive(Clone, Debug, Default)]
pub struct Glimpse {
    /// Those who pay for a message.
    pub payers: Payers,
    pub stand: Option<Stand>,
    /// Whether the token opened something, as long as its time is not over.
    has_token: bool,
}

/// Watches a service.
#[derive(Clone, Debug)]
pub struct Auditor {
    limits: Limits,
    issuer: Option<String>,
    pub ledger: Ledger,
    clients: BTreeMap<ClientId, Registered>,
    cases: BTreeMap<NonceDigest, Case>,
    tokens: BTreeMap<String, NonceDigest>,
    subjects: Subjects,
}

impl Auditor {
    /// An auditor that has seen nothing yet.
    pub fn new(service: &Service) -> Self {
        Self {
            limits: service.limits.clone(),
            issuer: service.issuer.clone(),
            ledger: Ledger::new(&service.budgets),
            clients: BTreeMap::new(),
            cases: BTreeMap::new(),
            tokens: BTreeMap::new(),
            subjects: Subjects::default(),
        }
    }

    /// Learns about a client from its registration.
    pub fn know(&mut self, id: ClientId, registered: Registered) {
        self.clients.insert(id, registered);
    }

    /// The auditor's knowledge of a validation.
    pub fn case(&self, nonce: &str) -> Option<&Case> {
        self.case_of(&Nonce::parse(nonce)?.digest())
    }

    /// A validation, by the name of its row.
    pub fn case_of(&self, id: &NonceDigest) -> Option<&Case> {
        self.cases.get(id)
    }

    /// All validations.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }

    /// Whether a request that loads now must not be answered 200: its token was revoked.
    pub fn denies(&self, ask: &Ask) -> bool {
        let Ask::Info(token) = ask else { return false };
        self.case_of_token(token).is_some_and(|case| !case.has_token())
    }

    /// The validation that an access token came from.
    pub fn case_of_token(&self, token: &str) -> Option<&Case> {
        self.cases.get(self.tokens.get(token)?)
    }

    /// To be called when rows are read for a request.
    pub fn glimpse(&self, cause: Cause<'_>) -> Glimpse {
        let ask = match cause {
            Cause::Failure(_) => return Glimpse::default(),
            Cause::Request(ask) => ask,
        };
        let mut glimpse = Glimpse::default();
        match ask {
            Ask::Challenge(nonce, form) => {
                let (case, address) = (self.cases.get(nonce), address_of(form));
                let payers =
                    case.zip(address).map(|(it, to)| self.ledger.glimpse(&to, it.opened.client));
                glimpse.payers = payers.unwrap_or_default();
            }
            Ask::Introspect(form) => {
                let case = form.get("token").and_then(|token| self.case_of_token(token));
                glimpse.has_token = case.is_some_and(Case::has_token);
            }
            _ => {}
        }
        glimpse.stand = ask.nonce().and_then(|id| self.stand(&id));
        glimpse
    }

    /// To be called with the step that follows from a decision, before it is carried out, and with
    /// what was seen when the rows were read.
    pub fn decided(&self, cause: Cause<'_>, seen: &Glimpse, step: &Step<'_>, now: Timestamp) {
        self.assert_hidden(step);
        match step {
            Step::Commit(it) if it.pays_for_message() => seen.payers.assert_pays(now),
            Step::Respond(response) if response.refusal == Some(Refusal::OverBudget) => {
                seen.payers.assert_refuses(response, now);
            }
            _ => {}
        }
        match (cause, step) {
            (Cause::Request(ask), Step::Respond(response)) => {
                self.answered(ask, seen, response, now);
            }
            (Cause::Request(ask), Step::Commit(_)) => {
                assert!(!ask.is_question(), "I21: {ask:?} writes");
            }
            _ => {}
        }
        let write = match step {
            Step::Commit(it) => Some(it.write()),
            Step::Respond(_) => None,
            Step::Load(_) | Step::Send(_) => panic!("I7: a decision leads to {step:?}"),
        };
        let Some(case) = self.subject(cause, write) else { return };
        let is_status = matches!(cause, Cause::Request(Ask::Status { .. }));
        if now >= case.opened.expires && !is_status {
            let Step::Respond(response) = step else { panic!("I8: an expired one is written") };
            let status = response.status.0;
            assert!(status >= 400, "I8: an expired validation is answered {status}");
        }
    }

    /// To be called with the step that follows from a guess.
    pub fn guessed(&self, cause: Cause<'_>, seen: &Glimpse, step: &Step<'_>, now: Timestamp) {
        match step {
            Step::Commit(_) => self.decided(cause, seen, step, now),
            Step::Load(it) => assert!(it.guessable().is_none(), "I16: a second guess"),
            Step::Respond(_) | Step::Send(_) => panic!("I16: a guess leads to {step:?}"),
        }
    }

    /// To be called with the step that follows from a conflict.
    pub fn contradicted(&self, step: &Step<'_>) {
        self.assert_hidden(step);
        match step {
            Step::Load(it) => assert!(it.guessable().is_none(), "I16: a guess after a conflict"),
            Step::Respond(it) if it.refusal == Some(Refusal::Contention) => {}
            _ => panic!("I16: a conflict leads to {step:?}"),
        }
    }

    /// To be called when an operator's tool has deleted a row.
    pub fn deleted(&mut self, id: &NonceDigest) {
        self.cases.get_mut(id).expect("a validation").is_deleted = true;
    }

    /// To be called when a write was committed, with the step that follows, before that is carried
    /// out.
    pub fn committed(&mut self, cause: Cause<'_>, write: &Write, next: &Step<'_>, now: Timestamp) {
        let response = match next {
            Step::Respond(response) => Some(response),
            Step::Load(_) | Step::Commit(_) | Step::Send(_) => None,
        };
        let ask = match cause {
            Cause::Failure(transmission) => {
                let row = write.row().expect("I9: a failure deletes a grant");
                assert!(matches!(write, Write::Update(..)), "a failure only updates");
                assert!(response.is_some(), "I7: a failure sends a message");
                assert_eq!(transmission.nonce.digest(), row.id, "I9: another row is changed");
                assert!(row.last_failure.is_some_and(|it| it.at == now), "it is remembered");
                let case = self.cases.get_mut(&row.id).expect("I9: a failure of nobody's message");
                case.moved(row);
                if !case.is_refund(row, &self.limits) {
                    return;
                }
                case.refunded(transmission, &self.limits);
                let (to, client) = (&transmission.address, case.opened.client);
                return self.ledger.refund(to, client, transmission.now);
            }
            Cause::Request(ask) => ask,
        };
        let row = match write {
            Write::Discard(token) => return self.given_up(ask, *token),
            Write::Open(row, _) => {
                return self.opened(ask, row, response.expect("an answer"), now);
            }
            Write::Update(row, _) | Write::Redeem(row, _) | Write::Revoke(row, _) => row,
        };
        let case = self.cases.get_mut(&row.id).expect("I9: a row that nobody opened is written");
        case.moved(row);
        let registered = self.clients.get(&case.opened.client).expect("I9: a registered client");
        if let Some(nonce) = ask.nonce() {
            assert_eq!(nonce, row.id, "I9: another row is written");
        }
        match (ask, write, response) {
            (Ask::Authorize(_, form), Write::Update(..), Some(_)) => {
                case.authorized(form, registered);
            }
            (Ask::Challenge(_, form), Write::Update(..), Some(_)) => {
                case.changed(form, now, &self.limits);
            }
            (Ask::Challenge(_, form), Write::Update(..), None) => {
                let Step::Send(sending) = next else { panic!("I7: a commit leads to {next:?}") };
                case.charged(form, sending.message(), now, &self.limits);
                self.ledger.charge(&sending.message().address, case.opened.client, now);
            }
            (Ask::Solve(_, form), Write::Update(..), Some(response)) => {
                let was_solved = case.solved.is_some();
                case.judged(form, redirect_of(response).as_deref(), now, &self.limits);
                if let Some(round) = case.round.as_ref().filter(|_| !was_solved) {
                    self.ledger.guess(&round.address, self.limits.pin_attempts.get().into());
                    if case.solved.is_some() {
                        self.ledger.prove(&round.address, case.opened.client, now);
                    }
                }
            }
            (Ask::Token(form), Write::Redeem(_, grant), Some(response)) => {
                case.granted(form, registered, grant, now, &self.limits);
                let token = member(response, "access_token").expect("a token");
                assert!(self.tokens.insert(token, row.id).is_none(), "I3: a token twice");
            }
            (Ask::Token(form), Write::Revoke(_, token), Some(_)) => {
                case.revoked(form, registered, *token, now);
            }
            (ask, write, _) => panic!("I9: {ask:?} must not write {write:?}"),
        }
        if let Some(response) = response {
            self.seen(ask, response, self.stand(&row.id).as_ref());
        }
    }

    /// To be called when the helper is run.
    pub fn sent(&mut self, transmission: &Transmission) {
        let case = self.cases.get_mut(&transmission.nonce.digest());
        case.expect("I7: a message of nobody's").ran(transmission, &self.limits);
    }

    /// To be called when the helper reports a failure, before what follows is decided.
    pub fn failed(&mut self, transmission: &Transmission) {
        let case = self.cases.get_mut(&transmission.nonce.digest());
        case.expect("I7: a message of nobody's").failed += 1;
    }

    /// To be called when an answer leaves, with the time at which it was decided.
    pub fn responded(&mut self, ask: &Ask, response: &Response, now: Timestamp) {
        let text = text_of(response);
        for case in self.cases.values() {
            assert!(!case.pins().any(|pin| shows(&text, pin)), "I11: a PIN in an answer");
            let its_own = ask.nonce() == Some(case.opened.id);
            let may_name = matches!(response.body, Body::Page(_)) || matches!(ask, Ask::Begin(..));
            let may_name = ask.opens() || (its_own && may_name);
            assert!(may_name || !text.contains(&case.nonce), "I11: a nonce in an answer");
            let shows_code = case.codes.iter().any(|code| text.contains(code));
            assert!(its_own || !shows_code, "I11: a code elsewhere");
        }
        for registered in self.clients.values() {
            assert!(!text.contains(&registered.secret), "I11: a client secret in an answer");
        }
        let is_token = matches!(ask, Ask::Token(_));
        let tokens = self.tokens.keys().filter(|token| text.contains(*token)).count();
        assert!(tokens == 0 || (is_token && tokens == 1), "I11: a token in an answer");
        if let (Ask::Info(token), 200) = (ask, response.status.0) {
            let case = self.case_of_token(token);
            case.expect("I3: a token that was never issued").informed(response, now);
        }
        self.identified(ask, response);
        if let Ask::Solve(id, form) = ask
            && judges(form, response)
        {
            self.cases.get_mut(id).expect("I9: a stranger's guess is judged").refused_guess();
        }
        let Some(url) = redirect_of(response).filter(|_| !matches!(ask, Ask::Begin(..))) else {
            return; // Those of errors were judged when they were decided on.
        };
        let case = ask.nonce().and_then(|nonce| self.cases.get(&nonce));
        let case = case.expect("I5: a redirect of nobody's");
        let registered = self.clients.get(&case.opened.client).expect("a registered client");
        case.redirected(&url, registered, self.issuer.as_deref());
    }

    /// I11 for anything that could be logged.
    pub fn assert_hidden(&self, what: &impl Debug) {
        let text = format!("{what:?}");
        for case in self.cases.values() {
            assert!(!text.contains(&case.nonce), "I11: a nonce in {text}");
            assert!(case.codes.iter().all(|it| !text.contains(it)), "I11: a code in {text}");
            assert!(case.pins().all(|pin| !shows(&text, pin)), "I11: a PIN in {text}");
        }
        assert!(self.tokens.keys().all(|token| !text.contains(token)), "I11: a token in {text}");
        let mut secrets = self.clients.values().map(|registered| &registered.secret);
        assert!(secrets.all(|secret| !text.contains(secret)), "I11: a client secret in {text}");
    }

    fn opened(&mut self, ask: &Ask, row: &Validation, response: &Response, now: Timestamp) {
        let (way, nonce) = opening(ask, response, self.limits.validation_duration);
        let (client, registered, form) = match ask {
            Ask::Setup { client, secret } => {
                let client = client.expect("I9: nobody opens a validation");
                let registered = self.clients.get(&client).expect("I9: a stranger opens one");
                assert_eq!(secret.as_ref(), Some(&registered.secret), "I9: a wrong secret");
                (client, registered, None)
            }
            Ask::Par(form) => {
                let client = self.authenticated(form);
                let (client, registered) = client.expect("I9: a stranger pushes a request");
                (client, registered, Some(form))
            }
            Ask::Begin(_, form) => {
                assert!(ask.opens(), "I18: a request_uri opens a validation");
                let (client, registered) = self.open_client(form);
                (client, registered, Some(form))
            }
            _ => panic!("I9: {ask:?} opens a validation"),
        };
        assert_eq!(client, row.client, "I9: somebody else's validation");
        assert_eq!(row.redirect_uri.as_str(), registered.redirect_uri, "I5: another address");
        assert_eq!(row.expires, now.plus(self.limits.validation_duration), "I8: another end");
        let named = Nonce::parse(&nonce).map(|it| it.digest());
        assert_eq!(named, Some(row.id), "I18: another validation is opened");
        let mut case = Case::new(row.clone(), nonce, way, now);
        if let Some(form) = form {
            case.request = Asked::read(form, client, registered);
        }
        assert!(self.cases.insert(row.id, case).is_none(), "I10: a nonce was drawn twice");
    }

    /// A client gave a token up.
    fn given_up(&mut self, ask: &Ask, digest: TokenDigest) {
        let Ask::Revoke(form) = ask else { panic!("I20: {ask:?} revokes a token") };
        let (client, _) = self.authenticated(form).expect("I20: a stranger revokes a token");
        let token = form.get("token").and_then(|token| self.tokens.get(token));
        let case = token.copied().and_then(|id| self.cases.get_mut(&id));
        case.expect("I20: a token that was never issued").given_up(client, digest);
    }

    /// The validation that a decision is about.
    fn subject(&self, cause: Cause<'_>, write: Option<&Write>) -> Option<&Case> {
        let named = match cause {
            Cause::Failure(transmission) => Some(transmission.nonce.digest()),
            Cause::Request(ask) => match ask {
                Ask::Token(form) => {
                    let code = form.get("code").unwrap_or_default();
                    let owner = self.cases.values().find(|case| case.gave_out(code));
                    owner.map(|case| case.opened.id)
                }
                ask => ask.nonce(),
            },
        };
        let written = write.and_then(Write::row).map(|row| row.id);
        self.cases.get(&written.or(named)?)
    }
}

/// The name of a row's progress.
pub const fn name_of(progress: &Progress) -> &'static str {
    match progress {
        Progress::Open => "Open",
        Progress::Challenged(_) => "Challenged",
        Progress::Solved(_) => "Solved",
        Progress::Redeemed { .. } => "Redeemed",
        Progress::Revoked(_) => "Revoked",
    }
}
