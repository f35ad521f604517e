//! Proof Key for Code Exchange (RFC 7636).

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use data_encoding::BASE64URL_NOPAD;

use crate::digest::sha256;
use crate::secret::{Secret, constant_time_eq};

/// The `code_challenge` of an authorization request, with its method (RFC 7636 §4.2).
#[derive(Clone, PartialEq, Eq)]
pub enum CodeChallenge {
    /// `plain`: the verifier itself.
    Plain(String),
    /// `S256`: the base64url of the verifier's SHA-256.
    S256(String),
}

impl CodeChallenge {
    /// Reads a challenge; a missing method means `plain` (RFC 7636 §4.3). `Err` names the parameter
    /// that is malformed.
    pub(crate) fn parse(challenge: &str, method: Option<&str>) -> Result<Self, &'static str> {
        if !is_code(challenge) {
            return Err("code_challenge");
        }
        match method {
            None | Some("plain") => Ok(Self::Plain(challenge.to_owned())),
            Some("S256") if challenge.len() == 43 => Ok(Self::S256(challenge.to_owned())),
            Some("S256") => Err("code_challenge"),
            Some(_) => Err("code_challenge_method"),
        }
    }

    /// Reads what a store kept under [`Self::method`] and [`Self::value`].
    pub fn from_parts(method: &str, value: &str) -> Option<Self> {
        Self::parse(value, Some(method)).ok()
    }

    /// `plain` or `S256`.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Plain(_) => "plain",
            Self::S256(_) => "S256",
        }
    }

    /// The challenge.
    pub fn value(&self) -> &str {
        match self {
            Self::Plain(value) | Self::S256(value) => value,
        }
    }

    /// RFC 7636 §4.6, in constant time.
    pub(crate) fn accepts(&self, verifier: &CodeVerifier) -> bool {
        let verifier = verifier.0.expose().as_bytes();
        match self {
            Self::Plain(value) => constant_time_eq(value.as_bytes(), verifier),
            Self::S256(value) => {
                let computed = BASE64URL_NOPAD.encode(&sha256(&[verifier]));
                constant_time_eq(value.as_bytes(), computed.as_bytes())
            }
        }
    }
}

/// Shows the method only: a plain challenge is its own verifier.
impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeChallenge({})", self.method())
    }
}

/// The `code_verifier` of a token request (RFC 7636 §4.1).
#[derive(Clone, Debug)]
pub(crate) struct CodeVerifier(Secret<String>);

impl CodeVerifier {
    /// Reads 43 to 128 unreserved characters.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        is_code(text).then(|| Self(Secret::new(text.to_owned())))
    }
}

/// The syntax that challenge and verifier share.
fn is_code(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_published_vector_fits() {
        let verifier = CodeVerifier::parse(VERIFIER).unwrap();
        assert!(CodeChallenge::parse(CHALLENGE, Some("S256")).unwrap().accepts(&verifier));
        assert!(!CodeChallenge::parse(VERIFIER, Some("S256")).unwrap().accepts(&verifier));
        assert!(CodeChallenge::parse(VERIFIER, None).unwrap().accepts(&verifier));
        assert!(!CodeChallenge::parse(CHALLENGE, Some("plain")).unwrap().accepts(&verifier));
    }

    #[test]
    fn syntax_is_checked() {
        let long = "a".repeat(129);
        for bad in ["", &VERIFIER[1..], &long, "dBjftJeZ4CVP+mB92K27uhbUJU1p1r/wW1gFWFOEjXk="] {
            assert!(CodeVerifier::parse(bad).is_none(), "{bad}");
            assert_eq!(CodeChallenge::parse(bad, None), Err("code_challenge"));
        }
        assert!(CodeVerifier::parse(&long[..128]).is_some());
        assert_eq!(CodeChallenge::parse(&long[..44], Some("S256")), Err("code_challenge"));
        assert_eq!(CodeChallenge::parse(CHALLENGE, Some("s256")), Err("code_challenge_method"));
    }
}
