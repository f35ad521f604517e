//! `POST /solve/$NONCE`: a person enters the code.

use crate::endpoint::{completed, invalid_pin, live_validation, load_validation, parse_nonce};
use crate::form::Form;
use crate::http::{Request, Response};
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
    attempt: Attempt,
}

impl Solve {
    pub(crate) fn parse(request: &Request, argument: &str) -> Result<Self, Refused> {
        let nonce = parse_nonce(argument)?;
        let form = Form::parse(&request.body)?;
        let attempt = Attempt::parse(form.require("pin")?)
            .ok_or_else(|| Refusal::ParameterMalformed.about("pin"))?;
        Ok(Self { nonce, attempt })
    }

    pub(crate) fn load(&self) -> Load {
        load_validation(&self.nonce)
    }

    pub(crate) fn decide(&self, loaded: Loaded, desk: Desk<'_>) -> Result<Outcome, Refused> {
        let validation = live_validation(loaded, desk.now)?;
        match validation.solve(&self.nonce, &self.attempt, desk.now) {
            Verdict::Accepted(validation) => {
                let response = completed(&validation, &self.nonce, desk)?;
                Ok(Outcome::write(Write::Update(validation), response))
            }
            Verdict::Completed(validation) => {
                Ok(Outcome::respond(completed(&validation, &self.nonce, desk)?))
            }
            Verdict::Exhausted(validation) => {
                Ok(Outcome::respond(self.refuse(&validation, true, desk)?))
            }
            Verdict::NoChallenge(validation) => {
                Ok(Outcome::respond(self.refuse(&validation, false, desk)?))
            }
            Verdict::Rejected(validation) => {
                // The guess is charged whatever the page says about it.
                let response = self
                    .refuse(&validation, false, desk)
                    .unwrap_or_else(|refused| desk.reader.refuse(desk.service, &refused));
                Ok(Outcome::write(Write::Update(validation), response))
            }
        }
    }

    /// Says what is left; when nothing is, that this validation is over.
    fn refuse(
        &self,
        validation: &Validation,
        exhausted: bool,
        desk: Desk<'_>,
    ) -> Result<Response, Refused> {
        if validation.budget(&desk.service.limits).is_exhausted() {
            return Ok(desk.reader.refuse(desk.service, &Refusal::TooManyAttempts.into()));
        }
        invalid_pin(validation, &self.nonce, exhausted, desk)
    }
}
