//! How much strangers get: connections, time, and helpers at work.

use std::time::Duration;

use super::MAIN;
use super::reader::Reader;
use crate::config::{Config, TimeSpan};
use crate::front::{Engine, Limits, Network};

/// How many messages are delivered at the same time. Each costs a process, and a mail server that
/// hangs must not fill the machine with them.
const HELPERS_MAX: usize = 16;
/// More of anything is a slip of the finger, and more than a machine's threads.
const MOST: u64 = 65_535;

/// tiny_http has a thread for each helper, and all of them from the beginning.
const MOST_OF_TINY: usize = 1000;

/// Reads an option into its limit.
type Read = fn(&mut Reader<'_>, &str, &mut Limits);

/// The options that only the front heeds.
const LIMITS: [(&str, Read); 6] = [
    ("MAX_CONNECTIONS", |r, o, limits| number(r, o, &mut limits.connections)),
    ("MAX_CONNECTIONS_PER_PEER", |r, o, limits| number(r, o, &mut limits.connections_per_peer)),
    ("TRUSTED_PROXIES", |r, o, limits| networks(r, o, &mut limits.trusted_proxies)),
    ("HEAD_TIMEOUT", |r, o, limits| time(r, o, &mut limits.head)),
    ("BODY_TIMEOUT", |r, o, limits| time(r, o, &mut limits.body)),
    ("IDLE_TIMEOUT", |r, o, limits| time(r, o, &mut limits.idle)),
];

/// Reads the limits of an engine, and how many helpers may run.
pub(super) fn read_limits(reader: &mut Reader<'_>, engine: Engine) -> (Limits, usize) {
    let mut limits = Limits::default();
    let mut helpers_max = HELPERS_MAX;
    for (option, read) in LIMITS {
        read(reader, option, &mut limits);
    }
    number(reader, "HELPERS_MAX", &mut helpers_max);
    let config = reader.config;
    let is_set = |option: &str| config.value(MAIN, option).is_some();
    if engine != Engine::Front {
        let unused = LIMITS.into_iter().filter(|(option, _)| is_set(option));
        let warning =
            |(option, _)| format!("[{MAIN}] {option} does nothing with ENGINE = tiny-http");
        reader.warnings.extend(unused.map(warning));
        if helpers_max > MOST_OF_TINY {
            let expected = format!("at most {MOST_OF_TINY} with ENGINE = tiny-http");
            reader.refuse("HELPERS_MAX", &expected);
        }
        return (limits, helpers_max);
    }
    if !is_set("MAX_CONNECTIONS_PER_PEER") {
        limits.connections_per_peer = limits.connections_per_peer.min(limits.connections);
    }
    warn(reader, &limits, helpers_max);
    (limits, helpers_max)
}

/// Warns about limits that are none.
fn warn(reader: &mut Reader<'_>, limits: &Limits, helpers_max: usize) {
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

/// Which engines this program was built with.
const ENGINES: &[(&str, Engine)] = &[
    ("front", Engine::Front),
    #[cfg(feature = "tiny-http")]
    ("tiny-http", Engine::TinyHttp),
];

/// Reads who reads from strangers. All but the front withstand nobody, so they may only serve a
/// proxy on a UNIX socket, and not one of somebody else, who may have let others in.
pub(super) fn read_engine(reader: &mut Reader<'_>, given: bool) -> Engine {
    let is = |option: &str, word: &str| {
        let value = reader.config.value(MAIN, option);
        value.is_some_and(|value| value.text.eq_ignore_ascii_case(word))
    };
    let (tiny, unix) = (is("ENGINE", "tiny-http"), is("SERVE", "unix"));
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
    reader.optional("ENGINE", |c, s, o| c.choice(s, o, ENGINES)).unwrap_or(Engine::Front)
}

fn number(reader: &mut Reader<'_>, option: &str, slot: &mut usize) {
    let number = reader.optional(option, |c, s, o| c.number(s, o, 1..=MOST));
    if let Some(number) = number.and_then(|number| usize::try_from(number).ok()) {
        *slot = number;
    }
}

/// A time that ends, to the microsecond. What is shorter than a millisecond was meant as another
/// unit, since a number without one counts microseconds.
fn time(reader: &mut Reader<'_>, option: &str, slot: &mut Duration) {
    let range = Duration::from_millis(1)..=Duration::from_secs(86_400);
    match reader.optional(option, Config::duration) {
        Some(TimeSpan::Finite(time)) if range.contains(&time) => *slot = time,
        Some(_) => reader.refuse(option, "a time from 1 ms to 1 day, such as \"10 s\""),
        None => {}
    }
}

/// Addresses and networks that blanks separate.
fn networks(reader: &mut Reader<'_>, option: &str, slot: &mut Vec<Network>) {
    let Some(text) = reader.optional(option, Config::string) else { return };
    let networks: Result<_, String> = text.split_ascii_whitespace().map(Network::parse).collect();
    match networks {
        Ok(networks) => *slot = networks,
        Err(expected) => reader.refuse(option, &expected),
    }
}
