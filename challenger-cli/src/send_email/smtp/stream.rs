//! The connection to a mail server, in clear or encrypted.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The least time for an address, so that the last one has some.
const TURN_MIN: Duration = Duration::from_millis(1);

/// How to recognize the server.
#[derive(Clone)]
pub(in crate::send_email) struct Tls {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

impl Tls {
    /// Trusts these authorities.
    ///
    /// # Errors
    /// The host has no name for TLS.
    pub(in crate::send_email) fn new(
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

/// A connection.
pub(super) enum Stream {
    Clear(TcpStream),
    Encrypted(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects to one of these addresses. Each gets its turn, and an equal part of the time that
    /// is left.
    ///
    /// # Errors
    /// The error of the last address, or that the name has no address.
    pub(super) fn connect(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
        let begun = Instant::now();
        let mut result = Err(io::Error::other("the name has no address"));
        for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let parts = u32::try_from(left).unwrap_or(u32::MAX);
            let turn = limit.saturating_sub(begun.elapsed()) / parts;
            result = TcpStream::connect_timeout(address, turn.max(TURN_MIN));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Begins TLS, and completes the handshake.
    ///
    /// # Errors
    /// Of the kind `InvalidData`, if the server is not the right one or speaks no TLS.
    pub(super) fn encrypt(self, tls: &Tls) -> io::Result<Self> {
        let Self::Clear(mut tcp) = self else { return Ok(self) };
        let mut connection = ClientConnection::new(Arc::clone(&tls.config), tls.host.clone())
            .map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(Self::Encrypted(Box::new(StreamOwned::new(connection, tcp))))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Encrypted(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(bytes),
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.flush(),
            Self::Encrypted(stream) => stream.flush(),
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
        let hour = Duration::from_secs(3600);
        let stream = Stream::connect(&[closed, closed, open], hour).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let refused = Stream::connect(&[closed], hour).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(Stream::connect(&[], hour).is_err());
    }
}
