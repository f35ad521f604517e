//! `POST /setup/$CLIENT_ID`: a client opens a validation.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use serde_json::{Map, Value, json};

use crate::address::fields::READ_ONLY;
use crate::endpoint::decision::{Context, Decision};
use crate::http::{BODY_MAX, Request, Response};
use crate::machine::validation::Validation;
use crate::oauth::client::{ClientId, compare_with_nobody};
use crate::refusal::{Refusal, Refused};
use crate::secret::Secret;
use crate::secret::entropy::Entropy;
use crate::secret::nonce::Nonce;
use crate::service::Service;
use crate::store::{Count, Keys, Rows, Write};
use crate::time::Timestamp;

/// A client's request for a validation.
#[derive(Clone)]
pub(crate) struct SetupRequest {
    client: ClientId,
    secret: Secret<String>,
    proposal: Map<String, Value>,
    read_only: bool,
}

/// Without the proposal, which is an address.
impl fmt::Debug for SetupRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetupRequest").field("client", &self.client).finish_non_exhaustive()
    }
}

impl SetupRequest {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        let client = ClientId::parse(argument)
            .ok_or_else(|| Refusal::ParameterMalformed.about("CLIENT_ID"))?;
        if request.header("Authorization").is_none() {
            return Err(Refusal::ParameterMissing.about("Authorization"));
        }
        let secret = request
            .credentials("Bearer")
            .ok_or_else(|| Refusal::ParameterMalformed.about("Authorization"))?;
        let proposal = parse_proposal(request)?;
        let read_only = match proposal.get(READ_ONLY) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => return Err(Refusal::ParameterMalformed.about(READ_ONLY)),
        };
        Ok(Self { client, secret: Secret::new(secret.to_string()), proposal, read_only })
    }

    pub(crate) fn keys(&self, now: Timestamp, service: &Service) -> Keys {
        let most = service.limits.client_validations;
        let count = most.map(|most| Count { client: self.client, now, most });
        Keys { client: Some(self.client), count, ..Keys::default() }
    }

    pub(crate) fn decide(
        &self,
        rows: Rows,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let Some(client) = rows.client else {
            compare_with_nobody(self.secret.expose());
            return Err(Refusal::ClientUnknown.into());
        };
        if !client.secret.matches(self.secret.expose()) {
            return Err(Refusal::ClientUnknown.into());
        }
        let (proposal, service) = (&self.proposal, context.service);
        let prefill = service.address_from_client(proposal, self.read_only)?;
        // A client whose fields are all empty must not believe that it fixed an address, either.
        let names_fields = proposal.keys().any(|name| name != READ_ONLY);
        if self.read_only && prefill.is_none() && names_fields {
            return Err(Refusal::ParameterMalformed.about(READ_ONLY));
        }
        let limits = &context.service.limits;
        if limits.client_validations.is_some_and(|most| rows.count >= most) {
            return Err(Refusal::TooManyValidations.into());
        }
        let nonce = Nonce::draw(entropy);
        let validation =
            Validation::open(&client, &nonce, prefill, self.read_only, context.now, limits);
        let response = Response::json(200, json!({"nonce": nonce.to_text()}));
        Ok(Decision::Write(Write::Open(validation, client.secret.digest), response))
    }
}

/// The object in the body; an empty body is an empty proposal.
fn parse_proposal(request: &Request) -> Result<Map<String, Value>, Refused> {
    if request.body.is_empty() {
        return Ok(Map::new());
    }
    let body = decoded_body(request)?;
    // Some programs write a byte order mark, and readers may ignore it (RFC 8259 §8.1).
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&body);
    let Punctuation { colons, all } = Punctuation::of(body);
    if all > PUNCTUATION_MAX {
        return Err(Refusal::JsonInvalid.about("too many values"));
    }
    let parsed = serde_json::from_slice(body).map_err(|_| Refusal::JsonInvalid)?;
    if count_members(&parsed) < colons {
        return Err(Refusal::JsonInvalid.about("repeated name"));
    }
    if has_nul(&parsed) {
        return Err(Refusal::ParameterMalformed.about("NUL"));
    }
    match parsed {
        Value::Object(proposal) => Ok(proposal),
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

/// The body without its content coding. `deflate` is the zlib format (RFC 9110 §8.4.1.2).
fn decoded_body(request: &Request) -> Result<Cow<'_, [u8]>, Refused> {
    let coding = request.header("Content-Encoding").map_or("", str::trim);
    if coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
        return Ok(Cow::Borrowed(&request.body));
    }
    if !coding.eq_ignore_ascii_case("deflate") {
        return Err(Refusal::CompressionInvalid.about("Content-Encoding"));
    }
    inflate(&request.body).map(Cow::Owned)
}

/// Inflates a whole body. Bytes after its end are refused: another program might read them as
/// something else.
fn inflate(body: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut inflated = vec![0; BODY_MAX];
    let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = Box::<DecompressorOxide>::default();
    let (status, read, written) = decompress(&mut state, body, &mut inflated, 0, flags);
    inflated.truncate(written);
    if status == TINFLStatus::HasMoreOutput {
        return Err(Refusal::BodyTooLarge.into());
    }
    if status != TINFLStatus::Done || read != body.len() {
        return Err(Refusal::CompressionInvalid.into());
    }
    Ok(inflated)
}
