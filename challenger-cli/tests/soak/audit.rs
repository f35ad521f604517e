//! Holds the servers to their answers: a token that was given out opens what was proved, and its
//! code buys no other.

use std::thread;
use std::time::{Duration, Instant};

use challenger_testkit::Dice;

use super::caller::{Call, Caller, Trouble};
use super::ledger::Proof;
use super::site::{REDIRECT_URI, SECRET};
use super::visit::{info, token_request};
use super::world::World;

/// From then on, a second use of the code takes the token back.
const LATE: Duration = Duration::from_secs(12);
/// Until then, token and validation are certainly there.
const CERTAIN: Duration = Duration::from_secs(200);

/// Looks at the proofs of a pair, each some time after it was given, until none are left.
pub fn audit(world: &World, index: usize) {
    let mut dice = Dice::for_purpose(world.settings.seed, "audit", index as u64);
    let most = world.settings.pace(13, 60);
    let mut wait = LATE;
    loop {
        let next = world.ledger.proofs[index].lock().unwrap().pop_front();
        let Some(proof) = next else {
            if world.is_over() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let due = proof.redeemed + wait;
        if Instant::now() < due && !world.is_over() {
            world.ledger.proofs[index].lock().unwrap().push_front(proof);
            thread::sleep(Duration::from_millis(50));
            continue;
        }
        wait = Duration::from_secs(dice.between(LATE.as_secs(), most));
        let begun = Instant::now();
        let mut caller = Caller::new(world, &world.pairs[index], &mut dice);
        match verify(&mut caller, &proof) {
            Ok(()) => world.ledger.count("audit|held", 1),
            Err(Trouble::Broken(rule, case)) => world.ledger.break_rule(rule, case),
            // Too late to know, because the database was away for so long.
            Err(_) => world.ledger.count("audit|could not be looked at", 1),
        }
        caller.settle(!caller.pair.was_troubled(begun, Instant::now()));
    }
}

fn verify(caller: &mut Caller<'_>, proof: &Proof) -> Result<(), Trouble> {
    let too_late = |_: &Proof| Trouble::GaveUp("too late".to_string());
    let reply = info(caller, "info again", &proof.token)?;
    if proof.redeemed.elapsed() > CERTAIN {
        return Err(too_late(proof));
    }
    if !reply.body.contains(&format!("\"{}\"", proof.address)) {
        let case = format!("{:?} for {}", reply.refusal(), proof.address);
        return Err(Trouble::Broken("no acknowledged grant is lost", case));
    }
    let is_late = proof.redeemed.elapsed() > LATE;
    let body = token_request(SECRET, REDIRECT_URI, &proof.code, proof.verifier.as_deref());
    let call =
        Call { kind: "token again", method: "POST", target: "token", headers: &[], body: &body };
    let reply = caller.call(&call)?;
    if proof.redeemed.elapsed() > CERTAIN {
        return Err(too_late(proof));
    }
    if reply.refusal() != (401, 9753) {
        let case = format!("{} for {}", reply.status, proof.address);
        return Err(Trouble::Broken("no code is redeemed twice", case));
    }
    if is_late {
        let reply = info(caller, "info after replay", &proof.token)?;
        if reply.refusal() != (404, 9753) {
            let case = format!("{} for {}", reply.status, proof.address);
            return Err(Trouble::Broken("a late replay takes the token back", case));
        }
    }
    Ok(())
}
