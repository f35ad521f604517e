//! Requests, sent into a world where a validation waits at each stage of its life.

use std::sync::OnceLock;

use challenger_proto::address::Restrictions;
use challenger_proto::http::{Method, PageName, Request};
use challenger_proto::store::{Commit, Records};
use challenger_proto::testing::{Challenger, TestClient};
use challenger_proto::{Entropy, Failure, FailureKind, Refusal, Step};

/// Bytes become a request; it is carried out, and never ends in a fault of ours.
///
/// The first line is method and target, the lines up to an empty one are headers, the rest is the
/// body, as it is. The words of [`World::words`] stand for what cannot be guessed.
pub fn request(data: &[u8]) {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(World::new);
    let Some(request) = parse(&world.spell_out(data)) else { return };
    let Challenger { service, records, now, .. } = &world.challenger;
    for records in [records, &Records::default()] {
        let mut records = records.clone();
        let mut step = Step::begin(&request, service, *now);
        let (mut is_paid, mut fails) = (false, false);
        let response = loop {
            step = match step {
                Step::Load(it) => {
                    let rows = records.load(it.keys());
                    it.loaded(rows, *now, Entropy::new([200; 32]))
                }
                Step::Commit(it) => {
                    assert_eq!(records.commit(it.write()), Commit::Done);
                    is_paid = it.pays_for_message();
                    it.done()
                }
                Step::Send(it) => {
                    assert!(is_paid && !fails, "an unpaid message");
                    let argument = &it.message().argument;
                    assert!(!argument.contains('\0'), "no program can be given this address");
                    fails = true;
                    let kind = FailureKind::ALL[data.len() % FailureKind::ALL.len()];
                    it.failed(Failure::new(kind, "by the dice"))
                }
                Step::Respond(response) => break response,
            };
        };
        let status = response.status.0;
        let expected = status < 500
            || (status == 501 && response.refusal.is_none())
            || (fails && response.refusal == Some(Refusal::HelperFailed));
        assert!(expected, "{response:?}");
        for (name, value) in &response.headers {
            assert!(!value.contains(char::is_control), "{name}");
        }
    }
}

fn parse(data: &[u8]) -> Option<Request> {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((data, &[][..]), |end| (&data[..end], &data[end + 2..]));
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split('\n');
    let (method, target) = lines.next()?.split_once(' ')?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    Some(Request {
        method: Method::parse(method),
        target: target.to_string(),
        headers,
        body: body.to_vec(),
    })
}

/// A service with pages, a client, and validations.
struct World {
    challenger: Challenger,
    client: TestClient,
    /// Words, and what they stand for.
    words: Vec<(&'static str, String)>,
}

impl World {
    fn new() -> Self {
        let mut challenger = Challenger::new("email");
        challenger.service.restrictions =
            Restrictions::parse(r#"{"CONTACT_EMAIL":{"regex":"@","hint":"an address"}}"#)
                .expect("restrictions");
        for name in PageName::ALL {
            challenger.service.pages.insert(name, "en");
        }
        let client = challenger.register("https://client.example/cb");
        let mut world = Self { challenger, client, words: Vec::new() };
        world.open("OPEN");
        let sent = world.open("SENT");
        let pin = world.challenge(&sent);
        world.words.push(("PIN", pin));
        let solved = world.open("SOLVED");
        let code = world.solve(&solved);
        world.words.push(("CODE", code));
        let spent = world.open("SPENT");
        let code = world.solve(&spent);
        let response = world.challenger.ask(&world.client.token(&code));
        let token = response.member("access_token").and_then(|it| it.as_str()).expect("a token");
        world.words.extend([("USED", code), ("TOKEN", token.to_string())]);
        world
    }

    /// A validation for which a word stands from now on.
    fn open(&mut self, word: &'static str) -> String {
        let nonce = self.challenger.setup(&self.client);
        self.words.push((word, nonce.clone()));
        let target = format!("/authorize/{nonce}?response_type=code&client_id=1&state=s");
        assert_eq!(self.challenger.ask(&Request::get(&target)).status.0, 200);
        nonce
    }

    fn challenge(&mut self, nonce: &str) -> String {
        let target = format!("/challenge/{nonce}");
        self.challenger.ask(&Request::post(&target, "CONTACT_EMAIL=ada%40example.com"));
        self.challenger.pin().expect("a PIN").to_string()
    }

    fn solve(&mut self, nonce: &str) -> String {
        let body = format!("pin={}", self.challenge(nonce));
        let response = self.challenger.ask(&Request::post(&format!("/solve/{nonce}"), body));
        let location = response.header("Location").expect("a redirect");
        let (_, code) = location.split_once("code=").expect("a code");
        code.split('&').next().expect("a first part").to_string()
    }

    /// The bytes with what the words stand for in the place of the words.
    fn spell_out(&self, data: &[u8]) -> Vec<u8> {
        let mut spelled = Vec::with_capacity(data.len());
        let mut rest = data;
        while let Some((first, others)) = rest.split_first() {
            if let Some((word, it)) =
                self.words.iter().find(|(word, _)| rest.starts_with(word.as_bytes()))
            {
                spelled.extend_from_slice(it.as_bytes());
                rest = &rest[word.len()..];
            } else {
                spelled.push(*first);
                rest = others;
            }
        }
        spelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_opens_a_door() {
        let world = World::new();
        let basic = "Authorization: Basic MTpzZWNyZXQtdG9rZW46Y2xpZW50LTE=";
        let token = |code: &str| {
            format!(
                "POST /token\n{basic}\n\ngrant_type=authorization_code&code={code}\
                 &redirect_uri=https%3A%2F%2Fclient.example%2Fcb"
            )
        };
        for (text, status) in [
            ("POST /challenge/OPEN\n\nCONTACT_EMAIL=a@b".to_string(), 200),
            ("POST /solve/SENT\n\npin=PIN".to_string(), 302),
            ("POST /solve/SENT\n\npin=12345678".to_string(), 403),
            ("POST /solve/OPEN\n\npin=PIN".to_string(), 403),
            ("POST /challenge/SOLVED\n\nCONTACT_EMAIL=a@b".to_string(), 200),
            (token("CODE"), 200),
            (token("USED"), 401),
            ("GET /info\nAuthorization: Bearer TOKEN".to_string(), 200),
        ] {
            let request = parse(&world.spell_out(text.as_bytes())).unwrap();
            let response = world.challenger.clone().ask(&request);
            assert_eq!(response.status.0, status, "{text}");
        }
    }
}
