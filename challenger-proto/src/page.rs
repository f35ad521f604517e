//! The pages that people see: a name, a language, and the data for the template.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use serde_json::Value;

use crate::address::AddressType;
use crate::media;

/// The language every template must exist in.
pub const FALLBACK_LANGUAGE: &str = "en";

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageName {
    /// The code was redeemed: nothing is left to do here.
    AlreadyDone,
    /// The form for the address, one per address type.
    EnterAddressForm,
    /// The form for the code.
    EnterTanForm,
    /// Something went wrong on our side.
    InternalError,
    /// A wrong code, or one that was not judged.
    InvalidPin,
    /// A request that cannot be served.
    InvalidRequest,
    /// An unknown or expired link.
    ValidationUnknown,
}

impl PageName {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 7] = [
        Self::AlreadyDone,
        Self::EnterAddressForm,
        Self::EnterTanForm,
        Self::InternalError,
        Self::InvalidPin,
        Self::InvalidRequest,
        Self::ValidationUnknown,
    ];

    /// The template's name: what stands before `.$LANG.must` in its file name.
    pub fn template(self, address_type: &AddressType) -> String {
        match self {
            Self::AlreadyDone => "already-done".to_string(),
            Self::EnterAddressForm => format!("enter-{}-form", address_type.as_str()),
            Self::EnterTanForm => "enter-tan-form".to_string(),
            Self::InternalError => "internal-error".to_string(),
            Self::InvalidPin => "invalid-pin".to_string(),
            Self::InvalidRequest => "invalid-request".to_string(),
            Self::ValidationUnknown => "validation-unknown".to_string(),
        }
    }
}

/// A page to render.
#[derive(Clone, PartialEq)]
pub struct Page {
    /// Which one.
    pub name: PageName,
    /// In which language its template exists and the reader likes best.
    pub language: String,
    /// The template's variables.
    pub data: Value,
}

/// Without the data, which may hold a nonce and an address.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({:?}, {})", self.name, self.language)
    }
}

/// Which templates exist in which languages. An empty set makes a service without pages, which
/// answers 406 to whoever wants HTML.
#[derive(Clone, Debug, Default)]
pub struct PageSet(BTreeMap<PageName, BTreeSet<String>>);

impl PageSet {
    /// Adds a page in a language.
    pub fn insert(&mut self, name: PageName, language: impl Into<String>) {
        self.0.entry(name).or_default().insert(language.into());
    }

    /// Whether the page exists in the language.
    pub fn contains(&self, name: PageName, language: &str) -> bool {
        self.0.get(&name).is_some_and(|languages| languages.contains(language))
    }

    /// The page's language that `Accept-Language` ranks highest, else English; `None` when the page
    /// exists in neither.
    pub(crate) fn choose(&self, name: PageName, accept_language: Option<&str>) -> Option<&str> {
        let languages = self.0.get(&name)?;
        media::best_language(accept_language, languages.iter().map(String::as_str))
            .or_else(|| languages.get(FALLBACK_LANGUAGE).map(String::as_str))
    }
}
