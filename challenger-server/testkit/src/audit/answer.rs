//! The meaning of an answer, read from outside.

use challenger_proto::http::{Body, Form, Response};
use serde_json::Value;

/// Where an answer sends its reader, if that is to the client.
pub fn redirect_of(response: &Response) -> Option<String> {
    let location = response.header("Location").filter(|it| it.contains(':'));
    location.map(ToString::to_string).or_else(|| member(response, "redirect_url"))
}

/// The nonce of the validation to which an answer sends a browser that arrives.
pub fn led_to(response: &Response) -> Option<&str> {
    response.header("Location")?.strip_prefix("authorize/")
}

/// The links of a page that lead back to the client without a code.
pub(super) fn ways_back(response: &Response) -> Vec<&str> {
    let Body::Page(page) = &response.body else { return Vec::new() };
    let stuck = page.data.get("stuck").and_then(|it| it.get("url"));
    let links = [page.data.get("back_url"), page.data.get("cancel_url"), stuck];
    links.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether a PIN occurs in a text, and is not a part of some longer number, such as a time.
pub(super) fn shows(text: &str, pin: &str) -> bool {
    text.match_indices(pin).any(|(at, _)| {
        let before = text[..at].ends_with(|it: char| it.is_ascii_digit());
        let after = text[at + pin.len()..].starts_with(|it: char| it.is_ascii_digit());
        !before && !after
    })
}

/// Whether an answer says that a PIN was judged and wrong. To programs that send what they saw,
/// an old form's answer looks like that, too.
pub(super) fn judges(form: &Form, response: &Response) -> bool {
    let is = |value: Option<&Value>, what| value.and_then(Value::as_bool) == Some(what);
    match &response.body {
        Body::Json(data) => {
            let sees = form.get("budget_seen").is_some();
            !sees && is(data.get("exhausted"), false) && is(data.get("no_challenge"), false)
        }
        Body::Page(page) => is(page.data.get("wrong"), true),
        Body::Empty | Body::Document(_) | Body::Text(_) => false,
    }
}

/// The parameters of a URL's query.
pub fn query_of(url: &str) -> Form {
    let (_, query) = url.split_once('?').expect("a query");
    Form::parse(query.as_bytes()).expect("a form")
}

/// A text in a JSON object.
pub(super) fn member(response: &Response, name: &str) -> Option<String> {
    let Body::Json(value) = &response.body else { return None };
    value.get(name).and_then(|value| value.as_str()).map(ToString::to_string)
}

/// Everything that leaves with an answer.
pub(super) fn text_of(response: &Response) -> String {
    let mut text = match &response.body {
        Body::Json(value) => value.to_string(),
        Body::Page(page) => Value::from(page.data.clone()).to_string(),
        Body::Empty | Body::Document(_) => String::new(),
        Body::Text(text) => (*text).to_string(),
    };
    for (name, value) in &response.headers {
        assert!(!value.contains(char::is_control), "{name} has a control character");
        text.push('\n');
        text.push_str(value);
    }
    text
}
