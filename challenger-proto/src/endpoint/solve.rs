//! `POST /solve/$NONCE`: a person enters the code.

use crate::endpoint::view::{self, Why, code_refused, is_challenged};
use crate::endpoint::{completed, live_validation, load_validation, parse_nonce};
use crate::fields::BUDGET_SEEN;
use crate::form::Form;
use crate::http::Request;
use crate::nonce::Nonce;
use crate::oob::Attempt;
use crate::plan::{Desk, Outcome};
use crate::refusal::{Refusal, Refused};
use crate::storage::{Load, Loaded, Write};
use crate::validation::{Validation, Verdict};

/// A PIN that a person entered.
#[derive(Clone, Debug)]
pub(crate) struct Solve {
    nonce: Nonce,
    attempt: Result<Attempt, Refused>,
    form: Form,
}

impl Solve {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        let nonce = parse_nonce(argument)?;
        let form = Form::parse(&request.body)?;
        let attempt = form.require("pin").and_then(|text| {
            Attempt::parse(text).ok_or_else(|| Refusal::ParameterMalformed.about("pin"))
        });
        Ok(Self { nonce, attempt, form })
    }

    pub(crate) fn load(&self) -> Load {
        load_validation(&self.nonce)
    }

    pub(crate) fn decide(&self, loaded: Loaded, desk: Desk<'_>) -> Result<Outcome, Refused> {
        let validation = live_validation(loaded, desk.now)?;
        let attempt = match &self.attempt {
            Ok(attempt) => attempt,
            Err(refused) => return self.unreadable(&validation, refused, desk),
        };
        if self.is_stale(&validation, desk) {
            return Ok(Outcome::respond(code_refused(&validation, &self.nonce, Why::Stale, desk)));
        }
        match validation.solve(&self.nonce, attempt, desk.now) {
            Verdict::Accepted(validation) => {
                let response = completed(&validation, &self.nonce, desk)?;
                Ok(Outcome::write(Write::Update(validation), response))
            }
            Verdict::Completed(validation) => {
                Ok(Outcome::respond(completed(&validation, &self.nonce, desk)?))
            }
            Verdict::Exhausted(validation) => {
                Ok(Outcome::respond(code_refused(&validation, &self.nonce, Why::Exhausted, desk)))
            }
            Verdict::NoChallenge(validation) => {
                Ok(Outcome::respond(code_refused(&validation, &self.nonce, Why::NoChallenge, desk)))
            }
            Verdict::Rejected(validation) => {
                let response = code_refused(&validation, &self.nonce, Why::Wrong, desk);
                Ok(Outcome::write(Write::Update(validation), response))
            }
        }
    }

    /// Whether something has become of the validation since the form was shown: somebody clicked
    /// twice, or reloaded the page. A guess is not charged twice for that, and not judged either,
    /// or old forms would bring free guesses.
    fn is_stale(&self, validation: &Validation, desk: Desk<'_>) -> bool {
        let budget = validation.budget(&desk.service.limits);
        is_challenged(validation)
            && budget.attempts > 0
            && !budget.is_that_of(self.form.get(BUDGET_SEEN))
    }

    /// What is no PIN costs nothing: people see their form again, or else what they can do.
    fn unreadable(
        &self,
        validation: &Validation,
        refused: &Refused,
        desk: Desk<'_>,
    ) -> Result<Outcome, Refused> {
        let left = validation.budget(&desk.service.limits).attempts;
        if !desk.reader.html {
            return Err(refused.clone());
        }
        let why = match refused.refusal {
            Refusal::ParameterMissing => Why::Missing,
            _ => Why::Unreadable,
        };
        let form = is_challenged(validation) && left > 0;
        let page = form.then(|| view::invalid_pin(validation, &self.nonce, why, desk).ok());
        let otherwise = || view::refuse(validation, &self.nonce, refused, desk);
        Ok(Outcome::respond(page.flatten().unwrap_or_else(otherwise)))
    }
}
