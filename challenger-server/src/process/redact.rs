//! Makes foreign output fit for the log: one line, without personal data.
//!
//! The output is searched in several [`views`], each of which undoes one encoding that would hide a
//! text from a plain search. Private words and digits that are found there are hidden in the
//! output.

mod digits;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use digits::digit;
use view::{Letter, folded, letters, views};

use crate::secrecy::{HIDDEN, is_secret};

/// A text with fewer characters than this could occur anywhere by chance, and is hidden only where
/// it is a word of its own.
const PHRASE_LEN_MIN: usize = 7;
/// A word of an address is hidden by itself from this many bytes on: it may be a name.
const PART_LEN_MIN: usize = 5;
/// The number of last digits by which a number is found: the digits of country and area before
/// them are often left out or written differently.
const TAIL_LEN: usize = 6;
/// The maximum number of extra zeros: `00` for the `+`, `(0)` after the country.
const ZEROS_MAX: usize = 3;
/// The maximum number of unusual signs between two digits: `","` of a list.
const SIGNS_MAX: usize = 3;
/// The maximum number of digits to search for. Telephone numbers have at most 15, with zeros 18.
const NUMBER_LEN_MAX: usize = 18;
/// The maximum number of texts to search for. Addresses of people have a few dozen; if one was made
/// to keep us busy, no output is logged.
const COUNT_MAX: usize = 500;
/// The length of the longest escape that may have been cut in two.
const CUT_ESCAPE_LEN_MAX: usize = 11;

/// A text that must not be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Private<'a> {
    /// A part of an address. Its own parts are hidden as well: words, and both sides of an `@`.
    Address(&'a str),
    /// A text that is private as a whole, such as a code.
    Text(&'a str),
}

/// A [`Private`] text that outlives its message.
pub(crate) enum Kept {
    Address(String),
    Text(String),
}

impl From<Private<'_>> for Kept {
    fn from(private: Private<'_>) -> Self {
        match private {
            Private::Address(text) => Self::Address(text.to_owned()),
            Private::Text(text) => Self::Text(text.to_owned()),
        }
    }
}

impl<'a> From<&'a Kept> for Private<'a> {
    fn from(kept: &'a Kept) -> Self {
        match kept {
            Kept::Address(text) => Self::Address(text),
            Kept::Text(text) => Self::Text(text),
        }
    }
}

/// The texts that must not be logged, prepared for the search.
#[derive(Default)]
pub(super) struct Redaction {
    /// By their first character.
    words: BTreeMap<char, Vec<Word>>,
    /// The digits of numbers, by their last [`TAIL_LEN`].
    numbers: BTreeMap<Vec<u32>, Vec<Vec<u32>>>,
    /// Whether the message alone has too many.
    is_endless: bool,
}

/// A text to search for.
struct Word {
    text: Vec<char>,
    /// Counts only as a word of its own.
    alone: bool,
}

impl Redaction {
    /// Hides private texts, and secrets among the settings of the program: by their names, or by a
    /// login in them.
    pub(super) fn new(private: &[Private<'_>], settings: &BTreeMap<String, String>) -> Self {
        let mut redaction = Self::default();
        for private in private {
            match private {
                Private::Address(text) => redaction.hide_address(text),
                Private::Text(text) => redaction.hide_text(text),
            }
        }
        let words = redaction.words.values().map(Vec::len);
        let count: usize = words.chain(redaction.numbers.values().map(Vec::len)).sum();
        redaction.is_endless = count > COUNT_MAX;
        for (name, value) in settings {
            if is_secret(name, value) {
                redaction.hide_text(value);
            }
        }
        redaction
    }

    /// Hides a text, its lines, because that is how a postal address gets printed, and its numbers.
    fn hide_text(&mut self, text: &str) {
        self.hide_phrase(text);
        for line in text.lines() {
            self.hide_phrase(line);
            for digits in numbers(&letters(line)) {
                self.hide_number(&digits.iter().map(|digit| digit.value).collect::<Vec<_>>());
            }
        }
        for digits in text.split(|it: char| digit(it).is_none()) {
            self.hide_number(&digits.chars().filter_map(digit).collect::<Vec<_>>());
        }
    }

    fn hide_address(&mut self, text: &str) {
        self.hide_text(text);
        for word in text.split_whitespace() {
            if let Some((local, domain)) = word.rsplit_once('@') {
                self.hide_phrase(local.trim_matches('"'));
                self.hide_phrase(domain);
                self.hide_parts(local);
            } else {
                self.hide_parts(word);
            }
        }
        // It may have spaces, in quotes.
        if let Some((local, _)) = text.rsplit_once('@') {
            self.hide_phrase(local.trim_matches('"'));
        }
    }

    fn hide_parts(&mut self, text: &str) {
        for part in text.split(|it: char| !it.is_alphanumeric()) {
            if part.len() >= PART_LEN_MIN {
                self.hide_word(folded(part), true);
            }
        }
    }

    fn hide_phrase(&mut self, text: &str) {
        let text = folded(text);
        let alone = text.len() < PHRASE_LEN_MIN;
        self.hide_word(text, alone);
    }

    fn hide_word(&mut self, text: Vec<char>, alone: bool) {
        if let Some(first) = text.first() {
            self.words.entry(*first).or_default().push(Word { text, alone });
        }
    }

    fn hide_number(&mut self, digits: &[u32]) {
        if let Some((_, tail)) = digits.split_last_chunk::<TAIL_LEN>() {
            let rest = digits.len().saturating_sub(NUMBER_LEN_MAX);
            let digits = digits.get(rest..).unwrap_or_default().to_vec();
            self.numbers.entry(tail.to_vec()).or_default().push(digits);
        }
    }

    /// The text of `output` on one line, with `***` for everything hidden and escapes for what is
    /// not printable. If the output was `cut` off, a hidden text that only began is hidden, too.
    pub(super) fn line(&self, output: &[u8], cut: bool) -> String {
        let text = String::from_utf8_lossy(output);
        // The cut may have gone through a character.
        let text = if cut { text.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &text };
        let text = text.trim();
        if self.is_endless && !text.is_empty() {
            return HIDDEN.to_owned();
        }
        let hidden = self.hidden(text, cut);
        let mut line = String::with_capacity(text.len());
        let mut within = false;
        for (start, character) in text.char_indices() {
            let hide = hidden.get(start).copied().unwrap_or_default();
            match (hide, within) {
                (true, true) => {}
                (true, false) => line.push_str(HIDDEN),
                (false, _) => push_printable(&mut line, character),
            }
            within = hide;
        }
        line
    }

    /// Whether each byte of the text is hidden.
    fn hidden(&self, text: &str, cut: bool) -> Vec<bool> {
        let mut hidden = vec![false; text.len()];
        let mut hide = |from: usize, to: usize| {
            if let Some(range) = hidden.get_mut(from..to) {
                range.fill(true);
            }
        };
        for view in views(text) {
            for found in self.words_in(&view, cut) {
                if let Some([first, .., last] | [first @ last]) = view.get(found) {
                    hide(first.from, last.to);
                }
            }
            let numbers = numbers(&view);
            for (left, digits) in (0..numbers.len()).rev().zip(&numbers) {
                for found in self.numbers_in(digits, cut && left == 0) {
                    if let Some([first, .., last] | [first @ last]) = digits.get(found) {
                        hide(first.from, last.to);
                    }
                }
            }
        }
        hidden
    }

    /// The positions of words in a view, including one that was cut off.
    fn words_in(&self, view: &[Letter], cut: bool) -> Vec<Range<usize>> {
        let text: Vec<char> = view.iter().map(|letter| letter.character).collect();
        let mut found = Vec::new();
        for (start, first) in text.iter().enumerate() {
            for word in self.words.get(first).into_iter().flatten() {
                let end = start + word.text.len();
                let is_there = text.get(start..end) == Some(&word.text);
                let fits = !word.alone
                    || begins_alone(&text, start, &word.text) && ends_alone(&text, end, &word.text);
                if is_there && fits {
                    found.push(start..end);
                }
            }
        }
        if cut {
            found.extend(self.word_begun_in(&text));
        }
        found
    }

    fn word_begun_in(&self, text: &[char]) -> Option<Range<usize>> {
        let escape = text.iter().rev().take(CUT_ESCAPE_LEN_MAX);
        let escape = escape.zip(1..).filter(|(it, _)| "%&=\\".contains(**it)).map(|(_, len)| len);
        let ends: Vec<usize> = [0].into_iter().chain(escape).map(|len| text.len() - len).collect();
        let is_begun = |start: usize| {
            ends.iter().filter_map(|end| text.get(start..*end)).any(|begun| {
                let words = begun.first().and_then(|first| self.words.get(first));
                words.into_iter().flatten().any(|word| {
                    word.text.starts_with(begun)
                        && (!word.alone || begins_alone(text, start, &word.text))
                })
            })
        };
        (0..text.len()).find(|start| is_begun(*start)).map(|start| start..text.len())
    }

    /// The positions of numbers among digits, including one that was cut off.
    fn numbers_in(&self, digits: &[Digit], cut: bool) -> Vec<Range<usize>> {
        let values: Vec<u32> = digits.iter().map(|digit| digit.value).collect();
        let mut found = Vec::new();
        for (start, tail) in values.windows(TAIL_LEN).enumerate() {
            for number in self.numbers.get(tail).into_iter().flatten() {
                found.push(beginning(digits, start, number)..start + TAIL_LEN);
            }
        }
        if cut {
            let first = values.len().saturating_sub(NUMBER_LEN_MAX);
            let begun = (first..values.len()).find(|start| self.has(values.get(*start..)));
            found.extend(begun.map(|start| start..values.len()));
        }
        found
    }

    /// Whether digits, without zeros in front, are a part of a number.
    fn has(&self, digits: Option<&[u32]>) -> bool {
        let digits = digits.unwrap_or_default();
        let zeros = digits.iter().take_while(|it| **it == 0).count();
        let significant = digits.get(zeros..).unwrap_or_default();
        let mut numbers = self.numbers.values().flatten();
        numbers.any(|it| {
            significant.is_empty() || it.windows(significant.len()).any(|it| it == significant)
        })
    }
}

/// The beginning of a number whose last digits are at `start`: as far as the digits before match,
/// with optional zeros.
///
/// In `21211: 79…`, the last `1` is not counted, even if the number has one there: before an
/// unusual sign, only a complete number goes on.
fn beginning(digits: &[Digit], mut start: usize, number: &[u32]) -> usize {
    let mut own = number.iter().rev().skip(TAIL_LEN).peekable();
    let (mut zeros, mut edge) = (0, None);
    while let Some(before) = start.checked_sub(1).and_then(|index| digits.get(index)) {
        if digits.get(start).is_some_and(|it| it.is_behind_sign) {
            edge = Some(start);
        }
        if own.next_if_eq(&&before.value).is_none() {
            zeros += 1;
            if before.value != 0 || zeros > ZEROS_MAX {
                break;
            }
        }
        start -= 1;
    }
    let is_whole = start == 0 || own.peek().is_none();
    if is_whole { start } else { edge.unwrap_or(start) }
}

/// Whether a word that begins here is not the rest of a longer one.
fn begins_alone(text: &[char], start: usize, word: &[char]) -> bool {
    is_edge(word, word.first(), start.checked_sub(1).and_then(|before| text.get(before)))
}

fn ends_alone(text: &[char], end: usize, word: &[char]) -> bool {
    is_edge(word, word.last(), text.get(end))
}

/// Whether a word can begin or end with its character `own` next to this neighbour: not between two
/// letters. A sign at its end is enough, unless the word has only signs: a dot alone is not a word
/// in the middle of another.
fn is_edge(word: &[char], own: Option<&char>, neighbour: Option<&char>) -> bool {
    let is_letter = |it: &char| it.is_alphanumeric();
    let is_sign = own.is_some_and(|own| !is_letter(own)) && word.iter().any(is_letter);
    is_sign || !neighbour.is_some_and(is_letter)
}

/// A digit, and the bytes of the output that it came from.
struct Digit {
    value: u32,
    from: usize,
    to: usize,
    /// Whether an unusual sign is between the previous digit and this one.
    is_behind_sign: bool,
}

/// The runs of digits in a view. Signs that are usual in numbers do not end a run, nor do a few
/// others. The last run, which may be empty, is the one at the end of the view.
fn numbers(view: &[Letter]) -> Vec<Vec<Digit>> {
    let mut numbers = Vec::new();
    let mut digits = Vec::new();
    let mut signs = 0;
    for Letter { character, from, to } in view {
        if let Some(value) = digit(*character) {
            digits.push(Digit { value, from: *from, to: *to, is_behind_sign: signs > 0 });
            signs = 0;
        } else if !is_between_digits(*character) {
            signs += 1;
            if character.is_alphanumeric() || signs > SIGNS_MAX {
                numbers.push(std::mem::take(&mut digits));
            }
        }
    }
    numbers.push(digits);
    numbers
}

fn is_between_digits(character: char) -> bool {
    matches!(character, ' ' | '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}')
        || "+./,_'\u{2019}*#()[]".contains(character)
}

/// Appends a character to a line of a log: control characters and the backslash, so that nobody can
/// forge an escape, are escaped. Quotes do no harm there.
fn push_printable(line: &mut String, character: char) {
    match character {
        '"' | '\'' => line.push(character),
        _ => line.extend(character.escape_debug()),
    }
}
