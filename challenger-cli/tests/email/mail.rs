//! Reads a mail as a mail program would.

use std::collections::BTreeMap;

use data_encoding::BASE64;

/// A mail, or a part of one.
#[derive(Debug)]
pub(crate) struct Entity {
    headers: Vec<(String, String)>,
    body: String,
}

impl Entity {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in head.split("\r\n") {
            assert!(line.is_ascii() && line.len() <= 78, "RFC 5322 §2.1.1: {line}");
            if line.starts_with([' ', '\t']) {
                headers.last_mut().unwrap().1.push_str(line);
            } else {
                let (name, value) = line.split_once(": ").unwrap();
                headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
        }
        Self { headers, body: body.to_owned() }
    }

    /// A header that is there once, and in clear.
    pub(crate) fn header(&self, name: &str) -> String {
        let found = self.maybe_header(name);
        found.unwrap_or_else(|| panic!("{name} in {:?}", self.headers))
    }

    /// A header that is not there twice.
    pub(crate) fn maybe_header(&self, name: &str) -> Option<String> {
        let is_it = |(it, _): &&(String, String)| *it == name.to_ascii_lowercase();
        let mut found = self.headers.iter().filter(is_it);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} twice in {:?}", self.headers);
        Some(decoded_words(value))
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The parts by their types.
    pub(crate) fn parts(&self) -> BTreeMap<String, Self> {
        let kind = self.header("Content-Type");
        let (kind, boundary) = kind.split_once("boundary=\"").unwrap();
        assert_eq!(kind.trim_end().trim_end_matches(';'), "multipart/alternative");
        let marker = format!("--{}", boundary.trim_end_matches('"'));
        let pieces: Vec<&str> = self.body.split(&marker).collect();
        assert_eq!(pieces.last().unwrap().trim_end(), "--");
        let parts = pieces[1..pieces.len() - 1].iter();
        parts
            .map(|piece| Self::parse(piece.strip_prefix("\r\n").unwrap()))
            .map(|part| (part.header("Content-Type"), part))
            .collect()
    }

    /// The content, without the encoding of the transport.
    pub(crate) fn content(&self) -> String {
        let body = self.body.strip_suffix("\r\n").unwrap();
        let bytes = match self.header("Content-Transfer-Encoding").as_str() {
            "7bit" => body.as_bytes().to_vec(),
            "quoted-printable" => unquoted(body),
            "base64" => BASE64.decode(body.replace("\r\n", "").as_bytes()).unwrap(),
            other => panic!("{other}"),
        };
        assert!(body.is_ascii());
        String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
    }
}

/// RFC 2045 §6.7.
fn unquoted(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            bytes.push(byte);
        } else if let Some(next_line) = after.strip_prefix(b"\r\n") {
            rest = next_line;
        } else {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        }
    }
    bytes
}

/// RFC 2047, in the one encoding that occurs here. Spaces between encoded words do not count.
fn decoded_words(value: &str) -> String {
    let mut decoded = String::new();
    let mut between = String::new();
    let mut last_was_encoded = false;
    for word in value.split_inclusive(' ') {
        let inner = word.trim_end().strip_prefix("=?utf-8?b?");
        match inner.and_then(|it| it.strip_suffix("?=")) {
            Some(base64) => {
                if !last_was_encoded {
                    decoded.push_str(&between);
                }
                decoded.push_str(
                    &String::from_utf8(BASE64.decode(base64.as_bytes()).unwrap()).unwrap(),
                );
                between = " ".repeat(word.len() - word.trim_end().len());
                last_was_encoded = true;
            }
            None => {
                decoded.push_str(&between);
                between.clear();
                decoded.push_str(word);
                last_was_encoded = false;
            }
        }
    }
    decoded
}
