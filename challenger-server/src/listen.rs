//! Listening sockets: TCP, UNIX, or from the service manager.

mod activation;
mod socket_file;
mod trust;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use socket2::{Domain, Protocol, Socket, Type};

pub use self::activation::activated;
pub use self::socket_file::{PATH_MAX, SocketFile};
use crate::front::Listener;

/// Where to listen.
#[derive(Debug)]
pub enum Listen {
    /// On a socket that the service manager opened.
    Given(Listener),
    /// On a port of an address.
    Tcp(SocketAddr),
    /// On a UNIX socket.
    Unix {
        /// Its file.
        path: PathBuf,
        /// The permissions of the file, which decide who may connect.
        mode: u32,
    },
}

impl Listen {
    /// Begins to listen. If there is a file, keep it as long as the listener.
    ///
    /// # Errors
    /// The message says what is in the way.
    pub fn open(self) -> Result<(Listener, Option<SocketFile>), ListenError> {
        match self {
            Self::Given(listener) => Ok((listener, None)),
            Self::Tcp(address) => tcp(address)
                .map(|listener| (listener.into(), None))
                .map_err(|error| ListenError::new(address, error)),
            Self::Unix { path, mode } => {
                SocketFile::bind(&path, mode).map(|(file, listener)| (listener, Some(file)))
            }
        }
    }

    /// Checks, without listening, that others could not replace the socket.
    ///
    /// # Errors
    /// The message names the folder that cannot be trusted.
    pub(crate) fn check(&self) -> Result<(), ListenError> {
        match self {
            Self::Unix { path, .. } => SocketFile::check(path),
            Self::Given(_) | Self::Tcp(_) => Ok(()),
        }
    }
}

/// Why it is not possible to listen there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenError(pub String);

impl ListenError {
    fn new(place: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self(format!("cannot listen on {place}: {cause}"))
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ListenError {}

/// Binds a TCP socket. The unspecified IPv6 address serves IPv4 as well; on a machine without IPv6,
/// IPv4 alone.
///
/// # Errors
/// The system's error.
pub fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = bind(address);
    match (&bound, address) {
        (Err(error), SocketAddr::V6(v6))
            if v6.ip().is_unspecified() && error.kind() != io::ErrorKind::AddrInUse =>
        {
            bind((Ipv4Addr::UNSPECIFIED, v6.port()).into()).or(bound)
        }
        _ => bound,
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    // A restart must not wait for the old connections' last packets.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(crate::front::BACKLOG)?;
    Ok(socket.into())
}
