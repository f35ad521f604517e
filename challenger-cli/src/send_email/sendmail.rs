//! Delivery by the sendmail program of this machine, which Postfix, Exim and many others provide.

use std::time::Duration;

use challenger_server::process::{self, HelperCommand, ProcessErrorKind};

use super::failure::{DeliveryError, Private};
use super::mail::Mail;

/// The status of a program that would like to be asked again later: `EX_TEMPFAIL` of sysexits.h.
const TRY_AGAIN: i32 = 75;

/// Hands the mail over, and waits until the program has ended.
///
/// # Errors
/// The program did not take the mail.
pub(super) fn send(
    program: &str,
    limit: Duration,
    mail: &Mail,
    private: &Private,
) -> Result<(), DeliveryError> {
    // A dot is not the end, and whatever the recipient begins with, it is not an option.
    let arguments = ["-i", "-f", mail.from.as_ref(), "--"];
    let command = HelperCommand::new(program, limit).with_arguments(&arguments);
    // On this machine, lines end in a line feed alone.
    let text = mail.text.replace("\r\n", "\n");
    let Err(error) =
        command.run(mail.to.as_ref(), &text, &[], &[process::Private::Address(mail.to.as_ref())])
    else {
        return Ok(());
    };
    let mut why = format!("{program}: {error}");
    if !error.output.is_empty() {
        why.push_str(": ");
        why.push_str(&private.hide(&error.output));
    }
    Err(match error.kind {
        ProcessErrorKind::Status(TRY_AGAIN) | ProcessErrorKind::TimedOut(_) => {
            DeliveryError::Temporary(why)
        }
        ProcessErrorKind::Lost(_)
        | ProcessErrorKind::NotStarted(_)
        | ProcessErrorKind::Signal(_)
        | ProcessErrorKind::Status(_) => DeliveryError::Permanent(why),
    })
}
