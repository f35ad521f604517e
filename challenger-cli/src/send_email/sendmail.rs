//! Delivery by the sendmail program of this machine, which Postfix, Exim and many others provide.

use std::time::Duration;

use challenger_server::process::{HelperCommand, ProcessErrorKind};

use super::conversation::Kind;
use super::failure::DeliveryError;
use super::mail::Mail;
use crate::private::{Private, beginning};

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
    let recipient: &str = mail.to.as_ref();
    // Where the domain is this machine's own, some programs deliver such mail to a command, into a
    // file, or to a list that they read from a file.
    if recipient.trim_start_matches(['"', '\\', ' ']).starts_with(['|', '/', ':']) {
        let why = "a recipient that begins with | or / or : is not given to a sendmail program";
        return Err(DeliveryError::new(Kind::Address, why));
    }
    // A dot is not the end, and whatever the recipient begins with, it is not an option.
    let arguments = ["-i", "-f", mail.from.as_ref(), "--"];
    let command = HelperCommand::new(program, limit).with_arguments(&arguments);
    // On this machine, lines end in a line feed alone.
    let text = mail.text.replace("\r\n", "\n");
    let Err(error) = command.run(recipient, &text, &[], &private.texts()) else { return Ok(()) };
    let mut why = format!("{program}: {error}");
    if !error.output.is_empty() {
        why.push_str(": ");
        why.push_str(&beginning(&error.output));
    }
    let kind = match error.kind {
        ProcessErrorKind::Status(status) => kind(status),
        ProcessErrorKind::TimedOut(_) => Kind::Later,
        ProcessErrorKind::NotStarted(_) => Kind::Configuration,
        ProcessErrorKind::Lost(_) | ProcessErrorKind::Signal(_) => Kind::Unavailable,
    };
    Err(DeliveryError::new(kind, why))
}

/// What an exit status means, in the words of sysexits.h.
fn kind(status: i32) -> Kind {
    match status {
        // EX_NOUSER, EX_NOHOST.
        67 => Kind::Address,
        68 => Kind::Host,
        // EX_OSERR, EX_IOERR, EX_TEMPFAIL: there was no memory, no process, no space.
        71 | 74 | 75 => Kind::Later,
        // EX_USAGE, EX_NOPERM, EX_CONFIG: it does not want these arguments, or this sender.
        64 | 77 | 78 => Kind::Configuration,
        _ => Kind::Unavailable,
    }
}
