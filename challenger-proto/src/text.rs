//! Text as people see it: without invisible characters, and with the same characters for what
//! looks or means the same.
//!
//! The value that people see has to be the one that is compared, restricted, stored and proved.
//! With an invisible character, two addresses look like one; with a control of direction, an
//! address looks like another.

use alloc::string::String;

/// A value as people see it: lines end with LF, all other blanks are spaces, and it neither begins
/// nor ends with a blank.
///
/// Joiners and variation selectors are not visible themselves. They stay where scripts need them:
/// in Persian and Indic words, after ideographs in names, and in emoji.
pub(crate) fn as_seen(value: &str) -> String {
    let mut seen = String::with_capacity(value.len());
    let mut joiner = None;
    for c in value.chars().filter(|c| !is_invisible(*c)) {
        let shapes_last = seen.chars().next_back().is_some_and(can_be_shaped);
        if is_joiner(c) {
            // It joins two characters, and several in a row count as one.
            joiner = joiner.or_else(|| shapes_last.then_some(c));
        } else if is_selector(c) {
            let selected = joiner.is_some() || seen.ends_with(is_selector);
            seen.extend((shapes_last && !selected).then_some(c));
        } else {
            let joins = !c.is_whitespace() && !c.is_control();
            seen.extend(joiner.take().filter(|_| joins));
            seen.push(c);
        }
    }
    seen.trim().replace("\r\n", "\n").chars().map(plain).collect()
}

/// A value without any character that nobody sees, and with one character for each kind of blank.
pub(crate) fn visible(value: &str) -> impl Iterator<Item = char> {
    let is_unseen = |c: char| is_invisible(c) || is_joiner(c) || is_selector(c);
    value.chars().filter(move |c| !is_unseen(*c)).map(plain)
}

/// LF for every end of a line, and a space for every other blank.
fn plain(c: char) -> char {
    match c {
        _ if ends_line(c) => '\n',
        _ if c.is_whitespace() => ' ',
        _ => c,
    }
}

/// A decimal digit of any script, as a number.
pub(crate) fn digit(c: char) -> Option<u8> {
    let c = u32::from(c);
    let after = ZEROS.partition_point(|zero| *zero <= c);
    let zero = ZEROS.get(after.checked_sub(1)?)?;
    u8::try_from(c - zero).ok().filter(|value| *value < 10)
}

/// The zeros of all scripts: Unicode's decimal digits (Nd) stand in tens, each from zero to nine.
const ZEROS: [u32; 76] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50,
    0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// Whether a character is a dash of any kind: Unicode's dashes (Pd), the minus sign, and the mark
/// of a long vowel, which stands beside the digits on Japanese keyboards.
pub(crate) const fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{58a}'
            | '\u{5be}'
            | '\u{1400}'
            | '\u{1806}'
            | '\u{2010}'..='\u{2015}'
            | '\u{2212}'
            | '\u{2e17}'
            | '\u{2e1a}'
            | '\u{2e3a}'..='\u{2e3b}'
            | '\u{2e40}'
            | '\u{2e5d}'
            | '\u{301c}'
            | '\u{3030}'
            | '\u{30a0}'
            | '\u{30fc}'
            | '\u{fe31}'..='\u{fe32}'
            | '\u{fe58}'
            | '\u{fe63}'
            | '\u{ff0d}'
            | '\u{ff70}'
            | '\u{10d6e}'
            | '\u{10ead}'
    )
}

/// Whether a character ends a line: LF, VT, FF, CR, NEL, or a separator of lines or paragraphs.
const fn ends_line(c: char) -> bool {
    matches!(c, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character ends a line or controls a terminal. LF, VT, FF, CR and NEL are controls in
/// Unicode; the separators of lines and paragraphs are not, and are added.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether a character is always invisible: those that Unicode calls default-ignorable, except
/// joiners and selectors; the blank Braille pattern; and the marks of annotations.
pub const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e00ff}'
            | '\u{e01f0}'..='\u{e0fff}'
    )
}

/// The zero-width joiner and non-joiner.
pub const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Selects a variant of the character before it.
pub const fn is_selector(c: char) -> bool {
    matches!(
        c,
        '\u{180b}'..='\u{180d}'
            | '\u{180f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Whether a joiner or a selector may follow a character. ASCII looks the same with one.
fn can_be_shaped(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_nobody_sees_is_dropped() {
        for invisible in [
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2064}',
            '\u{2066}',
            '\u{2069}',
            '\u{206a}',
            '\u{206f}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{e0001}',
            '\u{e0061}',
            '\u{e007f}',
            '\u{e0100}',
        ] {
            for value in [
                format!("{invisible}Ada"),
                format!("Ada{invisible}"),
                format!(" {invisible} Ada {invisible}\n"),
                format!("A{invisible}d{invisible}{invisible}a"),
            ] {
                assert_eq!(as_seen(&value), "Ada", "{value:?}");
            }
            assert_eq!(as_seen(&format!(" {invisible}\r{invisible}\n")), "");
        }
    }

    #[test]
    fn writing_keeps_what_shapes_it() {
        for text in [
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "ක්\u{200d}ර",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
            "葛\u{e0100}城",
            "葛\u{e0100}",
            "Zoë O’Neill 3",
            "שלום",
        ] {
            assert_eq!(as_seen(text), text);
        }
        for (text, seen) in [
            ("می\u{200c}", "می"),
            ("می\u{200c} خواهم", "می خواهم"),
            ("\u{200c}می", "می"),
            ("می\u{200c}\u{200d}\u{200c}خواهم", "می\u{200c}خواهم"),
            ("葛\u{e0100}\u{e0101}\u{fe0f}", "葛\u{e0100}"),
            ("é\u{200d}\n", "é"),
            ("é\u{200d}\u{2028}é", "é\né"),
        ] {
            assert_eq!(as_seen(text), seen, "{text:?}");
        }
    }

    #[test]
    fn blanks_around_a_value_mean_nothing_and_lines_end_with_lf() {
        assert_eq!(as_seen("\u{a0}\u{3000}\u{2003}Ada\u{202f}\u{85}\u{2029}"), "Ada");
        assert_eq!(as_seen("a\tb\u{a0}c\u{3000}d\u{2009}e"), "a b c d e");
        assert_eq!(as_seen("a\u{b}b\u{c}c\u{85}d\u{2028}e\u{2029}f"), "a\nb\nc\nd\ne\nf");
        assert_eq!(as_seen("a\r\nb\rc\nd\r\u{200b}\n"), "a\nb\nc\nd");
    }

    #[test]
    fn lines_end_at_controls() {
        for c in ['\n', '\u{b}', '\u{c}', '\r', '\u{85}', '\u{2028}', '\u{2029}', '\0', '\u{1b}'] {
            assert!(is_control(c), "{c:?}");
        }
        assert!(!is_control(' ') && !is_control('\u{a0}') && !is_control('é'));
    }

    /// All characters of a general category, by the tables of the regex crate.
    fn category(name: &str) -> Vec<char> {
        let class = regex::Regex::new(&format!("^\\p{{{name}}}$")).unwrap();
        let is_in = |c: &char| class.is_match(c.encode_utf8(&mut [0; 4]));
        ('\0'..=char::MAX).filter(is_in).collect()
    }

    #[test]
    fn digits_of_all_scripts_are_known_by_their_value() {
        let digits = category("Nd");
        assert!(digits.len() >= 700);
        for (index, c) in digits.iter().enumerate() {
            assert_eq!(digit(*c).map(usize::from), Some(index % 10), "{c:?}");
        }
        for c in ['\0', '/', ':', 'a', '²', '½', '①', '一', 'Ⅷ', '\u{1fbfa}', char::MAX] {
            assert_eq!(digit(c), None, "{c:?}");
        }
        assert!(ZEROS.is_sorted());
    }

    #[test]
    fn dashes_of_all_kinds_are_known() {
        let dashes = category("Pd");
        assert!(dashes.len() >= 25);
        assert!(dashes.into_iter().chain(['−', 'ー', 'ｰ']).all(is_dash));
        assert!(!['_', '~', '+', '一', '=', '/', ' '].into_iter().any(is_dash));
    }

    /// Much of what is dropped, beside all that there is.
    const ODD: &str = "[\u{ad}\u{200b}-\u{200f}\u{fe0f}\\PC\r\n\t é]{0,12}";

    proptest! {
        #[test]
        fn what_is_seen_is_seen_again(value in ODD) {
            let seen = as_seen(&value);
            prop_assert_eq!(&as_seen(&seen), &seen);
            prop_assert!(!seen.contains(is_invisible) && !seen.contains('\r'));
            prop_assert!(value.len() >= seen.len());
        }
    }
}
