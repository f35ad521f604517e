//! `POST /solve/$NONCE`: a person enters the PIN.

use alloc::vec::Vec;

use crate::address::fields::BUDGET_SEEN;
use crate::endpoint::common::{completed, keys_of, live_validation, parse_nonce};
use crate::endpoint::decision::{Context, Decision};
use crate::endpoint::view::{PinError, invalid_pin, is_challenged, pin_refused, view};
use crate::http::Request;
use crate::http::form::Form;
use crate::machine::budget::Seen;
use crate::machine::outcome::SolveOutcome;
use crate::machine::validation::{Solution, Validation};
use crate::refusal::{Refusal, Refused};
use crate::secret::nonce::Nonce;
use crate::secret::pin::PinAttempt;
use crate::store::{Keys, Rows, Write};

/// A PIN that a person entered.
#[derive(Clone, Debug)]
pub(crate) struct SolveRequest {
    nonce: Nonce,
    attempt: Result<PinAttempt, Refused>,
    seen: Seen,
}

impl SolveRequest {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        let nonce = parse_nonce(argument)?;
        let form = Form::parse(&request.body)?;
        let attempt = form.require("pin").and_then(|text| {
            PinAttempt::parse(text).ok_or_else(|| Refusal::ParameterMalformed.about("pin"))
        });
        Ok(Self { nonce, attempt, seen: Seen::parse(form.get(BUDGET_SEEN)) })
    }

    pub(crate) fn keys(&self) -> Keys {
        keys_of(&self.nonce)
    }

    pub(crate) fn decide(&self, rows: Rows, context: Context<'_>) -> Result<Decision, Refused> {
        let validation = live_validation(rows, context.now)?;
        let attempt = match &self.attempt {
            Ok(attempt) => attempt,
            Err(refused) => return self.unreadable(&validation, refused, context),
        };
        let refuse =
            |validation: &Validation, why| pin_refused(validation, &self.nonce, why, context);
        if self.is_stale(&validation, context) {
            return Ok(Decision::Respond(refuse(&validation, PinError::Stale)));
        }
        let was_solved = validation.is_solved();
        Ok(match validation.solve(&self.nonce, attempt, context.now) {
            SolveOutcome::Accepted(changed, code) => {
                let response = completed(changed.row(), &code, context)?;
                let row = changed.into_row();
                let proof = if was_solved { None } else { row.solution() };
                let prove = |it: &Solution| {
                    context.service.budgets.prove(&it.address, row.client, context.now)
                };
                let entries = proof.map(prove).unwrap_or_default();
                Decision::Write(Write::Update(row, entries), response)
            }
            SolveOutcome::Completed(validation, code) => {
                Decision::Respond(completed(&validation, &code, context)?)
            }
            SolveOutcome::Exhausted(validation) => {
                Decision::Respond(refuse(&validation, PinError::Exhausted))
            }
            SolveOutcome::NoChallenge(validation) => {
                Decision::Respond(refuse(&validation, PinError::NoChallenge))
            }
            SolveOutcome::Rejected(changed) => {
                let response = refuse(changed.row(), PinError::Wrong);
                Decision::Write(Write::Update(changed.into_row(), Vec::new()), response)
            }
        })
    }

    /// Whether the validation has changed since the form was shown: the person clicked twice, or
    /// reloaded the page. The guess is neither charged again nor judged, or else old forms would
    /// bring free guesses.
    fn is_stale(&self, validation: &Validation, context: Context<'_>) -> bool {
        let budget = validation.budget(&context.service.limits);
        is_challenged(validation) && budget.attempts > 0 && !budget.is_that_of(self.seen)
    }

    /// Input that is not a PIN is not charged. Shows the form again, or what else the person can
    /// do.
    fn unreadable(
        &self,
        validation: &Validation,
        refused: &Refused,
        context: Context<'_>,
    ) -> Result<Decision, Refused> {
        let left = validation.budget(&context.service.limits).attempts;
        if !context.audience.html {
            return Err(refused.clone());
        }
        let why = match refused.refusal {
            Refusal::ParameterMissing => PinError::Missing,
            _ => PinError::Unreadable,
        };
        let form = is_challenged(validation) && left > 0;
        let page = form.then(|| invalid_pin(validation, &self.nonce, why, context).ok());
        let otherwise = || {
            let view = view(validation, &self.nonce, context, []);
            context.audience.refuse(context.service, refused, view)
        };
        Ok(Decision::Respond(page.flatten().unwrap_or_else(otherwise)))
    }
}
