//! The part of HTTP that the protocol speaks: whole requests in, whole responses out.

pub(crate) mod csp;
pub(crate) mod documents;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod page;

pub use crate::media::is_language_tag;
pub use csp::Inline;
pub use documents::{Document, Documents};
pub use form::Form;
pub use names::is_variable;
pub use page::{FALLBACK_LANGUAGE, Page, PageName, PageSet, Variables};

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde_json::Value;

use crate::refusal::Refusal;

/// The longest head of a request, from its first byte to the empty line: browsers send two to four
/// KiB, and some proxies add as much.
pub const HEAD_MAX: usize = 16 * 1024;
/// The longest request target. It has room for the longest `redirect_uri`, every character escaped,
/// and a `state`.
pub const TARGET_MAX: usize = 8 * 1024;
/// The longest body, before and after inflating. A postal address has a few hundred bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// The methods that the protocol distinguishes. All others are [`Method::Other`], so none will be
/// added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: like `GET`; the writer of the response leaves its body out.
    Head,
    /// `OPTIONS`
    Options,
    /// `POST`
    Post,
    /// Any other, which every path refuses.
    Other,
}

impl Method {
    /// Reads the method token of a request line. Methods are case-sensitive (RFC 9110 §9.1).
    pub fn parse(token: &str) -> Self {
        match token {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            "POST" => Self::Post,
            _ => Self::Other,
        }
    }

    /// The token; `-` for [`Method::Other`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
            Self::Other => "-",
        }
    }
}

/// A complete request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query as sent, in origin form (RFC 9112 §3.2.1).
    pub target: String,
    /// Names and values in the order they came, names in any case.
    pub headers: Vec<(String, String)>,
    /// The whole body, still in its content encoding.
    pub body: Vec<u8>,
}

impl Request {
    /// A `GET` request without headers.
    pub fn get(target: &str) -> Self {
        Self::new(Method::Get, target, "")
    }

    /// A `POST` request without headers.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Method::Post, target, body)
    }

    /// A request without headers.
    pub fn new(method: Method, target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { method, target: String::from(target), headers: Vec::new(), body: body.into() }
    }

    /// The request with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((String::from(name), String::from(value)));
        self
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query, empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The credentials in `Authorization`, if they are of this scheme (RFC 9110 §11.4). Its name is
    /// case-insensitive.
    pub(crate) fn credentials(&self, scheme: &str) -> Option<&str> {
        let (name, credentials) = self.header("Authorization")?.split_once(' ')?;
        name.eq_ignore_ascii_case(scheme).then(|| credentials.trim_start_matches(' '))
    }
}

/// Shows the method and sizes only: targets carry nonces, headers secrets, bodies addresses.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Request({:?}, target of {} bytes, {} headers, body of {} bytes)",
            self.method,
            self.target.len(),
            self.headers.len(),
            self.body.len()
        )
    }
}

/// A status code of RFC 9110 §15 or RFC 6585.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// The reason phrase for the status line.
    pub const fn reason(self) -> &'static str {
        match self.0 {
            200 => "OK",
            201 => "Created",
            204 => "No Content",
            302 => "Found",
            304 => "Not Modified",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            408 => "Request Timeout",
            409 => "Conflict",
            413 => "Content Too Large",
            414 => "URI Too Long",
            417 => "Expectation Failed",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            _ => "Unknown",
        }
    }
}

/// What a response carries.
///
/// A server that sends every kind is complete, so none will be added without a new major version.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// A legal document.
    Document(Arc<[u8]>),
    /// JSON, to be written compactly.
    Json(Value),
    /// A page, to be rendered from its template.
    Page(Page),
    /// Plain text.
    Text(&'static str),
}

impl Body {
    /// The bytes to send, or else the page that has to be rendered for it.
    ///
    /// # Errors
    /// The page.
    pub fn into_bytes(self) -> Result<Arc<[u8]>, Page> {
        match self {
            Self::Empty => Ok(Arc::default()),
            Self::Document(bytes) => Ok(bytes),
            Self::Json(value) => Ok(value.to_string().into_bytes().into()),
            Self::Page(page) => Err(page),
            Self::Text(text) => Ok(text.as_bytes().into()),
        }
    }
}

/// A complete response. The writer adds `Date`, `Content-Length` and `Connection`.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: Status,
    /// Names and values in the order to send them; no value has a control character.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Body,
    /// Why the request was refused, for the log line only.
    pub refusal: Option<Refusal>,
}

impl Response {
    /// A response with the headers that all responses have.
    ///
    /// By default, nothing may be stored (RFC 6749 §5.1), content types may not be guessed, pages
    /// may not be framed and their URLs not be sent as referrer. Any origin may call the API, which
    /// uses no cookies.
    pub(crate) fn new(status: u16, body: Body) -> Self {
        let headers: [(_, &'static str); 7] = [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Expose-Headers", "*"),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", csp::NOTHING),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
        ];
        let mut response = Self {
            status: Status(status),
            // A page adds three, and some responses one more.
            headers: Vec::with_capacity(headers.len() + 4),
            body,
            refusal: None,
        };
        response.headers.extend(headers.map(|(name, value)| (name, Cow::Borrowed(value))));
        match &response.body {
            Body::Json(_) => response.set("Content-Type", "application/json"),
            Body::Page(page) => {
                let language = page.language.clone();
                response.set("Content-Type", "text/html; charset=utf-8");
                response.set("Content-Language", language);
                response.set("Vary", "Accept, Accept-Language");
            }
            Body::Text(_) => response.set("Content-Type", "text/plain; charset=utf-8"),
            Body::Empty | Body::Document(_) => {}
        }
        response
    }

    pub(crate) fn json(status: u16, value: Value) -> Self {
        Self::new(status, Body::Json(value))
    }

    /// A redirect, which answers a form or a revisit (RFC 6749 §4.1.2 leaves the code open; the
    /// protocol says 302).
    pub(crate) fn found(location: String) -> Self {
        let mut response = Self::new(302, Body::Empty);
        response.set("Location", location);
        response
    }

    /// Sets a header, replacing an earlier value.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        let value = value.into();
        match self.headers.iter_mut().find(|(present, _)| *present == name) {
            Some((_, slot)) => *slot = value,
            None => self.headers.push((name, value)),
        }
    }

    /// A member of a JSON object, or a variable of a page.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match &self.body {
            Body::Json(value) => value.get(name),
            Body::Page(page) => page.data.get(name),
            Body::Empty | Body::Document(_) | Body::Text(_) => None,
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(present, _)| present.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
    }
}

/// Shows the status and the refusal only: headers carry codes, bodies tokens and addresses.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, refusal: {:?})", self.status.0, self.refusal)
    }
}
