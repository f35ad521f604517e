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

/// Reads the limits of the front, and how many helpers may run.
pub(super) fn read_front(reader: &mut Reader<'_>) -> (Limits, usize) {
    let mut limits = Limits::default();
    let mut helpers_max = HELPERS_MAX;
    number(reader, "MAX_CONNECTIONS", &mut limits.connections);
    number(reader, "MAX_CONNECTIONS_PER_PEER", &mut limits.connections_per_peer);
    number(reader, "HELPERS_MAX", &mut helpers_max);
    time(reader, "HEAD_TIMEOUT", &mut limits.head);
    time(reader, "BODY_TIMEOUT", &mut limits.body);
    time(reader, "IDLE_TIMEOUT", &mut limits.idle);
    if let Some(networks) = reader.optional("TRUSTED_PROXIES", Config::string) {
        limits.trusted_proxies = read_networks(reader, &networks);
    }
    let all = limits.connections;
    if limits.connections_per_peer > all {
        reader.warnings.push(format!(
            "[{MAIN}] MAX_CONNECTIONS_PER_PEER is {}, more than MAX_CONNECTIONS, which is {all}: \
             one address may take all of them",
            limits.connections_per_peer
        ));
    }
    if helpers_max >= all {
        reader.warnings.push(format!(
            "[{MAIN}] HELPERS_MAX is {helpers_max}, not less than MAX_CONNECTIONS, which is {all}: \
             nobody else is served while people wait for as many messages"
        ));
    }
    (limits, helpers_max)
}

/// The options that only the front heeds.
const LIMITS: [&str; 6] = [
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_PEER",
    "TRUSTED_PROXIES",
    "HEAD_TIMEOUT",
    "BODY_TIMEOUT",
    "IDLE_TIMEOUT",
];

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
    let unused = LIMITS.into_iter().filter(|it| tiny && reader.config.value(MAIN, it).is_some());
    let warning = |option| format!("[{MAIN}] {option} does nothing with ENGINE = tiny-http");
    reader.warnings.extend(unused.map(warning));
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
fn read_networks(reader: &mut Reader<'_>, text: &str) -> Vec<Network> {
    let networks: Result<_, String> = text.split_ascii_whitespace().map(Network::parse).collect();
    networks.unwrap_or_else(|expected| {
        reader.refuse("TRUSTED_PROXIES", &expected);
        Vec::new()
    })
}
