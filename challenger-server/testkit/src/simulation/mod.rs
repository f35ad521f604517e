//! A deterministic simulation: people, clients and foes at servers whose requests interleave and
//! whose world fails, all by the throws of dice.
//!
//! In the first phase faults strike and the auditor watches that nothing unsafe happens (I1 to
//! I11, I13 to I23). Then the faults stop, the foes go, and within a bounded number of requests
//! every honest person must hold a grant (I12), and start over only for a reason.
#![allow(clippy::print_stdout, reason = "a failure tells its history")]

mod bunglers;
mod faults;
mod foes;
pub mod history;
mod journey;
mod memory;
mod scarcity;
mod screen;
pub mod server;
mod tally;
mod walker;

use std::num::NonZeroU8;

use challenger_proto::address::AddressType;
use challenger_proto::http::PageSet;
use challenger_proto::machine::Limits;
use challenger_proto::{Service, Span};

pub use faults::{Fault, Weather};
use foes::Foe;
use journey::{Journey, Step};
use scarcity::Scarcity;
use server::Arrival;
use server::Server;
pub use tally::Tally;

use crate::{Dice, world};

/// How many requests are on their way at most.
const CROWD: usize = 24;
/// How many requests an honest person and their client need at most, once nothing fails any more.
const PATIENCE: usize = 20;

/// How often they are told that a budget is spent: others may spend the next window before them.
const DELAYS: usize = 30;

/// One history.
#[derive(Debug)]
struct Simulation<'s> {
    dice: Dice,
    server: Server<'s>,
    journeys: Vec<Journey>,
    foes: Vec<Foe>,
}

/// Plays a history to its end.
pub fn play(mut dice: Dice) -> Tally {
    let weather = Weather::draw(&mut dice);
    let mut service = world::service(limits(&mut dice));
    let Scarcity { budgets, clients } = Scarcity::draw(&mut dice);
    service.budgets = budgets;
    service.issuer = dice.coin().then(|| "https://challenger.example/x".into());
    let has_pages = dice.below(8) > 0;
    if !has_pages {
        service.pages = PageSet::default();
    }
    Simulation::new(&service, clients, has_pages, weather, dice).run()
}

impl<'s> Simulation<'s> {
    fn new(
        service: &'s Service,
        clients: [Option<u32>; 2],
        has_pages: bool,
        weather: Weather,
        mut dice: Dice,
    ) -> Self {
        let mut server = Server::new(service, clients, weather, 1 + dice.below(3));
        let servers = 1 + dice.below(3);
        let behind = |_| Span::seconds([0, 0, 1, 8][dice.below(4)]);
        server.clocks = (0..servers).map(behind).collect();
        let journeys: Vec<Journey> = (0..2 + dice.below(3))
            .map(|who| Journey::new(who, has_pages, clients, &mut dice))
            .collect();
        let foes = Foe::all(journeys.len(), &mut dice);
        Self { dice, server, journeys, foes }
    }

    /// Both phases.
    fn run(mut self) -> Tally {
        for _ in 0..300 + self.dice.below(500) {
            if self.dice.is_spent() {
                break;
            }
            self.tick();
        }
        self.server.weather = Weather::CALM;
        self.server.clocks.fill(Span::seconds(0));
        // A person whose turn never comes cannot get through: from here on the dice are fair.
        if matches!(self.dice, Dice::Fed(_)) {
            self.dice = Dice::Seeded(0);
        }
        self.foes.clear();
        for journey in &mut self.journeys {
            journey.requests = 0;
            journey.delays = 0;
        }
        while !self.journeys.iter().all(|journey| journey.is_done) {
            self.calm_tick();
        }
        let most = self.journeys.iter().map(|journey| journey.requests).max();
        let tally = &mut self.server.tally;
        tally.patience = most.unwrap_or(0);
        tally.delays = self.journeys.iter().map(|journey| journey.delays).max().unwrap_or(0);
        tally.seeds = 1;
        tally.validations = self.server.auditor.cases().count().try_into().unwrap();
        tally.clone()
    }

    /// Somebody moves.
    fn tick(&mut self) {
        let throw = self.dice.below(100);
        let walkers = self.server.walkers();
        if walkers > 0 && (throw < 66 || walkers >= CROWD) {
            return self.advance();
        }
        if throw >= 96 {
            self.server.pass(self.dice.below(30) as u64);
        }
        if self.server.strikes(Fault::ClockForward, &mut self.dice) {
            self.server.pass([20, 90, 400, 4000][self.dice.below(4)]);
        }
        if self.server.strikes(Fault::ClockBack, &mut self.dice) {
            self.server.set_back([5, 70, 500][self.dice.below(3)]);
        }
        if self.server.strikes(Fault::RowDeleted, &mut self.dice) {
            self.server.delete(&mut self.dice);
        }
        let Self { dice, server, journeys, foes } = self;
        if dice.below(3) > 0 {
            let who = dice.below(journeys.len());
            journeys[who].act(server, dice);
        } else {
            let who = dice.below(foes.len());
            foes[who].act(journeys, server, dice);
        }
    }

    fn advance(&mut self) {
        for arrival in self.server.advance(&mut self.dice) {
            self.arrive(&arrival);
        }
    }

    fn arrive(&mut self, arrival: &Arrival) {
        let who = arrival.errand.who;
        match who.checked_sub(self.journeys.len()) {
            None => self.journeys[who].receive(arrival, &mut self.server),
            Some(foe) => {
                if let Some(foe) = self.foes.get_mut(foe) {
                    foe.receive(arrival, &mut self.dice);
                }
            }
        }
    }

    /// The second phase: without faults, and with sensible people who do one thing at a time.
    fn calm_tick(&mut self) {
        if self.server.walkers() > 0 && self.dice.below(3) > 0 {
            return self.advance();
        }
        let idle = |journey: &Journey| journey.in_flight == 0 && !journey.is_done;
        let steps: Vec<(usize, Step)> = (0..self.journeys.len())
            .filter(|who| idle(&self.journeys[*who]))
            .map(|who| (who, self.journeys[who].sensible(&self.server)))
            .collect();
        let (waiting, ready): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|(_, step)| matches!(step, Step::Wait(_)));
        if ready.is_empty() {
            return if self.server.walkers() > 0 { self.advance() } else { self.wait(&waiting) };
        }
        let (who, step) = self.dice.pick(&ready);
        let journey = &mut self.journeys[*who];
        assert!(journey.requests < PATIENCE, "I12: person {who} gets nowhere");
        assert!(journey.delays < DELAYS, "I12: person {who} waits without end");
        match step {
            Step::GiveUp => journey.despair(&mut self.server),
            step => journey.take(step.clone(), &mut self.server),
        }
    }

    /// Time passes when everybody waits for it, and not while somebody holds a code.
    fn wait(&mut self, waiting: &[(usize, Step)]) {
        let waits = waiting.iter().filter_map(|(_, step)| match step {
            Step::Wait(seconds) => Some(*seconds),
            _ => None,
        });
        let least = waits.min().unwrap();
        self.server.pass(least);
        for (who, _) in waiting {
            self.journeys[*who].has_waited(least);
        }
    }
}

/// A failure prints what happened last.
impl Drop for Simulation<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.server.history.print();
        }
    }
}

/// Small numbers of everything: then all of it is used up.
fn limits(dice: &mut Dice) -> Limits {
    let mut few = |least: u8, most: u8| {
        least + u8::try_from(dice.below(usize::from(most - least) + 1)).unwrap()
    };
    let mut limits = Limits::for_type(&AddressType::new("email").unwrap());
    limits.address_changes = few(1, 3);
    limits.pin_transmissions = NonZeroU8::new(few(1, 3)).unwrap();
    limits.pin_attempts = NonZeroU8::new(few(1, 3)).unwrap();
    limits.refunds = few(0, 3);
    limits.retransmission_interval = Span::seconds([0, 30, 60][usize::from(few(0, 2))]);
    limits.validation_duration = Span::seconds(3000);
    limits.code_duration = Span::seconds(120);
    limits.token_duration = Span::seconds(600);
    limits
}
