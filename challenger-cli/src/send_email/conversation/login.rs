//! Logging in to a mail server (RFC 4954): PLAIN (RFC 4616), LOGIN, and XOAUTH2, of which the last
//! two are known from the servers that have them.

use std::vec::IntoIter;

use data_encoding::BASE64;

/// The longest command line with its line end (RFC 5321 §4.5.3.1.4). A longer first response has to
/// wait until the server asks for it (RFC 4954 §4).
const COMMAND_MAX: usize = 512;

/// An account at the server.
pub struct Login {
    /// The name of the account.
    pub user: String,
    /// What proves that it is ours.
    pub secret: Secret,
}

/// What proves that an account is ours.
pub enum Secret {
    /// For PLAIN and LOGIN.
    Password(String),
    /// An OAuth 2.0 access token (RFC 6749 §1.4), for XOAUTH2.
    Token(String),
}

impl Login {
    /// The response of PLAIN or XOAUTH2, as it is sent.
    pub fn response(&self) -> String {
        let user = &self.user;
        let response = match &self.secret {
            Secret::Password(password) => format!("\0{user}\0{password}"),
            Secret::Token(token) => format!("user={user}\x01auth=Bearer {token}\x01\x01"),
        };
        BASE64.encode(response.as_bytes())
    }
}

/// A login on its way.
pub(super) struct Exchange {
    /// The command that begins it.
    pub(super) command: String,
    /// What to respond each time the server asks.
    pub(super) responses: IntoIter<String>,
}

impl Exchange {
    /// Begins with the best of the mechanisms that the server offers, if there is one for this
    /// secret. All of them send it in clear, and rely on TLS.
    pub(super) fn new(login: &Login, offered: &[String]) -> Option<Self> {
        let is_offered = |name: &&str| offered.iter().any(|it| it == name);
        let known: &[&str] = match login.secret {
            Secret::Password(_) => &["PLAIN", "LOGIN"],
            Secret::Token(_) => &["XOAUTH2"],
        };
        let mechanism = *known.iter().find(|name| is_offered(name))?;
        if let ("LOGIN", Secret::Password(password)) = (mechanism, &login.secret) {
            let responses = [&login.user, password].map(|it| BASE64.encode(it.as_bytes()));
            return Some(Self::asking(mechanism, Vec::from(responses)));
        }
        let response = login.response();
        let command = format!("AUTH {mechanism} {response}");
        let is_short = command.len() + 2 <= COMMAND_MAX;
        Some(match login.secret {
            // A server that overlooks the first response asks for it.
            Secret::Password(_) if is_short => {
                Self { command, responses: vec![response].into_iter() }
            }
            Secret::Password(_) => Self::asking(mechanism, vec![response]),
            // A server that refuses the token says why, asks for nothing, and then refuses it.
            Secret::Token(_) if is_short => {
                Self { command, responses: vec![String::new()].into_iter() }
            }
            Secret::Token(_) => Self::asking(mechanism, vec![response, String::new()]),
        })
    }

    fn asking(mechanism: &str, responses: Vec<String>) -> Self {
        Self { command: format!("AUTH {mechanism}"), responses: responses.into_iter() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(secret: Secret, offered: &[&str]) -> Option<(String, Vec<String>)> {
        let login = Login { user: "ann".to_owned(), secret };
        let offered: Vec<String> = offered.iter().map(ToString::to_string).collect();
        let exchange = Exchange::new(&login, &offered)?;
        Some((exchange.command, exchange.responses.collect()))
    }

    #[test]
    fn the_secret_and_the_offer_decide_about_the_mechanism() {
        let password = || Secret::Password("secret".to_owned());
        let token = || Secret::Token("ya29".to_owned());
        let command = |secret, offered: &[&str]| begin(secret, offered).map(|(command, _)| command);
        let plain = Some("AUTH PLAIN AGFubgBzZWNyZXQ=".to_owned());
        assert_eq!(command(password(), &["LOGIN", "XOAUTH2", "PLAIN"]), plain);
        assert_eq!(command(password(), &["LOGIN", "XOAUTH2"]), Some("AUTH LOGIN".to_owned()));
        assert_eq!(command(password(), &["XOAUTH2", "CRAM-MD5"]), None);
        assert_eq!(command(token(), &["PLAIN", "LOGIN"]), None);
        let xoauth2 = "AUTH XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgeWEyOQEB".to_owned();
        assert_eq!(command(token(), &["PLAIN", "XOAUTH2"]), Some(xoauth2));
    }

    #[test]
    fn a_long_response_waits_until_it_is_asked_for() {
        for (is_token, mechanism) in [(false, "PLAIN"), (true, "XOAUTH2")] {
            let begin = |len: usize| {
                let text = "a".repeat(len);
                let secret = if is_token { Secret::Token(text) } else { Secret::Password(text) };
                begin(secret, &[mechanism]).unwrap()
            };
            let short = (0..512).rev().find(|len| begin(*len).0.contains(&format!("{mechanism} ")));
            let short = short.unwrap();
            assert!(begin(short).0.len() + 2 <= COMMAND_MAX && short > 300);
            let (command, responses) = begin(short + 1);
            assert_eq!(command, format!("AUTH {mechanism}"));
            assert!(responses[0].len() > short);
            assert_eq!(responses.len(), if is_token { 2 } else { 1 });
        }
    }
}
