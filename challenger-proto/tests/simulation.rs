//! A seeded swarm: every seed is one history of many people, clients and foes, with its own faults.
//!
//! `SIM_SEED=7` replays one seed, and `SIM_SEEDS=20000` plays so many.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails loudly")]
#![allow(clippy::disallowed_types, reason = "a test may keep state")]

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use challenger_testkit::Dice;
use challenger_testkit::simulation::{self, Tally};

/// How many seeds are played when nobody asks for more.
const SEEDS: u64 = 300;

/// Seeds that failed once: they are played first, for ever.
const FAILED_ONCE: &str = include_str!("../../testdata/seeds.txt");

/// One history. If it fails, it prints how to replay it.
fn play(seed: u64) -> Option<Tally> {
    let tally = catch_unwind(|| simulation::play(Dice::Seeded(seed))).ok();
    if tally.is_none() {
        println!("SIM_SEED={seed} cargo test -p challenger-proto --test simulation");
    }
    tally
}

/// All of them, until one fails.
fn play_all(seeds: &[u64]) -> Tally {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let share = || {
        let mut tally = Tally::default();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed))
            && !failed.load(Ordering::Relaxed)
        {
            match play(*seed) {
                Some(one) => tally.add(&one),
                None => failed.store(true, Ordering::Relaxed),
            }
        }
        tally
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
        for worker in workers {
            all.add(&worker.join().unwrap());
        }
    });
    assert!(!failed.into_inner(), "a seed fails, see above");
    all
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

#[test]
fn every_seed_is_safe_and_ends_well() {
    let begun = Instant::now();
    let known = FAILED_ONCE.lines().filter(|line| !line.starts_with('#'));
    let mut seeds: Vec<u64> = known.map(|line| line.parse().unwrap()).collect();
    seeds.extend(0..number("SIM_SEEDS").unwrap_or(SEEDS));
    if let Some(seed) = number("SIM_SEED") {
        seeds = vec![seed];
    }
    let tally = play_all(&seeds);
    tally.print();
    println!(
        "{} seeds, {} steps, {} validations, clean, in {} s; nobody needed more than {} requests \
         after {} spent budgets",
        tally.seeds,
        tally.steps,
        tally.validations,
        begun.elapsed().as_secs(),
        tally.patience,
        tally.delays,
    );
    if seeds.len() > 1 {
        let gaps = tally.gaps();
        assert!(gaps.is_empty(), "never reached, or not foreseen: {gaps:?}");
    }
}

#[test]
fn a_seed_is_always_the_same_history() {
    let play = |seed| format!("{:?}", simulation::play(Dice::Seeded(seed)));
    assert_eq!(play(1), play(1));
    assert_ne!(play(1), play(2));
}
