//! Values of fields without invisible characters.
//!
//! The value that people see has to be the one that is compared, restricted, stored and proved.
//! With an invisible character, two addresses look like one; with a control of direction, an
//! address looks like another.

use alloc::string::String;

/// A value as people see it: lines end with LF, and there are no spaces around it.
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
    let trimmed = seen.trim();
    match trimmed.contains('\r') {
        true => trimmed.replace("\r\n", "\n").replace('\r', "\n"),
        false => trimmed.into(),
    }
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
            "Zoë O’Neill\u{a0}3",
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
            ("é\u{200d}\u{2028}é", "é\u{2028}é"),
        ] {
            assert_eq!(as_seen(text), seen, "{text:?}");
        }
    }

    #[test]
    fn blanks_around_a_value_mean_nothing_and_lines_end_with_lf() {
        assert_eq!(as_seen("\u{a0}\u{3000}\u{2003}Ada\u{202f}\u{85}\u{2029}"), "Ada");
        assert_eq!(as_seen("a\r\nb\rc\nd\r\u{200b}\n"), "a\nb\nc\nd");
    }

    #[test]
    fn lines_end_at_controls() {
        for c in ['\n', '\u{b}', '\u{c}', '\r', '\u{85}', '\u{2028}', '\u{2029}', '\0', '\u{1b}'] {
            assert!(is_control(c), "{c:?}");
        }
        assert!(!is_control(' ') && !is_control('\u{a0}') && !is_control('é'));
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
