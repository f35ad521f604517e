//! Requests, sent into a world where a validation waits at each stage of its life.

use std::sync::OnceLock;

use challenger_proto::http::{Body, Method, Request, Response};
use challenger_proto::{
    AddressType, Client, ClientId, Commit, Entropy, HashedSecret, Load, PageName, Records,
    RedirectUri, Refusal, Restrictions, Service, Timestamp, route,
};

/// The secret of the only client.
const SECRET: &str = "secret-token:fuzz";
/// Where its users return to.
const REDIRECT: &str = "https%3A%2F%2Fclient.example%2Fcb";
/// When everything happens.
const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// Bytes become a request; it is routed and decided, and never ends in a fault of ours.
///
/// The first line is method and target, the lines up to an empty one are headers, the rest is the
/// body, as it is. The words of [`World::words`] stand for what cannot be guessed.
pub fn request(data: &[u8]) {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(World::new);
    let Some(request) = parse(&world.spell_out(data)) else { return };
    let plan = route(&request);
    let load = plan.load(NOW, &world.service);
    for loaded in [world.records.load(&load), world.records.load(&Load::default())] {
        let outcome = plan.decide(loaded, NOW, Entropy::new([200; 32]), &world.service);
        let status = outcome.response.status.0;
        let expected = status < 500 || (status == 501 && outcome.response.refusal.is_none());
        assert!(expected, "{:?}", outcome.response);
        assert_ne!(outcome.response.refusal, Some(Refusal::Internal));
        assert!(outcome.send.is_none() || outcome.write.is_some(), "unpaid");
        for (name, value) in &outcome.response.headers {
            assert!(!value.contains(char::is_control), "{name}");
        }
        if let Some(write) = &outcome.write {
            assert_eq!(world.records.clone().commit(write), Commit::Done);
        }
        let Some(message) = outcome.send else { continue };
        assert!(!message.argument.contains('\0'), "no program can be told this address");
        let plan = message.undelivered("by the dice");
        let loaded = world.records.load(&plan.load(NOW, &world.service));
        let outcome = plan.decide(loaded, NOW, Entropy::new([200; 32]), &world.service);
        assert!(outcome.send.is_none(), "a failure sends");
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
    service: Service,
    records: Records,
    draws: u8,
    /// Words, and what they stand for.
    words: Vec<(&'static str, String)>,
}

impl World {
    fn new() -> Self {
        let mut service = Service::new(AddressType::new("email").expect("a type"));
        service.restrictions =
            Restrictions::parse(r#"{"CONTACT_EMAIL":{"regex":"@","hint":"an address"}}"#)
                .expect("restrictions");
        for name in PageName::ALL {
            service.pages.insert(name, "en");
        }
        let mut records = Records::default();
        records.insert_client(Client {
            id: ClientId::new(1).expect("an identifier"),
            redirect_uri: RedirectUri::parse("https://client.example/cb").expect("a URI"),
            secret: HashedSecret::new(SECRET, Entropy::new([0; 32])),
        });
        let mut world = Self { service, records, draws: 0, words: Vec::new() };
        world.open("OPEN");
        let sent = world.open("SENT");
        let pin = world.challenge(&sent);
        world.words.push(("PIN", pin));
        let solved = world.open("SOLVED");
        let code = world.solve(&solved);
        world.words.push(("CODE", code));
        let spent = world.open("SPENT");
        let code = world.solve(&spent);
        let token = world.redeem(&code);
        world.words.extend([("USED", code), ("TOKEN", token)]);
        world
    }

    /// A validation for which a word stands from now on.
    fn open(&mut self, word: &'static str) -> String {
        let bearer = format!("Bearer {SECRET}");
        let (response, _) = self.ask("POST", "/setup/1", &[("Authorization", &bearer)], "");
        let nonce = member(&response, "nonce");
        self.words.push((word, nonce.clone()));
        let target = format!("/authorize/{nonce}?response_type=code&client_id=1&state=s");
        let (response, _) = self.ask("GET", &target, &[], "");
        assert_eq!(response.status.0, 200);
        nonce
    }

    fn challenge(&mut self, nonce: &str) -> String {
        let target = format!("/challenge/{nonce}");
        self.ask("POST", &target, &[], "CONTACT_EMAIL=ada%40example.com").1.expect("a PIN")
    }

    fn solve(&mut self, nonce: &str) -> String {
        let body = format!("pin={}", self.challenge(nonce));
        let (response, _) = self.ask("POST", &format!("/solve/{nonce}"), &[], &body);
        let location = response.header("Location").expect("a redirect");
        let (_, code) = location.split_once("code=").expect("a code");
        code.split('&').next().expect("a first part").to_string()
    }

    fn redeem(&mut self, code: &str) -> String {
        let body = format!(
            "grant_type=authorization_code&client_id=1&client_secret={SECRET}&code={code}\
             &redirect_uri={REDIRECT}"
        );
        let (response, _) = self.ask("POST", "/token", &[], &body);
        member(&response, "access_token")
    }

    /// Has a request decided and its write kept; gives the PIN of its message as well.
    fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (Response, Option<String>) {
        let request = Request {
            method: Method::parse(method),
            target: target.to_string(),
            headers: headers.iter().map(|(name, it)| (name.to_string(), it.to_string())).collect(),
            body: body.as_bytes().to_vec(),
        };
        self.draws += 1;
        let plan = route(&request);
        let loaded = self.records.load(&plan.load(NOW, &self.service));
        let outcome = plan.decide(loaded, NOW, Entropy::new([self.draws; 32]), &self.service);
        if let Some(write) = &outcome.write {
            assert_eq!(self.records.commit(write), Commit::Done);
        }
        (outcome.response, outcome.send.map(|message| message.secret.digits().to_string()))
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

fn member(response: &Response, name: &str) -> String {
    let Body::Json(value) = &response.body else { panic!("not JSON: {response:?}") };
    value[name].as_str().expect("a text").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_opens_a_door() {
        let world = World::new();
        let basic = "Authorization: Basic MTpzZWNyZXQtdG9rZW46ZnV6eg==";
        let token = |code: &str| {
            format!(
                "POST /token\n{basic}\n\ngrant_type=authorization_code&code={code}\
                 &redirect_uri={REDIRECT}"
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
            let plan = route(&request);
            let loaded = world.records.load(&plan.load(NOW, &world.service));
            let outcome = plan.decide(loaded, NOW, Entropy::new([200; 32]), &world.service);
            assert_eq!(outcome.response.status.0, status, "{text}");
        }
    }
}
