//! Reports the state of the service to the service manager: the protocol of sd_notify(3).

use std::env;
use std::io;

use socket2::{Domain, SockAddr, Socket, Type};

/// The state after starting: requests are served.
pub const READY: &str = "READY=1";
/// The state before stopping: no new requests are served.
pub const STOPPING: &str = "STOPPING=1";

/// Reports a state, if a service manager wants to know. A failure is logged and has no other
/// effect.
pub fn notify(state: &str) {
    let Ok(name) = env::var("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&name, state) {
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
