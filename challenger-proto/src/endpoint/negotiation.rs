//! Negotiation: the audience of an answer, by what a request accepts and which path it asks.

use alloc::string::{String, ToString};

use crate::endpoint::route::{Route, Shape};
use crate::http::page::{FALLBACK_LANGUAGE, PageName};
use crate::http::{Method, Request};
use crate::media;
use crate::refusal::{Refusal, Refused};
use crate::service::Service;

/// The audience of an answer: what it accepts, and where it asked.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    /// Whether it gets pages.
    pub(crate) html: bool,
    /// Whether errors carry OAuth's fields.
    pub(crate) oauth: bool,
    /// Whether links that are relative to the path of a validation lead where they should.
    pub(crate) has_links: bool,
    /// The methods of the path, for `Allow`; empty when there is no such path.
    pub(crate) allow: &'static str,
    /// The scheme it has to authenticate by, for `WWW-Authenticate`, where answers name it.
    pub(crate) scheme: Option<Scheme>,
    /// Whether a form was sent.
    pub(crate) posted: bool,
    accept_language: Option<String>,
}

/// A scheme of HTTP authentication (RFC 9110 §11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 7617.
    Basic,
    /// RFC 6750.
    Bearer,
}

impl Audience {
    /// The audience of the answer to a request. Without a route there is no such path.
    pub(crate) fn of(request: &Request, route: Option<Route>) -> Self {
        let accept = request.header("Accept");
        let shape = route.map_or(Shape::HtmlIfAsked, Route::shape);
        let basic = request.credentials("Basic").is_some();
        Self {
            html: match shape {
                Shape::HtmlIfAsked => media::wants_html(accept),
                Shape::Json | Shape::OAuth => false,
                Shape::JsonIfAsked => !media::wants_json(accept),
            },
            oauth: shape == Shape::OAuth,
            has_links: route.is_some_and(|it| !matches!(it, Route::Begin | Route::Root)),
            allow: route.map_or("", Route::allow),
            scheme: match route {
                Some(Route::Info | Route::Status) => Some(Scheme::Bearer),
                Some(Route::Introspect | Route::Par | Route::Revoke) => Some(Scheme::Basic),
                // For a client that authenticates in the form, the protocol leaves it out.
                Some(Route::Token) if basic => Some(Scheme::Basic),
                _ => None,
            },
            posted: request.method == Method::Post,
            accept_language: request.header("Accept-Language").map(ToString::to_string),
        }
    }

    /// The audience of the answer to a request that could not be read.
    pub(crate) const fn unknown() -> Self {
        Self {
            html: false,
            oauth: false,
            has_links: false,
            allow: "",
            scheme: None,
            posted: false,
            accept_language: None,
        }
    }

    /// Whether a client at `/token` authenticates by HTTP Basic.
    pub(crate) fn used_basic(&self) -> bool {
        self.scheme == Some(Scheme::Basic)
    }

    /// The language of a page for this audience.
    ///
    /// # Errors
    /// [`Refusal::TemplateMissing`] names the template.
    pub(crate) fn language<'s>(
        &self,
        service: &'s Service,
        name: PageName,
    ) -> Result<&'s str, Refused> {
        let language = service.pages.choose(name, self.accept_language.as_deref());
        language.ok_or_else(|| Refusal::TemplateMissing.about(name.template(&service.address_type)))
    }

    /// The language of a message that this audience asks for: that of the page that answers it,
    /// else the one it likes best, else English, else any.
    pub(crate) fn message_language(&self, service: &Service) -> String {
        let languages = || service.message_languages.iter().map(String::as_str);
        let page =
            if self.html { self.language(service, PageName::EnterTanForm).ok() } else { None };
        let wanted = page.or(self.accept_language.as_deref());
        media::best_language(wanted, languages())
            .or_else(|| languages().find(|language| *language == FALLBACK_LANGUAGE))
            .or_else(|| languages().next())
            .unwrap_or(FALLBACK_LANGUAGE)
            .to_string()
    }
}
