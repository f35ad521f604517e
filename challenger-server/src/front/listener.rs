//! A listening socket of either kind, TCP or UNIX, and the connections that come from it.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::event::PollFlags;
use socket2::{SockAddr, Socket};

use super::stream::{Event, wait_for};
#[cfg(feature = "tiny-http")]
use super::watch::Watch;
use crate::secrecy;

/// A listening socket, TCP or UNIX.
#[derive(Debug)]
pub struct Listener(Socket);

impl Listener {
    /// Where it listens: an address with a port, or a path.
    ///
    /// # Errors
    /// The socket's address cannot be read.
    pub fn place(&self) -> io::Result<String> {
        self.0.local_addr().map(|address| place(&address))
    }

    /// A watch that reports whether the socket is still open after it was given away.
    #[cfg(feature = "tiny-http")]
    pub(crate) fn watch(&self) -> io::Result<Watch> {
        Watch::new(&self.0)
    }

    /// Converts it, for code that takes UNIX sockets only.
    #[cfg(feature = "tiny-http")]
    pub(super) fn into_unix(self) -> UnixListener {
        OwnedFd::from(self.0).into()
    }

    /// Makes it ready for [`Listener::accept`], which then gives up after `tick`.
    pub(super) fn prepare(&self, backlog: i32, tick: Duration) -> io::Result<()> {
        self.0.set_nonblocking(false)?;
        self.0.set_read_timeout(Some(tick))?;
        self.0.listen(backlog)
    }

    /// The next connection, which never blocks, and the peer's address if it has one: over a UNIX
    /// socket it has none.
    pub(super) fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        let (socket, peer) = self.0.accept()?;
        socket.set_nonblocking(true)?;
        let peer = peer.as_socket().map(|address| address.ip());
        if peer.is_some() {
            // An error means that the peer is gone again, which the first read will find out.
            let _ = socket.set_tcp_nodelay(true);
        }
        Ok((socket, peer))
    }

    /// Whether a connection is waiting to be accepted.
    pub(super) fn has_next(&self) -> bool {
        let event = wait_for(&self.0, PollFlags::IN, Duration::ZERO, None);
        matches!(event, Ok(Event::Ready))
    }
}

fn place(address: &SockAddr) -> String {
    let tcp = address.as_socket().map(|address| address.to_string());
    let file = || address.as_pathname().map(secrecy::path);
    let name = || address.as_abstract_namespace().map(|it| format!("@{}", it.escape_ascii()));
    tcp.or_else(file).or_else(name).unwrap_or_else(|| "a socket without a name".to_owned())
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(listener.into())
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self(OwnedFd::from(listener).into())
    }
}
