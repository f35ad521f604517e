//! The helper's settings, and the words of a mail, from the environment. Only the first mistake is
//! reported, because a log shows it in one line.

use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use challenger_proto::http::is_language_tag;
use challenger_server::process::HelperCommand;
use lettre::message::Mailbox;

use super::conversation::{Login, Secret};
use super::smtp::name;
use super::{address, text};
use crate::authorities;
use crate::stream::Tls;

/// The usual path of the program that takes mail, whichever mail server provides it.
const SENDMAIL: &str = "/usr/sbin/sendmail";
/// The default timeout. It is below the server's `AUTH_TIMEOUT` of 30 s, which leaves time to
/// report what went wrong.
const TIMEOUT_SECONDS: u64 = 20;
const TIMEOUT_SECONDS_MAX: u64 = 3600;
/// The longest access token, in bytes. Its line may have 12288 with base64 (RFC 4954 §4).
const TOKEN_MAX: usize = 8192;
/// The settings that have no meaning without `SMTP_HOST`.
const SMTP_ONLY: [&str; 7] = [
    "SMTP_CA_FILE",
    "SMTP_HELO",
    "SMTP_OAUTH2_TOKEN_FILE",
    "SMTP_PASSWORD",
    "SMTP_PORT",
    "SMTP_SECURITY",
    "SMTP_USER",
];

/// The operator's settings.
pub(super) struct Settings {
    pub(super) from: Mailbox,
    pub(super) reply_to: Option<Mailbox>,
    subject: Option<String>,
    language: Option<String>,
    pub(super) route: Route,
    /// How long the delivery may take in all.
    pub(super) timeout: Duration,
}

/// What goes with a message: the operator's, or else what the service says.
pub(super) struct Words {
    pub(super) subject: String,
    /// The language of the message, if it is known.
    pub(super) language: Option<String>,
}

/// Where the mail is handed over.
pub(super) enum Route {
    /// The program by this path.
    Sendmail(String),
    Smtp(Smtp),
}

/// An SMTP server.
pub(super) struct Smtp {
    pub(super) host: String,
    pub(super) port: u16,
    /// Our name for EHLO, if the operator has chosen one.
    pub(super) hello: Option<String>,
    pub(super) security: Security,
    account: Option<Account>,
}

/// An account at the server.
struct Account {
    user: String,
    proof: Proof,
}

/// Where the secret of an account is.
enum Proof {
    Password(String),
    /// In a file, which another program may replace at any time.
    TokenFile(String),
}

/// How the connection to the server is protected.
pub(super) enum Security {
    None,
    StartTls(Tls),
    Tls(Tls),
}

impl Settings {
    /// Reads the settings. An empty variable is one that is not set.
    ///
    /// # Errors
    /// The message names the setting, what is wrong with it, and what would be accepted.
    pub(super) fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let environment = Environment(variable);
        let from = environment.mailbox("EMAIL_FROM")?.ok_or(
            "EMAIL_FROM is not set: expected the sender, such as Shop <noreply@shop.example>",
        )?;
        let language = environment.language("EMAIL_LANGUAGE")?;
        let subject = environment.text("EMAIL_SUBJECT")?;
        let reply_to = environment.mailbox("EMAIL_REPLY_TO")?;
        let timeout = Duration::from_secs(environment.timeout()?);
        let route = match environment.text("SMTP_HOST")? {
            None => Route::Sendmail(environment.sendmail()?),
            Some(host) => Route::Smtp(environment.smtp(host)?),
        };
        Ok(Self { from, reply_to, subject, language, route, timeout })
    }

    /// Reads the words of a mail. The operator's win over `CHALLENGER_SUBJECT` and
    /// `CHALLENGER_LANGUAGE`, which the service makes for each message.
    ///
    /// # Errors
    /// As for the settings.
    pub(super) fn words(
        &self,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Words, String> {
        let environment = Environment(variable);
        let language = match &self.language {
            Some(language) => Some(language.clone()),
            None => environment.language("CHALLENGER_LANGUAGE")?,
        };
        let subject = match &self.subject {
            Some(subject) => Some(subject.clone()),
            None => environment.text("CHALLENGER_SUBJECT")?,
        };
        let subject = subject.map(|subject| text::plain(&subject));
        let subject = subject.unwrap_or_else(|| default_subject(language.as_deref()).to_owned());
        Ok(Words { subject, language })
    }
}

impl Smtp {
    /// The login, if there is an account.
    ///
    /// # Errors
    /// The file with the token cannot be read, or has no token; the message names it.
    pub(super) fn login(&self) -> Result<Option<Login>, String> {
        let Some(Account { user, proof }) = &self.account else { return Ok(None) };
        let secret = match proof {
            Proof::Password(password) => Secret::Password(password.clone()),
            Proof::TokenFile(file) => token(file)?,
        };
        Ok(Some(Login { user: user.clone(), secret }))
    }
}

/// The subject of a message in a language.
fn default_subject(language: Option<&str>) -> &'static str {
    let primary = language.and_then(|tag| tag.split('-').next()).unwrap_or_default();
    match primary.to_ascii_lowercase().as_str() {
        "de" => "Ihr Code",
        "es" => "Su código",
        "fr" => "Votre code",
        "it" => "Il Suo codice",
        "nl" => "Uw code",
        "pl" => "Twój kod",
        "pt" => "O seu código",
        _ => "Your code",
    }
}

struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    /// A setting, which is one line: with more, somebody could add headers to the mail.
    fn text(&self, name: &str) -> Result<Option<String>, String> {
        let Some(value) = (self.0)(name) else { return Ok(None) };
        let value = value.into_string().map_err(|_| format!("{name} is not UTF-8"))?;
        if value.contains(char::is_control) {
            return Err(format!("{name} has a line break or another control character"));
        }
        Ok(Some(value).filter(|value| !value.trim().is_empty()))
    }

    /// An address, or a name with an address in angle brackets.
    fn mailbox(&self, name: &str) -> Result<Option<Mailbox>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let parts = match text.trim().strip_suffix('>') {
            None => Some(("", text.as_str())),
            Some(text) => text.rsplit_once('<'),
        };
        let mailbox = parts.and_then(|(person, address)| {
            let person = person_name(person.trim())?;
            let person = Some(person).filter(|name| !name.is_empty());
            Some(Mailbox::new(person, address::parse(address.trim())?))
        });
        match mailbox {
            Some(mailbox) => Ok(Some(mailbox)),
            None => Err(format!(
                "{name} is {text:?}: expected noreply@shop.example or Shop <noreply@shop.example>, \
                 one address only"
            )),
        }
    }

    fn language(&self, name: &str) -> Result<Option<String>, String> {
        let Some(tag) = self.text(name)? else { return Ok(None) };
        if is_language_tag(&tag) {
            Ok(Some(tag))
        } else {
            Err(format!("{name} is {tag:?}: expected a language tag such as de or pt-BR"))
        }
    }

    fn number(&self, name: &str, most: u64) -> Result<Option<u64>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.trim().parse().ok().filter(|number| (1..=most).contains(number));
        let number = number
            .ok_or_else(|| format!("{name} is {text:?}: expected a number from 1 to {most}"))?;
        Ok(Some(number))
    }

    fn timeout(&self) -> Result<u64, String> {
        let seconds = self.number("SMTP_TIMEOUT", TIMEOUT_SECONDS_MAX)?;
        Ok(seconds.unwrap_or(TIMEOUT_SECONDS))
    }

    fn sendmail(&self) -> Result<String, String> {
        for name in SMTP_ONLY {
            if self.text(name)?.is_some() {
                return Err(format!("{name} is set, but not SMTP_HOST: which server is meant?"));
            }
        }
        let program = self.text("SENDMAIL")?.unwrap_or_else(|| SENDMAIL.to_owned());
        if HelperCommand::new(&program, Duration::ZERO).exists() {
            Ok(program)
        } else {
            Err(format!(
                "SENDMAIL: there is no program {program}: expected its path, or a mail server in \
                 SMTP_HOST"
            ))
        }
    }

    fn smtp(&self, host: String) -> Result<Smtp, String> {
        let address = host.parse::<IpAddr>();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if address.is_err() && !host.bytes().all(is_name) {
            return Err(format!(
                "SMTP_HOST is {host:?}: expected the name of a server alone; SMTP_PORT takes the \
                 port, SMTP_SECURITY how to connect"
            ));
        }
        let (security, usual_port) = match self.text("SMTP_SECURITY")?.as_deref() {
            None | Some("tls") => (Security::Tls(self.tls(&host)?), 465),
            Some("starttls") => (Security::StartTls(self.tls(&host)?), 587),
            Some("none") => (Security::None, 25),
            Some(other) => {
                return Err(format!("SMTP_SECURITY is {other:?}: expected tls, starttls or none"));
            }
        };
        let port = self.number("SMTP_PORT", u16::MAX.into())?;
        let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(usual_port);
        let account = self.account()?;
        let is_local = address.map_or(host == "localhost", |address| address.is_loopback());
        if let (Security::None, Some(account), false) = (&security, &account, is_local) {
            let name = match account.proof {
                Proof::Password(_) => "SMTP_PASSWORD",
                Proof::TokenFile(_) => "SMTP_OAUTH2_TOKEN_FILE",
            };
            return Err(format!(
                "SMTP_SECURITY = none would show {name} to the network: expected tls or starttls, \
                 or a server on this machine"
            ));
        }
        Ok(Smtp { host, port, hello: self.hello()?, security, account })
    }

    /// Our name for EHLO. Many servers accept no other kinds.
    fn hello(&self) -> Result<Option<String>, String> {
        let Some(hello) = self.text("SMTP_HELO")? else { return Ok(None) };
        if name::is_full(&hello) || name::is_literal(&hello) {
            Ok(Some(hello))
        } else {
            Err(format!(
                "SMTP_HELO is {hello:?}: expected the full name of this machine, such as \
                 challenger.shop.example, or its address, such as [192.0.2.1]"
            ))
        }
    }

    fn account(&self) -> Result<Option<Account>, String> {
        let user = self.text("SMTP_USER")?;
        let proof = match (self.text("SMTP_PASSWORD")?, self.text("SMTP_OAUTH2_TOKEN_FILE")?) {
            (Some(_), Some(_)) => {
                return Err(
                    "SMTP_PASSWORD and SMTP_OAUTH2_TOKEN_FILE are both set: expected one of \
                     them"
                        .to_owned(),
                );
            }
            (Some(password), None) => Some(("SMTP_PASSWORD", Proof::Password(password))),
            (None, Some(file)) => Some(("SMTP_OAUTH2_TOKEN_FILE", Proof::TokenFile(file))),
            (None, None) => None,
        };
        match (user, proof) {
            (None, None) => Ok(None),
            (Some(user), Some((_, proof))) => Ok(Some(Account { user, proof })),
            (Some(_), None) => {
                Err("SMTP_USER is set, but not SMTP_PASSWORD or SMTP_OAUTH2_TOKEN_FILE".to_owned())
            }
            (None, Some((name, _))) => Err(format!("{name} is set, but not SMTP_USER")),
        }
    }

    /// How to verify the server: by an authority that this machine trusts, or by `SMTP_CA_FILE`.
    fn tls(&self, host: &str) -> Result<Tls, String> {
        let mut trusted = authorities::of_system();
        if let Some(file) = self.text("SMTP_CA_FILE")? {
            let own = authorities::in_file(&file).map_err(|why| format!("SMTP_CA_FILE {why}"))?;
            trusted.extend(own);
        }
        Tls::new(host, trusted).map_err(|why| format!("SMTP_HOST is {host:?}: {why}"))
    }
}

/// The token in a file.
fn token(file: &str) -> Result<Secret, String> {
    let refused = |why: &str| format!("SMTP_OAUTH2_TOKEN_FILE {file}: {why}");
    let token = fs::read_to_string(file).map_err(|error| refused(&error.to_string()))?;
    let token = token.trim();
    // RFC 6750 §2.1, and what else some providers put into theirs.
    let is_token = token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token && (1..=TOKEN_MAX).contains(&token.len()) {
        Ok(Secret::Token(token.to_owned()))
    } else {
        Err(refused(&format!("expected only an access token, of up to {TOKEN_MAX} characters")))
    }
}

/// The name before an address, which may be empty; `None` for a text that is not the name of one
/// sender. It may have commas without quotation marks, but no second address.
fn person_name(text: &str) -> Option<String> {
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let Some(quoted) = quoted else {
        let is_name = !text.contains(['"', '<', '>', '@']);
        return is_name.then(|| text.to_owned());
    };
    let mut name = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => name.push(characters.next()?),
            other => name.push(other),
        }
    }
    Some(name)
}
