//! OAuth 2.0 clients (RFC 6749 §2): an identifier, a secret, and exactly one redirection endpoint.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::oauth::redirect::RedirectUri;
use crate::secret::Secret;
use crate::secret::base32;
use crate::secret::digest::{ClientSecretDigest, sha256};
use crate::secret::entropy::Entropy;
use crate::text;
use crate::time::Timestamp;

/// What a client secret should begin with (RFC 8959), so that scanners recognise a leaked one.
pub const SECRET_PREFIX: &str = "secret-token:";

/// The client identifier (RFC 6749 §2.2): the number of the client's row, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(i64);

impl ClientId {
    /// The identifier with this number, which must be positive.
    pub const fn new(number: i64) -> Option<Self> {
        if number > 0 { Some(Self(number)) } else { None }
    }

    /// Reads decimal digits, without sign or spaces.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse().ok().and_then(Self::new) } else { None }
    }

    /// The number of the row.
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
/// use challenger_proto::Entropy;
/// use challenger_proto::oauth::generate_client_secret;
///
/// let secret = generate_client_secret(Entropy::new([7; 32])); // from the system, in real life
/// assert!(secret.expose().starts_with("secret-token:0W3GE1R7"));
/// ```
pub fn generate_client_secret(entropy: Entropy) -> Secret<String> {
    Secret::new(format!("{SECRET_PREFIX}{}", base32::encode(&entropy.spend())))
}

/// What people read as the name of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(String);

/// The maximum length of a client's name, in characters: it has to fit into a heading on a phone.
pub const CLIENT_NAME_MAX: usize = 60;

impl ClientName {
    /// A name of 1 to [`CLIENT_NAME_MAX`] characters, without spaces around it and without
    /// characters that control or reorder text.
    ///
    /// ```
    /// use challenger_proto::oauth::ClientName;
    ///
    /// assert_eq!(ClientName::parse("Ada's Shop").unwrap().as_str(), "Ada's Shop");
    /// assert!(ClientName::parse(" Ada's Shop").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=CLIENT_NAME_MAX).contains(&text.chars().count());
        let is_hidden = |c| text::is_control(c) || text::is_invisible(c);
        let is_plain = text.trim() == text && !text.contains(is_hidden);
        (fits && is_plain).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A client's secret as the store keeps it: salted and hashed.
///
/// One SHA-256 protects a secret with the entropy of a key, not one with that of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashedSecret {
    /// Random bytes that were drawn for this secret.
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

/// Does the work of a comparison for a client that does not exist, so that response times do not
/// reveal which identifiers exist.
pub(crate) fn compare_with_nobody(secret: &str) {
    let nobody = HashedSecret { salt: [0; 16], digest: ClientSecretDigest::from_bytes([0; 32]) };
    core::hint::black_box(nobody.matches(core::hint::black_box(secret)));
}

/// A registered client: a row of the store, which fills every field, so none will be added without
/// a new major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its identifier.
    pub id: ClientId,
    /// Where its users are sent back to.
    pub redirect_uri: RedirectUri,
    /// What people read as its name; without it, the host of its redirect URI.
    pub name: Option<ClientName>,
    /// The secret that it authenticates with, hashed.
    pub secret: HashedSecret,
    /// The secret of before, if it is still good for a while, and until when.
    pub earlier_secret: Option<(HashedSecret, Timestamp)>,
    /// How many messages its validations may cost in a day; `None`: any number.
    pub messages_per_day: Option<u32>,
    /// Whether anybody's browser may begin a validation for it, without a request that it pushed.
    /// Without a budget for messages this has no effect.
    pub open: bool,
    /// Whether the operator has disabled it: it opens nothing, its validations send no messages,
    /// and it is refused wherever it authenticates. Its access tokens stay good.
    pub disabled: bool,
}

impl Client {
    /// A client as it is registered: closed, without a name or a budget.
    pub const fn new(id: ClientId, redirect_uri: RedirectUri, secret: HashedSecret) -> Self {
        Self {
            id,
            redirect_uri,
            name: None,
            secret,
            earlier_secret: None,
            messages_per_day: None,
            open: false,
            disabled: false,
        }
    }

    /// Whether it is the one of these secrets that it has now.
    pub(crate) fn has_secret(&self, secret: &str, now: Timestamp) -> bool {
        let is_good = |(earlier, until): &(HashedSecret, Timestamp)| {
            // Without an early end, so that the time does not show which of them it is.
            earlier.matches(secret) & (now < *until)
        };
        self.secret.matches(secret) | self.earlier_secret.as_ref().is_some_and(is_good)
    }

    /// Whether a browser may begin a validation by itself. Any visitor may then have messages sent,
    /// so there has to be a limit to them.
    pub(crate) const fn is_open(&self) -> bool {
        self.open && self.messages_per_day.is_some()
    }
}

/// The name of a client for people.
pub(crate) fn shown_name(name: Option<&ClientName>, redirect_uri: &RedirectUri) -> String {
    name.map_or_else(|| redirect_uri.host().to_string(), |name| name.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_positive_decimals() {
        assert_eq!(ClientId::parse("17").map(ClientId::number), Some(17));
        for bad in ["", "0", "-1", "+1", " 1", "1x", "9223372036854775808", "１"] {
            assert!(ClientId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn names_can_be_seen_and_fit() {
        for good in ["A", "Ada's Shop & Söhne", "喫茶店", "a\u{301}", &"x".repeat(60)] {
            assert_eq!(ClientName::parse(good).map(|it| it.0).as_deref(), Some(good));
        }
        let long = "x".repeat(61);
        for bad in ["", " ", "a ", "\u{a0}a", "a\nb", "a\u{2028}b", "a\u{202e}b", "\u{200b}", &long]
        {
            assert!(ClientName::parse(bad).is_none(), "{bad:?}");
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
