//! The requests of an honest client and person, and dishonest variants of them.

use challenger_proto::Entropy;
use challenger_proto::http::Request;
use challenger_proto::secret::Nonce;

use super::{Journey, Pkce, Proposal};
use crate::audit::{S256_CHALLENGE, S256_VERIFIER, Way};
use crate::bends::Honest;
use crate::simulation::server::Server;
use crate::world::{self, Redemption};

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
        if self.way != Way::Setup {
            return world::look(nonce, self.accept());
        }
        let more = self.asked(server);
        world::authorize(nonce, self.client.number, &more, self.accept())
    }

    /// The parameters of the client's authorization request.
    fn asked(&self, server: &mut Server<'_>) -> String {
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
        if self.names_redirect_uri() {
            more.push_str("&redirect_uri=");
            more.push_str(&crate::escape(self.client.redirect));
        }
        more
    }

    const fn names_redirect_uri(&self) -> bool {
        self.who.is_multiple_of(2)
    }

    /// The request that the client pushes, with an address in one of two ways.
    pub(super) fn push(&self, server: &mut Server<'_>) -> Request {
        server.tally.did("a client pushes a request");
        let mut more = self.asked(server);
        match self.proposal {
            Proposal::Fixed => {
                let address =
                    format!(r#"{{"CONTACT_EMAIL":"{}","read_only":true}}"#, self.address(0));
                more.push_str(&format!("&address={}", crate::escape(&address)));
            }
            Proposal::Nothing | Proposal::Right | Proposal::Wrong => more.push_str(&self.hint()),
        }
        world::push(self.client, &more)
    }

    fn hint(&self) -> String {
        let address = match self.proposal {
            Proposal::Nothing => return String::new(),
            Proposal::Wrong => self.typo(),
            Proposal::Fixed | Proposal::Right => self.address(0),
        };
        format!("&login_hint={}", crate::escape(&address))
    }

    /// The link by which the person comes, or the request that their browser brings.
    pub(super) fn arrive(&self, server: &mut Server<'_>) -> Request {
        let (client, accept) = (self.client.number, self.accept());
        match &self.link {
            Some(uri) => {
                server.tally.did("a person comes by a pushed request");
                world::begin_pushed(client, uri, accept)
            }
            None => {
                server.tally.did("a person comes by themselves");
                let more = self.asked(server) + &self.hint();
                world::begin_direct(client, &more, accept)
            }
        }
    }

    /// The client's request for a token. It may leave out the redirect URI that it never named.
    pub(super) fn redemption(&self) -> Request {
        let code = self.code.as_deref().unwrap_or_default();
        let mut redemption = Redemption::of(self.client, code, self.verifier());
        if !self.names_redirect_uri() && self.visits.is_multiple_of(2) {
            redemption.redirect = "";
        }
        redemption.request()
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
        // A browser may have brought none of the client's requests yet.
        let names_redirect_uri = self.names_redirect_uri() && self.code.is_some();
        let verifier = self.verifier();
        let honest = Honest { client, other, nonce, code, verifier, names_redirect_uri };
        let mut bent = honest.bent();
        bent.extend(honest.bent_standard());
        bent
    }

    /// Another address for a validation whose address is fixed.
    pub(crate) fn forged(&self) -> Option<Request> {
        let nonce = self.nonce.as_ref().filter(|_| self.proposal == Proposal::Fixed)?;
        Some(world::challenge(nonce, "mallory@example.org", self.accept()))
    }
}
