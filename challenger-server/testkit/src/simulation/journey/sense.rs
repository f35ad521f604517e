//! What a sensible person does next, and when giving up is sensible.

use challenger_proto::machine::Limits;

use super::{Journey, Step};
use crate::audit::{Case, Way};
use crate::simulation::screen::{Screen, View};
use crate::simulation::server::{Message, Server};

impl Journey {
    /// The code in the newest message at an address that was not refused yet.
    fn code_at(&self, address: &str, server: &Server<'_>) -> Option<String> {
        let id = self.id()?;
        let fits = |message: &&Message| {
            message.to == address && message.about == id && !self.wrong.contains(&message.pin)
        };
        server.mail.iter().rev().find(fits).map(|message| message.pin.clone())
    }

    /// The step that would bring a sensible person forward.
    pub(crate) fn sensible(&self, server: &Server<'_>) -> Step {
        if self.is_done {
            return Step::Rest;
        }
        if self.nonce.is_none() {
            let has_link = self.link.is_some() || self.way == Way::Direct;
            return if has_link { Step::Arrive } else { Step::Setup };
        }
        if self.token.is_some() {
            return Step::Info;
        }
        if self.code.is_some() {
            return if self.is_stale { self.renew(server) } else { Step::Token };
        }
        let step = match &self.screen {
            Screen::Nothing => Step::Visit(None),
            Screen::Done => Step::GiveUp,
            Screen::View(view) => self.look(view, server),
        };
        match (step, self.hold) {
            (Step::Address(to, _), Some(until)) if self.owns(&to) && server.now < until => {
                Step::Wait(until.since(server.now).as_seconds())
            }
            (step, _) => step,
        }
    }

    /// The client says that the code is stale: the person goes back and enters theirs again.
    fn renew(&self, server: &Server<'_>) -> Step {
        let id = self.id();
        let fits = |message: &&Message| self.owns(&message.to) && Some(message.about) == id;
        let codes: Vec<&Message> = server.mail.iter().rev().filter(fits).collect();
        // They may not remember which of them it was.
        match codes.len() {
            0 => Step::GiveUp,
            count => Step::Code(codes[self.renewals % count].pin.clone(), Some("0.0.0".into())),
        }
    }

    pub(super) fn look(&self, view: &View, server: &Server<'_>) -> Step {
        let seen = || view.seen.clone();
        let address = view.address.as_ref();
        if let (true, Some(address)) = (view.solved, address) {
            return Step::Address(address.clone(), seen());
        }
        let mine = address.filter(|address| self.owns(address));
        if let Some(mine) = mine {
            if let Some(code) = self.code_at(mine, server).filter(|_| view.can_guess) {
                return Step::Code(code, seen());
            }
            if view.can_ask_again {
                return match view.wait {
                    0 => Step::Address(mine.clone(), seen()),
                    wait => Step::Wait(wait),
                };
            }
        }
        if view.has_address_form {
            let unspent = mine.filter(|_| view.messages > 0);
            return match unspent {
                Some(mine) => Step::Address(mine.clone(), seen()),
                None if view.is_fixed => Step::GiveUp,
                None => {
                    Step::Address(self.address(self.spares + usize::from(mine.is_some())), seen())
                }
            };
        }
        match &view.change {
            Some(url) => Step::Visit(Some(url.clone())),
            None => Step::GiveUp,
        }
    }

    /// Whether there is a reason to give up, as the auditor sees it.
    pub(crate) fn is_lost(&self, server: &Server<'_>) -> bool {
        let Some(case) = self.case(server) else { return true };
        if case.opened.expires <= server.now || case.granted.is_some() || case.is_deleted {
            return true;
        }
        case.solved.is_none() && !self.has_a_way(case, &server.service.limits, server)
    }

    /// Whether the budget that is left suffices to enter a right code.
    fn has_a_way(&self, case: &Case, limits: &Limits, server: &Server<'_>) -> bool {
        let [changes, messages, guesses] = case.budget(limits);
        let mine = |address: &str| self.owns(address);
        changes > 0
            || match &case.round {
                Some(round) => {
                    let is_here = server.mail.iter().any(|message| message.pin == round.pin);
                    let address = round.address.only_value().unwrap_or_default();
                    mine(address) && (messages > 0 || (guesses > 0 && is_here))
                }
                None => {
                    case.opened.prefill.as_ref().and_then(|it| it.only_value()).is_some_and(mine)
                }
            }
    }
}
