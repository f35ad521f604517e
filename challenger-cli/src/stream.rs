//! The connection of a helper to a server, in clear or encrypted. Everything on it has to be done
//! by a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// The least time for an address, so that the last one has some.
const TURN_MIN: Duration = Duration::from_millis(1);

/// How to recognize the server.
#[derive(Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

impl Tls {
    /// Trusts these authorities.
    ///
    /// # Errors
    /// The host has no name for TLS.
    pub(crate) fn new(
        host: &str,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities);
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        Ok(Self { config: Arc::new(config), host })
    }
}

/// A connection of TCP, with the time by which it must have done what it is asked to do.
pub(crate) struct Timed {
    tcp: TcpStream,
    deadline: Instant,
}

impl Timed {
    /// Connects to one of the addresses of a server. Each gets its turn, and an equal part of the
    /// time that is left.
    ///
    /// # Errors
    /// The error of the last address, or that the name has no address.
    pub(crate) fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<Self> {
        let addresses = addresses(host, port, deadline)?;
        Ok(Self { tcp: connect(&addresses, deadline)?, deadline })
    }

    /// Our end of it.
    ///
    /// # Errors
    /// The system does not know.
    #[cfg(feature = "email")]
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(self.left()?))?;
        self.tcp.read(buffer).map_err(timed_out)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(self.left()?))?;
        self.tcp.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// The system's error at the end of the time means for others that there is nothing to read yet.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

/// The addresses of a server. The system looks them up without a limit of time, so that happens in
/// another thread, for which nobody waits any longer than until the deadline.
fn addresses(host: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let (found, addresses) = mpsc::channel();
    let host = host.to_owned();
    thread::Builder::new().spawn(move || {
        let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        let _ = found.send(addresses);
    })?;
    let left = deadline.saturating_duration_since(Instant::now());
    addresses.recv_timeout(left).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut result = Err(io::Error::other("the name has no address"));
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let parts = u32::try_from(left).unwrap_or(u32::MAX);
        let turn = deadline.saturating_duration_since(Instant::now()) / parts;
        result = TcpStream::connect_timeout(address, turn.max(TURN_MIN));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// A connection, which may be encrypted.
pub(crate) struct Stream {
    tcp: Timed,
    tls: Option<Box<ClientConnection>>,
}

impl Stream {
    /// A connection in clear.
    pub(crate) fn new(tcp: Timed) -> Self {
        Self { tcp, tls: None }
    }

    /// Sets the time by which everything that follows has to be done.
    #[cfg(feature = "email")]
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.tcp.deadline = deadline;
    }

    /// Begins TLS, and completes the handshake.
    ///
    /// # Errors
    /// Of the kind `InvalidData`, if the server is not the right one or speaks no TLS.
    pub(crate) fn encrypt(&mut self, tls: &Tls) -> io::Result<()> {
        let mut connection = ClientConnection::new(Arc::clone(&tls.config), tls.host.clone())
            .map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut self.tcp)?;
        }
        self.tls = Some(Box::new(connection));
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.tcp.read(buffer),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.tcp).read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.tcp.write(bytes),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.tcp).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => self.tcp.flush(),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.tcp).flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn every_address_gets_its_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        // Nobody listens there, on any machine: it is not for TCP.
        let closed: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let in_an_hour = Instant::now() + Duration::from_secs(3600);
        let stream = connect(&[closed, closed, open], in_an_hour).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let refused = connect(&[closed], in_an_hour).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(connect(&[], in_an_hour).is_err());
    }

    #[cfg(feature = "email")]
    #[test]
    fn nothing_goes_on_after_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let now = Instant::now();
        let in_an_hour = now + Duration::from_secs(3600);
        let mut stream = Stream::new(Timed::connect("localhost", port, in_an_hour).unwrap());
        stream.write_all(b"a").unwrap();
        stream.set_deadline(now + Duration::from_millis(50));
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(stream.write(b"a").unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
