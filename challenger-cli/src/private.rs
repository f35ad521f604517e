//! What the helpers must not print of what a server or a program answers.

use challenger_server::process::{self, hide};
use challenger_server::secrecy::HIDDEN;

/// How many characters of an answer are printed: enough for an explanation with a link.
const ANSWER_MAX: usize = 400;
/// A word of a message with this many digits may be the code, or contain it.
const CODE_DIGITS_MIN: usize = 6;

/// The texts that must not be printed: the address, the message and the secrets.
#[derive(Default)]
pub(crate) struct Private {
    addresses: Vec<String>,
    texts: Vec<String>,
}

impl Private {
    /// A part of an address.
    pub(crate) fn add_address(&mut self, text: &str) {
        self.addresses.push(text.to_owned());
    }

    /// A secret.
    pub(crate) fn add_secret(&mut self, text: &str) {
        self.texts.push(text.to_owned());
    }

    /// A message: each of its lines, and what may be a code in them.
    pub(crate) fn add_message(&mut self, text: &str) {
        let digits = |word: &&str| word.bytes().filter(u8::is_ascii_digit).count();
        let words = text.split(|it: char| !it.is_alphanumeric() && it != '-');
        let codes = words.filter(|word| digits(word) >= CODE_DIGITS_MIN);
        self.texts.extend(text.lines().chain(codes).map(ToOwned::to_owned));
    }

    /// The texts, for a program whose output is to be hidden as it runs.
    pub(crate) fn texts(&self) -> Vec<process::Private<'_>> {
        let addresses = self.addresses.iter().map(|text| process::Private::Address(text));
        let texts = self.texts.iter().map(|text| process::Private::Text(text));
        addresses.chain(texts).collect()
    }

    /// The [`beginning`] of an answer, with `***` in place of everything private.
    pub(crate) fn hide(&self, answer: &str) -> String {
        let answer = answer.split_whitespace().collect::<Vec<_>>().join(" ");
        beginning(&hide(&answer, &self.texts()))
    }
}

/// The beginning of a line without private texts, with `***` in place of everything else that looks
/// like an e-mail address: a server may know another one for the same person.
pub(crate) fn beginning(line: &str) -> String {
    let mut shown = String::new();
    for piece in line.split_inclusive(is_between) {
        let word = piece.trim_end_matches(is_between);
        shown.push_str(if word.contains('@') { HIDDEN } else { word });
        shown.extend(piece.strip_prefix(word));
    }
    let mut kept: String = shown.chars().take(ANSWER_MAX).collect();
    if kept.len() < shown.len() {
        kept.push('…');
    }
    kept
}

/// Whether a character separates words. The name in an address may have any other in it.
fn is_between(character: char) -> bool {
    character.is_whitespace() || "<>()[]\",;:".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(recipient: &str, answer: &str) -> String {
        let mut private = Private::default();
        private.add_address(recipient);
        private.add_message("1234-5678 for you, 2026.\n@shop.example #12345678\nBye for now\n");
        private.add_secret("p, w");
        private.hide(answer)
    }

    #[test]
    fn what_is_private_is_hidden_however_it_is_written() {
        for (recipient, answer, expected) in [
            ("a@b.example", "A mailbox at B.example. No a!", "*** mailbox at ***. No ***!"),
            ("o'hara@b.example", "<o'hara@b.example> 'o'hara' O'Hara", "<***> '***' ***"),
            ("\"x y\"@b.example", "no \"x y\"@b.example", "no ***"),
            ("{x}@b.example", "no {x}", "no ***"),
            ("a@b.example", "to=<SRS0=1=b.example=a@relay.example>", "to=<***>"),
            ("a@b.example", "see <ann@c.example>", "see <***>"),
            ("a@b.example", "1234-5678, 12345678 #12345678", "***, *** #***"),
            ("a@b.example", "1234-5678 MTIzNC01Njc4", "*** ***"),
            ("a@b.example", "line 1234-5678 for you, 2026. not Bye", "line *** not Bye"),
            ("a@b.example", "say P, w or p%2c%20w", "say *** or ***"),
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
