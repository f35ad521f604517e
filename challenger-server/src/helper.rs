//! The helper: the operator's command, with the message it delivers.

use std::io::ErrorKind;
use std::time::Instant;

use challenger_proto::{Failure, FailureKind, Transmission};
use log::Level;

use crate::pages::Messages;
use crate::ports::Helper;
use crate::process::{HelperCommand, Private, ProcessErrorKind};
use crate::secrecy;

/// The settings by which the shipped helpers limit themselves, in seconds, with their defaults and
/// the helpers that have them.
pub(crate) const OWN_LIMITS: [(&str, u64, &[&str]); 4] = [
    ("HTTP_TIMEOUT", 25, &["challenger-send-http"]),
    ("PINGEN_TIMEOUT", 25, &["challenger-send-post.sh"]),
    ("SMTP_TIMEOUT", 20, &["challenger-send-email", "challenger-send-email.sh"]),
    ("TELESIGN_TIMEOUT", 25, &["challenger-send-sms.sh"]),
];

/// Runs `AUTH_COMMAND` for each message.
pub struct AuthCommand {
    /// The program.
    pub command: HelperCommand,
    /// The message in each language.
    pub messages: Messages,
    /// The host of the service, for the message.
    pub host: String,
}

impl Helper for AuthCommand {
    fn send(&self, transmission: &Transmission) -> Result<(), Failure> {
        let language = transmission.language.as_str();
        let Some(message) = self.messages.render(language, &transmission.variables(&self.host))
        else {
            let how = format!("there is no message in {language}");
            return Err(Failure::new(FailureKind::Misconfigured, how));
        };
        let variables =
            [("CHALLENGER_LANGUAGE", language), ("CHALLENGER_SUBJECT", &message.subject)];
        let begun = Instant::now();
        let argument = &transmission.argument;
        let (code, nonce) = (transmission.pin.spelled(), transmission.nonce.to_text());
        let texts = [argument, &code, &nonce].map(|text| Private::Text(text));
        let others: Vec<String> = transmission.address.other_spellings().collect();
        let address = transmission.address.fields().map(|(_, value)| value);
        let address = address.chain(others.iter().map(String::as_str)).map(Private::Address);
        let private: Vec<Private<'_>> = address.chain(texts).collect();
        let result = self.command.run(argument, &message.text, &variables, &private);
        let ms = begun.elapsed().as_millis();
        let program = secrecy::quote(self.command.program());
        let (level, said) = match &result {
            Ok(said) => (Level::Info, said),
            Err(error) => (Level::Warn, &error.output),
        };
        let said = Some(said.as_str()).filter(|said| !said.is_empty());
        let failure = result
            .as_ref()
            .err()
            .map(|error| Failure::new(kind_of(&error.kind), error.to_string()));
        let (kind, error) = match &failure {
            Some(failure) => (Some(failure.kind.name()), Some(failure.detail.as_str())),
            None => (None, None),
        };
        log::log!(level, program:%, ms, failure = kind, error, said; "message");
        failure.map_or(Ok(()), Err)
    }
}

/// The meaning of a helper's end, by the exit statuses of sysexits.h that are the contract with
/// helpers.
fn kind_of(error: &ProcessErrorKind) -> FailureKind {
    match error {
        // EX_NOUSER, EX_NOHOST
        ProcessErrorKind::Status(67 | 68) => FailureKind::AddressRefused,
        // EX_TEMPFAIL
        ProcessErrorKind::Status(75) => FailureKind::TryLater,
        // EX_CONFIG
        ProcessErrorKind::Status(78) => FailureKind::Misconfigured,
        ProcessErrorKind::NotStarted(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) =>
        {
            FailureKind::Misconfigured
        }
        ProcessErrorKind::Lost(_)
        | ProcessErrorKind::NotStarted(_)
        | ProcessErrorKind::Signal(_)
        | ProcessErrorKind::Status(_)
        | ProcessErrorKind::TimedOut(_) => FailureKind::Unknown,
    }
}
