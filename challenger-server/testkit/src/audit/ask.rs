//! The meaning of a request, read from outside.

use challenger_proto::http::{Form, Request};
use challenger_proto::oauth::ClientId;
use challenger_proto::secret::{Nonce, NonceDigest};

/// A call of the protocol. Requests that the auditor cannot read are not calls.
#[derive(Clone, Debug)]
pub enum Ask {
    Authorize(NonceDigest, Form),
    Challenge(NonceDigest, Form),
    Info(String),
    Other,
    Setup { client: Option<ClientId>, secret: Option<String> },
    Solve(NonceDigest, Form),
    Token(Form),
}

impl Ask {
    /// Reads a request.
    pub fn read(request: &Request) -> Self {
        Self::try_read(request).unwrap_or(Self::Other)
    }

    /// The validation that it names by its nonce.
    pub const fn nonce(&self) -> Option<NonceDigest> {
        match self {
            Self::Authorize(nonce, _) | Self::Challenge(nonce, _) | Self::Solve(nonce, _) => {
                Some(*nonce)
            }
            Self::Info(_) | Self::Other | Self::Setup { .. } | Self::Token(_) => None,
        }
    }

    fn try_read(request: &Request) -> Option<Self> {
        let bearer = || {
            let value = request.header("Authorization")?;
            value.strip_prefix("Bearer ").map(ToString::to_string)
        };
        let body = || Form::parse(&request.body).ok();
        let mut segments = request.path().trim_start_matches('/').split('/');
        let endpoint = segments.next()?;
        let argument = segments.next().unwrap_or_default();
        let nonce = || Nonce::parse(argument).map(|nonce| nonce.digest());
        Some(match endpoint {
            "authorize" => Self::Authorize(nonce()?, Form::parse(request.query().as_bytes()).ok()?),
            "challenge" => Self::Challenge(nonce()?, body()?),
            "info" => Self::Info(bearer()?),
            "setup" => Self::Setup { client: ClientId::parse(argument), secret: bearer() },
            "solve" => Self::Solve(nonce()?, body()?),
            "token" => Self::Token(body()?),
            _ => return None,
        })
    }
}
