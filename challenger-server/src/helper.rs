//! The helper: the operator's command, with the message it delivers.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

use challenger_proto::{Failure, FailureKind, Transmission};
use log::Level;
use serde_json::json;

use crate::pages::{Message, Messages};
use crate::ports::Helper;
use crate::process::{HelperCommand, Private, ProcessErrorKind};
use crate::residents::{Delivered, ResidentError, Residents};
use crate::secrecy;

/// The program in `AUTH_COMMAND`, and how it is run.
pub enum Program {
    /// For each message.
    Once(HelperCommand),
    /// For one message after the other.
    Stays(Arc<Residents>),
}

/// Runs `AUTH_COMMAND`.
pub struct AuthCommand {
    /// The program.
    pub program: Program,
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
        let begun = Instant::now();
        let (code, nonce) = (transmission.pin.spelled(), transmission.nonce.to_text());
        let texts = [&transmission.argument, &code, &nonce].map(|text| Private::Text(text));
        let others: Vec<String> = transmission.address.other_spellings().collect();
        let address = transmission.address.fields().map(|(_, value)| value);
        let address = address.chain(others.iter().map(String::as_str)).map(Private::Address);
        let private: Vec<Private<'_>> = address.chain(texts).collect();
        let (program, outcome) = self.program.deliver(transmission, &message, &private);
        let ms = begun.elapsed().as_millis();
        let program = secrecy::quote(program);
        let Outcome { said, failure } = outcome;
        let said = Some(said.as_str()).filter(|said| !said.is_empty());
        let (level, kind, error) = match &failure {
            Some(it) => (Level::Warn, Some(it.kind.name()), Some(it.detail.as_str())),
            None => (Level::Info, None, None),
        };
        let client = transmission.client.number();
        let reference = transmission.nonce.digest().reference();
        log::log!(level, program:%, ms, client, reference, failure = kind, error, said; "message");
        failure.map_or(Ok(()), Err)
    }
}

/// What became of a message: the words of the helper, and why it was not sent.
struct Outcome {
    said: String,
    failure: Option<Failure>,
}

impl Program {
    /// Has a message delivered, and returns the program as well.
    fn deliver(
        &self,
        transmission: &Transmission,
        message: &Message,
        private: &[Private<'_>],
    ) -> (&str, Outcome) {
        let Transmission { language, argument, address, nonce, .. } = transmission;
        let Message { subject, text } = message;
        match self {
            Self::Once(command) => {
                let variables =
                    [("CHALLENGER_LANGUAGE", language.as_str()), ("CHALLENGER_SUBJECT", subject)];
                let outcome = match command.run(argument, text, &variables, private) {
                    Ok(said) => Outcome { said, failure: None },
                    Err(error) => {
                        let failure = Failure::new(kind_of(&error.kind), error.to_string());
                        Outcome { said: error.output, failure: Some(failure) }
                    }
                };
                (command.program(), outcome)
            }
            Self::Stays(residents) => {
                let reference = nonce.digest().reference();
                let line = json!({
                    "address": address.to_json(),
                    "argument": argument,
                    "language": language,
                    "message": text,
                    "reference": reference,
                    "subject": subject,
                });
                let Delivered { result, said } =
                    residents.deliver(&line.to_string(), &reference, private);
                let failure = result.err();
                let failure = failure.map(|it| Failure::new(kind_of_resident(&it), it.to_string()));
                (residents.program(), Outcome { said, failure })
            }
        }
    }
}

/// The meaning of a failure of a helper that stays: a status has the same as that of a program.
fn kind_of_resident(error: &ResidentError) -> FailureKind {
    match error {
        ResidentError::Answer(_) => FailureKind::Unknown,
        ResidentError::Paused(_) => FailureKind::TryLater,
        ResidentError::Process(kind) => kind_of(kind),
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
