//! Tells the service manager how the service is doing: the protocol of sd_notify(3).

use std::env;
use std::io;

use socket2::{Domain, SockAddr, Socket, Type};

/// Requests are served from now on.
pub const READY: &str = "READY=1";
/// No new requests are served any more.
pub const STOPPING: &str = "STOPPING=1";

/// Tells it, if there is a service manager that wants to know. Nothing depends on its hearing it.
pub fn notify(state: &str) {
    let Ok(name) = env::var("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&name, state) {
        log::warn!(socket = name, state, error:%; "service manager not told");
    }
}

fn send(name: &str, state: &str) -> io::Result<()> {
    // Linux has sockets without a file, whose names begin with a NUL on the inside.
    let address = match name.strip_prefix('@') {
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => SockAddr::unix(name),
    }?;
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    // A full queue must not hold us up.
    socket.set_nonblocking(true)?;
    socket.send_to(state.as_bytes(), &address).map(drop)
}
