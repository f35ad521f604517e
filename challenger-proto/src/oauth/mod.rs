//! OAuth's words: clients and where they are reached, authorization codes, grants, PKCE.

pub(crate) mod client;
pub(crate) mod grant;
pub(crate) mod pkce;
pub(crate) mod redirect;

pub use client::{
    CLIENT_NAME_MAX, Client, ClientId, ClientName, HashedSecret, SECRET_PREFIX,
    generate_client_secret,
};
pub use grant::{AuthorizationRequest, Grant, GrantSerial};
pub use pkce::CodeChallenge;
pub use redirect::{REDIRECT_URI_MAX, RedirectUri, RedirectUriError};
