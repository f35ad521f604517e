//! The operating system's clock and randomness, and what it lets us open.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use challenger_proto::{Entropy, Timestamp};
use rand::RngExt;
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};

use crate::responder::{Clock, EntropySource};

/// The system's real-time clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// The time by the system's clock. One before 1970 is at its beginning.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_seconds(since.as_secs())
}

/// A cryptographic generator in each thread, seeded from the system's and again from time to time.
pub struct OsEntropy;

impl EntropySource for OsEntropy {
    fn draw(&self) -> Entropy {
        Entropy::new(rand::rng().random())
    }
}

/// Asks this process to stop, as the service manager does.
pub fn stop() {
    // An error would mean that we may not send ourselves a signal.
    let _ = kill_process(getpid(), Signal::TERM);
}

/// Asks for so many file descriptors, as far as the hard limit goes, and returns how many there may
/// be. Many systems give 1024 to whoever does not ask.
pub fn want_descriptors(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (Some(now), most) = (current, maximum.unwrap_or(u64::MAX)) else { return u64::MAX };
    if now >= wanted {
        return now;
    }
    let better = wanted.min(most);
    match setrlimit(Resource::Nofile, Rlimit { current: Some(better), maximum }) {
        Ok(()) => better,
        Err(_) => now,
    }
}

/// Bounds this process's address space, unless it is bounded more tightly already. A request for
/// memory beyond that ends the process, which leaves no core file: what it holds is private.
///
/// # Errors
/// The system does not let us.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum })?;
    let Rlimit { current, maximum } = getrlimit(Resource::As);
    let current = current.map_or(bytes, |now| now.min(bytes));
    setrlimit(Resource::As, Rlimit { current: Some(current), maximum })?;
    Ok(())
}
