//! The helper's settings, from the environment. All mistakes are collected, so that `--check` can
//! show each.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use challenger_server::shipped::{SYSTEM_PROXY, Shipped};
use rustls::pki_types::CertificateDer;
use ureq::http::Method;

use super::PROGRAM;
use super::request::{Body, NOT_IN_HEADER, RequestTemplate, is_header_value};
use super::template::{Template, Values};
use super::verdict::{Rules, Verdict, Verdicts};
use crate::authorities;

/// The beginning of the settings' names.
const PREFIX: &str = "HTTP_";

/// The default time limit. It is below the server's `AUTH_TIMEOUT` of 30 s, which leaves time to
/// report what went wrong.
const TIMEOUT_SECONDS: u64 = 25;
const TIMEOUT_SECONDS_MAX: u64 = 3600;

/// The operator's settings.
pub(super) struct Settings {
    pub(super) request: RequestTemplate,
    /// The operator's own values for the request: account, sender and secret.
    pub(super) values: Values,
    /// The texts among the settings that must not be printed.
    pub(super) secrets: Vec<String>,
    pub(super) verdicts: Verdicts,
    /// How long the delivery may take in all.
    pub(super) timeout: Duration,
    /// Authorities to trust in addition to those of the system.
    pub(super) authorities: Vec<CertificateDer<'static>>,
}

impl Settings {
    /// Reads the settings from variables. An empty variable is one that is not set.
    ///
    /// # Errors
    /// Each mistake in a sentence, which names the setting and what would be accepted.
    pub(super) fn read(variables: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let mut reader = Reader { variables, mistakes: Vec::new() };
        reader.refuse_strangers();
        let mut values = Values::new();
        let secret = reader.secret("HTTP_SECRET");
        let own = [
            ("account", reader.text("HTTP_ACCOUNT")),
            ("secret", secret.clone()),
            ("sender", reader.text("HTTP_SENDER")),
        ];
        for (name, value) in own {
            values.extend(value.map(|value| (name.to_owned(), value)));
        }
        let basic_user = reader.text("HTTP_BASIC_USER");
        let password = reader.secret("HTTP_BASIC_PASSWORD");
        let token = reader.secret("HTTP_BEARER_TOKEN");
        let credentials = reader.credentials(basic_user, password.as_deref(), token.as_deref());
        let request = reader.request(credentials.as_deref(), &values);
        let verdicts = reader.verdicts();
        let timeout = reader.timeout();
        let authorities = reader.authorities();
        // Without the scheme, because a gateway may repeat either.
        let encoded = credentials.as_deref().and_then(|it| it.split_once(' '));
        let encoded = encoded.map(|(_, encoded)| encoded.to_owned());
        let secrets = [secret, password, token, encoded].into_iter().flatten();
        match request {
            Some(request) if reader.mistakes.is_empty() => {
                let secrets = secrets.chain(request.secrets()).collect();
                Ok(Self { request, values, secrets, verdicts, timeout, authorities })
            }
            _ => Err(reader.mistakes),
        }
    }
}

struct Reader<'a> {
    variables: &'a BTreeMap<String, String>,
    mistakes: Vec<String>,
}

impl Reader<'_> {
    fn refuse(&mut self, mistake: impl Into<String>) {
        self.mistakes.push(mistake.into());
    }

    /// Keeps a value, or writes down the mistake.
    fn keep<T>(&mut self, name: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|complaint| self.refuse(format!("{name} {complaint}"))).ok()
    }

    fn refuse_strangers(&mut self) {
        // A mistyped one would be missed.
        let known = Shipped::find(PROGRAM).map_or(&[][..], |helper| helper.settings);
        for name in self.variables.keys().filter(|name| name.starts_with(PREFIX)) {
            if !known.contains(&name.as_str()) && name != SYSTEM_PROXY {
                self.mistakes
                    .push(format!("{name} is not a setting: challenger-send-http(1) lists them"));
            }
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.variables.get(name).filter(|text| !text.trim().is_empty())?;
        if text.chars().any(char::is_control) {
            self.refuse(format!("{name} has a line break or another control character"));
            return None;
        }
        Some(text.clone())
    }

    /// A secret, which may stand in a file instead.
    fn secret(&mut self, name: &str) -> Option<String> {
        let file_name = format!("{name}_FILE");
        match (self.text(name), self.text(&file_name)) {
            (text, None) => text,
            (Some(_), Some(_)) => {
                self.refuse(format!("{name} and {file_name} are both set: expected one of them"));
                None
            }
            (None, Some(file)) => {
                let read = fs::read_to_string(&file).map_err(|error| error.to_string());
                let line = read.and_then(|text| match text.trim_end_matches(['\r', '\n']) {
                    "" => Err("there is nothing in it".to_owned()),
                    text if text.chars().any(char::is_control) => {
                        Err("expected the secret alone, on one line".to_owned())
                    }
                    text => Ok(text.to_owned()),
                });
                line.map_err(|error| self.refuse(format!("{file_name} {file}: {error}"))).ok()
            }
        }
    }

    /// The value of the header `Authorization`.
    fn credentials(
        &mut self,
        user: Option<String>,
        password: Option<&str>,
        token: Option<&str>,
    ) -> Option<String> {
        let user = user.or_else(|| self.text("HTTP_ACCOUNT").filter(|_| password.is_some()));
        match (user, password, token) {
            (None, None, None) => None,
            (None, None, Some(token)) if !is_header_value(token) => {
                self.refuse(format!("HTTP_BEARER_TOKEN {NOT_IN_HEADER}"));
                None
            }
            (None, None, Some(token)) => Some(format!("Bearer {token}")),
            (Some(user), Some(_), None) if user.contains(':') => {
                self.refuse(
                    "HTTP_BASIC_USER, or HTTP_ACCOUNT in its place, has a colon, which ends the \
                     name of a user",
                );
                None
            }
            (Some(user), Some(password), None) => {
                let pair = format!("{user}:{password}");
                Some(format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes())))
            }
            (_, _, Some(_)) => {
                self.refuse(
                    "HTTP_BEARER_TOKEN is set beside HTTP_BASIC_USER or HTTP_BASIC_PASSWORD: \
                     expected one kind of credentials",
                );
                None
            }
            (Some(_), None, None) => {
                self.refuse("HTTP_BASIC_USER is set, but not HTTP_BASIC_PASSWORD");
                None
            }
            (None, Some(_), None) => {
                self.refuse(
                    "HTTP_BASIC_PASSWORD is set, but neither HTTP_BASIC_USER nor HTTP_ACCOUNT",
                );
                None
            }
        }
    }

    fn request(&mut self, credentials: Option<&str>, values: &Values) -> Option<RequestTemplate> {
        let plain = self.flag("HTTP_ALLOW_PLAIN");
        let (method, body) = (self.method(), self.body());
        let url = match self.text("HTTP_URL") {
            None => {
                self.refuse(
                    "HTTP_URL is not set: expected the address of the gateway's API, such as \
                     https://sms.example.com/send",
                );
                None
            }
            Some(text) => {
                let template = self.template("HTTP_URL", &text);
                template.and_then(|url| {
                    self.keep("HTTP_URL", RequestTemplate::check_url(&url, plain).map(|()| url))
                })
            }
        };
        let headers = self.text("HTTP_HEADERS").map(|text| self.pairs("HTTP_HEADERS", &text));
        let (method, body, url) = (method?, body?, url?);
        if method == Method::GET && !matches!(body, Body::None) {
            self.refuse(
                "HTTP_METHOD is GET, which has no body: expected POST, or the variables in \
                 HTTP_URL",
            );
        }
        let request = RequestTemplate::new(method, url, headers.unwrap_or_default(), body);
        let mut request = request.map_err(|mistakes| self.mistakes.extend(mistakes)).ok()?;
        if let Some(credentials) = credentials {
            let added = request.authorize(credentials);
            self.keep("HTTP_HEADERS", added)?;
        }
        for (place, name) in request.own_names() {
            let setting = format!("HTTP_{}", name.to_uppercase());
            let complaint = match values.get(name) {
                None => format!("{place} has {{{{{name}}}}}, but {setting} is not set"),
                Some(value) if place == "HTTP_HEADERS" && !is_header_value(value) => {
                    format!("{setting} {NOT_IN_HEADER}")
                }
                Some(_) => continue,
            };
            self.mistakes.push(complaint);
        }
        Some(request)
    }

    fn method(&mut self) -> Option<Method> {
        match self.text("HTTP_METHOD").map(|text| text.to_ascii_uppercase()).as_deref() {
            None | Some("POST") => Some(Method::POST),
            Some("GET") => Some(Method::GET),
            Some("PUT") => Some(Method::PUT),
            Some("PATCH") => Some(Method::PATCH),
            Some(other) => {
                self.refuse(format!("HTTP_METHOD is {other}: expected POST, GET, PUT or PATCH"));
                None
            }
        }
    }

    fn body(&mut self) -> Option<Body> {
        match (self.text("HTTP_JSON"), self.text("HTTP_FORM")) {
            (None, None) => Some(Body::None),
            (Some(text), None) => {
                let json =
                    serde_json::from_str(&text).map_err(|error| format!("is not JSON: {error}"));
                let json = self.keep("HTTP_JSON", json)?;
                self.keep("HTTP_JSON", Body::json(&json))
            }
            (None, Some(text)) => Some(Body::Form(self.pairs("HTTP_FORM", &text))),
            (Some(_), Some(_)) => {
                self.refuse("HTTP_JSON and HTTP_FORM are both set: expected one body");
                None
            }
        }
    }

    /// Names with templates, in a JSON object.
    fn pairs(&mut self, name: &str, text: &str) -> Vec<(String, Template)> {
        let object: Result<BTreeMap<String, String>, _> = serde_json::from_str(text);
        let Ok(object) = object else {
            self.refuse(format!(
                "{name} is not a JSON object with texts: expected a value such as \
                 {{\"to\": \"{{{{CONTACT_PHONE}}}}\"}}"
            ));
            return Vec::new();
        };
        let read = |(key, text): (String, String)| {
            if key.contains("{{") {
                self.refuse(format!("{name} has a variable in a name: expected them in values"));
            }
            let template = self.template(&format!("{name}: {key}"), &text);
            template.map(|template| (key, template))
        };
        object.into_iter().filter_map(read).collect()
    }

    fn template(&mut self, place: &str, text: &str) -> Option<Template> {
        self.keep(place, Template::parse(text))
    }

    fn verdicts(&mut self) -> Verdicts {
        let mut verdicts = Vec::new();
        for (name, verdict, usual) in [
            ("HTTP_UNKNOWN_ADDRESS", Verdict::UnknownAddress, None),
            ("HTTP_TRY_LATER", Verdict::TryLater, None),
            ("HTTP_MISCONFIGURED", Verdict::Misconfigured, None),
            ("HTTP_SUCCESS", Verdict::Sent, Some("2xx")),
        ] {
            let text = self.text(name).or_else(|| usual.map(ToOwned::to_owned));
            let rules = text.and_then(|text| self.keep(name, Rules::parse(&text)));
            verdicts.extend(rules.map(|rules| (verdict, rules)));
        }
        Verdicts(verdicts)
    }

    fn timeout(&mut self) -> Duration {
        let text = self.text("HTTP_TIMEOUT").unwrap_or_else(|| TIMEOUT_SECONDS.to_string());
        let seconds = text.trim().parse().ok().filter(|it| (1..=TIMEOUT_SECONDS_MAX).contains(it));
        if seconds.is_none() {
            self.refuse(format!(
                "HTTP_TIMEOUT is {text}: expected seconds from 1 to {TIMEOUT_SECONDS_MAX}"
            ));
        }
        Duration::from_secs(seconds.unwrap_or(TIMEOUT_SECONDS))
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.text(name).map(|text| text.to_ascii_lowercase()).as_deref() {
            None | Some("no") => false,
            Some("yes") => true,
            Some(other) => {
                self.refuse(format!("{name} is {other:?}: expected yes or no"));
                false
            }
        }
    }

    fn authorities(&mut self) -> Vec<CertificateDer<'static>> {
        let Some(file) = self.text("HTTP_CA_FILE") else { return Vec::new() };
        self.keep("HTTP_CA_FILE", authorities::in_file(&file)).unwrap_or_default()
    }
}
