//! The message that a helper gets.

use std::io::{Read as _, stdin};

use challenger_proto::address::is_invisible;

/// The longest message, in bytes. One is a few sentences; more than this is a mistake or an attack.
const MESSAGE_MAX: u64 = 64 * 1024;

/// Reads the message on standard input, as [`tidy_message`] makes it.
///
/// # Errors
/// Standard input cannot be read, or is not a message.
pub(crate) fn read_message() -> Result<String, String> {
    let mut bytes = Vec::new();
    stdin()
        .take(MESSAGE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&format!("cannot be read: {error}")))?;
    tidy_message(&bytes)
}

/// A message without blanks at its end. All line endings become line feeds; invisible characters
/// are left out.
///
/// # Errors
/// The message is empty, too long, or not plain text. The complaint says which, and does not quote
/// it.
pub(crate) fn tidy_message(bytes: &[u8]) -> Result<String, String> {
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MESSAGE_MAX) {
        return Err(failed(&format!("is longer than {MESSAGE_MAX} bytes")));
    }
    let text = str::from_utf8(bytes).map_err(|_| failed("is not UTF-8"))?;
    // A lone carriage return ends a line for some servers and not for others.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if text.contains(|character: char| character.is_control() && !"\n\t".contains(character)) {
        return Err(failed("has control characters"));
    }
    let text = plain(&text);
    if text.trim().is_empty() {
        return Err(failed("is empty"));
    }
    Ok(text.trim_end().to_owned())
}

fn failed(what: &str) -> String {
    format!("the message on standard input {what}")
}

/// A text in which only line feeds end lines, and nothing is invisible or turns the direction of
/// writing around: other line separators become spaces.
pub(crate) fn plain(text: &str) -> String {
    let visible = text.chars().filter(|character| !is_invisible(*character));
    visible.map(|character| if is_separator(character) { ' ' } else { character }).collect()
}

/// Whether programs that show a text begin a new line here, or a new page.
pub(crate) fn is_separator(character: char) -> bool {
    matches!(character, '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}
