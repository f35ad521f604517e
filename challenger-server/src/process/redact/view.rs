//! Views of a text: each undoes one kind of escapes, and knows where in the text its letters came
//! from.

use challenger_proto::address::{is_invisible, is_joiner, is_selector};

/// A character as it is compared, with its bytes in the original text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) character: char,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// The shortest run of base64; shorter ones are ordinary words.
const BASE64_LEN_MIN: usize = 8;
/// The number of base64 letters for three bytes.
const GROUP_LEN: usize = 4;
/// The longest escape, in characters: two halves of `\ud83d\ude00`.
const ESCAPE_LEN_MAX: usize = 12;

/// The meaning of an escape.
enum Unit {
    /// A byte of UTF-8.
    Byte(u8),
    Char(char),
    /// Nothing visible.
    Nothing,
}

/// The views of a text: as it is; with the escapes of URLs, JSON and HTML undone, once and twice;
/// with quoted-printable undone; with base64 decoded. All are folded.
pub(super) fn views(text: &str) -> Vec<Vec<Letter>> {
    let printed = letters(text);
    let once = decode(&printed, escape);
    let twice = decode(&once, escape);
    let quoted = decode(&printed, quoted_printable);
    let mut views = vec![printed, once, twice, quoted];
    // Most outputs have no escapes at all.
    views.dedup();
    // A word before it shifts the groups of base64.
    let decoded = (0..GROUP_LEN).map(|skipped| base64(&letters(text), skipped));
    views.into_iter().chain(decoded).map(|view| fold(&view)).collect()
}

/// A text to search for, folded like the views.
pub(super) fn folded(text: &str) -> Vec<char> {
    let folded: String = fold(&letters(text)).iter().map(|letter| letter.character).collect();
    folded.trim().chars().collect()
}

pub(super) fn letters(text: &str) -> Vec<Letter> {
    let letter = |(from, character): (usize, char)| {
        let to = from + character.len_utf8();
        Letter { character, from, to }
    };
    text.char_indices().map(letter).collect()
}

/// Folds a view: ignores case and invisible characters, and turns whitespace and control characters
/// into single spaces.
fn fold(view: &[Letter]) -> Vec<Letter> {
    let mut folded: Vec<Letter> = Vec::with_capacity(view.len());
    for letter in view {
        let Letter { character, to, .. } = *letter;
        if character.is_whitespace() || character.is_control() {
            match folded.last_mut() {
                Some(last) if last.character == ' ' => last.to = to,
                _ => folded.push(Letter { character: ' ', ..*letter }),
            }
        } else if !is_unseen(character) {
            // Some letters have several in the other case: `ß` is `SS`, and `ẞ` is another one.
            let upper = character.to_lowercase().flat_map(char::to_uppercase);
            let lower = upper.flat_map(char::to_lowercase);
            folded.extend(lower.map(|character| Letter { character, ..*letter }));
        }
    }
    folded
}

/// Soft hyphens, joiners, directions and the like.
const fn is_unseen(character: char) -> bool {
    is_invisible(character) || is_joiner(character) || is_selector(character)
}

/// A view with escapes undone: `escape` returns the meaning of a text's beginning, and its length
/// in characters.
fn decode(view: &[Letter], escape: impl Fn(&[char]) -> Option<(Unit, usize)>) -> Vec<Letter> {
    let characters: Vec<char> = view.iter().map(|letter| letter.character).collect();
    let mut decoder = Decoder::default();
    let mut position = 0;
    while let (Some(letter), Some(ahead)) = (view.get(position), characters.get(position..)) {
        let (unit, len) = escape(ahead).unwrap_or((Unit::Char(letter.character), 1));
        position += len;
        let to = view.get(position - 1).map_or(letter.to, |last| last.to);
        decoder.take(unit, letter.from, to);
    }
    decoder.end()
}

/// Joins bytes to characters.
#[derive(Default)]
struct Decoder {
    decoded: Vec<Letter>,
    bytes: Vec<u8>,
    places: Vec<(usize, usize)>,
}

impl Decoder {
    fn take(&mut self, unit: Unit, from: usize, to: usize) {
        match unit {
            Unit::Byte(byte) => {
                self.bytes.push(byte);
                self.places.push((from, to));
            }
            Unit::Char(character) => {
                self.flush();
                self.decoded.push(Letter { character, from, to });
            }
            Unit::Nothing => {}
        }
    }

    /// The bytes since the last character, as UTF-8 or else as Latin-1.
    fn flush(&mut self) {
        let text = match std::str::from_utf8(&self.bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => self.bytes.iter().copied().map(char::from).collect(),
        };
        let is_latin = text.len() != self.bytes.len();
        let mut places = self.places.drain(..);
        for character in text.chars() {
            let len = if is_latin { 1 } else { character.len_utf8() };
            let mut own = places.by_ref().take(len);
            let Some((from, first_to)) = own.next() else { break };
            let to = own.last().map_or(first_to, |(_, to)| to);
            self.decoded.push(Letter { character, from, to });
        }
        drop(places);
        self.bytes.clear();
    }

    fn end(mut self) -> Vec<Letter> {
        self.flush();
        self.decoded
    }
}

/// The escapes of URLs and forms, of strings in JSON, C, Python and Rust, of HTML and terminals.
fn escape(ahead: &[char]) -> Option<(Unit, usize)> {
    let (first, rest) = ahead.split_first()?;
    match first {
        '%' => Some((Unit::Byte(number(rest, 2, 16)?.try_into().ok()?), 3)),
        '+' => Some((Unit::Char(' '), 1)),
        '\\' => backslash(rest),
        '&' => entity(rest),
        '\u{1b}' => {
            let rest = rest.strip_prefix(&['['])?;
            let end = rest.iter().take(ESCAPE_LEN_MAX).position(char::is_ascii_alphabetic)?;
            Some((Unit::Nothing, end + 3))
        }
        _ => None,
    }
}

/// The escape after a backslash.
fn backslash(rest: &[char]) -> Option<(Unit, usize)> {
    let (kind, digits) = rest.split_first()?;
    match kind {
        'b' | 'f' | 'n' | 'r' | 't' => Some((Unit::Char(' '), 2)),
        '"' | '\'' | '/' | '\\' => Some((Unit::Char(*kind), 2)),
        'x' => Some((Unit::Byte(number(digits, 2, 16)?.try_into().ok()?), 4)),
        '0'..='3' => Some((Unit::Byte(number(rest, 3, 8)?.try_into().ok()?), 4)),
        'u' if digits.first() == Some(&'{') => {
            let len = digits.iter().take(ESCAPE_LEN_MAX).position(|it| *it == '}')?;
            let code = number(digits.get(1..len)?, len - 1, 16)?;
            Some((Unit::Char(char::from_u32(code)?), len + 3))
        }
        'U' => Some((Unit::Char(char::from_u32(number(digits, 8, 16)?)?), 10)),
        'u' => {
            let unit = number(digits, 4, 16)?;
            if let Some(character) = char::from_u32(unit) {
                return Some((Unit::Char(character), 6));
            }
            let other = digits.get(4..)?.strip_prefix(&['\\', 'u'])?;
            let pair = [unit, number(other, 4, 16)?].map(|it| u16::try_from(it).unwrap_or(0));
            let character = char::decode_utf16(pair).next()?.ok()?;
            Some((Unit::Char(character), ESCAPE_LEN_MAX))
        }
        _ => None,
    }
}

/// The entity after an ampersand.
fn entity(rest: &[char]) -> Option<(Unit, usize)> {
    let len = rest.iter().take(ESCAPE_LEN_MAX).position(|it| *it == ';')?;
    let name: String = rest.iter().take(len).collect();
    let character = match name.as_str() {
        "amp" => '&',
        "apos" => '\'',
        "gt" => '>',
        "lt" => '<',
        "nbsp" => ' ',
        "quot" => '"',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => digits.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((Unit::Char(character), len + 2))
}

/// RFC 2045 §6.7, where a line may be broken anywhere.
fn quoted_printable(ahead: &[char]) -> Option<(Unit, usize)> {
    match ahead.strip_prefix(&['='])? {
        ['\r', '\n', ..] => Some((Unit::Nothing, 3)),
        ['\n', ..] => Some((Unit::Nothing, 2)),
        digits => Some((Unit::Byte(number(digits, 2, 16)?.try_into().ok()?), 3)),
    }
}

/// The number in the first `len` digits of a text.
fn number(text: &[char], len: usize, radix: u32) -> Option<u32> {
    let digits = text.get(..len)?;
    digits.iter().try_fold(0_u32, |number, digit| {
        number.checked_mul(radix)?.checked_add(digit.to_digit(radix)?)
    })
}

/// The decoded runs of base64 in a text, with a space between them; the first letters of each run
/// are skipped. A line break does not end a run.
fn base64(view: &[Letter], skipped: usize) -> Vec<Letter> {
    let mut decoder = Decoder::default();
    let mut run: Vec<(u32, &Letter)> = Vec::new();
    for letter in view {
        match sextet(letter.character) {
            Some(value) => run.push((value, letter)),
            None if matches!(letter.character, '\r' | '\n') => {}
            None => {
                decode_run(run.get(skipped..), &mut decoder);
                decoder.take(Unit::Char(' '), letter.from, letter.to);
                run.clear();
            }
        }
    }
    decode_run(run.get(skipped..), &mut decoder);
    decoder.end()
}

fn decode_run(run: Option<&[(u32, &Letter)]>, decoder: &mut Decoder) {
    let Some(run) = run.filter(|run| run.len() >= BASE64_LEN_MIN) else { return };
    for group in run.chunks(GROUP_LEN) {
        // Each byte takes the end of one letter and the beginning of the next.
        for (pair, shift) in group.windows(2).zip([4, 2, 0]) {
            let [(first, begin), (second, end)] = pair else { continue };
            let bits = ((first << 6 | second) >> shift) & 0xff;
            decoder.take(Unit::Byte(u8::try_from(bits).unwrap_or(0)), begin.from, end.to);
        }
    }
}

fn sextet(character: char) -> Option<u32> {
    match character {
        'A'..='Z' => Some(u32::from(character) - u32::from('A')),
        'a'..='z' => Some(u32::from(character) - u32::from('a') + 26),
        '0'..='9' => Some(u32::from(character) - u32::from('0') + 52),
        '+' | '-' => Some(62),
        '/' | '_' => Some(63),
        _ => None,
    }
}
