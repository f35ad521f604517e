//! `GET /terms`, and `GET /privacy`, also known as `/pp`.

use alloc::format;
use alloc::string::{String, ToString};

use crate::endpoint::decision::Context;
use crate::http::csp;
use crate::http::documents::Documents;
use crate::http::{Body, Request, Response};
use crate::time::{Span, Timestamp};

/// The kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Privacy,
    Terms,
}

/// A request for a legal document.
#[derive(Clone, Debug)]
pub(crate) struct LegalRequest {
    which: Which,
    accept: Option<String>,
    accept_language: Option<String>,
    if_none_match: Option<String>,
}

impl LegalRequest {
    pub(crate) fn parse(request: &Request, which: Which) -> Self {
        let header = |name| request.header(name).map(ToString::to_string);
        Self {
            which,
            accept: header("Accept"),
            accept_language: header("Accept-Language"),
            if_none_match: header("If-None-Match"),
        }
    }

    pub(crate) fn respond(&self, context: Context<'_>) -> Response {
        let Context { now, service, .. } = context;
        let documents = match self.which {
            Which::Privacy => &service.privacy,
            Which::Terms => &service.terms,
        };
        let accept = self.accept.as_deref();
        let Some(document) = documents.choose(accept, self.accept_language.as_deref()) else {
            return self.not_configured();
        };
        if let Some(etag) = documents.matched(self.if_none_match.as_deref()) {
            let mut response = Response::new(304, Body::Empty);
            add_validators(&mut response, documents, etag, now);
            return response;
        }
        let mut response = Response::new(200, Body::Document(document.body.clone()));
        add_validators(&mut response, documents, &document.etag, now);
        response.set("Avail-Languages", documents.languages(accept, document));
        response.set("Content-Language", document.language.clone());
        response.set("Content-Security-Policy", csp::DOCUMENT);
        response.set("Content-Type", document.content_type());
        response
    }

    fn not_configured(&self) -> Response {
        let text = match self.which {
            Which::Privacy => "This service has no privacy policy.\n",
            Which::Terms => "This service has no terms of service.\n",
        };
        let mut response = Response::new(501, Body::Text(text));
        response.set("Content-Language", "en");
        response
    }
}

/// Adds the headers for caches, which a 304 needs as well (RFC 9110 §15.4.5).
fn add_validators(response: &mut Response, documents: &Documents, etag: &str, now: Timestamp) {
    response.set("Cache-Control", "public,max-age=864000");
    response.set("ETag", format!("\"{etag}\""));
    response.set("Expires", now.plus(Span::days(1)).to_http_date());
    response.set("Taler-Terms-Version", String::from(documents.version()));
    response.set("Vary", "Accept-Language,Accept,Accept-Encoding");
}
