//! Replies of a mail server (RFC 5321 §4.2), read leniently: any line end with a line feed, any
//! bytes, any text or none behind the code.

/// The longest reply, in bytes, with all its lines. Honest ones have a few hundred.
pub const REPLY_MAX: usize = 16 * 1024;

/// What a server says to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The code, from 200 to 599. The last line decides.
    pub code: u16,
    /// The text of each line, without its code. Bytes that are not UTF-8 are replaced.
    pub lines: Vec<String>,
}

impl Reply {
    /// The first digit of the code, which says whether the command was carried out.
    pub fn class(&self) -> u16 {
        self.code / 100
    }

    /// Subject and detail of the enhanced code (RFC 3463 §2), if there is one that fits the code.
    pub fn enhanced(&self) -> Option<(u16, u16)> {
        let found = self.lines.iter().rev().find_map(|line| enhanced(line));
        found
            .filter(|(class, ..)| *class == self.class())
            .map(|(_, subject, detail)| (subject, detail))
    }

    /// The text as one line. An enhanced code that each line repeats stands once.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let is_repeated = !text.is_empty() && parse_enhanced(word).is_some();
            let line = if is_repeated { rest } else { line };
            if !line.is_empty() {
                text.push_str(if text.is_empty() { "" } else { " " });
                text.push_str(line.trim());
            }
        }
        text
    }
}

/// The enhanced code at the beginning of a line, or as qmail and its relatives write it, at the
/// end: `(#5.1.1)`.
fn enhanced(line: &str) -> Option<(u16, u16, u16)> {
    let qmail = |word: &str| parse_enhanced(word.strip_prefix("(#")?.strip_suffix(')')?);
    let mut words = line.split_whitespace();
    parse_enhanced(words.next()?).or_else(|| qmail(words.last()?))
}

fn parse_enhanced(word: &str) -> Option<(u16, u16, u16)> {
    let mut numbers = word.split('.').map(|part| {
        let is_number = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| is_number)
    });
    let code = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(code)
}

/// Why bytes are not a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// The first line has no code.
    NoCode,
    /// There are more than [`REPLY_MAX`] bytes.
    TooLong,
}

/// The bytes that the server has sent, and nobody has read as a reply yet.
#[derive(Default)]
pub(super) struct Replies {
    buffer: Vec<u8>,
}

impl Replies {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn first(&self) -> Option<u8> {
        self.buffer.first().copied()
    }

    /// Takes the next reply, once all of it is here.
    pub(super) fn next(&mut self) -> Result<Option<Reply>, Malformed> {
        let mut reply = Reply { code: 0, lines: Vec::new() };
        let mut length = 0;
        for line in self.buffer.split_inclusive(|byte| *byte == b'\n') {
            length += line.len();
            if length > REPLY_MAX {
                return Err(Malformed::TooLong);
            }
            if !line.ends_with(b"\n") {
                break;
            }
            if reply.add(line)? {
                self.buffer.drain(..length);
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// Takes the beginning of a reply, of which no more is read.
    pub(super) fn cut_short(&mut self) -> Option<Reply> {
        let mut reply = Reply { code: 0, lines: Vec::new() };
        let buffer = std::mem::take(&mut self.buffer);
        let buffer = buffer.get(..REPLY_MAX).unwrap_or(&buffer);
        for line in buffer.split_inclusive(|byte| *byte == b'\n') {
            reply.add(line).ok()?;
        }
        (reply.code > 0).then_some(reply)
    }
}

impl Reply {
    /// Adds a line, and returns whether it is the last one. Within a reply, a line without a code
    /// is more text.
    fn add(&mut self, line: &[u8]) -> Result<bool, Malformed> {
        let line = String::from_utf8_lossy(line.trim_ascii_end());
        let Some((code, rest)) = code(&line) else {
            if self.code == 0 {
                return Err(Malformed::NoCode);
            }
            self.lines.push(line.trim().to_owned());
            return Ok(false);
        };
        self.code = code;
        let text = rest.strip_prefix('-').unwrap_or(rest).trim();
        self.lines.push(text.to_owned());
        Ok(!rest.starts_with('-'))
    }
}

/// The code at the beginning of a line, and what follows.
fn code(line: &str) -> Option<(u16, &str)> {
    let (digits, rest) = line.split_at_checked(3)?;
    let is_code = digits.bytes().all(|byte| byte.is_ascii_digit())
        && !rest.starts_with(|next: char| next.is_ascii_digit());
    let code = digits.parse().ok().filter(|code| is_code && (200..600).contains(code))?;
    Some((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, Malformed> {
        let mut replies = Replies::default();
        replies.push(bytes);
        replies.next()
    }

    fn text(bytes: &[u8]) -> String {
        let reply = read(bytes).unwrap().unwrap();
        format!("{}|{}", reply.code, reply.lines.join("|"))
    }

    #[test]
    fn replies_are_read_leniently() {
        for (bytes, expected) in [
            (&b"250 ok\r\n"[..], "250|ok"),
            (b"250\r\n", "250|"),
            (b"250\n", "250|"),
            (b"250 \r\r\n", "250|"),
            (b"250-a\r\n250 b\r\n", "250|a|b"),
            (b"250-a\n250\n", "250|a|"),
            (b"220-a\r\nhello there\r\n\r\n220 b\r\n", "220|a|hello there||b"),
            (b"250-a\r\n550 b\r\n", "550|a|b"),
            (b"250\tok\r\n", "250|ok"),
            (b"550 Empf\xe4nger\r\n", "550|Empf\u{fffd}nger"),
            (b"550 nul\0\r\n", "550|nul\0"),
        ] {
            assert_eq!(text(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_reply_begins_with_a_code() {
        for bytes in
            [&b"\r\n"[..], b"25\r\n", b"hello\r\n", b"2500 ok\r\n", b"999 no\r\n", b"150\n"]
        {
            assert_eq!(read(bytes), Err(Malformed::NoCode), "{}", bytes.escape_ascii());
        }
        assert_eq!(read("2\u{b2}0 ok\n".as_bytes()), Err(Malformed::NoCode));
        assert_eq!(read(b"250 ok\r"), Ok(None));
    }

    #[test]
    fn a_reply_has_a_longest_length() {
        let line = |len: usize| [b"250 ".as_slice(), &vec![b'a'; len - 6], b"\r\n"].concat();
        assert!(read(&line(REPLY_MAX)).unwrap().is_some());
        assert_eq!(read(&line(REPLY_MAX + 1)), Err(Malformed::TooLong));
        assert_eq!(read(&vec![b'a'; REPLY_MAX]), Ok(None));
        assert_eq!(read(&vec![b'a'; REPLY_MAX + 1]), Err(Malformed::TooLong));
        assert_eq!(read(&b"250-a\r\n".repeat(REPLY_MAX / 7 + 1)), Err(Malformed::TooLong));
    }

    #[test]
    fn enhanced_codes_are_found() {
        for (bytes, expected) in [
            (&b"550 5.1.1 unknown\n"[..], Some((1, 1))),
            (b"550-5.1.1 unknown\n550 see there\n", Some((1, 1))),
            (b"550 5.1.10\n", Some((1, 10))),
            (b"550 unknown 5.1.1\n", None),
            (b"550 no mailbox here by that name. (#5.1.1)\n", Some((1, 1))),
            (b"550 4.1.1 odd\n", None),
            (b"550 5.1 no\n", None),
            (b"550 5.1.1.1 no\n", None),
            (b"550 5.+1.1 no\n", None),
            (b"550\n", None),
        ] {
            let reply = read(bytes).unwrap().unwrap();
            assert_eq!(reply.enhanced(), expected, "{}", bytes.escape_ascii());
        }
        let reply = read(b"550-5.7.1 never,\n550-5.7.1\n550 5.7.1 ever\n").unwrap().unwrap();
        assert_eq!(reply.text(), "5.7.1 never, ever");
    }
}
