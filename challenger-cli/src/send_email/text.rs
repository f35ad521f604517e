//! Makes texts safe to send, and finds the code in them.

use challenger_proto::address::{is_invisible, is_joiner};

use crate::message::is_separator;
pub(super) use crate::message::plain;

/// How many digits each half of a code has.
const HALF_LEN: usize = 4;

/// Whether a character is visible and printed in its place.
pub(super) fn is_visible(character: char) -> bool {
    let is_unseen = is_invisible(character) || is_joiner(character);
    !(character.is_control() || is_separator(character) || is_unseen)
}

/// Distinguishes codes from hosts that look like one.
pub(super) struct Codes {
    /// Texts that contain no code, even if something in them looks like one.
    others: String,
    /// Whether a code has a line of its own. Then nothing within a line counts as a code.
    alone: bool,
}

impl Codes {
    /// Reads the message, and other texts that are known to contain no code.
    pub(super) fn new(message: &str, others: &[&str]) -> Self {
        let mut codes = Self { others: others.join("\n"), alone: false };
        codes.alone = message.lines().any(|line| codes.is_code(line.trim()));
        codes
    }

    /// The pieces of a line, and whether each is a code.
    pub(super) fn mark<'a>(&self, line: &'a str) -> Vec<(&'a str, bool)> {
        if self.alone {
            return vec![(line, self.is_code(line.trim()))];
        }
        let mut pieces = Vec::new();
        let mut rest = line;
        while !rest.is_empty() {
            let (between, after) = rest.split_at(rest.find(is_word).unwrap_or(rest.len()));
            let end = after.find(|character| !is_word(character)).unwrap_or(after.len());
            let (word, after) = after.split_at(end);
            let text = word.trim_end_matches(['.', ':']);
            let code = text.rsplit(':').next().unwrap_or_default();
            let (start, end) = word.split_at(text.len() - code.len());
            let (code, end) = end.split_at(code.len());
            pieces.extend([(between, false), (start, false), (code, self.is_code(code))]);
            pieces.push((end, false));
            rest = after;
        }
        pieces
    }

    /// Whether this is `NNNN-NNNN`, and not a part of the other texts.
    fn is_code(&self, text: &str) -> bool {
        let is_half =
            |half: &str| half.len() == HALF_LEN && half.bytes().all(|byte| byte.is_ascii_digit());
        text.split_once('-').is_some_and(|(first, second)| is_half(first) && is_half(second))
            && !self.others.contains(text)
    }
}

/// Whether this can be within the name of a host, an address or a path.
fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._@/%~:".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line, with its codes in brackets.
    fn marked(message: &str, others: &[&str]) -> String {
        let codes = Codes::new(message, others);
        let bracket = |(text, is_code): (&str, bool)| {
            if is_code { format!("[{text}]") } else { text.to_owned() }
        };
        let line = |line: &str| codes.mark(line).into_iter().map(bracket).collect::<String>();
        message.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn codes_are_set_off_and_nothing_else_is() {
        for (text, expected) in [
            ("1234-5678", "[1234-5678]"),
            ("Code: 1234-5678.", "Code: [1234-5678]."),
            ("Code:1234-5678:", "Code:[1234-5678]:"),
            ("(1234-5678) 0000-0000ä", "([1234-5678]) [0000-0000]ä"),
            (
                "1234-56789 12345678 -1234-5678 1234-5678-",
                "1234-56789 12345678 -1234-5678 1234-5678-",
            ),
            ("1234 - 5678, 12-34-5678, 1234--567", "1234 - 5678, 12-34-5678, 1234--567"),
            ("٤٤٤٤-٤٤٤٤", "٤٤٤٤-٤٤٤٤"),
        ] {
            assert_eq!(marked(text, &[]), expected);
        }
    }

    #[test]
    fn no_host_and_no_address_is_taken_for_the_code() {
        for (message, others, expected) in [
            ("1111-2222.example: 8765-4321.", "", "1111-2222.example: [8765-4321]."),
            ("8765-4321 for 1111-2222:8080", "", "[8765-4321] for 1111-2222:8080"),
            ("8765-4321 for https://1111-2222/x", "", "[8765-4321] for https://1111-2222/x"),
            ("8765-4321 for a@1111-2222", "", "[8765-4321] for a@1111-2222"),
            ("8765-4321 for 1111-2222.", "Code for 1111-2222", "[8765-4321] for 1111-2222."),
            ("1111-2222\n8765-4321", "1111-2222", "1111-2222\n[8765-4321]"),
            ("for 1111-2222:\n8765-4321", "", "for 1111-2222:\n[8765-4321]"),
            // If nothing distinguishes them, neither stands out beside the other.
            ("8765-4321 for 1111-2222", "", "[8765-4321] for [1111-2222]"),
        ] {
            assert_eq!(marked(message, &["x", others]), expected);
        }
    }

    #[test]
    fn nothing_ends_lines_or_turns_them_around() {
        let text = "a\u{2028}b\u{2029}c\u{85}d\u{B}e\u{C}f\n\tg";
        assert_eq!(plain(text), "a b c d e f\n\tg");
        for range in ['\u{202A}'..='\u{202E}', '\u{2066}'..='\u{2069}', '\u{200E}'..='\u{200F}'] {
            for character in range {
                assert_eq!(plain(&format!("x{character}y")), "xy");
            }
        }
        assert_eq!(plain("\u{61C}\u{200B}\u{FEFF}\u{AD}\u{E0041}"), "");
        assert_eq!(plain("क\u{200D}ष ♥\u{FE0F} 葛\u{E0100}"), "क\u{200D}ष ♥\u{FE0F} 葛\u{E0100}");
    }
}
