//! Reports the state of the service to the service manager: the protocol of sd_notify(3), and the
//! watchdog of sd_watchdog_enabled(3).

use std::env;
use std::io;
use std::process;
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

/// The state after starting: requests are served.
pub const READY: &str = "READY=1";
/// The state before stopping: no new requests are served.
pub const STOPPING: &str = "STOPPING=1";
/// The state that has to be reported again and again.
const ALIVE: &str = "WATCHDOG=1";

/// Reports a state, if a service manager wants to know. A failure is logged and has no other
/// effect.
pub fn notify(state: &str) {
    if let Ok(name) = env::var("NOTIFY_SOCKET") {
        tell(&name, state);
    }
}

/// A service manager that wants to hear again and again that the service is alive, and else starts
/// it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// Its socket, as in `NOTIFY_SOCKET`.
    pub socket: String,
    /// How long it waits.
    pub patience: Duration,
}

impl Watchdog {
    /// That of this process, if it has one.
    pub fn of_process() -> Option<Self> {
        let variable = |name| env::var(name).ok();
        let socket = variable("NOTIFY_SOCKET")?;
        let pid = variable("WATCHDOG_PID");
        let patience = patience(&variable("WATCHDOG_USEC")?, pid.as_deref(), process::id())?;
        Some(Self { socket, patience })
    }

    /// Keeps it quiet as long as the service `answers` in the time that it is given, from a thread
    /// of its own. It is told twice as often as it wants, and waits for an answer for a quarter of
    /// its patience.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn feed(self, answers: impl Fn(Duration) -> bool + Send + 'static) -> io::Result<()> {
        let Self { socket, patience } = self;
        let feed = move || {
            loop {
                if answers(patience / 4) {
                    tell(&socket, ALIVE);
                    thread::sleep(patience / 2);
                } else {
                    log::error!(error = "the service does not answer itself"; "watchdog");
                    thread::sleep(patience / 20);
                }
            }
        };
        thread::Builder::new().name("watchdog".to_owned()).spawn(feed).map(drop)
    }
}

/// How long the watchdog waits, if it is meant for this process, and not for an ancestor.
fn patience(micros: &str, pid: Option<&str>, process: u32) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(process));
    let micros = micros.parse().ok().filter(|micros| *micros > 0 && is_ours)?;
    Some(Duration::from_micros(micros))
}

fn tell(name: &str, state: &str) {
    if let Err(error) = send(name, state) {
        log::warn!(socket = name, state, error:%; "service manager not told");
    }
}

fn send(name: &str, state: &str) -> io::Result<()> {
    // Linux has sockets without a file, whose names begin with a NUL internally.
    let address = match name.strip_prefix('@') {
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => SockAddr::unix(name),
    }?;
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    // A full queue must not block us.
    socket.set_nonblocking(true)?;
    socket.send_to(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchdogs_of_other_processes_are_none_of_our_business() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(patience("1000000", None, 42), second);
        assert_eq!(patience("1000000", Some("42"), 42), second);
        for (micros, pid) in [("1000000", "41"), ("1000000", ""), ("0", "42"), ("1 s", "42")] {
            assert_eq!(patience(micros, Some(pid), 42), None, "{micros} {pid}");
        }
    }
}
