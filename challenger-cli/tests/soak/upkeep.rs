//! Operators' upkeep of a service that runs: they rotate its logs, read them, and delete expired
//! rows.

use std::fs;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use challenger_testkit::wait_for;

use super::site::{stderr, stdout};
use super::world::{Pair, Server, World};

/// Looks after a pair until everything is over.
pub fn look_after(world: &World, pair: &Pair) {
    let pause = Duration::from_secs(world.settings.pace(5, 30));
    while world.sleep(pause) {
        clean_up(world, pair);
        for server in &pair.servers {
            // It may be down, and then its log is looked at next time.
            if let Ok(site) = server.site.try_lock() {
                rotate(world, server, &|| site.signal("HUP"));
            }
        }
    }
}

/// What is deleted, in the order in which the program says how many.
const COLLECTED: [&str; 3] = ["validations", "access tokens", "balances"];

/// Deletes expired rows.
fn clean_up(world: &World, pair: &Pair) {
    let begun = Instant::now();
    let output = {
        let site = pair.servers[0].site.lock().unwrap();
        site.run("challenger-dbinit", &["--garbagecollect"])
    };
    let text = stdout(&output);
    let numbers: Vec<u64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    let name = pair.name;
    if output.status.success() && numbers.len() == COLLECTED.len() {
        world.ledger.count(&format!("cleaned|{name}|runs"), 1);
        for (what, number) in COLLECTED.iter().zip(numbers) {
            world.ledger.count(&format!("cleaned|{name}|{what}"), number);
        }
    } else if !pair.was_troubled(begun, Instant::now()) {
        let case = format!("{text}{}", stderr(&output));
        world.ledger.break_rule("what has expired can be deleted", case);
    }
}

/// Moves the log away, has a new one opened, and reads the old one.
fn rotate(world: &World, server: &Server, tell: &dyn Fn()) {
    let old = server.root.join("httpd.log.1");
    fs::rename(server.log(), &old).unwrap();
    tell();
    wait_for("a new log", || server.log().exists().then_some(()));
    // A thread that was writing when the new one was opened is done soon; a later line is merely
    // not read.
    thread::sleep(Duration::from_millis(100));
    world.ledger.count("upkeep|log rotated", 1);
    read(world, server, &fs::read_to_string(&old).unwrap());
    fs::remove_file(old).unwrap();
}

/// Reads the last log of a server that has ended, and its output before there was one.
pub fn read_last(world: &World, server: &Server) {
    read(world, server, &fs::read_to_string(server.log()).unwrap());
    let said = server.site.lock().unwrap().log();
    for line in said.lines() {
        world.ledger.break_rule("servers say nothing beside the log", line);
    }
}

fn read(world: &World, server: &Server, text: &str) {
    server.log_bytes.fetch_add(text.len() as u64, Ordering::SeqCst);
    for line in text.lines() {
        let mut words = line.splitn(3, ' ').skip(1);
        let (level, rest) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let event = rest.split_whitespace().take_while(|it| !it.contains('=')).collect::<Vec<_>>();
        let event = event.join(" ");
        world.ledger.count(&format!("log|{level} {event}"), 1);
        let name = &server.name;
        let known = [
            "database",
            "fetched",
            "message",
            "opened",
            "proved",
            "redeemed",
            "request",
            "serving",
            "stopping",
            "too many connections",
        ];
        if !known.contains(&event.as_str()) {
            world.ledger.break_rule("the log tells nothing unforeseen", format!("{name}: {line}"));
        }
        if let Some(secret) = secret_in(rest) {
            world.ledger.break_rule("no secret in a log", format!("{name}: {secret}: {rest}"));
        }
    }
}

/// Something in a line that has the shape of a secret or an address. That covers more than the
/// secrets that there are, and none of it belongs in a log.
fn secret_in(line: &str) -> Option<&'static str> {
    let is_sign = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit();
    if line.split(|it| !is_sign(it)).any(|word| word.len() >= 26) {
        return Some("a nonce, code or token");
    }
    if line.contains('@') || line.contains("%40") {
        return Some("an address");
    }
    if line.contains("secret-token") {
        return Some("a client's secret");
    }
    let digits = |word: &str| word.len() == 8 && word.bytes().all(|it| it.is_ascii_digit());
    let mut words = line.split(|it: char| !(it.is_ascii_digit() || it == '-'));
    words.any(|word| digits(&word.replace('-', ""))).then_some("a code for people")
}

/// The reader of logs would notice.
pub fn assert_it_notices() {
    let nonce = "000G40R40M30E209185GR38E1W8124GK2GAHC5RR34D1P70X3RFG";
    for line in [nonce, "to ada@example.com", "1234-5678", "pin=12345678", "x secret-token:y"] {
        assert!(secret_in(line).is_some(), "{line}");
    }
    let good = "request method=POST route=/solve/$NONCE status=403 refusal=PinInvalid ms=2";
    assert_eq!(secret_in(good), None);
}
