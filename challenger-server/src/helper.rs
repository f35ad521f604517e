//! The helper: the operator's command, with the message it delivers.

use challenger_proto::Transmission;

use crate::log;
use crate::pages::MessageTemplate;
use crate::process::Command;
use crate::responder::{Helper, HelperError};

/// Runs `AUTH_COMMAND` for each message.
pub struct AuthCommand {
    /// The program.
    pub command: Command,
    /// What the message says.
    pub message: MessageTemplate,
    /// Our own host, for the message.
    pub host: String,
}

impl Helper for AuthCommand {
    fn send(&self, transmission: &Transmission) -> Result<(), HelperError> {
        let message = self.message.render(&transmission.variables(&self.host));
        let result = self.command.run(&transmission.argument, &message, &transmission.secrets());
        let (said, result) = match result {
            Ok(said) => (said, Ok(())),
            Err(error) => (error.output.clone(), Err(HelperError(error.to_string()))),
        };
        if !said.is_empty() {
            log::info(format_args!("the helper said: {said}"));
        }
        result
    }
}
