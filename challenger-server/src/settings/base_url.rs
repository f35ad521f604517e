//! The address of the service, and its name.

use std::net::IpAddr;

use challenger_proto::oauth::{CLIENT_NAME_MAX, ClientName, RedirectUri};

use super::MAIN;
use super::reader::OptionReader;

/// The last part of names that nobody has on the Internet (RFC 6761 §6).
const NOWHERE: [&str; 4] = ["example", "invalid", "localhost", "test"];

/// Reads the address of the service: its host, for messages, and the issuer that it is.
pub(super) fn read_base_url(reader: &mut OptionReader<'_>) -> (String, Option<String>) {
    let Some(url) = reader.text("BASE_URL") else {
        reader.warnings.push(format!(
            "[{MAIN}] BASE_URL is not set, so messages cannot say on which site to enter the code, \
             applications find no metadata, and answers to them name no issuer"
        ));
        return (String::new(), None);
    };
    match RedirectUri::parse(&url) {
        Ok(parsed)
            if matches!(parsed.scheme().to_ascii_lowercase().as_str(), "http" | "https")
                && !url.contains('?') =>
        {
            if parsed.scheme().eq_ignore_ascii_case("http") && is_public(parsed.host()) {
                reader.warnings.push(format!(
                    "[{MAIN}] BASE_URL = {url}: without TLS, everybody on the way reads addresses \
                     and codes, and applications refuse such an issuer (RFC 8414): expected \
                     https://"
                ));
            }
            // A slash at its end makes no difference.
            (parsed.host().to_string(), Some(url.trim_end_matches('/').to_owned()))
        }
        Ok(_) | Err(_) => {
            let expected = "a URL such as https://challenger.example.com/, perhaps with a path, \
                            but without a user, a query or a fragment";
            reader.refuse("BASE_URL", expected);
            (String::new(), None)
        }
    }
}

/// Reads the name of the service for people, of which the same is expected as of that of a client.
pub(super) fn read_name(reader: &mut OptionReader<'_>) -> Option<String> {
    let name = reader.text("SERVICE_NAME").filter(|name| !name.is_empty())?;
    if ClientName::parse(&name).is_none() {
        let expected = format!("a name of at most {CLIENT_NAME_MAX} characters, all visible");
        reader.refuse("SERVICE_NAME", &expected);
    }
    Some(name)
}

/// Whether others could be on the way to a host: not if it is this machine, or only for tests.
fn is_public(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_nowhere = NOWHERE.iter().any(|name| last.eq_ignore_ascii_case(name));
    !is_nowhere && !address.is_ok_and(|address| address.is_loopback())
}
