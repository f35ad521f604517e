//! Restrictions: patterns for the fields of an address, which the operator writes in JSON.

#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

use serde_json::{Map, Value, json};

use crate::address::FIELDS_MAX;
use crate::address::fields::{FIELD_NAME_RULE, is_field_name};
use crate::address::pattern::{Pattern, PatternError};
use crate::media;

/// Restricted fields in the order of their names. Other declared fields may hold any text; the
/// default restricts no field.
#[derive(Clone, Debug, Default)]
pub struct Restrictions(BTreeMap<String, Restriction>);

/// The restriction of one field, with hints for people.
#[derive(Clone, Debug)]
pub struct Restriction {
    /// The pattern of the allowed values.
    pub pattern: Pattern,
    /// The hint in any language that is not in `hint_i18n`.
    pub hint: String,
    /// The hints by language.
    pub hint_i18n: BTreeMap<String, String>,
}

impl Restrictions {
    /// Reads an object with the restricted fields as keys. A field has a `regex` and a `hint`,
    /// as `/config` promises, and may have a `hint_i18n`. Unknown keys are refused, because a
    /// misspelt one would leave a field unrestricted. If a key is repeated, the last one counts.
    ///
    /// # Errors
    /// [`RestrictionError`] for everything else, patterns we refuse included.
    ///
    /// ```
    /// use challenger_proto::address::Restrictions;
    ///
    /// let json = r#"{"CONTACT_PHONE": {"regex": "^\\+[0-9]+$", "hint": "+41791234567"}}"#;
    /// assert!(Restrictions::parse(json).unwrap().fields().eq(["CONTACT_PHONE"]));
    /// ```
    pub fn parse(json: &str) -> Result<Self, RestrictionError> {
        let value: Value = serde_json::from_str(json).map_err(|error| {
            RestrictionError::JsonInvalid { line: error.line(), column: error.column() }
        })?;
        let Value::Object(fields) = value else { return Err(RestrictionError::NotObject) };
        if fields.len() > FIELDS_MAX {
            return Err(RestrictionError::TooManyFields);
        }
        fields
            .into_iter()
            .map(|(field, value)| {
                let restriction = Restriction::parse(&field, value)?;
                Ok((field, restriction))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The names of the restricted fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether no field is restricted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The restriction of a field.
    pub fn get(&self, field: &str) -> Option<&Restriction> {
        self.0.get(field)
    }

    /// The `restrictions` of `/config`: the patterns as the operator wrote them.
    pub fn to_json(&self) -> Value {
        self.0.iter().map(|(field, restriction)| (field.clone(), restriction.to_json())).collect()
    }

    /// The restrictions for a page: each hint in the language of the page, if it is translated.
    pub(crate) fn to_page_json(&self, language: &str) -> Value {
        let mut restrictions = self.to_json();
        for field in self.0.keys() {
            if let (Some(Value::Object(members)), Some(hint)) =
                (restrictions.get_mut(field), self.hint(field, language))
            {
                members.insert("hint".to_owned(), hint.into());
            }
        }
        restrictions
    }

    /// The hint of a field for a language: in that language, else in the language of which it is a
    /// regional form (`de` for `de-CH`), else the general hint. `None` if the field is not
    /// restricted.
    pub fn hint(&self, field: &str, language: &str) -> Option<&str> {
        let restriction = self.get(field)?;
        let languages = restriction.hint_i18n.keys().map(String::as_str);
        let translated = media::best_language(Some(language), languages)
            .and_then(|language| restriction.hint_i18n.get(language));
        Some(translated.unwrap_or(&restriction.hint))
    }
}

impl Restriction {
    fn parse(field: &str, value: Value) -> Result<Self, RestrictionError> {
        if !is_field_name(field) {
            return Err(RestrictionError::FieldName { field: field.to_owned() });
        }
        let Value::Object(mut keys) = value else {
            return Err(RestrictionError::FieldNotObject { field: field.to_owned() });
        };
        let regex = take_text(field, &mut keys, "regex")?;
        let hint = take_text(field, &mut keys, "hint")?;
        let hint_i18n = take_translations(field, &mut keys)?;
        if let Some(key) = keys.into_iter().map(|(key, _)| key).next() {
            return Err(RestrictionError::KeyUnknown { field: field.to_owned(), key });
        }
        let refused = |error| RestrictionError::Pattern { field: field.to_owned(), error };
        let pattern = Pattern::parse(&regex).map_err(refused)?;
        Ok(Self { pattern, hint, hint_i18n })
    }

    fn to_json(&self) -> Value {
        let mut json = json!({"regex": self.pattern.as_str(), "hint": self.hint});
        if let (false, Some(keys)) = (self.hint_i18n.is_empty(), json.as_object_mut()) {
            let owned = |(language, hint): (&String, &String)| (language.clone(), hint.clone());
            keys.insert("hint_i18n".to_owned(), self.hint_i18n.iter().map(owned).collect());
        }
        json
    }
}

fn take_text(
    field: &str,
    keys: &mut Map<String, Value>,
    key: &'static str,
) -> Result<String, RestrictionError> {
    match keys.remove(key) {
        None => Err(RestrictionError::KeyMissing { field: field.to_owned(), key }),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(RestrictionError::NotText { field: field.to_owned(), key: key.to_owned() }),
    }
}

fn take_translations(
    field: &str,
    keys: &mut Map<String, Value>,
) -> Result<BTreeMap<String, String>, RestrictionError> {
    let translations = match keys.remove("hint_i18n") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(translations)) => translations,
        Some(_) => return Err(RestrictionError::NotTranslations { field: field.to_owned() }),
    };
    translations
        .into_iter()
        .map(|(language, hint)| {
            let Value::String(hint) = hint else {
                let key = alloc::format!("hint_i18n.{language}");
                return Err(RestrictionError::NotText { field: field.to_owned(), key });
            };
            if !media::is_language_tag(&language) {
                let field = field.to_owned();
                return Err(RestrictionError::LanguageMalformed { field, language });
            }
            Ok((language, hint))
        })
        .collect()
}

/// Why restrictions were not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestrictionError {
    /// A text that cannot be the name of a field.
    FieldName {
        /// The field.
        field: String,
    },
    /// The restriction of a field is not an object.
    FieldNotObject {
        /// The field.
        field: String,
    },
    /// The text is not JSON.
    JsonInvalid {
        /// The line, counted from one.
        line: usize,
        /// The column, counted from one.
        column: usize,
    },
    /// A key that a field must have is missing.
    KeyMissing {
        /// The field.
        field: String,
        /// The key.
        key: &'static str,
    },
    /// A field has a key other than `regex`, `hint` and `hint_i18n`.
    KeyUnknown {
        /// The field.
        field: String,
        /// The key.
        key: String,
    },
    /// A key of `hint_i18n` does not have the shape of a language tag.
    LanguageMalformed {
        /// The field.
        field: String,
        /// The key.
        language: String,
    },
    /// The JSON is not an object.
    NotObject,
    /// A value that must be a string is not one.
    NotText {
        /// The field.
        field: String,
        /// The key, and the language after a dot.
        key: String,
    },
    /// The `hint_i18n` is not an object.
    NotTranslations {
        /// The field.
        field: String,
    },
    /// The `regex` is refused.
    Pattern {
        /// The field.
        field: String,
        /// Why.
        error: PatternError,
    },
    /// More fields are restricted than an address may have.
    TooManyFields,
}

impl fmt::Display for RestrictionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldName { field } => {
                write!(f, "field {field:?}: {FIELD_NAME_RULE}")
            }
            Self::FieldNotObject { field } => {
                let example = r#"{"regex": "^[0-9]+$", "hint": "digits"}"#;
                write!(f, "field {field:?} is no object, write one such as {example}")
            }
            Self::JsonInvalid { line, column } => {
                write!(f, "no JSON at line {line}, column {column}, where an object is wanted")
            }
            Self::KeyMissing { field, key } => {
                write!(f, "field {field:?} has no {key:?}, it needs a \"regex\" and a \"hint\"")
            }
            Self::KeyUnknown { field, key } => write!(
                f,
                "field {field:?} has an unknown key {key:?}, there are \"regex\", \"hint\" and \
                 \"hint_i18n\""
            ),
            Self::LanguageMalformed { field, language } => write!(
                f,
                "field {field:?}: {language:?} in \"hint_i18n\" is no language, write a tag such \
                 as \"de\" or \"de-CH\""
            ),
            Self::NotObject => {
                f.write_str("an object is wanted, with the restricted fields as keys, {} for none")
            }
            Self::NotText { field, key } => write!(f, "field {field:?}: {key:?} is no string"),
            Self::NotTranslations { field } => write!(
                f,
                "field {field:?}: \"hint_i18n\" is no object, write one such as {{\"de\": \
                 \"Ziffern\"}}"
            ),
            Self::Pattern { field, error } => write!(f, "field {field:?}: \"regex\" {error}"),
            Self::TooManyFields => {
                write!(f, "more fields are restricted than the {FIELDS_MAX} an address may have")
            }
        }
    }
}

impl core::error::Error for RestrictionError {}
