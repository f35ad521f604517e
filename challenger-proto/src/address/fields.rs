//! The fields of an address, where the operator declares them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::address::{FIELD_NAME_MAX, FIELDS_MAX};
use crate::text;

/// The form field that says what was left when the form was shown.
pub(crate) const BUDGET_SEEN: &str = "budget_seen";
/// The flag of a client's proposal that fixes the address.
pub(crate) const READ_ONLY: &str = "read_only";

/// Whether a name is [`READ_ONLY`] apart from case, spaces and invisible characters.
pub(crate) fn spells_read_only(name: &str) -> bool {
    let is_seen = |c: &char| {
        let is_mark = text::is_invisible(*c) || text::is_joiner(*c) || text::is_selector(*c);
        !(is_mark || text::is_control(*c) || c.is_whitespace())
    };
    name.chars().filter(is_seen).flat_map(char::to_lowercase).eq(READ_ONLY.chars())
}

/// Form field names that are never part of an address.
pub(crate) const RESERVED: [&str; 2] = [READ_ONLY, BUDGET_SEEN];

/// The declared fields of an address, in the order of the declaration; the default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<String>);

impl Fields {
    /// Reads names that are separated by spaces or commas.
    ///
    /// # Errors
    /// [`FieldsError`] when there is no name, one too many, or one that a field cannot have.
    ///
    /// ```
    /// use challenger_proto::address::Fields;
    ///
    /// assert!(Fields::parse("handle, server").unwrap().names().eq(["handle", "server"]));
    /// assert!(Fields::parse("handle handle").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, FieldsError> {
        let mut names: Vec<String> = Vec::new();
        let is_between = |c: char| c == ',' || c.is_ascii_whitespace();
        for name in text.split(is_between).filter(|name| !name.is_empty()) {
            if !is_field_name(name) {
                return Err(FieldsError::Name { name: name.to_owned() });
            }
            if names.iter().any(|other| other == name) {
                return Err(FieldsError::Repeated { name: name.to_owned() });
            }
            names.push(name.to_owned());
        }
        match names.len() {
            0 => Err(FieldsError::Empty),
            1..=FIELDS_MAX => Ok(Self(names)),
            _ => Err(FieldsError::TooMany),
        }
    }

    /// The names, in the order of the declaration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether no field is declared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a text can be the name of a field. Two names that look alike would be two fields, of
/// which perhaps only one is restricted, so invisible characters are not allowed.
pub(crate) fn is_field_name(name: &str) -> bool {
    let is_odd = |c: char| c == ',' || c.is_whitespace() || text::is_control(c);
    let is_unseen = |c| text::is_invisible(c) || text::is_joiner(c) || text::is_selector(c);
    (1..=FIELD_NAME_MAX).contains(&name.len())
        && !name.contains(|c| is_odd(c) || is_unseen(c))
        && !RESERVED.contains(&name)
}

/// What [`is_field_name`] demands, for people.
pub(crate) const FIELD_NAME_RULE: &str = "a name has 1 to 64 bytes, no spaces, commas or invisible \
                                          characters, and is not read_only or budget_seen";

/// Why a declaration was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldsError {
    /// There is no name.
    Empty,
    /// A text that cannot be the name of a field.
    Name {
        /// The text.
        name: String,
    },
    /// A name is repeated.
    Repeated {
        /// The name.
        name: String,
    },
    /// There are more names than [`FIELDS_MAX`].
    TooMany,
}

impl fmt::Display for FieldsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "1 to {FIELDS_MAX} names of fields"),
            Self::Name { name } => {
                write!(f, "names of fields instead of {name:?}: {FIELD_NAME_RULE}")
            }
            Self::Repeated { name } => write!(f, "each name once, {name} stands twice"),
            Self::TooMany => write!(f, "at most {FIELDS_MAX} names of fields"),
        }
    }
}

impl core::error::Error for FieldsError {}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    fn message(text: &str) -> String {
        Fields::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn names_are_read_in_their_order() {
        for text in ["handle server", "handle,server", " handle ,\tserver,\n"] {
            assert!(Fields::parse(text).unwrap().names().eq(["handle", "server"]), "{text:?}");
        }
        assert!(Fields::parse("Straße").unwrap().names().eq(["Straße"]));
        assert!(Fields::default().is_empty());
    }

    #[test]
    fn other_names_are_refused() {
        let long = "x".repeat(FIELD_NAME_MAX + 1);
        for odd in ["read_only", "budget_seen", "a\u{a0}b", "a\u{200b}", "a\u{200d}b", "a\0", &long]
        {
            assert!(message(odd).starts_with("names of fields instead of \""), "{odd:?}");
        }
        assert!(FIELD_NAME_RULE.contains(&format!("1 to {FIELD_NAME_MAX} bytes")));
        assert_eq!(message(" , "), "1 to 16 names of fields");
        assert_eq!(message("a b a"), "each name once, a stands twice");
        let many = |count: usize| (0..count).map(|n| format!("F{n} ")).collect::<String>();
        assert!(Fields::parse(&many(FIELDS_MAX)).is_ok());
        assert_eq!(message(&many(FIELDS_MAX + 1)), "at most 16 names of fields");
    }
}
