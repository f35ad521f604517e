//! `application/x-www-form-urlencoded` bodies and queries, read without loss or not at all.
//!
//! serde_urlencoded decodes, but forgives: it turns broken UTF-8 into replacement characters, lets
//! broken escapes and NUL through, and keeps repeated names. So the bytes are checked first.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::percent::percent_decode;
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
    /// and for NUL; [`Refusal::ParameterRepeated`] for a name that is there twice.
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
            return Err(Refusal::ParameterRepeated.about(repeated));
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
}
