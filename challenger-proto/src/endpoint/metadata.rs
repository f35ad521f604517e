//! `GET /.well-known/oauth-authorization-server`: what libraries look for (RFC 8414).

use alloc::format;
use alloc::vec::Vec;

use serde_json::{Value, json};

use crate::http::Response;
use crate::http::json::insert;
use crate::refusal::{Refusal, Refused};
use crate::service::Service;

/// The ways of client authentication (RFC 6749 §2.3.1).
const AUTHENTICATION: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// # Errors
/// The service does not know its own address.
pub(crate) fn respond(service: &Service) -> Result<Response, Refused> {
    let issuer = service.issuer.as_deref().ok_or(Refusal::IssuerUnknown)?;
    let url = |path: &str| Value::from(format!("{issuer}/{path}"));
    let languages: Vec<&str> = service.pages.languages().collect();
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": url("authorize"),
        "authorization_response_iss_parameter_supported": true,
        "code_challenge_methods_supported": ["S256", "plain"],
        "grant_types_supported": ["authorization_code"],
        "introspection_endpoint": url("introspect"),
        "introspection_endpoint_auth_methods_supported": AUTHENTICATION,
        "pushed_authorization_request_endpoint": url("par"),
        "require_pushed_authorization_requests": true,
        "response_modes_supported": ["query"],
        "response_types_supported": ["code"],
        "revocation_endpoint": url("revoke"),
        "revocation_endpoint_auth_methods_supported": AUTHENTICATION,
        "token_endpoint": url("token"),
        "token_endpoint_auth_methods_supported": AUTHENTICATION,
        "userinfo_endpoint": url("info"),
    });
    if !languages.is_empty() {
        insert(&mut metadata, "ui_locales_supported", languages);
    }
    if !service.terms.is_empty() {
        insert(&mut metadata, "op_tos_uri", url("terms"));
    }
    if !service.privacy.is_empty() {
        insert(&mut metadata, "op_policy_uri", url("privacy"));
    }
    Ok(Response::json(200, metadata))
}
