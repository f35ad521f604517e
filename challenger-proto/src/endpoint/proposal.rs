//! The address that a client proposes, and whether no other will do.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

use crate::address::Address;
use crate::address::fields::READ_ONLY;
use crate::refusal::{Refusal, Refused};
use crate::service::Service;

/// What a client proposes; the default is nothing.
#[derive(Clone, Default)]
pub(super) struct Proposal {
    members: Map<String, Value>,
    read_only: bool,
    /// Whether it is a `login_hint`.
    is_hint: bool,
}

/// Without the members, which are an address.
impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proposal").field("read_only", &self.read_only).finish_non_exhaustive()
    }
}

impl Proposal {
    /// Reads a JSON object with fields of an address, and perhaps the flag that fixes it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refused> {
        // Some programs write a byte order mark, and readers may ignore it (RFC 8259 §8.1).
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let members = parse_object(text)?;
        let read_only = match members.get(READ_ONLY) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => return Err(Refusal::ParameterMalformed.about(READ_ONLY)),
        };
        Ok(Self { members, read_only, is_hint: false })
    }

    /// Reads a `login_hint` (OpenID Connect Core §3.1.2.1), which proposes an address of one field.
    /// For others it means nothing.
    pub(super) fn of_hint(hint: &str, service: &Service) -> Self {
        let fields = service.fields();
        let ([field], false) = (fields.as_slice(), hint.is_empty()) else { return Self::default() };
        let member = ((*field).to_string(), Value::String(hint.to_string()));
        Self { members: [member].into_iter().collect(), read_only: false, is_hint: true }
    }

    /// The proposed address, if it has any, and whether no other will do.
    pub(super) fn address(&self, service: &Service) -> Result<(Option<Address>, bool), Refused> {
        let address = service.address_from_client(&self.members, self.read_only);
        // The client does not know the name of the field.
        let hint = || Refusal::ParameterMalformed.about("login_hint");
        let address = address.map_err(|refused| if self.is_hint { hint() } else { refused })?;
        // A client whose fields are all empty must not believe that it fixed an address.
        let names_fields = self.members.keys().any(|name| name != READ_ONLY);
        if self.read_only && address.is_none() && names_fields {
            return Err(Refusal::ParameterMalformed.about(READ_ONLY));
        }
        Ok((address, self.read_only))
    }
}

fn parse_object(text: &[u8]) -> Result<Map<String, Value>, Refused> {
    let Punctuation { colons, all } = Punctuation::of(text);
    if all > PUNCTUATION_MAX {
        return Err(Refusal::JsonInvalid.about("too many values"));
    }
    let parsed = serde_json::from_slice(text).map_err(|_| Refusal::JsonInvalid)?;
    if count_members(&parsed) < colons {
        return Err(Refusal::JsonInvalid.about("repeated name"));
    }
    if has_nul(&parsed) {
        return Err(Refusal::ParameterMalformed.about("NUL"));
    }
    match parsed {
        Value::Object(members) => Ok(members),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            Err(Refusal::JsonInvalid.into())
        }
    }
}

/// The most brackets, commas and colons of a proposal. A tiny value takes a hundred times as much
/// memory as text, and the client is not authenticated yet.
const PUNCTUATION_MAX: usize = 1000;

/// The punctuation of a JSON text, outside of its strings.
struct Punctuation {
    colons: usize,
    all: usize,
}

impl Punctuation {
    fn of(text: &[u8]) -> Self {
        let (mut it, mut in_string, mut escaped) = (Self { colons: 0, all: 0 }, false, false);
        for byte in text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                b':' | b',' | b'[' | b'{' if !in_string => {
                    it.colons += usize::from(*byte == b':');
                    it.all += 1;
                }
                _ => {}
            }
        }
        it
    }
}

/// The number of members of all objects, however deep. If an object repeats a name, it is smaller
/// than the number of colons, because the parsed object has each name once. Parsers differ in which
/// of two values they use (RFC 8259 §4), so an attacker who can add `"read_only": false` to a
/// client's object could undo the flag.
fn count_members(parsed: &Value) -> usize {
    let (mut members, mut rest) = (0, Vec::from([parsed]));
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items),
            Value::Object(object) => {
                members += object.len();
                rest.extend(object.values());
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
    }
    members
}

/// Whether a text or a name, however deep, has a NUL. Without recursion, as for all input.
fn has_nul(value: &Value) -> bool {
    let mut rest = Vec::from([value]);
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items),
            Value::Object(members) => {
                if members.keys().any(|name| name.contains('\0')) {
                    return true;
                }
                rest.extend(members.values());
            }
            Value::String(text) if text.contains('\0') => return true,
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
    }
    false
}
