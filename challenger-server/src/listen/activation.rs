//! A socket that the service manager opened for us: the protocol of sd_listen_fds(3).

use std::env;
use std::fmt;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process;

use listenfd::ListenFd;
use socket2::SockRef;

use super::ListenError;
use crate::front::BACKLOG;
use crate::front::Listener;

/// The socket that was passed to this process, if there is one. It can be taken once, and the
/// environment is changed, so call this first, before there are threads.
///
/// # Errors
/// Something other than one listening socket was passed.
pub fn activated() -> Result<Option<Listener>, ListenError> {
    let variable = |name| env::var(name).ok();
    if !is_ours(variable("LISTEN_PID").as_deref(), process::id()) {
        return Ok(None);
    }
    let count = variable("LISTEN_FDS").unwrap_or_default();
    if count != "1" {
        return Err(refused(format_args!("{count:?} sockets (LISTEN_FDS), expected 1")));
    }
    let mut passed = ListenFd::from_env();
    // Each leaves a socket of the other kind where it is.
    let listener = match (tcp(&mut passed), unix(&mut passed)) {
        (Some(listener), _) | (None, Some(listener)) => listener?,
        (None, None) => return Err(refused("no stream socket, neither TCP nor UNIX")),
    };
    Ok(Some(listener))
}

/// Whether the variables are meant for this process, and not for an ancestor.
fn is_ours(listen_pid: Option<&str>, process: u32) -> bool {
    listen_pid.and_then(|text| text.parse().ok()) == Some(process)
}

fn tcp(passed: &mut ListenFd) -> Option<Result<Listener, ListenError>> {
    let listener: TcpListener = passed.take_tcp_listener(0).ok()??;
    Some(check(SockRef::from(&listener)).map(|()| listener.into()))
}

fn unix(passed: &mut ListenFd) -> Option<Result<Listener, ListenError>> {
    let listener: UnixListener = passed.take_unix_listener(0).ok()??;
    Some(check(SockRef::from(&listener)).map(|()| listener.into()))
}

/// Checks that a socket listens: listening again is harmless, and fails on a connection.
fn check(socket: SockRef<'_>) -> Result<(), ListenError> {
    socket.listen(BACKLOG).map_err(|error| {
        refused(format_args!("what is no listening socket ({error}); its unit needs Accept=no"))
    })
}

fn refused(what: impl fmt::Display) -> ListenError {
    ListenError(format!("the service manager passed {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_other_processes_are_none_of_our_business() {
        assert!(is_ours(Some("42"), 42));
        for other in [None, Some(""), Some("41"), Some("x"), Some("-42"), Some("4242")] {
            assert!(!is_ours(other, 42), "{other:?}");
        }
    }
}
