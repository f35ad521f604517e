//! The mistakes of honest people.

use super::{Journey, Step};
use crate::Dice;
use crate::simulation::screen::Screen;
use crate::simulation::server::Server;

impl Journey {
    /// Sends the last form again.
    pub(super) fn again(&mut self, deed: &'static str, server: &mut Server<'_>) {
        if let Some((what, request)) = self.last.clone() {
            server.tally.did(deed);
            self.send(what, request, server);
        }
    }

    pub(super) fn mistype_address(&mut self, server: &mut Server<'_>) {
        let Screen::View(view) = &self.screen else { return };
        if view.has_address_form && !view.is_fixed && !view.solved {
            server.tally.did("a person mistypes the address");
            let step = Step::Address(self.typo(), view.seen.clone());
            self.take(step, server);
        }
    }

    pub(super) fn mistype_code(&mut self, server: &mut Server<'_>, dice: &mut Dice) {
        let Screen::View(view) = &self.screen else { return };
        if view.can_guess && !view.solved {
            server.tally.did("a person mistypes a code");
            let code = ["12345678", "0000 0000", "1234567", ""][dice.below(4)];
            let step = Step::Code(code.to_string(), view.seen.clone());
            self.take(step, server);
        }
    }

    /// A form on a page that was left open.
    pub(super) fn use_old_form(&mut self, server: &mut Server<'_>, dice: &mut Dice) {
        if self.tabs.is_empty() {
            return;
        }
        let (view, crashes) = dice.pick(&self.tabs).clone();
        server.tally.did(match crashes == server.crashes {
            true => "a person submits an old form",
            false => "a person submits an old form after a crash",
        });
        let step = match self.look(&view, server) {
            Step::Wait(_) | Step::GiveUp => Step::Visit(None),
            step => step,
        };
        self.take(step, server);
    }
}
