//! A small HTTP client: it follows no redirects and takes every status for an answer.

use std::time::Duration;

use ureq::http::Response;
use ureq::{Agent, Body};

/// How long anything on this machine may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The client.
pub(super) struct Browser(Agent);

/// An answer, read to its end.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    /// Name and value of a cookie that it sets.
    pub(super) cookie: Option<String>,
    pub(super) body: String,
}

impl Browser {
    pub(super) fn new() -> Self {
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build();
        Self(config.into())
    }

    /// Opens a page, as a browser would.
    pub(super) fn open(&self, url: &str) -> Result<Reply, String> {
        read(self.0.get(url).header("Accept", "text/html").call())
    }

    /// Opens a page with a cookie that was set before.
    pub(super) fn open_with(&self, url: &str, cookie: &str) -> Result<Reply, String> {
        read(self.0.get(url).header("Accept", "text/html").header("Cookie", cookie).call())
    }

    /// Submits a form, as a browser would.
    pub(super) fn submit(&self, url: &str, fields: &[(&str, &str)]) -> Result<Reply, String> {
        let request = self.0.post(url).header("Accept", "text/html");
        read(request.send_form(fields.iter().copied()))
    }

    /// Calls an API with a form.
    pub(super) fn post(&self, url: &str, fields: &[(&str, &str)]) -> Result<Reply, String> {
        read(self.0.post(url).send_form(fields.iter().copied()))
    }

    /// Reads from an API with a bearer token.
    pub(super) fn get_as(&self, url: &str, token: &str) -> Result<Reply, String> {
        read(self.0.get(url).header("Authorization", format!("Bearer {token}")).call())
    }
}

fn read(result: Result<Response<Body>, ureq::Error>) -> Result<Reply, String> {
    let mut response = result.map_err(|error| format!("no answer: {error}"))?;
    let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_string());
    let location = header("location");
    let cookie = header("set-cookie").and_then(|it| Some(it.split_once(';')?.0.to_string()));
    let body = response.body_mut().read_to_string().map_err(|error| format!("no body: {error}"))?;
    Ok(Reply { status: response.status().as_u16(), location, cookie, body })
}

/// The URL that a link on a page means: absolute, from the root, or relative to the page.
pub(super) fn resolve(page: &str, link: &str) -> String {
    if link.contains("://") {
        return link.to_string();
    }
    let page = page.split(['?', '#']).next().unwrap_or(page);
    let (scheme, rest) = page.split_once("://").unwrap_or(("http", page));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(absolute) = link.strip_prefix('/') {
        return format!("{scheme}://{host}/{absolute}");
    }
    let mut segments: Vec<&str> = path.split('/').collect();
    segments.pop();
    let mut link = link;
    while let Some(up) = link.strip_prefix("../") {
        segments.pop();
        link = up;
    }
    segments.push(link);
    format!("{scheme}://{host}/{}", segments.join("/"))
}

/// The value of an attribute in the first tag of a page that begins like this.
pub(super) fn attribute(page: &str, tag: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(tag)?;
    let (inside, _) = rest.split_once('>')?;
    let (_, value) = inside.split_once(&format!("{name}=\""))?;
    let (value, _) = value.split_once('"')?;
    Some(value.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_like_in_a_browser() {
        let page = "http://127.0.0.1:1/authorize/N?x=a/b";
        assert_eq!(resolve(page, "../challenge/N"), "http://127.0.0.1:1/challenge/N");
        assert_eq!(resolve(page, "/x"), "http://127.0.0.1:1/x");
        assert_eq!(resolve("http://h", "start"), "http://h/start");
        assert_eq!(resolve(page, "https://a/b"), "https://a/b");
    }

    #[test]
    fn attributes_are_found() {
        let page = r#"<p><form method="post" action="../solve/N?a=1&amp;b"><input name="pin">"#;
        assert_eq!(attribute(page, "<form", "action").as_deref(), Some("../solve/N?a=1&b"));
        assert_eq!(attribute(page, "<form", "class"), None);
    }
}
