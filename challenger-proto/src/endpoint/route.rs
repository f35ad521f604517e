//! The paths: their names, the methods they allow, and the shapes of their answers.

use crate::http::{Method, Request};

/// A path that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Authorize,
    Begin,
    Challenge,
    Config,
    Info,
    Introspect,
    Metadata,
    Par,
    Pp,
    Privacy,
    Revoke,
    Robots,
    Root,
    Setup,
    Solve,
    Status,
    Terms,
    Token,
}

/// The shape of a path's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// HTML if `Accept` names it, else JSON.
    HtmlIfAsked,
    /// JSON.
    Json,
    /// JSON if `Accept` names it, else HTML.
    JsonIfAsked,
    /// JSON with the fields of an OAuth error (RFC 6749 §5.2).
    OAuth,
}

impl Route {
    /// The route of a path, and the argument in its second segment, if it has one.
    pub(crate) fn find(path: &str) -> Option<(Self, &str)> {
        let route = match path {
            "/" => Self::Root,
            "/.well-known/oauth-authorization-server" => Self::Metadata,
            "/authorize" => Self::Begin,
            "/config" => Self::Config,
            "/info" => Self::Info,
            "/introspect" => Self::Introspect,
            "/par" => Self::Par,
            "/pp" => Self::Pp,
            "/privacy" => Self::Privacy,
            "/revoke" => Self::Revoke,
            "/robots.txt" => Self::Robots,
            "/terms" => Self::Terms,
            "/token" => Self::Token,
            _ => return Self::find_with_argument(path),
        };
        Some((route, ""))
    }

    fn find_with_argument(path: &str) -> Option<(Self, &str)> {
        let (endpoint, argument) = path.strip_prefix('/')?.split_once('/')?;
        let route = match endpoint {
            "authorize" => Self::Authorize,
            "challenge" => Self::Challenge,
            "setup" => Self::Setup,
            "solve" => Self::Solve,
            "status" => Self::Status,
            _ => return None,
        };
        (!argument.is_empty() && !argument.contains('/')).then_some((route, argument))
    }

    /// Its name in logs, which must not hold the path, because that may hold a nonce.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Authorize => "/authorize/$NONCE",
            Self::Begin => "/authorize",
            Self::Challenge => "/challenge/$NONCE",
            Self::Config => "/config",
            Self::Info => "/info",
            Self::Introspect => "/introspect",
            Self::Metadata => "/.well-known/oauth-authorization-server",
            Self::Par => "/par",
            Self::Pp => "/pp",
            Self::Privacy => "/privacy",
            Self::Revoke => "/revoke",
            Self::Robots => "/robots.txt",
            Self::Root => "/",
            Self::Setup => "/setup/$CLIENT_ID",
            Self::Solve => "/solve/$NONCE",
            Self::Status => "/status/$NONCE",
            Self::Terms => "/terms",
            Self::Token => "/token",
        }
    }

    /// The value of `Allow` (RFC 9110 §10.2.1).
    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Authorize => "GET, HEAD, POST, OPTIONS",
            Self::Challenge
            | Self::Introspect
            | Self::Par
            | Self::Revoke
            | Self::Setup
            | Self::Solve
            | Self::Token => "POST, OPTIONS",
            Self::Begin
            | Self::Config
            | Self::Info
            | Self::Metadata
            | Self::Pp
            | Self::Privacy
            | Self::Robots
            | Self::Root
            | Self::Status
            | Self::Terms => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether the path has the method.
    pub(crate) fn allows(self, method: Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }

    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::Authorize | Self::Begin | Self::Challenge | Self::Root => Shape::HtmlIfAsked,
            Self::Info
            | Self::Introspect
            | Self::Par
            | Self::Revoke
            | Self::Status
            | Self::Token => Shape::OAuth,
            Self::Solve => Shape::JsonIfAsked,
            Self::Config
            | Self::Metadata
            | Self::Pp
            | Self::Privacy
            | Self::Robots
            | Self::Setup
            | Self::Terms => Shape::Json,
        }
    }
}

impl Request {
    /// The name of the route, such as `/solve/$NONCE`, and `-` for a path that does not exist. Logs
    /// must not hold paths, which carry nonces.
    pub fn route(&self) -> &'static str {
        Route::find(self.path()).map_or("-", |(route, _)| route.name())
    }
}
