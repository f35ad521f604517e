//! `application/x-www-form-urlencoded` bodies and queries, read without loss or not at all.
//!
//! serde_urlencoded decodes, but forgives: it turns broken UTF-8 into replacement characters, lets
//! broken escapes and NUL through, and keeps repeated names. So the bytes are checked first.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::base32::letter;
use crate::refusal::{Refusal, Refused};

/// Decoded names and values, in the order they were sent. No name stands twice (RFC 6749 §3.1).
#[derive(Clone)]
pub struct Form(Vec<(String, String)>);

/// Shows the names only.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form")?;
        f.debug_set().entries(self.pairs().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// Reads a body or a query.
    ///
    /// # Errors
    /// [`Refusal::ParameterMalformed`] for an escape without two hex digits, for what is not UTF-8,
    /// for NUL, and for a name that repeats.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let malformed = |detail: &str| Refusal::ParameterMalformed.about(detail);
        let decoded = percent_decode(bytes).ok_or_else(|| malformed("percent-encoding"))?;
        if core::str::from_utf8(&decoded).is_err() {
            return Err(malformed("UTF-8"));
        }
        if decoded.contains(&0) {
            return Err(malformed("NUL"));
        }
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_bytes(bytes).map_err(|_| malformed("form"))?;
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(repeated) = names.windows(2).find_map(|pair| match pair {
            [first, second] if first == second => Some(*first),
            _ => None,
        }) {
            return Err(malformed(repeated));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter; a parameter without a value is treated as absent (RFC 6749 §3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(candidate, value)| candidate == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    pub(crate) fn require(&self, name: &str) -> Result<&str, Refused> {
        self.get(name).ok_or_else(|| Refusal::ParameterMissing.about(name))
    }

    /// All names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The bytes without their escapes; separators and `+` do not matter for the checks.
fn percent_decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        if *byte == b'%' {
            let high = hex_digit(*rest.next()?)?;
            let low = hex_digit(*rest.next()?)?;
            decoded.push(high * 16 + low);
        } else {
            decoded.push(*byte);
        }
    }
    Some(decoded)
}

pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Adds a value to a query, with everything escaped but RFC 3986's unreserved characters.
pub(crate) fn push_percent_encoded(query: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            query.push(char::from(byte));
        } else {
            query.extend(['%', letter(HEX, byte >> 4), letter(HEX, byte)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(bytes: &[u8]) -> Option<String> {
        Form::parse(bytes).err().and_then(|refused| refused.detail)
    }

    #[test]
    fn values_are_decoded() {
        let form = Form::parse(b"a=1+2&b=%C3%A9&c=x%0D%0Ay&d=&e").unwrap();
        assert_eq!(form.get("a"), Some("1 2"));
        assert_eq!(form.get("b"), Some("é"));
        assert_eq!(form.get("c"), Some("x\r\ny"), "to the byte");
        assert_eq!(form.get("d"), None);
        assert_eq!(form.get("e"), None);
        assert_eq!(form.pairs().count(), 5);
    }

    #[test]
    fn lossy_forms_are_refused() {
        for (bytes, expected) in [
            (&b"a=%zz"[..], "percent-encoding"),
            (b"a=%4", "percent-encoding"),
            (b"a=%", "percent-encoding"),
            (b"a=%ff", "UTF-8"),
            (b"a=\xff", "UTF-8"),
            (b"a=%C3&b=%A9", "UTF-8"),
            (b"a=%00", "NUL"),
            (b"a=\0", "NUL"),
            (b"a=1&b=2&a=3", "a"),
            (b"%61=1&a=3", "a"),
        ] {
            assert_eq!(detail(bytes).as_deref(), Some(expected), "{bytes:?}");
        }
    }

    #[test]
    fn encoding_leaves_unreserved_characters() {
        let mut query = String::from("a=");
        push_percent_encoded(&mut query, "aZ9-._~ /é&");
        assert_eq!(query, "a=aZ9-._~%20%2F%C3%A9%26");
    }
}
