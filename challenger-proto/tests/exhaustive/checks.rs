//! What is asked in every state of the walk, without changing it.

use std::rc::Rc;

use challenger_proto::http::{Method, Request};
use challenger_proto::secret::Nonce;
use challenger_proto::{Entropy, Step, Timestamp};

use super::{A, B, JSON, Node, Start, TOKEN_SEED};
use challenger_testkit::audit::{Ask, Cause, Round};
use challenger_testkit::bends::Honest;
use challenger_testkit::world::{self, Outcome, Redemption};

/// A request that nobody honest would send, and how it is bent.
pub(super) struct Bent {
    bend: &'static str,
    request: Request,
}

impl Node {
    /// The status that people and clients see agrees with what happened.
    pub(crate) fn check_status(&self) {
        let limits = &self.service.limits;
        let case = self.case();
        let outcome = self.answer(&world::look(&self.nonce, JSON), self.now);
        assert!(outcome.write.is_none(), "I21: a look writes in {}", self.key());
        let response = &outcome.response;
        let (solved, fixed) = (case.solved.is_some(), case.opened.read_only);
        let [changes, messages, guesses] = case.budget(limits);
        let due = match case.round.as_ref().and_then(|round| round.waits_from) {
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
            assert_eq!(world::member(response, name), Some(value), "I1: {name} in {}", self.key());
        }
        assert_eq!(world::member(response, "last_address"), address, "{}", self.key());
        // The token opens the address from its grant to its revocation.
        let token = Nonce::draw(Entropy::new([TOKEN_SEED; 32])).to_text();
        let told = self.answer(&world::info(&token), self.now).response.status.0;
        assert_eq!(told, if case.has_token() { 200 } else { 404 }, "/info in {}", self.key());
    }

    /// Questions are answered truly, and change nothing. The auditor judges the answers.
    pub(crate) fn check_questions(&self) {
        let [client, other] = &world::CLIENTS;
        let token = Nonce::draw(Entropy::new([TOKEN_SEED; 32])).to_text();
        let uri = format!("urn:ietf:params:oauth:request_uri:{}", self.nonce);
        let case = self.case();
        for (request, status) in [
            (world::status(&self.nonce, client.secret), 200),
            (world::about_token("/introspect", client, &token), 200),
            (world::about_token("/introspect", other, &token), 200),
            (world::begin_pushed(1, &uri, self.accept()), {
                let leads = case.is_linked(Some("1"), self.now) && case.stage() == "open";
                if leads { 302 } else { 404 }
            }),
        ] {
            let ask = Ask::read(&request);
            let cause = Cause::Request(&ask);
            let rows = world::rows(&request, &self.records, self.now, self.service);
            let step = world::step(&request, rows, self.now, TOKEN_SEED, self.service);
            self.auditor.decided(cause, &self.auditor.glimpse(cause), &step, self.now);
            let path = request.path();
            let Step::Respond(response) = step else { panic!("I21: {path} writes") };
            assert_eq!(response.status.0, status, "{path} in {}", self.key());
        }
    }

    /// I9: an honest request that was bent is refused, and nothing is written.
    pub(crate) fn check_bent_requests(&self) {
        let key = format!("{} {:?}", self.code(), self.case().request.verifier);
        let known = self.bent.borrow().get(&key).cloned();
        let bent = known.unwrap_or_else(|| {
            let [client, other] = &world::CLIENTS;
            let (nonce, code, asked) = (&self.nonce, &self.code(), &self.case().request);
            let (verifier, names_redirect_uri) =
                (asked.verifier.as_deref(), asked.names_redirect_uri);
            let honest = Honest { client, other, nonce, code, verifier, names_redirect_uri };
            let mut bent = honest.bent();
            if self.start == Start::Pushed {
                bent.extend(honest.bent_standard());
            }
            let bent: Rc<[Bent]> =
                bent.into_iter().map(|(bend, request)| Bent { bend, request }).collect();
            self.bent.borrow_mut().insert(key, Rc::clone(&bent));
            bent
        });
        for Bent { bend, request } in bent.iter() {
            let outcome = self.answer(request, self.now);
            assert!(outcome.write.is_none(), "I9: {bend} writes in {}", self.key());
            let status = outcome.response.status.0;
            assert!((400..500).contains(&status), "I9: {bend} is answered {status}");
        }
    }

    /// I9: whatever a client has begun, nothing is sent or granted once it is disabled.
    pub(crate) fn check_disabled(&self) {
        let (nonce, code, [client, _]) = (&self.nonce, self.code(), &world::CLIENTS);
        for request in [
            world::challenge(nonce, A, self.accept()),
            world::challenge(nonce, B, self.accept()),
            world::status(nonce, client.secret),
            world::push(client, ""),
            world::setup(client.secret, ""),
            Redemption::honest(&code, self.case().request.verifier.as_deref()).request(),
        ] {
            let mut rows = world::rows(&request, &self.records, self.now, self.service);
            rows.client.as_mut().unwrap().disabled = true;
            let outcome = world::decide(&request, rows, self.now, TOKEN_SEED, self.service);
            let (path, key) = (request.path(), self.key());
            assert!(outcome.write.is_none(), "I9: {path} of a disabled client writes in {key}");
            let is_solved = self.case().solved.is_some() && path.starts_with("/challenge/");
            let status = outcome.response.status.0;
            assert_eq!(status == 403, !is_solved, "I9: {path} is answered {status} in {key}");
        }
    }

    /// I6: the code of an earlier solution buys nothing, and takes nothing back.
    pub(crate) fn check_void_codes(&self) {
        for code in self.case().void_codes() {
            let redemption = Redemption::honest(code, self.case().request.verifier.as_deref());
            let outcome = self.answer(&redemption.request(), self.now);
            assert!(outcome.write.is_none(), "I6: a void code writes in {}", self.key());
            assert_eq!(outcome.response.status.0, 401, "I6: a void code in {}", self.key());
        }
    }

    /// I8: at its end and later a validation is only refused.
    pub(crate) fn check_after_the_end(&self) {
        let (nonce, accept) = (self.nonce.as_str(), self.accept());
        let code = self.code();
        let verifier = self.case().request.verifier.as_deref();
        let pin = self.case().round.as_ref().map_or("12345678", Round::pin_or_guess);
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
        for pending in self.pending.iter().chain(&self.outdated) {
            let it = pending.failed(self.service);
            let (rows, end) = (self.records.load(it.keys()), self.case().opened.expires);
            let outcome = Outcome::of(it.loaded(rows, end, Entropy::new([0; 32])));
            assert!(outcome.write.is_none(), "I8: a failure writes in {}", self.key());
        }
    }

    fn answer(&self, request: &Request, now: Timestamp) -> Outcome {
        assert!(matches!(request.method, Method::Get | Method::Post));
        let rows = world::rows(request, &self.records, now, self.service);
        world::decide(request, rows, now, TOKEN_SEED, self.service)
    }
}
