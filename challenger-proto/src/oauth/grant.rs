//! What a client asks for and gets: authorization request, authorization code, access token, grant.

use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::address::Address;
use crate::oauth::client::ClientId;
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::redirect::RedirectUri;
use crate::secret::Secret;
use crate::secret::base32;
use crate::secret::digest::{CodeDigest, NonceDigest, TokenDigest, hmac_sha256, sha256};
use crate::secret::entropy::Entropy;
use crate::secret::nonce::{Nonce, Salt};
use crate::time::Timestamp;

/// The part of an authorization request (RFC 6749 §4.1.1) that is remembered. A store fills every
/// field, so none will be added without a new major version.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// Opaque to us; returned in the redirect.
    pub state: Option<String>,
    /// Accepted and not interpreted.
    pub scope: Option<String>,
    /// PKCE (RFC 7636).
    pub code_challenge: Option<CodeChallenge>,
    /// Whether it named the redirect URI, which `/token` then has to name as well (RFC 6749
    /// §4.1.3).
    pub names_redirect_uri: bool,
}

/// Shows which parameters are present, not their values: a state may be a session of the client.
impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("state", &self.state.is_some())
            .field("scope", &self.scope.is_some())
            .field("code_challenge", &self.code_challenge.as_ref().map(CodeChallenge::method))
            .field("names_redirect_uri", &self.names_redirect_uri)
            .finish()
    }
}

/// The authorization code (RFC 6749 §1.3.1): the name of a validation, and a proof that follows
/// from its nonce. A leaked code reveals neither nonce nor address.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationCode {
    /// The validation that it belongs to.
    pub(crate) validation: NonceDigest,
    proof: Secret<[u8; 32]>,
}

impl AuthorizationCode {
    /// The one code of a solution, which has a salt and a moment; always the same for these. A
    /// later moment has another code, so that an expired code never becomes valid again.
    pub(crate) fn derive(
        nonce: &Nonce,
        salt: &Salt,
        solved_at: Timestamp,
        redirect_uri: &RedirectUri,
    ) -> Self {
        let moment = solved_at.seconds().to_be_bytes();
        let uri = redirect_uri.as_str().as_bytes();
        let proof = hmac_sha256(nonce.key(), &[b"code", salt.as_bytes(), &moment, uri]);
        Self { validation: nonce.digest(), proof: Secret::new(proof) }
    }

    /// Reads the 105 characters of [`Self::to_text`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (validation, proof) = text.split_once('-')?;
        Some(Self {
            validation: NonceDigest::from_bytes(base32::decode(validation)?),
            proof: Secret::new(base32::decode(proof)?),
        })
    }

    /// The text for a redirect.
    pub(crate) fn to_text(&self) -> String {
        let validation = base32::encode(self.validation.as_bytes());
        format!("{validation}-{}", base32::encode(self.proof.expose()))
    }

    /// The digest by which a store recognises it.
    pub(crate) fn digest(&self) -> CodeDigest {
        CodeDigest::from_bytes(sha256(&[self.proof.expose()]))
    }
}

/// A bearer token (RFC 6749 §1.4, RFC 6750): 32 random bytes.
#[derive(Clone, Debug)]
pub(crate) struct AccessToken(Secret<[u8; 32]>);

impl AccessToken {
    /// Draws a new one.
    pub(crate) fn draw(entropy: Entropy) -> Self {
        Self(Secret::new(entropy.spend()))
    }

    /// Reads the 52 characters of a header.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        base32::decode(text).map(|bytes| Self(Secret::new(bytes)))
    }

    /// The 52 characters for the client.
    pub(crate) fn to_text(&self) -> String {
        base32::encode(self.0.expose())
    }

    /// The digest by which a store recognises it.
    pub(crate) fn digest(&self) -> TokenDigest {
        TokenDigest::from_bytes(sha256(&[self.0.expose()]))
    }
}

impl Grant {
    /// The subject (OpenID Connect Core §2): always the same for a client and an address, so that
    /// the client knows a returning person, and different for each client, so that two of them
    /// cannot compare theirs. Whoever guesses the address can compute it.
    pub(crate) fn subject(&self) -> String {
        let client = self.client.number().to_be_bytes();
        base32::encode(&sha256(&[b"sub", &client, self.address.to_json_text().as_bytes()]))
    }
}

/// The number a store gives a grant when it keeps it; `/info` calls it `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantSerial(pub i64);

/// What an access token gives access to: a row of the store, which fills every field, so none will
/// be added without a new major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The token's digest.
    pub token: TokenDigest,
    /// The client that redeemed the code.
    pub client: ClientId,
    /// The validated address.
    pub address: Address,
    /// Until when the address counts as validated.
    pub valid_until: Timestamp,
    /// Until when the token can be used.
    pub expires: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn codes_make_the_round_trip_and_differ_by_all_their_parts() {
        let nonce = Nonce::draw(Entropy::new([1; 32]));
        let uri = RedirectUri::parse("https://a.example/cb").unwrap();
        let salt = Salt::from_bytes([2; 32]);
        let noon = Timestamp::from_seconds(1_790_000_000);
        let code = AuthorizationCode::derive(&nonce, &salt, noon, &uri);
        let text = code.to_text();
        assert_eq!(text.len(), 105);
        let read = AuthorizationCode::parse(&text).unwrap();
        assert_eq!((read.validation, read.digest()), (nonce.digest(), code.digest()));
        let other_uri = RedirectUri::parse("https://b.example/cb").unwrap();
        let others = [
            AuthorizationCode::derive(&nonce, &Salt::from_bytes([3; 32]), noon, &uri),
            AuthorizationCode::derive(&nonce, &salt, noon.plus(Span::seconds(1)), &uri),
            AuthorizationCode::derive(&nonce, &salt, noon, &other_uri),
            AuthorizationCode::derive(&Nonce::draw(Entropy::new([9; 32])), &salt, noon, &uri),
        ];
        assert!(others.iter().all(|other| other.digest() != code.digest()));
        assert!(!format!("{code:?}").contains(&text[53..60]));
        for bad in ["", "-", "a-b", &text[1..], &text.replace('-', "")] {
            assert!(AuthorizationCode::parse(bad).is_none());
        }
    }
}
