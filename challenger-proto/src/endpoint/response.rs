//! Answers in the shape that suits their audience: pages, and refusals.

use alloc::string::{String, ToString};
use core::fmt::Write as _;

use serde_json::json;

use crate::endpoint::negotiation::{Audience, Scheme};
use crate::http::json::insert;
use crate::http::page::{Page, PageName, Variables};
use crate::http::{Body, Response};
use crate::oauth::redirect::RedirectUri;
use crate::refusal::{Refusal, Refused};
use crate::service::Service;

/// The content of a page; the default is empty.
#[derive(Debug, Default)]
pub(crate) struct View<'a> {
    /// The template's variables.
    pub(crate) data: Variables,
    /// The client that the page's forms lead to in the end, if it has forms.
    pub(crate) client: Option<&'a RedirectUri>,
}

impl Audience {
    /// A page in the language that suits the audience best.
    ///
    /// # Errors
    /// [`Refusal::TemplateMissing`] names the template.
    pub(crate) fn page(
        &self,
        service: &Service,
        status: u16,
        name: PageName,
        view: View<'_>,
    ) -> Result<Response, Refused> {
        let View { mut data, client } = view;
        let language = self.language(service, name)?;
        for (name, documents) in [("has_terms", &service.terms), ("has_privacy", &service.privacy)]
        {
            if self.has_links && !documents.is_empty() {
                data.set(name, true);
            }
        }
        if !service.name.is_empty() {
            data.set("service", service.name.as_str());
        }
        let policy = service.pages.inline(name, language).map(|inline| inline.policy(client));
        let page = Page { name, language: language.to_string(), data };
        let mut response = Response::new(status, Body::Page(page));
        if let Some(policy) = policy {
            response.set("Content-Security-Policy", policy);
        }
        if self.posted {
            // So that one step back shows the page again, and not a browser's question whether to
            // send the form once more.
            response.set("Cache-Control", "private, no-cache");
        }
        Ok(response)
    }

    /// The answer that says no: a page with this content for people, JSON for programs.
    pub(crate) fn refuse(&self, service: &Service, refused: &Refused, view: View<'_>) -> Response {
        let refusal = refused.refusal;
        // A missing or broken template is reported as JSON: there may be no page to report it on.
        let as_json = matches!(refusal, Refusal::TemplateBroken | Refusal::TemplateMissing);
        let page = (self.html && !as_json)
            .then(|| self.refusal_page(service, refused, view).ok())
            .flatten();
        let mut response = page.unwrap_or_else(|| self.refusal_json(refused));
        response.refusal = Some(refusal);
        self.add_headers(&mut response, refusal);
        response
    }

    fn refusal_page(
        &self,
        service: &Service,
        refused: &Refused,
        mut view: View<'_>,
    ) -> Result<Response, Refused> {
        let refusal = refused.refusal;
        let name = match refusal.status() {
            _ if refusal == Refusal::OverBudget => PageName::OverBudget,
            404 => PageName::ValidationUnknown,
            413 => PageName::NotServed,
            400..500 => PageName::InvalidRequest,
            _ => PageName::InternalError,
        };
        view.data.set("ec", refusal.code());
        view.data.set("hint", refusal.hint());
        // An unknown path may be a mistyped link of a validation, which contains its nonce.
        let detail = refused.detail.as_deref().filter(|_| refusal != Refusal::EndpointUnknown);
        if let Some(detail) = detail {
            view.data.set("detail", detail);
        }
        if name == PageName::NotServed {
            view.data.set("status", json!({ (refusal.status().to_string()): true }));
        }
        // By name, for templates that say more about some.
        view.data.set("refused", json!({ (refusal.name()): true }));
        self.page(service, refusal.status(), name, view)
    }

    fn refusal_json(&self, refused: &Refused) -> Response {
        let refusal = refused.refusal;
        let mut body = json!({ "code": refusal.code(), "hint": refusal.hint() });
        if let Some(detail) = refused.detail.as_deref() {
            insert(&mut body, "detail", detail);
        }
        if self.oauth {
            insert(&mut body, "error", refusal.oauth_error());
            insert(&mut body, "error_description", refused.description());
        }
        Response::json(refusal.status(), body)
    }

    fn add_headers(&self, response: &mut Response, refusal: Refusal) {
        if refusal == Refusal::MethodInvalid && !self.allow.is_empty() {
            response.set("Allow", self.allow);
        }
        match refusal {
            Refusal::Contention => response.set("Retry-After", "1"),
            // They end when people are done with them, or their time is over.
            Refusal::TooManyValidations => response.set("Retry-After", "60"),
            _ => {}
        }
        if self.oauth {
            response.set("Pragma", "no-cache");
        }
        match (self.scheme, refusal.status()) {
            (Some(Scheme::Basic), 401) if is_about_secret(refusal) => {
                response.set("WWW-Authenticate", "Basic realm=\"challenger\"");
            }
            (Some(Scheme::Bearer), 401 | 403 | 404) if is_about_bearer(refusal) => {
                // RFC 6750 §3.1: the answer to a request without any token names no error.
                let mut challenge = String::from("Bearer realm=\"challenger\"");
                if !matches!(refusal, Refusal::BearerMissing | Refusal::ClientSecretMissing) {
                    // Writing to a string cannot fail.
                    let _ = write!(challenge, ", error=\"{}\"", refusal.oauth_error());
                }
                response.set("WWW-Authenticate", challenge);
            }
            _ => {}
        }
    }
}

/// Whether a refusal is about a client secret.
const fn is_about_secret(refusal: Refusal) -> bool {
    matches!(refusal, Refusal::ClientSecretMissing | Refusal::ClientSecretWrong)
}

/// Whether a refusal is about a bearer token, or about a client secret in the place of one.
const fn is_about_bearer(refusal: Refusal) -> bool {
    is_about_secret(refusal)
        || matches!(
            refusal,
            Refusal::BearerMalformed | Refusal::BearerMissing | Refusal::GrantUnknown
        )
}
