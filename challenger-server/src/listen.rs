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

    /// Checks that this user could listen, and that others could not replace the socket. Nobody
    /// could connect meanwhile, and nothing is created.
    ///
    /// # Errors
    /// The option that has to be changed, and what is in the way.
    pub(crate) fn check(&self) -> Result<Place, (&'static str, ListenError)> {
        match self {
            Self::Unix { path, .. } => match SocketFile::check(path) {
                Ok(()) => Ok(Place::Free),
                Err(error) => Err(("UNIXPATH", error)),
            },
            Self::Tcp(address) => match with_fallback(*address, bind) {
                Ok(_) => Ok(Place::Free),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    Ok(Place::Taken(*address))
                }
                Err(error) => {
                    let is_elsewhere = error.kind() == io::ErrorKind::AddrNotAvailable;
                    let option = if is_elsewhere { "BIND_TO" } else { "PORT" };
                    Err((option, ListenError::new(address, error)))
                }
            },
            Self::Given(_) => Ok(Place::Free),
        }
    }
}

/// Whether it is possible to listen somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is, as far as this can be known.
    Free,
    /// Somebody listens on this address already.
    Taken(SocketAddr),
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

/// Listens on a TCP socket. The unspecified IPv6 address serves IPv4 as well; on a machine without
/// IPv6, IPv4 alone.
///
/// # Errors
/// The system's error.
pub fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = with_fallback(address, |address| {
        let socket = bind(address)?;
        socket.listen(crate::front::BACKLOG)?;
        Ok(socket)
    });
    socket.map(Into::into)
}

fn with_fallback(
    address: SocketAddr,
    open: impl Fn(SocketAddr) -> io::Result<Socket>,
) -> io::Result<Socket> {
    let opened = open(address);
    match (&opened, address) {
        (Err(error), SocketAddr::V6(v6))
            if v6.ip().is_unspecified() && error.kind() != io::ErrorKind::AddrInUse =>
        {
            open((Ipv4Addr::UNSPECIFIED, v6.port()).into()).or(opened)
        }
        _ => opened,
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    // A restart must not wait for the old connections' last packets.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
