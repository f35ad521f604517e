//! The helper: the operator's command, with the message it delivers.

use std::time::Instant;

use challenger_proto::Transmission;
use log::Level;

use crate::pages::Messages;
use crate::ports::{Helper, HelperError};
use crate::process::{HelperCommand, Private};
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
    fn send(&self, transmission: &Transmission) -> Result<(), HelperError> {
        let language = transmission.language.as_str();
        let Some(message) = self.messages.render(language, &transmission.variables(&self.host))
        else {
            return Err(HelperError(format!("there is no message in {language}")));
        };
        let variables =
            [("CHALLENGER_LANGUAGE", language), ("CHALLENGER_SUBJECT", &message.subject)];
        let begun = Instant::now();
        let argument = &transmission.argument;
        let (code, nonce) = (transmission.pin.spelled(), transmission.nonce.to_text());
        let texts = [argument, &code, &nonce].map(|text| Private::Text(text));
        let address = transmission.address.fields().map(|(_, value)| Private::Address(value));
        let private: Vec<Private<'_>> = address.chain(texts).collect();
        let result = self.command.run(argument, &message.text, &variables, &private);
        let ms = begun.elapsed().as_millis();
        let program = secrecy::quote(self.command.program());
        let (level, error, said) = match &result {
            Ok(said) => (Level::Info, None, said),
            Err(error) => (Level::Warn, Some(error.to_string()), &error.output),
        };
        let said = Some(said.as_str()).filter(|said| !said.is_empty());
        log::log!(level, program:%, ms, error = error.as_deref(), said; "message");
        result.map(drop).map_err(|error| HelperError(error.to_string()))
    }
}
