//! The table of refusals: what each looks like on the wire. And who reads it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

use serde_json::{Value, json};

use crate::error_code::CHALLENGER_GENERIC_CLIENT_UNKNOWN;
use crate::http::{Body, Method, Request, Response};
use crate::media;
use crate::page::{FALLBACK_LANGUAGE, Page, PageName, Variables};
use crate::redirect::RedirectUri;
use crate::refusal::{Refusal, Refused};
use crate::route::{Route, Shape};
use crate::service::Service;

/// Who reads the answer: what they accept, and where they asked.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    /// Whether they get pages.
    pub(crate) html: bool,
    /// Whether errors carry OAuth's fields.
    oauth: bool,
    /// The methods of the path, for `Allow`; empty when there is no such path.
    allow: &'static str,
    /// How they have to prove themselves, for `WWW-Authenticate`, where that is told.
    scheme: Option<Scheme>,
    accept_language: Option<String>,
    /// Whether a form was sent.
    posted: bool,
}

/// A scheme of HTTP authentication (RFC 9110 §11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// RFC 7617.
    Basic,
    /// RFC 6750.
    Bearer,
}

impl Reader {
    /// The sender of a request.
    pub(crate) fn of(request: &Request) -> Self {
        let route = Route::find(request.path()).map(|(route, _)| route);
        let accept = request.header("Accept");
        let shape = route.map_or(Shape::Json, Route::shape);
        let basic = request.header("Authorization").is_some_and(|value| has_scheme(value, "Basic"));
        Self {
            html: match shape {
                Shape::HtmlIfAsked => media::wants_html(accept),
                Shape::Json | Shape::OAuth => false,
                Shape::JsonIfAsked => !media::wants_json(accept),
            },
            oauth: shape == Shape::OAuth,
            allow: route.map_or("", Route::allow),
            scheme: match route {
                Some(Route::Info) => Some(Scheme::Bearer),
                Some(Route::Token) if basic => Some(Scheme::Basic),
                _ => None,
            },
            accept_language: request.header("Accept-Language").map(ToString::to_string),
            posted: request.method == Method::Post,
        }
    }

    /// The sender of a request of which nothing is known.
    pub(crate) const fn unknown() -> Self {
        Self {
            html: false,
            oauth: false,
            allow: "",
            scheme: None,
            accept_language: None,
            posted: false,
        }
    }

    /// Whether the client authenticates by HTTP Basic.
    pub(crate) fn used_basic(&self) -> bool {
        self.scheme == Some(Scheme::Basic)
    }

    /// A page in the language the reader likes best, without a form.
    ///
    /// # Errors
    /// [`Refusal::TemplateMissing`] names the template.
    pub(crate) fn page(
        &self,
        service: &Service,
        status: u16,
        name: PageName,
        data: Variables,
    ) -> Result<Response, Refused> {
        self.page_with(service, status, name, data, NOWHERE)
    }

    /// A page whose forms lead to the client in the end.
    ///
    /// # Errors
    /// [`Refusal::TemplateMissing`] names the template.
    pub(crate) fn form_page(
        &self,
        service: &Service,
        status: u16,
        name: PageName,
        data: Variables,
        redirect_uri: &RedirectUri,
    ) -> Result<Response, Refused> {
        self.page_with(service, status, name, data, &to_client(redirect_uri))
    }

    fn page_with(
        &self,
        service: &Service,
        status: u16,
        name: PageName,
        mut data: Variables,
        forms: &str,
    ) -> Result<Response, Refused> {
        let language = self.language(service, name)?;
        for (name, documents) in [("has_terms", &service.terms), ("has_privacy", &service.privacy)]
        {
            if !documents.is_empty() {
                data.set(name, true);
            }
        }
        let policy = service.pages.inline(name, &language).map(|inline| inline.policy(forms));
        let mut response = Response::new(status, Body::Page(Page { name, language, data }));
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

    /// The language in which the reader gets a page.
    ///
    /// # Errors
    /// [`Refusal::TemplateMissing`] names the template.
    pub(crate) fn language(&self, service: &Service, name: PageName) -> Result<String, Refused> {
        let language = service.pages.choose(name, self.accept_language.as_deref());
        language
            .map(ToString::to_string)
            .ok_or_else(|| Refusal::TemplateMissing.about(name.template(&service.address_type)))
    }

    /// The language in which the reader gets a message, whoever then reads it: that of the page
    /// that answers them, else the one they like best; else English, and any if there is none.
    pub(crate) fn message_language(&self, service: &Service) -> String {
        let languages = || service.message_languages.iter().map(String::as_str);
        let page =
            if self.html { self.language(service, PageName::EnterTanForm).ok() } else { None };
        let wanted = page.as_deref().or(self.accept_language.as_deref());
        media::best_language(wanted, languages())
            .or_else(|| languages().find(|language| *language == FALLBACK_LANGUAGE))
            .or_else(|| languages().next())
            .unwrap_or(FALLBACK_LANGUAGE)
            .to_string()
    }

    /// The answer that says no, in the reader's shape.
    pub(crate) fn refuse(&self, service: &Service, refused: &Refused) -> Response {
        self.say_no(service, refused, Variables::default(), NOWHERE)
    }

    /// The same, with more variables for its page, whose forms lead to the client in the end.
    pub(crate) fn refuse_with(
        &self,
        service: &Service,
        refused: &Refused,
        more: Variables,
        redirect_uri: &RedirectUri,
    ) -> Response {
        self.say_no(service, refused, more, &to_client(redirect_uri))
    }

    fn say_no(
        &self,
        service: &Service,
        refused: &Refused,
        mut data: Variables,
        forms: &str,
    ) -> Response {
        let refusal = refused.refusal;
        // A missing or broken template is told as JSON: there may be no page to tell it with.
        let told_as_json = matches!(refusal, Refusal::TemplateBroken | Refusal::TemplateMissing);
        let page = if self.html && !told_as_json {
            let name = match refusal.status() {
                404 => PageName::ValidationUnknown,
                400..500 => PageName::InvalidRequest,
                _ => PageName::InternalError,
            };
            data.set("ec", refusal.code());
            data.set("hint", refusal.hint());
            if let Some(detail) = refused.detail.as_deref() {
                data.set("detail", detail);
            }
            // By name, for templates that say more about some.
            data.set("refused", json!({ (refusal.name()): true }));
            self.page_with(service, refusal.status(), name, data, forms).ok()
        } else {
            None
        };
        let mut response = page.unwrap_or_else(|| {
            let mut body = json!({ "code": refusal.code(), "hint": refusal.hint() });
            if let Some(detail) = refused.detail.as_deref() {
                insert(&mut body, "detail", detail);
            }
            if self.oauth {
                insert(&mut body, "error", refusal.oauth_error());
                insert(&mut body, "error_description", refusal.hint());
            }
            Response::json(refusal.status(), body)
        });
        response.refusal = Some(refusal);
        self.add_headers(&mut response, refusal);
        response
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
            (Some(Scheme::Basic), 401) if refusal.code() == CHALLENGER_GENERIC_CLIENT_UNKNOWN => {
                response.set("WWW-Authenticate", "Basic realm=\"challenger\"");
            }
            (Some(Scheme::Bearer), 403 | 404) => {
                // RFC 6750 §3.1: a request without any token is told no error.
                let mut challenge = String::from("Bearer realm=\"challenger\"");
                if refusal != Refusal::BearerMissing {
                    // Writing to a string cannot fail.
                    let _ = write!(challenge, ", error=\"{}\"", refusal.oauth_error());
                }
                response.set("WWW-Authenticate", challenge);
            }
            _ => {}
        }
    }
}

/// Where the forms of a page may lead that has none.
const NOWHERE: &str = "'none'";

/// Where forms may lead that end at the client: Chromium applies `form-action` to every redirect
/// that follows a form, and a client may well redirect once more, to a place that only it knows. So
/// the policy names the schemes it may be reached by and no origin.
fn to_client(redirect_uri: &RedirectUri) -> Cow<'static, str> {
    let scheme = redirect_uri.scheme();
    if scheme.eq_ignore_ascii_case("https") {
        Cow::Borrowed("'self' https:")
    } else {
        Cow::Owned(format!("'self' https: {}:", scheme.to_ascii_lowercase()))
    }
}

/// Whether credentials are of this scheme (RFC 9110 §11.1: case-insensitive).
fn has_scheme(credentials: &str, scheme: &str) -> bool {
    strip_scheme(credentials, scheme).is_some()
}

/// What stands behind the scheme's name.
pub(crate) fn strip_scheme<'a>(credentials: &'a str, scheme: &str) -> Option<&'a str> {
    let (name, rest) = credentials.split_once(' ')?;
    name.eq_ignore_ascii_case(scheme).then(|| rest.trim_start_matches(' '))
}

/// An object of these members; of equal names, the last. The macro of serde_json would copy values.
pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    members.into_iter().collect()
}

/// Adds a member to an object.
pub(crate) fn insert(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(members) = object {
        members.insert(name.to_string(), value.into());
    }
}
