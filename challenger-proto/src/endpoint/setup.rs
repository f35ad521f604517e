//! `POST /setup/$CLIENT_ID`: a client opens a validation.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use serde_json::json;

use crate::endpoint::authentication::admit;
use crate::endpoint::decision::{Context, Decision};
use crate::endpoint::opening::{keys_to_open, open};
use crate::endpoint::proposal::Proposal;
use crate::http::{BODY_MAX, Request, Response};
use crate::oauth::client::{ClientId, compare_with_nobody};
use crate::refusal::{Refusal, Refused};
use crate::secret::Secret;
use crate::secret::entropy::Entropy;
use crate::service::Service;
use crate::store::{Keys, Rows, Write};
use crate::time::Timestamp;

/// A client's request for a validation.
#[derive(Clone, Debug)]
pub(crate) struct SetupRequest {
    client: ClientId,
    secret: Secret<[String; 1]>,
    proposal: Proposal,
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
        // An empty body is an empty proposal.
        let proposal = if request.body.is_empty() {
            Proposal::default()
        } else {
            Proposal::parse(&decoded_body(request)?)?
        };
        Ok(Self { client, secret: Secret::new([secret.to_string()]), proposal })
    }

    pub(crate) fn keys(&self, now: Timestamp, service: &Service) -> Keys {
        keys_to_open(self.client, now, service)
    }

    pub(crate) fn decide(
        &self,
        rows: Rows,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let Some(client) = &rows.client else {
            self.secret.expose().iter().for_each(|it| compare_with_nobody(it));
            return Err(Refusal::ClientUnknown.into());
        };
        admit(client, self.secret.expose(), Refusal::ClientUnknown, context.now)?;
        let (nonce, validation) = open(client, rows.count, &self.proposal, entropy, context)?;
        let response = Response::json(200, json!({"nonce": nonce.to_text()}));
        Ok(Decision::Write(Write::Open(validation, client.secret.digest), response))
    }
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
