//! Honest people with their clients: they come at a steady pace, whatever becomes of those before.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use challenger_testkit::{Dice, wrong};

use super::caller::{Call, Caller, Trouble};
use super::figures::{FLOW, Sample};
use super::ledger::Proof;
use super::site::{REDIRECT_URI, SECRET};
use super::visit::{INTERVAL, Visit, info, token_request};
use super::world::{Pair, World};

/// How many validations somebody begins before giving up.
const ROUNDS: u64 = 5;
/// How many letters an address may get: as many as are allowed, and as many as are given back.
pub const LETTERS_MAX: usize = 3 + 3;

/// Sends people on their way until the time is over.
pub fn send<'a>(scope: &'a Scope<'a, '_>, world: &'a World) {
    let rate = world.settings.rate;
    for number in 0.. {
        let due = world.begun + Duration::from_micros(number * 1_000_000 / rate);
        if due >= world.begun + world.settings.duration {
            return;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        world.ledger.set_out();
        scope.spawn(move || {
            let walk = AssertUnwindSafe(|| Person::walk(world, number, due));
            if let Err(panic) = catch_unwind(walk) {
                world.ledger.break_rule("answers make sense", reason(&*panic));
            }
            world.ledger.arrive();
        });
    }
}

/// The message of a panic.
pub fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    text.unwrap_or_else(|| "a panic".to_string())
}

struct Person<'a> {
    world: &'a World,
    pair: &'a Pair,
    index: usize,
    number: u64,
    dice: Dice,
    caller: Caller<'a>,
    /// How long it paused of its own will.
    paused: Duration,
}

impl<'a> Person<'a> {
    fn walk(world: &'a World, number: u64, due: Instant) {
        let mut dice = Dice::for_purpose(world.settings.seed, "person", number);
        let index = usize::from(number % 2 == 1);
        let pair = &world.pairs[index];
        let caller = Caller::new(world, pair, &mut dice);
        let mut person = Self { world, pair, index, number, dice, caller, paused: Duration::ZERO };
        let late = due.elapsed();
        let mut end = Err(Trouble::StartOver("never began"));
        for round in 0..ROUNDS {
            end = person.prove(round);
            if let Err(Trouble::StartOver(why)) = &end {
                world.ledger.count(&format!("start over|{why}"), 1);
                // Only errors use a validation up.
                if !person.caller.had_errors() {
                    let case = format!("{why}, on {}", pair.name);
                    world.ledger.break_rule("nobody starts over without an error before", case);
                }
                continue;
            }
            break;
        }
        person.finish(due, late, end);
    }

    /// One validation from its beginning to its end.
    fn prove(&mut self, round: u64) -> Result<(), Trouble> {
        let address = format!("u{}-{round}@example.com", self.number);
        let result = self.prove_address(&address);
        let letters = self.pair.letters_for(&address);
        if letters > LETTERS_MAX {
            let case = format!("{letters} to {address}");
            self.world.ledger.break_rule("no message beyond the budget", case);
        }
        // Some may still come: a helper goes on when its server is killed.
        let _ = fs::remove_file(self.pair.letter_box(&address));
        result
    }

    fn prove_address(&mut self, address: &str) -> Result<(), Trouble> {
        let is_page = self.dice.one_in(2);
        let verifier = self.dice.one_in(4).then(|| format!("{:0>43}", self.number));
        let proposes = self.dice.one_in(4);
        let mut visit = Visit::set_up(&mut self.caller, address, is_page, verifier, proposes)?;
        visit.authorize(&mut self.caller)?;
        let twice = self.dice.one_in(10);
        let code = visit.get_letter(&mut self.caller, twice)?;
        if self.dice.one_in(10) {
            self.ask_again(&mut visit, &code)?;
        }
        if self.dice.one_in(3) {
            self.reload(&mut visit)?;
        }
        if self.dice.one_in(5) {
            visit.mistype(&mut self.caller, &code)?;
        }
        let twice = self.dice.one_in(10);
        let grant = visit.solve(&mut self.caller, &code, twice)?;
        if self.dice.one_in(5) {
            self.bend(&visit, &grant)?;
        }
        let twice = self.dice.one_in(10);
        let token = visit.redeem(&mut self.caller, &grant, twice)?;
        let redeemed = Instant::now();
        let reply = info(&mut self.caller, "info", &token)?;
        if !reply.body.contains(&format!("\"CONTACT_EMAIL\":\"{address}\"")) {
            let case = format!("{} {}", reply.status, reply.body);
            return Err(Trouble::Broken("a token opens the address that was proved", case));
        }
        let (address, code, verifier) = (address.to_string(), grant, visit.verifier);
        let proof = Proof { address, code, verifier, token, redeemed };
        self.world.ledger.proofs[self.index].lock().unwrap().push_back(proof);
        Ok(())
    }

    /// Waits a little and asks for the same letter once more.
    fn ask_again(&mut self, visit: &mut Visit, code: &str) -> Result<(), Trouble> {
        thread::sleep(INTERVAL);
        self.paused += INTERVAL;
        visit.authorize(&mut self.caller)?;
        let before = self.pair.letters_for(&visit.address);
        let again = visit.get_letter(&mut self.caller, false)?;
        if again != code {
            let case = visit.address.clone();
            return Err(Trouble::Broken("the same address gets the same code again", case));
        }
        if self.pair.letters_for(&visit.address) == before && !self.caller.had_errors() {
            let case = visit.address.clone();
            return Err(Trouble::Broken("the letter comes again after a while", case));
        }
        Ok(())
    }

    /// Looks at the state between two steps: a message that was sent was written down before.
    fn reload(&mut self, visit: &mut Visit) -> Result<(), Trouble> {
        let is_page = std::mem::replace(&mut visit.is_page, false);
        let reply = visit.authorize(&mut self.caller)?;
        visit.is_page = is_page;
        let status = reply.json();
        let knows = status["last_address"]["CONTACT_EMAIL"] == visit.address.as_str();
        if knows && status["pin_transmissions_left"].as_u64() <= Some(2) {
            return Ok(());
        }
        // Messages that failed, or were thought to, are given back.
        if knows && self.caller.had_errors() {
            return Ok(());
        }
        Err(Trouble::Broken("no message without its committed write", reply.body))
    }

    /// Somebody who has seen the redirect tries to redeem the code.
    fn bend(&mut self, visit: &Visit, code: &str) -> Result<(), Trouble> {
        let foreign = "https://mallory.example/";
        let verifier = visit.verifier.as_deref();
        let other = if code.ends_with('0') { "1" } else { "0" };
        let altered = format!("{}{other}", &code[..code.len() - 1]);
        let (body, expected) = match self.dice.below(4) {
            0 => (token_request("secret-token:guessed", REDIRECT_URI, code, verifier), 9750),
            1 => (token_request(SECRET, foreign, code, verifier), 9751),
            2 => (token_request(SECRET, REDIRECT_URI, &altered, verifier), 9754),
            _ => {
                let verifier = wrong(&"0".repeat(8)).repeat(6);
                (token_request(SECRET, REDIRECT_URI, code, Some(&verifier)), 9753)
            }
        };
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let call = Call {
            kind: "bent token",
            method: "POST",
            target: "token",
            headers: &form,
            body: &body,
        };
        let reply = self.caller.call(&call)?;
        if reply.refusal() != (401, expected) {
            let case = format!("{:?} instead of {expected}", reply.refusal());
            return Err(Trouble::Broken("bent requests are refused", case));
        }
        Ok(())
    }

    fn finish(mut self, due: Instant, late: Duration, end: Result<(), Trouble>) {
        let ledger = &self.world.ledger;
        let took = due.elapsed().saturating_sub(self.paused);
        let is_clean = !self.pair.was_troubled(due, Instant::now());
        let when = if is_clean { "else" } else { "fault" };
        let name = self.pair.name;
        ledger.count(&format!("flow|{name}|{when}"), 1);
        match end {
            Ok(()) => self.caller.samples.push(Sample::new(FLOW, due, took)),
            Err(Trouble::Broken(rule, case)) => ledger.break_rule(rule, case),
            Err(Trouble::GaveUp(last)) => {
                ledger.count(&format!("gave up|{name}|{last}|{when}"), 1);
                if is_clean {
                    ledger.break_rule("people arrive when nothing is wrong", last);
                }
            }
            Err(Trouble::StartOver(why)) => {
                ledger.count(&format!("gave up|{name}|{why}|{when}"), 1);
            }
        }
        if is_clean && self.caller.had_errors() {
            let case = format!("{:?}, on {name}", self.caller.errors);
            ledger.break_rule("no errors when nothing is wrong", case);
        }
        self.caller.samples.push(Sample::new("begun late by", due, late));
        self.caller.settle(is_clean);
    }
}
