//! This process: the limits of its resources, and a request to stop it.

use std::io;

use rustix::process::{Resource, Rlimit, getpid, getrlimit, getuid, setrlimit};
#[cfg(feature = "tiny-http")]
use rustix::process::{Signal, kill_process};

/// Asks for this many file descriptors, as far as the hard limit goes, and returns how many the
/// process may have. Many systems give 1024 to a process that does not ask.
pub(crate) fn want_descriptors(wanted: u64) -> u64 {
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

/// Bounds the address space, unless it is bounded more tightly already. A request for memory beyond
/// that ends the process, which leaves no core file: what it holds is private.
///
/// # Errors
/// The system does not allow it.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum })?;
    let Rlimit { current, maximum } = getrlimit(Resource::As);
    let current = current.map_or(bytes, |now| now.min(bytes));
    setrlimit(Resource::As, Rlimit { current: Some(current), maximum })?;
    Ok(())
}

/// Whether this is process 1 of a container, which becomes the parent of orphans.
pub fn is_init() -> bool {
    getpid().is_init()
}

/// The number of the user who runs this process.
pub fn user() -> u32 {
    getuid().as_raw()
}

/// Stops the service as the service manager does, with SIGTERM.
#[cfg(feature = "tiny-http")]
pub(crate) fn stop() {
    // An error would mean that we may not send ourselves a signal.
    let _ = kill_process(getpid(), Signal::TERM);
}
