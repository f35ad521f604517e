//! What is asked in every state of the walk, without changing it.

use std::rc::Rc;

use challenger_proto::http::{Method, Request};
use challenger_proto::{Entropy, Nonce, Outcome, Plan, Timestamp, route};

use super::{A, B, HTML, JSON, Node, TOKEN_SEED};
use crate::world::{self, Redemption};

/// A request that nobody honest would send.
pub(super) struct Bent {
    bend: &'static str,
    plan: Plan,
}

impl Node {
    /// The status that people and clients see agrees with what happened.
    pub(crate) fn check_status(&self) {
        let limits = &self.service.limits;
        let case = self.case();
        let outcome = self.answer(&world::authorize(&self.nonce, 1, "", JSON), self.now);
        let response = &outcome.response;
        let (solved, fixed) = (case.solved.is_some(), case.opened.read_only);
        let changes = if fixed { 0 } else { u32::from(limits.address_changes) - case.paid };
        let (messages, guesses) = match &case.round {
            _ if solved => (0, 0),
            None => (limits.pin_transmissions.into(), limits.pin_attempts.into()),
            Some(round) => (
                u32::from(limits.pin_transmissions) - round.charges,
                u32::from(limits.pin_attempts) - round.guesses,
            ),
        };
        let due = match case.round.as_ref().and_then(|round| round.latest) {
            Some(latest) if !solved => latest.plus(limits.retransmission_interval),
            Some(_) | None => Timestamp::EPOCH,
        };
        let address = case.round.as_ref().map(|round| &round.address);
        let address = address.or(case.opened.prefill.as_ref()).map(|it| it.to_json().to_string());
        for (name, value) in [
            ("solved", solved.to_string()),
            ("fix_address", (fixed || changes == 0 || solved).to_string()),
            ("changes_left", changes.to_string()),
            ("pin_transmissions_left", messages.to_string()),
            ("auth_attempts_left", guesses.to_string()),
            ("retransmission_time", due.to_json().to_string()),
        ] {
            assert_eq!(world::member(response, name), Some(value), "{name} in {}", self.key());
        }
        assert_eq!(world::member(response, "last_address"), address, "{}", self.key());
        // The token opens the address from its grant to its revocation.
        let token = Nonce::draw(Entropy::new([TOKEN_SEED; 32])).to_text();
        let told = self.answer(&world::info(&token), self.now).response.status.0;
        let live = case.granted.is_some() && !case.is_revoked;
        assert_eq!(told, if live { 200 } else { 404 }, "/info in {}", self.key());
    }

    /// I9: whoever bends an honest request is refused, and nothing is written.
    pub(crate) fn check_bent_requests(&self) {
        let key = format!("{} {:?}", self.code(), self.case().plain);
        let known = self.bent.borrow().get(&key).cloned();
        let bent = known.unwrap_or_else(|| {
            let requests = self.bent_requests();
            let bent: Rc<[Bent]> = requests
                .into_iter()
                .map(|(bend, request)| Bent { bend, plan: route(&request) })
                .collect();
            self.bent.borrow_mut().insert(key, Rc::clone(&bent));
            bent
        });
        for Bent { bend, plan } in bent.iter() {
            let outcome = self.decide(plan, self.now, 0);
            assert!(outcome.write.is_none(), "I9: {bend} writes in {}", self.key());
            let status = outcome.response.status.0;
            assert!((400..500).contains(&status), "I9: {bend} is answered {status}");
        }
    }

    fn bent_requests(&self) -> Vec<(&'static str, Request)> {
        let nonce = self.nonce.as_str();
        let stranger = Nonce::draw(Entropy::new([99; 32])).to_text();
        let foreign = format!("&redirect_uri={}", world::escape(world::OTHER_REDIRECT));
        let wrong_secret = world::OTHER_SECRET;
        let no_challenge = "&code_challenge_method=S256";
        let mut bent = vec![
            ("a method without a challenge", world::authorize(nonce, 1, no_challenge, JSON)),
            ("a foreign client", world::authorize(nonce, 2, "", HTML)),
            ("an unknown client", world::authorize(nonce, 3, "", JSON)),
            ("a foreign redirect URI", world::authorize(nonce, 1, &foreign, JSON)),
            ("a stranger's authorization", world::authorize(&stranger, 1, "", JSON)),
            ("a stranger's address", world::challenge(&stranger, A, JSON)),
            ("a stranger's PIN", world::solve(&stranger, "12345678", JSON)),
            ("a PIN that is none", world::solve(nonce, "1234567", JSON)),
            ("a setup with a wrong secret", world::setup(wrong_secret, "")),
        ];
        let code = self.code();
        let verifier = self.case().plain.clone();
        let honest = Redemption::honest(&code, verifier.as_deref());
        let altered: Vec<String> = [0, 53, 80].map(|at| alter(&code, at)).into();
        bent.extend(
            altered
                .iter()
                .map(|code| ("an altered code", Redemption { code, ..honest.clone() }.request())),
        );
        for (bend, redemption) in [
            ("a wrong secret", Redemption { secret: wrong_secret, ..honest.clone() }),
            ("an unknown client's code", Redemption { client: 3, ..honest.clone() }),
            (
                "a foreign redirect URI at /token",
                Redemption { redirect: world::OTHER_REDIRECT, ..honest.clone() },
            ),
            (
                "another client's code",
                Redemption { client: 2, secret: wrong_secret, ..honest.clone() },
            ),
        ] {
            bent.push((bend, redemption.request()));
        }
        if let Some(verifier) = &verifier {
            let wrong = verifier.replace('a', "b");
            for verifier in [None, Some(wrong.as_str())] {
                bent.push((
                    "a wrong verifier",
                    Redemption { verifier, ..honest.clone() }.request(),
                ));
            }
        }
        bent
    }

    /// I8: at its end and later a validation is only refused.
    pub(crate) fn check_after_the_end(&self) {
        let (nonce, accept) = (self.nonce.as_str(), self.accept());
        let code = self.code();
        let verifier = self.case().plain.as_deref();
        let pin = self.case().round.as_ref().map_or("12345678", |round| &round.pin);
        for request in [
            world::authorize(nonce, 1, "&state=late", accept),
            world::challenge(nonce, A, accept),
            world::challenge(nonce, B, accept),
            world::solve(nonce, pin, accept),
            world::solve(nonce, "00000000", accept),
            Redemption::honest(&code, verifier).request(),
        ] {
            let outcome = self.answer(&request, self.case().opened.expires);
            let path = request.path();
            assert!(outcome.write.is_none(), "I8: {path} writes in {}", self.key());
            let expected = if path == "/token" { 401 } else { 404 };
            assert_eq!(outcome.response.status.0, expected, "I8: {path} in {}", self.key());
        }
        if let Some(message) = self.pending.clone() {
            let plan = message.undelivered("");
            let outcome = self.decide(&plan, self.case().opened.expires, 0);
            assert!(outcome.write.is_none(), "I8: a failure writes in {}", self.key());
        }
        if let Some(message) = self.outdated.clone() {
            let outcome = self.decide(&message.undelivered(""), self.now, 0);
            assert!(outcome.write.is_none(), "I1: an old failure writes in {}", self.key());
        }
    }

    fn answer(&self, request: &Request, now: Timestamp) -> Outcome {
        assert!(matches!(request.method, Method::Get | Method::Post));
        self.decide(&route(request), now, TOKEN_SEED)
    }
}

/// The text with another character at a place.
fn alter(text: &str, at: usize) -> String {
    let other = |it: char| if it == '0' { 'G' } else { '0' };
    text.chars().enumerate().map(|(place, it)| if place == at { other(it) } else { it }).collect()
}
