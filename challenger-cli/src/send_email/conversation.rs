//! The conversation with a mail server that takes messages (RFC 5321, 3207, 4954), without IO:
//! bytes of the server in, commands out. It is lenient about what it reads and strict about what it
//! sends.
//!
//! Public for its fuzz target and the tests, and for no other program.

mod login;
mod offer;
mod reply;
mod verdict;

use std::fmt;
use std::vec::IntoIter;

pub use login::{Login, Secret};
pub use reply::{REPLY_MAX, Reply};
pub use verdict::Kind;

use login::Exchange;
use offer::Offer;
use reply::{Malformed, Replies};

/// The code of a server that closes the connection, at whatever step (RFC 5321 §3.8).
const CLOSING: u16 = 421;

/// How the conversation is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    None,
    /// By TLS after STARTTLS (RFC 3207), without which nothing is sent.
    StartTls,
    /// By TLS from the beginning (RFC 8314 §3.3).
    Tls,
}

/// How to get to the point where mail can be sent. No text may contain a control character.
pub struct Plan {
    /// Our name for EHLO: a domain, or an address literal.
    pub hello: String,
    /// How to protect the conversation.
    pub protection: Protection,
    /// The account, if the server wants one.
    pub login: Option<Login>,
}

/// One mail (RFC 5321 §3.3). No address may contain a control character.
#[derive(Clone, Default)]
pub struct Transaction {
    /// The sender of the envelope.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// Headers and body.
    pub text: String,
}

/// How far the conversation is: what the next reply is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The greeting of the server.
    Connection,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// AUTH, and what follows from it.
    Login,
    /// RSET, before each mail but the first.
    Reset,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// The dot behind the message.
    Message,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the connection",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Login => "the login",
            Self::Reset => "RSET",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Data => "any message",
            Self::Message => "the message",
        })
    }
}

/// What the other side of this value has to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read from the server, and pass what there is to [`Conversation::take`], or its end to
    /// [`Conversation::close`].
    Read,
    /// Send these bytes.
    Send(Vec<u8>),
    /// Begin TLS, and call [`Conversation::encrypted`] when that has worked.
    StartTls,
    /// Nothing more: the server has taken the message, or it has not. The next one may follow, if
    /// it [can](Conversation::can_go_on); otherwise QUIT would be polite.
    End(Result<(), Failure>),
}

/// Why the server has not taken the message, as far as anybody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server said no, for now (4yz) or for good (5yz).
    Refused(Step, Reply),
    /// The server said something that does not answer this.
    Senseless(Step, Reply),
    /// The server said something that is not SMTP.
    NoReply(Step),
    /// A reply was longer than [`REPLY_MAX`].
    TooLong(Step),
    /// The connection was closed.
    Closed(Step),
    /// The server does not offer STARTTLS.
    NoStartTls,
    /// There was more than the reply to STARTTLS, in clear, perhaps from somebody in between.
    Unasked,
    /// The server offers other ways to log in, namely these.
    NoMechanism(Vec<String>),
    /// The message has addresses with letters outside of ASCII, and the server does not offer
    /// SMTPUTF8 (RFC 6531).
    NoUtf8 {
        /// Whether the recipient is such an address, and not only the operator's.
        is_recipient: bool,
    },
}

/// A conversation. Let it [`advance`](Self::advance) until it ends.
pub struct Conversation {
    plan: Plan,
    /// The mail at hand; empty after its end.
    transaction: Transaction,
    /// Whether it is not the first one.
    is_next: bool,
    /// Whether it ends before the recipient, and no mail is sent.
    is_probe: bool,
    step: Step,
    replies: Replies,
    /// What to do before the next reply.
    waiting: Option<Next>,
    offer: Offer,
    /// What is left to respond in the login.
    responses: IntoIter<String>,
    is_encrypted: bool,
    is_closed: bool,
    /// Whether the server does not know EHLO.
    is_old: bool,
    end: Option<Result<(), Failure>>,
}

impl Conversation {
    /// Begins when the connection is open, and with [`Protection::Tls`], when it is encrypted.
    pub fn new(plan: Plan, transaction: Transaction) -> Self {
        Self {
            is_encrypted: plan.protection == Protection::Tls,
            plan,
            transaction,
            is_next: false,
            is_probe: false,
            step: Step::Connection,
            replies: Replies::default(),
            waiting: None,
            offer: Offer::default(),
            responses: Vec::new().into_iter(),
            is_closed: false,
            is_old: false,
            end: None,
        }
    }

    /// A conversation that finds out whether the server would take a mail of this sender. It ends
    /// before a recipient is named, so that nothing is sent.
    pub fn probe(plan: Plan, from: String) -> Self {
        let transaction = Transaction { from, ..Transaction::default() };
        Self { is_probe: true, ..Self::new(plan, transaction) }
    }

    /// Whether another mail can follow: the server has taken or refused this one, in a whole reply
    /// without anything behind it.
    pub fn can_go_on(&self) -> bool {
        let is_answered = match &self.end {
            Some(Ok(())) => true,
            Some(Err(Failure::Refused(step, reply))) => {
                *step > Step::Sender && reply.code != CLOSING
            }
            Some(Err(_)) | None => false,
        };
        is_answered && !self.is_closed && self.replies.len() == 0
    }

    /// Goes on with another mail. RSET removes what the server has of the one before, and finds out
    /// whether it is still there.
    pub fn go_on(&mut self, transaction: Transaction) {
        self.transaction = transaction;
        self.is_next = true;
        self.end = None;
        self.send(Step::Reset, "RSET");
    }

    /// Whether the failure may come from this connection, which is not new, and the server has
    /// nothing of the message yet. Servers close connections after some minutes or mails.
    pub fn is_stale(&self) -> bool {
        let Some(Err(failure)) = &self.end else { return false };
        let is_left = match failure {
            Failure::Closed(_) => true,
            Failure::Refused(_, reply) => reply.code == CLOSING,
            _ => false,
        };
        let may_be = |step| step <= Step::Sender || is_left && step < Step::Message;
        self.is_next && failure.step().is_some_and(may_be)
    }

    /// The account that the server knows us by.
    pub fn login(&self) -> Option<&Login> {
        self.plan.login.as_ref()
    }

    /// What the next reply is about.
    pub fn step(&self) -> Step {
        self.step
    }

    /// How many bytes of the server are kept: at most [`REPLY_MAX`] before a [`Next::Read`].
    pub fn kept(&self) -> usize {
        self.replies.len()
    }

    /// Goes on as far as possible, and returns what to do now.
    pub fn advance(&mut self) -> Next {
        loop {
            if let Some(end) = &self.end {
                return Next::End(end.clone());
            }
            if let Some(next) = self.waiting.take() {
                return next;
            }
            // The server has all of the message. If it says anything that begins with a 2, it has
            // taken it, and another try would send it twice.
            if self.step == Step::Message && self.replies.first() == Some(b'2') {
                // If all of the reply is here, nothing is left of it for the next mail.
                let _ = self.replies.next();
                self.finish(Ok(()));
                continue;
            }
            match self.replies.next() {
                Ok(Some(reply)) => self.answered(reply),
                Ok(None) if !self.is_closed => return Next::Read,
                Ok(None) => self.cut_short(Failure::Closed(self.step)),
                Err(Malformed::TooLong) if self.step == Step::Message => {
                    self.cut_short(Failure::TooLong(self.step));
                }
                Err(Malformed::TooLong) => self.fail(Failure::TooLong(self.step)),
                Err(Malformed::NoCode) => self.fail(Failure::NoReply(self.step)),
            }
        }
    }

    /// Takes bytes of the server.
    pub fn take(&mut self, bytes: &[u8]) {
        self.replies.push(bytes);
    }

    /// Takes the end of what the server sends.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// The connection is encrypted from here on. What the server offered before does not count any
    /// more (RFC 3207 §4.2).
    pub fn encrypted(&mut self) {
        self.is_encrypted = true;
        self.hello("EHLO");
    }

    fn fail(&mut self, failure: Failure) {
        self.finish(Err(failure));
    }

    fn finish(&mut self, end: Result<(), Failure>) {
        self.end = Some(end);
        self.transaction = Transaction::default();
    }

    fn send(&mut self, step: Step, line: &str) {
        self.step = step;
        self.waiting = Some(Next::Send(format!("{line}\r\n").into_bytes()));
    }

    /// The server sends nothing more that counts. The beginning of a reply counts as one.
    fn cut_short(&mut self, failure: Failure) {
        self.is_closed = true;
        match self.replies.cut_short() {
            Some(reply) => self.answered(reply),
            None => self.fail(failure),
        }
    }

    /// Takes a reply. Only one of the right kind counts: after a wrong one, we and the server may
    /// not be talking about the same thing any more.
    fn answered(&mut self, reply: Reply) {
        match (self.step, reply.class()) {
            // RFC 5321 §3.2: an old server may know HELO only.
            (Step::Hello, 5) if matches!(reply.code, 500 | 502) && self.is_simple() => {
                self.is_old = true;
                self.hello("HELO");
            }
            (step, 4 | 5) => self.fail(Failure::Refused(step, reply)),
            (Step::Connection, 2) => self.hello("EHLO"),
            (Step::Hello, 2) => {
                self.offer = if self.is_old { Offer::default() } else { Offer::read(&reply) };
                self.protect();
            }
            (Step::StartTls, 2) if self.replies.len() > 0 => self.fail(Failure::Unasked),
            (Step::StartTls, 2) => self.waiting = Some(Next::StartTls),
            (Step::Login, 3) => match self.responses.next() {
                Some(response) => self.send(Step::Login, &response),
                None => self.fail(Failure::Senseless(Step::Login, reply)),
            },
            (Step::Login | Step::Reset, 2) => self.sender(),
            (Step::Sender, 2) if self.is_probe => self.finish(Ok(())),
            (Step::Sender, 2) => {
                self.send(Step::Recipient, &format!("RCPT TO:<{}>", self.transaction.to));
            }
            (Step::Recipient, 2) => self.send(Step::Data, "DATA"),
            (Step::Data, 3) => {
                self.step = Step::Message;
                self.waiting = Some(Next::Send(stuffed(&self.transaction.text)));
            }
            (Step::Message, 2) => self.finish(Ok(())),
            (step, _) => self.fail(Failure::Senseless(step, reply)),
        }
    }

    /// Whether nothing is needed that the reply to EHLO offers.
    fn is_simple(&self) -> bool {
        let protected = self.is_encrypted || self.plan.protection == Protection::None;
        !self.is_old && protected && self.plan.login.is_none()
    }

    fn hello(&mut self, verb: &str) {
        self.send(Step::Hello, &format!("{verb} {}", self.plan.hello));
    }

    /// Goes on after EHLO: first encrypts, then logs in.
    fn protect(&mut self) {
        let wants_tls = self.plan.protection == Protection::StartTls && !self.is_encrypted;
        match &self.plan.login {
            _ if wants_tls && self.offer.starttls => self.send(Step::StartTls, "STARTTLS"),
            _ if wants_tls => self.fail(Failure::NoStartTls),
            None => self.sender(),
            Some(login) => match Exchange::new(login, &self.offer.mechanisms) {
                Some(exchange) => {
                    self.responses = exchange.responses;
                    self.send(Step::Login, &exchange.command);
                }
                None => {
                    let offered = std::mem::take(&mut self.offer.mechanisms);
                    self.fail(Failure::NoMechanism(offered));
                }
            },
        }
    }

    /// Names the sender. Everything in the message is ASCII, except for addresses that are not.
    fn sender(&mut self) {
        let Transaction { from, to, text } = &self.transaction;
        let is_ascii = [from, to, text].into_iter().all(|it| it.is_ascii());
        match (is_ascii, self.offer.smtputf8) {
            (true, _) => self.send(Step::Sender, &format!("MAIL FROM:<{from}>")),
            (false, true) => {
                let line = format!("MAIL FROM:<{from}> SMTPUTF8 BODY=8BITMIME");
                self.send(Step::Sender, &line);
            }
            (false, false) => {
                let is_recipient = !to.is_ascii();
                self.fail(Failure::NoUtf8 { is_recipient });
            }
        }
    }
}

/// The message as it is sent: all lines end in CRLF, a dot in front is doubled (RFC 5321 §4.5.2),
/// and a line with a dot alone is the end.
fn stuffed(text: &str) -> Vec<u8> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut stuffed = Vec::with_capacity(text.len() + text.len() / 32 + 3);
    for line in text.lines() {
        if line.starts_with('.') {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line.as_bytes());
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_is_its_end() {
        for (text, expected) in [
            ("", ".\r\n"),
            ("a\r\nb\r\n", "a\r\nb\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            (".\r\n..\r\n.a\r\n", "..\r\n...\r\n..a\r\n.\r\n"),
            ("a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r\n\r\n", "a\r\n\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8(stuffed(text)).unwrap(), expected, "{text:?}");
        }
    }
}
