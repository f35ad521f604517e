//! What the operator decided: everything a decision may rest on beside the request and the rows.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use crate::address::{Address, AddressType};
use crate::fields::{Fields, READ_ONLY, RESERVED, spells_read_only};
use crate::form::Form;
use crate::legal::Documents;
use crate::limits::Limits;
use crate::page::PageSet;
use crate::refusal::{Refusal, Refused};
use crate::restriction::Restrictions;
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
    /// What kind of address is validated here.
    pub address_type: AddressType,
    /// Which fields an address of the operator's own type has. A registered type has its own, and
    /// every type those that are restricted; with none at all, no address is accepted.
    pub address_fields: Fields,
    /// An example of an address, for the form; may be empty.
    pub address_hint: String,
    /// How the helper gets the address.
    pub address_format: AddressFormat,
    /// What the fields of an address have to look like.
    pub restrictions: Restrictions,
    /// Budgets and durations.
    pub limits: Limits,
    /// Which pages exist.
    pub pages: PageSet,
    /// In which languages there are messages; with none, they are taken to be in English.
    pub message_languages: BTreeSet<String>,
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
            address_type,
            address_fields: Fields::default(),
            address_hint: String::new(),
            address_format: AddressFormat::default(),
            restrictions: Restrictions::default(),
            pages: PageSet::default(),
            message_languages: BTreeSet::new(),
            terms: Documents::default(),
            privacy: Documents::default(),
        }
    }

    /// The fields that an address may have: nothing else is ever proved.
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

    /// The address that a person entered.
    ///
    /// # Errors
    /// Names the field that is missing, not declared, too long, or not as the operator wants it.
    pub(crate) fn address_from_form(&self, form: &Form) -> Result<Address, Refused> {
        // The read-only flag is the client's alone; in a form it means nothing.
        let pairs = || form.pairs().filter(|(name, _)| !RESERVED.contains(name));
        if let Some((unknown, _)) = pairs().find(|(name, _)| !self.has_field(name)) {
            return Err(Refusal::ParameterMalformed.about(unknown));
        }
        let address = self.address(pairs()).map_err(|refused| self.name_first_field(refused))?;
        self.restrictions.check(&address)?;
        Ok(address)
    }

    /// Makes an address of fields, whose values are what people see of them: blanks around a
    /// value mean nothing, and lines end with LF, whatever a browser makes of both. A line break
    /// belongs in lines of text only, or it might begin a header in a message. An empty field of
    /// which nothing is demanded counts as missing: or somebody who confirms a proposal without
    /// that field would seem to change it.
    fn address<'a>(
        &self,
        fields: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Address, Refused> {
        let demanded = |name: &str| self.restrictions.get(name).is_some();
        let fields: Vec<(String, String)> = fields
            .map(|(name, value)| (name.to_string(), text::as_seen(value)))
            .filter(|(name, value)| !value.is_empty() || demanded(name))
            .collect();
        let odd = |(name, value): &&(String, String)| {
            let lines = name == "ADDRESS_LINES" || self.address_type.fields().is_none();
            value.contains(|c| text::is_control(c) && !(lines && c == '\n'))
        };
        match fields.iter().find(odd) {
            Some((name, _)) => Err(Refusal::ParameterMalformed.about(name.clone())),
            None => Address::new(fields),
        }
    }

    /// An empty form misses the first field.
    fn name_first_field(&self, refused: Refused) -> Refused {
        match self.fields().first() {
            Some(field) if refused.refusal == Refusal::ParameterMissing => {
                Refusal::ParameterMissing.about(*field)
            }
            _ => refused,
        }
    }

    /// The address that a client proposes: its declared fields that have text. Restrictions are for
    /// people and are checked when one confirms it. What is fixed has to be taken as a whole, or
    /// the client would believe that it fixed more; some clients write `null` for a missing value.
    ///
    /// # Errors
    /// [`Refusal::ParameterMalformed`] for a field that is too long, or too many of them; for one
    /// that would be left out of what is fixed; and for a name that is almost `read_only`.
    pub(crate) fn address_from_client(
        &self,
        proposal: &Map<String, Value>,
        read_only: bool,
    ) -> Result<Option<Address>, Refused> {
        let named = || proposal.iter().filter(|(name, _)| *name != READ_ONLY);
        // Left out, it would fix nothing, and the client believe that it did.
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
        match self.address(fields) {
            Ok(address) => Ok(Some(address)),
            Err(refused) if refused.refusal == Refusal::ParameterMissing => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// The helper's argument.
    ///
    /// # Errors
    /// [`Refusal::ParameterMalformed`] for an address that has no plain form, or one that the
    /// helper would take for an option.
    pub(crate) fn address_argument(&self, address: &Address) -> Result<String, Refused> {
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
