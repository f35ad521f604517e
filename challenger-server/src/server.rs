//! The server: settings in, a running service out.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use challenger_proto::{AddressType, Page};
use socket2::{Domain, Protocol, Socket, Type};

use crate::front::{Front, Limits};
use crate::helper::AuthCommand;
use crate::log;
use crate::os::{OsEntropy, SystemClock};
use crate::pages::Templates;
use crate::responder::{Pages, Responder, Slots};
use crate::settings::Settings;
use crate::store::StoreError;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 500;

/// A running service.
pub struct Server {
    front: Front,
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The store cannot be used.
    Store(StoreError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl Server {
    /// Starts to serve.
    ///
    /// # Errors
    /// The store or the address cannot be used.
    pub fn start(settings: Settings, limits: Limits) -> Result<Self, StartError> {
        for warning in &settings.warnings {
            log::warn(format_args!("{warning}"));
        }
        let store = settings.database.store().map_err(StartError::Store)?;
        let address_type = settings.service.address_type.clone();
        let responder = Responder {
            service: settings.service,
            store,
            helper: Arc::new(AuthCommand {
                command: settings.command,
                message: settings.message,
                host: settings.host,
            }),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            pages: Arc::new(RenderedPages { templates: settings.templates, address_type }),
            helpers: Slots::new(settings.helpers_max),
        };
        let refused = |error| StartError::Listen(settings.listen, error);
        let listener = listen(settings.listen).map_err(refused)?;
        let front = Front::start(listener, Arc::new(responder), limits).map_err(refused)?;
        log::info(format_args!("serving on {}", front.local_addr()));
        Ok(Self { front })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.front.local_addr()
    }

    /// Stops accepting, lets what is in flight finish, and tells whether all of it did in time.
    pub fn drain(mut self, timeout: Duration) -> bool {
        self.front.drain(timeout)
    }
}

/// Binds a TCP socket. The unspecified IPv6 address serves IPv4 as well; on a machine without IPv6,
/// IPv4 alone.
///
/// # Errors
/// What the system says.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
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
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Templates, for one type of address.
pub struct RenderedPages {
    /// All of them.
    pub templates: Templates,
    /// Which type's form is meant.
    pub address_type: AddressType,
}

impl Pages for RenderedPages {
    fn render(&self, page: &Page) -> Option<String> {
        self.templates.render(page, &self.address_type)
    }
}
