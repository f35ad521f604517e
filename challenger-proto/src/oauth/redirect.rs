//! Redirect URIs: where the users of a client return to, and the name by which they know it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::percent::push_percent_encoded;

/// The longest redirect URI. It has to fit into a request's target, escaped.
pub const REDIRECT_URI_MAX: usize = 2048;

/// Schemes that lead into the browser, into files, or into programs for mails, messages and calls.
/// No client can own them.
const SCHEMES_OF_OTHERS: [&str; 21] = [
    "about",
    "blob",
    "chrome",
    "content",
    "data",
    "file",
    "filesystem",
    "intent",
    "jar",
    "javascript",
    "mailto",
    "mms",
    "mmsto",
    "resource",
    "sms",
    "smsto",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// A redirection endpoint (RFC 6749 §3.1.2): an absolute URI without a fragment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedirectUri(String);

/// Why a text is not a redirect URI, as a sentence about the URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectUriError(&'static str);

impl fmt::Display for RedirectUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for RedirectUriError {}

impl RedirectUri {
    /// Reads the redirect URI of a client that is being registered. Schemes other than http and
    /// https are those of native apps (RFC 8252 §7.1).
    ///
    /// # Errors
    /// What is wrong with the text, and what would be accepted.
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        let uri = Self::parse_registered(text)?;
        let error = |reason| Err(RedirectUriError(reason));
        let scheme = uri.scheme().to_ascii_lowercase();
        if SCHEMES_OF_OTHERS.contains(&scheme.as_str()) {
            return error(
                "a redirect URI leads to a client, by https or a scheme of its own such as \
                 com.example.app, and not into the browser or the system",
            );
        }
        let (_, rest) = text.split_once(':').unwrap_or_default();
        if let Some(authority) = rest.strip_prefix("//").map(authority_of) {
            if authority.contains('@') {
                return error("a redirect URI names no user: leave out what stands before the @");
            }
            let (_, port) = split_port(authority);
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            if is_number && !port.parse().is_ok_and(|port: u16| port > 0) {
                return error("the port of a redirect URI is a number from 1 to 65535");
            }
        }
        let (_, query) = text.split_once('?').unwrap_or_default();
        if query.split(['&', ';']).any(is_response_parameter) {
            return error(
                "the query of a redirect URI must not have code, state, iss, error, \
                 error_description or error_uri, which the answer brings; other names are fine",
            );
        }
        Ok(uri)
    }

    /// Reads a redirect URI that was registered at any time, perhaps under older rules: an absolute
    /// URI that is safe in a `Location` and a content security policy.
    ///
    /// # Errors
    /// What is wrong with the text, and what would be accepted.
    pub fn parse_registered(text: &str) -> Result<Self, RedirectUriError> {
        let error = |reason| Err(RedirectUriError(reason));
        if text.is_empty() || text.len() > REDIRECT_URI_MAX {
            return error("a redirect URI has 1 to 2048 characters");
        }
        let unsafe_byte = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte);
        if text.bytes().any(unsafe_byte) {
            return error("a redirect URI has only characters of RFC 3986, others are %-escaped");
        }
        if text.contains('#') {
            return error("a redirect URI has no fragment (RFC 6749 section 3.1.2)");
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return error("a redirect URI is absolute, such as https://client.example/callback");
        };
        let first_is_letter = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !first_is_letter || !scheme.bytes().all(scheme_byte) {
            return error("a redirect URI begins with a scheme such as https:");
        }
        let scheme = scheme.to_ascii_lowercase();
        if matches!(scheme.as_str(), "javascript" | "data" | "vbscript" | "file" | "blob") {
            return error("a redirect URI leads to a client, not into the browser");
        }
        if matches!(scheme.as_str(), "http" | "https") {
            let authority = rest.strip_prefix("//").map(authority_of);
            if !authority.is_some_and(is_host_and_port) {
                return error(
                    "an http redirect URI names a host, perhaps with a port, and no user",
                );
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The URI, byte for byte as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nobody on the network path can read what is sent to it: https, a scheme of an app,
    /// or a loopback host (RFC 8252 §7.3).
    pub fn is_confidential(&self) -> bool {
        let plain = self.scheme().eq_ignore_ascii_case("http");
        !plain || matches!(self.host(), "localhost" | "127.0.0.1" | "[::1]")
    }

    /// The scheme.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// The name of the client that people see: the host of a web site, without the port, or the
    /// scheme of a native app, which is free to choose the rest.
    pub fn host(&self) -> &str {
        let scheme = self.scheme();
        let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
        match self.0.split_once("://") {
            Some((_, rest)) if is_web => split_port(authority_of(rest)).0,
            Some(_) | None => scheme,
        }
    }

    /// The first page of the client's web site: scheme, host and port, without a path; `None` for a
    /// native app.
    pub(crate) fn origin(&self) -> Option<String> {
        let scheme = self.scheme();
        let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
        let (_, rest) = self.0.split_once("://").filter(|_| is_web)?;
        Some(format!("{scheme}://{}/", authority_of(rest)))
    }

    /// The authorization response: the URI, with a code (RFC 6749 §4.1.2) or an error (§4.1.2.1),
    /// the client's `state`, and the issuer (RFC 9207) added to whatever query it has.
    pub(crate) fn respond(
        &self,
        outcome: Outcome<'_>,
        state: Option<&str>,
        issuer: Option<&str>,
    ) -> String {
        let joint = match self.0.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        let (code, error, description) = match outcome {
            Outcome::Code(code) => (Some(code), None, None),
            Outcome::Error(error) => (None, Some(error), None),
            Outcome::Refused(error, description) => (None, Some(error), Some(description)),
        };
        let parameters = [
            ("code", code),
            ("error", error),
            ("error_description", description),
            ("state", state),
            ("iss", issuer),
        ];
        let mut location = self.0.clone();
        let mut separator = joint;
        for (name, value) in parameters {
            let Some(value) = value else { continue };
            location.push_str(separator);
            location.push_str(name);
            location.push('=');
            push_percent_encoded(&mut location, value);
            separator = "&";
        }
        location
    }
}

/// What an authorization response says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    /// The authorization code.
    Code(&'a str),
    /// The `error` of RFC 6749 §4.1.2.1.
    Error(&'a str),
    /// The `error` and `error_description` of a request that the client has to mend.
    Refused(&'a str, &'a str),
}

fn authority_of(after_slashes: &str) -> &str {
    after_slashes.split(['/', '?']).next().unwrap_or_default()
}

/// Host and port of an authority; without a port, it is empty.
fn split_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    }
}

/// Whether a parameter is one that an authorization response may have (RFC 6749 §4.1.2, RFC 9207).
/// Some clients read `Code`, ` code` and `code[]` as `code`.
fn is_response_parameter(parameter: &str) -> bool {
    let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
    let name = percent_decoded(name);
    let name = name.trim().split('[').next().unwrap_or_default();
    ["code", "state", "iss", "error", "error_description", "error_uri"]
        .iter()
        .any(|taken| name.eq_ignore_ascii_case(taken))
}

/// A name, decoded as in a form; malformed escapes stay as they are.
fn percent_decoded(name: &str) -> String {
    let digit = |text: Option<&str>| u8::from_str_radix(text?, 16).ok();
    let mut decoded = String::new();
    let mut rest = name;
    while let Some(character) = rest.chars().next() {
        let (taken, byte) = match character {
            '%' => digit(rest.get(1..3)).map_or((1, '%'), |byte| (3, char::from(byte))),
            '+' => (1, ' '),
            other => (other.len_utf8(), other),
        };
        decoded.push(byte);
        rest = rest.get(taken..).unwrap_or_default();
    }
    decoded
}

fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = split_port(authority);
    let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let address_byte = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
    let host_is_good = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(address_byte),
        None => !host.is_empty() && host.bytes().all(name_byte),
    };
    host_is_good && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_are_absolute_and_safe() {
        for good in [
            "https://client.example/cb",
            "http://localhost:8080/cb?x=1&y=%20",
            "https://[::1]:443",
            "https://client.example",
            "com.example.app:/cb",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "client.example/cb",
            "https://",
            "https:///cb",
            "https://user@client.example/",
            "https://client.example:port/",
            "https://client.example/#top",
            "https://client.example/a b",
            "https://client.example/\r\nSet-Cookie:x",
            "https://client.example/é",
            "https://a;script-src/",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "1http://x/",
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
        assert!(RedirectUri::parse(&format!("https://h/{}", "x".repeat(2048))).is_err());
    }

    #[test]
    fn parts_are_found() {
        let uri = |text| RedirectUri::parse(text).unwrap();
        assert_eq!(uri("https://client.example:8443/cb?x").host(), "client.example");
        assert_eq!(uri("https://[::1]:8443/cb").host(), "[::1]");
        assert_eq!(uri("https://[::1]/cb").host(), "[::1]");
        assert_eq!(uri("com.example.app:/cb").host(), "com.example.app");
        assert!(uri("http://127.0.0.1:1/").is_confidential());
        assert!(!uri("http://client.example/").is_confidential());
    }

    #[test]
    fn responses_join_any_query() {
        let with = |text, state, issuer| {
            RedirectUri::parse(text).unwrap().respond(Outcome::Code("c-1"), state, issuer)
        };
        assert_eq!(with("https://a/cb", None, None), "https://a/cb?code=c-1");
        assert_eq!(
            with("https://a/cb?x=1", Some("a b&c"), Some("https://b/c")),
            "https://a/cb?x=1&code=c-1&state=a%20b%26c&iss=https%3A%2F%2Fb%2Fc"
        );
        assert_eq!(with("https://a/cb?", Some(""), None), "https://a/cb?code=c-1&state=");
        assert_eq!(with("https://a/cb?x&", None, None), "https://a/cb?x&code=c-1");
        let uri = RedirectUri::parse("https://a/cb?x=1").unwrap();
        let back = "https://a/cb?x=1&error=invalid_request&state=a%20b";
        assert_eq!(uri.respond(Outcome::Error("invalid_request"), Some("a b"), None), back);
        let described = "https://a/cb?x=1&error=e&error_description=a%20b.";
        assert_eq!(uri.respond(Outcome::Refused("e", "a b."), None, None), described);
    }

    #[test]
    fn web_sites_have_an_origin() {
        for (text, origin) in [
            ("https://client.example/cb?x=1", Some("https://client.example/")),
            ("http://localhost:8080?x", Some("http://localhost:8080/")),
            ("https://[::1]:8443", Some("https://[::1]:8443/")),
            ("com.example.app:/cb", None),
            ("com.example.app://client.example/cb", None),
        ] {
            assert_eq!(RedirectUri::parse(text).unwrap().origin().as_deref(), origin, "{text}");
        }
    }

    #[test]
    fn only_web_sites_have_a_host_that_is_shown() {
        let host = |text| RedirectUri::parse(text).map(|uri| uri.host().to_owned());
        for (text, shown) in [
            ("com.evil.app://accounts.google.com/cb", "com.evil.app"),
            ("com.evil.app://accounts.google.com:443/cb", "com.evil.app"),
            ("com.evil.app:/https://accounts.google.com", "com.evil.app"),
            ("com.evil.app:/cb?to=https://accounts.google.com/", "com.evil.app"),
            ("HTTPS://client.example/cb", "client.example"),
            ("http://localhost:8080/?to=com.evil.app://x", "localhost"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn what_is_not_registered_any_more_is_still_read() {
        let schemes = SCHEMES_OF_OTHERS.map(|scheme| format!("{scheme}://x/"));
        let uppercase = SCHEMES_OF_OTHERS.map(|scheme| format!("{}:x", scheme.to_uppercase()));
        let others = [
            "com.evil.app://google.com@x/cb",
            "com.evil.app://user:password@x/cb",
            "com.evil.app://x:65536/cb",
            "https://client.example:65536/cb",
            "https://client.example:99999/cb",
            "https://client.example:0/cb",
            "https://client.example/cb?code=x",
            "https://client.example/cb?x=1&state=y",
            "https://client.example/cb?error",
            "https://client.example/cb?iss=https://x/",
            "https://client.example/cb?%63ode=x",
            "https://client.example/cb?x;code=x",
            "https://client.example/cb?Code=x",
            "https://client.example/cb?+code=x",
            "https://client.example/cb?code%5B%5D=x",
            "https://client.example/cb?error_description=x",
            "com.example.app:/cb?error_uri=x",
        ];
        let others = others.map(ToOwned::to_owned);
        for text in schemes.iter().chain(&uppercase).chain(&others) {
            assert!(RedirectUri::parse(text).is_err(), "{text}");
            let dangerous = ["javascript", "data", "vbscript", "file", "blob"];
            let scheme = text.split(':').next().unwrap_or_default().to_lowercase();
            let is_read = RedirectUri::parse_registered(text).is_ok();
            assert_eq!(is_read, !dangerous.contains(&scheme.as_str()), "{text}");
        }
        for text in [
            "https://client.example:65535/cb",
            "https://client.example:/cb",
            "https://client.example/cb?decode=x&status=1&issue=2&codes&x=code",
            "https://client.example/code?a=state%26code",
            "https://client.example/cb?100%",
            "com.example.app://cb/x?y@z",
        ] {
            assert!(RedirectUri::parse(text).is_ok(), "{text}");
        }
    }
}
