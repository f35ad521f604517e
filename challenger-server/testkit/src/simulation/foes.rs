//! People who want things that are not theirs: each hazard needs an actor.

use challenger_proto::http::Request;

use super::bunglers::nonsense;
use super::journey::Journey;
use super::server::{Arrival, Errand, Server, What};
use crate::Dice;
use crate::world;

const VICTIM: &str = "victim@example.org";
const JSON: &str = "application/json";

/// The goal of a foe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// Messages, to somebody else.
    Bomb,
    /// Nothing: a program that is full of mistakes.
    Bungle,
    /// To prove somebody else's address.
    Guess,
    /// To have a bent request accepted.
    Mallory,
    /// To prove somebody else's address with guesses in validations without end.
    Swarm,
}

/// The validations that a swarmer keeps open. More take the place of the oldest.
const SWARM: usize = 8;

/// A person who is not honest.
#[derive(Debug)]
pub(crate) struct Foe {
    who: usize,
    aim: Aim,
    nonce: Option<String>,
    /// A swarmer's validations.
    swarm: Vec<String>,
    /// The person whose address the swarmer wants.
    victim: usize,
    has_pages: bool,
    /// Whether a message to an address of their own was asked for.
    own: usize,
    in_flight: usize,
    requests: usize,
}

impl Foe {
    /// One of each kind.
    pub(crate) fn all(first: usize, dice: &mut Dice) -> Vec<Self> {
        let aims = [Aim::Bomb, Aim::Bungle, Aim::Guess, Aim::Mallory, Aim::Swarm];
        let foes = aims.into_iter().enumerate().map(|(number, aim)| Self {
            who: first + number,
            aim,
            nonce: None,
            swarm: Vec::new(),
            victim: dice.below(first),
            has_pages: dice.below(2) == 0,
            own: 0,
            in_flight: 0,
            requests: 0,
        });
        foes.collect()
    }

    pub(crate) fn act(&mut self, journeys: &[Journey], server: &mut Server<'_>, dice: &mut Dice) {
        if self.in_flight > 8 {
            return;
        }
        match self.aim {
            Aim::Bomb | Aim::Guess if self.nonce.is_none() => {
                let request = world::setup(world::SECRET, "");
                self.send(What::Other("a foe asks for a link"), request, server);
            }
            Aim::Bomb => self.bomb(server, dice),
            Aim::Guess => self.guess(server, dice),
            Aim::Mallory => self.bend(journeys, server, dice),
            Aim::Bungle => self.bungle(server, dice),
            Aim::Swarm => self.swarm(server, dice),
        }
    }

    fn send(&mut self, what: What, request: Request, server: &mut Server<'_>) {
        self.in_flight += 1;
        self.requests += 1;
        server.come(Errand { who: self.who, what }, request);
    }

    pub(crate) fn receive(&mut self, arrival: &Arrival, dice: &mut Dice) {
        self.in_flight -= 1;
        let Some(response) = &arrival.response else { return };
        if self.aim == Aim::Swarm {
            self.swarm.extend(world::member(response, "nonce").filter(|_| arrival.is_setup()));
            return;
        }
        if self.nonce.is_none() && response.refusal.is_none() {
            self.nonce = world::member(response, "nonce");
        }
        // When nothing is left there are new links for the asking.
        let is_over = response.status.0 == 429 || response.status.0 == 404;
        if is_over && self.in_flight == 0 && dice.below(4) == 0 {
            self.nonce = None;
            self.own = 0;
        }
    }

    const fn accept(&self) -> &'static str {
        if self.has_pages { "text/html" } else { JSON }
    }

    /// Asks for as many messages as there are, and for more.
    fn bomb(&mut self, server: &mut Server<'_>, dice: &mut Dice) {
        server.tally.did("a bomber asks for a message");
        let address = match dice.below(4) {
            0 => format!("victim+{}@example.org", dice.below(3)),
            _ => VICTIM.to_string(),
        };
        let nonce = self.nonce.clone().unwrap();
        let mut request = world::challenge(&nonce, &address, self.accept());
        forge_seen(&mut request, dice);
        self.send(What::Other("bomb"), request, server);
    }

    /// Enters a guess; or the code of an address that the guesser can read, for another one.
    fn guess(&mut self, server: &mut Server<'_>, dice: &mut Dice) {
        let nonce = self.nonce.clone().unwrap();
        let own = format!("guesser{}@example.org", self.own);
        let throw = dice.below(10);
        let mut request = match throw {
            0 => world::challenge(&nonce, VICTIM, self.accept()),
            1 => {
                self.own = dice.below(2);
                world::challenge(&nonce, &own, self.accept())
            }
            2..=4 => {
                let case = server.auditor.case(&nonce);
                let is_mine = |to: &str| to.starts_with("guesser");
                let code = server.mail.iter().rev().find(|message| {
                    is_mine(&message.to) && case.is_some_and(|case| case.opened.id == message.about)
                });
                // The code that arrived at their own address, while another one is under test.
                let round = case.and_then(|case| case.round.as_ref());
                let tested = round.and_then(|round| round.address.only_value());
                let Some(code) = code.filter(|code| tested != Some(code.to.as_str())) else {
                    return;
                };
                server.tally.did("a guesser enters another address's code");
                world::solve(&nonce, &code.pin, self.accept())
            }
            _ => {
                server.tally.did("a guesser guesses");
                let guess = format!("{:04}{:04}", dice.below(10_000), dice.below(10_000));
                world::solve(&nonce, &guess, self.accept())
            }
        };
        forge_seen(&mut request, dice);
        self.send(What::Other("guess"), request, server);
    }

    /// Opens another validation, asks for a message to the victim in any spelling, or guesses. Each
    /// validation has its own budget; only the ledger bounds all of them together.
    fn swarm(&mut self, server: &mut Server<'_>, dice: &mut Dice) {
        let throw = dice.below(8);
        if self.swarm.is_empty() || throw == 0 {
            let party = dice.pick(&world::CLIENTS);
            let request = world::setup_as(party.number, party.secret, "");
            return self.send(What::Other("a swarmer asks for a link"), request, server);
        }
        if self.swarm.len() > SWARM {
            self.swarm.remove(0);
        }
        let nonce = dice.pick(&self.swarm).clone();
        let request = if throw < 5 {
            server.tally.did("a swarmer asks for a message");
            let address = spelled(self.victim, dice);
            world::challenge(&nonce, &address, self.accept())
        } else {
            server.tally.did("a swarmer guesses");
            let guess = format!("{:04}{:04}", dice.below(10_000), dice.below(10_000));
            world::solve(&nonce, &guess, self.accept())
        };
        self.send(What::Other("swarm"), request, server);
    }

    fn bend(&mut self, journeys: &[Journey], server: &mut Server<'_>, dice: &mut Dice) {
        let journey = dice.pick(journeys);
        if let Some(request) = journey.forged().filter(|_| dice.below(8) == 0) {
            server.tally.did("Mallory changes a fixed address");
            return self.send(What::Other("a fixed address"), request, server);
        }
        if dice.below(3) == 0 {
            let schemes = journey.schemes();
            if schemes.is_empty() {
                return;
            }
            let (deed, request) = dice.pick(&schemes).clone();
            server.tally.did(deed);
            return self.send(What::Other(deed), request, server);
        }
        let bent = journey.bent();
        if bent.is_empty() {
            return;
        }
        let (bend, request) = dice.pick(&bent).clone();
        server.tally.did("Mallory bends a request");
        self.send(What::Bent(bend), request, server);
    }

    fn bungle(&mut self, server: &mut Server<'_>, dice: &mut Dice) {
        server.tally.did("a bungler sends nonsense");
        let (what, request) = nonsense(dice);
        self.send(what, request, server);
    }
}

/// A person's address, in one of the spellings that lead to them.
fn spelled(who: usize, dice: &mut Dice) -> String {
    let tag = dice.below(100);
    match dice.below(8) {
        0 => format!("person{who}.0+{tag}@example.com"),
        1 => format!("Person{who}.0@example.com"),
        2 => format!("PERSON{who}0@Example.Com"),
        3 => format!("per.son{who}0@example.com"),
        4 => format!("\"person{who}.0\"@example.com"),
        5 => format!(" person{who}.0+a+{tag}@EXAMPLE.com "),
        _ => format!("person{who}.0@example.com"),
    }
}

/// Programs send no `budget_seen`, forms send an old one, and foes anything that might help.
fn forge_seen(request: &mut Request, dice: &mut Dice) {
    if dice.below(3) == 0 {
        let seen = format!("&budget_seen={}.{}.{}", dice.below(4), dice.below(4), dice.below(4));
        request.body.extend(seen.into_bytes());
    }
}
