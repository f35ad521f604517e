//! The requests of an honest client and person, and dishonest variants of them.

use challenger_proto::Entropy;
use challenger_proto::http::Request;
use challenger_proto::secret::Nonce;

use super::{Journey, Pkce, Proposal};
use crate::audit::{S256_CHALLENGE, S256_VERIFIER};
use crate::bends::Honest;
use crate::simulation::server::Server;
use crate::world;

const HTML: &str = "text/html";
const JSON: &str = "application/json";
const PLAIN: &str = "a-plain-verifier-of-forty-three-characters.";

impl Journey {
    pub(super) const fn accept(&self) -> &'static str {
        if self.has_pages { HTML } else { JSON }
    }

    pub(super) fn setup(&self, server: &mut Server<'_>) -> Request {
        server.tally.did("a client asks for a validation");
        let address = match self.proposal {
            Proposal::Nothing => return self.setup_with(""),
            Proposal::Wrong => self.typo(),
            Proposal::Fixed | Proposal::Right => self.address(0),
        };
        let fixed = self.proposal == Proposal::Fixed;
        let deed = if fixed { "a client fixes an address" } else { "a client proposes an address" };
        server.tally.did(deed);
        self.setup_with(&format!(r#"{{"CONTACT_EMAIL":"{address}","read_only":{fixed}}}"#))
    }

    fn setup_with(&self, body: &str) -> Request {
        world::setup_as(self.client.number, self.client.secret, body)
    }

    /// The link that the client gave to the person.
    pub(super) fn visit(&self, nonce: &str, server: &mut Server<'_>) -> Request {
        let mut more = format!("&scope=address&state=visit-{}", self.visits);
        let (deed, challenge) = match self.pkce {
            Pkce::None => ("a client uses no PKCE", String::new()),
            Pkce::Plain => ("a client uses PKCE in plain", format!("&code_challenge={PLAIN}")),
            Pkce::S256 => (
                "a client uses PKCE with S256",
                format!("&code_challenge={S256_CHALLENGE}&code_challenge_method=S256"),
            ),
        };
        server.tally.did(deed);
        more.push_str(&challenge);
        if self.who.is_multiple_of(2) {
            more.push_str("&redirect_uri=");
            more.push_str(&crate::escape(self.client.redirect));
        }
        world::authorize(nonce, self.client.number, &more, self.accept())
    }

    pub(super) const fn verifier(&self) -> Option<&'static str> {
        match self.pkce {
            Pkce::None => None,
            Pkce::Plain => Some(PLAIN),
            Pkce::S256 => Some(S256_VERIFIER),
        }
    }

    /// This journey's requests, each bent by somebody.
    pub(crate) fn bent(&self) -> Vec<(&'static str, Request)> {
        let (Some(nonce), Some(id)) = (&self.nonce, self.id()) else { return Vec::new() };
        // Before there is a code, a text that could be it.
        let name = Nonce::draw(Entropy::new(*id.as_bytes())).to_text();
        let unknown = format!("{name}-{}", "0".repeat(52));
        let code = self.code.as_deref().unwrap_or(&unknown);
        let Self { client, other, .. } = *self;
        Honest { client, other, nonce, code, verifier: self.verifier() }.bent()
    }

    /// Another address for a validation whose address is fixed.
    pub(crate) fn forged(&self) -> Option<Request> {
        let nonce = self.nonce.as_ref().filter(|_| self.proposal == Proposal::Fixed)?;
        Some(world::challenge(nonce, "mallory@example.org", self.accept()))
    }
}
