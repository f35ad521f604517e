//! Every history of one validation under limits of two, walked through the whole core.
//!
//! The walk is depth first over an alphabet of steps. A state that was seen before, by its row, its
//! clock and what the auditor knows of it, is not entered again, so the tree closes by itself. In
//! every state the walk also asks for the status and compares it with what happened, bends requests
//! (I9), and looks beyond the validation's end (I8).
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails loudly")]

#[path = "exhaustive/node.rs"]
mod node;

use std::collections::{BTreeMap, BTreeSet};

use node::{Node, Start};

/// The drawing of `transitions.rs`, word for word, so that neither changes without the other.
const DRAWING: &str = "\
//!              challenge              solve, right PIN          redeem
//!   Open ───────────────▶ Challenged ─────────────────▶ Solved ────────▶ Redeemed
//!    ↺ authorize           ↺ authorize                   ↺ solve           │ redeem again, late
//!                          ↺ challenge: again, or        (right PIN again) ▼
//!                            another address                            Revoked
//!                          ↺ solve, wrong PIN
//!                          ↺ undelivered
";

/// Its arrows: from, by, to.
const ARROWS: [(&str, &str, &str); 10] = [
    ("Challenged", "authorize", "Challenged"),
    ("Challenged", "challenge", "Challenged"),
    ("Challenged", "solve", "Challenged"),
    ("Challenged", "solve", "Solved"),
    ("Challenged", "undelivered", "Challenged"),
    ("Open", "authorize", "Open"),
    ("Open", "challenge", "Challenged"),
    ("Redeemed", "redeem", "Revoked"),
    ("Solved", "redeem", "Redeemed"),
    ("Solved", "solve", "Solved"),
];

/// What a walk found.
#[derive(Default)]
struct Walk {
    seen: BTreeSet<String>,
    steps: usize,
    writes: usize,
    depth: usize,
    arrows: BTreeSet<(&'static str, &'static str, &'static str)>,
    wrong_verdicts: BTreeMap<u16, usize>,
}

impl Walk {
    /// Enters a state, if it is new, and everything that can follow.
    fn enter(&mut self, start: Start) {
        let mut todo = vec![(Node::new(start), 0)];
        while let Some((node, depth)) = todo.pop() {
            if !self.seen.insert(node.key()) {
                continue;
            }
            self.depth = self.depth.max(depth);
            node.check_status();
            node.check_bent_requests();
            node.check_void_codes();
            node.check_after_the_end();
            node.check_questions();
            node.check_disabled();
            assert!(self.seen.len() < 100_000, "the walk does not close");
            for letter in start.letters().iter().copied() {
                let mut next = node.clone();
                let from = next.progress();
                let step = next.take(letter);
                self.steps += 1;
                if let Some(verb) = step.wrote {
                    self.writes += 1;
                    self.arrows.insert((from, verb, next.progress()));
                }
                if let Some(status) = step.refused {
                    *self.wrong_verdicts.entry(status).or_default() += 1;
                }
                if step.moved && !self.seen.contains(&next.key()) {
                    todo.push((next, depth + 1));
                }
            }
        }
    }
}

fn walk(start: Start, states: usize) -> Walk {
    let mut walk = Walk::default();
    walk.enter(start);
    println!(
        "{start:?}: {} states, {} steps, {} writes, {} deep, refused {:?}",
        walk.seen.len(),
        walk.steps,
        walk.writes,
        walk.depth,
        walk.wrong_verdicts,
    );
    assert_eq!(walk.seen.len(), states, "another number of states: look at why, then count anew");
    walk
}

#[test]
fn every_history_holds_and_draws_the_drawing() {
    let walk = walk(Start::Blank, 2262);
    let drawn: BTreeSet<_> = ARROWS.into_iter().collect();
    assert_eq!(walk.arrows, drawn);
    // The refusals that the alphabet can meet.
    let statuses: Vec<u16> = walk.wrong_verdicts.into_keys().collect();
    assert_eq!(statuses, [401, 403, 409, 429, 502]);
}

#[test]
fn every_history_of_a_proposed_address_holds() {
    let walk = walk(Start::Proposed, 5820);
    assert_eq!(walk.arrows, ARROWS.into_iter().collect());
}

#[test]
fn every_history_of_a_fixed_address_holds() {
    let walk = walk(Start::Fixed, 702);
    assert_eq!(walk.arrows, ARROWS.into_iter().collect());
}

#[test]
fn every_history_of_one_mailbox_in_two_spellings_holds() {
    let walk = walk(Start::Spelled, 4016);
    let arrows: Vec<_> = ARROWS
        .into_iter()
        .filter(|(_, verb, to)| !matches!(*verb, "authorize" | "redeem") && *to != "Redeemed")
        .collect();
    assert_eq!(walk.arrows, arrows.into_iter().collect());
}

#[test]
fn every_history_under_scarce_budgets_holds() {
    let walk = walk(Start::Scarce, 3613);
    assert!(walk.wrong_verdicts.contains_key(&429));
}

/// The arrows of a validation whose request stays.
fn arrows_without_authorize() -> BTreeSet<(&'static str, &'static str, &'static str)> {
    ARROWS.into_iter().filter(|(_, verb, _)| *verb != "authorize").collect()
}

#[test]
fn every_history_of_a_pushed_request_holds() {
    let walk = walk(Start::Pushed, 437);
    assert_eq!(walk.arrows, arrows_without_authorize());
}

#[test]
fn every_history_of_a_request_that_a_browser_brought_holds() {
    let walk = walk(Start::Direct, 483);
    assert_eq!(walk.arrows, arrows_without_authorize());
}

#[test]
fn the_drawing_is_the_one_in_the_source() {
    assert!(include_str!("../src/machine/transitions.rs").contains(DRAWING));
    for (from, verb, to) in ARROWS {
        assert!([from, verb, to].iter().all(|word| DRAWING.contains(word)), "{from} {verb} {to}");
    }
}
