//! `POST /solve/$NONCE`: a person enters the code.

use crate::endpoint::view::{self, Why, invalid_pin, is_challenged};
use crate::endpoint::{completed, live_validation, load_validation, parse_nonce};
use crate::form::Form;
use crate::http::{Request, Response};
use crate::nonce::Nonce;
use crate::oob::Attempt;
use crate::plan::{Desk, Outcome};
use crate::refusal::{Refusal, Refused};
use crate::storage::{Load, Loaded, Write};
use crate::validation::{Validation, Verdict};

/// The field by which a form says how many attempts were left when it was shown.
const SEEN: &str = "auth_attempts_left";

/// A PIN that a person entered.
#[derive(Clone, Debug)]
pub(crate) struct Solve {
    nonce: Nonce,
    attempt: Result<Attempt, Refused>,
    seen: Option<u8>,
}

impl Solve {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        let nonce = parse_nonce(argument)?;
        let form = Form::parse(&request.body)?;
        let attempt = form.require("pin").and_then(|text| {
            Attempt::parse(text).ok_or_else(|| Refusal::ParameterMalformed.about("pin"))
        });
        let seen = form.get(SEEN).and_then(|left| left.parse().ok());
        Ok(Self { nonce, attempt, seen })
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
            return Ok(Outcome::respond(self.refuse(&validation, Why::Stale, desk)));
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
                Ok(Outcome::respond(self.refuse(&validation, Why::Exhausted, desk)))
            }
            Verdict::NoChallenge(validation) => {
                Ok(Outcome::respond(self.refuse(&validation, Why::NoChallenge, desk)))
            }
            Verdict::Rejected(validation) => {
                let response = self.refuse(&validation, Why::Wrong, desk);
                Ok(Outcome::write(Write::Update(validation), response))
            }
        }
    }

    /// Whether the form was shown when another number of attempts was left: somebody clicked twice,
    /// or reloaded the page. A guess is not charged twice for that, and not judged either, or old
    /// forms would bring free guesses.
    fn is_stale(&self, validation: &Validation, desk: Desk<'_>) -> bool {
        let left = validation.budget(&desk.service.limits).attempts;
        is_challenged(validation) && left > 0 && self.seen.is_some_and(|seen| seen != left)
    }

    /// What is no PIN costs nothing: people see their form again.
    fn unreadable(
        &self,
        validation: &Validation,
        refused: &Refused,
        desk: Desk<'_>,
    ) -> Result<Outcome, Refused> {
        let left = validation.budget(&desk.service.limits).attempts;
        if !desk.reader.html || !is_challenged(validation) || left == 0 {
            return Err(refused.clone());
        }
        let why = match refused.refusal {
            Refusal::ParameterMissing => Why::Missing,
            _ => Why::Unreadable,
        };
        let page = invalid_pin(validation, &self.nonce, why, desk);
        page.map(Outcome::respond).map_err(|_| refused.clone())
    }

    /// Says what is left; when nothing is, that this validation is over.
    fn refuse(&self, validation: &Validation, why: Why, desk: Desk<'_>) -> Response {
        invalid_pin(validation, &self.nonce, why, desk)
            .unwrap_or_else(|refused| view::refuse(validation, &self.nonce, &refused, desk))
    }
}
