//! Errors of delivery, without personal data.

use std::fmt;

use challenger_server::process::push_printable;
use challenger_server::secrecy::HIDDEN;
use data_encoding::BASE64;
use lettre::Address;

use super::conversation::{Kind, Secret};
use super::settings::{Route, Smtp};
use crate::exit::Exit;

/// How many characters of an answer are printed: enough for an explanation with a link.
const ANSWER_MAX: usize = 400;
/// A line of the message, or a password, that is shorter than this could occur anywhere by chance,
/// and counts only as a word of its own.
const PHRASE_LEN_MIN: usize = 8;
/// A word with this many digits may be the code, or contain it.
const CODE_DIGITS_MIN: usize = 6;

/// The message was not taken.
pub(super) struct DeliveryError {
    /// What that means.
    pub(super) kind: Kind,
    pub(super) why: String,
}

impl DeliveryError {
    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }

    /// How the program ends.
    pub(super) fn exit(&self) -> Exit {
        let why = self.to_string();
        match self.kind {
            Kind::Address => Exit::address_refused(why),
            Kind::Host => Exit::host_unknown(why),
            Kind::Configuration => Exit::misconfigured(why),
            Kind::Later => Exit::try_later(why),
            Kind::Unavailable => Exit::unavailable(why),
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how_long = if self.kind == Kind::Later { "temporary" } else { "permanent" };
        write!(f, "{how_long} failure: {}", self.why)
    }
}

/// Texts that must not be printed: the recipient, the message and the credentials.
pub(super) struct Private {
    /// Found anywhere.
    phrases: Vec<String>,
    /// Found as words, in any case.
    words: Vec<String>,
}

impl Private {
    pub(super) fn new(recipient: &Address, message: &str, route: &Route) -> Self {
        let mut phrases: Vec<String> = message.lines().map(|line| line.trim().to_owned()).collect();
        let (unicode, _) = idna::domain_to_unicode(recipient.domain());
        let mut words = vec![recipient.user().to_owned(), recipient.domain().to_owned(), unicode];
        let digits = |word: &&str| word.bytes().filter(u8::is_ascii_digit).count();
        let codes = message.split(is_between).filter(|word| digits(word) >= CODE_DIGITS_MIN);
        words.extend(codes.map(ToOwned::to_owned));
        if let Route::Smtp(Smtp { login: Some(login), .. }) = route {
            let (Secret::Password(secret) | Secret::Token(secret)) = &login.secret;
            // Also in the form in which they are sent: a server may repeat a command that it did
            // not understand.
            words.extend([&login.user, secret].map(|it| BASE64.encode(it.as_bytes())));
            words.push(login.response());
            words.extend([login.user.clone(), secret.clone()]);
            phrases.extend([login.user.clone(), secret.clone()]);
        }
        phrases.retain(|phrase| phrase.len() >= PHRASE_LEN_MIN);
        phrases.push(recipient.to_string());
        Self { phrases, words: words.iter().map(|word| bare(word)).collect() }
    }

    /// The beginning of a server's or a program's answer, on one line, with `***` for everything
    /// private and for everything that looks like an address.
    pub(super) fn hide(&self, answer: &str) -> String {
        let mut answer = answer.split_whitespace().collect::<Vec<_>>().join(" ");
        for phrase in &self.phrases {
            answer = answer.replace(phrase, HIDDEN);
        }
        let mut line = String::new();
        for piece in answer.split_inclusive(is_between) {
            let word = piece.trim_end_matches(is_between);
            let hidden = word.contains('@') || self.words.contains(&bare(word));
            line.push_str(if hidden { HIDDEN } else { word });
            line.extend(piece.strip_prefix(word));
        }
        let mut printable = String::new();
        for character in line.chars().take(ANSWER_MAX) {
            push_printable(&mut printable, character);
        }
        if line.chars().nth(ANSWER_MAX).is_some() {
            printable.push('…');
        }
        printable
    }
}

/// Whether a character separates words. The name in an address may have any other in it.
fn is_between(character: char) -> bool {
    character.is_whitespace() || "<>()[]\",;:".contains(character)
}

/// A word without its case, and without the punctuation around it.
fn bare(word: &str) -> String {
    word.trim_matches(|character: char| !character.is_alphanumeric()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send_email::conversation::Login;
    use crate::send_email::settings::Security;

    fn hidden(recipient: &str, answer: &str) -> String {
        let secret = Secret::Password("p, w".to_owned());
        let login = Some(Login { user: "ann".to_owned(), secret });
        let (host, port) = ("mail.example".to_owned(), 25);
        let route = Route::Smtp(Smtp { host, port, hello: None, security: Security::None, login });
        let message = "1234-5678 for you.\n@shop.example #12345678\nBye\n";
        Private::new(&recipient.parse().unwrap(), message, &route).hide(answer)
    }

    #[test]
    fn what_is_private_is_hidden_however_it_is_written() {
        for (recipient, answer, expected) in [
            ("a@b.example", "A mailbox at B.example. No a!", "*** mailbox at *** No ***"),
            ("a@xn--bcher-kva.example", "no bücher.example, XN--bcher-kva.example", "no ***, ***"),
            ("o'hara@b.example", "<o'hara@b.example> 'o'hara' O'Hara", "<***> *** ***"),
            ("\"x y\"@b.example", "no \"x y\"@b.example", "no ***"),
            ("{x}@b.example", "no {x}, no x", "no ***, no ***"),
            ("a@b.example", "to=<SRS0=1=b.example=a@relay.example>", "to=<***>"),
            ("a@b.example", "1234-5678, 12345678 #12345678", "***, *** ***"),
            ("a@b.example", "line 1234-5678 for you. not Bye", "line *** not Bye"),
            ("a@b.example", "Ann: cCwgdw== AGFubgBwLCB3 YW5u", "***: *** *** ***"),
            ("a@b.example", "450 4.7.1 line\r\n two\u{202e}\0", "450 4.7.1 line two\\u{202e}\\0"),
        ] {
            assert_eq!(hidden(recipient, answer), expected, "{answer}");
        }
    }

    #[test]
    fn a_long_answer_is_cut() {
        let answer = hidden("a@b.example", &"ü".repeat(ANSWER_MAX + 1));
        assert_eq!(answer, format!("{}…", "ü".repeat(ANSWER_MAX)));
        let answer = "ü".repeat(ANSWER_MAX);
        assert_eq!(hidden("a@b.example", &answer), answer);
    }
}
