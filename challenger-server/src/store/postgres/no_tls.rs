//! The substitute for TLS in a build without the feature `tls`: it must not pretend to encrypt.

use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use super::host::remote_host;

/// Makes connections.
pub(super) type Connector = NoTls;

/// How connections are encrypted: not at all.
#[derive(Clone)]
pub(super) struct Encryption;

impl Encryption {
    /// What is expected instead of a mode that the parser does not know, and of those that encrypt.
    pub(super) const MODES: &str = "sslmode=disable, because this program was built without TLS: \
        for another mode, install the package, or build with --features challenger-cli/tls; a \
        UNIX socket or a tunnel needs none";

    /// Leaves all options to the parser.
    pub(super) fn take(text: &str) -> Option<(String, Self)> {
        Some((text.to_owned(), Self))
    }

    /// Checks that the database can be reached without encryption, and may be.
    pub(super) fn check(self, config: Config) -> Result<(Self, Config), String> {
        match config.get_ssl_mode() {
            SslMode::Disable => Ok((self, config)),
            SslMode::Require => Err(Self::MODES.to_owned()),
            _ => match remote_host(&config) {
                None => Ok((self, config)),
                Some(host) => Err(format!(
                    "sslmode=disable for the host {host}, because this program was built without \
                     TLS; say so only if the network can be trusted, or else install the package, \
                     or build with --features challenger-cli/tls"
                )),
            },
        }
    }

    pub(super) fn connector(&self) -> Result<Connector, String> {
        Ok(NoTls)
    }
}
