//! The content of the pages about a validation: the client, the address, what is left, and every
//! way on.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use crate::address::country::COUNTRY;
use crate::address::tidy::{shown, tidied};
use crate::address::{Address, Channel, WrongFields, masked};
use crate::endpoint::common::back_to_client;
use crate::endpoint::decision::Context;
use crate::endpoint::duration::countdown;
use crate::endpoint::response::View;
use crate::endpoint::transmission::until;
use crate::http::Response;
use crate::http::form::Form;
use crate::http::json::{insert, object};
use crate::http::page::{PageName, Variables};
use crate::machine::budget::Budget;
use crate::machine::validation::{Progress, Validation};
use crate::oauth::redirect::Outcome;
use crate::refusal::{Refusal, Refused};
use crate::secret::nonce::Nonce;
use crate::service::Service;
use crate::time::{Span, Timestamp};

/// The content of a page about a validation: the variables that each of them has, and more.
pub(super) fn view<'a, const N: usize>(
    validation: &'a Validation,
    nonce: &Nonce,
    context: Context<'_>,
    more: [(&'static str, Value); N],
) -> View<'a> {
    let budget = validation.budget(&context.service.limits);
    let challenged = is_challenged(validation);
    let next = budget.next_transmission;
    let again = challenged && budget.transmissions > 0 && next != Timestamp::NEVER;
    let wait = next.since(context.now);
    let unsent = is_unsent(&budget, context.service);
    let nonce = nonce.to_text();
    let members = [
        ("addresses_left", budget.addresses.into()),
        ("auth_attempts_left", budget.attempts.into()),
        ("budget_seen", budget.seen().into()),
        (channel_flag(context.service.address_type.channel()), true.into()),
        ("can_ask_again", again.into()),
        ("can_retransmit", (again && wait.as_seconds() == 0).into()),
        ("can_retry", (challenged && budget.attempts > 0).into()),
        ("client", validation.shown_client().into()),
        ("fields", validation.address().map_or(Value::Null, |it| field_list(it, &context))),
        ("next_tx_time", next_time_text(&budget).into()),
        ("pin_transmissions_left", budget.transmissions.into()),
        ("reference", validation.id.reference().into()),
        ("used_up", (challenged && budget.attempts == 0 && !unsent).into()),
    ];
    let mut data: Variables = members.into_iter().chain(more).collect();
    if again && wait.as_seconds() > 0 {
        data.set("wait", countdown(wait));
        data.set("until", until(next));
    }
    let can_change = match validation.progress {
        // Even an address that is fixed has to be confirmed there.
        Progress::Open => true,
        Progress::Challenged(_) => !validation.is_address_fixed() && budget.addresses > 0,
        Progress::Solved(_) | Progress::Redeemed { .. } | Progress::Revoked(_) => false,
    };
    if can_change {
        data.set("change_url", format!("../authorize/{nonce}"));
    }
    if let Some(few) = few(budget.attempts) {
        data.set("tries", json!({ (few): true }));
    }
    if let Some(few) = few(budget.addresses) {
        data.set("changes", json!({ (few): true }));
    }
    if let Some(url) = cancel_url(validation, context.service) {
        data.set("cancel_url", url);
    }
    if let Some(url) = validation.redirect_uri.origin().filter(|_| validation.is_solved()) {
        data.set("home_url", url);
    }
    data.set("nonce", nonce);
    View { data, client: Some(&validation.redirect_uri) }
}

/// The member for a number of tries or changes that is so small that people should know.
const fn few(left: u8) -> Option<&'static str> {
    match left {
        1 => Some("one"),
        2 => Some("two"),
        _ => None,
    }
}

/// Where a person who stops goes: back to the client, with the error of RFC 6749 §4.1.2.1 that says
/// so; to its first page if it asked for nothing yet. Nowhere once the address is proved.
fn cancel_url(validation: &Validation, service: &Service) -> Option<String> {
    match &validation.authorization {
        _ if validation.is_solved() => None,
        Some(_) => Some(back_to_client(validation, Outcome::Error("access_denied"), service)),
        None => validation.redirect_uri.origin(),
    }
}

/// The variable that says how messages travel.
const fn channel_flag(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "by_email",
        Channel::Other => "by_other",
        Channel::Phone => "by_phone",
        Channel::Post => "by_post",
    }
}

/// The form for the address. After an address that was not accepted, it shows that address again
/// and names the fields to correct, so that no typing is lost.
pub(super) fn address_form(
    validation: &Validation,
    nonce: &Nonce,
    context: Context<'_>,
    rejected: Option<(&Form, &WrongFields)>,
) -> Result<Response, Refused> {
    if rejected.is_none() && is_stuck(validation, context) {
        return Ok(fixed(validation, nonce, context));
    }
    let service = context.service;
    let mut view = view(validation, nonce, context, []);
    let data = &mut view.data;
    let left = validation.budget(&service.limits).addresses;
    data.set("address_form", true);
    data.set("address_hint", service.address_hint.as_str());
    data.set("changes_left", left);
    data.set("fix_address", validation.is_address_fixed());
    let mut shown = validation.address().map(Address::to_page_json);
    let mut status = 200;
    if let Some((form, wrong)) = rejected {
        let refusal = wrong.first().refusal;
        status = refusal.status();
        shown = Some(form.pairs().collect());
        data.set("ec", refusal.code());
        data.set("hint", refusal.hint());
        data.set("error", error_of(wrong, service));
    }
    if service.has_field(COUNTRY) {
        data.set("countries", country_list(service, shown.as_ref()));
    }
    if let Some(shown) = shown {
        data.set("last_address", shown);
    }
    let name = PageName::EnterAddressForm;
    let language = context.audience.language(service, name)?;
    data.set("restrictions", service.restrictions.to_page_json(language));
    let mut response = context.audience.page(service, status, name, view)?;
    response.refusal = rejected.map(|(_, wrong)| wrong.first().refusal);
    Ok(response)
}

/// The form for the PIN; where no guess is left until the next message, the page that says so.
pub(super) fn code_form(
    validation: &Validation,
    nonce: &Nonce,
    transmitted: bool,
    context: Context<'_>,
) -> Result<Response, Refused> {
    let budget = validation.budget(&context.service.limits);
    let unsent = is_unsent(&budget, context.service);
    if budget.attempts == 0 && !unsent {
        return Ok(pin_refused(validation, nonce, PinError::Exhausted, context));
    }
    let mut view = view(validation, nonce, context, created(validation, transmitted, context));
    if unsent {
        view.data.set("unsent", true);
    }
    context.audience.page(context.service, 200, PageName::EnterTanForm, view)
}

/// The members of the wire's `ChallengeCreateResponse`.
pub(super) fn created(
    validation: &Validation,
    transmitted: bool,
    context: Context<'_>,
) -> [(&'static str, Value); 5] {
    let budget = validation.budget(&context.service.limits);
    [
        ("type", "created".into()),
        ("attempts_left", budget.attempts.into()),
        ("address", validation.address().map_or(Value::Null, Address::to_json)),
        ("transmitted", transmitted.into()),
        ("retransmission_time", budget.next_transmission.to_json()),
    ]
}

/// Whether the client fixed an address that is not accepted any more, because the operator has
/// tightened the restrictions since then.
pub(super) fn is_stuck(validation: &Validation, context: Context<'_>) -> bool {
    let fixed = validation.address().filter(|_| validation.is_address_fixed());
    fixed.is_some_and(|address| context.service.check(address).is_err())
}

/// The page for a fixed address that cannot be confirmed, or not changed: either the form leads on,
/// or only the client can help, and its error response (RFC 6749 §4.1.2.1) leads back there.
pub(super) fn fixed(validation: &Validation, nonce: &Nonce, context: Context<'_>) -> Response {
    let mut view = view(validation, nonce, context, []);
    let refused = match validation.address().map(|address| context.service.check(address)) {
        Some(Err(wrong)) => {
            let outcome = Outcome::Error("invalid_request");
            let url = back_to_client(validation, outcome, context.service);
            view.data.set("stuck", json!({ "url": url }));
            wrong.into_first()
        }
        Some(Ok(())) | None => Refusal::AddressReadOnly.into(),
    };
    context.audience.refuse(context.service, &refused, view)
}

/// The countries to choose from, and which of them is chosen: the one that the form shows, or the
/// only one that it can be.
fn country_list(service: &Service, shown: Option<&Value>) -> Value {
    let shown = shown.and_then(|it| it.get(COUNTRY)).and_then(Value::as_str);
    let shown = shown.map(|typed| tidied(COUNTRY, typed));
    let codes: Vec<&str> = service.countries().collect();
    let chosen = match codes.as_slice() {
        [only] if !service.may_be_empty(COUNTRY) => Some(*only),
        _ => shown.as_deref(),
    };
    let option = |code: &&str| {
        let mut option = object([("code", (*code).into())]);
        if chosen == Some(*code) {
            insert(&mut option, "selected", true);
        }
        option
    };
    codes.iter().map(option).collect()
}

/// The fields that are wrong, and whether each is missing; `other` means that the form does not
/// have the first of them. By name, so that a template can ask at each field.
fn error_of(wrong: &WrongFields, service: &Service) -> Value {
    let name = |refused: &Refused| refused.detail.clone().unwrap_or_default();
    let is_missing = |refused: &Refused| refused.refusal == Refusal::ParameterMissing;
    let flaw = |refused: &Refused| if is_missing(refused) { "missing" } else { "malformed" };
    let at: Map<String, Value> =
        wrong.each().map(|it| (name(it), json!({ (flaw(it)): true }))).collect();
    let first = name(wrong.first());
    json!({
        "at": at,
        "field": first,
        "first": { (&first): true },
        "missing": is_missing(wrong.first()),
        "other": !service.has_field(&first),
    })
}

/// The answer to a PIN that was wrong or not judged: on a page, with every way on that is left.
pub(super) fn invalid_pin(
    validation: &Validation,
    nonce: &Nonce,
    error: PinError,
    context: Context<'_>,
) -> Result<Response, Refused> {
    let budget = validation.budget(&context.service.limits);
    if budget.is_exhausted() {
        return Err(Refusal::TooManyAttempts.into());
    }
    let refusal = error.refusal();
    let challenged = is_challenged(validation);
    let data = [
        ("type", "pending".into()),
        ("ec", refusal.code().into()),
        ("hint", refusal.hint().into()),
        ("addresses_left", budget.addresses.into()),
        ("pin_transmissions_left", budget.transmissions.into()),
        ("auth_attempts_left", budget.attempts.into()),
        ("exhausted", (error == PinError::Exhausted).into()),
        ("no_challenge", (!challenged).into()),
    ];
    let mut response = if context.audience.html {
        let mut view = view(validation, nonce, context, data);
        view.data.set("pin_error", true);
        view.data.set(error.variable(), true);
        if challenged && is_unsent(&budget, context.service) {
            view.data.set("unsent", true);
        }
        context.audience.page(context.service, refusal.status(), PageName::InvalidPin, view)?
    } else {
        // Older clients look for `ec`, the documentation says `code`.
        let mut data = object(data);
        insert(&mut data, "code", refusal.code());
        Response::json(refusal.status(), data)
    };
    response.refusal = Some(refusal);
    Ok(response)
}

/// Like [`invalid_pin`], but says that the validation is over when nothing is left.
pub(super) fn pin_refused(
    validation: &Validation,
    nonce: &Nonce,
    error: PinError,
    context: Context<'_>,
) -> Response {
    invalid_pin(validation, nonce, error, context).unwrap_or_else(|refused| {
        let view = view(validation, nonce, context, []);
        context.audience.refuse(context.service, &refused, view)
    })
}

/// Why a PIN was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PinError {
    /// There were no attempts left, so it was not judged.
    Exhausted,
    /// Nothing was entered.
    Missing,
    /// No message was sent yet.
    NoChallenge,
    /// The form was sent before, so it was not judged again.
    Stale,
    /// It is not eight digits.
    Unreadable,
    /// It is not the right one.
    Wrong,
}

impl PinError {
    const fn refusal(self) -> Refusal {
        match self {
            Self::Exhausted | Self::NoChallenge | Self::Stale | Self::Wrong => Refusal::PinInvalid,
            Self::Missing => Refusal::ParameterMissing,
            Self::Unreadable => Refusal::ParameterMalformed,
        }
    }

    /// Its template variable.
    const fn variable(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Missing | Self::Unreadable => "unreadable",
            Self::NoChallenge => "no_challenge",
            Self::Stale => "not_counted",
            Self::Wrong => "wrong",
        }
    }
}

pub(super) const fn is_challenged(validation: &Validation) -> bool {
    matches!(validation.progress, Progress::Challenged(_))
}

/// Whether a challenge has not been paid a message yet, so that no guess is judged: its mailbox has
/// just got one for another spelling, or the first one could not be sent.
pub(super) fn is_unsent(budget: &Budget, service: &Service) -> bool {
    budget.attempts == 0 && budget.transmissions == service.limits.pin_transmissions.get()
}

/// The earliest time of the next message, for people: in whole minutes, and never too early.
pub(super) fn next_time_text(budget: &Budget) -> String {
    budget.next_transmission.plus(Span::seconds(59)).to_text()
}

/// An address as a list in the order of a letter, because templates cannot iterate over objects.
///
/// In answer to a form, `shown` is the whole value, so that people notice a typing mistake. When a
/// link is opened, perhaps by another person, it is the masked value.
pub(super) fn field_list(address: &Address, context: &Context<'_>) -> Value {
    const ON_LETTERS: [&str; 3] = ["CONTACT_NAME", "ADDRESS_LINES", "ADDRESS_COUNTRY"];
    let place = |name: &str| ON_LETTERS.iter().position(|field| *field == name);
    let mut fields: Vec<(&str, &str)> = address.fields().collect();
    fields.sort_by_key(|(name, _)| place(name).unwrap_or(ON_LETTERS.len()));
    let member = |(name, value): (&str, &str)| {
        let value = shown(name, value);
        let masked = masked(name, &value);
        let visible = if context.audience.posted { &value } else { &masked };
        object([
            ("name", name.into()),
            ("shown", visible.as_str().into()),
            ("masked", masked.into()),
            ("value", value.into()),
        ])
    };
    fields.into_iter().map(member).collect()
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::string::ToString;

    use super::*;
    use crate::address::{AddressType, Restrictions};

    #[test]
    fn the_country_that_is_shown_is_chosen_or_the_only_one_that_has_to_be() {
        let chosen = |pattern: &str, shown: Option<&str>| {
            let mut service = Service::new(AddressType::new("postal").unwrap());
            let restriction = json!({ (COUNTRY): {"regex": pattern, "hint": ""} }).to_string();
            service.restrictions = Restrictions::parse(&restriction).unwrap();
            let list = country_list(&service, shown.map(|it| json!({ (COUNTRY): it })).as_ref());
            let list = list.as_array().cloned().unwrap();
            let is_chosen = |it: &&Value| it.get("selected").is_some();
            list.iter().find(is_chosen).map(|it| it["code"].as_str().unwrap().to_owned())
        };
        for (pattern, shown, expected) in [
            ("^(CH|LI)$", None, None),
            ("^(CH|LI)$", Some("li"), Some("LI")),
            ("^(CH|LI)$", Some("Schweiz"), None),
            ("^CH$", None, Some("CH")),
            ("^CH$", Some("LI"), Some("CH")),
            ("^(CH|)$", None, None),
            ("^(CH|)$", Some(""), None),
            ("^(CH|)$", Some("CH"), Some("CH")),
        ] {
            assert_eq!(chosen(pattern, shown).as_deref(), expected, "{pattern} {shown:?}");
        }
    }

    #[test]
    fn only_the_last_two_are_few() {
        assert_eq!([0, 1, 2, 3, u8::MAX].map(few), [None, Some("one"), Some("two"), None, None]);
    }
}
