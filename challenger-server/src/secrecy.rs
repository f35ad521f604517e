//! Hides secrets of a configuration from people: from operators, and from everybody who reads the
//! log, which is kept for a long time and copied to places where passwords do not belong.
//!
//! A mistake in a connection text moves its parts: with one `@` too many, the end of a password is
//! taken for the name of a host. So a part is shown only if it looks like what it should be, and a
//! whole text only if each of its parts does and none is a password. In doubt, too little is shown.
//!
//! A connection text can be in a wrong place, too: everything that is quoted for people, such as a
//! value, a path or the name of a section, goes through [`quote`] or [`path`].

use std::path::Path;

/// Options with one of these in their names hold secrets.
const SECRET_NAMES: [&str; 6] = ["CREDENTIAL", "KEY", "PASS", "PWD", "SECRET", "TOKEN"];

/// The one option that has `TOKEN` in its name and does not hold a secret.
const NO_SECRET: &str = "TOKEN_DURATION";

/// The option with the connection text of a database.
const CONNECTION: &str = "CONFIG";

/// The schemes of database URIs.
pub(crate) const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The parameters of a connection whose values are not secret.
const PARAMETERS: [&str; 20] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "port",
    "replication",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// The parameters that are numbers.
const NUMBERS: [&str; 7] = [
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "port",
    "tcp_user_timeout",
];

/// The text that is shown in place of a hidden one.
pub const HIDDEN: &str = "***";

/// Whether the name of an option says that its value is a secret.
fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name != NO_SECRET && SECRET_NAMES.iter().any(|word| name.contains(word))
}

/// Whether the value of an option must not be shown.
pub fn is_secret(name: &str, text: &str) -> bool {
    if name.eq_ignore_ascii_case(NO_SECRET) {
        return false;
    }
    let (name, text) = (name.to_ascii_uppercase(), text.trim());
    let lower = text.to_ascii_lowercase();
    let is_open = name == CONNECTION && is_open_connection(text);
    let may_connect = name == CONNECTION || (lower.starts_with("postgres") && !is_word(text));
    names_secret(&name)
        || !is_word(&name)
        || (has_login(text) && !is_open)
        || lower.contains("password")
        || lower.starts_with("secret-token:")
        || (may_connect && !is_open_connection(text))
}

/// A text as it may be quoted, whatever it is meant to be.
pub fn quote(text: &str) -> &str {
    if has_login(text) { HIDDEN } else { text }
}

/// A path as it may be quoted.
pub fn path(path: &Path) -> String {
    quote(&path.to_string_lossy()).to_owned()
}

/// Whether a text could contain the login of a database: `…://…@…` or `user:password@…`, alone or
/// at the end of something else; or a password as a parameter. In a path, two slashes may be one.
fn has_login(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_plain = |character: char| character.is_alphanumeric() || "-._%".contains(character);
    let mut colons = lower.match_indices(':').filter_map(|(at, _)| lower.split_at_checked(at));
    let has_user = colons.any(|(before, rest)| before.ends_with(is_plain) && rest.contains('@'));
    let place = lower.split_once("postgres").and_then(|(_, rest)| rest.split_once(":/"));
    has_user
        || place.is_some_and(|(_, rest)| rest.contains(':'))
        || (lower.contains("password") && lower.contains('='))
}

/// The name of an option as it may be shown: if the `=` is missing, the name contains the value.
pub fn name(name: &str) -> &str {
    if is_word(name) { name } else { HIDDEN }
}

/// A part of a connection text as it may be shown: the name of a user, a database or a host, or an
/// address or a path.
pub fn part(text: &str) -> &str {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    if is_address || text.split('/').all(|word| word.is_empty() || is_word(word)) {
        text
    } else {
        HIDDEN
    }
}

/// A message of a database, with parts of its connection text as they may be shown.
pub fn conceal(said: &str, parts: &[&str]) -> String {
    let hidden = parts.iter().filter(|text| !text.is_empty() && part(text) == HIDDEN);
    hidden.fold(said.to_owned(), |said, text| said.replace(*text, HIDDEN))
}

/// Whether a text consists of the characters of names.
fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.bytes().all(is_plain)
}

/// Whether all parts of a connection text look as they should, and none is a password.
fn is_open_connection(text: &str) -> bool {
    match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        None => !text.is_empty() && text.split_ascii_whitespace().all(is_open_parameter),
        Some(rest) => {
            let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
            let (user, place) = place.split_once('@').unwrap_or(("", place));
            let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
            let is_empty_or = |text: &str, is: fn(&str) -> bool| text.is_empty() || is(text);
            is_empty_or(user, is_word)
                && is_empty_or(database, is_word)
                && is_empty_or(hosts, |hosts| hosts.split(',').all(is_open_host))
                && is_empty_or(query, |query| query.split('&').all(is_open_parameter))
        }
    }
}

/// Whether this is a host of a URI, with or without a port.
fn is_open_host(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    if let Some((address, port)) = text.strip_prefix('[').and_then(|it| it.split_once(']')) {
        let port = port.strip_prefix(':').map_or(port.is_empty(), is_port);
        return port && address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    // The only escapes that make sense here are the slashes of a path.
    is_word(&host.replace("%2F", "").replace("%2f", "")) && port.is_none_or(is_port)
}

fn is_open_parameter(text: &str) -> bool {
    let Some((key, value)) = text.split_once('=') else { return false };
    let value = value.replace("%2F", "/").replace("%2f", "/");
    let is_open = |each: &str| match NUMBERS.contains(&key) {
        true => each.bytes().all(|byte| byte.is_ascii_digit()),
        false => part(each) != HIDDEN,
    };
    PARAMETERS.contains(&key) && value.split(',').all(is_open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_recognised() {
        let cases = [
            ("PORT", "9967", false),
            ("DB", "postgres", false),
            ("BASE_URL", "https://challenger.example:8080/", false),
            ("TOKEN_DURATION", "1 h", false),
            ("AUTH_TOKEN", "x", true),
            ("smtp_password", "x", true),
            ("ClientSecret", "x", true),
            ("API_KEY", "x", true),
            ("OTHER", "secret-token:x", true),
            ("OTHER", "https://user:pw@host/", true),
        ];
        for (name, text, expected) in cases {
            assert_eq!(is_secret(name, text), expected, "{name} = {text}");
        }
    }

    #[test]
    fn a_connection_is_shown_if_it_is_plain_and_has_no_password() {
        for text in [
            "postgres:///challenger",
            "postgresql:///challenger",
            "postgres://",
            "postgres://user@host/challenger",
            "postgres://host:5432,other.example/c?user=ada&sslmode=disable",
            "postgres://ada@[::1]:5432/c?sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem",
            "postgres://ada@%2Frun%2Fpg/c",
            "postgres:///c?host=/run/pg&port=5433",
            "postgres:///c?hostaddr=192.0.2.1,::1",
            "host=/run/pg dbname=c  user=ada",
        ] {
            assert!(!is_secret("CONFIG", text), "{text}");
        }
        for text in [
            "",
            "challenger",
            "postgres://user:pw@host/challenger",
            "postgresql://user:p/w@host/challenger",
            "postgres://user:p@w@host/challenger",
            "postgres://user:pw/challenger",
            "postgres://user;pw@host/challenger",
            "postgres://user%3Apw@host/challenger",
            "postgres://host/user:pw@challenger",
            "postgres://host/c&password=pw",
            "postgres://host/c?pasword=pw",
            "postgres://host/c?user=ada:pw",
            "postgres:///challenger?user=x&password=pw",
            "postgres:/user:pw@host/challenger",
            "postgress://user:pw@host/challenger",
            "host=x Password = pw",
            "host=x user=ada pw",
            "host=ada:pw@x",
            "host=x port=pw",
            "postgres://host/c?connect_timeout=1pw",
            "postgres:///c?keepalives_idle=pw",
        ] {
            assert!(is_secret("CONFIG", text), "{text}");
            assert!(is_secret("config", text), "{text}");
        }
        // Where the equals sign is forgotten, the first one of the value divides the line.
        assert!(is_secret("CONFIG postgres://user:pw@host/c?sslmode", "disable"));
        assert_eq!(name("CONFIG postgres://user:pw@host/c?sslmode"), HIDDEN);
        assert_eq!(name("PIN_ATEMPTS"), "PIN_ATEMPTS");
        // Nor does a wrong option make it plain.
        assert!(is_secret("DB", "postgres://user:pw/c"));
    }

    #[test]
    fn a_login_is_quoted_nowhere() {
        for text in [
            "postgres://ada:pw@host/c",
            "postgres://ada@host/c",
            "postgres://ada:pw/c",
            "/etc/challenger/postgres:/ada:pw@host/c",
            "/etc/challenger/postgresql:/ada:pw/c",
            "CONFIG = postgres://ada:pw@host",
            "ada:pw@host",
            "ada:p w@host",
            "/srv/ada:pw@host",
            "ada%20b:pw@host",
            "host=x password=pw",
            "HTTPS://ada:pw@host/",
        ] {
            assert_eq!(quote(text), HIDDEN, "{text}");
            assert_eq!(path(Path::new(text)), HIDDEN, "{text}");
            assert!(is_secret("DB", text), "{text}");
        }
        for text in [
            "",
            "challengerdb-postgres",
            "two words",
            "/srv/a:b/c",
            "/srv/user@host",
            "ada@example.com: no",
            "https://host:8080/",
            "postgres:///c",
            r#"{"CONTACT_EMAIL": {"regex": "^[^@]+@example[.]com$"}}"#,
        ] {
            assert_eq!(quote(text), text);
        }
    }

    #[test]
    fn parts_are_shown_that_look_like_what_they_are() {
        for text in ["db.example", "my-db_1", "192.0.2.1", "::1", "/run/pg", "/"] {
            assert_eq!(part(text), text);
        }
        for text in ["w@host", "ada:pw", "a b", "c&password=pw", "p%w", "p\u{e4}", "/run/p@w"] {
            assert_eq!(part(text), HIDDEN, "{text}");
        }
        let said = "role \"ada:pw\" does not exist, nor database \"c\"";
        let parts = ["ada:pw", "c", "w@host"];
        assert_eq!(conceal(said, &parts), "role \"***\" does not exist, nor database \"c\"");
        assert_eq!(conceal("role \"c\" does not exist", &parts), "role \"c\" does not exist");
    }
}
