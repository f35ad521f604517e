//! The `error_description` of an answer to a client: most libraries show their users nothing else.

use alloc::format;
use alloc::string::{String, ToString};

use crate::refusal::{Refusal, Refused};

/// What a code verifier or challenge consists of (RFC 7636 §4.1, §4.2).
const CODE: &str = "43 to 128 letters, digits, -, ., _ and ~ (RFC 7636)";

/// What would be accepted, by the name of the parameter or by what is wrong with the form.
const EXPECTED: [(&str, &str); 19] = [
    ("Authorization", "Basic with client ID and secret in base64"),
    ("address", "a JSON object with fields of an address, whose values are text"),
    ("client_id", "the number that the operator gave out, and by HTTP Basic no other one"),
    ("client_secret", "the secret that the operator gave out, and by HTTP Basic no other one"),
    ("code", "the code that came with the browser"),
    ("code_challenge", CODE),
    ("code_challenge_method", "S256 or plain"),
    ("code_verifier", CODE),
    ("grant_type", "authorization_code"),
    ("login_hint", "an address without control characters, and no parameter address beside it"),
    ("percent-encoding", "two hexadecimal digits after each %"),
    ("read_only", "true or false, with an address whose fields are all known and complete"),
    ("redirect_uri", "the one that the operator registered, byte for byte"),
    ("request", "nothing, because requests in a JWT (RFC 9101) are not supported"),
    ("request_uri", "nothing, because it is the result of this request"),
    ("response_type", "code"),
    ("state", "a text of at most 8192 bytes, together with scope"),
    ("token", "an access token of this service"),
    ("UTF-8", "a body in UTF-8"),
];

impl Refused {
    /// A sentence for the developers of the client: which parameter is wrong, and what would be
    /// accepted. It is ASCII without quotes and backslashes (RFC 6749 §5.2).
    pub(crate) fn description(&self) -> String {
        let flaw = match self.refusal {
            Refusal::ParameterMalformed => "malformed",
            Refusal::ParameterMissing => "missing",
            Refusal::ParameterRepeated => "repeated",
            _ => return self.refusal.hint().to_string(),
        };
        let Some(name) = self.detail.as_deref().filter(|it| is_plain(it)) else {
            return self.refusal.hint().to_string();
        };
        let expected = EXPECTED.iter().find(|(known, _)| *known == name);
        match expected.filter(|_| self.refusal != Refusal::ParameterRepeated) {
            Some((_, expected)) => format!("{name} is {flaw}; expected: {expected}."),
            None => format!("{name} is {flaw}."),
        }
    }
}

/// Whether a name, which may be the peer's, can be part of the sentence.
fn is_plain(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_the_parameter_and_what_is_expected() {
        let description = |refusal: Refusal, name: &str| refusal.about(name).description();
        let malformed = Refusal::ParameterMalformed;
        assert_eq!(
            description(malformed, "code_verifier"),
            "code_verifier is malformed; expected: 43 to 128 letters, digits, -, ., _ and ~ \
             (RFC 7636)."
        );
        assert_eq!(
            description(Refusal::ParameterMissing, "grant_type"),
            "grant_type is missing; expected: authorization_code."
        );
        assert_eq!(description(Refusal::ParameterRepeated, "code"), "code is repeated.");
        assert_eq!(description(malformed, "CONTACT_EMAIL"), "CONTACT_EMAIL is malformed.");
        for odd in ["a\"b", "a\\b", "a b", "é", "\n", &"x".repeat(65)] {
            assert_eq!(description(malformed, odd), "A parameter is malformed.", "{odd}");
        }
        assert_eq!(description(Refusal::CodeSpent, "code"), Refusal::CodeSpent.hint());
    }

    #[test]
    fn every_description_is_what_the_standard_allows() {
        for (name, expected) in EXPECTED {
            assert!(is_plain(name), "{name}");
            let is_allowed = |byte: u8| matches!(byte, 0x20..=0x7e) && !b"\"\\".contains(&byte);
            assert!(expected.bytes().all(is_allowed), "{name}");
        }
    }
}
