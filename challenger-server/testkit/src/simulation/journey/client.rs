//! What clients do beside the way of a person, and what foes do with it.

use challenger_proto::http::Request;

use super::Journey;
use crate::Dice;
use crate::audit::Way;
use crate::simulation::server::{Server, What};
use crate::world;

impl Journey {
    /// The link is opened once more, or by a program before the person does.
    pub(super) fn open_link(&mut self, server: &mut Server<'_>) {
        let is_first = self.nonce.is_none();
        let deed = match is_first {
            true => "a program looks at a link first",
            false => "a person opens a link again",
        };
        server.tally.did(deed);
        let request = self.arrive(server);
        self.send(if is_first { What::Preview } else { What::Arrive }, request, server);
    }

    pub(super) fn ask_for_status(&mut self, server: &mut Server<'_>) {
        server.tally.did("a client asks how it stands");
        let nonce = self.nonce.as_deref().unwrap_or_default();
        let request = world::status(nonce, self.client.secret);
        self.send(What::Status, request, server);
    }

    /// A client asks about its token, or has no more need of it; and then it reads once more.
    pub(super) fn ask_about_token(&mut self, server: &mut Server<'_>, dice: &mut Dice) {
        let token = self.token.clone().unwrap_or_default();
        let about = |path| world::about_token(path, self.client, &token);
        let (deed, what, request) = match (dice.coin(), self.is_done, self.has_revoked) {
            (true, _, _) | (_, false, _) => {
                ("a client asks about a token", What::Introspect, about("/introspect"))
            }
            (false, true, false) => {
                self.has_revoked = true;
                ("a client revokes a token", What::Revoke, about("/revoke"))
            }
            (false, true, true) => {
                let deed = "a client reads the address after it gave the token up";
                (deed, What::Info, world::info(&token))
            }
        };
        server.tally.did(deed);
        self.send(what, request, server);
    }

    /// Requests that a foe can make with what leaked, and that the auditor judges.
    pub(crate) fn schemes(&self) -> Vec<(&'static str, Request)> {
        let (client, accept) = (self.client.number, self.accept());
        let mut schemes = Vec::new();
        if let Some(uri) = &self.link {
            let request = world::begin_pushed(client, uri, accept);
            schemes.push(("Mallory steals a request_uri", request));
        }
        if let Some(nonce) = self.nonce.as_ref().filter(|_| self.way != Way::Setup) {
            // Without the challenge, and with a state of Mallory's.
            let request = world::authorize(nonce, client, "&state=mallory", accept);
            schemes.push(("Mallory replaces a pushed request", request));
        }
        if let Some(token) = &self.token {
            for (deed, path) in [
                ("Mallory asks about another client's token", "/introspect"),
                ("Mallory revokes another client's token", "/revoke"),
            ] {
                schemes.push((deed, world::about_token(path, self.other, token)));
            }
        }
        schemes
    }
}
