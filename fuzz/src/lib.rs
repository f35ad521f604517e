//! What is claimed about everything that reads from strangers or operators, as functions of bytes.
//! cargo-fuzz looks for bytes that break a claim; the test plays known ones.

// The simulation of challenger-proto's tests, with its auditor.
#[path = "../../challenger-proto/tests/audit/mod.rs"]
mod audit;
#[path = "../../challenger-proto/tests/bends/mod.rs"]
mod bends;
#[path = "../../challenger-proto/tests/simulation/mod.rs"]
mod simulation;
#[path = "../../challenger-proto/tests/world/mod.rs"]
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use challenger_proto::http::{Method, Request};
use challenger_proto::{
    AddressType, Client, ClientId, Commit, Entropy, Form, HashedSecret, Load, PageName, Pattern,
    Records, RedirectUri, Refusal, Restrictions, Service, Timestamp, route,
};
use challenger_server::config::{Config, Environment};
use challenger_server::front::head::{Parsed, parse_head};
use challenger_server::pages::{Messages, Sources};

/// The secret of the only client.
const SECRET: &str = "secret-token:fuzz";

/// The nonce of the only validation: what 32 bytes of one spell.
const NONCE: &str = "041061050R3GG28A1C60T3GF208144R20M2GB1E60W3RGG28A1C0";

/// Bytes become a request; it is routed and decided, and never ends in a fault of ours.
///
/// The first line is method and target, the lines up to an empty one are headers, the rest is the
/// body. `NONCE` stands for the nonce of a validation that exists.
pub fn request(data: &[u8]) {
    let Some(request) = parse_request(data) else { return };
    let plan = route(&request);
    let (service, records) = world();
    let now = Timestamp::from_seconds(1_790_000_000);
    for loaded in [records.load(plan.load()), records.load(&Load::default())] {
        let outcome = plan.decide(loaded, now, Entropy::new([2; 32]), service);
        let status = outcome.response.status.0;
        let expected = status < 500 || (status == 501 && outcome.response.refusal.is_none());
        assert!(expected, "{:?}", outcome.response);
        assert_ne!(outcome.response.refusal, Some(Refusal::Internal));
        assert!(outcome.send.is_none() || outcome.write.is_some(), "unpaid");
        for (name, value) in &outcome.response.headers {
            assert!(!value.contains(char::is_control), "{name}");
        }
        if let Some(write) = &outcome.write {
            assert_eq!(records.clone().commit(write), Commit::Done);
        }
    }
}

/// Bytes become the dice of a simulation: who does what, which request goes on, and what fails. The
/// auditor asserts I1 to I12.
pub fn history(data: &[u8]) {
    simulation::Simulation::new(simulation::Dice::fed(data)).run();
}

fn parse_request(data: &[u8]) -> Option<Request> {
    let text = String::from_utf8_lossy(data).replace("NONCE", NONCE);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
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
        body: body.as_bytes().to_vec(),
    })
}

/// A service with pages, a client and a validation.
fn world() -> (&'static Service, &'static Records) {
    static WORLD: OnceLock<(Service, Records)> = OnceLock::new();
    let (service, records) = WORLD.get_or_init(|| {
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
        let setup = Request {
            method: Method::Post,
            target: "/setup/1".to_string(),
            headers: vec![("Authorization".to_string(), format!("Bearer {SECRET}"))],
            body: Vec::new(),
        };
        let plan = route(&setup);
        let (loaded, now) = (records.load(plan.load()), Timestamp::from_seconds(1_790_000_000));
        let outcome = plan.decide(loaded, now, Entropy::new([1; 32]), &service);
        assert_eq!(records.commit(&outcome.write.expect("a new row")), Commit::Done);
        (service, records)
    });
    (service, records)
}

/// A head has one reading, wherever the bytes are cut: what is said about the beginning of the
/// bytes holds for all of them.
pub fn head(data: &[u8]) {
    let whole = parse_head(data);
    for cut in 0..data.len().min(512) {
        match parse_head(&data[..cut]) {
            Ok(Parsed::Incomplete) => {}
            decided => assert_eq!(decided, whole, "cut at {cut}"),
        }
    }
    if let Ok(Parsed::Complete(head)) = whole {
        assert!(head.length <= data.len());
        assert!(head.request.target.starts_with('/'));
        assert!(!head.request.target.contains(char::is_control));
    }
}

/// A form that is accepted repeats no name, and means the same when it is written again.
pub fn form(data: &[u8]) {
    let Ok(form) = Form::parse(data) else { return };
    let pairs: Vec<(&str, &str)> = form.pairs().collect();
    let names: BTreeMap<&str, &str> = pairs.iter().copied().collect();
    assert_eq!(names.len(), pairs.len());
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let again: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    let again = Form::parse(again.join("&").as_bytes()).expect("what was written by the rules");
    assert!(again.pairs().eq(pairs));
}

/// A pattern never panics, and what translates, compiles.
pub fn pattern(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pattern, subject) = text.split_once('\t').unwrap_or((&text, "ada@example.com"));
    match Pattern::parse(pattern) {
        Ok(pattern) => {
            let first = pattern.is_match(subject);
            assert_eq!(first, pattern.is_match(subject));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A configuration never panics, and what can be read of it stays within bounds.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let environment = Environment {
        variables: BTreeMap::from([("HOME".to_string(), "/home/ada".to_string())]),
        directory: PathBuf::from("/"),
        prefix: None,
    };
    let config = match Config::from_text(&text, &environment) {
        Ok(config) => config,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let names: Vec<(String, String)> = config
        .sections()
        .iter()
        .flat_map(|section| {
            section.settings.iter().map(|it| (section.name.clone(), it.name.clone()))
        })
        .collect();
    for (section, option) in names {
        assert!(config.string(&section, &option).is_ok());
        if let Ok(Some(path)) = config.filename(&section, &option) {
            assert!(path.is_absolute());
            assert!(path.as_os_str().len() <= 128 * 1024);
        }
        // Whether it is one does not matter, but asking must end.
        let _ = config.duration(&section, &option);
        let _ = config.number(&section, &option, 0..=u64::MAX);
    }
}

/// A template that is accepted can be rendered. It may have the parts and words that come along.
pub fn template(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    static SOURCES: OnceLock<Sources> = OnceLock::new();
    if let Ok(messages) = Messages::parse(SOURCES.get_or_init(Sources::embedded), &text) {
        let message = messages.render("en", &data_for_templates()).expect("it is English");
        // A part that has a name of a letter can be the longest there is.
        assert!(message.text.len() <= 1024 * 1024 * (text.len() + 1));
    }
}

fn data_for_templates() -> serde_json::Value {
    serde_json::json!({
        "pin": "1234-5678",
        "client": "",
        "list": [1, {"pin": "{{pin}}"}, []],
        "deep": {"er": {"value": "x"}},
    })
}
