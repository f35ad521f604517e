//! Addresses: named fields with text, and which fields each type of address has.

pub(crate) mod country;
pub(crate) mod destination;
pub(crate) mod fields;
pub(crate) mod mailbox;
pub(crate) mod pattern;
pub(crate) mod restriction;
pub(crate) mod tidy;

pub use destination::Destination;
pub use fields::{Fields, FieldsError};
pub use pattern::{PATTERN_MAX, Pattern, PatternError, PatternErrorKind};
pub use restriction::{Restriction, RestrictionError, Restrictions};

pub use crate::text::{is_invisible, is_joiner, is_selector};

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::Value;

use crate::address::tidy::shown;
use crate::refusal::{Refusal, Refused};

/// The most fields an address may have; the registered types have up to three.
pub const FIELDS_MAX: usize = 16;
/// The longest name of a field, in bytes.
pub const FIELD_NAME_MAX: usize = 64;
/// The longest value of a field, in bytes: a letter's address has ten lines at most, and the helper
/// gets the whole address as one argument.
pub const FIELD_VALUE_MAX: usize = 2048;

/// What kind of address a service validates: any name the operator likes, some of them registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressType(String);

/// How messages travel to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Channel {
    /// As e-mails.
    Email,
    /// In a way that only the operator knows.
    Other,
    /// As text messages.
    Phone,
    /// As letters.
    Post,
}

impl AddressType {
    /// The names of the types that are registered, the older name included.
    pub const REGISTERED: [&'static str; 5] = ["address", "email", "phone", "postal", "postal-ch"];

    /// A type of this name: ASCII letters, digits, `-` and `_`, because it is part of a template's
    /// file name.
    pub fn new(name: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (!name.is_empty() && name.len() <= FIELD_NAME_MAX && name.bytes().all(allowed))
            .then(|| Self(name.to_string()))
    }

    /// The name, as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fields of a registered type, under its older name as well; `None` for a type of the
    /// operator's own.
    pub fn fields(&self) -> Option<&'static [&'static str]> {
        match self.0.as_str() {
            "email" => Some(&["CONTACT_EMAIL"]),
            "phone" => Some(&["CONTACT_PHONE"]),
            "address" | "postal" => Some(&["CONTACT_NAME", "ADDRESS_LINES", "ADDRESS_COUNTRY"]),
            "postal-ch" => Some(&["CONTACT_NAME", "ADDRESS_LINES"]),
            _ => None,
        }
    }

    /// How messages travel.
    pub fn channel(&self) -> Channel {
        match self.0.as_str() {
            "email" => Channel::Email,
            "phone" => Channel::Phone,
            "address" | "postal" | "postal-ch" => Channel::Post,
            _ => Channel::Other,
        }
    }

    /// Whether the defaults are those of letters, which take days rather than seconds. Under the
    /// older name, `address`, a type has the defaults of any other.
    pub(crate) fn is_postal(&self) -> bool {
        matches!(self.0.as_str(), "postal" | "postal-ch")
    }
}

/// An address: its fields in the order of their names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(BTreeMap<String, String>);

impl Address {
    /// Builds an address from fields. At least one value must be more than spaces.
    ///
    /// # Errors
    /// [`Refusal::ParameterMissing`] when nothing is filled in, [`Refusal::ParameterMalformed`]
    /// when there are too many fields or one is too long.
    pub fn new(fields: impl IntoIterator<Item = (String, String)>) -> Result<Self, Refused> {
        let fields: BTreeMap<String, String> = fields.into_iter().collect();
        if fields.len() > FIELDS_MAX {
            return Err(Refusal::ParameterMalformed.about("too many fields"));
        }
        for (name, value) in &fields {
            if name.is_empty() || name.len() > FIELD_NAME_MAX {
                return Err(Refusal::ParameterMalformed.about("field name"));
            }
            if value.len() > FIELD_VALUE_MAX || value.contains('\0') {
                return Err(Refusal::ParameterMalformed.about(name.clone()));
            }
        }
        if fields.values().all(|value| value.trim().is_empty()) {
            return Err(Refusal::ParameterMissing.about("address"));
        }
        Ok(Self(fields))
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, in the order of the names.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The one value of an address with one field.
    pub fn only_value(&self) -> Option<&str> {
        let mut values = self.0.values();
        let first = values.next()?;
        values.next().is_none().then_some(first.as_str())
    }

    /// The flat JSON object of the wire and of the helper's argument.
    pub fn to_json(&self) -> Value {
        self.0.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect()
    }

    /// The values that people read in another spelling: with an internationalized domain in its
    /// own script. Whatever hides the address has to hide these as well.
    pub fn other_spellings(&self) -> impl Iterator<Item = String> {
        self.fields()
            .filter_map(|(name, value)| Some(shown(name, value)).filter(|shown| shown != value))
    }

    /// The fields as people read them, by their names.
    pub(crate) fn to_page_json(&self) -> Value {
        self.fields()
            .map(|(name, value)| (name.to_string(), Value::String(shown(name, value))))
            .collect()
    }

    /// [`Self::to_json`] as text, written compactly.
    pub fn to_json_text(&self) -> String {
        // Nothing but text is in it, which is always written.
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Reads what [`Self::to_json`] wrote; `None` for anything else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(ToString::to_string);
        let fields = value
            .as_object()?
            .iter()
            .map(|(name, value)| Some((name.clone(), text(value)?)))
            .collect::<Option<BTreeMap<_, _>>>()?;
        Some(Self(fields))
    }
}

/// The fields of an address that are wrong, at least one: each has a refusal that names it.
#[derive(Clone, Debug)]
pub struct WrongFields {
    first: Refused,
    rest: Vec<Refused>,
}

impl WrongFields {
    pub(crate) const fn one(first: Refused) -> Self {
        Self { first, rest: Vec::new() }
    }

    /// # Errors
    /// All of them, if there is one.
    pub(crate) fn all(refused: impl IntoIterator<Item = Refused>) -> Result<(), Self> {
        let mut refused = refused.into_iter();
        match refused.next() {
            Some(first) => Err(Self { first, rest: refused.collect() }),
            None => Ok(()),
        }
    }

    /// The first, which programs receive.
    pub const fn first(&self) -> &Refused {
        &self.first
    }

    pub(crate) fn into_first(self) -> Refused {
        self.first
    }

    /// Each of them, in the order of the form.
    pub fn each(&self) -> impl Iterator<Item = &Refused> {
        core::iter::once(&self.first).chain(&self.rest)
    }
}

/// A value that its owner recognizes and a bystander does not learn: `ad•••@example.com`,
/// `+41•••67`, and the last of several lines. The value is as people read it.
pub(crate) fn masked(name: &str, value: &str) -> String {
    if let Some((local, domain)) = value.rsplit_once('@') {
        return format!("{}@{domain}", hide(local, 2, 0));
    }
    match (name, value.rsplit_once('\n')) {
        ("CONTACT_PHONE", _) => hide(value, 3, 2),
        ("ADDRESS_COUNTRY", _) => value.to_string(),
        (_, Some((_, last))) => format!("{HIDDEN}\n{last}"),
        (_, None) => hide(value, 2, 0),
    }
}

/// Stands for what is hidden. Its length is fixed, so that it reveals nothing.
const HIDDEN: &str = "•••";

/// The first and last characters of a text, but never more than half of it.
fn hide(text: &str, first: usize, last: usize) -> String {
    let length = text.chars().count();
    let first = first.min(length / 2);
    let last = if first + last <= length / 2 { last } else { 0 };
    let begin = text.chars().take(first);
    let end = text.chars().skip(length - last);
    begin.chain(HIDDEN.chars()).chain(end).collect()
}

/// Shows the names only: an address belongs to a person.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")?;
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str, value: &str) -> Result<Address, Refused> {
        Address::new([(name.to_string(), value.to_string())])
    }

    #[test]
    fn registered_types_have_fields_and_no_others_do() {
        for name in AddressType::REGISTERED {
            assert!(AddressType::new(name).unwrap().fields().is_some(), "{name}");
        }
        assert_eq!(AddressType::new("Email").unwrap().fields(), None);
    }

    #[test]
    fn limits_hold() {
        assert!(address("A", &"x".repeat(FIELD_VALUE_MAX)).is_ok());
        assert!(address("A", &"x".repeat(FIELD_VALUE_MAX + 1)).is_err());
        assert!(address(&"x".repeat(FIELD_NAME_MAX), "1").is_ok());
        assert!(address(&"x".repeat(FIELD_NAME_MAX + 1), "1").is_err());
        assert!(address("", "1").is_err());
        assert!(address("A", " \n ").is_err());
        let many = |count: usize| Address::new((0..count).map(|n| (format!("F{n}"), "1".into())));
        assert!(many(FIELDS_MAX).is_ok());
        assert!(many(FIELDS_MAX + 1).is_err());
        assert!(many(0).is_err());
    }

    #[test]
    fn a_masked_address_is_recognized_by_its_owner_only() {
        for (name, value, masked) in [
            ("CONTACT_EMAIL", "ada@example.com", "a•••@example.com"),
            ("CONTACT_EMAIL", "lovelace@example.com", "lo•••@example.com"),
            ("CONTACT_EMAIL", "a@b@example.com", "a•••@example.com"),
            ("CONTACT_EMAIL", "x@example.com", "•••@example.com"),
            ("CONTACT_PHONE", "+41791234567", "+41•••67"),
            ("CONTACT_PHONE", "+4179", "+4•••"),
            ("CONTACT_NAME", "Ada Lovelace", "Ad•••"),
            ("CONTACT_NAME", "Ö", "•••"),
            ("ADDRESS_LINES", "Bahnhofstrasse 1\n8001 Zürich", "•••\n8001 Zürich"),
            ("ADDRESS_COUNTRY", "CH", "CH"),
        ] {
            assert_eq!(super::masked(name, value), masked);
        }
    }

    #[test]
    fn json_makes_the_round_trip_and_debug_hides_values() {
        let ada = address("CONTACT_EMAIL", "ada@example.com").unwrap();
        assert_eq!(ada.to_json().to_string(), r#"{"CONTACT_EMAIL":"ada@example.com"}"#);
        let odd = address("A", "\"é\n").unwrap();
        assert_eq!(odd.to_json_text(), odd.to_json().to_string());
        assert_eq!(Address::from_json(&ada.to_json()), Some(ada.clone()));
        assert_eq!(format!("{ada:?}"), r#"Address{"CONTACT_EMAIL"}"#);
        assert_eq!(Address::from_json(&serde_json::json!({"A": 1})), None);
    }
}
