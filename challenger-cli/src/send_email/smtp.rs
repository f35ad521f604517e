//! Delivery to an SMTP server. The library speaks the protocol; this module decides what to send,
//! how long to wait, and which answers count.

use std::error::Error as _;
use std::io::ErrorKind;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use challenger_server::this_process;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};

use super::failure::{DeliveryError, Private};
use super::mail::Mail;
use super::settings::{Security, Smtp};

/// How long the server may take to say goodbye, after it took or refused the mail.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long to wait for bytes that have arrived already, or never will.
const AT_ONCE: Duration = Duration::from_millis(1);

/// How much address space there is for the conversation, in bytes. The library keeps whatever the
/// server says until its line ends, and reserves twice as much as it has each time. An honest
/// conversation over TLS takes 140 MiB of addresses, most of which the allocator only sets aside
/// for the second thread, and 8 MiB of memory.
const MEMORY_MAX: u64 = 512 * 1024 * 1024;

/// How far the delivery got.
#[derive(Clone, Copy)]
enum Step {
    Connection,
    StartTls,
    Login,
    Sender,
    Recipient,
    Data,
    Message,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the connection",
            Self::StartTls => "STARTTLS",
            Self::Login => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Data => "any message",
            Self::Message => "the message",
        })
    }
}

/// An event that the delivering thread reports.
enum Event {
    Begun(Step),
    Ended(Result<(), DeliveryError>),
}

/// Delivers the mail, and waits no longer than `limit` for that, whatever the server does.
///
/// # Errors
/// The server did not take the mail.
pub(super) fn send(
    smtp: Smtp,
    limit: Duration,
    mail: Mail,
    private: Private,
) -> Result<(), DeliveryError> {
    let begun = Instant::now();
    this_process::limit_memory(MEMORY_MAX)
        .map_err(|error| DeliveryError::Temporary(format!("memory cannot be limited: {error}")))?;
    let place = format!("{}:{}", smtp.host, smtp.port);
    let (events, reports) = mpsc::channel();
    // The library's timeouts are per read, and looking up a name has none. So all of it happens in
    // another thread, which ends with the process at the latest.
    let delivery = Delivery { smtp, place: place.clone(), limit, mail, private, events };
    thread::Builder::new()
        .spawn(move || delivery.run())
        .map_err(|error| DeliveryError::Temporary(format!("no thread: {error}")))?;
    let mut step = Step::Connection;
    loop {
        match reports.recv_timeout(limit.saturating_sub(begun.elapsed())) {
            Ok(Event::Begun(next)) => step = next,
            Ok(Event::Ended(result)) => {
                // Nothing more comes, but the other end goes when the thread has said goodbye.
                let _ = reports.recv_timeout(GOODBYE);
                return result;
            }
            Err(RecvTimeoutError::Timeout) => return Err(no_answer(&place, step, limit)),
            Err(RecvTimeoutError::Disconnected) => panic!("the delivery ended without a result"),
        }
    }
}

fn no_answer(place: &str, step: Step, limit: Duration) -> DeliveryError {
    let seconds = limit.as_secs();
    DeliveryError::Temporary(format!(
        "no answer from {place} about {step} in time; SMTP_TIMEOUT is {seconds} s"
    ))
}

/// The thread that delivers.
struct Delivery {
    smtp: Smtp,
    place: String,
    limit: Duration,
    mail: Mail,
    private: Private,
    events: Sender<Event>,
}

impl Delivery {
    fn run(self) {
        let mut open = None;
        let result = self.deliver(&mut open);
        self.report(Event::Ended(result));
        if let Some(connection) = &mut open {
            // The mail is taken or refused; the answer to this changes nothing.
            let _ = connection.quit();
        }
    }

    /// Reports an event. Once the time is up, nobody receives it.
    fn report(&self, event: Event) {
        let _ = self.events.send(event);
    }

    fn deliver(&self, open: &mut Option<SmtpConnection>) -> Result<(), DeliveryError> {
        let connection = open.insert(self.connect()?);
        if let Some(login) = &self.smtp.login {
            let credentials = Credentials::new(login.user.clone(), login.password.clone());
            self.take(Step::Login, Severity::PositiveCompletion, || {
                connection.auth(DEFAULT_MECHANISMS, &credentials)
            })?;
        }
        let parameters = self.parameters(connection)?;
        self.take(Step::Sender, Severity::PositiveCompletion, || {
            connection.command(MailFrom::new(Some(self.mail.from.clone()), parameters))
        })?;
        self.take(Step::Recipient, Severity::PositiveCompletion, || {
            connection.command(Rcpt::new(self.mail.to.clone(), Vec::new()))
        })?;
        self.take(Step::Data, Severity::PositiveIntermediate, || connection.command(Data))?;
        self.take(Step::Message, Severity::PositiveCompletion, || {
            connection.message(self.mail.text.as_bytes())
        })
    }

    /// Takes a step. Only an answer of the right kind counts: after a wrong one, we and the server
    /// may not be talking about the same thing any more.
    fn take(
        &self,
        step: Step,
        wanted: Severity,
        ask: impl FnOnce() -> Result<Response, Error>,
    ) -> Result<(), DeliveryError> {
        self.report(Event::Begun(step));
        let response = ask().map_err(|error| self.error(step, &error))?;
        if response.code().severity == wanted {
            return Ok(());
        }
        let (place, code) = (&self.place, response.code());
        Err(DeliveryError::Permanent(format!(
            "{place} answered {code} to {step}, which makes no sense"
        )))
    }

    /// Connects, as securely as the operator wants it.
    fn connect(&self) -> Result<SmtpConnection, DeliveryError> {
        let tls = match &self.smtp.security {
            Security::Tls(tls) => Some(tls),
            Security::None | Security::StartTls(_) => None,
        };
        let place = (self.smtp.host.as_str(), self.smtp.port);
        // If the name has two addresses, the second one has to get its turn.
        let patience = Some(self.limit / 2);
        let mut connection =
            SmtpConnection::connect(place, patience, &ClientId::default(), tls, None)
                .map_err(|error| self.error(Step::Connection, &error))?;
        self.set_timeout(&mut connection, self.limit)?;
        if let Security::StartTls(tls) = &self.smtp.security {
            self.start_tls(&mut connection, tls)?;
        }
        Ok(connection)
    }

    fn start_tls(
        &self,
        connection: &mut SmtpConnection,
        tls: &TlsParameters,
    ) -> Result<(), DeliveryError> {
        self.report(Event::Begun(Step::StartTls));
        let place = &self.place;
        if !connection.can_starttls() {
            let why = format!("{place} offers no STARTTLS, without which nothing is sent to it");
            return Err(DeliveryError::Permanent(why));
        }
        connection
            .starttls(tls, &ClientId::default())
            .map_err(|error| self.error(Step::StartTls, &error))?;
        // The library keeps what came together with the answer to STARTTLS, in clear, perhaps from
        // somebody in between, and takes it for answers to what we ask later. One such answer was
        // used up by now; the others would be here at once. If there was only the one, all answers
        // come a command late from now on, and the one to DATA will be wrong.
        self.set_timeout(connection, AT_ONCE)?;
        match connection.read_response() {
            Err(error) if is_waiting(&error) => self.set_timeout(connection, self.limit),
            _ => Err(DeliveryError::Permanent(format!(
                "{place} answers what nobody asked, after STARTTLS"
            ))),
        }
    }

    fn set_timeout(
        &self,
        connection: &mut SmtpConnection,
        time: Duration,
    ) -> Result<(), DeliveryError> {
        connection
            .set_timeout(Some(time))
            .map_err(|error| DeliveryError::Temporary(format!("{}: {error}", self.place)))
    }

    /// The parameters of the sender: support for addresses that are not ASCII, if there are any
    /// (RFC 6531). Everything else in the mail is ASCII.
    fn parameters(&self, connection: &SmtpConnection) -> Result<Vec<MailParameter>, DeliveryError> {
        if self.mail.text.is_ascii() {
            return Ok(Vec::new());
        }
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = format!("{} takes no addresses with letters outside of ASCII", self.place);
            return Err(DeliveryError::Permanent(why));
        }
        Ok(vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)])
    }

    /// The error of a step.
    fn error(&self, step: Step, error: &Error) -> DeliveryError {
        let place = &self.place;
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        let cause = self.private.hide(&cause);
        if let Some(code) = error.status() {
            let why = format!("{place} refused {step}: {code} {cause}");
            return if error.is_transient() {
                DeliveryError::Temporary(why)
            } else {
                DeliveryError::Permanent(why)
            };
        }
        if is_waiting(error) {
            return no_answer(place, step, self.limit);
        }
        let mut why = format!("{place}, at {step}: {cause}");
        if cause.ends_with("UnknownIssuer") {
            why.push_str("; if this is the right server, name its authority in SMTP_CA_FILE");
        } else if cause.contains("corrupt message") {
            why.push_str("; does SMTP_SECURITY fit this port?");
        }
        match kind(error) {
            // Errors of TLS come as invalid data, those of the library itself without a kind.
            Some(ErrorKind::InvalidData) => DeliveryError::Permanent(why),
            None if error.is_client() => DeliveryError::Permanent(why),
            _ => DeliveryError::Temporary(why),
        }
    }
}

/// The system's kind of an error.
fn kind(error: &Error) -> Option<ErrorKind> {
    error.source()?.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// Whether the time for an answer ran out.
fn is_waiting(error: &Error) -> bool {
    matches!(kind(error), Some(ErrorKind::TimedOut | ErrorKind::WouldBlock))
}
