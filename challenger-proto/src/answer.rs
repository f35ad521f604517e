//! The table of refusals: what each looks like on the wire. And who reads it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

use serde_json::{Value, json};

use crate::http::{Body, Method, Request, Response};
use crate::media;
use crate::page::{FALLBACK_LANGUAGE, Page, PageName, Variables};
use crate::redirect::RedirectUri;
use crate::refusal::{Refusal, Refused};
use crate::route::{Route, Shape};
use crate::service::Service;

/// What a refusal becomes.
struct Row {
    /// The HTTP status.
    status: u16,
    /// The number of GNU Taler's registry of error codes.
    code: u16,
    /// The `error` of RFC 6749 §5.2 and RFC 6750 §3.1, for `/token` and `/info`.
    oauth: &'static str,
    /// A sentence for the person who reads it; ASCII without quotes, as RFC 6749 §5.2 demands of
    /// `error_description`.
    hint: &'static str,
}

const fn row(status: u16, code: u16, oauth: &'static str, hint: &'static str) -> Row {
    Row { status, code, oauth, hint }
}

#[expect(clippy::too_many_lines, reason = "one table, a line or two for each refusal")]
const fn look_up(refusal: Refusal) -> Row {
    const CLIENT: &str = "invalid_client";
    const GRANT: &str = "invalid_grant";
    const REQUEST: &str = "invalid_request";
    const SERVER: &str = "server_error";
    const TOKEN: &str = "invalid_token";
    match refusal {
        Refusal::AddressNeverGiven => {
            row(409, 9759, GRANT, "No address was given to this validation yet.")
        }
        Refusal::AddressReadOnly => {
            row(403, 9760, REQUEST, "The address of this validation must not be changed.")
        }
        Refusal::BearerMalformed => {
            row(403, 26, TOKEN, "The Authorization header holds no bearer token.")
        }
        Refusal::BearerMissing => row(403, 25, REQUEST, "The Authorization header is missing."),
        Refusal::BodyTooLarge => row(413, 32, REQUEST, "The request body is too large."),
        Refusal::ClientSecretWrong => row(401, 9750, CLIENT, "The client secret is wrong."),
        Refusal::ClientUnknown => {
            row(404, 9750, CLIENT, "The client is unknown or not authorized.")
        }
        Refusal::CodeExpired => row(401, 9753, GRANT, "The authorization code has expired."),
        Refusal::CodeMismatch => row(401, 9754, GRANT, "The authorization code is not valid."),
        Refusal::CodeSpent => row(401, 9753, GRANT, "The authorization code was used before."),
        Refusal::CompressionInvalid => {
            row(400, 28, REQUEST, "The request body could not be decompressed.")
        }
        Refusal::ContentLengthMalformed => {
            row(400, 26, REQUEST, "The length of the request body is not clear.")
        }
        Refusal::Contention => {
            row(500, 55, SERVER, "Too many requests at once for the same validation.")
        }
        Refusal::EndpointUnknown => row(404, 21, REQUEST, "There is nothing at this path."),
        Refusal::ExpectationUnknown => {
            row(417, 23, REQUEST, "The only expectation served is 100-continue.")
        }
        Refusal::GrantUnknown => {
            row(404, 9753, TOKEN, "The access token is unknown or has expired.")
        }
        Refusal::GrantTypeUnsupported => {
            row(400, 26, "unsupported_grant_type", "The only grant type is authorization_code.")
        }
        Refusal::HeadMalformed => {
            row(400, 23, REQUEST, "The request line or a header field is malformed.")
        }
        Refusal::HeadTooLarge => row(431, 23, REQUEST, "The request header is too large."),
        Refusal::HelperFailed => row(502, 9752, SERVER, "The message could not be sent."),
        Refusal::HelpersBusy => row(
            503,
            9752,
            "temporarily_unavailable",
            "No message was sent because many are being sent right now; try again in a moment.",
        ),
        Refusal::Internal => row(500, 60, SERVER, "The service made a mistake."),
        Refusal::JsonInvalid => row(400, 22, REQUEST, "The request body is not a JSON object."),
        Refusal::MethodInvalid => row(405, 20, REQUEST, "This path has no such method."),
        Refusal::ParameterMalformed => row(400, 26, REQUEST, "A parameter is malformed."),
        Refusal::ParameterMissing => row(400, 25, REQUEST, "A parameter is missing."),
        Refusal::PinInvalid => row(403, 9758, GRANT, "The code is wrong."),
        Refusal::RedirectUriForeign => {
            row(400, 9751, REQUEST, "The redirect URI is not the one of this client.")
        }
        Refusal::RedirectUriMismatch => {
            row(401, 9751, GRANT, "The redirect URI is not the one of this client.")
        }
        Refusal::RequestTimeout => row(408, 23, REQUEST, "The request did not arrive in time."),
        Refusal::StorageUnreadable => row(500, 53, SERVER, "The database could not be read."),
        Refusal::StorageUnwritable => row(500, 52, SERVER, "The database could not be written."),
        Refusal::TargetTooLong => row(414, 31, REQUEST, "The request URI is too long."),
        Refusal::TemplateBroken => row(500, 75, SERVER, "A page could not be rendered."),
        Refusal::TemplateMissing => row(406, 74, REQUEST, "This page has no template."),
        Refusal::TooManyAttempts => row(
            429,
            9757,
            REQUEST,
            "This validation has used up its attempts; start again from the site you came from.",
        ),
        Refusal::TooManyValidations => row(
            429,
            9757,
            "temporarily_unavailable",
            "This client has too many open validations; try again when some of them have ended.",
        ),
        Refusal::TransferEncodingUnsupported => {
            row(501, 23, REQUEST, "The only transfer coding served is chunked.")
        }
        Refusal::ValidationUnknown => {
            row(404, 9755, REQUEST, "The validation is unknown or has expired.")
        }
        Refusal::ValidationUnknownToCode => {
            row(401, 9755, GRANT, "The validation of this code is unknown or has expired.")
        }
        Refusal::VerifierMismatch => {
            row(401, 9753, GRANT, "The code verifier does not fit the code challenge.")
        }
        Refusal::VersionUnsupported => {
            row(505, 23, REQUEST, "The HTTP versions served are 1.0 and 1.1.")
        }
    }
}

impl Refusal {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        look_up(self).status
    }

    /// The number of GNU Taler's registry of error codes.
    pub const fn code(self) -> u16 {
        look_up(self).code
    }

    /// A sentence for people.
    pub const fn hint(self) -> &'static str {
        look_up(self).hint
    }
}

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
    /// Who sent the request. Without a route there is no such path.
    pub(crate) fn new(request: &Request, route: Option<Route>) -> Self {
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
        let row = look_up(refusal);
        // A missing or broken template is told as JSON: there may be no page to tell it with.
        let told_as_json = matches!(refusal, Refusal::TemplateBroken | Refusal::TemplateMissing);
        let page = if self.html && !told_as_json {
            let name = match row.status {
                404 => PageName::ValidationUnknown,
                400..500 => PageName::InvalidRequest,
                _ => PageName::InternalError,
            };
            data.set("ec", row.code);
            data.set("hint", row.hint);
            if let Some(detail) = refused.detail.as_deref() {
                data.set("detail", detail);
            }
            // By name, for templates that say more about some.
            data.set("refused", json!({ (format!("{refusal:?}")): true }));
            self.page_with(service, row.status, name, data, forms).ok()
        } else {
            None
        };
        let mut response = page.unwrap_or_else(|| {
            let mut body = json!({ "code": row.code, "hint": row.hint });
            if let Some(detail) = refused.detail.as_deref() {
                insert(&mut body, "detail", detail);
            }
            if self.oauth {
                insert(&mut body, "error", row.oauth);
                insert(&mut body, "error_description", row.hint);
            }
            Response::json(row.status, body)
        });
        response.refusal = Some(refusal);
        self.add_headers(&mut response, refusal, &row);
        response
    }

    fn add_headers(&self, response: &mut Response, refusal: Refusal, row: &Row) {
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
        match (self.scheme, row.status) {
            (Some(Scheme::Basic), 401) if row.code == 9750 => {
                response.set("WWW-Authenticate", "Basic realm=\"challenger\"");
            }
            (Some(Scheme::Bearer), 403 | 404) => {
                // RFC 6750 §3.1: a request without any token is told no error.
                let mut challenge = String::from("Bearer realm=\"challenger\"");
                if refusal != Refusal::BearerMissing {
                    // Writing to a string cannot fail.
                    let _ = write!(challenge, ", error=\"{}\"", row.oauth);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_decent_row() {
        assert!(Refusal::ALL.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
        for refusal in Refusal::ALL {
            let row = look_up(refusal);
            assert!((400..600).contains(&row.status), "{refusal:?}");
            assert_ne!(crate::http::Status(row.status).reason(), "Unknown", "{refusal:?}");
            assert!(row.hint.ends_with('.') && row.hint.is_ascii(), "{refusal:?}");
            assert!(!row.hint.contains(['"', '\\']), "RFC 6749 5.2: {refusal:?}");
        }
    }
}
