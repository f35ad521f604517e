//! Delivery to an SMTP server: carries out what the conversation decides, within the time that
//! there is, and says what went wrong.

pub(super) mod name;
pub(super) mod stream;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use challenger_server::this_process;

use super::conversation::{Conversation, Failure, Kind, Next, Plan, Protection, REPLY_MAX, Step};
use super::failure::DeliveryError;
use super::mail::Mail;
use super::settings::{Security, Smtp};
use crate::private::Private;
use stream::{Stream, Tls};

/// How long the server may take to say goodbye, after it took or refused the mail.
const GOODBYE: Duration = Duration::from_secs(1);
/// How much to read at a time, in bytes.
const READ_LEN: usize = 4096;

/// How much address space there is for the delivery, in bytes. An honest conversation over TLS
/// takes 140 MiB of addresses, most of which the allocator only sets aside for the second thread,
/// and 8 MiB of memory.
const MEMORY_MAX: u64 = 512 * 1024 * 1024;

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
    this_process::limit_memory(MEMORY_MAX).map_err(|error| {
        DeliveryError::new(Kind::Later, format!("memory cannot be limited: {error}"))
    })?;
    let place = format!("{}:{}", smtp.host, smtp.port);
    let (events, reports) = mpsc::channel();
    // Looking up a name has no time limit, and a read only one of its own. So all of it happens in
    // another thread, which ends with the process at the latest.
    let delivery = Delivery { place: place.clone(), limit, private, events };
    thread::Builder::new()
        .spawn(move || delivery.run(smtp, mail))
        .map_err(|error| DeliveryError::new(Kind::Later, format!("no thread: {error}")))?;
    let mut step = Step::Connection;
    loop {
        match reports.recv_timeout(limit.saturating_sub(begun.elapsed())) {
            Ok(Event::Begun(next)) => step = next,
            Ok(Event::Ended(result)) => {
                // Nothing more comes, but the other end goes when the thread has said goodbye.
                let _ = reports.recv_timeout(GOODBYE);
                return result;
            }
            Err(RecvTimeoutError::Timeout) => {
                let seconds = limit.as_secs();
                let why = format!(
                    "no answer from {place} about {step} in time; SMTP_TIMEOUT is {seconds} s"
                );
                return Err(DeliveryError::new(Kind::Later, why));
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the delivery ended without a result"),
        }
    }
}

/// The thread that delivers.
struct Delivery {
    place: String,
    limit: Duration,
    private: Private,
    events: Sender<Event>,
}

impl Delivery {
    fn run(self, smtp: Smtp, mail: Mail) {
        let mut open = None;
        let result = self.deliver(smtp, mail, &mut open);
        self.report(Event::Ended(result));
        if let Some(mut stream) = open {
            // The mail is taken or refused; the reply to this changes nothing.
            let said = stream.write_all(b"QUIT\r\n").and_then(|()| stream.flush());
            if said.is_ok() {
                let _ = io::copy(&mut stream, &mut io::sink());
            }
        }
    }

    /// Reports an event. Once the time is up, nobody receives it.
    fn report(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Delivers, and leaves the connection open if there is one to say goodbye on.
    fn deliver(
        &self,
        smtp: Smtp,
        mail: Mail,
        open: &mut Option<Stream>,
    ) -> Result<(), DeliveryError> {
        let tcp = self.connect(&smtp).map_err(|error| self.broken(Step::Connection, &error))?;
        let local = tcp.local_addr().map_err(|error| self.broken(Step::Connection, &error))?;
        let mut stream = Stream::Clear(tcp);
        let (protection, tls) = match smtp.security {
            Security::None => (Protection::None, None),
            Security::StartTls(tls) => (Protection::StartTls, Some(tls)),
            Security::Tls(tls) => (Protection::Tls, Some(tls)),
        };
        if protection == Protection::Tls {
            stream = self.encrypt(Step::Connection, stream, tls.as_ref())?;
        }
        let conversation = Conversation::new(Plan {
            hello: smtp.hello.unwrap_or_else(|| name::hello(local.ip())),
            protection,
            login: smtp.login,
            from: mail.from.to_string(),
            to: mail.to.to_string(),
            text: mail.text,
        });
        self.converse(conversation, stream, tls.as_ref(), open)
    }

    fn connect(&self, smtp: &Smtp) -> io::Result<TcpStream> {
        let addresses = (smtp.host.as_str(), smtp.port).to_socket_addrs()?;
        Stream::connect(&addresses.collect::<Vec<SocketAddr>>(), self.limit)
    }

    fn encrypt(
        &self,
        step: Step,
        stream: Stream,
        tls: Option<&Tls>,
    ) -> Result<Stream, DeliveryError> {
        let Some(tls) = tls else { return Ok(stream) };
        stream.encrypt(tls).map_err(|error| self.broken(step, &error))
    }

    /// Carries the conversation out.
    fn converse(
        &self,
        mut conversation: Conversation,
        mut stream: Stream,
        tls: Option<&Tls>,
        open: &mut Option<Stream>,
    ) -> Result<(), DeliveryError> {
        // The last error of the connection. The server's last words come before it.
        let mut broken = None;
        loop {
            let next = conversation.advance();
            let step = conversation.step();
            self.report(Event::Begun(step));
            match next {
                Next::Read => {
                    let mut buffer = [0; READ_LEN];
                    match stream.read(&mut buffer) {
                        Ok(0) => conversation.close(),
                        Ok(count) => conversation.take(buffer.get(..count).unwrap_or_default()),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        // TLS calls it that if the server just hangs up.
                        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                            conversation.close();
                        }
                        Err(error) => {
                            broken = broken.or(Some(error));
                            conversation.close();
                        }
                    }
                }
                Next::Send(bytes) => {
                    if let Err(error) = stream.write_all(&bytes).and_then(|()| stream.flush()) {
                        broken = Some(error);
                    }
                }
                Next::StartTls => {
                    stream = self.encrypt(step, stream, tls)?;
                    conversation.encrypted();
                }
                Next::End(result) => {
                    *open = Some(stream);
                    return result.map_err(|failure| self.explain(&failure, broken));
                }
            }
        }
    }

    /// The connection does not come about, or breaks.
    fn broken(&self, step: Step, error: &io::Error) -> DeliveryError {
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
