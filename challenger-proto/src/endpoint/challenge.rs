//! `POST /challenge/$NONCE`: a person says where to send the PIN.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;

use serde_json::json;

use crate::address::fields::BUDGET_SEEN;
use crate::address::{Address, WrongFields};
use crate::endpoint::common::{completed, keys_of, live_validation, parse_nonce};
use crate::endpoint::decision::{Context, Decision, Message};
use crate::endpoint::over_budget::over_budget;
use crate::endpoint::response::View;
use crate::endpoint::transmission::Transmission;
use crate::endpoint::view::{
    address_form, code_form, created, field_list, fixed, is_challenged, next_time_text, view,
};
use crate::failure::Failure;
use crate::http::form::Form;
use crate::http::json::{insert, object};
use crate::http::{Request, Response};
use crate::machine::budget::Seen;
use crate::machine::outcome::{ChallengeOutcome, RefundOutcome};
use crate::machine::transitions::Charge;
use crate::machine::validation::Validation;
use crate::refusal::{Refusal, Refused};
use crate::secret::entropy::Entropy;
use crate::secret::nonce::Nonce;
use crate::service::{Payer, Service, charge};
use crate::store::{Entry, Keys, Rows, Write};
use crate::time::Timestamp;

/// An address that a person entered.
#[derive(Clone, Debug)]
pub(crate) struct ChallengeRequest {
    nonce: Nonce,
    form: Form,
    seen: Seen,
    recipient: Result<Recipient, WrongFields>,
}

/// The address of a form, and what follows from it alone.
#[derive(Clone, Debug)]
struct Recipient {
    address: Address,
    /// The helper's argument.
    argument: String,
    /// What pays for a message, besides the client.
    payers: Vec<Payer>,
}

impl ChallengeRequest {
    pub(crate) fn parse(
        request: &Request,
        argument: &str,
        service: &Service,
    ) -> Result<Self, Refused> {
        let nonce = parse_nonce(argument)?;
        let form = Form::parse(&request.body)?;
        let seen = Seen::parse(form.get(BUDGET_SEEN));
        let recipient = Recipient::read(&form, service);
        Ok(Self { nonce, form, seen, recipient })
    }

    pub(crate) fn keys(&self) -> Keys {
        let payers = self.recipient.as_ref().ok().map(|recipient| recipient.payers.iter());
        let accounts = payers.map(|payers| payers.map(|(account, _)| account.clone()).collect());
        Keys { accounts, ..keys_of(&self.nonce) }
    }

    pub(crate) fn decide(
        &self,
        mut rows: Rows,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let (client, balances) = (rows.client.take(), mem::take(&mut rows.balances));
        let validation = live_validation(rows, context.now)?;
        if let Some(code) = validation.authorization_code(&self.nonce) {
            return Ok(Decision::Respond(completed(&validation, &code, context)?));
        }
        if client.as_ref().is_some_and(|client| client.disabled) {
            let view = view(&validation, &self.nonce, context, []);
            let refused = Refusal::ClientDisabled.into();
            return Ok(Decision::Respond(context.audience.refuse(context.service, &refused, view)));
        }
        let Recipient { address, argument, payers } = match &self.recipient {
            Ok(found) => found,
            Err(wrong) => return self.reject(&validation, wrong, context),
        };
        let limits = &context.service.limits;
        if self.is_stale(&validation, address, context) {
            let budget = validation.budget(limits);
            if budget.transmissions == 0 && budget.attempts == 0 && !context.audience.html {
                return Err(Refusal::TooManyAttempts.into());
            }
            return Ok(Decision::Respond(self.created(&validation, false, context)?));
        }
        let (entries, too_many) = match charge(payers, client.as_ref(), &balances, context.now) {
            Ok(entries) => (entries, None),
            // If there is a message to send, the row stays as it is.
            Err(exhausted) => (Vec::new(), Some((exhausted, validation.clone()))),
        };
        let chosen = address.clone();
        Ok(match validation.challenge(&self.nonce, chosen, context.now, limits, entropy) {
            ChallengeOutcome::Changed(changed) => {
                let response = self.created(changed.row(), false, context)?;
                Decision::Write(Write::Update(changed.into_row(), Vec::new()), response)
            }
            ChallengeOutcome::Completed(validation, code) => {
                Decision::Respond(completed(&validation, &code, context)?)
            }
            ChallengeOutcome::Wait(validation) => {
                Decision::Respond(self.created(&validation, false, context)?)
            }
            ChallengeOutcome::Refused(validation, refusal) => {
                let view = view(&validation, &self.nonce, context, []);
                let refused = refusal.into();
                Decision::Respond(context.audience.refuse(context.service, &refused, view))
            }
            ChallengeOutcome::Send(changed, pin, charge) => {
                if let Some((exhausted, row)) = too_many {
                    let response = over_budget(&row, &self.nonce, address, exhausted, context);
                    return Ok(Decision::Respond(response));
                }
                let response = self.created(changed.row(), true, context)?;
                let transmission = Transmission {
                    address: address.clone(),
                    argument: argument.clone(),
                    pin,
                    nonce: self.nonce.clone(),
                    language: context.audience.message_language(context.service),
                    client: changed.row().client,
                    client_name: changed.row().shown_client(),
                    client_host: changed.row().redirect_uri.host().to_string(),
                    expires: changed.row().expires,
                    now: context.now,
                };
                let message = Box::new(Message { transmission, charge, entries: entries.clone() });
                Decision::Send(Write::Update(changed.into_row(), entries), message, response)
            }
        })
    }

    /// Shows the form again when the input is not a valid address. A fixed address has nothing to
    /// correct, so the person reads that it is fixed.
    fn reject(
        &self,
        validation: &Validation,
        wrong: &WrongFields,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let first = || wrong.first().clone();
        if !context.audience.html {
            return Err(first());
        }
        if validation.is_address_fixed() {
            return Ok(Decision::Respond(fixed(validation, &self.nonce, context)));
        }
        let page = address_form(validation, &self.nonce, context, Some((&self.form, wrong)));
        page.map(Decision::Respond).map_err(|_| first())
    }

    /// Whether the form was shown before the latest message went to this address: the person
    /// clicked twice, or reloaded the page, and does not ask for another message. After a failed
    /// delivery, the same form asks again.
    fn is_stale(&self, validation: &Validation, address: &Address, context: Context<'_>) -> bool {
        let budget = validation.budget(&context.service.limits);
        let same = is_challenged(validation) && validation.address() == Some(address);
        same && budget.next_transmission != Timestamp::EPOCH && !budget.has_messages_of(self.seen)
    }

    /// The wire's `ChallengeCreateResponse`, or the page with the form for the PIN.
    fn created(
        &self,
        validation: &Validation,
        transmitted: bool,
        context: Context<'_>,
    ) -> Result<Response, Refused> {
        if context.audience.html {
            return code_form(validation, &self.nonce, transmitted, context);
        }
        let budget = validation.budget(&context.service.limits);
        let mut data = object(created(validation, transmitted, context));
        insert(&mut data, "next_tx_time", next_time_text(&budget));
        Ok(Response::json(200, data))
    }
}

impl Recipient {
    fn read(form: &Form, service: &Service) -> Result<Self, WrongFields> {
        let address = service.address(form.pairs())?;
        let argument = service.address_argument(&address).map_err(WrongFields::one)?;
        let payers = service.budgets.payers(&address);
        Ok(Self { address, argument, payers })
    }
}

/// A message that the helper could not send.
#[derive(Clone, Debug)]
pub(crate) struct Undelivered {
    nonce: Nonce,
    charge: Charge,
    entries: Vec<Entry>,
    failure: Failure,
}

impl Undelivered {
    pub(crate) fn new(message: Message, failure: Failure) -> Self {
        let Message { transmission, charge, entries } = message;
        Self { nonce: transmission.nonce, charge, entries, failure }
    }

    pub(crate) fn keys(&self) -> Keys {
        keys_of(&self.nonce)
    }

    /// Refunds the message if that is allowed, and in any case reports that it was not sent.
    pub(crate) fn decide(&self, rows: Rows, context: Context<'_>) -> Decision {
        let Failure { kind, .. } = &self.failure;
        // The helper's words are for programs.
        let detail =
            if context.audience.html { kind.to_string() } else { self.failure.to_string() };
        let refused = Refusal::HelperFailed.about(detail);
        let refuse = |mut view: View<'_>| {
            view.data.set("failure", json!({ (kind.name()): true }));
            context.audience.refuse(context.service, &refused, view)
        };
        let Some(validation) = rows.validation else {
            return Decision::Respond(refuse(View::default()));
        };
        let refuse = |validation| refuse(view(validation, &self.nonce, context, []));
        match validation.undelivered(&self.charge, *kind, context.now) {
            RefundOutcome::Refunded(changed) => {
                let response = refuse(changed.row());
                let entries = self.entries.iter().filter_map(Entry::refund).collect();
                Decision::Write(Write::Update(changed.into_row(), entries), response)
            }
            RefundOutcome::Charged(changed) => {
                let response = refuse(changed.row());
                Decision::Write(Write::Update(changed.into_row(), Vec::new()), response)
            }
            RefundOutcome::Unchanged(validation) => Decision::Respond(refuse(&validation)),
        }
    }
}

/// A message that no helper was free to send. Nothing was charged for it.
#[derive(Clone, Debug)]
pub(crate) struct Postponed {
    nonce: Nonce,
    address: Address,
}

impl Postponed {
    pub(crate) fn new(transmission: Transmission) -> Self {
        Self { nonce: transmission.nonce, address: transmission.address }
    }

    pub(crate) fn keys(&self) -> Keys {
        keys_of(&self.nonce)
    }

    /// Asks to try again, on a page whose form holds the address that was entered.
    pub(crate) fn decide(
        &self,
        rows: Rows,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let validation = live_validation(rows, context.now)?;
        if let Some(code) = validation.authorization_code(&self.nonce) {
            return Ok(Decision::Respond(completed(&validation, &code, context)?));
        }
        let refused = Refusal::HelpersBusy.into();
        let mut view = view(&validation, &self.nonce, context, []);
        view.data.set("fields", field_list(&self.address, &context));
        let mut response = context.audience.refuse(context.service, &refused, view);
        response.set("Retry-After", retry_after(entropy).to_string());
        Ok(Decision::Respond(response))
    }
}

/// When to try again, in seconds: 3 to 9 at random, so that a crowd does not return all at once.
fn retry_after(entropy: Entropy) -> u8 {
    let [byte, ..] = entropy.spend();
    3 + byte % 7
}
