//! The pages that people see: a name, a language, and the data for the template.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use serde_json::{Map, Value};

use crate::address::AddressType;
use crate::http::csp::Inline;
use crate::media;

/// The language every template must exist in.
pub const FALLBACK_LANGUAGE: &str = "en";

/// The name of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PageName {
    /// The authorization code was redeemed: nothing is left to do here.
    AlreadyDone,
    /// The form for the address, one per address type.
    EnterAddressForm,
    /// The form for the PIN.
    EnterTanForm,
    /// Something went wrong on our side.
    InternalError,
    /// A wrong PIN, or one that was not judged.
    InvalidPin,
    /// A request that cannot be served.
    InvalidRequest,
    /// The page for people who come without a link.
    Landing,
    /// A request that was not looked at: it is too large, or a proxy could not pass it on.
    NotServed,
    /// A message is one too many for the address, its destination, the client or the service.
    OverBudget,
    /// An unknown or expired link.
    ValidationUnknown,
}

impl PageName {
    /// All pages, in alphabetical order.
    pub const ALL: [Self; 10] = [
        Self::AlreadyDone,
        Self::EnterAddressForm,
        Self::EnterTanForm,
        Self::InternalError,
        Self::InvalidPin,
        Self::InvalidRequest,
        Self::Landing,
        Self::NotServed,
        Self::OverBudget,
        Self::ValidationUnknown,
    ];

    /// The template's name: the part of its file name before `.$LANG.must`.
    pub fn template(self, address_type: &AddressType) -> String {
        match self {
            Self::AlreadyDone => "already-done".to_string(),
            Self::EnterAddressForm => format!("enter-{}-form", address_type.as_str()),
            Self::EnterTanForm => "enter-tan-form".to_string(),
            Self::InternalError => "internal-error".to_string(),
            Self::InvalidPin => "invalid-pin".to_string(),
            Self::InvalidRequest => "invalid-request".to_string(),
            Self::Landing => "landing".to_string(),
            Self::NotServed => "not-served".to_string(),
            Self::OverBudget => "over-budget".to_string(),
            Self::ValidationUnknown => "validation-unknown".to_string(),
        }
    }
}

/// A page to render.
#[derive(Clone, PartialEq)]
pub struct Page {
    /// Its name.
    pub name: PageName,
    /// The language chosen: the reader's favourite among those available.
    pub language: String,
    /// The template's variables.
    pub data: Variables,
}

/// Without the data, which may hold a nonce and an address.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({:?}, {})", self.name, self.language)
    }
}

/// The variables of a template: JSON values with names. Most names are constants, which are not
/// copied.
#[derive(Clone, Default, PartialEq)]
pub struct Variables(BTreeMap<Cow<'static, str>, Value>);

impl Variables {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Sets a variable, replacing an earlier value.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.insert(Cow::Borrowed(name), value.into());
    }

    /// All variables except those with these names.
    pub fn without(&self, names: &[&str]) -> Self {
        let others = self.0.iter().filter(|(name, _)| !names.contains(&name.as_ref()));
        Self(others.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// If a name is repeated, the last value counts.
impl FromIterator<(&'static str, Value)> for Variables {
    fn from_iter<I: IntoIterator<Item = (&'static str, Value)>>(members: I) -> Self {
        let mut variables = Self::default();
        members.into_iter().for_each(|(name, value)| variables.set(name, value));
        variables
    }
}

/// The members of an object; any other value has no members.
impl From<Value> for Variables {
    fn from(value: Value) -> Self {
        let Value::Object(members) = value else { return Self::default() };
        Self(members.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect())
    }
}

impl From<Variables> for Value {
    fn from(variables: Variables) -> Self {
        let members = variables.0.into_iter();
        Self::Object(members.map(|(name, value)| (name.into_owned(), value)).collect::<Map<_, _>>())
    }
}

/// Without the values, which may be a nonce, a PIN or an address.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")?;
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The templates that exist, by language. With an empty set, the service has no pages and answers
/// 406 to requests for HTML.
#[derive(Clone, Debug, Default)]
pub struct PageSet(BTreeMap<PageName, BTreeMap<String, Inline>>);

impl PageSet {
    /// Adds a page without styles and scripts of its own, in a language.
    pub fn insert(&mut self, name: PageName, language: impl Into<String>) {
        self.insert_with(name, language, Inline::default());
    }

    /// Adds a page in a language, with the styles and scripts in it.
    pub fn insert_with(&mut self, name: PageName, language: impl Into<String>, inline: Inline) {
        self.0.entry(name).or_default().insert(language.into(), inline);
    }

    /// Whether the page exists in the language.
    pub fn contains(&self, name: PageName, language: &str) -> bool {
        self.inline(name, language).is_some()
    }

    /// The styles and scripts in a page, if it exists.
    pub fn inline(&self, name: PageName, language: &str) -> Option<&Inline> {
        self.0.get(&name)?.get(language)
    }

    /// The languages in which a person can get through: those of the form for the PIN.
    pub(crate) fn languages(&self) -> impl Iterator<Item = &str> {
        let languages = self.0.get(&PageName::EnterTanForm);
        languages.into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// The page's language that `Accept-Language` ranks highest, else English; `None` when the page
    /// exists in neither.
    pub(crate) fn choose(&self, name: PageName, accept_language: Option<&str>) -> Option<&str> {
        let languages = self.0.get(&name)?;
        let languages = || languages.keys().map(String::as_str);
        media::best_language(accept_language, languages())
            .or_else(|| languages().find(|language| *language == FALLBACK_LANGUAGE))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_as_good_as_an_object_and_keep_their_values_to_themselves() {
        let members = [("pin", json!("12345678")), ("left", json!(2)), ("left", json!(1))];
        let mut variables: Variables = members.into_iter().collect();
        variables.set("client", "shop.example");
        let object = json!({"client": "shop.example", "left": 1, "pin": "12345678"});
        assert_eq!(Value::from(variables.clone()), object);
        assert_eq!(Variables::from(object), variables);
        assert_eq!(Variables::from(json!(["no", "object"])), Variables::default());
        assert_eq!((variables.get("left"), variables.get("right")), (Some(&json!(1)), None));
        let public = json!({"client": "shop.example", "left": 1});
        assert_eq!(Value::from(variables.without(&["pin", "nonce"])), public);
        assert_eq!(format!("{variables:?}"), r#"Variables{"client", "left", "pin"}"#);
    }
}
