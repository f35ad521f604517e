//! The auditor's knowledge of one validation, and the rules for its next step.

use challenger_proto::address::Address;
use challenger_proto::http::{Body, Form, Response};
use challenger_proto::machine::{Limits, Validation};
use challenger_proto::oauth::{ClientId, Grant};
use challenger_proto::secret::TokenDigest;
use challenger_proto::{Span, Timestamp, Transmission};

use super::query_of;
use super::request::{Asked, Registered, Way};
use super::round::{Round, is_early, mailbox, tidied};

/// A second use of a code within this time is forgiven (protocol, Q11), and a PIN that is entered
/// again means the same code.
const GRACE: Span = Span::seconds(10);

/// How long a `request_uri` is good for, unless its validation ends before.
pub(super) const REQUEST_URI_LIFETIME: Span = Span::seconds(300);

/// A right PIN that was accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct Solved {
    pub at: Timestamp,
    pub renewed_at: Timestamp,
}

/// The history of one validation, as far as it matters.
#[derive(Clone)]
pub struct Case {
    /// The row at birth: its client, its end and its proposed address stay true.
    pub opened: Validation,
    pub nonce: String,
    pub way: Way,
    opened_at: Timestamp,
    pub version: i64,
    pub request: Asked,
    /// The address under test, and those that were before.
    pub round: Option<Round>,
    pub left: Vec<Round>,
    /// Whether a message was decided before an earlier one.
    was_set_back: bool,
    /// The PINs of this and earlier rounds, as digits and spelled.
    pins: Vec<String>,
    /// Rounds that cost an address change.
    pub paid: u32,
    /// Messages that were paid for and not yet handed to the helper, by PIN.
    unsent: Vec<String>,
    pub runs: u32,
    pub failed: u32,
    pub refunds: u32,
    /// Guesses that were charged, and answers that admit having judged a wrong one.
    judged: u32,
    rejected: u32,
    pub solved: Option<Solved>,
    /// The code of each solution.
    pub(super) codes: Vec<String>,
    pub granted: Option<(Grant, Timestamp)>,
    pub is_revoked: bool,
    /// Whether the client gave its token up.
    pub is_given_up: bool,
    /// Whether an operator's tool deleted the row.
    pub is_deleted: bool,
}

/// Shows the name only.
impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Case({:?})", self.opened.id)
    }
}

impl Case {
    pub fn new(opened: Validation, nonce: String, way: Way, opened_at: Timestamp) -> Self {
        Self {
            version: opened.version.0,
            opened,
            nonce,
            way,
            opened_at,
            request: Asked::default(),
            round: None,
            left: Vec::new(),
            was_set_back: false,
            pins: Vec::new(),
            paid: 0,
            unsent: Vec::new(),
            runs: 0,
            failed: 0,
            refunds: 0,
            judged: 0,
            rejected: 0,
            solved: None,
            codes: Vec::new(),
            granted: None,
            is_revoked: false,
            is_given_up: false,
            is_deleted: false,
        }
    }

    /// The PINs that must not show, as digits and spelled.
    pub fn pins(&self) -> impl Iterator<Item = &str> {
        self.pins.iter().map(String::as_str)
    }

    /// The code of the latest solution, the only one that buys something.
    pub fn code(&self) -> Option<&str> {
        self.codes.last().map(String::as_str)
    }

    /// The codes of earlier solutions.
    pub fn void_codes(&self) -> &[String] {
        self.codes.split_last().map_or(&[], |(_, void)| void)
    }

    /// Whether this is the code of any of its solutions.
    pub fn gave_out(&self, code: &str) -> bool {
        self.codes.iter().any(|known| known == code)
    }

    /// How many addresses it may try: one more than it may change if one was proposed.
    fn rounds_max(&self, limits: &Limits) -> u32 {
        u32::from(limits.address_changes) + u32::from(self.opened.prefill.is_some())
    }

    /// How many changes, messages and guesses are left, as forms say (`budget_seen`).
    pub fn budget(&self, limits: &Limits) -> [u32; 3] {
        let fixed = self.opened.read_only;
        let changes = if fixed { 0 } else { u32::from(limits.address_changes) - self.paid };
        let (messages, guesses) = match &self.round {
            _ if self.solved.is_some() => (0, 0),
            None => (limits.pin_transmissions.get().into(), limits.pin_attempts.get().into()),
            Some(round) => (
                u32::from(limits.pin_transmissions.get()) - round.charges,
                u32::from(limits.pin_attempts.get()) - round.guesses,
            ),
        };
        [changes, messages, guesses]
    }

    /// A commit replaced the row.
    pub(super) fn moved(&mut self, row: &Validation) {
        assert_eq!(row.version.0, self.version, "I10: a commit on another version than it loaded");
        assert!(!self.is_deleted, "I8: a deleted validation is written");
        self.version += 1;
        let was = &self.opened;
        assert_eq!((row.client, row.expires), (was.client, was.expires), "I10: the row's birth");
        assert_eq!(row.redirect_uri, was.redirect_uri, "I5: the row's redirect URI");
        assert_eq!((&row.prefill, row.read_only), (&was.prefill, was.read_only), "the proposal");
    }

    /// A commit stored an authorization request.
    pub(super) fn authorized(&mut self, form: &Form, registered: &Registered) {
        assert!(self.solved.is_none(), "I5: the state of an answered request changes");
        assert_eq!(self.way, Way::Setup, "I17: the request that a validation began with changes");
        self.request = Asked::read(form, self.opened.client, registered);
    }

    /// A commit paid for a message.
    pub(super) fn charged(
        &mut self,
        form: &Form,
        send: &Transmission,
        now: Timestamp,
        limits: &Limits,
    ) {
        assert!(self.solved.is_none(), "a message after the solve");
        assert_eq!(send.nonce.digest(), self.opened.id, "I4: another validation's PIN");
        assert_eq!(Some(&send.address), address_of(form).as_ref(), "I4: to another address");
        let pin = send.pin.digits().to_string();
        let [changes, messages, _] = self.budget(limits);
        match &self.round {
            Some(round) if round.address == send.address => {
                let fresh = format!("{changes}.{messages}.");
                let seen = form.get("budget_seen").filter(|_| round.waits_from.is_some());
                assert!(seen.is_none_or(|it| it.starts_with(&fresh)), "I1: an old form sends");
            }
            _ => self.turn_to(&send.address, now, limits),
        }
        let to = mailbox(&send.address);
        let siblings = self.left.iter().chain(&self.round).filter(|it| it.mailbox() == to);
        // A message from the future means that the clock was set back, and the next one is due; and
        // from then on, only the budget limits the messages to spellings of a mailbox.
        self.was_set_back |= siblings.clone().filter_map(|it| it.newest).any(|at| at > now);
        let early = siblings.filter_map(|it| it.latest).any(|at| is_early(at, now, limits));
        assert!(!early || self.was_set_back, "I1: a message before it is due");
        let round = self.round.as_mut().expect("a round");
        if round.pin.is_empty() {
            assert!(!self.pins.contains(&pin), "I4: another address has another PIN");
            self.pins.extend([pin.clone(), send.pin.spelled()]);
            round.pin.clone_from(&pin);
        }
        assert_eq!(pin, round.pin, "one address has one PIN");
        round.charge(now);
        let most = u32::from(limits.pin_transmissions.get());
        assert!(round.charges <= most, "I1: too many messages");
        self.unsent.push(pin);
    }

    /// A commit changed the address and paid for no message.
    pub(super) fn changed(&mut self, form: &Form, now: Timestamp, limits: &Limits) {
        assert!(self.solved.is_none(), "another address after the solve");
        let address = address_of(form).expect("I9: no address");
        let current = self.round.as_ref().map(|round| &round.address);
        assert_ne!(current, Some(&address), "a write of /challenge pays for a message");
        // As for a message: one from the future is not waited for, then or later.
        let to = mailbox(&address);
        let siblings = self.left.iter().chain(&self.round).filter(|it| it.mailbox() == to);
        self.was_set_back |= siblings.filter_map(|it| it.newest).any(|at| at > now);
        self.turn_to(&address, now, limits);
        let round = self.round.as_ref().expect("a round");
        let waits = round.waits_from.is_some_and(|at| is_early(at, now, limits));
        let has_messages = round.charges < u32::from(limits.pin_transmissions.get());
        assert!(waits || !has_messages, "I12: a message that is due is not sent");
    }

    /// Another address takes its turn, or one comes back with what was left of its budget.
    fn turn_to(&mut self, address: &Address, now: Timestamp, limits: &Limits) {
        let proposed = self.opened.prefill.as_ref() == Some(address);
        assert!(!self.opened.read_only || proposed, "a fixed address was changed");
        let is_free = self.round.is_none() && proposed;
        self.paid += u32::from(!is_free);
        assert!(self.paid <= u32::from(limits.address_changes), "I1: too many addresses");
        self.left.extend(self.round.take());
        self.round = Some(Round::next(address, &self.left, now, limits));
        self.left.retain(|it| it.address != *address);
    }

    /// The helper was run.
    pub(super) fn ran(&mut self, send: &Transmission, limits: &Limits) {
        let paid = self.unsent.iter().position(|pin| pin == send.pin.digits());
        self.unsent.remove(paid.expect("I7: a message that no commit paid for"));
        self.runs += 1;
        let bound = self.rounds_max(limits) * u32::from(limits.pin_transmissions.get());
        assert!(self.runs <= bound + u32::from(limits.refunds), "I1: too many runs");
        assert!(self.runs - self.failed <= bound, "I1: too many deliveries");
    }

    /// Whether a commit that remembers a failure gives the message back, too.
    pub(super) fn is_refund(&self, row: &Validation, limits: &Limits) -> bool {
        u32::from(row.refunds_left) + self.refunds < u32::from(limits.refunds)
    }

    /// A commit gave a message back.
    pub(super) fn refunded(&mut self, send: &Transmission, limits: &Limits) {
        assert!(self.solved.is_none(), "a refund after the solve");
        self.refunds += 1;
        assert!(self.refunds <= u32::from(limits.refunds), "I1: too many refunds");
        assert!(self.refunds <= self.failed, "I1: a refund without a failure");
        let mut rounds = self.left.iter_mut().chain(&mut self.round);
        let round = rounds.find(|round| round.pin == send.pin.digits());
        let round = round.expect("I1: a refund to another address");
        round.give_back(send.now);
    }

    /// A commit judged a PIN, and accepted it if there is a redirect.
    pub(super) fn judged(
        &mut self,
        form: &Form,
        url: Option<&str>,
        now: Timestamp,
        limits: &Limits,
    ) {
        let left = self.budget(limits).map(|it| it.to_string()).join(".");
        let round = self.round.as_mut().expect("I2: a guess before any message");
        let entered: String = form.get("pin").unwrap_or_default().to_string();
        let digits: String = entered.chars().filter(char::is_ascii_digit).collect();
        let is_right = digits == round.pin;
        if let Some(solved) = &mut self.solved {
            assert!(is_right, "I4: a wrong PIN renews a code");
            assert!(now.since(solved.renewed_at) > GRACE, "I6: a double click makes another code");
            assert!(self.granted.is_none(), "I6: another code after the grant");
            solved.renewed_at = now;
            return self.learn_code(url);
        }
        let seen = form.get("budget_seen");
        assert!(seen.is_none_or(|seen| seen == left), "I2: a guess of an old form is charged");
        round.guesses += 1;
        self.judged += 1;
        assert!(round.guesses <= u32::from(limits.pin_attempts.get()), "I2: too many guesses");
        assert_eq!(url.is_some(), is_right, "I4: a right PIN is accepted, a wrong one is not");
        if is_right {
            self.solved = Some(Solved { at: now, renewed_at: now });
            self.learn_code(url);
        }
    }

    /// A solution's code is known from then on, even if this answer never arrives.
    fn learn_code(&mut self, url: Option<&str>) {
        let query = query_of(url.expect("I4: a solution without a redirect"));
        let code = query.get("code").expect("I6: a redirect without a code").to_string();
        assert!(!self.gave_out(&code), "I6: an expired code lives again");
        self.codes.push(code);
    }

    /// An answer says that a PIN was wrong.
    pub(super) fn refused_guess(&mut self) {
        self.rejected += 1;
        assert!(self.rejected <= self.judged, "I2: a guess was judged and not charged");
    }

    /// Checks the demands of `/token`, whatever the code then buys.
    fn presented(&self, form: &Form, registered: &Registered) {
        let client = self.opened.client.to_string();
        assert_eq!(form.get("client_id"), Some(client.as_str()), "I9: a foreign client");
        assert_eq!(form.get("client_secret"), Some(registered.secret.as_str()), "I9: the secret");
        let code = form.get("code").unwrap_or_default();
        assert!(self.gave_out(code), "I9: a code was never given out");
        assert_eq!(Some(code), self.code(), "I6: the code of an earlier solution");
        self.request.presented(form, registered);
    }

    /// A commit made a grant.
    pub(super) fn granted(
        &mut self,
        form: &Form,
        registered: &Registered,
        grant: &Grant,
        now: Timestamp,
        limits: &Limits,
    ) {
        self.presented(form, registered);
        assert!(self.granted.is_none(), "I3: a second grant");
        let solved = self.solved.as_ref().expect("I4: a grant without a solve");
        let round = self.round.as_ref().expect("I4: a grant without an address");
        assert_eq!(grant.address, round.address, "I4: the grant's address");
        assert_eq!(grant.client, self.opened.client, "I9: the grant's client");
        assert_eq!(grant.expires, now.plus(limits.token_duration));
        assert_eq!(grant.valid_until, solved.at.plus(limits.validation_expiration));
        assert!(now < solved.renewed_at.plus(limits.code_duration), "a stale code bought a grant");
        self.granted = Some((grant.clone(), now));
    }

    /// A commit revoked a token.
    pub(super) fn revoked(
        &mut self,
        form: &Form,
        registered: &Registered,
        token: TokenDigest,
        now: Timestamp,
    ) {
        self.presented(form, registered);
        assert!(!self.is_revoked, "I3: revoked twice");
        let (grant, at) = self.granted.as_ref().expect("I3: nothing to take back");
        assert_eq!(token, grant.token, "I9: another token is taken back");
        assert!(now.since(*at) > GRACE, "an impatient client loses its token");
        self.is_revoked = true;
    }

    /// A commit deleted the grant of a token, because a client asked for that.
    pub(super) fn given_up(&mut self, client: ClientId, token: TokenDigest) {
        assert_eq!(client, self.opened.client, "I20: another client revokes a token");
        let (grant, _) = self.granted.as_ref().expect("I20: a token without a grant");
        assert_eq!(token, grant.token, "I20: another token is revoked");
        self.is_given_up = true;
    }

    /// Whether its access token opens the address, as long as its time is not over.
    pub const fn has_token(&self) -> bool {
        self.granted.is_some() && !self.is_revoked && !self.is_given_up
    }

    /// How far it has come, in the words of `/status`.
    pub const fn stage(&self) -> &'static str {
        match (&self.granted, &self.solved, &self.round) {
            (Some(_), _, _) => "redeemed",
            (None, Some(_), _) => "proved",
            (None, None, Some(_)) => "message_sent",
            (None, None, None) => "open",
        }
    }

    /// Whether a `request_uri` leads here, as long as no message was asked for.
    pub fn is_linked(&self, client: Option<&str>, now: Timestamp) -> bool {
        let is_its = client == Some(self.opened.client.to_string().as_str());
        let in_time = now < self.opened_at.plus(REQUEST_URI_LIFETIME) && now < self.opened.expires;
        self.way == Way::Pushed && is_its && in_time
    }

    /// The addresses that it is about.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        let rounds = self.left.iter().chain(&self.round).map(|round| &round.address);
        rounds.chain(&self.opened.prefill)
    }

    /// An answer sent its reader back to the client.
    pub(super) fn redirected(&self, url: &str, registered: &Registered, issuer: Option<&str>) {
        assert!(self.solved.is_some(), "I4: a redirect without a solve");
        assert!(url.starts_with(&registered.redirect_uri), "I5: a redirect elsewhere");
        let query = query_of(url);
        assert_eq!(query.get("state"), self.request.state.as_deref(), "I5: another state");
        assert_eq!(query.get("iss"), issuer, "I5: another issuer");
        // It may have been on its way while the PIN was entered again.
        let code = query.get("code").expect("I6: a redirect without a code");
        assert!(self.gave_out(code), "I6: another code");
    }

    /// `/info` reported the grant.
    pub(super) fn informed(&self, response: &Response, now: Timestamp) {
        let (grant, _) = self.granted.as_ref().expect("I3: a token without a grant");
        assert!(now < grant.expires, "a stale token is good");
        let Body::Json(body) = &response.body else { panic!("/info speaks JSON") };
        assert_eq!(body.get("address"), Some(&grant.address.to_json()), "I4: another address");
        for name in ["address_expiration", "expires"] {
            assert_eq!(body.get(name), Some(&grant.valid_until.to_json()));
        }
        let email = body.get("email").and_then(|it| it.as_str());
        assert_eq!(email, grant.address.only_value(), "I4: another address");
    }
}

/// The address of a form.
pub(super) fn address_of(form: &Form) -> Option<Address> {
    let is_field = |(name, _): &(&str, &str)| !matches!(*name, "budget_seen" | "read_only");
    let fields = form.pairs().filter(is_field).map(|(name, it)| (name.into(), tidied(it)));
    Address::new(fields).ok()
}
