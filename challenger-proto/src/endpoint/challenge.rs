//! `POST /challenge/$NONCE`: a person says where to send the code.

use alloc::string::{String, ToString};

use serde_json::Value;

use crate::address::Address;
use crate::answer::{insert, object};
use crate::endpoint::view::{self, Why, address_form, code_refused, is_challenged, next_time_text};
use crate::endpoint::{completed, live_validation, load_validation, parse_nonce};
use crate::entropy::Entropy;
use crate::fields::BUDGET_SEEN;
use crate::form::Form;
use crate::http::{Request, Response};
use crate::nonce::Nonce;
use crate::page::PageName;
use crate::plan::{Desk, Outcome, Plan, Transmission};
use crate::refusal::{Refusal, Refused};
use crate::service::Service;
use crate::storage::{Load, Loaded, Write};
use crate::time::Timestamp;
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

    pub(crate) fn load(&self) -> Load {
        load_validation(&self.nonce)
    }

    pub(crate) fn decide(
        &self,
        loaded: Loaded,
        entropy: Entropy,
        desk: Desk<'_>,
    ) -> Result<Outcome, Refused> {
        let validation = live_validation(loaded, desk.now)?;
        if validation.is_solved() {
            return Ok(Outcome::respond(completed(&validation, &self.nonce, desk)?));
        }
        let (address, argument) = match self.address(desk.service) {
            Ok(found) => found,
            Err(refused) => return self.reject(&validation, &refused, desk),
        };
        if self.is_stale(&validation, &address, desk) {
            let budget = validation.budget(&desk.service.limits);
            if budget.transmissions == 0 && budget.attempts == 0 && !desk.reader.html {
                return Err(Refusal::TooManyAttempts.into());
            }
            return Ok(Outcome::respond(self.created(&validation, false, desk)?));
        }
        let limits = &desk.service.limits;
        match validation.challenge(&self.nonce, address, desk.now, limits, entropy) {
            Challenged::Changed(validation) => {
                let response = self.created(&validation, false, desk)?;
                Ok(Outcome::write(Write::Update(validation), response))
            }
            Challenged::Completed(validation) => {
                Ok(Outcome::respond(completed(&validation, &self.nonce, desk)?))
            }
            Challenged::Wait(validation) => {
                Ok(Outcome::respond(self.created(&validation, false, desk)?))
            }
            Challenged::Refused(validation, refusal) => {
                let response = view::refuse(&validation, &self.nonce, &refusal.into(), desk);
                Ok(Outcome::respond(response))
            }
            Challenged::Send(validation, delivery) => {
                let response = self.created(&validation, true, desk)?;
                let send = self.transmission(&validation, argument, delivery, desk)?;
                Ok(Outcome::send(Write::Update(validation), send, response))
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
        desk: Desk<'_>,
    ) -> Result<Outcome, Refused> {
        if !desk.reader.html {
            return Err(refused.clone());
        }
        let page = address_form(validation, &self.nonce, desk, Some((&self.form, refused)));
        page.map(Outcome::respond).map_err(|_| refused.clone())
    }

    /// Whether the form was shown before a message went to this address: somebody clicked twice, or
    /// reloaded the page, and does not ask for another. A message that failed is asked for again.
    fn is_stale(&self, validation: &Validation, address: &Address, desk: Desk<'_>) -> bool {
        let budget = validation.budget(&desk.service.limits);
        let same = is_challenged(validation) && validation.address() == Some(address);
        let seen = self.form.get(BUDGET_SEEN);
        same && budget.next_transmission != Timestamp::EPOCH && !budget.has_messages_of(seen)
    }

    /// The wire's `ChallengeCreateResponse`, or the page with the form for the code.
    fn created(
        &self,
        validation: &Validation,
        transmitted: bool,
        desk: Desk<'_>,
    ) -> Result<Response, Refused> {
        let limits = &desk.service.limits;
        let budget = validation.budget(limits);
        // The mailbox got a message for another spelling of the address, and this one is to wait.
        let unsent = budget.attempts == 0 && budget.transmissions == limits.pin_transmissions;
        if desk.reader.html && budget.attempts == 0 && !unsent {
            // There is no guess to offer a form for until the next message.
            return Ok(code_refused(validation, &self.nonce, Why::Exhausted, desk));
        }
        let data = [
            ("type", "created".into()),
            ("attempts_left", budget.attempts.into()),
            ("address", validation.address().map_or(Value::Null, Address::to_json)),
            ("transmitted", transmitted.into()),
            ("retransmission_time", budget.next_transmission.to_json()),
        ];
        if !desk.reader.html {
            let mut data = object(data);
            insert(&mut data, "next_tx_time", next_time_text(&budget));
            return Ok(Response::json(200, data));
        }
        let mut data = view::view(validation, &self.nonce, desk, data);
        if unsent {
            data.set("unsent", true);
        }
        let name = PageName::EnterTanForm;
        desk.reader.form_page(desk.service, 200, name, data, &validation.redirect_uri)
    }

    fn transmission(
        &self,
        validation: &Validation,
        argument: String,
        delivery: Delivery,
        desk: Desk<'_>,
    ) -> Result<Transmission, Refused> {
        let undelivered = Undelivered { nonce: self.nonce.clone(), delivery, how: String::new() };
        Ok(Transmission {
            address: validation.address().ok_or(Refusal::Internal)?.clone(),
            argument,
            secret: validation.secret(&self.nonce).ok_or(Refusal::Internal)?,
            nonce: self.nonce.clone(),
            language: desk.reader.message_language(desk.service),
            client_host: validation.redirect_uri.host().to_string(),
            expires: validation.expires,
            now: desk.now,
            if_undelivered: Plan::undelivered(desk.reader, undelivered),
        })
    }
}

/// A message that the helper could not send.
#[derive(Clone, Debug)]
pub(crate) struct Undelivered {
    nonce: Nonce,
    delivery: Delivery,
    pub(crate) how: String,
}

impl Undelivered {
    pub(crate) fn load(&self) -> Load {
        load_validation(&self.nonce)
    }

    /// Gives the message back if that is due, and says that it was not sent in any case.
    pub(crate) fn decide(&self, loaded: Loaded, desk: Desk<'_>) -> Outcome {
        let detail = if self.how.is_empty() { None } else { Some(self.how.clone()) };
        let refused = Refused { refusal: Refusal::HelperFailed, detail };
        let Some(validation) = loaded.validation else {
            return Outcome::respond(desk.reader.refuse(desk.service, &refused));
        };
        let kept = validation.clone();
        let refunded = validation.undelivered(&self.delivery, desk.now);
        let state = refunded.as_ref().unwrap_or(&kept);
        let response = view::refuse(state, &self.nonce, &refused, desk);
        match refunded {
            Some(validation) => Outcome::write(Write::Update(validation), response),
            None => Outcome::respond(response),
        }
    }
}

/// A message that no helper was free to send. Nothing was charged for it.
#[derive(Clone, Debug)]
pub(crate) struct Postponed {
    pub(crate) nonce: Nonce,
    pub(crate) address: Address,
}

impl Postponed {
    pub(crate) fn load(&self) -> Load {
        load_validation(&self.nonce)
    }

    /// Asks to try again, on a page whose form holds the address that was entered.
    pub(crate) fn decide(
        &self,
        loaded: Loaded,
        entropy: Entropy,
        desk: Desk<'_>,
    ) -> Result<Outcome, Refused> {
        let validation = live_validation(loaded, desk.now)?;
        if validation.is_solved() {
            return Ok(Outcome::respond(completed(&validation, &self.nonce, desk)?));
        }
        let refused = Refusal::HelpersBusy.into();
        let mut data = view::view(&validation, &self.nonce, desk, []);
        data.set("fields", view::field_list(&self.address));
        let client = &validation.redirect_uri;
        let mut response = desk.reader.refuse_with(desk.service, &refused, data, client);
        response.set("Retry-After", retry_after(entropy).to_string());
        Ok(Outcome::respond(response))
    }
}

/// When to try again, in seconds: 3 to 9, by dice, so that a crowd does not come back in step.
fn retry_after(entropy: Entropy) -> u8 {
    let [byte, ..] = entropy.spend();
    3 + byte % 7
}
