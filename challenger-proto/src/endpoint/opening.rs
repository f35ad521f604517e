//! Opening a validation, for each endpoint that does it.

use crate::endpoint::decision::Context;
use crate::endpoint::proposal::Proposal;
use crate::machine::validation::Validation;
use crate::oauth::client::{Client, ClientId};
use crate::refusal::{Refusal, Refused};
use crate::secret::entropy::Entropy;
use crate::secret::nonce::Nonce;
use crate::service::Service;
use crate::store::{Count, Keys};
use crate::time::Timestamp;

/// The rows that opening a validation needs.
pub(super) fn keys_to_open(client: ClientId, now: Timestamp, service: &Service) -> Keys {
    let count = service.limits.client_validations.map(|most| Count { client, now, most });
    Keys { client: Some(client), count, ..Keys::default() }
}

/// A new validation for a client that was allowed to open one, unless it has too many.
///
/// # Errors
/// The proposal is not acceptable, or the client has too many validations.
pub(super) fn open(
    client: &Client,
    count: u32,
    proposal: &Proposal,
    entropy: Entropy,
    context: Context<'_>,
) -> Result<(Nonce, Validation), Refused> {
    let (prefill, read_only) = proposal.address(context.service)?;
    let limits = &context.service.limits;
    if limits.client_validations.is_some_and(|most| count >= most) {
        return Err(Refusal::TooManyValidations.into());
    }
    let nonce = Nonce::draw(entropy);
    let validation = Validation::open(client, &nonce, prefill, read_only, context.now, limits);
    Ok((nonce, validation))
}
