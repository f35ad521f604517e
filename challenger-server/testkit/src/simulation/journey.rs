//! Honest people, and the clients that sent them here: what they remember and do. Their reason is
//! in `sense`, what they learn in `answers`, and what they do wrong in `mistakes`.

mod answers;
mod client;
mod mistakes;
mod requests;
mod sense;

use std::collections::BTreeSet;

use challenger_proto::Timestamp;
use challenger_proto::http::Request;
use challenger_proto::secret::{Nonce, NonceDigest};

use super::screen::{Screen, View};
use super::server::{Errand, Server, What};
use crate::Dice;
use crate::audit::{Case, Way};
use crate::world::{self, Party};

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
    Arrive,
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
    way: Way,
    /// How often the client sent the person here for the same validation.
    visits: usize,
    /// The `request_uri` that the client has for the person.
    link: Option<String>,
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
    /// Until when there is no use in asking for a message, because a budget is spent.
    hold: Option<Timestamp>,
    /// How often all began anew because a budget was spent, once nothing failed any more.
    pub(crate) delays: usize,
    /// Whether the client said that its code is stale, and how often that was so.
    is_stale: bool,
    renewals: usize,
    code: Option<String>,
    token: Option<String>,
    /// Whether the client gave the token up.
    has_revoked: bool,
    spares: usize,
    pub(crate) requests: usize,
    pub(crate) is_done: bool,
}

impl Journey {
    pub(crate) fn new(
        who: usize,
        can_see_pages: bool,
        budgets: [Option<u32>; 2],
        dice: &mut Dice,
    ) -> Self {
        let side = dice.below(2);
        let client = &world::CLIENTS[side];
        let is_open = client.number == world::OPEN && budgets[side].is_some();
        let way = match dice.below(4) {
            0 | 1 => Way::Setup,
            2 if is_open => Way::Direct,
            _ => Way::Pushed,
        };
        let mut journey = Self {
            who,
            client,
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
            way,
            visits: 0,
            link: None,
            nonce: None,
            screen: Screen::Nothing,
            tabs: Vec::new(),
            last: None,
            in_flight: 0,
            wrong: BTreeSet::new(),
            submitted: String::new(),
            hold: None,
            delays: 0,
            has_looked: false,
            is_stale: false,
            renewals: 0,
            code: None,
            token: None,
            has_revoked: false,
            spares: 0,
            requests: 0,
            is_done: false,
        };
        // A browser can bring a hint only.
        if way == Way::Direct && journey.proposal == Proposal::Fixed {
            journey.proposal = Proposal::Right;
        }
        journey
    }

    /// Another validation for the same person.
    fn start_over(&mut self) {
        self.link = None;
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

    /// Does something: mostly the sensible thing, but people are people, and clients are programs.
    pub(crate) fn act(&mut self, server: &mut Server<'_>, dice: &mut Dice) {
        let deed = dice.below(24);
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
                self.take(if self.way == Way::Direct { Step::Arrive } else { Step::Setup }, server);
            }
            7 if self.code.is_some() => {
                let late = self.token.is_some() || self.is_done;
                let deed =
                    if late { "a client replays a code late" } else { "a client redeems twice" };
                server.tally.did(deed);
                self.take(Step::Token, server);
            }
            8 if self.is_done && self.in_flight == 0 && dice.coin() => self.go_elsewhere(server),
            8 if self.code.is_none() && self.nonce.is_some() && self.way == Way::Setup => {
                server.tally.did("a client changes its state");
                self.visits += 1;
                self.take(Step::Visit(None), server);
            }
            20 if self.link.is_some() => self.open_link(server),
            21 if self.nonce.is_some() => self.ask_for_status(server),
            22 | 23 if self.token.is_some() => self.ask_about_token(server, dice),
            _ if self.in_flight > 0 => {}
            _ => match self.sensible(server) {
                Step::GiveUp if self.has_looked => self.give_up(server),
                Step::GiveUp => self.look_again(),
                // Some wait, and some ask too early.
                Step::Wait(wait) => {
                    self.has_waited(wait);
                    self.hold = None;
                }
                step => self.take(step, server),
            },
        }
    }

    /// The other client wants the same person's address, too.
    fn go_elsewhere(&mut self, server: &mut Server<'_>) {
        server.tally.did("a person proves an address at another client");
        self.start_over();
        std::mem::swap(&mut self.client, &mut self.other);
        if self.way == Way::Direct {
            self.way = Way::Pushed;
        }
        self.has_revoked = false;
        self.is_done = false;
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
        let nonce = self.nonce.clone().unwrap_or_default();
        let seen =
            |seen: Option<String>| seen.map_or(String::new(), |it| format!("&budget_seen={it}"));
        let (what, request) = match step {
            Step::GiveUp | Step::Rest | Step::Wait(_) => return,
            Step::Setup if self.way == Way::Pushed => (What::Push, self.push(server)),
            Step::Setup => (What::Setup, self.setup(server)),
            Step::Arrive => (What::Arrive, self.arrive(server)),
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
                (What::Token, self.redemption())
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
        if matches!(what, What::Address | What::Arrive | What::Code | What::Visit) {
            self.last = Some((what, request.clone()));
        }
        self.has_looked &= what == What::Visit;
        self.in_flight += 1;
        self.requests += 1;
        server.come(Errand { who: self.who, what }, request);
    }
}
