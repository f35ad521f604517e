//! The calls of the protocol: the one file that knows all endpoints.

use crate::endpoint::authorize::AuthorizeRequest;
use crate::endpoint::begin::BeginRequest;
use crate::endpoint::challenge::{ChallengeRequest, Postponed, Undelivered};
use crate::endpoint::decision::{Context, Decision};
use crate::endpoint::info::InfoRequest;
use crate::endpoint::introspect::IntrospectRequest;
use crate::endpoint::legal::{LegalRequest, Which};
use crate::endpoint::par::ParRequest;
use crate::endpoint::response::View;
use crate::endpoint::revoke::RevokeRequest;
use crate::endpoint::route::Route;
use crate::endpoint::setup::SetupRequest;
use crate::endpoint::solve::SolveRequest;
use crate::endpoint::status::StatusRequest;
use crate::endpoint::token::TokenRequest;
use crate::endpoint::{config, metadata, root};
use crate::http::{BODY_MAX, Body, HEAD_MAX, Method, Request, Response, TARGET_MAX};
use crate::refusal::{Refusal, Refused};
use crate::secret::digest::NonceDigest;
use crate::secret::entropy::Entropy;
use crate::service::Service;
use crate::store::{Keys, Rows};
use crate::time::Timestamp;

/// A parsed request.
#[derive(Debug)]
pub(crate) enum Call {
    /// A call that is answered without rows.
    Direct(Direct),
    /// A call that is decided on rows.
    Stored(Stored),
}

/// A call that is answered without rows.
#[derive(Debug)]
pub(crate) enum Direct {
    Config,
    Legal(LegalRequest),
    Metadata,
    Options,
    Robots,
    Root,
}

/// A call that is decided on rows, or what follows from one.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    Authorize(AuthorizeRequest),
    Begin(BeginRequest),
    Challenge(ChallengeRequest),
    Info(InfoRequest),
    Introspect(IntrospectRequest),
    Par(ParRequest),
    /// No helper was free in time for the message.
    Postponed(Postponed),
    Revoke(RevokeRequest),
    Setup(SetupRequest),
    Solve(SolveRequest),
    Status(StatusRequest),
    Token(TokenRequest),
    /// The helper could not send the message.
    Undelivered(Undelivered),
}

impl Call {
    /// Reads a request for a route, with the argument in its path.
    ///
    /// # Errors
    /// The request is too large, names no endpoint, or is not what its endpoint reads.
    pub(crate) fn parse(
        request: &Request,
        found: Option<(Route, &str)>,
        service: &Service,
    ) -> Result<Self, Refused> {
        if request.target.len() > TARGET_MAX {
            return Err(Refusal::TargetTooLong.into());
        }
        let fields = request.headers.iter().map(|(name, value)| name.len() + value.len());
        if fields.sum::<usize>() > HEAD_MAX {
            return Err(Refusal::HeadTooLarge.into());
        }
        if request.body.len() > BODY_MAX {
            return Err(Refusal::BodyTooLarge.into());
        }
        if request.method == Method::Options {
            return Ok(Self::Direct(Direct::Options));
        }
        let Some((route, argument)) = found else {
            return Err(Refusal::EndpointUnknown.about(request.path()));
        };
        if !route.allows(request.method) {
            return Err(Refusal::MethodInvalid.into());
        }
        Self::parse_for(route, request, argument, service)
    }

    fn parse_for(
        route: Route,
        request: &Request,
        argument: &str,
        service: &Service,
    ) -> Result<Self, Refused> {
        let stored = match route {
            Route::Config => return Ok(Self::Direct(Direct::Config)),
            Route::Metadata => return Ok(Self::Direct(Direct::Metadata)),
            Route::Pp | Route::Privacy => {
                return Ok(Self::Direct(Direct::Legal(LegalRequest::parse(
                    request,
                    Which::Privacy,
                ))));
            }
            Route::Robots => return Ok(Self::Direct(Direct::Robots)),
            Route::Root => return Ok(Self::Direct(Direct::Root)),
            Route::Terms => {
                return Ok(Self::Direct(Direct::Legal(LegalRequest::parse(request, Which::Terms))));
            }
            Route::Authorize => Stored::Authorize(AuthorizeRequest::parse(request, argument)?),
            Route::Begin => Stored::Begin(BeginRequest::parse(request, service)?),
            Route::Challenge => {
                Stored::Challenge(ChallengeRequest::parse(request, argument, service)?)
            }
            Route::Info => Stored::Info(InfoRequest::parse(request)?),
            Route::Introspect => Stored::Introspect(IntrospectRequest::parse(request)?),
            Route::Par => Stored::Par(ParRequest::parse(request, service)?),
            Route::Revoke => Stored::Revoke(RevokeRequest::parse(request)?),
            Route::Setup => Stored::Setup(SetupRequest::parse(request, argument)?),
            Route::Solve => Stored::Solve(SolveRequest::parse(request, argument)?),
            Route::Status => Stored::Status(StatusRequest::parse(request, argument)?),
            Route::Token => Stored::Token(TokenRequest::parse(request)?),
        };
        Ok(Self::Stored(stored))
    }
}

impl Direct {
    pub(crate) fn respond(&self, context: Context<'_>) -> Response {
        match self {
            Self::Config => config::respond(context.service),
            Self::Legal(call) => call.respond(context),
            Self::Metadata => metadata::respond(context.service).unwrap_or_else(|refused| {
                context.audience.refuse(context.service, &refused, View::default())
            }),
            Self::Options => options(),
            Self::Robots => root::robots(),
            Self::Root => root::landing(context),
        }
    }
}

/// The answer to a preflight (WHATWG Fetch, CORS protocol), on any path.
fn options() -> Response {
    let mut response = Response::new(204, Body::Empty);
    response.set("Access-Control-Allow-Headers", "*");
    response.set("Access-Control-Allow-Methods", "*");
    response
}

impl Stored {
    /// The rows that the decision needs.
    pub(crate) fn keys(&self, now: Timestamp, service: &Service) -> Keys {
        match self {
            Self::Authorize(call) => call.keys(),
            Self::Begin(call) => call.keys(now, service),
            Self::Challenge(call) => call.keys(),
            Self::Info(call) => call.keys(),
            Self::Introspect(call) => call.keys(),
            Self::Par(call) => call.keys(now, service),
            Self::Postponed(call) => call.keys(),
            Self::Revoke(call) => call.keys(),
            Self::Setup(call) => call.keys(now, service),
            Self::Solve(call) => call.keys(),
            Self::Status(call) => call.keys(),
            Self::Token(call) => call.keys(),
            Self::Undelivered(call) => call.keys(),
        }
    }

    /// The validation that may be guessed: if no row but this one and that of a client is needed,
    /// the write proves everything that can have changed.
    pub(crate) fn guessable(&self) -> Option<NonceDigest> {
        match self {
            Self::Authorize(call) if call.asks() => call.keys().validation,
            Self::Solve(call) => call.keys().validation,
            Self::Token(call) => call.keys().validation,
            Self::Authorize(_)
            | Self::Begin(_)
            | Self::Challenge(_)
            | Self::Info(_)
            | Self::Introspect(_)
            | Self::Par(_)
            | Self::Postponed(_)
            | Self::Revoke(_)
            | Self::Setup(_)
            | Self::Status(_)
            | Self::Undelivered(_) => None,
        }
    }

    /// Decides. It can be called again with newly loaded rows.
    pub(crate) fn decide(
        &self,
        rows: Rows,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        match self {
            Self::Authorize(call) => call.decide(rows, context),
            Self::Begin(call) => call.decide(rows, entropy, context),
            Self::Challenge(call) => call.decide(rows, entropy, context),
            Self::Info(call) => call.decide(rows, context),
            Self::Introspect(call) => call.decide(rows, context),
            Self::Par(call) => call.decide(rows, entropy, context),
            Self::Postponed(call) => call.decide(rows, entropy, context),
            Self::Revoke(call) => call.decide(rows, context.now),
            Self::Setup(call) => call.decide(rows, entropy, context),
            Self::Solve(call) => call.decide(rows, context),
            Self::Status(call) => call.decide(rows, context),
            Self::Token(call) => call.decide(rows, entropy, context),
            Self::Undelivered(call) => Ok(call.decide(rows, context)),
        }
    }
}
