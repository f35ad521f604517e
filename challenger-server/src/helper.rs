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
        match result {
            Ok(said) => {
                if !said.is_empty() {
                    log::info(format_args!("{} said: {said}", self.command.program()));
                }
                Ok(())
            }
            Err(error) => {
                let program = self.command.program();
                let said = if error.output.is_empty() { "nothing" } else { &error.output };
                log::warn(format_args!("{program} failed: {error}; it said: {said}"));
                Err(HelperError(error.to_string()))
            }
        }
    }
}
