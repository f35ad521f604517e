//! TLS to the database: the options of libpq that the postgres crate does not parse.
//!
//! | `sslmode` | encrypted | the server's certificate |
//! |---|---|---|
//! | `disable` | no | |
//! | `prefer` | if the server can; not enough for another machine | any |
//! | `require` | yes | any; with `sslrootcert`, as `verify-ca` |
//! | `verify-ca` | yes | signed by one in `sslrootcert` |
//! | `verify-full` | yes | the same, or trusted by the system; and for that host |

use std::fs;
use std::path::PathBuf;

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::{MakeTlsConnector, set_postgresql_alpn};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::host::remote_host;
use crate::secrecy;

/// Makes connections.
pub(super) type Connector = MakeTlsConnector;

/// The checks of the server's certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verification {
    Nothing,
    Signature,
    SignatureAndHost,
}

/// How connections are encrypted.
#[derive(Clone)]
pub(super) struct Encryption {
    verification: Verification,
    /// The value of `sslrootcert`.
    roots: Option<String>,
}

impl Encryption {
    /// What is expected instead of a mode that nobody knows.
    pub(super) const MODES: &str = "another value for its option sslmode: disable, prefer, \
        require, verify-ca or verify-full";

    /// Takes the options that the parser does not know out of a text; `None` if the text cannot be
    /// read.
    pub(super) fn take(text: &str) -> Option<(String, Self)> {
        let mut taken = Self { verification: Verification::Nothing, roots: None };
        let rest = match ["postgres://", "postgresql://"].iter().any(|it| text.starts_with(it)) {
            true => taken.take_from_uri(text)?,
            false => taken.take_from_pairs(text)?,
        };
        Some((rest, taken))
    }

    fn take_from_uri(&mut self, text: &str) -> Option<String> {
        // A password may contain question marks.
        let host = text.find('@').unwrap_or(0);
        let Some(mark) = text.get(host..)?.find('?') else { return Some(text.to_owned()) };
        let (place, query) = text.split_at(host + mark);
        let mut parameters = Vec::new();
        for parameter in query.get(1..)?.split('&') {
            let Some((key, value)) = parameter.split_once('=') else {
                parameters.push(parameter.to_owned());
                continue;
            };
            match self.replace(&decode(key)?, &decode(value)?) {
                None => parameters.push(parameter.to_owned()),
                Some(other) => parameters.extend(other.map(str::to_owned)),
            }
        }
        let mark = if parameters.is_empty() { "" } else { "?" };
        Some(format!("{place}{mark}{}", parameters.join("&")))
    }

    fn take_from_pairs(&mut self, text: &str) -> Option<String> {
        let mut pairs = Vec::new();
        let mut left = text.trim_start();
        while !left.is_empty() {
            let (key, value) = left.split_once('=')?;
            let value = value.trim_start();
            let (meaning, length) = unquote(value)?;
            let (written, rest) = value.split_at(length);
            match self.replace(key.trim_end(), &meaning) {
                None => pairs.push(format!("{key}={written}")),
                Some(other) => pairs.extend(other.map(str::to_owned)),
            }
            left = rest.trim_start();
        }
        Some(pairs.join(" "))
    }

    /// The text that the parser should read instead of an option that it does not know, if any; the
    /// outer `None` means that it knows the option. The last of several counts, as in libpq.
    fn replace(&mut self, key: &str, value: &str) -> Option<Option<&'static str>> {
        match (key, value) {
            ("sslmode", "verify-ca") => self.verification = Verification::Signature,
            ("sslmode", "verify-full") => self.verification = Verification::SignatureAndHost,
            ("sslmode", _) => {
                self.verification = Verification::Nothing;
                return None;
            }
            ("sslrootcert", file) => {
                self.roots = Some(file.to_owned());
                return Some(None);
            }
            _ => return None,
        }
        Some(Some("sslmode=require"))
    }

    /// Checks that the options go together, and suffice for the place of the database.
    pub(super) fn check(mut self, mut config: Config) -> Result<(Self, Config), String> {
        let is_socket = |host: &Host| matches!(host, Host::Unix(_));
        if config.get_hostaddrs().is_empty() && config.get_hosts().iter().all(is_socket) {
            // As in libpq: a socket needs no encryption, and has none.
            config.ssl_mode(SslMode::Disable);
            return Ok((self, config));
        }
        if config.get_hosts().is_empty() {
            // The certificate may be for the address: there is no name.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        match (config.get_ssl_mode(), self.verification, self.roots.as_deref()) {
            (SslMode::Require, Verification::Nothing | Verification::Signature, Some("system")) => {
                Err("sslmode=verify-full with sslrootcert=system, because anybody can get a \
                     certificate for a host of theirs"
                    .to_owned())
            }
            (SslMode::Require, Verification::Signature, None) => {
                Err("sslrootcert=FILE with sslmode=verify-ca".to_owned())
            }
            (SslMode::Require, Verification::Nothing, Some(_)) => {
                self.verification = Verification::Signature;
                Ok((self, config))
            }
            (SslMode::Require, _, _) => Ok((self, config)),
            (_, _, Some(_)) => Err("sslmode=verify-full with sslrootcert, because otherwise it \
                 would not be looked at"
                .to_owned()),
            (SslMode::Disable, _, None) => Ok((self, config)),
            (_, _, None) => match remote_host(&config) {
                None => Ok((self, config)),
                Some(host) => Err(format!(
                    "sslmode=verify-full or sslmode=require for the host {host}, or \
                     sslmode=disable if the network can be trusted"
                )),
            },
        }
    }

    /// Makes such connections, with the certificates as they are now.
    pub(super) fn connector(&self) -> Result<Connector, String> {
        let mut builder = TlsConnector::builder();
        builder.danger_accept_invalid_certs(self.verification == Verification::Nothing);
        builder
            .danger_accept_invalid_hostnames(self.verification != Verification::SignatureAndHost);
        set_postgresql_alpn(&mut builder);
        if let Some(file) = self.roots.as_deref().filter(|&it| it != "system") {
            builder.disable_built_in_roots(true);
            for certificate in certificates(&PathBuf::from(file))? {
                builder.add_root_certificate(certificate);
            }
        }
        let connector = builder.build().map_err(|error| format!("cannot have TLS: {error}"))?;
        Ok(MakeTlsConnector::new(connector))
    }
}

fn certificates(file: &PathBuf) -> Result<Vec<Certificate>, String> {
    let named = |cause: String| format!("sslrootcert {}: {cause}", secrecy::path(file));
    let text = fs::read(file).map_err(|error| named(error.to_string()))?;
    let found = Certificate::stack_from_pem(&text).map_err(|error| named(error.to_string()))?;
    if found.is_empty() {
        return Err(named("no certificate in the form of PEM".to_owned()));
    }
    Ok(found)
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// The value that a text begins with, and its length there, with quotes and backslashes.
fn unquote(text: &str) -> Option<(String, usize)> {
    let is_quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if is_quoted => return Some((value, at + 1)),
            _ if character.is_whitespace() && !is_quoted => return Some((value, at)),
            _ => value.push(character),
        }
    }
    (!is_quoted).then_some((value, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_out_of_a_text() {
        use Verification::{Nothing, Signature, SignatureAndHost};
        for (text, rest, verification, roots) in [
            ("postgres://", "postgres://", Nothing, None),
            ("postgres://h/c?sslmode=prefer", "postgres://h/c?sslmode=prefer", Nothing, None),
            (
                "postgres://a:?@h/c?user=a&sslmode=verify-full&sslrootcert=%2Fx%20y",
                "postgres://a:?@h/c?user=a&sslmode=require",
                SignatureAndHost,
                Some("/x y"),
            ),
            ("postgresql://h?sslrootcert=/x", "postgresql://h", Nothing, Some("/x")),
            (
                "postgres://h/?sslmode=verify-ca&sslmode=disable",
                "postgres://h/?sslmode=require&sslmode=disable",
                Nothing,
                None,
            ),
            ("host=h sslmode=verify-ca", "host=h sslmode=require", Signature, None),
            (
                r"host = h  sslmode ='verify-full' sslrootcert='/x \'y' password='a = \'b'",
                r"host =h sslmode=require password='a = \'b'",
                SignatureAndHost,
                Some("/x 'y"),
            ),
            ("password = sslmode=verify-ca", "password =sslmode=verify-ca", Nothing, None),
        ] {
            let (left, taken) = Encryption::take(text).unwrap();
            assert_eq!((left.as_str(), taken.verification), (rest, verification), "{text}");
            assert_eq!(taken.roots.as_deref(), roots, "{text}");
        }
        for text in ["challenger", "password='a", "password=a b", "postgres:///?sslmode=%4"] {
            assert!(Encryption::take(text).is_none(), "{text}");
        }
    }
}
