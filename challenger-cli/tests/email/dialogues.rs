//! What mail servers say: dialogues with well-known ones as they are from the outside, and with
//! some odd ones; and how servers refuse.

use challenger_cli::send_email::conversation::{Kind, Protection};

/// How a dialogue ends: the message is taken, or whom the failure concerns.
pub(crate) type End = Result<(), Kind>;

/// A dialogue with a server.
#[derive(Clone, Copy)]
pub(crate) struct Dialogue {
    pub(crate) name: &'static str,
    pub(crate) protection: Protection,
    /// A `password` or a `token`.
    pub(crate) login: Option<(&'static str, &'static str)>,
    pub(crate) to: &'static str,
    /// The lines of the server (S) and ours (C).
    pub(crate) lines: &'static str,
    pub(crate) end: End,
}

impl Dialogue {
    /// The same without a login and TLS.
    pub(crate) fn simple(self) -> Self {
        Self { protection: Protection::None, login: None, to: "ada@example.com", ..self }
    }
}

const POSTFIX: Dialogue = Dialogue {
    name: "Postfix, with a login by PLAIN",
    protection: Protection::StartTls,
    login: Some(("password", "secret")),
    to: "ada@example.com",
    lines: "
        S: 220 mail.example.com ESMTP Postfix (Debian/GNU)
        C: EHLO me.example
        S: 250-mail.example.com
        S: 250-PIPELINING
        S: 250-SIZE 10240000
        S: 250-VRFY
        S: 250-ETRN
        S: 250-STARTTLS
        S: 250-ENHANCEDSTATUSCODES
        S: 250-8BITMIME
        S: 250-DSN
        S: 250-SMTPUTF8
        S: 250 CHUNKING
        C: STARTTLS
        S: 220 2.0.0 Ready to start TLS
        C: TLS
        C: EHLO me.example
        S: 250-mail.example.com
        S: 250-PIPELINING
        S: 250-AUTH PLAIN LOGIN
        S: 250-AUTH=PLAIN LOGIN
        S: 250-ENHANCEDSTATUSCODES
        S: 250 SMTPUTF8
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 235 2.7.0 Authentication successful
        C: MAIL FROM:<noreply@shop.example>
        S: 250 2.1.0 Ok
        C: RCPT TO:<ada@example.com>
        S: 250 2.1.5 Ok
        C: DATA
        S: 354 End data with <CR><LF>.<CR><LF>
        C: TEXT
        S: 250 2.0.0 Ok: queued as 4SgXyz0000z1",
    end: Ok(()),
};

const EXIM: Dialogue = Dialogue {
    name: "Exim, with a greeting of several lines, from the beginning in TLS",
    protection: Protection::Tls,
    lines: "
        S: 220-server.example.com ESMTP Exim 4.96 #2 Sun, 29 Nov 2026 10:00:00 +0000
        S: 220-We do not authorize the use of this system to transport unsolicited,
        S: 220 and/or bulk e-mail.
        C: EHLO me.example
        S: 250-server.example.com Hello me.example [192.0.2.1]
        S: 250-SIZE 52428800
        S: 250-8BITMIME
        S: 250-PIPELINING
        S: 250-AUTH PLAIN LOGIN
        S: 250 HELP
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 235 Authentication succeeded
        C: MAIL FROM:<noreply@shop.example>
        S: 250 OK
        C: RCPT TO:<ada@example.com>
        S: 250 Accepted
        C: DATA
        S: 354 Enter message, ending with \".\" on a line by itself
        C: TEXT
        S: 250 OK id=1rXyzA-0001ab-Cd",
    ..POSTFIX
};

const EXCHANGE_ONLINE: Dialogue = Dialogue {
    name: "Exchange Online, with a login by LOGIN",
    lines: "
        S: 220 AM0PR0000CA0000.outlook.office365.com Microsoft ESMTP MAIL Service ready at Sun
        C: EHLO me.example
        S: 250-AM0PR0000CA0000.outlook.office365.com Hello [192.0.2.1]
        S: 250-SIZE 157286400
        S: 250-PIPELINING
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-STARTTLS
        S: 250-8BITMIME
        S: 250-BINARYMIME
        S: 250-CHUNKING
        S: 250 SMTPUTF8
        C: STARTTLS
        S: 220 2.0.0 SMTP server ready
        C: TLS
        C: EHLO me.example
        S: 250-AM0PR0000CA0000.outlook.office365.com Hello [192.0.2.1]
        S: 250-AUTH LOGIN XOAUTH2
        S: 250 SMTPUTF8
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: YW5u
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 Authentication successful
        C: MAIL FROM:<noreply@shop.example> SMTPUTF8 BODY=8BITMIME
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<zoë@example.com>
        S: 250 2.1.5 Recipient OK
        C: DATA
        S: 354 Start mail input; end with <CRLF>.<CRLF>
        C: TEXT
        S: 250 2.0.0 OK <abc@AM0PR0000.eurprd00.prod.outlook.com> [Hostname=AM0PR0000]",
    to: "zoë@example.com",
    ..POSTFIX
};

const EXCHANGE_REFUSES: Dialogue = Dialogue {
    name: "Exchange Online, which does not want the password any more",
    protection: Protection::Tls,
    lines: "
        S: 220 outlook.office365.com Microsoft ESMTP MAIL Service ready
        C: EHLO me.example
        S: 250-outlook.office365.com Hello [192.0.2.1]
        S: 250 AUTH LOGIN XOAUTH2
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: YW5u
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [AM0PR0000]",
    end: Err(Kind::Configuration),
    ..POSTFIX
};

const GMAIL: Dialogue = Dialogue {
    name: "Gmail, with a token",
    login: Some(("token", "ya29.abc")),
    protection: Protection::Tls,
    lines: "
        S: 220 smtp.gmail.com ESMTP 5b1f17b1804b1-45d0c60a53asm123456789f8f.12 - gsmtp
        C: EHLO me.example
        S: 250-smtp.gmail.com at your service, [192.0.2.1]
        S: 250-SIZE 35882577
        S: 250-8BITMIME
        S: 250-AUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH
        S: 250-ENHANCEDSTATUSCODES
        S: 250-PIPELINING
        S: 250-CHUNKING
        S: 250 SMTPUTF8
        C: AUTH XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgeWEyOS5hYmMBAQ==
        S: 235 2.7.0 Accepted
        C: MAIL FROM:<noreply@shop.example>
        S: 250 2.1.0 OK 5b1f17b1804b1-45d0c60a53asm123456789f8f.12 - gsmtp
        C: RCPT TO:<ada@example.com>
        S: 250 2.1.5 OK 5b1f17b1804b1-45d0c60a53asm123456789f8f.12 - gsmtp
        C: DATA
        S: 354 Go ahead 5b1f17b1804b1-45d0c60a53asm123456789f8f.12 - gsmtp
        C: TEXT
        S: 250 2.0.0 OK 1732874400 5b1f17b1804b1-45d0c60a53asm123456789f8f.12 - gsmtp",
    ..POSTFIX
};

const GMAIL_REFUSES: Dialogue = Dialogue {
    name: "Gmail, with a token that has expired",
    lines: "
        S: 220 smtp.gmail.com ESMTP - gsmtp
        C: EHLO me.example
        S: 250-smtp.gmail.com at your service, [192.0.2.1]
        S: 250 AUTH LOGIN PLAIN XOAUTH2
        C: AUTH XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgeWEyOS5hYmMBAQ==
        S: 334 eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIn0=
        C:
        S: 535-5.7.8 Username and Password not accepted. For more information, go to
        S: 535 5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp",
    end: Err(Kind::Configuration),
    ..GMAIL
};

const AMAZON_SES: Dialogue = Dialogue {
    name: "Amazon SES, which refuses only the message",
    lines: "
        S: 220 email-smtp.amazonaws.com ESMTP SimpleEmailService-d-ABCDEFGHI 0123456789abcdef
        C: EHLO me.example
        S: 250-email-smtp.amazonaws.com
        S: 250-8BITMIME
        S: 250-STARTTLS
        S: 250-AUTH PLAIN LOGIN
        S: 250 Ok
        C: STARTTLS
        S: 220 Ready to start TLS
        C: TLS
        C: EHLO me.example
        S: 250-email-smtp.amazonaws.com
        S: 250-8BITMIME
        S: 250-STARTTLS
        S: 250-AUTH PLAIN LOGIN
        S: 250 Ok
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 235 Authentication successful.
        C: MAIL FROM:<noreply@shop.example>
        S: 250 Ok
        C: RCPT TO:<ada@example.com>
        S: 250 Ok
        C: DATA
        S: 354 End data with <CR><LF>.<CR><LF>
        C: TEXT
        S: 554 Message rejected: Email address is not verified.",
    end: Err(Kind::Unavailable),
    ..POSTFIX
};

const OPENSMTPD: Dialogue = Dialogue {
    name: "OpenSMTPD, which does not know the recipient",
    protection: Protection::None,
    login: None,
    lines: "
        S: 220 mx.example.com ESMTP OpenSMTPD
        C: EHLO me.example
        S: 250-mx.example.com Hello me.example [192.0.2.1], pleased to meet you
        S: 250-8BITMIME
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SIZE 36700160
        S: 250-DSN
        S: 250 HELP
        C: MAIL FROM:<noreply@shop.example>
        S: 250 2.0.0 Ok
        C: RCPT TO:<ada@example.com>
        S: 550 Invalid recipient: <ada@example.com>",
    end: Err(Kind::Address),
    ..POSTFIX
};

const LOWER_CASE: Dialogue = Dialogue {
    name: "a server that writes its keywords in lower case, one with a tab",
    lines: "
        S: 220 mx
        C: EHLO me.example
        S: 250-mx
        S: 250 StartTls
        C: STARTTLS
        S: 220 go
        C: TLS
        C: EHLO me.example
        S: 250-mx
        S: 250-smtputf8
        S: 250 auth\tcram-md5 plain
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 235
        C: MAIL FROM:<noreply@shop.example> SMTPUTF8 BODY=8BITMIME
        S: 250 ok
        C: RCPT TO:<zoë@example.com>
        S: 251 will forward
        C: DATA
        S: 354 go
        C: TEXT
        S: 250 ok",
    to: "zoë@example.com",
    ..POSTFIX
};

const CODES_ALONE: Dialogue = Dialogue {
    name: "a server that says codes alone",
    protection: Protection::None,
    login: None,
    lines: "
        S: 220
        C: EHLO me.example
        S: 250
        C: MAIL FROM:<noreply@shop.example>
        S: 250
        C: RCPT TO:<ada@example.com>
        S: 250
        C: DATA
        S: 354
        C: TEXT
        S: 250",
    ..POSTFIX
};

const LATIN_1: Dialogue = Dialogue {
    name: "a server that speaks French in Latin-1, and asks for the first response again",
    protection: Protection::Tls,
    lines: "
        S: 220-Bienvenue à bord, prêt
        S: 220 à servir
        C: EHLO me.example
        S: 250-enchanté
        S: 250-AUTH=LOGIN
        S: 250-AUTH PLAIN
        S: 250 é
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 334 répétez
        C: AGFubgBzZWNyZXQ=
        S: 235 entré
        C: MAIL FROM:<noreply@shop.example>
        S: 250 reçu
        C: RCPT TO:<ada@example.com>
        S: 250 reçu
        C: DATA
        S: 354 allez-y, dépêchez-vous
        C: TEXT
        S: 250 accepté",
    ..POSTFIX
};

const OLD: Dialogue = Dialogue {
    name: "a server that knows only HELO",
    protection: Protection::None,
    login: None,
    lines: "
        S: 220 mx SMTP
        C: EHLO me.example
        S: 500 Command unrecognized: EHLO
        C: HELO me.example
        S: 250 mx
        C: MAIL FROM:<noreply@shop.example>
        S: 250 ok
        C: RCPT TO:<ada@example.com>
        S: 250 ok
        C: DATA
        S: 354 go
        C: TEXT
        S: 250 ok",
    ..POSTFIX
};

const UNKNOWN_MECHANISM: Dialogue = Dialogue {
    name: "a server with other ways to log in",
    protection: Protection::Tls,
    lines: "
        S: 220 mx
        C: EHLO me.example
        S: 250-mx
        S: 250 AUTH CRAM-MD5 DIGEST-MD5 GSSAPI",
    end: Err(Kind::Configuration),
    ..POSTFIX
};

const LETTERS: Dialogue = Dialogue {
    name: "a server that takes ASCII only",
    protection: Protection::None,
    login: None,
    to: "zoë@example.com",
    lines: "
        S: 220 mx
        C: EHLO me.example
        S: 250-mx
        S: 250 8BITMIME",
    end: Err(Kind::Address),
};

const CURIOUS: Dialogue = Dialogue {
    name: "a server that always asks for more",
    protection: Protection::Tls,
    lines: "
        S: 220 mx
        C: EHLO me.example
        S: 250-mx
        S: 250 AUTH PLAIN
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 334
        C: AGFubgBzZWNyZXQ=
        S: 334",
    end: Err(Kind::Unavailable),
    ..POSTFIX
};

/// All dialogues.
pub(crate) const DIALOGUES: &[Dialogue] = &[
    POSTFIX,
    EXIM,
    EXCHANGE_ONLINE,
    EXCHANGE_REFUSES,
    GMAIL,
    GMAIL_REFUSES,
    AMAZON_SES,
    OPENSMTPD,
    LOWER_CASE,
    CODES_ALONE,
    LATIN_1,
    OLD,
    UNKNOWN_MECHANISM,
    LETTERS,
    CURIOUS,
    Dialogue {
        name: "a server that offers no TLS",
        lines: "S: 220 mx\nC: EHLO me.example\nS: 250-mx\nS: 250 AUTH PLAIN",
        end: Err(Kind::Configuration),
        ..POSTFIX
    },
];

/// Answers of servers to a command, and whom they concern. The first ones stand for the greeting.
pub(crate) const REFUSALS: &[(&str, &str, Kind)] = &[
    ("", "554 No SMTP service here", Kind::Unavailable),
    ("", "421 4.7.0 Too many connections", Kind::Later),
    ("", "hello", Kind::Unavailable),
    ("C: EHLO", "504 5.5.2 <me>: Helo command rejected: need a full name", Kind::Configuration),
    ("C: EHLO", "451 4.3.0 later", Kind::Later),
    ("C: EHLO", "354 go", Kind::Unavailable),
    ("C: MAIL", "530 5.7.0 Must issue a STARTTLS command first", Kind::Configuration),
    ("C: MAIL", "553 5.7.1 <noreply@shop.example>: Sender rejected", Kind::Configuration),
    ("C: MAIL", "550 5.1.8 no such domain", Kind::Configuration),
    ("C: MAIL", "454 Throttling failure: Maximum sending rate exceeded.", Kind::Later),
    ("C: RCPT", "550 5.1.1 <ada@example.com>: Recipient address rejected", Kind::Address),
    ("C: RCPT", "550 5.1.1 User unknown in relay recipient table", Kind::Address),
    ("C: RCPT", "550-5.1.1 The account does not exist.\n550 5.1.1 - gsmtp", Kind::Address),
    ("C: RCPT", "550 5.2.1 The account is disabled.", Kind::Address),
    ("C: RCPT", "550 5.4.1 Recipient address rejected: Access denied.", Kind::Address),
    ("C: RCPT", "550 Unrouteable address", Kind::Address),
    ("C: RCPT", "550 5.0.0 <ada@example.com>... User unknown", Kind::Address),
    ("C: RCPT", "551", Kind::Address),
    ("C: RCPT", "553 mailbox name not allowed", Kind::Address),
    ("C: RCPT", "501 5.1.3 Bad recipient address syntax", Kind::Address),
    ("C: RCPT", "501 syntax", Kind::Address),
    ("C: RCPT", "553 5.6.7 Address requires SMTPUTF8", Kind::Address),
    ("C: RCPT", "550 sorry, no mailbox here by that name. (#5.1.1)", Kind::Address),
    ("C: RCPT", "553 sorry, not in my list of hosts (#5.7.1)", Kind::Unavailable),
    ("C: RCPT", "550 5.1.2 <ada@example.com>: Domain not found", Kind::Host),
    ("C: RCPT", "556 5.1.10 Recipient address has null MX", Kind::Host),
    ("C: RCPT", "556", Kind::Host),
    ("C: RCPT", "554 5.4.4 no route to host", Kind::Host),
    ("C: RCPT", "504 5.5.2 <me>: Helo command rejected: need a full name", Kind::Configuration),
    ("C: RCPT", "550 5.1.7 sender address syntax", Kind::Configuration),
    ("C: RCPT", "554 5.7.1 <ada@example.com>: Relay access denied", Kind::Configuration),
    ("C: RCPT", "550 relay not permitted", Kind::Configuration),
    ("C: RCPT", "550 5.7.1 Relaying denied. Log in first", Kind::Configuration),
    ("C: RCPT", "530 5.7.0 Authentication Required", Kind::Configuration),
    ("C: RCPT", "550 5.7.1 Service unavailable, client host blocked", Kind::Unavailable),
    ("C: RCPT", "552 5.2.2 The mailbox is full", Kind::Unavailable),
    ("C: RCPT", "554 Transaction failed", Kind::Unavailable),
    ("C: RCPT", "450 4.2.0 <ada@example.com>: Greylisted", Kind::Later),
    ("C: RCPT", "450 4.1.2 Domain not found", Kind::Later),
    ("C: RCPT", "354 go", Kind::Unavailable),
    ("C: DATA", "554 5.5.1 Error: no valid recipients", Kind::Unavailable),
    ("C: DATA", "250 ok", Kind::Unavailable),
    ("C: DATA", "451 4.3.0 queue file write error", Kind::Later),
    ("C: TEXT", "550 5.1.1 no such user", Kind::Address),
    ("C: TEXT", "550 5.1.2 no such host", Kind::Host),
    ("C: TEXT", "550 5.7.1 looks like spam", Kind::Unavailable),
    ("C: TEXT", "550 spam", Kind::Unavailable),
    ("C: TEXT", "452 4.3.1 Insufficient system storage", Kind::Later),
];
