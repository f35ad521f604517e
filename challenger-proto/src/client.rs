//! OAuth 2.0 clients (RFC 6749 §2): an identifier, a secret, and exactly one redirection endpoint.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::base32;
use crate::digest::{ClientSecretDigest, sha256};
use crate::entropy::Entropy;
use crate::form::push_percent_encoded;
use crate::secret::Secret;

/// The longest redirect URI. It has to fit into a request's target, escaped.
pub const REDIRECT_URI_MAX: usize = 2048;

/// What a client secret should begin with (RFC 8959), so that scanners recognise one that got lost.
pub const SECRET_PREFIX: &str = "secret-token:";

/// The client identifier (RFC 6749 §2.2): the number of the client's row, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(i64);

impl ClientId {
    /// A positive number.
    pub const fn new(number: i64) -> Option<Self> {
        if number > 0 { Some(Self(number)) } else { None }
    }

    /// Reads decimal digits; no sign, no blanks.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse().ok().and_then(Self::new) } else { None }
    }

    /// The number.
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Makes a client secret with the entropy of a key.
///
/// ```
/// use challenger_proto::{Entropy, generate_client_secret};
///
/// let secret = generate_client_secret(Entropy::new([7; 32])); // from the system, in real life
/// assert!(secret.expose().starts_with("secret-token:0W3GE1R7"));
/// ```
pub fn generate_client_secret(entropy: Entropy) -> Secret<String> {
    Secret::new(format!("{SECRET_PREFIX}{}", base32::encode(&entropy.spend())))
}

/// A client's secret as the store keeps it: salted and hashed.
///
/// One SHA-256 protects a secret with the entropy of a key, not one with that of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashedSecret {
    /// Drawn for this secret.
    pub salt: [u8; 16],
    /// SHA-256 of the salt and the secret.
    pub digest: ClientSecretDigest,
}

impl HashedSecret {
    /// Hashes a secret with a new salt.
    pub fn new(secret: &str, entropy: Entropy) -> Self {
        let mut salt = [0; 16];
        for (slot, byte) in salt.iter_mut().zip(entropy.spend()) {
            *slot = byte;
        }
        Self { salt, digest: Self::hash(&salt, secret) }
    }

    /// Whether this is the secret, compared in constant time.
    pub fn matches(&self, secret: &str) -> bool {
        self.digest == Self::hash(&self.salt, secret)
    }

    fn hash(salt: &[u8; 16], secret: &str) -> ClientSecretDigest {
        ClientSecretDigest::from_bytes(sha256(&[salt, secret.as_bytes()]))
    }
}

/// Does the work of a comparison for a client that does not exist, so that time does not tell which
/// identifiers do.
pub(crate) fn compare_with_nobody(secret: &str) {
    let nobody = HashedSecret { salt: [0; 16], digest: ClientSecretDigest::from_bytes([0; 32]) };
    core::hint::black_box(nobody.matches(core::hint::black_box(secret)));
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its identifier.
    pub id: ClientId,
    /// Where its users are sent back to.
    pub redirect_uri: RedirectUri,
    /// What it proves itself with.
    pub secret: HashedSecret,
}

/// A redirection endpoint (RFC 6749 §3.1.2): an absolute URI without a fragment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedirectUri(String);

/// Why a text is no redirect URI; it reads as a sentence about the URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectUriError(&'static str);

impl fmt::Display for RedirectUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for RedirectUriError {}

impl RedirectUri {
    /// Takes an absolute URI that is safe in a `Location` and a content security policy. Schemes
    /// other than http and https are those of native apps (RFC 8252 §7.1).
    ///
    /// # Errors
    /// What is wrong with the text, and what would be accepted.
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        let error = |reason| Err(RedirectUriError(reason));
        if text.is_empty() || text.len() > REDIRECT_URI_MAX {
            return error("a redirect URI has 1 to 2048 characters");
        }
        let unsafe_byte = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte);
        if text.bytes().any(unsafe_byte) {
            return error("a redirect URI has only characters of RFC 3986, others are %-escaped");
        }
        if text.contains('#') {
            return error("a redirect URI has no fragment (RFC 6749 section 3.1.2)");
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return error("a redirect URI is absolute, such as https://client.example/callback");
        };
        let first_is_letter = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !first_is_letter || !scheme.bytes().all(scheme_byte) {
            return error("a redirect URI begins with a scheme such as https:");
        }
        let scheme = scheme.to_ascii_lowercase();
        if matches!(scheme.as_str(), "javascript" | "data" | "vbscript" | "file" | "blob") {
            return error("a redirect URI leads to a client, not into the browser");
        }
        if matches!(scheme.as_str(), "http" | "https") {
            let authority = rest.strip_prefix("//").map(authority_of);
            if !authority.is_some_and(is_host_and_port) {
                return error(
                    "an http redirect URI names a host, perhaps with a port, and no user",
                );
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The URI, byte for byte as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only people in between could read what travels to it: https, or a host of this
    /// machine (RFC 8252 §7.3).
    pub fn is_confidential(&self) -> bool {
        let plain = self.scheme().eq_ignore_ascii_case("http");
        !plain || matches!(self.host(), "localhost" | "127.0.0.1" | "[::1]")
    }

    /// The scheme.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// The host without the port; for the scheme of a native app, the scheme.
    pub fn host(&self) -> &str {
        let Some((_, rest)) = self.0.split_once("://") else { return self.scheme() };
        let authority = authority_of(rest);
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        }
    }

    /// The authorization response (RFC 6749 §4.1.2): the URI with `code` and `state` added to
    /// whatever query it has.
    pub(crate) fn with_code(&self, code: &str, state: Option<&str>) -> String {
        let joint = match self.0.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        let mut location = format!("{}{joint}code=", self.0);
        push_percent_encoded(&mut location, code);
        if let Some(state) = state {
            location.push_str("&state=");
            push_percent_encoded(&mut location, state);
        }
        location
    }
}

fn authority_of(after_slashes: &str) -> &str {
    after_slashes.split(['/', '?']).next().unwrap_or_default()
}

fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let address_byte = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
    let host_is_good = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(address_byte),
        None => !host.is_empty() && host.bytes().all(name_byte),
    };
    host_is_good && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_are_absolute_and_safe() {
        for good in [
            "https://client.example/cb",
            "http://localhost:8080/cb?x=1&y=%20",
            "https://[::1]:443",
            "https://client.example",
            "com.example.app:/cb",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "client.example/cb",
            "https://",
            "https:///cb",
            "https://user@client.example/",
            "https://client.example:port/",
            "https://client.example/#top",
            "https://client.example/a b",
            "https://client.example/\r\nSet-Cookie:x",
            "https://client.example/é",
            "https://a;script-src/",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "1http://x/",
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
        assert!(RedirectUri::parse(&format!("https://h/{}", "x".repeat(2048))).is_err());
    }

    #[test]
    fn parts_are_found() {
        let uri = |text| RedirectUri::parse(text).unwrap();
        assert_eq!(uri("https://client.example:8443/cb?x").host(), "client.example");
        assert_eq!(uri("https://[::1]:8443/cb").host(), "[::1]");
        assert_eq!(uri("https://[::1]/cb").host(), "[::1]");
        assert_eq!(uri("com.example.app:/cb").host(), "com.example.app");
        assert!(uri("http://127.0.0.1:1/").is_confidential());
        assert!(!uri("http://client.example/").is_confidential());
    }

    #[test]
    fn codes_join_any_query() {
        let with = |text, state| RedirectUri::parse(text).unwrap().with_code("c-1", state);
        assert_eq!(with("https://a/cb", None), "https://a/cb?code=c-1");
        assert_eq!(
            with("https://a/cb?x=1", Some("a b&c")),
            "https://a/cb?x=1&code=c-1&state=a%20b%26c"
        );
        assert_eq!(with("https://a/cb?", Some("")), "https://a/cb?code=c-1&state=");
        assert_eq!(with("https://a/cb?x&", None), "https://a/cb?x&code=c-1");
    }

    #[test]
    fn identifiers_are_positive_decimals() {
        assert_eq!(ClientId::parse("17").map(ClientId::number), Some(17));
        for bad in ["", "0", "-1", "+1", " 1", "1x", "9223372036854775808", "１"] {
            assert!(ClientId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_compared_whole() {
        let hashed = HashedSecret::new("secret-token:abc", Entropy::new([9; 32]));
        assert!(hashed.matches("secret-token:abc"));
        assert!(!hashed.matches("abc"));
        assert!(!hashed.matches("secret-token:abcd"));
    }
}
