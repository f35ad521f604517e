//! The answer when a message is one too many for the ledger.

use alloc::string::ToString;

use crate::address::Address;
use crate::endpoint::common::back_to_client;
use crate::endpoint::decision::Context;
use crate::endpoint::duration::{at_most, countdown};
use crate::endpoint::transmission::until as parts;
use crate::endpoint::view::{field_list, view};
use crate::http::json::insert;
use crate::http::{Body, Response};
use crate::machine::validation::Validation;
use crate::oauth::redirect::Outcome;
use crate::refusal::Refusal;
use crate::secret::nonce::Nonce;
use crate::service::Exhausted;
use crate::time::Timestamp;

/// Says that no message was sent, when one can be, and what else the person can do. The row is as
/// before. Nothing says which messages were sent, nor to whom.
pub(super) fn over_budget(
    validation: &Validation,
    nonce: &Nonce,
    address: &Address,
    exhausted: Exhausted,
    context: Context<'_>,
) -> Response {
    let Exhausted { until, other_address } = exhausted;
    let refused = Refusal::OverBudget.into();
    let wait = (until != Timestamp::NEVER).then(|| until.since(context.now));
    let mut view = view(validation, nonce, context, []);
    if !other_address || validation.is_address_fixed() {
        // The form for the address would lead here again.
        view.data = view.data.without(&["change_url"]);
    }
    let data = &mut view.data;
    data.set("other_address", other_address);
    // The address that was entered may be another than the one that has a code.
    data.set("fields", field_list(address, &context));
    if let Some(challenge) = validation.challenged().filter(|it| it.attempts_left > 0) {
        data.set("sent_to", field_list(&challenge.address, &context));
    }
    if let Some(wait) = wait {
        data.set("again", at_most(wait));
        data.set("in_time", until < validation.expires);
        data.set("wait", countdown(wait));
        data.set("until", parts(until));
    }
    let outcome = Outcome::Error(Refusal::OverBudget.oauth_error());
    data.set("back_url", back_to_client(validation, outcome, context.service));
    let mut response = context.audience.refuse(context.service, &refused, view);
    if let Some(wait) = wait {
        let seconds = wait.as_seconds().max(1);
        response.set("Retry-After", seconds.to_string());
        if let Body::Json(members) = &mut response.body {
            insert(members, "retry_after", seconds);
        }
    }
    response
}
