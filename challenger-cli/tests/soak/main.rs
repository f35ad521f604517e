//! A mixed load with faults on all stores at once, for as long as one likes: `make soak`.
//!
//! ```text
//! people, strangers ──▶ two servers ──▶ PostgreSQL      faults: the database, a server, the helper
//!                  └──▶ two servers ──▶ SQLite          upkeep: logs rotated, rows deleted
//! ```
//!
//! People come at a steady pace, whatever becomes of those before them (an open loop). When nothing
//! is done to their servers they must get what they want without a single error; during faults and
//! for some seconds after, they may meet documented errors and try again. The answers of a server
//! hold in any case.
//!
//! `SOAK_SECONDS` is the length of a run, `SOAK_RATE` the number of people per second, and
//! `SOAK_SEED` the seed of its dice. Only runs of ten minutes and more have limits for times and
//! memory.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    reason = "it fails by panicking, tells what it sees, and shares its modules with tests"
)]

mod audit;
mod caller;
mod faults;
mod figures;
mod ledger;
mod people;
mod processes;
mod report;
#[path = "../site/mod.rs"]
mod site;
mod strangers;
mod upkeep;
mod visit;
mod world;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use processes::Series;
use world::{Settings, World};

fn main() -> ExitCode {
    upkeep::assert_it_notices();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let settings = Settings {
        duration: Duration::from_secs(number("SOAK_SECONDS", 3600)),
        rate: number("SOAK_RATE", 20),
        seed: number("SOAK_SEED", now.as_secs()),
    };
    println!(
        "SOAK_SECONDS={} SOAK_RATE={} SOAK_SEED={}",
        settings.duration.as_secs(),
        settings.rate,
        settings.seed
    );
    let world = World::build(settings);
    let series = run(&world);
    end(&world);
    if report::tell_all(&world, &series) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

/// Everything at once, until the people are done.
fn run(world: &World) -> Vec<Series> {
    // A part that cannot go on must not take the report along.
    let guarded = |what: &'static str, work: &dyn Fn()| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            let case = format!("{what}: {}", people::reason(&*panic));
            world.ledger.break_rule("servers can be looked after", case);
        }
    };
    thread::scope(|scope| {
        let watch = scope.spawn(|| processes::watch(world));
        scope.spawn(|| report::tell_minutes(world));
        scope.spawn(move || strangers::send(scope, world));
        let faults: Vec<_> = world
            .pairs
            .iter()
            .enumerate()
            .map(|(index, pair)| {
                scope.spawn(move || guarded("upkeep", &|| upkeep::look_after(world, pair)));
                scope.spawn(move || guarded("audit", &|| audit::audit(world, index)));
                scope.spawn(move || guarded("faults", &|| faults::inject(world, pair)))
            })
            .collect();
        people::send(scope, world);
        for fault in faults {
            fault.join().unwrap();
        }
        while world.ledger.under_way.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_millis(50));
        }
        world.over.store(true, Ordering::SeqCst);
        watch.join().unwrap()
    })
}

/// Stops all servers, and reads the rest of their logs.
fn end(world: &World) {
    for pair in &world.pairs {
        for server in &pair.servers {
            let code =
                server.end(&mut server.site.lock().unwrap_or_else(PoisonError::into_inner), "TERM");
            if code != Some(0) {
                let case = format!("{code:?}, {}", server.name);
                world.ledger.break_rule("servers stop in good order", case);
            }
            upkeep::read_last(world, server);
        }
        for address in pair.letter_boxes() {
            if pair.letters_for(&address) > people::LETTERS_MAX {
                world.ledger.break_rule("no message beyond the budget", address);
            }
        }
    }
}
