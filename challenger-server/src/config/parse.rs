//! The syntax of configuration files: bytes in, numbered lines with their meaning out.
//!
//! - Lines end at `\n`; whitespace around them, including `\r`, is ignored. There are no
//!   continuation lines.
//! - `#` and `%` begin a comment at the start of a line and nowhere else.
//! - `[SECTION]`, `OPTION = VALUE`, `@inline@ FILE`, `@inline-matching@ PATTERN` and
//!   `@inline-secret@ SECTION FILE` are all there is.
//! - One pair of quotes around a whole value is removed; inside of it nothing is special.

use super::error::LineError;

/// The content of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Directive(Directive),
    Option { name: String, value: String },
    Section(String),
}

/// A line that names other files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    Inline { file: String },
    InlineMatching { pattern: String },
    InlineSecret { section: String, file: String },
}

/// All lines but empty ones and comments, with their numbers; or the first error, with its line.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<(usize, Line)>, (usize, LineError)> {
    let mut lines = Vec::new();
    let mut in_section = false;
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let Some(line) = parse_line(line).map_err(|error| (number, error))? else {
            continue;
        };
        match line {
            Line::Directive(_) => {}
            Line::Option { .. } if !in_section => return Err((number, LineError::NoSection)),
            Line::Option { .. } => {}
            Line::Section(_) => in_section = true,
        }
        lines.push((number, line));
    }
    Ok(lines)
}

fn parse_line(line: &[u8]) -> Result<Option<Line>, LineError> {
    let line = line.trim_ascii();
    // Comments come before everything else: they may be in any encoding.
    if line.is_empty() || line.starts_with(b"#") || line.starts_with(b"%") {
        return Ok(None);
    }
    let line = str::from_utf8(line).map_err(|_| LineError::NotUtf8)?;
    if line.contains('\0') {
        return Err(LineError::Nul);
    }
    if line.starts_with('\u{feff}') {
        return Err(LineError::ByteOrderMark);
    }
    if let Some(rest) = line.strip_prefix('@') {
        return parse_directive(rest).map(|directive| Some(Line::Directive(directive)));
    }
    if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Ok(Some(Line::Section(String::from(name))));
    }
    let Some((name, value)) = line.split_once('=') else {
        let header = line.starts_with('[');
        return Err(if header { LineError::SectionUnclosed } else { LineError::NotALine });
    };
    let name = String::from(name.trim_ascii());
    if name.is_empty() {
        return Err(LineError::OptionUnnamed);
    }
    Ok(Some(Line::Option { name, value: String::from(unquote(value.trim_ascii())) }))
}

/// The value without the quotes around it. A lone quote is not a pair.
fn unquote(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

fn parse_directive(rest: &str) -> Result<Directive, LineError> {
    let Some((name, argument)) = rest.split_once('@') else {
        return Err(LineError::DirectiveUnclosed);
    };
    let argument = argument.trim_ascii();
    match name.to_ascii_lowercase().as_str() {
        "inline" if argument.is_empty() => Err(LineError::DirectiveIncomplete("@inline@ FILE")),
        "inline" => Ok(Directive::Inline { file: String::from(argument) }),
        "inline-matching" if argument.is_empty() => {
            Err(LineError::DirectiveIncomplete("@inline-matching@ PATTERN"))
        }
        "inline-matching" => Ok(Directive::InlineMatching { pattern: String::from(argument) }),
        "inline-secret" => match argument.split_once(|char: char| char.is_ascii_whitespace()) {
            None => Err(LineError::DirectiveIncomplete("@inline-secret@ SECTION FILE")),
            Some((section, file)) => Ok(Directive::InlineSecret {
                section: String::from(section),
                file: String::from(file.trim_ascii()),
            }),
        },
        _ => Err(LineError::DirectiveUnknown(String::from(name))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options(text: &str) -> Vec<(String, String)> {
        let lines = parse(format!("[s]\n{text}").as_bytes()).unwrap();
        let pairs = lines.into_iter().filter_map(|(_, line)| match line {
            Line::Option { name, value } => Some((name, value)),
            Line::Directive(_) | Line::Section(_) => None,
        });
        pairs.collect()
    }

    #[test]
    fn values_are_what_is_written() {
        let cases = [
            ("A=1", "A", "1"),
            ("  A  =  1  ", "A", "1"),
            ("\tA\t=\t1\t\r", "A", "1"),
            ("A =", "A", ""),
            ("A = b = c", "A", "b = c"),
            ("A = b c", "A", "b c"),
            ("two words = 1", "two words", "1"),
            ("A:B = 1", "A:B", "1"),
            // No trailing comments, no continuation, no escapes.
            ("A = 1 # one", "A", "1 # one"),
            ("A = 1 % one", "A", "1 % one"),
            ("A = https://x/authorize#setup", "A", "https://x/authorize#setup"),
            ("A = end\\", "A", "end\\"),
            (r"A = ^\+41$", "A", r"^\+41$"),
            ("; A = 1", "; A", "1"),
            ("[A = 1", "[A", "1"),
            // Quotes.
            ("A = \"\"", "A", ""),
            ("A = \"  b  \"", "A", "  b  "),
            ("A = \"b\" c", "A", "\"b\" c"),
            ("A = b \"c\"", "A", "b \"c\""),
            ("A = \"b\"c\"", "A", "b\"c"),
            ("A = \"\"b\"\"", "A", "\"b\""),
            ("A = \"", "A", "\""),
            ("A = \"b", "A", "\"b"),
            ("A = 'b'", "A", "'b'"),
            (r#"A = "b\""#, "A", "b\\"),
            ("A = \u{a0}é\u{a0}", "A", "\u{a0}é\u{a0}"),
        ];
        for (text, name, value) in cases {
            assert_eq!(options(text), [(String::from(name), String::from(value))], "{text:?}");
        }
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        for text in ["", "\r", " \t ", "# A = 1", "  # A = 1", "% A = 1", "\t%", "#[b]", "#@x"] {
            assert_eq!(options(text), [], "{text:?}");
        }
        assert_eq!(parse(b"# gr\xfc\xdfe\n%\0\n"), Ok(vec![]), "comments may be in any encoding");
        assert_eq!(options("A = 1\n # x\nB = 2").len(), 2, "a comment does not eat its neighbour");
    }

    #[test]
    fn lines_have_numbers_and_sections_their_spelling() {
        let lines = parse(b"\n[One]\r\n\n A = 1\n[two words]\n[]\n[a]]").unwrap();
        let section = |name| Line::Section(String::from(name));
        let option = Line::Option { name: String::from("A"), value: String::from("1") };
        let expected = [
            (2, section("One")),
            (4, option),
            (5, section("two words")),
            (6, section("")),
            (7, section("a]")),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn directives_are_closed_and_have_arguments() {
        let file = || String::from("a b.conf");
        let cases = [
            ("@inline@ a b.conf", Directive::Inline { file: file() }),
            ("  @INLINE@a b.conf", Directive::Inline { file: file() }),
            ("@Inline-Matching@\ta b.conf ", Directive::InlineMatching { pattern: file() }),
            (
                "@inline-SECRET@ db \t a b.conf",
                Directive::InlineSecret { section: String::from("db"), file: file() },
            ),
        ];
        for (text, directive) in cases {
            let lines = vec![(1, Line::Directive(directive))];
            assert_eq!(parse(text.as_bytes()), Ok(lines), "{text:?}");
        }
    }

    #[test]
    fn wrong_lines_are_named() {
        let no_line =
            "expected [section], OPTION = VALUE, a directive, or a comment starting with # or %";
        let unclosed =
            "the section header does not end with ]: expected [section] and nothing behind it";
        let no_section = "an option before any section: expected a [section] first";
        let mark = "the file starts with a byte order mark: expected plain UTF-8";
        let unknown = |name: &str| {
            format!(
                "unknown directive {name:?}: expected @inline@, @inline-matching@ or \
                 @inline-secret@"
            )
        };
        let cases: [(&[u8], usize, &str); 17] = [
            (b"A = 1", 1, no_section),
            (b"\n[s]\nnonsense", 3, no_line),
            (b"[s", 1, unclosed),
            (b"[s] # trailing", 1, unclosed),
            (b"[", 1, unclosed),
            (b"[s]\n = 1", 2, "no name before the =: expected OPTION = VALUE"),
            (b"[s]\nA = \xff", 2, "the line is not UTF-8: expected UTF-8 outside of comments"),
            (b"[s]\nA = \0", 2, "the line has a NUL byte: expected text"),
            (b"\xef\xbb\xbf[s]", 1, mark),
            (b"@inline", 1, "the directive is not closed: expected a second @"),
            (b"@", 1, "the directive is not closed: expected a second @"),
            (b"@inline@", 1, "expected @inline@ FILE"),
            (b"@inline-matching@ ", 1, "expected @inline-matching@ PATTERN"),
            (b"@inline-secret@", 1, "expected @inline-secret@ SECTION FILE"),
            (b"@inline-secret@ db ", 1, "expected @inline-secret@ SECTION FILE"),
            (b"@include@ x", 1, &unknown("include")),
            (b"@ inline@ x", 1, &unknown(" inline")),
        ];
        for (text, number, message) in cases {
            let (line, error) = parse(text).unwrap_err();
            assert_eq!((line, error.to_string().as_str()), (number, message));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_lines_or_a_complaint(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let count = text.split(|byte| *byte == b'\n').count();
            match parse(&text) {
                Ok(lines) => prop_assert!(lines.len() <= count),
                Err((line, _)) => prop_assert!((1..=count).contains(&line)),
            }
        }

        #[test]
        fn likely_characters_do_no_harm(text in "[\\[\\]@=\"#% a\\n\\r\u{feff}]{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
