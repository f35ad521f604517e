//! Delivery to an SMTP server: carries out what the conversation decides, within the time that
//! there is, and says what went wrong. The connection may serve several mails.

pub(super) mod name;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use challenger_server::this_process;

use super::conversation::{
    Conversation, Failure, Kind, Login, Next, Plan, Protection, REPLY_MAX, Step,
};
use super::failure::{DeliveryError, add_login};
use super::mail::Mail;
use super::settings::{Security, Smtp};
use crate::common::of_helper;
use crate::exit::Exit;
use crate::private::Private;
use crate::stream::{Stream, Timed};

/// How long the server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long it may take to show that a connection from before is still there. If the network has
/// lost it, nobody says so.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);
/// How much to read at a time, in bytes.
const READ_LEN: usize = 4096;

/// How much address space there is for the delivery, in bytes. An honest conversation over TLS
/// takes 140 MiB of addresses, most of which the allocator only sets aside for a second thread, and
/// 8 MiB of memory.
const MEMORY_MAX: u64 = 512 * 1024 * 1024;

/// What delivers to a server, and keeps the connection to it.
#[derive(Default)]
pub(super) struct Client {
    kept: Option<Connection>,
}

/// An open connection.
struct Connection {
    stream: Stream,
    conversation: Conversation,
}

impl Client {
    /// Delivers a mail, and waits no longer than `limit` for that, whatever the server does. The
    /// server is always the same.
    ///
    /// # Errors
    /// The server did not take the mail, or there is no login.
    pub(super) fn send(
        &mut self,
        smtp: &Smtp,
        limit: Duration,
        mail: &Mail,
        private: Private,
    ) -> Result<(), Exit> {
        let mut delivery = Delivery::begin(smtp, limit, private)?;
        if let Some(mut connection) = self.kept.take() {
            connection.conversation.go_on(mail.transaction());
            let result = delivery.converse(&mut connection, smtp);
            if !connection.conversation.is_stale() {
                self.keep(connection, &delivery);
                return result.map_err(|error| error.exit());
            }
        }
        let login = smtp.login().map_err(Exit::misconfigured)?;
        let begin = |plan| Conversation::new(plan, mail.transaction());
        let opened = delivery.open(smtp, login, begin);
        let mut connection = opened.map_err(|error| error.exit())?;
        let result = delivery.converse(&mut connection, smtp);
        self.keep(connection, &delivery);
        result.map_err(|error| error.exit())
    }

    /// Says goodbye to the server.
    pub(super) fn close(&mut self) {
        if let Some(connection) = self.kept.take() {
            connection.close();
        }
    }

    /// Keeps a connection, if it is good for another mail.
    fn keep(&mut self, connection: Connection, delivery: &Delivery) {
        if connection.conversation.can_go_on() {
            self.kept = Some(connection);
        } else if !delivery.is_late() {
            connection.close();
        }
    }
}

/// Finds out whether the server takes mail of this sender, and waits no longer than `limit` for
/// that. Nothing is sent.
///
/// # Errors
/// What the server does not like, and the setting that it is about.
pub(super) fn probe(smtp: &Smtp, limit: Duration, from: String) -> Result<(), Exit> {
    let mut delivery = Delivery::begin(smtp, limit, Private::default())?;
    let login = smtp.login().map_err(|why| Exit::misconfigured(of_helper(&why)))?;
    let opened = delivery.open(smtp, login, |plan| Conversation::probe(plan, from));
    let mut connection = opened.map_err(|error| error.found("SMTP_HOST"))?;
    let result = delivery.converse(&mut connection, smtp);
    let setting = match connection.conversation.step() {
        Step::Login => "SMTP_USER",
        Step::Sender => "EMAIL_FROM",
        _ => "SMTP_HOST",
    };
    if !delivery.is_late() {
        connection.close();
    }
    result.map_err(|error| error.found(setting))
}

impl Connection {
    /// Says goodbye. Whatever the server replies to that changes nothing.
    fn close(mut self) {
        self.stream.set_deadline(Instant::now() + GOODBYE);
        let said = self.stream.write_all(b"QUIT\r\n").and_then(|()| self.stream.flush());
        if said.is_ok() {
            let _ = io::copy(&mut self.stream, &mut io::sink());
        }
    }
}

/// The delivery of one mail.
struct Delivery {
    place: String,
    limit: Duration,
    deadline: Instant,
    private: Private,
}

impl Delivery {
    /// Begins the time of a delivery.
    fn begin(smtp: &Smtp, limit: Duration, private: Private) -> Result<Self, Exit> {
        let deadline = Instant::now() + limit;
        this_process::limit_memory(MEMORY_MAX).map_err(|error| {
            DeliveryError::new(Kind::Later, format!("memory cannot be limited: {error}")).exit()
        })?;
        Ok(Self { place: format!("{}:{}", smtp.host, smtp.port), limit, deadline, private })
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Opens a connection, for a conversation that begins so.
    fn open(
        &self,
        smtp: &Smtp,
        login: Option<Login>,
        begin: impl FnOnce(Plan) -> Conversation,
    ) -> Result<Connection, DeliveryError> {
        let broken = |error| self.broken(Step::Connection, &error);
        let tcp = Timed::connect(&smtp.host, smtp.port, self.deadline).map_err(broken)?;
        let local = tcp.local_addr().map_err(broken)?;
        let mut stream = Stream::new(tcp);
        let protection = match &smtp.security {
            Security::None => Protection::None,
            Security::StartTls(_) => Protection::StartTls,
            Security::Tls(tls) => {
                stream.encrypt(tls).map_err(broken)?;
                Protection::Tls
            }
        };
        let hello = smtp.hello.clone().unwrap_or_else(|| name::hello(local.ip()));
        let plan = Plan { hello, protection, login };
        Ok(Connection { stream, conversation: begin(plan) })
    }

    /// Carries the conversation out.
    fn converse(&mut self, connection: &mut Connection, smtp: &Smtp) -> Result<(), DeliveryError> {
        let Connection { stream, conversation } = connection;
        if let Some(login) = conversation.login() {
            add_login(&mut self.private, login);
        }
        let sign_of_life = Instant::now() + SIGN_OF_LIFE.min(self.limit / 2);
        // The last error of the connection. The server's last words come before it.
        let mut broken = None;
        loop {
            let next = conversation.advance();
            let step = conversation.step();
            let is_reset = step == Step::Reset;
            stream.set_deadline(if is_reset { sign_of_life } else { self.deadline });
            let done = match next {
                Next::Read => read(stream, conversation),
                Next::Send(bytes) => stream.write_all(&bytes).and_then(|()| stream.flush()),
                Next::StartTls => {
                    if let Security::StartTls(tls) = &smtp.security {
                        stream.encrypt(tls).map_err(|error| self.broken(step, &error))?;
                    }
                    conversation.encrypted();
                    Ok(())
                }
                Next::End(result) => {
                    return result.map_err(|failure| self.explain(&failure, broken));
                }
            };
            match done {
                Err(error) if self.is_late() => return Err(self.broken(step, &error)),
                Err(error) => broken = broken.or(Some(error)),
                Ok(()) => {}
            }
        }
    }

    /// The connection does not come about, or breaks, or the time is up.
    fn broken(&self, step: Step, error: &io::Error) -> DeliveryError {
        if self.is_late() {
            let (place, seconds) = (&self.place, self.limit.as_secs());
            let why =
                format!("no answer from {place} about {step} in time; SMTP_TIMEOUT is {seconds} s");
            return DeliveryError::new(Kind::Later, why);
        }
        let cause = self.private.hide(&error.to_string());
        let mut why = format!("{}, at {step}: {cause}", self.place);
        if cause.ends_with("UnknownIssuer") {
            why.push_str("; if this is the right server, name its authority in SMTP_CA_FILE");
        } else if cause.contains("corrupt message") {
            why.push_str("; does SMTP_SECURITY fit this port?");
        }
        // Errors of TLS come as invalid data.
        let is_tls = error.kind() == ErrorKind::InvalidData;
        DeliveryError::new(if is_tls { Kind::Configuration } else { Kind::Later }, why)
    }

    fn explain(&self, failure: &Failure, broken: Option<io::Error>) -> DeliveryError {
        let place = &self.place;
        let why = match failure {
            Failure::Refused(step, reply) => {
                let text = self.private.hide(&reply.text());
                let mut why = format!("{place} refused {step}: {} {text}", reply.code);
                if *step == Step::Hello && reply.class() == 5 {
                    why.push_str("; SMTP_HELO can be a name that it accepts");
                }
                why
            }
            Failure::Senseless(step, reply) => {
                let code = reply.code;
                format!("{place} answered {code} to {step}, which makes no sense")
            }
            Failure::NoReply(step) => {
                format!("{place}, at {step}: the answer is not one of a mail server")
            }
            Failure::TooLong(step) => {
                format!("{place}, at {step}: the answer is longer than {REPLY_MAX} bytes")
            }
            Failure::Closed(step) => {
                let error = broken.unwrap_or_else(|| io::Error::other("the connection was closed"));
                return self.broken(*step, &error);
            }
            Failure::NoStartTls => {
                format!("{place} offers no STARTTLS, without which nothing is sent to it")
            }
            Failure::Unasked => {
                format!("{place} sent more than its reply to STARTTLS: somebody may be in between")
            }
            Failure::NoMechanism(offered) => {
                let offered = self.private.hide(&offered.join(" "));
                let offered = if offered.is_empty() { "none".to_owned() } else { offered };
                format!(
                    "{place} offers no login for these settings: SMTP_PASSWORD needs PLAIN or \
                     LOGIN, SMTP_OAUTH2_TOKEN_FILE needs XOAUTH2; it offers {offered}"
                )
            }
            Failure::NoUtf8 { .. } => {
                format!("{place} takes no addresses with letters outside of ASCII")
            }
        };
        DeliveryError::new(failure.kind(), why)
    }
}

/// Reads what there is to read. An error ends the conversation.
fn read(stream: &mut Stream, conversation: &mut Conversation) -> io::Result<()> {
    let mut buffer = [0; READ_LEN];
    match stream.read(&mut buffer) {
        Ok(0) => conversation.close(),
        Ok(count) => conversation.take(buffer.get(..count).unwrap_or_default()),
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        // TLS calls it that if the server just hangs up.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => conversation.close(),
        Err(error) => {
            conversation.close();
            return Err(error);
        }
    }
    Ok(())
}
