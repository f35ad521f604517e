//! The helper's settings, from the environment. Only the first mistake is reported, because a log
//! shows it in one line.

use std::error::Error as _;
use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use challenger_proto::http::is_language_tag;
use challenger_server::process::HelperCommand;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::{Certificate, TlsParameters};

use super::{address, text};

/// The usual path of the program that takes mail, whichever mail server provides it.
const SENDMAIL: &str = "/usr/sbin/sendmail";
/// The default timeout. It is below the server's `AUTH_TIMEOUT` of 30 s, which leaves time to
/// report what went wrong.
const TIMEOUT_SECONDS: u64 = 20;
const TIMEOUT_SECONDS_MAX: u64 = 3600;
/// The settings that have no meaning without `SMTP_HOST`.
const SMTP_ONLY: [&str; 5] =
    ["SMTP_CA_FILE", "SMTP_PASSWORD", "SMTP_PORT", "SMTP_SECURITY", "SMTP_USER"];

/// The operator's settings, and what the server says about the message.
pub(super) struct Settings {
    pub(super) from: Mailbox,
    pub(super) reply_to: Option<Mailbox>,
    pub(super) subject: String,
    /// The language of the message, if it is known.
    pub(super) language: Option<String>,
    pub(super) route: Route,
    /// How long the delivery may take in all.
    pub(super) timeout: Duration,
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
    pub(super) security: Security,
    pub(super) login: Option<Login>,
}

/// How the connection to the server is protected.
pub(super) enum Security {
    None,
    StartTls(TlsParameters),
    Tls(TlsParameters),
}

pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
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
        let language = match environment.language("EMAIL_LANGUAGE")? {
            Some(language) => Some(language),
            None => environment.language("CHALLENGER_LANGUAGE")?,
        };
        let subject = match environment.text("EMAIL_SUBJECT")? {
            Some(subject) => Some(subject),
            None => environment.text("CHALLENGER_SUBJECT")?,
        };
        let subject = subject.map(|subject| text::plain(&subject));
        let subject = subject.unwrap_or_else(|| default_subject(language.as_deref()).to_owned());
        let reply_to = environment.mailbox("EMAIL_REPLY_TO")?;
        let timeout = Duration::from_secs(environment.timeout()?);
        let route = match environment.text("SMTP_HOST")? {
            None => Route::Sendmail(environment.sendmail()?),
            Some(host) => Route::Smtp(environment.smtp(host)?),
        };
        Ok(Self { from, reply_to, subject, language, route, timeout })
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
        let (person, address) = match text.trim().strip_suffix('>') {
            None => ("", text.as_str()),
            Some(text) => text.rsplit_once('<').unwrap_or_default(),
        };
        let person = person.trim().trim_matches('"');
        let person = Some(person).filter(|it| !it.is_empty()).map(ToOwned::to_owned);
        let address = address::parse(address.trim()).ok_or_else(|| {
            format!(
                "{name} is {text:?}: expected noreply@shop.example or Shop <noreply@shop.example>"
            )
        })?;
        Ok(Some(Mailbox::new(person, address)))
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
                "there is no program {program}: expected a mail server in SMTP_HOST, or the path \
                 of a sendmail program in SENDMAIL"
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
        let login = match (self.text("SMTP_USER")?, self.text("SMTP_PASSWORD")?) {
            (None, None) => None,
            (Some(user), Some(password)) => Some(Login { user, password }),
            (Some(_), None) => return Err("SMTP_USER is set, but not SMTP_PASSWORD".to_owned()),
            (None, Some(_)) => return Err("SMTP_PASSWORD is set, but not SMTP_USER".to_owned()),
        };
        let is_local = address.map_or(host == "localhost", |address| address.is_loopback());
        if matches!(security, Security::None) && login.is_some() && !is_local {
            return Err(
                "SMTP_SECURITY is none, which would show SMTP_PASSWORD to the network: expected \
                 tls or starttls, or a server on this machine"
                    .to_owned(),
            );
        }
        Ok(Smtp { host, port, security, login })
    }

    /// How to verify the server: by an authority that this machine trusts, or by `SMTP_CA_FILE`.
    fn tls(&self, host: &str) -> Result<TlsParameters, String> {
        let mut tls = TlsParameters::builder(host.to_owned());
        let file = self.text("SMTP_CA_FILE")?.unwrap_or_default();
        let refused = |what: &str| format!("SMTP_CA_FILE {file}: {what}");
        if !file.is_empty() {
            let pem = fs::read(&file).map_err(|error| refused(&error.to_string()))?;
            if !pem.windows(11).any(|window| window == b"-----BEGIN ") {
                return Err(refused("there is no certificate in PEM format in it"));
            }
            let certificates =
                Certificate::from_pem(&pem).map_err(|error| refused(&cause(&error)))?;
            tls = tls.add_root_certificate(certificates);
        }
        tls.build().map_err(|error| refused(&cause(&error)))
    }
}

/// The cause of an error, without its kind.
fn cause(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
