//! The endpoints: each reads its request, names what to load, and decides.

pub(crate) mod authorize;
pub(crate) mod challenge;
pub(crate) mod config;
pub(crate) mod info;
pub(crate) mod legal;
pub(crate) mod root;
pub(crate) mod setup;
pub(crate) mod solve;
pub(crate) mod token;

use alloc::format;
use alloc::string::String;

use serde_json::{Value, json};

use crate::address::Address;
use crate::answer::insert;
use crate::budget::Budget;
use crate::form::percent_encode;
use crate::grant::AuthorizationCode;
use crate::http::{Response, TARGET_MAX};
use crate::nonce::Nonce;
use crate::page::PageName;
use crate::plan::Desk;
use crate::refusal::{Refusal, Refused};
use crate::storage::{Load, Loaded};
use crate::time::{Span, Timestamp};
use crate::validation::{Progress, Validation};

/// The nonce of a path. One that cannot be is as unknown as one that is not.
fn parse_nonce(argument: &str) -> Result<Nonce, Refused> {
    Nonce::parse(argument).ok_or_else(|| Refusal::ValidationUnknown.into())
}

fn load_validation(nonce: &Nonce) -> Load {
    Load { validation: Some(nonce.digest()), ..Load::default() }
}

/// The validation that was loaded, if it exists and its time is not over.
fn live_validation(loaded: Loaded, now: Timestamp) -> Result<Validation, Refusal> {
    loaded.validation.ok_or(Refusal::ValidationUnknown)?.live(now)
}

/// The authorization response (RFC 6749 §4.1.2) of a solved validation.
fn redirect_url(validation: &Validation, nonce: &Nonce) -> Result<String, Refused> {
    let solution = validation.solution().ok_or(Refusal::Internal)?;
    let code = AuthorizationCode::derive(nonce, &solution.salt, &validation.redirect_uri);
    let state = validation.authorization.as_ref().and_then(|request| request.state.as_deref());
    Ok(validation.redirect_uri.with_code(&code.to_text(), state))
}

/// The answer to anything a person does after the right PIN: back to the client, until the code has
/// been redeemed and a second visit there would only fail.
fn completed(validation: &Validation, nonce: &Nonce, desk: Desk<'_>) -> Result<Response, Refused> {
    let url = redirect_url(validation, nonce)?;
    if !desk.reader.html {
        return Ok(Response::json(200, json!({"type": "completed", "redirect_url": url})));
    }
    if validation.is_redeemed() {
        let data = json!({"client": validation.redirect_uri.host()});
        return desk.reader.page(desk.service, 200, PageName::AlreadyDone, data);
    }
    Ok(Response::found(url))
}

/// The members of the wire's `InvalidPinResponse` that say what is left.
fn add_budget(data: &mut Value, validation: &Validation, desk: Desk<'_>) {
    let budget = validation.budget(&desk.service.limits);
    insert(data, "addresses_left", budget.addresses);
    insert(data, "pin_transmissions_left", budget.transmissions);
    insert(data, "auth_attempts_left", budget.attempts);
}

/// The answer to a PIN that was wrong or not judged: on a page, with every way on that is left.
fn invalid_pin(
    validation: &Validation,
    nonce: &Nonce,
    exhausted: bool,
    desk: Desk<'_>,
) -> Result<Response, Refused> {
    let refusal = Refusal::PinInvalid;
    let status = refusal.status();
    let mut data = json!({
        "type": "pending",
        "ec": refusal.code(),
        "hint": refusal.hint(),
        "exhausted": exhausted,
        "no_challenge": !is_challenged(validation),
    });
    add_budget(&mut data, validation, desk);
    let mut response = if desk.reader.html {
        let retry =
            is_challenged(validation) && validation.budget(&desk.service.limits).attempts > 0;
        insert(&mut data, "can_retry", retry);
        add_ways_on(&mut data, validation, nonce, desk);
        let (name, redirect_uri) = (PageName::InvalidPin, &validation.redirect_uri);
        desk.reader.form_page(desk.service, status, name, data, redirect_uri)?
    } else {
        // Older clients look for `ec`, the documentation says `code`.
        insert(&mut data, "code", refusal.code());
        Response::json(status, data)
    };
    response.refusal = Some(refusal);
    Ok(response)
}

const fn is_challenged(validation: &Validation) -> bool {
    matches!(validation.progress, Progress::Challenged(_))
}

/// The members that the pages with a code field share: who asks, what to compare, and what else the
/// person may do.
fn add_ways_on(data: &mut Value, validation: &Validation, nonce: &Nonce, desk: Desk<'_>) {
    let budget = validation.budget(&desk.service.limits);
    let due = budget.next_transmission <= desk.now;
    let again = is_challenged(validation) && budget.transmissions > 0;
    insert(data, "can_retransmit", again && due);
    insert(data, "client", validation.redirect_uri.host());
    insert(data, "fields", validation.address().map_or(Value::Null, field_list));
    insert(data, "next_tx_time", next_time_text(&budget));
    insert(data, "nonce", nonce.to_text());
    insert(data, "reference", validation.id.reference());
    // Before the first message, even an address that is fixed has to be confirmed there.
    if !validation.is_address_fixed() || !is_challenged(validation) {
        let url = authorize_url(validation, nonce);
        // A state that just fitted may not, in this spelling; then there is no way back but theirs.
        if url.len() < TARGET_MAX {
            insert(data, "change_url", url);
        }
    }
}

/// The earliest time of the next message, for people: in whole minutes, and never too early.
fn next_time_text(budget: &Budget) -> String {
    budget.next_transmission.plus(Span::seconds(59)).to_text()
}

/// An address as a list, for templates, which cannot walk the members of an object.
fn field_list(address: &Address) -> Value {
    address.fields().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// The page with the address form, relative to the other pages, asking for the same as before.
fn authorize_url(validation: &Validation, nonce: &Nonce) -> String {
    let mut url = format!(
        "../authorize/{}?response_type=code&client_id={}&redirect_uri={}",
        nonce.to_text(),
        validation.client,
        percent_encode(validation.redirect_uri.as_str()),
    );
    let mut add = |name: &str, value: &str| {
        url.push('&');
        url.push_str(name);
        url.push('=');
        url.push_str(&percent_encode(value));
    };
    if let Some(request) = &validation.authorization {
        if let Some(state) = &request.state {
            add("state", state);
        }
        if let Some(scope) = &request.scope {
            add("scope", scope);
        }
        if let Some(challenge) = &request.code_challenge {
            add("code_challenge", challenge.value());
            add("code_challenge_method", challenge.method());
        }
    }
    url
}
