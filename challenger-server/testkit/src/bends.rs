//! Dishonest variants of honest requests: each bends one thing, and all must be refused (I9).

use challenger_proto::Entropy;
use challenger_proto::http::Request;
use challenger_proto::secret::Nonce;

use crate::world::{self, Party, Redemption};

const JSON: &str = "application/json";

/// The parts of the honest requests of one validation.
pub struct Honest<'a> {
    pub client: &'a Party,
    pub other: &'a Party,
    pub nonce: &'a str,
    /// The code, or, before there is one, a text that could be it.
    pub code: &'a str,
    pub verifier: Option<&'a str>,
    /// Whether the authorization request names the redirect URI.
    pub names_redirect_uri: bool,
}

impl Honest<'_> {
    /// Requests that nobody honest would send, each with the part that is bent.
    pub fn bent(&self) -> Vec<(&'static str, Request)> {
        let (nonce, client) = (self.nonce, self.client.number);
        let stranger = Nonce::draw(Entropy::new([99; 32])).to_text();
        let foreign = format!("&redirect_uri={}", crate::escape(self.other.redirect));
        let no_challenge = "&code_challenge_method=S256";
        let mut bent = vec![
            ("a method without a challenge", world::authorize(nonce, client, no_challenge, JSON)),
            ("a foreign client", world::authorize(nonce, self.other.number, "", "text/html")),
            ("an unknown client", world::authorize(nonce, 3, "", JSON)),
            ("a foreign redirect URI", world::authorize(nonce, client, &foreign, JSON)),
            ("a stranger's authorization", world::authorize(&stranger, client, "", JSON)),
            ("a stranger's address", world::challenge(&stranger, "ada@example.com", JSON)),
            ("a stranger's PIN", world::solve(&stranger, "12345678", JSON)),
            ("a PIN that is none", world::solve(nonce, "1234567", JSON)),
            ("a setup with a wrong secret", world::setup_as(client, self.other.secret, "")),
        ];
        bent.extend(self.bent_redemptions());
        bent
    }

    /// The same for what the standard way adds.
    pub fn bent_standard(&self) -> Vec<(&'static str, Request)> {
        let Self { client, other, nonce, .. } = *self;
        let impostor = Party { secret: other.secret, ..*client };
        let stranger = Nonce::draw(Entropy::new([99; 32])).to_text();
        let uri = |nonce: &str| format!("urn:ietf:params:oauth:request_uri:{nonce}");
        let begin = world::begin_pushed;
        let foreign = format!("&redirect_uri={}", crate::escape(other.redirect));
        let closed = world::CLIENTS[1].number;
        let (push, about, direct) = (world::push, world::about_token, world::begin_direct);
        vec![
            ("a foreign client's request_uri", begin(other.number, &uri(nonce), "text/html")),
            ("a stranger's request_uri", begin(client.number, &uri(&stranger), JSON)),
            ("a nonce for a request_uri", begin(client.number, nonce, JSON)),
            ("a push with a wrong secret", push(&impostor, "")),
            ("a push of a foreign redirect URI", push(client, &foreign)),
            ("a push of a request_uri", push(client, "&request_uri=urn:x")),
            ("a push of a method without a challenge", push(client, "&code_challenge_method=S256")),
            ("a foreign redirect URI at /authorize", direct(client.number, &foreign, "text/html")),
            ("a closed client at /authorize", direct(closed, "", JSON)),
            ("an unknown client at /authorize", direct(3, "", JSON)),
            ("a revocation with a wrong secret", about("/revoke", &impostor, &stranger)),
            ("an introspection with a wrong secret", about("/introspect", &impostor, &stranger)),
            ("a status with a wrong secret", world::status(nonce, other.secret)),
            ("a stranger's status", world::status(&stranger, client.secret)),
        ]
    }

    fn bent_redemptions(&self) -> Vec<(&'static str, Request)> {
        let honest = Redemption::of(self.client, self.code, self.verifier);
        let wrong_secret = self.other.secret;
        let redirect = self.other.redirect;
        let altered = [0, 53, 80].map(|at| alter(self.code, at));
        let mut bent: Vec<_> = altered
            .iter()
            .map(|code| ("an altered code", Redemption { code, ..honest.clone() }))
            .collect();
        bent.extend([
            ("a wrong secret", Redemption { secret: wrong_secret, ..honest.clone() }),
            ("an unknown client's code", Redemption { client: 3, ..honest.clone() }),
            ("a foreign redirect URI at /token", Redemption { redirect, ..honest.clone() }),
            (
                "another client's code",
                Redemption { client: self.other.number, secret: wrong_secret, ..honest.clone() },
            ),
            ("a code of another client", Redemption::of(self.other, self.code, self.verifier)),
        ]);
        if self.names_redirect_uri {
            let left_out = Redemption { redirect: "", ..honest.clone() };
            bent.push(("a redirect URI that is left out", left_out));
        }
        let wrong = self.verifier.map(|verifier| verifier.replace(['a', 'J'], "b"));
        match &wrong {
            Some(wrong) => {
                bent.push((
                    "a wrong verifier",
                    Redemption { verifier: Some(wrong), ..honest.clone() },
                ));
                bent.push(("a missing verifier", Redemption { verifier: None, ..honest.clone() }));
            }
            None => {
                let verifier = Some("a-verifier-that-no-challenge-was-made-for-00");
                bent.push(("a needless verifier", Redemption { verifier, ..honest.clone() }));
            }
        }
        bent.into_iter().map(|(bend, redemption)| (bend, redemption.request())).collect()
    }
}

/// The text with another character at a place.
fn alter(text: &str, at: usize) -> String {
    let other = |it: char| if it == '0' { 'G' } else { '0' };
    text.chars().enumerate().map(|(place, it)| if place == at { other(it) } else { it }).collect()
}
