//! `GET /authorize`: a browser arrives with a request that the client pushed, or, for an open
//! client, with the request itself.

use alloc::format;
use alloc::string::{String, ToString};

use crate::endpoint::authorization;
use crate::endpoint::common::keys_of;
use crate::endpoint::decision::{Context, Decision};
use crate::endpoint::opening::{keys_to_open, open};
use crate::endpoint::par::parse_request_uri;
use crate::endpoint::proposal::Proposal;
use crate::endpoint::response::View;
use crate::http::form::Form;
use crate::http::page::Variables;
use crate::http::{Request, Response};
use crate::machine::validation::{Progress, Validation};
use crate::oauth::client::{Client, ClientId, ClientName, shown_name};
use crate::oauth::grant::AuthorizationRequest;
use crate::oauth::redirect::{Outcome, RedirectUri};
use crate::refusal::{Refusal, Refused};
use crate::secret::Secret;
use crate::secret::entropy::Entropy;
use crate::secret::nonce::Nonce;
use crate::service::Service;
use crate::store::{Keys, Rows, Write};
use crate::time::Timestamp;

/// A browser that arrives.
#[derive(Clone, Debug)]
pub(crate) struct BeginRequest {
    client: ClientId,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// With the nonce of a request that was pushed (RFC 9126 §4).
    Pushed(Nonce),
    /// With the request itself (RFC 6749 §4.1.1).
    Direct(Direct),
}

#[derive(Clone, Debug)]
struct Direct {
    redirect_uri: Option<String>,
    /// Kept beside the request, so that an error can be answered with it. It may be a session of
    /// the client.
    state: Secret<Option<String>>,
    request: Result<AuthorizationRequest, Refused>,
    proposal: Proposal,
}

impl BeginRequest {
    pub(crate) fn parse(request: &Request, service: &Service) -> Result<Self, Refused> {
        let query = Form::parse(request.query().as_bytes())?;
        let client = authorization::client_id(&query)?;
        let way = match query.get("request_uri") {
            Some(uri) => Way::Pushed(parse_request_uri(uri).ok_or(Refusal::RequestUriUnknown)?),
            None => Way::Direct(Direct {
                redirect_uri: query.get("redirect_uri").map(ToString::to_string),
                state: Secret::new(query.get("state").map(ToString::to_string)),
                request: direct_request(&query),
                proposal: Proposal::of_hint(query.get("login_hint").unwrap_or_default(), service),
            }),
        };
        Ok(Self { client, way })
    }

    pub(crate) fn keys(&self, now: Timestamp, service: &Service) -> Keys {
        match &self.way {
            Way::Pushed(nonce) => keys_of(nonce),
            Way::Direct(_) => keys_to_open(self.client, now, service),
        }
    }

    pub(crate) fn decide(
        &self,
        rows: Rows,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        match &self.way {
            Way::Pushed(nonce) => Ok(Decision::Respond(self.resume(nonce, rows, context))),
            Way::Direct(direct) => {
                let client = rows.client.ok_or(Refusal::ClientUnknown)?;
                direct.begin(&client, rows.count, entropy, context)
            }
        }
    }

    /// Leads to the validation, until somebody has asked for a message there. Up to then a link may
    /// be opened again: people reload, and programs look at links before people do.
    fn resume(&self, nonce: &Nonce, rows: Rows, context: Context<'_>) -> Response {
        let mine = rows.validation.filter(|row| row.client == self.client);
        let is_good = |row: &Validation| {
            let in_time = row.request_uri_until.is_some_and(|until| context.now < until);
            in_time && row.progress == Progress::Open
        };
        match &mine {
            Some(row) if is_good(row) => lead_to(nonce),
            _ => refuse(
                Refusal::RequestUriUnknown,
                mine.as_ref().map(|row| (&row.redirect_uri, row.client_name.as_ref())),
                context,
            ),
        }
    }
}

impl Direct {
    /// Opens a validation for an open client. What is wrong with the client or its redirect URI is
    /// shown to the person, and anything else reported to the client (RFC 6749 §4.1.2.1).
    fn begin(
        &self,
        client: &Client,
        count: u32,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let registered = client.redirect_uri.as_str();
        if client.disabled || !client.is_open() {
            let named = self.redirect_uri.as_deref() == Some(registered);
            let home = named.then_some((&client.redirect_uri, client.name.as_ref()));
            let refusal =
                if client.disabled { Refusal::ClientDisabled } else { Refusal::RequestNotPushed };
            return Ok(Decision::Respond(refuse(refusal, home, context)));
        }
        if self.redirect_uri.as_deref().is_some_and(|given| given != registered) {
            return Err(Refusal::RedirectUriForeign.into());
        }
        let opened = self.request.clone().and_then(|request| {
            let (nonce, row) = open(client, count, &self.proposal, entropy, context)?;
            // There is no `request_uri` that could lead to it.
            Ok((nonce, row.with_request(request, Timestamp::EPOCH)))
        });
        Ok(match opened {
            Ok((nonce, row)) => {
                Decision::Write(Write::Open(row, client.secret.digest), lead_to(&nonce))
            }
            Err(refused) => {
                let description = refused.description();
                let outcome = Outcome::Refused(refused.refusal.oauth_error(), &description);
                let issuer = context.service.issuer.as_deref();
                let location =
                    client.redirect_uri.respond(outcome, self.state.expose().as_deref(), issuer);
                let mut response = Response::found(location);
                response.refusal = Some(refused.refusal);
                Decision::Respond(response)
            }
        })
    }
}

/// The request in a query. One in a JWT (RFC 9101) would not be read, so it is refused.
fn direct_request(query: &Form) -> Result<AuthorizationRequest, Refused> {
    match query.get("request") {
        Some(_) => Err(Refusal::ParameterMalformed.about("request")),
        None => authorization::request(query),
    }
}

/// Redirects to the pages of a validation. The link is relative, because only the proxy knows the
/// path in front of it.
fn lead_to(nonce: &Nonce) -> Response {
    Response::found(format!("authorize/{}", nonce.to_text()))
}

/// Refuses on a page, which leads to the client's site if the link proves that it is the client's.
/// Otherwise anybody could read off which sites use the service.
fn refuse(
    refusal: Refusal,
    client: Option<(&RedirectUri, Option<&ClientName>)>,
    context: Context<'_>,
) -> Response {
    let mut data = Variables::default();
    if let Some((redirect_uri, name)) = client {
        data.set("client", shown_name(name, redirect_uri));
        if let Some(origin) = redirect_uri.origin() {
            data.set("home_url", origin);
        }
    }
    let view = View { data, client: None };
    context.audience.refuse(context.service, &refusal.into(), view)
}
