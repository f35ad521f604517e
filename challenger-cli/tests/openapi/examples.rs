//! Each example in the document has the shape of what the service answers.

use std::collections::BTreeMap;

use challenger_testkit::{Reply, code_of, escape};
use serde_json::Value;

use crate::site::{SECRET, Site, admin, stderr};
use crate::{document, object, operations, resolved, site};

/// Answers by what they are examples of: operation, status, name.
#[derive(Default)]
struct Replies(BTreeMap<String, Reply>);

impl Replies {
    fn add(&mut self, operation: &str, name: &str, reply: Reply) -> &Reply {
        let key = format!("{operation} {} {name}", reply.status);
        self.0.entry(key).or_insert(reply)
    }
}

/// The kinds of all values: two texts have the same shape, and so have two objects with the same
/// names and shapes.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "text".into(),
        // A list may be longer than its example.
        Value::Array(items) => items.iter().take(1).map(shape).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
        }
    }
}

/// The examples of JSON that the document has for answers.
fn examples(document: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (_, _, operation) in operations(document) {
        let id = operation["operationId"].as_str().unwrap();
        for (status, response) in object(&operation["responses"]) {
            let content = &resolved(document, response)["content"]["application/json"];
            for (name, example) in object(&content["examples"]) {
                found.insert(format!("{id} {status} {name}"), example["value"].clone());
            }
        }
    }
    found
}

const BEARER: (&str, &str) = ("Authorization", "Bearer secret-token:6V2QK8ZJ0XN4T9BWYD3M7RHC5F");
const JSON: (&str, &str) = ("Accept", "application/json");

/// Asks by a form, as the client if it has no secret yet.
fn post(site: &Site, path: &str, form: &str) -> Reply {
    let secret = escape(SECRET);
    site.post(path, &[JSON], format!("{form}&client_id=1&client_secret={secret}"))
}

#[test]
fn every_example_has_the_shape_of_an_answer() {
    let site = site(
        "ADDRESS_MESSAGES = 1\nADDRESS_RESTRICTIONS = {\"CONTACT_EMAIL\": {\"regex\": \"@\", \
         \"hint\": \"With @.\", \"hint_i18n\": {\"de\": \"Mit @.\"}}}\n",
    );
    let mut replies = Replies::default();
    standard(&site, &mut replies);
    protocol(&site, &mut replies);
    mistakes(&site, &mut replies);
    disabled(&site, &mut replies);
    let examples = examples(&document());
    assert!(examples.keys().eq(replies.0.keys()), "{:?}, {:?}", examples.keys(), replies.0.keys());
    for (name, example) in examples {
        assert_eq!(shape(&example), shape(&replies.0[&name].json()), "{name}");
    }
}

/// What any OAuth client does.
fn standard(site: &Site, replies: &mut Replies) {
    let metadata = site.get(".well-known/oauth-authorization-server", &[]);
    replies.add("getMetadata", "metadata", metadata);
    let reply =
        post(site, "par", "response_type=code&state=af0ifjsldkj&login_hint=a%40example.com");
    replies.add("pushAuthorizationRequest", "pushed", reply);
    let reply = post(site, "par", "response_type=token");
    replies.add("pushAuthorizationRequest", "otherResponseType", reply);
    let other = "authorize?response_type=code&client_id=1&redirect_uri=https%3A%2F%2Fother.example";
    replies.add("openAuthorization", "otherRedirectUri", site.get(other, &[]));
    let unknown = "authorize?client_id=1&request_uri=urn%3Anothing";
    replies.add("openAuthorization", "unknown", site.get(unknown, &[]));

    let (_, code) = site.solved("ada@example.com");
    let token = replies.add("exchangeCode", "token", site.token(&code));
    let token = token.member("access_token").unwrap();
    replies.add("exchangeCode", "wrongCode", site.token("nothing"));
    replies.add("exchangeCode", "missing", post(site, "token", "code=nothing"));
    replies.add("getInfo", "email", site.info(&token));
    replies.add("getInfo", "unknown", site.info(&"0".repeat(52)));
    let reply = post(site, "introspect", &format!("token={token}"));
    replies.add("introspectToken", "active", reply);
    replies.add("introspectToken", "inactive", post(site, "introspect", "token=nothing"));
    replies.add("introspectToken", "missing", post(site, "introspect", ""));
}

/// What a client of the protocol and its people do.
fn protocol(site: &Site, replies: &mut Replies) {
    replies.add("getConfig", "email", site.get("config", &[]));
    replies.add("setup", "unauthorized", site.post("setup/1", &[], ""));
    replies.add("setup", "wrongSecret", site.post("setup/1", &[("Authorization", "Bearer x")], ""));
    let proposal = r#"{"CONTACT_EMAIL": "grace@example.com"}"#;
    let setup = replies.add("setup", "opened", site.post("setup/1", &[BEARER], proposal));
    let nonce = setup.member("nonce").unwrap();
    let link = format!("authorize/{nonce}?response_type=code&client_id=1&state=af0ifjsldkj");
    replies.add("authorize", "proposed", site.get(&link, &[]));
    replies.add("authorizeByPost", "proposed", site.post(&link, &[], ""));
    replies.add("challenge", "sent", site.challenge(&nonce, "grace@example.com"));
    replies.add("getStatus", "sent", site.get(&format!("status/{nonce}"), &[BEARER]));
    replies.add("solve", "wrong", site.solve(&nonce, "00000000"));
    let solved = replies.add("solve", "solved", site.solve(&nonce, &site.pin("grace@example.com")));
    assert!(code_of(solved.json()["redirect_url"].as_str().unwrap()).len() > 52);
}

/// What becomes of a client that the operator disables.
fn disabled(site: &Site, replies: &mut Replies) {
    let nonce = site.setup();
    let output = admin(site, &["--disable", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut add = |name, reply| {
        replies.add(name, "disabled", reply);
    };
    add("pushAuthorizationRequest", post(site, "par", "response_type=code"));
    add("openAuthorization", site.get("authorize?response_type=code&client_id=1", &[]));
    add("exchangeCode", site.token("nothing"));
    add("revokeToken", post(site, "revoke", "token=nothing"));
    add("introspectToken", post(site, "introspect", "token=nothing"));
    add("setup", site.post("setup/1", &[BEARER], ""));
    add("getStatus", site.get(&format!("status/{nonce}"), &[BEARER]));
    add("challenge", site.challenge(&nonce, "eve@example.com"));
}

/// What goes wrong.
fn mistakes(site: &Site, replies: &mut Replies) {
    let nonce = site.setup();
    let wrong = format!("authorize/{nonce}?response_type=token&client_id=1");
    let unknown = "0".repeat(52);
    replies.add("authorize", "malformed", site.get(&wrong, &[]));
    replies.add("authorize", "unknown", site.get(&format!("authorize/{unknown}"), &[]));
    replies.add("authorizeByPost", "malformed", site.post(&wrong, &[], ""));
    replies.add("authorizeByPost", "unknown", site.post(&format!("authorize/{unknown}"), &[], ""));
    replies.add("challenge", "missing", site.post(&format!("challenge/{nonce}"), &[], ""));
    replies.add("challenge", "unknown", site.challenge(&unknown, "ada@example.com"));
    replies.add("challenge", "later", site.challenge(&nonce, "ada@example.com"));
    replies.add("solve", "missing", site.post(&format!("solve/{nonce}"), &[JSON], ""));
    replies.add("solve", "unknown", site.solve(&unknown, "00000000"));

    let fixed = r#"{"CONTACT_EMAIL": "ada@example.com", "read_only": true}"#;
    let setup = site.post("setup/1", &[BEARER], fixed);
    let nonce = setup.member("nonce").unwrap();
    replies.add("challenge", "fixed", site.challenge(&nonce, "grace@example.com"));

    site.set_helper("#!/bin/sh\ncat >/dev/null\nexit 67\n");
    let reply = site.challenge(&site.setup(), "nobody@example.com");
    replies.add("challenge", "unreachable", reply);
}
