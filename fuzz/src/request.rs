//! Requests, sent into a world where a validation waits at each stage of its life.

use std::sync::OnceLock;

use challenger_proto::address::Restrictions;
use challenger_proto::http::{BODY_MAX, Body, Method, PageName, Request, Response};
use challenger_proto::oauth::{Client, HashedSecret, RedirectUri};
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
    let spelled = world.spell_out(data);
    let Some(request) = parse(&spelled) else { return };
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
        leads_home(&response);
        world.keeps_secrets(&spelled, &response);
    }
}

/// The clients' redirect URIs. The second client is open.
const URIS: [&str; 2] = ["https://client.example/cb", "https://open.example/cb?x=1"];

/// How a redirect names the issuer.
const ISS: &str = "iss=https%3A%2F%2Fchallenger.example";

/// A redirect leads to a validation, relative to where the request was, or to a client, in whose
/// URI nothing of the request's adds a parameter.
fn leads_home(response: &Response) {
    let Some(location) = response.header("Location") else { return };
    assert_eq!(response.status.0, 302);
    if let Some(nonce) = location.strip_prefix("authorize/") {
        let is_plain = nonce.bytes().all(|it| it.is_ascii_alphanumeric());
        return assert!(nonce.len() == 52 && is_plain, "{location}");
    }
    let [closed, open] = URIS;
    let query = location.strip_prefix(closed).and_then(|it| it.strip_prefix('?'));
    let query = query.or_else(|| location.strip_prefix(open)?.strip_prefix('&'));
    let query = query.unwrap_or_else(|| panic!("{location}"));
    let (answer, iss) = query.rsplit_once('&').expect("more than one parameter");
    assert_eq!(iss, ISS);
    let names: Vec<&str> =
        answer.split('&').map(|it| it.split_once('=').expect("a value").0).collect();
    let known: [&[&str]; 4] = [
        &["code"],
        &["code", "state"],
        &["error", "error_description"],
        &["error", "error_description", "state"],
    ];
    assert!(known.contains(&&names[..]), "{location}");
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~%=&".contains(&it);
    assert!(answer.bytes().all(is_plain), "{location}");
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

/// The address in all validations.
const ADDRESS: &str = "ada@example.com";

/// A service with pages, two clients, and validations.
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
        let client = challenger.register(URIS[0]);
        let open = challenger.register(URIS[1]);
        challenger.records.insert_client(Client {
            messages_per_day: Some(9),
            open: true,
            ..Client::new(
                open.id,
                RedirectUri::parse(&open.redirect_uri).expect("it was registered"),
                HashedSecret::new(&open.secret, Entropy::new([8; 32])),
            )
        });
        let mut world = Self { challenger, client, words: Vec::new() };
        world.push("PUSHED");
        world.visit("VISITED");
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

    /// The same for one with a request that the client pushed.
    fn push(&mut self, word: &'static str) {
        let response = self.challenger.ask(&self.client.push("state=s"));
        let uri = response.member("request_uri").and_then(|it| it.as_str()).expect("a URI");
        let (_, nonce) = uri.rsplit_once(':').expect("a nonce");
        self.words.push((word, nonce.to_string()));
    }

    /// The same for one that a visitor of the open client began.
    fn visit(&mut self, word: &'static str) {
        let target = "/authorize?response_type=code&client_id=2&state=s";
        let response = self.challenger.ask(&Request::get(target));
        let location = response.header("Location").expect("a redirect");
        let (_, nonce) = location.split_once('/').expect("a nonce");
        self.words.push((word, nonce.to_string()));
    }

    fn challenge(&mut self, nonce: &str) -> String {
        let target = format!("/challenge/{nonce}");
        self.challenger.ask(&Request::post(&target, format!("CONTACT_EMAIL={ADDRESS}")));
        self.challenger.pin().expect("a PIN").to_string()
    }

    fn solve(&mut self, nonce: &str) -> String {
        let body = format!("pin={}", self.challenge(nonce));
        let response = self.challenger.ask(&Request::post(&format!("/solve/{nonce}"), body));
        let location = response.header("Location").expect("a redirect");
        let (_, code) = location.split_once("code=").expect("a code");
        code.split('&').next().expect("a first part").to_string()
    }

    /// An answer has no secret but to a request that has it, no code but to one that has the nonce,
    /// and nobody's address but to one that has the nonce or the token.
    fn keeps_secrets(&self, request: &[u8], response: &Response) {
        let body = match &response.body {
            Body::Json(json) => json.to_string(),
            Body::Page(page) => serde_json::Value::from(page.data.clone()).to_string(),
            Body::Empty | Body::Document(_) | Body::Text(_) => String::new(),
        };
        assert!(body.len() <= 8 * BODY_MAX, "{} bytes", body.len());
        let fields = response.headers.iter().map(|(_, value)| value.as_ref());
        let answer: String = [body.as_str()].into_iter().chain(fields).collect();
        let is_known =
            |secret: &str| request.windows(secret.len()).any(|it| it == secret.as_bytes());
        let (codes, others): (Vec<_>, Vec<_>) =
            self.words.iter().partition(|(word, _)| ["CODE", "USED"].contains(word));
        let knows_more = others.iter().any(|(_, secret)| is_known(secret));
        for (word, secret) in others {
            assert!(!answer.contains(secret) || is_known(secret), "{word} in {answer}");
        }
        for (word, code) in codes {
            assert!(!answer.contains(code) || is_known(code) || knows_more, "{word} in {answer}");
        }
        assert!(!answer.contains(ADDRESS) || is_known(ADDRESS) || knows_more, "{answer}");
        assert!(!answer.contains(&self.client.secret) || is_known(&self.client.secret));
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
        let begin = |query: &str| format!("GET /authorize?{query}");
        let asked = |path: &str, body: &str| format!("POST /{path}\n{basic}\n\n{body}");
        for (text, status) in [
            ("POST /challenge/OPEN\n\nCONTACT_EMAIL=a@b".to_string(), 200),
            ("POST /solve/SENT\n\npin=PIN".to_string(), 302),
            ("POST /solve/SENT\n\npin=12345678".to_string(), 403),
            ("POST /solve/OPEN\n\npin=PIN".to_string(), 403),
            ("POST /challenge/SOLVED\n\nCONTACT_EMAIL=a@b".to_string(), 200),
            ("GET /authorize/PUSHED".to_string(), 200),
            ("GET /authorize/PUSHED?response_type=code&client_id=1".to_string(), 400),
            (begin("client_id=1&request_uri=urn:ietf:params:oauth:request_uri:PUSHED"), 302),
            (begin("client_id=2&request_uri=urn:ietf:params:oauth:request_uri:PUSHED"), 404),
            (begin("client_id=2&request_uri=urn:ietf:params:oauth:request_uri:VISITED"), 404),
            (begin("client_id=2&response_type=code&state=x"), 302),
            (begin("client_id=2&response_type=token&state=x"), 302),
            (begin("client_id=1&response_type=code&state=x"), 400),
            (asked("par", "response_type=code&login_hint=a@b"), 201),
            (asked("introspect", "token=TOKEN"), 200),
            (asked("revoke", "token=TOKEN"), 200),
            ("GET /status/SENT\nAuthorization: Bearer secret-token:client-1".to_string(), 200),
            ("GET /.well-known/oauth-authorization-server".to_string(), 200),
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
