//! Honest people, and the clients that sent them here.

mod mistakes;
mod requests;

use std::collections::BTreeSet;

use challenger_proto::Refusal;
use challenger_proto::http::{Body, Request, Response};
use challenger_proto::machine::Limits;
use challenger_proto::secret::{Nonce, NonceDigest};

use super::screen::{Screen, View};
use super::server::{Arrival, Errand, Message, Server, What};
use crate::Dice;
use crate::audit::{Ask, Case, query_of, redirect_of};
use crate::world::{self, Party, Redemption};

/// How a client means to prove that it is the one that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pkce {
    None,
    Plain,
    S256,
}

/// The address that a client proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proposal {
    Fixed,
    Nothing,
    Right,
    Wrong,
}

/// The next step of a person or a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Address(String, Option<String>),
    Code(String, Option<String>),
    GiveUp,
    Info,
    Rest,
    Setup,
    Token,
    Visit(Option<String>),
    /// So many seconds.
    Wait(u64),
}

/// A person on the way from a client and back to it.
#[derive(Debug)]
pub(crate) struct Journey {
    who: usize,
    client: &'static Party,
    other: &'static Party,
    has_pages: bool,
    proposal: Proposal,
    pkce: Pkce,
    /// How often the client sent the person here for the same validation.
    visits: usize,
    nonce: Option<String>,
    screen: Screen,
    /// Forms of pages that are still open, with the number of crashes before them.
    tabs: Vec<(View, usize)>,
    last: Option<(What, Request)>,
    pub(crate) in_flight: usize,
    /// Whether the person tried the link once more since they last sent a form.
    has_looked: bool,
    /// Codes that were refused, and so are not entered again while the address stays the same.
    wrong: BTreeSet<String>,
    /// The address that was submitted last.
    submitted: String,
    /// Whether the client said that its code is stale, and how often that was so.
    is_stale: bool,
    renewals: usize,
    code: Option<String>,
    token: Option<String>,
    spares: usize,
    pub(crate) requests: usize,
    pub(crate) is_done: bool,
}

impl Journey {
    pub(crate) fn new(who: usize, can_see_pages: bool, dice: &mut Dice) -> Self {
        let side = dice.below(2);
        Self {
            who,
            client: &world::CLIENTS[side],
            other: &world::CLIENTS[1 - side],
            has_pages: can_see_pages && dice.below(4) > 0,
            proposal: *dice.pick(&[
                Proposal::Nothing,
                Proposal::Nothing,
                Proposal::Right,
                Proposal::Wrong,
                Proposal::Fixed,
            ]),
            pkce: *dice.pick(&[Pkce::None, Pkce::Plain, Pkce::S256]),
            visits: 0,
            nonce: None,
            screen: Screen::Nothing,
            tabs: Vec::new(),
            last: None,
            in_flight: 0,
            wrong: BTreeSet::new(),
            submitted: String::new(),
            has_looked: false,
            is_stale: false,
            renewals: 0,
            code: None,
            token: None,
            spares: 0,
            requests: 0,
            is_done: false,
        }
    }

    /// Another validation for the same person.
    fn start_over(&mut self) {
        self.nonce = None;
        self.screen = Screen::Nothing;
        self.tabs.clear();
        self.last = None;
        self.wrong.clear();
        self.is_stale = false;
        self.code = None;
        self.token = None;
        self.spares = 0;
    }

    fn id(&self) -> Option<NonceDigest> {
        Some(Nonce::parse(self.nonce.as_ref()?)?.digest())
    }

    fn case<'a>(&self, server: &'a Server<'_>) -> Option<&'a Case> {
        server.auditor.case_of(&self.id()?)
    }

    /// One of the person's addresses: they read what arrives there.
    fn address(&self, spare: usize) -> String {
        format!("person{}.{spare}@example.com", self.who)
    }

    fn typo(&self) -> String {
        self.address(self.spares).replace("example", "exmaple")
    }

    fn owns(&self, address: &str) -> bool {
        let mine = format!("person{}.", self.who);
        address.starts_with(&mine) && address.ends_with("@example.com")
    }

    /// The code in the newest message at an address that was not refused yet.
    fn code_at(&self, address: &str, server: &Server<'_>) -> Option<String> {
        let id = self.id()?;
        let fits = |message: &&Message| {
            message.to == address && message.about == id && !self.wrong.contains(&message.pin)
        };
        server.mail.iter().rev().find(fits).map(|message| message.pin.clone())
    }

    /// The step that would bring a sensible person forward.
    pub(crate) fn sensible(&self, server: &Server<'_>) -> Step {
        if self.is_done {
            return Step::Rest;
        }
        if self.nonce.is_none() {
            return Step::Setup;
        }
        if self.token.is_some() {
            return Step::Info;
        }
        if self.code.is_some() {
            return if self.is_stale { self.renew(server) } else { Step::Token };
        }
        match &self.screen {
            Screen::Nothing => Step::Visit(None),
            Screen::Done => Step::GiveUp,
            Screen::View(view) => self.look(view, server),
        }
    }

    /// The client says that the code is stale: the person goes back and enters theirs again.
    fn renew(&self, server: &Server<'_>) -> Step {
        let id = self.id();
        let fits = |message: &&Message| self.owns(&message.to) && Some(message.about) == id;
        let codes: Vec<&Message> = server.mail.iter().rev().filter(fits).collect();
        // They may not remember which of them it was.
        match codes.len() {
            0 => Step::GiveUp,
            count => Step::Code(codes[self.renewals % count].pin.clone(), Some("0.0.0".into())),
        }
    }

    fn look(&self, view: &View, server: &Server<'_>) -> Step {
        let seen = || view.seen.clone();
        let address = view.address.as_ref();
        if let (true, Some(address)) = (view.solved, address) {
            return Step::Address(address.clone(), seen());
        }
        let mine = address.filter(|address| self.owns(address));
        if let Some(mine) = mine {
            if let Some(code) = self.code_at(mine, server).filter(|_| view.can_guess) {
                return Step::Code(code, seen());
            }
            if view.can_ask_again {
                return match view.wait {
                    0 => Step::Address(mine.clone(), seen()),
                    wait => Step::Wait(wait),
                };
            }
        }
        if view.has_address_form {
            let unspent = mine.filter(|_| view.messages > 0);
            return match unspent {
                Some(mine) => Step::Address(mine.clone(), seen()),
                None if view.is_fixed => Step::GiveUp,
                None => {
                    Step::Address(self.address(self.spares + usize::from(mine.is_some())), seen())
                }
            };
        }
        match &view.change {
            Some(url) => Step::Visit(Some(url.clone())),
            None => Step::GiveUp,
        }
    }

    /// Does something: mostly the sensible thing, but people are people, and clients are programs.
    pub(crate) fn act(&mut self, server: &mut Server<'_>, dice: &mut Dice) {
        let deed = dice.below(20);
        match deed {
            0 if self.in_flight > 0 => self.again("a person double-clicks", server),
            1 => self.again("a person reloads", server),
            2 if self.nonce.is_some() => {
                server.tally.did("a person comes back by a bookmark");
                self.take(Step::Visit(None), server);
            }
            3 => self.mistype_address(server),
            4 => self.mistype_code(server, dice),
            5 => self.use_old_form(server, dice),
            6 if self.nonce.is_some() && dice.below(4) == 0 => {
                server.tally.did("a client asks twice");
                self.take(Step::Setup, server);
            }
            7 if self.code.is_some() => {
                let late = self.token.is_some() || self.is_done;
                let deed =
                    if late { "a client replays a code late" } else { "a client redeems twice" };
                server.tally.did(deed);
                self.take(Step::Token, server);
            }
            8 if self.code.is_none() && self.nonce.is_some() => {
                server.tally.did("a client changes its state");
                self.visits += 1;
                self.take(Step::Visit(None), server);
            }
            _ if self.in_flight > 0 => {}
            _ => match self.sensible(server) {
                Step::GiveUp if self.has_looked => self.give_up(server),
                Step::GiveUp => self.look_again(),
                // Some wait, and some ask too early.
                Step::Wait(wait) => self.has_waited(wait),
                step => self.take(step, server),
            },
        }
    }

    fn give_up(&mut self, server: &mut Server<'_>) {
        server.tally.did("a person gives up");
        self.start_over();
    }

    /// When a page leads nowhere, people try the link that they got.
    fn look_again(&mut self) {
        self.has_looked = true;
        self.screen = Screen::Nothing;
    }

    /// When the link does not help either, they start over, and then there must be a reason.
    pub(crate) fn despair(&mut self, server: &mut Server<'_>) {
        if self.is_lost(server) {
            return self.give_up(server);
        }
        // A code may have been refused while another address was under test.
        if self.has_looked && !self.wrong.is_empty() {
            return self.wrong.clear();
        }
        assert!(!self.has_looked, "I12: person {} is stranded: {:?}", self.who, self.screen);
        self.look_again();
    }

    /// Time went by while the person looked at a page that says how long to wait.
    pub(crate) const fn has_waited(&mut self, seconds: u64) {
        if let Screen::View(view) = &mut self.screen {
            view.wait = view.wait.saturating_sub(seconds);
        }
    }

    pub(crate) fn take(&mut self, step: Step, server: &mut Server<'_>) {
        let Self { client, .. } = *self;
        let nonce = self.nonce.clone().unwrap_or_default();
        let seen =
            |seen: Option<String>| seen.map_or(String::new(), |it| format!("&budget_seen={it}"));
        let (what, request) = match step {
            Step::GiveUp | Step::Rest | Step::Wait(_) => return,
            Step::Setup => (What::Setup, self.setup(server)),
            Step::Visit(Some(url)) => {
                (What::Visit, Request::get(&url).with("Accept", self.accept()))
            }
            Step::Visit(None) => (What::Visit, self.visit(&nonce, server)),
            Step::Address(address, left) => {
                if let Screen::View(View { address: Some(shown), .. }) = &self.screen {
                    server.tally.did(match *shown == address {
                        true => "a person has another message sent",
                        false if self.owns(&address) => "a person fixes a typo in the address",
                        false => "a person gives an address",
                    });
                } else {
                    server.tally.did("a person gives an address");
                }
                if address == self.address(self.spares + 1) {
                    self.spares += 1;
                }
                if address != self.submitted {
                    self.wrong.clear();
                    self.submitted.clone_from(&address);
                }
                let mut request = world::challenge(&nonce, &address, self.accept());
                request.body.extend(seen(left).into_bytes());
                (What::Address, request)
            }
            Step::Code(pin, left) => {
                server.tally.did(match self.is_stale {
                    true => "a person renews a code",
                    false => "a person enters a code",
                });
                let mut request = world::solve(&nonce, &pin, self.accept());
                request.body.extend(seen(left).into_bytes());
                (What::Code, request)
            }
            Step::Token => {
                server.tally.did("a client redeems");
                let code = self.code.clone().unwrap_or_default();
                (What::Token, Redemption::of(client, &code, self.verifier()).request())
            }
            Step::Info => {
                server.tally.did("a client reads the address");
                (What::Info, world::info(self.token.as_deref().unwrap_or_default()))
            }
        };
        self.send(what, request, server);
    }

    fn send(&mut self, what: What, request: Request, server: &mut Server<'_>) {
        server.tally.did(if self.has_pages { "pages" } else { "JSON" });
        if matches!(what, What::Address | What::Code | What::Visit) {
            self.last = Some((what, request.clone()));
        }
        self.has_looked &= what == What::Visit;
        self.in_flight += 1;
        self.requests += 1;
        server.come(Errand { who: self.who, what }, request);
    }

    /// An answer arrives, or it is lost.
    pub(crate) fn receive(&mut self, arrival: &Arrival, server: &mut Server<'_>) {
        self.in_flight -= 1;
        let Some(response) = &arrival.response else { return };
        let is_mine = match &arrival.ask {
            Ask::Setup { .. } => self.nonce.is_none(),
            Ask::Token(form) => form.get("code") == self.code.as_deref(),
            Ask::Info(token) => Some(token) == self.token.as_ref(),
            ask => ask.nonce() == self.id(),
        };
        if !is_mine {
            return;
        }
        match arrival.errand.what {
            What::Setup => self.nonce = world::member(response, "nonce"),
            What::Token => self.receive_token(response),
            What::Info => self.receive_info(response, server),
            What::Visit | What::Address | What::Code => {
                self.receive_page(&arrival.ask, response, server);
            }
            What::Bent(_) | What::Other(_) => {}
        }
    }

    fn receive_page(&mut self, ask: &Ask, response: &Response, server: &Server<'_>) {
        if response.refusal == Some(Refusal::ValidationUnknown) {
            return self.start_over();
        }
        let entered = match ask {
            Ask::Solve(_, form) => form.get("pin"),
            _ => None,
        };
        if let Ask::Challenge(_, form) = ask
            && response.refusal == Some(Refusal::TooManyAttempts)
            && form.get("CONTACT_EMAIL") == Some(self.address(self.spares).as_str())
        {
            // The budget of this address was used up before another took its place.
            self.spares += 1;
        }
        if let Some(url) = redirect_of(response) {
            assert!(url.starts_with(self.client.redirect), "I5: a redirect elsewhere");
            let code = query_of(&url).get("code").map(ToString::to_string);
            self.is_stale &= entered.is_none();
            self.code = code;
            return;
        }
        self.screen = Screen::of(response, server.now);
        if matches!(self.screen, Screen::Done) && self.token.is_none() && self.in_flight == 0 {
            // The client lost the token that the code bought.
            self.code = None;
        }
        let mut wrong = world::member(response, "exhausted").as_deref() == Some("false")
            && world::member(response, "no_challenge").as_deref() == Some("false");
        if let Screen::View(view) = &self.screen {
            self.tabs.push((view.clone(), server.crashes));
            wrong = view.was_wrong;
        }
        if wrong {
            self.wrong.extend(entered.map(ToString::to_string));
        }
    }

    fn receive_token(&mut self, response: &Response) {
        match response.refusal {
            None => self.token = world::member(response, "access_token"),
            // Also one that went stale otherwise: the PIN was entered again in another tab.
            Some(Refusal::CodeExpired | Refusal::CodeMismatch) => {
                self.is_stale = true;
                self.renewals += 1;
            }
            Some(Refusal::CodeSpent) if self.token.is_none() && self.in_flight == 0 => {
                self.screen = Screen::Done;
                self.code = None;
            }
            Some(Refusal::ValidationUnknownToCode) if self.token.is_none() => self.start_over(),
            Some(_) => {}
        }
    }

    fn receive_info(&mut self, response: &Response, server: &mut Server<'_>) {
        match response.refusal {
            None => {
                let address = address_of(response);
                assert!(self.owns(&address), "I4: somebody else's address");
                if !self.is_done {
                    server.tally.did("a person holds a grant");
                }
                self.is_done = true;
            }
            Some(Refusal::GrantUnknown) => self.start_over(),
            Some(_) => {}
        }
    }

    /// Whether there is a reason to give up, as the auditor sees it.
    pub(crate) fn is_lost(&self, server: &Server<'_>) -> bool {
        let Some(case) = self.case(server) else { return true };
        if case.opened.expires <= server.now || case.granted.is_some() {
            return true;
        }
        case.solved.is_none() && !self.has_a_way(case, &server.service.limits, server)
    }

    /// Whether the budget that is left suffices to enter a right code.
    fn has_a_way(&self, case: &Case, limits: &Limits, server: &Server<'_>) -> bool {
        let [changes, messages, guesses] = case.budget(limits);
        let mine = |address: &str| self.owns(address);
        changes > 0
            || match &case.round {
                Some(round) => {
                    let is_here = server.mail.iter().any(|message| message.pin == round.pin);
                    let address = round.address.only_value().unwrap_or_default();
                    mine(address) && (messages > 0 || (guesses > 0 && is_here))
                }
                None => {
                    case.opened.prefill.as_ref().and_then(|it| it.only_value()).is_some_and(mine)
                }
            }
    }
}

/// The address at `/info`.
fn address_of(response: &Response) -> String {
    let Body::Json(body) = &response.body else { return String::new() };
    let address = body.get("address").and_then(|it| it.get("CONTACT_EMAIL"));
    address.and_then(|it| it.as_str()).unwrap_or_default().to_string()
}
