//! The meaning of a request, read from outside.

use challenger_proto::http::{Form, Request};
use challenger_proto::oauth::ClientId;
use challenger_proto::secret::{Nonce, NonceDigest};

/// What a `request_uri` begins with.
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// A call of the protocol. Requests that the auditor cannot read are not calls.
#[derive(Clone, Debug)]
pub enum Ask {
    Authorize(NonceDigest, Form),
    /// `GET /authorize`, with the validation that its `request_uri` names.
    Begin(Option<NonceDigest>, Form),
    Challenge(NonceDigest, Form),
    Info(String),
    Introspect(Form),
    Other,
    Par(Form),
    Revoke(Form),
    Setup {
        client: Option<ClientId>,
        secret: Option<String>,
    },
    Solve(NonceDigest, Form),
    Status {
        nonce: NonceDigest,
        secret: Option<String>,
    },
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
            Self::Authorize(nonce, _)
            | Self::Challenge(nonce, _)
            | Self::Solve(nonce, _)
            | Self::Status { nonce, .. } => Some(*nonce),
            Self::Begin(nonce, _) => *nonce,
            Self::Info(_)
            | Self::Introspect(_)
            | Self::Other
            | Self::Par(_)
            | Self::Revoke(_)
            | Self::Setup { .. }
            | Self::Token(_) => None,
        }
    }

    /// Whether it may open a validation.
    pub fn opens(&self) -> bool {
        match self {
            Self::Par(_) | Self::Setup { .. } => true,
            Self::Begin(_, form) => form.get("request_uri").is_none(),
            _ => false,
        }
    }

    /// Whether it only asks, so that nothing may change (I21).
    pub fn is_question(&self) -> bool {
        match self {
            Self::Authorize(_, form) => !PARAMETERS.iter().any(|it| form.get(it).is_some()),
            Self::Begin(..) => !self.opens(),
            Self::Info(_) | Self::Introspect(_) | Self::Status { .. } => true,
            _ => false,
        }
    }

    fn try_read(request: &Request) -> Option<Self> {
        let bearer = || {
            let value = request.header("Authorization")?;
            value.strip_prefix("Bearer ").map(ToString::to_string)
        };
        let body = || Form::parse(&request.body).ok();
        let query = || Form::parse(request.query().as_bytes()).ok();
        let mut segments = request.path().trim_start_matches('/').split('/');
        let endpoint = segments.next()?;
        let Some(argument) = segments.next() else {
            return Some(match endpoint {
                "authorize" => {
                    let form = query()?;
                    Self::Begin(form.get("request_uri").and_then(named), form)
                }
                "info" => Self::Info(bearer()?),
                "introspect" => Self::Introspect(body()?),
                "par" => Self::Par(body()?),
                "revoke" => Self::Revoke(body()?),
                "token" => Self::Token(body()?),
                _ => return None,
            });
        };
        let nonce = || Nonce::parse(argument).map(|nonce| nonce.digest());
        Some(match endpoint {
            "authorize" => Self::Authorize(nonce()?, query()?),
            "challenge" => Self::Challenge(nonce()?, body()?),
            "setup" => Self::Setup { client: ClientId::parse(argument), secret: bearer() },
            "solve" => Self::Solve(nonce()?, body()?),
            "status" => Self::Status { nonce: nonce()?, secret: bearer() },
            _ => return None,
        })
    }
}

/// The parameters of an authorization request.
const PARAMETERS: [&str; 7] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

/// The text of the nonce in a `request_uri`.
pub(super) fn nonce_in(request_uri: &str) -> Option<&str> {
    request_uri.strip_prefix(REQUEST_URI)
}

/// The validation that a `request_uri` names.
fn named(request_uri: &str) -> Option<NonceDigest> {
    Nonce::parse(nonce_in(request_uri)?).map(|nonce| nonce.digest())
}
