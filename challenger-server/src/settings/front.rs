//! The limits of connections, times, and running helpers.

use std::time::Duration;

use super::MAIN;
use super::reader::OptionReader;
use crate::config::{Entry, TimeSpan};
use crate::front::{Engine, Limits, Network};
use crate::places;

/// Upper bound for counts; anything larger is a typo, and more than a machine's threads.
const MOST: u64 = 65_535;

/// Upper bound for helpers with tiny_http, which starts a thread for each at once.
const MOST_OF_TINY: usize = 1000;

/// Reads an option into its limit.
type Read = fn(&mut OptionReader<'_>, &str, &mut Limits);

/// The options that only the front uses.
const LIMITS: [(&str, Read); 6] = [
    ("MAX_CONNECTIONS", |r, o, limits| number(r, o, &mut limits.connections)),
    ("MAX_CONNECTIONS_PER_PEER", |r, o, limits| number(r, o, &mut limits.connections_per_peer)),
    ("TRUSTED_PROXIES", |r, o, limits| networks(r, o, &mut limits.trusted_proxies)),
    ("HEAD_TIMEOUT", |r, o, limits| time(r, o, TICK, &mut limits.head)),
    ("BODY_TIMEOUT", |r, o, limits| time(r, o, TICK, &mut limits.body)),
    ("IDLE_TIMEOUT", |r, o, limits| time(r, o, TICK, &mut limits.idle)),
];

/// The shortest plausible timeout of a connection.
const TICK: Duration = Duration::from_millis(1);

/// Reads the limits of an engine, and of the places for helpers.
pub(super) fn read_limits(
    reader: &mut OptionReader<'_>,
    engine: Engine,
) -> (Limits, places::Limits) {
    let mut limits = Limits::default();
    let mut places = places::Limits::default();
    for (option, read) in LIMITS {
        read(reader, option, &mut limits);
    }
    number(reader, "HELPERS_MAX", &mut places.helpers);
    time(reader, "HELPERS_WAIT", Duration::ZERO, &mut places.patience);
    let config = reader.config;
    let is_set = |option| config.entry(MAIN, option).is_some_and(|it| !it.is_default());
    if engine != Engine::Front {
        let unused = LIMITS.into_iter().filter(|(option, _)| is_set(option));
        let warning =
            |(option, _)| format!("[{MAIN}] {option} does nothing with ENGINE = tiny-http");
        reader.warnings.extend(unused.map(warning));
        // It has a thread for each waiting request, too.
        places.waiting = places.helpers;
        if places.helpers > MOST_OF_TINY {
            let expected = format!("at most {MOST_OF_TINY} with ENGINE = tiny-http");
            reader.refuse("HELPERS_MAX", &expected);
        }
        return (limits, places);
    }
    if !is_set("MAX_CONNECTIONS_PER_PEER") {
        limits.connections_per_peer = limits.connections_per_peer.min(limits.connections);
    }
    // Half of the connections are left for everything else.
    places.waiting = (limits.connections / 2).saturating_sub(places.helpers);
    warn(reader, &limits, places.helpers);
    (limits, places)
}

/// Warns about limits without effect.
fn warn(reader: &mut OptionReader<'_>, limits: &Limits, helpers_max: usize) {
    let Limits { connections: all, connections_per_peer, trusted_proxies, .. } = limits;
    if connections_per_peer > all {
        reader.warnings.push(format!(
            "[{MAIN}] MAX_CONNECTIONS_PER_PEER is {connections_per_peer}, more than \
             MAX_CONNECTIONS, which is {all}: one address may take all of them"
        ));
    }
    for network in trusted_proxies.iter().filter(|network| network.is_everything()) {
        reader.warnings.push(format!(
            "[{MAIN}] TRUSTED_PROXIES has {network}, which is everybody: \
             MAX_CONNECTIONS_PER_PEER holds for none of them"
        ));
    }
    if helpers_max >= *all {
        reader.warnings.push(format!(
            "[{MAIN}] HELPERS_MAX is {helpers_max}, not less than MAX_CONNECTIONS, which is {all}: \
             nobody else is served while people wait for as many messages"
        ));
    }
}

/// The engines that this program was built with.
const ENGINES: &[(&str, Engine)] = &[
    ("front", Engine::Front),
    #[cfg(feature = "tiny-http")]
    ("tiny-http", Engine::TinyHttp),
];

/// Reads the engine. Only the front withstands attackers, so others may only serve a proxy on a
/// UNIX socket that we make: one from the service manager may be open to others.
pub(super) fn read_engine(reader: &mut OptionReader<'_>, given: bool) -> Engine {
    let is = |option: &str, word: &str| {
        let value = reader.config.value(MAIN, option);
        value.map(|value| value.text.eq_ignore_ascii_case(word))
    };
    let tiny = is("ENGINE", "tiny-http").unwrap_or(false);
    let unix = is("SERVE", "unix").unwrap_or(true);
    if tiny && ENGINES.len() == 1 {
        reader.refuse("ENGINE", "front, because this program was built without tiny-http");
        return Engine::Front;
    }
    if tiny && (given || !unix) {
        reader.refuse(
            "ENGINE",
            "front, because tiny-http withstands nobody but a proxy that buffers requests, behind \
             SERVE = unix and no socket of the service manager",
        );
        return Engine::Front;
    }
    reader.optional("ENGINE", |it| it.choice(ENGINES)).unwrap_or(Engine::Front)
}

fn number(reader: &mut OptionReader<'_>, option: &str, slot: &mut usize) {
    let number = reader.optional(option, |it| it.number(1..=MOST));
    if let Some(number) = number.and_then(|number| usize::try_from(number).ok()) {
        *slot = number;
    }
}

/// Reads a finite time. One shorter than a millisecond is a mistake, since a number without a unit
/// counts microseconds.
fn time(reader: &mut OptionReader<'_>, option: &str, least: Duration, slot: &mut Duration) {
    let range = least..=Duration::from_secs(86_400);
    match reader.optional(option, Entry::duration) {
        Some(TimeSpan::Finite(time)) if range.contains(&time) => *slot = time,
        Some(_) => {
            let least = if least.is_zero() { "0" } else { "1 ms" };
            reader.refuse(option, &format!("a time from {least} to 1 day, such as \"10 s\""));
        }
        None => {}
    }
}

/// Reads addresses and networks that spaces separate.
fn networks(reader: &mut OptionReader<'_>, option: &str, slot: &mut Vec<Network>) {
    let Some(text) = reader.text(option) else { return };
    let networks: Result<_, String> = text.split_ascii_whitespace().map(Network::parse).collect();
    match networks {
        Ok(networks) => *slot = networks,
        Err(expected) => reader.refuse(option, &expected),
    }
}
