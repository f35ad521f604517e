//! `GET /` and `GET /robots.txt`: for people and robots that do not come from a client.

use crate::endpoint::decision::Context;
use crate::endpoint::response::View;
use crate::http::page::PageName;
use crate::http::{Body, Response};

const TEXT: &str = "This is a Challenger service. It proves to a web site that a person can \
    receive messages at an address.\nTo use it, follow the link from the site that sent you. \
    Programs find out more at /config.\n";

/// A page for people, and a text for programs.
pub(crate) fn landing(context: Context<'_>) -> Response {
    let Context { audience, service, .. } = context;
    let page = || {
        let mut view = View::default();
        let documents =
            [("privacy_url", "privacy", &service.privacy), ("terms_url", "terms", &service.terms)];
        for (name, url, _) in documents.into_iter().filter(|(.., it)| !it.is_empty()) {
            view.data.set(name, url);
        }
        audience.page(service, 200, PageName::Landing, view).ok()
    };
    let page = if audience.html { page() } else { None };
    page.unwrap_or_else(|| Response::new(200, Body::Text(TEXT)))
}

pub(crate) fn robots() -> Response {
    Response::new(200, Body::Text("User-agent: *\nDisallow: /\n"))
}
