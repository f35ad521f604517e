//! The operator's decisions: everything an answer depends on besides the request, the rows, the
//! time and the entropy.

mod budgets;
#[cfg(test)]
mod tests;

pub use budgets::Budgets;
pub(crate) use budgets::{Exhausted, Payer, charge};

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use crate::address::country::{self, COUNTRY};
use crate::address::fields::{Fields, READ_ONLY, RESERVED, spells_read_only};
use crate::address::restriction::Restrictions;
use crate::address::tidy::{is_possible, tidied};
use crate::address::{Address, AddressType, FIELD_VALUE_MAX, WrongFields};
use crate::http::documents::Documents;
use crate::http::page::PageSet;
use crate::machine::limits::Limits;
use crate::refusal::{Refusal, Refused};
use crate::text;

/// How the helper gets the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressFormat {
    /// As a compact JSON object.
    #[default]
    Json,
    /// As the bare value of its only field.
    Plain,
}

/// The operator's decisions, made once at start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Service {
    /// The type of the addresses that are validated.
    pub address_type: AddressType,
    /// The fields of an address of the operator's own type. A registered type brings its fields,
    /// and restricted fields belong to every type. Without any field, no address is accepted.
    pub address_fields: Fields,
    /// An example of an address, for the form; may be empty.
    pub address_hint: String,
    /// How the helper gets the address.
    pub address_format: AddressFormat,
    /// What the fields of an address have to look like.
    pub restrictions: Restrictions,
    /// Budgets and durations of a validation.
    pub limits: Limits,
    /// Budgets across all validations.
    pub budgets: Budgets,
    /// The pages that exist.
    pub pages: PageSet,
    /// The languages of the messages; without any, messages are assumed to be in English.
    pub message_languages: BTreeSet<String>,
    /// The name of the service for people, shown at the top of each page; may be empty.
    pub name: String,
    /// The issuer identifier (RFC 8414 §2): the address of the service without a slash at its end,
    /// if it is known.
    pub issuer: Option<String>,
    /// The terms of service.
    pub terms: Documents,
    /// The privacy policy.
    pub privacy: Documents,
}

impl Service {
    /// A service with the defaults for a type of address: no restrictions, no pages, no documents.
    pub fn new(address_type: AddressType) -> Self {
        Self {
            limits: Limits::for_type(&address_type),
            budgets: Budgets::for_type(&address_type),
            address_type,
            address_fields: Fields::default(),
            address_hint: String::new(),
            address_format: AddressFormat::default(),
            restrictions: Restrictions::default(),
            pages: PageSet::default(),
            message_languages: BTreeSet::new(),
            name: String::new(),
            issuer: None,
            terms: Documents::default(),
            privacy: Documents::default(),
        }
    }

    /// The fields that an address may have. Nothing else is ever proved.
    pub fn fields(&self) -> Vec<&str> {
        let registered = self.address_type.fields().unwrap_or_default();
        let mut fields: Vec<&str> = registered.to_vec();
        for field in self.address_fields.names().chain(self.restrictions.fields()) {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        fields
    }

    /// Whether an address may have the field.
    pub(crate) fn has_field(&self, name: &str) -> bool {
        self.fields().contains(&name)
    }

    /// The address that a person entered, tidied: the fields of a form, of which those that never
    /// belong to an address are left out.
    ///
    /// # Errors
    /// Names each field that is missing, not declared, too long, not of its kind, or against its
    /// restriction.
    ///
    /// ```
    /// use challenger_proto::Service;
    /// use challenger_proto::address::AddressType;
    ///
    /// let service = Service::new(AddressType::new("phone").unwrap());
    /// let address = service.address([("CONTACT_PHONE", "+41 (0)79 123 45 67")]).unwrap();
    /// assert_eq!(address.get("CONTACT_PHONE"), Some("+41791234567"));
    /// ```
    pub fn address<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Address, WrongFields> {
        // The read-only flag is the client's alone; in a form it means nothing.
        let fields = fields.into_iter().filter(|(name, _)| !RESERVED.contains(name));
        let values = self.tidied(fields);
        self.judge(values.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        Address::new(values).map_err(|refused| WrongFields::one(self.name_first_field(refused)))
    }

    /// The address that would be kept of these fields, whether the service accepts it or not: to
    /// look for one that a client proposed, or that was accepted under other restrictions.
    ///
    /// # Errors
    /// No address has such fields.
    pub fn unjudged_address<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Address, Refused> {
        Address::new(self.tidied(fields.into_iter()))
    }

    /// The wrong fields of an address that a client proposes, or that was accepted under other
    /// restrictions.
    ///
    /// # Errors
    /// Names each of them, or the one that the helper cannot get.
    pub(crate) fn check(&self, address: &Address) -> Result<(), WrongFields> {
        self.judge(address.fields())?;
        self.address_argument(address).map(drop).map_err(WrongFields::one)
    }

    /// Judges every field that an address has or should have.
    fn judge<'a>(
        &self,
        given: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<(), WrongFields> {
        if let Some((unknown, _)) = given.clone().find(|(name, _)| !self.has_field(name)) {
            return Err(WrongFields::one(Refusal::ParameterMalformed.about(unknown)));
        }
        let value = |field: &str| given.clone().find(|(name, _)| *name == field);
        let flaw = |field: &str| self.flaw(field, value(field).map(|(_, value)| value));
        let wrong = |field: &str| flaw(field).map(|flaw| flaw.about(field));
        WrongFields::all(self.fields().into_iter().filter_map(wrong))
    }

    /// Whether nothing has to be entered into a field.
    pub(crate) fn may_be_empty(&self, field: &str) -> bool {
        self.flaw(field, Some("")).is_none()
    }

    /// What is wrong with the value of a field.
    fn flaw(&self, field: &str, value: Option<&str>) -> Option<Refusal> {
        let restriction = self.restrictions.get(field);
        let Some(value) = value else { return restriction.map(|_| Refusal::ParameterMissing) };
        let matches = restriction.is_none_or(|it| it.pattern.is_match(value));
        if value.is_empty() {
            return (!matches).then_some(Refusal::ParameterMissing);
        }
        let is_right = self.fits(field, value) && is_possible(field, value) && matches;
        (!is_right).then_some(Refusal::ParameterMalformed)
    }

    /// Whether a value is short enough, and has no control characters. Line breaks are allowed only
    /// in multi-line fields; elsewhere one could inject a header into a message.
    fn fits(&self, field: &str, value: &str) -> bool {
        let lines = field == "ADDRESS_LINES" || self.address_type.fields().is_none();
        let is_odd = |c| text::is_control(c) && !(lines && c == '\n');
        value.len() <= FIELD_VALUE_MAX && !value.contains(is_odd)
    }

    /// Names with tidied values. An empty field that is declared and unrestricted counts as absent;
    /// otherwise confirming a proposal that lacks it would count as changing the address.
    fn tidied<'a>(
        &self,
        fields: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Vec<(String, String)> {
        let demanded = |name: &str| self.restrictions.get(name).is_some();
        fields
            .map(|(name, value)| (name.to_string(), tidied(name, value)))
            .filter(|(name, value)| !value.is_empty() || demanded(name) || !self.has_field(name))
            .collect()
    }

    /// The codes of the countries that an address may have, in their order; none if it has no
    /// country.
    pub(crate) fn countries(&self) -> impl Iterator<Item = &'static str> {
        let codes = if self.has_field(COUNTRY) { &country::CODES[..] } else { &[] };
        let is_allowed = |code: &&str| self.flaw(COUNTRY, Some(code)).is_none();
        codes.iter().copied().filter(is_allowed)
    }

    /// For an empty form, the missing parameter is the first field.
    fn name_first_field(&self, refused: Refused) -> Refused {
        match self.fields().first() {
            Some(field) if refused.refusal == Refusal::ParameterMissing => {
                Refusal::ParameterMissing.about(*field)
            }
            _ => refused,
        }
    }

    /// The address that a client proposes: its declared fields that have text. What is not fixed is
    /// judged when a person confirms it, and can be corrected then. A fixed address is judged at
    /// once, and taken as a whole or not at all, or else the client would believe that it fixed
    /// more. Some clients write `null` for a missing value.
    ///
    /// # Errors
    /// [`Refusal::ParameterMalformed`] for a field that is too long, or too many of them; for one
    /// that would be left out of what is fixed, or that nobody could prove as it is; and for a name
    /// that is almost `read_only`.
    pub(crate) fn address_from_client(
        &self,
        proposal: &Map<String, Value>,
        read_only: bool,
    ) -> Result<Option<Address>, Refused> {
        let named = || proposal.iter().filter(|(name, _)| *name != READ_ONLY);
        // If it were left out, the client would believe that it fixed the address.
        let misspelt = |name: &&String| spells_read_only(name) && !self.has_field(name);
        if let Some((name, _)) = named().find(|(name, _)| misspelt(name)) {
            return Err(Refusal::ParameterMalformed.about(name));
        }
        let is_taken = |value: &Value| value.is_string() || value.is_null();
        let left_out = named().find(|(name, value)| !self.has_field(name) || !is_taken(value));
        if let (true, Some((name, _))) = (read_only, left_out) {
            return Err(Refusal::ParameterMalformed.about(name));
        }
        let fields = named()
            .filter(|(name, _)| self.has_field(name))
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        let values = self.tidied(fields);
        if let Some((name, _)) = values.iter().find(|(name, value)| !self.fits(name, value)) {
            return Err(Refusal::ParameterMalformed.about(name));
        }
        let address = match Address::new(values) {
            Ok(address) => address,
            Err(refused) if refused.refusal == Refusal::ParameterMissing => return Ok(None),
            Err(refused) => return Err(refused),
        };
        if read_only {
            // The person could not add what is missing, either.
            let malformed = |detail| Refused { refusal: Refusal::ParameterMalformed, detail };
            self.check(&address).map_err(|wrong| malformed(wrong.into_first().detail))?;
        }
        Ok(Some(address))
    }

    /// The helper's argument.
    ///
    /// # Errors
    /// [`Refusal::ParameterMalformed`] for an address that has no plain form, or one that the
    /// helper would read as an option.
    pub fn address_argument(&self, address: &Address) -> Result<String, Refused> {
        match self.address_format {
            AddressFormat::Json => Ok(address.to_json_text()),
            AddressFormat::Plain => match address.only_value() {
                Some(value) if !value.starts_with('-') => Ok(value.to_string()),
                Some(_) | None => {
                    let name = address.fields().next().map_or("address", |(name, _)| name);
                    Err(Refusal::ParameterMalformed.about(name))
                }
            },
        }
    }
}
