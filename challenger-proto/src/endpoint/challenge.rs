//! `POST /challenge/$NONCE`: a person says where to send the code.

use alloc::boxed::Box;
use alloc::string::{String, ToString};

use serde_json::Value;

use crate::address::Address;
use crate::decision::{Context, Decision, Message};
use crate::endpoint::view::{
    Why, address_form, code_refused, field_list, is_challenged, next_time_text, view,
};
use crate::endpoint::{completed, keys_of, live_validation, parse_nonce};
use crate::entropy::Entropy;
use crate::fields::BUDGET_SEEN;
use crate::form::Form;
use crate::http::{Request, Response};
use crate::json::{insert, object};
use crate::nonce::Nonce;
use crate::page::PageName;
use crate::refusal::{Refusal, Refused};
use crate::response::View;
use crate::service::Service;
use crate::storage::{Load, Loaded, Write};
use crate::time::Timestamp;
use crate::transmission::Transmission;
use crate::validation::{Challenged, Delivery, Validation};

/// An address that a person entered.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    nonce: Nonce,
    form: Form,
}

impl Challenge {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        Ok(Self { nonce: parse_nonce(argument)?, form: Form::parse(&request.body)? })
    }

    pub(crate) fn keys(&self) -> Load {
        keys_of(&self.nonce)
    }

    pub(crate) fn decide(
        &self,
        rows: Loaded,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let validation = live_validation(rows, context.now)?;
        if validation.is_solved() {
            return Ok(Decision::Respond(completed(&validation, &self.nonce, context)?));
        }
        let (address, argument) = match self.address(context.service) {
            Ok(found) => found,
            Err(refused) => return self.reject(&validation, &refused, context),
        };
        if self.is_stale(&validation, &address, context) {
            let budget = validation.budget(&context.service.limits);
            if budget.transmissions == 0 && budget.attempts == 0 && !context.audience.html {
                return Err(Refusal::TooManyAttempts.into());
            }
            return Ok(Decision::Respond(self.created(&validation, false, context)?));
        }
        let limits = &context.service.limits;
        match validation.challenge(&self.nonce, address, context.now, limits, entropy) {
            Challenged::Changed(validation) => {
                let response = self.created(&validation, false, context)?;
                Ok(Decision::Write(Write::Update(validation), response))
            }
            Challenged::Completed(validation) => {
                Ok(Decision::Respond(completed(&validation, &self.nonce, context)?))
            }
            Challenged::Wait(validation) => {
                Ok(Decision::Respond(self.created(&validation, false, context)?))
            }
            Challenged::Refused(validation, refusal) => {
                let view = view(&validation, &self.nonce, context, []);
                let response = context.audience.refuse(context.service, &refusal.into(), view);
                Ok(Decision::Respond(response))
            }
            Challenged::Send(validation, delivery) => {
                let response = self.created(&validation, true, context)?;
                let transmission = self.transmission(&validation, argument, context)?;
                let message = Box::new(Message { transmission, delivery });
                Ok(Decision::Send(Write::Update(validation), message, response))
            }
        }
    }

    /// The address, and how the helper gets it.
    fn address(&self, service: &Service) -> Result<(Address, String), Refused> {
        let address = service.address_from_form(&self.form)?;
        let argument = service.address_argument(&address)?;
        Ok((address, argument))
    }

    /// People get their form again when the address is none.
    fn reject(
        &self,
        validation: &Validation,
        refused: &Refused,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        if !context.audience.html {
            return Err(refused.clone());
        }
        let page = address_form(validation, &self.nonce, context, Some((&self.form, refused)));
        page.map(Decision::Respond).map_err(|_| refused.clone())
    }

    /// Whether the form was shown before a message went to this address: somebody clicked twice, or
    /// reloaded the page, and does not ask for another. A message that failed is asked for again.
    fn is_stale(&self, validation: &Validation, address: &Address, context: Context<'_>) -> bool {
        let budget = validation.budget(&context.service.limits);
        let same = is_challenged(validation) && validation.address() == Some(address);
        let seen = self.form.get(BUDGET_SEEN);
        same && budget.next_transmission != Timestamp::EPOCH && !budget.has_messages_of(seen)
    }

    /// The wire's `ChallengeCreateResponse`, or the page with the form for the code.
    fn created(
        &self,
        validation: &Validation,
        transmitted: bool,
        context: Context<'_>,
    ) -> Result<Response, Refused> {
        let limits = &context.service.limits;
        let budget = validation.budget(limits);
        // The mailbox got a message for another spelling of the address, and this one is to wait.
        let unsent = budget.attempts == 0 && budget.transmissions == limits.pin_transmissions;
        if context.audience.html && budget.attempts == 0 && !unsent {
            // There is no guess to offer a form for until the next message.
            return Ok(code_refused(validation, &self.nonce, Why::Exhausted, context));
        }
        let data = [
            ("type", "created".into()),
            ("attempts_left", budget.attempts.into()),
            ("address", validation.address().map_or(Value::Null, Address::to_json)),
            ("transmitted", transmitted.into()),
            ("retransmission_time", budget.next_transmission.to_json()),
        ];
        if !context.audience.html {
            let mut data = object(data);
            insert(&mut data, "next_tx_time", next_time_text(&budget));
            return Ok(Response::json(200, data));
        }
        let mut view = view(validation, &self.nonce, context, data);
        if unsent {
            view.data.set("unsent", true);
        }
        context.audience.page(context.service, 200, PageName::EnterTanForm, view)
    }

    fn transmission(
        &self,
        validation: &Validation,
        argument: String,
        context: Context<'_>,
    ) -> Result<Transmission, Refused> {
        Ok(Transmission {
            address: validation.address().ok_or(Refusal::Internal)?.clone(),
            argument,
            secret: validation.secret(&self.nonce).ok_or(Refusal::Internal)?,
            nonce: self.nonce.clone(),
            language: context.audience.message_language(context.service),
            client_host: validation.redirect_uri.host().to_string(),
            expires: validation.expires,
            now: context.now,
        })
    }
}

/// A message that the helper could not send.
#[derive(Clone, Debug)]
pub(crate) struct Undelivered {
    nonce: Nonce,
    delivery: Delivery,
    /// In the helper's words; may be empty.
    how: String,
}

impl Undelivered {
    pub(crate) fn new(message: Message, how: String) -> Self {
        Self { nonce: message.transmission.nonce, delivery: message.delivery, how }
    }

    pub(crate) fn keys(&self) -> Load {
        keys_of(&self.nonce)
    }

    /// Gives the message back if that is due, and says that it was not sent in any case.
    pub(crate) fn decide(&self, rows: Loaded, context: Context<'_>) -> Decision {
        let detail = if self.how.is_empty() { None } else { Some(self.how.clone()) };
        let refused = Refused { refusal: Refusal::HelperFailed, detail };
        let Some(validation) = rows.validation else {
            let response = context.audience.refuse(context.service, &refused, View::default());
            return Decision::Respond(response);
        };
        let kept = validation.clone();
        let refunded = validation.undelivered(&self.delivery, context.now);
        let state = refunded.as_ref().unwrap_or(&kept);
        let view = view(state, &self.nonce, context, []);
        let response = context.audience.refuse(context.service, &refused, view);
        match refunded {
            Some(validation) => Decision::Write(Write::Update(validation), response),
            None => Decision::Respond(response),
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

    pub(crate) fn keys(&self) -> Load {
        keys_of(&self.nonce)
    }

    /// Asks to try again, on a page whose form holds the address that was entered.
    pub(crate) fn decide(
        &self,
        rows: Loaded,
        entropy: Entropy,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let validation = live_validation(rows, context.now)?;
        if validation.is_solved() {
            return Ok(Decision::Respond(completed(&validation, &self.nonce, context)?));
        }
        let refused = Refusal::HelpersBusy.into();
        let mut view = view(&validation, &self.nonce, context, []);
        view.data.set("fields", field_list(&self.address));
        let mut response = context.audience.refuse(context.service, &refused, view);
        response.set("Retry-After", retry_after(entropy).to_string());
        Ok(Decision::Respond(response))
    }
}

/// When to try again, in seconds: 3 to 9, by dice, so that a crowd does not come back in step.
fn retry_after(entropy: Entropy) -> u8 {
    let [byte, ..] = entropy.spend();
    3 + byte % 7
}
