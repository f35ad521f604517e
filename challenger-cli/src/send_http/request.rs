//! The request: made of templates, so that no value can leave the place that it is written into.
//! Within JSON, the templates are the strings of a value that was parsed before; elsewhere, values
//! are percent-encoded.

use std::net::IpAddr;

use challenger_server::secrecy::{HIDDEN, names_secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::header::{self, HeaderName};
use ureq::http::{Method, Uri};

use super::template::{Template, Values};

/// The characters of a value that URLs and forms contain as they are: the unreserved ones (RFC 3986
/// §2.3), and the star, which means nothing there and stands for what is hidden.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'*');

/// The variables whose values are settings.
const OWN_NAMES: [&str; 3] = ["account", "secret", "sender"];

/// The variables that headers cannot contain: they have line breaks, and letters beyond ASCII.
const NOT_IN_HEADERS: [&str; 3] = ["address", "message", "subject"];

/// The headers that belong to the connection, not to the operator.
const FRAMING: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TRANSFER_ENCODING,
];

/// The complaint about a text that [`is_header_value`] refuses.
pub(super) const NOT_IN_HEADER: &str =
    "has a character that a header cannot contain: expected ASCII";

/// A request with variables.
pub(super) struct RequestTemplate {
    method: Method,
    url: Template,
    headers: Vec<(HeaderName, Template)>,
    body: Body,
}

/// The body of a request with variables.
pub(super) enum Body {
    None,
    Form(Vec<(String, Template)>),
    Json(Json),
}

/// A JSON value whose strings have variables.
pub(super) enum Json {
    Fixed(Value),
    Text(Template),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// A request without variables.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: String,
}

/// Why a request cannot be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestError {
    /// The address lacks what the settings want of it.
    Lacking(String),
    /// The address has something that this place of the request cannot contain.
    Unfit(String),
}

impl Body {
    /// Reads the strings of a JSON value as templates.
    ///
    /// # Errors
    /// A string that is not a template, or a name that looks like one.
    pub(super) fn json(value: &Value) -> Result<Self, String> {
        json(value).map(Self::Json)
    }

    fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
            Self::Json(_) => Some("application/json"),
        }
    }
}

fn json(value: &Value) -> Result<Json, String> {
    Ok(match value {
        Value::String(text) => Json::Text(Template::parse(text)?),
        Value::Array(items) => Json::List(items.iter().map(json).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match name.contains("{{") {
                true => Err("has a variable in a name: expected them in values".to_owned()),
                false => Ok((name.clone(), json(value)?)),
            };
            Json::Object(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Json::Fixed(value.clone()),
    })
}

impl Json {
    fn render(&self, values: &Values) -> Result<Value, String> {
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) => template.render(values, ToOwned::to_owned)?.into(),
            Self::List(items) => {
                items.iter().map(|item| item.render(values)).collect::<Result<_, _>>()?
            }
            Self::Object(fields) => {
                let field =
                    |(name, value): &(String, Self)| Ok((name.clone(), value.render(values)?));
                fields.iter().map(field).collect::<Result<_, String>>()?
            }
        })
    }

    /// The strings in fields whose names say that they are secret.
    fn secret_templates(&self) -> Vec<&Template> {
        match self {
            Self::Fixed(_) | Self::Text(_) => Vec::new(),
            Self::List(items) => items.iter().flat_map(Self::secret_templates).collect(),
            Self::Object(fields) => {
                let mut secret = Vec::new();
                for (name, value) in fields {
                    let is_secret = is_secret_field(name);
                    secret.extend(if is_secret {
                        value.templates()
                    } else {
                        value.secret_templates()
                    });
                }
                secret
            }
        }
    }

    fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Text(template) => vec![template],
            Self::List(items) => items.iter().flat_map(Self::templates).collect(),
            Self::Object(fields) => {
                fields.iter().flat_map(|(_, value)| value.templates()).collect()
            }
        }
    }
}

impl RequestTemplate {
    /// Puts the parts together.
    ///
    /// # Errors
    /// Each mistake in the headers.
    pub(super) fn new(
        method: Method,
        url: Template,
        headers: Vec<(String, Template)>,
        body: Body,
    ) -> Result<Self, Vec<String>> {
        let (mut kept, mut mistakes) = (Vec::new(), Vec::new());
        for (name, template) in headers {
            match read_header(&name, &template) {
                Ok(name) => kept.push((name, template)),
                Err(complaint) => mistakes.push(format!("HTTP_HEADERS: {name:?} {complaint}")),
            }
        }
        if mistakes.is_empty() {
            Ok(Self { method, url, headers: kept, body })
        } else {
            Err(mistakes)
        }
    }

    /// Checks the parts of a URL that are the same for all messages. `plain` allows connections
    /// without encryption.
    ///
    /// # Errors
    /// What is wrong, and what would be accepted.
    pub(super) fn check_url(url: &Template, plain: bool) -> Result<(), String> {
        let is_part = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
        if !url.texts().all(|text| text.bytes().all(is_part)) {
            return Err("has a character that a URL cannot contain, or a #: expected it \
                        percent-encoded, such as %20 for a space"
                .to_owned());
        }
        let beginning = url.texts().next().unwrap_or_default();
        let lower = beginning.to_ascii_lowercase();
        let is_plain = lower.starts_with("http://");
        let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
        let rest = rest.ok_or("does not begin with https://")?;
        let end = rest.find(['/', '?']);
        if end.is_none() && url.names().next().is_some() {
            return Err(
                "has a variable in the name of the server: expected them after it".to_owned()
            );
        }
        let server = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if server.contains('@') {
            return Err("has a name or a password: HTTP_BASIC_USER and HTTP_BASIC_PASSWORD are \
                        for them"
                .to_owned());
        }
        if has_dots(&url.texts().collect::<Vec<_>>().join("x")) {
            return Err("has . or .. in its path: expected the path that they lead to".to_owned());
        }
        let uri: Uri = format!("https://{server}/").parse().map_err(|_| "has no valid server")?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("has no server")?;
        if is_plain && !plain && !is_loopback(host) {
            return Err("begins with http://, which would show numbers and codes to the network: \
                        expected https://, a server on this machine, or HTTP_ALLOW_PLAIN = yes"
                .to_owned());
        }
        Ok(())
    }

    /// Adds credentials.
    ///
    /// # Errors
    /// There are some already.
    pub(super) fn authorize(&mut self, credentials: &str) -> Result<(), String> {
        if self.headers.iter().any(|(name, _)| name == header::AUTHORIZATION) {
            return Err("has Authorization, beside HTTP_BASIC_… or HTTP_BEARER_TOKEN: expected \
                        one of them"
                .to_owned());
        }
        self.headers.push((header::AUTHORIZATION, Template::fixed(credentials)));
        Ok(())
    }

    /// The variables with values from the settings, and the settings that use them.
    pub(super) fn own_names(&self) -> Vec<(&'static str, &str)> {
        let body = match &self.body {
            Body::None => Vec::new(),
            Body::Form(pairs) => pairs.iter().map(|(_, it)| ("HTTP_FORM", it)).collect(),
            Body::Json(json) => json.templates().into_iter().map(|it| ("HTTP_JSON", it)).collect(),
        };
        let headers = self.headers.iter().map(|(_, template)| ("HTTP_HEADERS", template));
        let places = [("HTTP_URL", &self.url)].into_iter().chain(headers).chain(body);
        let named = places.flat_map(|(place, it)| it.names().map(move |name| (place, name)));
        named.filter(|(_, name)| OWN_NAMES.contains(name)).collect()
    }

    /// The secrets that stand in the request itself, and not in settings of their own: known by the
    /// names of their headers and fields. A gateway may repeat them.
    pub(super) fn secrets(&self) -> Vec<String> {
        let headers = self.headers.iter().filter(|(name, _)| is_secret_header(name));
        let mut templates: Vec<&Template> = headers.map(|(_, template)| template).collect();
        match &self.body {
            Body::None => {}
            Body::Form(pairs) => {
                let secret = pairs.iter().filter(|(name, _)| is_secret_field(name));
                templates.extend(secret.map(|(_, template)| template));
            }
            Body::Json(json) => templates.extend(json.secret_templates()),
        }
        let pairs = self.url.texts().flat_map(|text| text.split(['?', '&']));
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        let in_url = pairs.filter(|(name, _)| is_secret_field(name)).map(|(_, value)| value);
        // With a variable, the rest is a scheme such as Bearer, which is also in front of others.
        templates.retain(|template| template.names().next().is_none());
        let texts = templates.into_iter().flat_map(Template::texts).chain(in_url);
        let words = texts.filter_map(|text| text.split_whitespace().last());
        words.map(ToOwned::to_owned).collect()
    }

    /// Fills in the variables.
    ///
    /// # Errors
    /// The address does not fit.
    pub(super) fn render(&self, values: &Values) -> Result<Request, RequestError> {
        let lacking = |place: &'static str| {
            move |name: String| match name.as_str() {
                "phone_digits" if values.contains_key("CONTACT_PHONE") => {
                    RequestError::Unfit("is not a number of digits".to_owned())
                }
                _ => RequestError::Lacking(format!(
                    "{place} has {{{{{name}}}}}, but the address has no such field"
                )),
            }
        };
        let url = self.url.render(values, escape).map_err(lacking("HTTP_URL"))?;
        if has_dots(&url) {
            return Err(RequestError::Unfit("would lead to another path of HTTP_URL".to_owned()));
        }
        let url =
            url.parse().map_err(|_| RequestError::Unfit("makes HTTP_URL too long".to_owned()))?;
        let mut headers = Vec::new();
        for (name, template) in &self.headers {
            let value =
                template.render(values, ToOwned::to_owned).map_err(lacking("HTTP_HEADERS"))?;
            if !is_header_value(&value) {
                return Err(RequestError::Unfit(format!("cannot stand in the header {name}")));
            }
            headers.push((name.clone(), value));
        }
        let has_type = headers.iter().any(|(name, _)| name == header::CONTENT_TYPE);
        let content_type = self.body.content_type().filter(|_| !has_type);
        headers.extend(content_type.map(|it| (header::CONTENT_TYPE, it.to_owned())));
        let body = match &self.body {
            Body::None => String::new(),
            Body::Json(json) => json.render(values).map_err(lacking("HTTP_JSON"))?.to_string(),
            Body::Form(pairs) => {
                let pair = |(name, template): &(String, Template)| {
                    let value = template.render(values, ToOwned::to_owned)?;
                    Ok(format!("{}={}", escape(name), escape(&value)))
                };
                let pairs: Result<Vec<String>, String> = pairs.iter().map(pair).collect();
                pairs.map_err(lacking("HTTP_FORM"))?.join("&")
            }
        };
        Ok(Request { method: self.method.clone(), url, headers, body })
    }

    /// The request as a person may see it: with `***` in place of secrets.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub(super) fn show(&self, values: &Values) -> Result<String, RequestError> {
        let mut values = values.clone();
        if let Some(secret) = values.get_mut("secret") {
            HIDDEN.clone_into(secret);
        }
        let request = self.render(&values)?;
        let url = request.url.to_string();
        let url = match url.split_once('?') {
            Some((path, query)) => format!("{path}?{}", hide_pairs(query)),
            None => url,
        };
        let mut lines = vec![format!("{} {url}", request.method)];
        for (name, value) in &request.headers {
            let value = match value.split_once(' ') {
                _ if !is_secret_header(name) || value.ends_with(HIDDEN) => value.clone(),
                Some((scheme, _)) => format!("{scheme} {HIDDEN}"),
                None => HIDDEN.to_owned(),
            };
            lines.push(format!("{name}: {value}"));
        }
        match &self.body {
            Body::None => {}
            Body::Form(_) => lines.extend([String::new(), hide_pairs(&request.body)]),
            Body::Json(_) => {
                let mut json: Value = serde_json::from_str(&request.body).unwrap_or_default();
                hide_fields(&mut json);
                lines.extend([String::new(), json.to_string()]);
            }
        }
        Ok(lines.join("\n"))
    }
}

/// Hides the values of `a=b&c=d` whose names say that they are secret.
fn hide_pairs(pairs: &str) -> String {
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret_field(name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    };
    pairs.split('&').map(hide).collect::<Vec<_>>().join("&")
}

/// Hides the values of fields whose names say that they are secret.
fn hide_fields(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(hide_fields),
        Value::Object(fields) => {
            for (name, value) in fields {
                if is_secret_field(name) { *value = HIDDEN.into() } else { hide_fields(value) }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_secret_header(name: &HeaderName) -> bool {
    [header::AUTHORIZATION, header::COOKIE].contains(name) || names_secret(name.as_str())
}

/// Whether the name of a field says that it is secret. A key is a secret only if it opens
/// something: gateways also call other things so.
fn is_secret_field(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let opens = ["ACCESS", "API", "AUTH"].iter().any(|word| name.contains(word));
    names_secret(&name) && (opens || names_secret(&name.replace("KEY", "")) || name == "KEY")
}

/// The name of a header that the operator may set.
fn read_header(name: &str, template: &Template) -> Result<HeaderName, String> {
    let header =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is not the name of a header")?;
    if FRAMING.contains(&header) {
        return Err("is a header that the program sets itself".to_owned());
    }
    if !template.texts().all(is_header_value) {
        return Err(NOT_IN_HEADER.to_owned());
    }
    match template.names().find(|name| NOT_IN_HEADERS.contains(name)) {
        Some(name) => Err(format!("has {{{{{name}}}}}, which only a body or a URL can contain")),
        None => Ok(header),
    }
}

/// Whether a URL has a part of its path that leads to another path (RFC 3986 §5.2.4). Some servers
/// read an escaped slash as one.
fn has_dots(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let path = path.replace("%2f", "/").replace("%5c", "/");
    path.split('/').any(|part| part == "." || part == "..")
}

/// Whether a header may contain this: neither line breaks nor letters that are read in many ways.
pub(super) fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn escape(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

/// Whether this host is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
