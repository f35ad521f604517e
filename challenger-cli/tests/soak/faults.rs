//! Faults of the servers, their helper and their database, one at a time for each pair.

use std::thread;
use std::time::{Duration, Instant};

use challenger_testkit::{Cluster, Dice, End};

use super::world::{Pair, World};

/// How long after a fault requests may still fail: connections are made again, and requests that
/// hung come to their end.
const SETTLING: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    DatabaseKilled,
    DatabasePaused,
    DatabaseRestarted,
    DatabaseStoppedAtOnce,
    HelperDoubts,
    HelperFails,
    HelperHangs,
    ServerKilled,
    ServerRestarted,
}

const ALL: [Fault; 9] = [
    Fault::DatabaseKilled,
    Fault::DatabasePaused,
    Fault::DatabaseRestarted,
    Fault::DatabaseStoppedAtOnce,
    Fault::HelperDoubts,
    Fault::HelperFails,
    Fault::HelperHangs,
    Fault::ServerKilled,
    Fault::ServerRestarted,
];

impl Fault {
    const fn name(self) -> &'static str {
        match self {
            Self::DatabaseKilled => "database killed and restarted",
            Self::DatabasePaused => "database paused",
            Self::DatabaseRestarted => "database stopped (fast) and restarted",
            Self::DatabaseStoppedAtOnce => "database stopped (immediate) and restarted",
            Self::HelperDoubts => "helper delivers and reports a failure",
            Self::HelperFails => "helper fails",
            Self::HelperHangs => "helper hangs until its time is over",
            Self::ServerKilled => "server killed and restarted",
            Self::ServerRestarted => "server stopped and restarted",
        }
    }

    const fn is_outage(self) -> bool {
        matches!(
            self,
            Self::DatabaseKilled
                | Self::DatabasePaused
                | Self::DatabaseRestarted
                | Self::DatabaseStoppedAtOnce
        )
    }
}

/// Troubles a pair until shortly before the end. Each fault has its turn before any comes again.
pub fn inject(world: &World, pair: &Pair) {
    let mut dice = Dice::for_purpose(world.settings.seed, pair.name, 0);
    let mut cards = Vec::new();
    // So that the last one is over before the people are.
    let end = world.begun + world.settings.duration;
    let end = end.checked_sub(Duration::from_secs(world.settings.pace(6, 20))).unwrap();
    loop {
        let (least, most) = world.settings.pace((5500, 8000), (15_000, 45_000));
        let pause = Duration::from_millis(dice.between(least, most));
        if Instant::now() + pause > end || !world.sleep(pause) {
            return;
        }
        if cards.is_empty() {
            cards = ALL.to_vec();
            cards.retain(|fault| pair.cluster.is_some() || !fault.is_outage());
            dice.shuffle(&mut cards);
        }
        let fault = cards.pop().unwrap();
        let (least, most) = world.settings.pace((200, 1500), (1000, 8000));
        let time = Duration::from_millis(dice.between(least, most));
        pair.open_window(fault.is_outage());
        carry_out(world, pair, fault, time);
        pair.close_window(Instant::now() + SETTLING);
        world.ledger.count(&format!("fault|{}|{}", pair.name, fault.name()), 1);
    }
}

fn carry_out(world: &World, pair: &Pair, fault: Fault, time: Duration) {
    let with_helper = |mode: &str| {
        pair.set_helper(mode);
        thread::sleep(time);
        pair.set_helper("delivers");
    };
    match fault {
        Fault::DatabaseKilled => restart_database(pair, End::Killed, time),
        Fault::DatabasePaused => {
            let cluster = cluster(pair);
            cluster.pause();
            thread::sleep(time);
            cluster.resume();
        }
        Fault::DatabaseRestarted => restart_database(pair, End::Fast, time),
        Fault::DatabaseStoppedAtOnce => restart_database(pair, End::Immediate, time),
        Fault::HelperDoubts => with_helper("doubts"),
        Fault::HelperFails => with_helper("fails"),
        Fault::HelperHangs => with_helper("hangs"),
        Fault::ServerKilled => {
            let server = &pair.servers[1];
            let mut site = server.site.lock().unwrap();
            server.end(&mut site, "KILL");
            thread::sleep(time);
            server.start(&mut site);
        }
        Fault::ServerRestarted => {
            let server = &pair.servers[1];
            let mut site = server.site.lock().unwrap();
            let code = server.end(&mut site, "TERM");
            if code != Some(0) {
                let case = format!("{code:?}, {}", server.name);
                world.ledger.break_rule("servers stop in good order", case);
            }
            thread::sleep(time);
            server.start(&mut site);
        }
    }
}

fn cluster(pair: &Pair) -> &Cluster {
    pair.cluster.as_ref().unwrap()
}

fn restart_database(pair: &Pair, end: End, time: Duration) {
    cluster(pair).end(end);
    thread::sleep(time);
    cluster(pair).start();
}
