//! The steps of a validation, each with the rules that hold whatever happens to the servers.

use std::thread;
use std::time::{Duration, Instant};

use challenger_testkit::{Reply, code_of, escape, wrong};

use super::caller::{Call, Caller, Trouble, label};
use super::site::{ISS, REDIRECT_URI, SECRET};

/// Until the same message can be sent again, and a little more.
pub const INTERVAL: Duration = Duration::from_millis(1100);
/// How often to ask for a letter that does not come.
const LETTERS: usize = 6;

/// The headers of a form.
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const PAGE: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const JSON: (&str, &str) = ("Accept", "application/json");

/// A validation, from the side of the person and of the client.
pub struct Visit {
    pub address: String,
    pub nonce: String,
    pub is_page: bool,
    /// The field of the latest form that says what was left.
    seen: String,
    state: String,
    pub verifier: Option<String>,
}

fn broken<T>(rule: &'static str, reply: &Reply) -> Result<T, Trouble> {
    Err(Trouble::Broken(rule, format!("{} {:?}", label(reply), reply.header("Location"))))
}

impl Visit {
    /// `/setup`, by the client.
    pub fn set_up(
        caller: &mut Caller<'_>,
        address: &str,
        is_page: bool,
        verifier: Option<String>,
        proposes: bool,
    ) -> Result<Self, Trouble> {
        let bearer = format!("Bearer {SECRET}");
        let body = format!("{{\"CONTACT_EMAIL\":\"{address}\"}}");
        let body = if proposes { body.as_str() } else { "" };
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let call =
            Call { kind: "setup", method: "POST", target: "setup/1", headers: &headers, body };
        let reply = caller.call(&call)?;
        let Some(nonce) = reply.member("nonce") else {
            return broken("a client can always begin", &reply);
        };
        let state = format!("state-of-{address}");
        let (address, seen) = (address.to_string(), String::new());
        Ok(Self { address, nonce, is_page, seen, state, verifier })
    }

    fn headers(&self) -> [(&'static str, &'static str); 2] {
        [if self.is_page { PAGE } else { JSON }, FORM]
    }

    /// `/authorize`, by the person's browser.
    pub fn authorize(&mut self, caller: &mut Caller<'_>) -> Result<Reply, Trouble> {
        let mut target = format!(
            "authorize/{}?response_type=code&client_id=1&redirect_uri={}&state={}",
            self.nonce,
            escape(REDIRECT_URI),
            escape(&self.state)
        );
        if let Some(verifier) = &self.verifier {
            target += &format!("&code_challenge={verifier}&code_challenge_method=plain");
        }
        let headers = self.headers();
        let call = Call {
            kind: "authorize",
            method: "GET",
            target: &target,
            headers: &headers[..1],
            body: "",
        };
        let reply = caller.call(&call)?;
        match reply.status {
            200 => self.look(&reply),
            _ => return broken("an acknowledged nonce is known", &reply),
        }
        Ok(reply)
    }

    /// Remembers what the form says was left.
    fn look(&mut self, reply: &Reply) {
        if self.is_page {
            let rest = reply.body.split("name=\"budget_seen\" value=\"").nth(1);
            let value = rest.and_then(|rest| rest.split('"').next());
            self.seen = value.map(|it| format!("&budget_seen={it}")).unwrap_or_default();
        }
    }

    fn post(
        &mut self,
        caller: &mut Caller<'_>,
        kind: &'static str,
        field: &str,
        twice: bool,
    ) -> Result<Vec<Reply>, Trouble> {
        let target = format!("{kind}/{}", self.nonce);
        let body = format!("{field}{}", self.seen);
        let headers = self.headers();
        let call = Call { kind, method: "POST", target: &target, headers: &headers, body: &body };
        let replies = if twice { caller.call_twice(&call) } else { vec![caller.call(&call)] };
        let replies = replies.into_iter().collect::<Result<Vec<_>, _>>()?;
        if let Some(reply) = replies.iter().find(|reply| reply.status == 404) {
            return broken("an acknowledged nonce is known", reply);
        }
        self.look(replies.last().unwrap());
        Ok(replies)
    }

    /// `/challenge`, once.
    pub fn ask(&mut self, caller: &mut Caller<'_>, twice: bool) -> Result<Vec<Reply>, Trouble> {
        let field = format!("CONTACT_EMAIL={}", escape(&self.address));
        self.post(caller, "challenge", &field, twice)
    }

    /// `/challenge` until the letter is there: its code.
    pub fn get_letter(&mut self, caller: &mut Caller<'_>, twice: bool) -> Result<String, Trouble> {
        for _ in 0..LETTERS {
            for reply in self.ask(caller, twice)? {
                match reply.status {
                    200 => {}
                    403 | 429 => return Err(Trouble::StartOver("no messages left")),
                    _ => return broken("a person can have a message", &reply),
                }
            }
            if let Some(code) = caller.pair.code_for(&self.address) {
                return Ok(code);
            }
            thread::sleep(INTERVAL);
        }
        Err(Trouble::StartOver("the letter never came"))
    }

    /// `/solve`, once.
    pub fn guess(
        &mut self,
        caller: &mut Caller<'_>,
        code: &str,
        twice: bool,
    ) -> Result<Vec<Reply>, Trouble> {
        self.post(caller, "solve", &format!("pin={code}"), twice)
    }

    /// `/solve` with a wrong code.
    pub fn mistype(&mut self, caller: &mut Caller<'_>, code: &str) -> Result<(), Trouble> {
        let reply = self.guess(caller, &wrong(code), false)?.remove(0);
        match reply.status {
            403 => Ok(()),
            429 => Err(Trouble::StartOver("no guesses left")),
            _ => broken("a wrong code is refused", &reply),
        }
    }

    /// `/solve` with the right code: the authorization code.
    pub fn solve(
        &mut self,
        caller: &mut Caller<'_>,
        code: &str,
        twice: bool,
    ) -> Result<String, Trouble> {
        // A form that is not the latest is shown again.
        for _ in 0..3 {
            let begun = Instant::now();
            let replies = self.guess(caller, code, twice)?;
            if let Some(reply) = replies.iter().find(|it| ![200, 302, 403].contains(&it.status)) {
                return broken("the right code is accepted", reply);
            }
            let found: Vec<String> = replies.iter().filter_map(location).collect();
            let Some(first) = found.first() else { continue };
            let state = format!("&state={}{ISS}", self.state.replace('@', "%40"));
            if !first.starts_with(REDIRECT_URI) || !first.ends_with(&state) {
                return Err(Trouble::Broken("people are sent to the client", self.state.clone()));
            }
            let codes: Vec<String> = found.iter().map(|it| code_of(it)).collect();
            if codes.iter().any(|code| *code != codes[0]) {
                // When the database hung in between, it was no double click any more.
                if begun.elapsed() > Duration::from_secs(9) {
                    continue;
                }
                return broken("a double click gets one authorization code", &replies[0]);
            }
            return Ok(codes[0].clone());
        }
        Err(Trouble::StartOver("the right code was not judged"))
    }

    /// `/token`, by the client: the access token.
    pub fn redeem(
        &self,
        caller: &mut Caller<'_>,
        code: &str,
        twice: bool,
    ) -> Result<String, Trouble> {
        let body = token_request(SECRET, REDIRECT_URI, code, self.verifier.as_deref());
        let call =
            Call { kind: "token", method: "POST", target: "token", headers: &[FORM], body: &body };
        let replies = if twice { caller.call_twice(&call) } else { vec![caller.call(&call)] };
        let replies = replies.into_iter().collect::<Result<Vec<_>, _>>()?;
        let tokens: Vec<String> =
            replies.iter().filter_map(|reply| reply.member("access_token")).collect();
        if tokens.len() > 1 {
            return broken("no code is redeemed twice", &replies[0]);
        }
        let refused = replies.iter().filter(|reply| reply.status != 200);
        if let Some(reply) = refused.into_iter().find(|it| it.refusal() != (401, 9753)) {
            return broken("a good code can be redeemed", reply);
        }
        let none = Trouble::StartOver("the code was spent, and the answer lost");
        tokens.into_iter().next().ok_or(none)
    }
}

/// The body of a request for a token.
pub fn token_request(secret: &str, uri: &str, code: &str, verifier: Option<&str>) -> String {
    let verifier = verifier.map(|it| format!("&code_verifier={it}")).unwrap_or_default();
    format!(
        "grant_type=authorization_code&client_id=1&code={code}&client_secret={}&redirect_uri={}{}",
        escape(secret),
        escape(uri),
        verifier
    )
}

/// `/info`, by the client.
pub fn info(caller: &mut Caller<'_>, kind: &'static str, token: &str) -> Result<Reply, Trouble> {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    caller.call(&Call { kind, method: "GET", target: "info", headers: &headers, body: "" })
}

/// Where an answer sends the person.
fn location(reply: &Reply) -> Option<String> {
    match reply.header("Location") {
        Some(location) => Some(location.to_string()),
        None => reply.member("redirect_url"),
    }
}
